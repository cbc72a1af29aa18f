"""The pages where the server is looked after: who may come in, and what the AI-art policy's page changes."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

import fediart
from fediart.domain.actors import Role
from fediart.domain.moderation import HostAction
from fediart.domain.policy import LocalAction, Preset, RemoteAction
from fediart.domain.reservations import Answer
from fediart.domain.reviews import Verb
from fediart.office.judge_actor import VERBS
from fediart.storage.tables import accounts
from fediart.web.pages.admin.people import DEEDS
from tests.commands import run_commands
from tests.people import Person, people_of
from tests.world import World, a_world


@pytest.mark.parametrize(
    ("role", "may_moderate", "may_administer"),
    [(Role.OWNER, True, True), (Role.ADMIN, True, True), (Role.MODERATOR, True, False), (Role.ARTIST, False, False)],
)
def test_who_may_do_what(role: Role, may_moderate: bool, may_administer: bool) -> None:
    assert (role.may_moderate, role.may_administer) == (may_moderate, may_administer)


@dataclass(frozen=True, slots=True)
class Office:
    world: World
    ada: Person
    """The admin."""
    mo: Person
    """The moderator."""
    mira: Person


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        ada, mo, mira = await people.person("ada"), await people.person("mo"), await people.person("mira")
        for person, role in ((ada, Role.ADMIN), (mo, Role.MODERATOR)):
            await world.instance.storage.write(_put_role, person.account.id, role)
        yield Office(world, ada, mo, mira)


def _put_role(db: Connection, account_id: int, role: Role) -> None:
    db.execute(update(accounts).where(accounts.c.id == account_id).values(role=role))


def _form(page: str) -> dict[str, str]:
    """What a browser would send of the policy's page, untouched."""
    body = page.split('action="/admin/policy"')[1].split("</form>")[0]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input [^>]+>", body):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attributes.get("type") not in ("checkbox", "radio") or " checked" in tag:
            found[attributes["name"]] = html.unescape(attributes.get("value", ""))
    for name, options in re.findall(r'<select name="([^"]+)">(.*?)</select>', body, re.DOTALL):
        found[name] = re.findall(r'value="([^"]+)" selected', options)[0]
    for name, typed in re.findall(r'<textarea name="([^"]+)"[^>]*>(.*?)</textarea>', body, re.DOTALL):
        found[name] = html.unescape(typed)
    return found


@pytest.mark.anyio
async def test_only_who_looks_after_the_server_finds_its_pages(office: Office) -> None:
    answers = {}
    for person in (office.ada, office.mo, office.mira):
        answers[person.name] = [
            (await person.browser.get(path)).status_code for path in ("/admin", "/admin/policy", "/admin/deliveries")
        ]
    assert answers == {"ada": [200, 200, 200], "mo": [200, 404, 404], "mira": [404, 404, 404]}
    assert (await office.world.stranger.get("/admin/policy")).status_code in (302, 303, 401)
    assert 'href="/admin"' in (await office.mo.browser.get("/home")).text
    assert 'href="/admin"' not in (await office.mira.browser.get("/home")).text
    refused = await office.mo.browser.send("/admin/policy", {"act": "adopt", "preset": "open"}, page="/home")
    assert refused.status_code == 404
    assert office.world.instance.policy.number == 1


@pytest.mark.anyio
async def test_a_change_is_shown_before_it_is_adopted_and_then_holds(office: Office) -> None:
    form = _form((await office.ada.browser.get("/admin/policy")).text)
    asked = {
        **form,
        "preset": "label-only",
        "local.hint": "ask",
        "remote.domains": "ai.example filter\r\n\r\nbad.example: reject",
    }
    looked = await office.ada.browser.send("/admin/policy", {**asked, "act": "try"}, page="/admin/policy")
    assert looked.status_code == 200
    assert "<code>local.declared</code>: reject → <strong>label</strong>" in looked.text
    assert "<code>local.hint</code>: allow → <strong>ask</strong>" in looked.text
    assert "There are no posts of other servers yet to try it on." in looked.text
    assert office.world.instance.policy.number == 1, "only looked at"
    adopted = await office.ada.browser.send("/admin/policy", {**_form(looked.text), "act": "adopt"}, page="/admin/policy")
    assert adopted.headers["location"] == "/admin/policy?done=1"
    policy = office.world.instance.policy
    assert (policy.number, policy.preset, policy.adopted_by) == (2, Preset.LABEL_ONLY, office.ada.account.id)
    assert (policy.local.declared, policy.local.hint) == (LocalAction.LABEL, LocalAction.ASK)
    assert policy.remote.domains == {"ai.example": RemoteAction.FILTER, "bad.example": RemoteAction.REJECT}
    page = (await office.ada.browser.get("/admin/policy?done=1")).text
    assert "Revision 2, adopted here" in page
    assert "<strong>1</strong>" in page, "the first one is still told of"


@pytest.mark.anyio
async def test_a_form_sent_back_untouched_changes_nothing(office: Office) -> None:
    form = _form((await office.ada.browser.get("/admin/policy")).text)
    answer = await office.ada.browser.send("/admin/policy", {**form, "act": "adopt"}, page="/admin/policy")
    assert "Nothing is different." in answer.text
    assert office.world.instance.policy.number == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("machines", "said"),
    [
        ("nothing", (Answer.DENY, Answer.DENY, Answer.DENY, False)),
        ("ask", (Answer.DENY, Answer.DENY, Answer.ALLOW, True)),
        ("everything", (Answer.ALLOW, Answer.ALLOW, Answer.ALLOW, False)),
    ],
)
async def test_the_first_card_is_what_is_reserved(
    office: Office, machines: str, said: tuple[Answer, Answer, Answer, bool]
) -> None:
    form = _form((await office.ada.browser.get("/admin/policy")).text)
    await office.ada.browser.send("/admin/policy", {**form, "machines": machines, "act": "adopt"}, page="/admin/policy")
    reserve = office.world.instance.policy.reserve
    assert (reserve.training, reserve.ai_input, reserve.search, reserve.ask_artists) == said


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"enforce.rate_limit_anonymous": "many"}, "enforce.rate_limit_anonymous must be written like 120/min"),
        ({"remote.domains": "ai.example"}, "each line is a name, a space and an action"),
        ({"remote.domains": "ai.example hide"}, "must be one of allow, label, collapse"),
        ({"preset": "strict"}, "There is no preset strict."),
        ({"review.appeal_days": "0"}, "review.appeal_days must be between 1 and 365."),
        ({"statement_url": "javascript:alert(1)"}, "statement_url must be a path of this server"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_stays(office: Office, change: dict[str, str], words: str) -> None:
    form = _form((await office.ada.browser.get("/admin/policy")).text)
    sent = {**form, **change, "remote.hashtags": "mytag", "act": "adopt"}
    answer = await office.ada.browser.send("/admin/policy", sent, page="/admin/policy")
    assert answer.status_code == 422
    assert words in html.unescape(answer.text)
    assert ">mytag</textarea>" in answer.text
    assert office.world.instance.policy.number == 1


@pytest.mark.anyio
async def test_of_two_admins_at_once_the_second_is_told(office: Office) -> None:
    form = _form((await office.ada.browser.get("/admin/policy")).text)
    await office.ada.browser.send("/admin/policy", {**form, "preset": "open", "act": "adopt"}, page="/admin/policy")
    late = {**form, "preset": "label-only", "act": "adopt"}
    answer = await office.ada.browser.send("/admin/policy", late, page="/admin/policy")
    assert answer.status_code == 409
    assert "it is revision 2 now" in answer.text
    assert office.world.instance.policy.preset == Preset.OPEN


def test_the_same_acts_from_a_shell(tmp_path: Path) -> None:
    acts: list[tuple[list[str], int, str]] = [
        (["show"], 0, "Revision 1, preset human-art."),
        (["preset", "label-only", "--dry-run"], 0, "Nothing was changed."),
        (["preset", "label-only"], 0, "local.declared: reject -> label"),
        (["set", "remote.domains", '{ "ai.example" = "filter" }'], 0, "remote.domains: nothing -> ai.example: filter"),
        (["set", "local.hint", "allow"], 0, "Nothing is different."),
        (["show"], 0, "Revision 3, preset label-only."),
        (["history"], 0, "3  "),
        (["set", "local.declard", "label"], 1, "The policy has no key local.declard."),
        (["set", "local.declared", "hide"], 1, "local.declared must be one of allow, label, ask, hold, reject, not 'hide'."),
        (["set", "remote.hashtags", "x"], 1, 'remote.hashtags is written as in the settings file: ["a", "b"]'),
        (["preset", "strict"], 1, "There is no preset strict. There are: human-art, label-only, open."),
    ]
    ran = run_commands([["policy", *arguments, "--data", str(tmp_path / "data")] for arguments, _, _ in acts])
    for (arguments, status, words), told in zip(acts, ran, strict=True):
        assert (told.status, words in told.told) == (status, True), (arguments, told)


def test_whatever_is_written_down_has_words() -> None:
    written = {f"{action} host" for action in HostAction} | {f"review-{verb}" for verb in Verb} | {*VERBS.values()}
    for path in Path(fediart.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="write_down"), args=[_, _, ast.Constant(value=verb), *_]):
                    written.add(str(verb))
    assert {"look", "import hosts"} | written == {*DEEDS}
