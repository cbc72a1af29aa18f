"""Coming in: closed, by invite, by approval, openly; with mail and without; and nobody learns who has an account."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, select, update

from fediart.domain.actors import Role
from fediart.domain.policy import LocalAction, Preset
from fediart.domain.sign_ups import CONFIRM_MS, MAX_APPLICANTS, Applicant, ApplicantState, SignUps
from fediart.ids import new_id
from fediart.office.admit_people import choose_sign_ups, make_invite
from fediart.office.prune import prune
from fediart.storage import accounts, audit, sign_ups, tables
from fediart.studio.delete_account import delete_account
from fediart.studio.sign_up import Outcome, Wish, sign_up
from tests.commands import run_commands
from tests.judged import a_moderator, adopt
from tests.people import PASSWORD, Browser, People, people_of
from tests.smtp_sink import a_sink, link_in
from tests.world import World, a_world

pytestmark = pytest.mark.anyio


async def ask(browser: Browser, name: str, *, page: str = "/sign-up", **more: Any) -> httpx.Response:
    said = {"username": name, "password": PASSWORD, "agrees": "1", **more}
    return await browser.send("/sign-up", said, page=page)


async def has_account(world: World, name: str) -> bool:
    return await world.instance.storage.read(accounts.account_named, name) is not None


async def an_owner(people: People) -> Any:
    """mira, who owns the server."""
    mira = await people.person("mira")
    await people.instance.storage.write(accounts.put_role, mira.account.id, Role.OWNER)
    return mira


async def open_registrations(world: World) -> tuple[bool, bool, bool]:
    """As NodeInfo says, as the client API says, whether an admin is asked."""
    info = (await world.stranger.get("/nodeinfo/2.1")).json()["openRegistrations"]
    api = (await world.stranger.get("/api/v2/instance")).json()["registrations"]
    assert api["enabled"] == (await world.stranger.get("/api/v1/instance")).json()["registrations"]
    return info, api["enabled"], api["approval_required"]


async def test_sign_ups_are_closed_until_the_admin_opens_them(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira, noor = await an_owner(people), await people.person("noor")
        moderator = await a_moderator(people, "vera")
        stranger = await people.browser()
        assert "takes no new accounts" in (await stranger.get("/sign-up")).text
        assert (await stranger.send("/sign-up", {"username": "eve", "password": PASSWORD}, page="/sign-in")).status_code == 403
        assert await open_registrations(world) == (False, False, False)
        assert "/sign-up" not in (await stranger.get("/")).text + (await stranger.get("/sign-in")).text

        for who in (noor, moderator):
            assert (await who.browser.get("/admin/sign-ups")).status_code == 404
        assert (await moderator.browser.send("/admin/sign-ups", {"action": "mode", "mode": "open"})).status_code == 404
        for mode, told in (("invite", (False, False, False)), ("approval", (False, True, True)), ("open", (True, True, False))):
            sent = await mira.browser.send("/admin/sign-ups", {"action": "mode", "mode": mode}, page="/admin/sign-ups")
            assert sent.status_code == 303
            assert {"invite": "needs an invite", "approval": "ask for an account", "open": "make an account"}[mode] in (
                await stranger.get("/about")
            ).text
            assert await open_registrations(world) == told, mode
        assert (await mira.browser.send("/admin/sign-ups", {"action": "mode", "mode": "x"})).status_code == 422
        assert 'href="/sign-up"' in (await stranger.get("/")).text

        page = await stranger.get("/sign-up")
        assert "E-mail" not in page.text, "without mail no address is asked for"
        assert "was not made by AI" in page.text, "the policy in plain words"
        for wrong, words in (
            ({"name": "Eve Eve"}, "small letters a to z"),
            ({"name": "mira"}, "is taken"),
            ({"name": "admin"}, "kept for the server"),
            ({"name": "eve", "password": "short"}, "at least 10 characters"),
            ({"name": "eve", "agrees": ""}, "keep to the policy"),
        ):
            refused = await ask(stranger, **wrong)
            assert refused.status_code in (409, 422)
            assert words in refused.text
            assert f'value="{wrong["name"]}"' in refused.text, "what was typed stays"
            assert wrong.get("password", PASSWORD) not in refused.text
        made = await ask(stranger, "Eve")
        assert (made.status_code, made.headers["location"]) == (303, "/settings/profile")
        assert await stranger.is_signed_in()
        eve = await world.instance.storage.read(accounts.account_named, "eve")
        assert eve is not None
        assert (eve.role, eve.agreed_policy) == (Role.ARTIST, world.instance.policy.number)
        assert (await world.stranger.get("/users/eve", headers={"accept": "application/activity+json"})).status_code == 200

        await delete_account(world.instance, eve, "eve", None)
        again = await ask(await people.browser(), "eve")
        assert (again.status_code, "is taken" in again.text) == (409, True), "a name is nobody's second"

        await adopt(world.instance, Preset.OPEN, declared=LocalAction.ALLOW)
        fresh = await people.browser()
        assert "agrees" not in (await fresh.get("/sign-up")).text, "a policy that asks for nothing is not agreed to"
        assert (await ask(fresh, "lou", agrees="")).status_code == 303
        lou = await world.instance.storage.read(accounts.account_named, "lou")
        assert lou is not None
        assert lou.agreed_policy is None


async def test_an_invite_lets_in_as_many_as_it_says_until_it_ends_or_is_taken_back(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"accounts.sign_ups": "invite"}
    async with a_world(tmp_path, **settings) as world, people_of(world.instance) as people:
        mira, instance = await an_owner(people), world.instance
        stranger = await people.browser()
        assert "needs an invite" in (await stranger.get("/sign-up")).text
        sent = {"action": "invite", "uses": "2", "days": "7", "note": "for Eve and Lou"}
        page = (await mira.browser.send("/admin/sign-ups", sent, page="/admin/sign-ups")).text
        link = re.search(r"http://localhost:8000(/sign-up\?invite=[\w-]+)", page)
        assert link
        assert link[1] not in (await mira.browser.get("/admin/sign-ups")).text, "it is shown once"
        token = link[1].partition("=")[2]
        for name in ("eve", "lou"):
            assert (await ask(await people.browser(), name, page=link[1], invite=token)).status_code == 303
        assert "used up" in (await stranger.get(link[1])).text
        late = await stranger.send(
            "/sign-up", {"username": "zoe", "password": PASSWORD, "invite": token, "agrees": "1"}, page="/sign-in"
        )
        assert late.status_code == 403
        assert not await has_account(world, "zoe")
        for wrong in ({"uses": "0"}, {"uses": "x"}, {"days": "99999"}, {"uses": "²"}):
            assert (await mira.browser.send("/admin/sign-ups", {**sent, **wrong})).status_code == 422, wrong

        ended = await make_invite(instance, uses=1, days=1, by=mira.account)
        await instance.storage.write(lambda db: db.execute(update(tables.invites).values(until=instance.clock() - 1)))
        assert "has ended" in (await stranger.get(ended.removeprefix("http://localhost:8000"))).text
        held = await make_invite(instance, uses=1, days=None, by=mira.account)
        (newest, *_) = await instance.storage.read(sign_ups.all_invites)
        assert (newest.uses, newest.used, newest.until, newest.maker) == (1, 0, None, "mira")
        gone = await mira.browser.send("/admin/sign-ups", {"action": "revoke", "which": str(newest.id)}, page="/admin/sign-ups")
        assert gone.status_code == 303
        assert "taken back" in (await stranger.get(held.removeprefix("http://localhost:8000"))).text

        data = ("--data", str(tmp_path))
        made, told = run_commands([["invite", "make", "--uses", "3", "--note", "by hand", *data], ["invite", "list", *data]])
        assert "Sign-ups are closed" in made.told, "as this shell's settings say"
        shell = made.told.split()[0].rpartition("=")[2]
        number = told.told.split()[0]
        assert "0 of 3" in told.told
        assert "by the shell" in told.told
        assert (await ask(stranger, "zoe", page=f"/sign-up?invite={shell}", invite=shell)).status_code == 303
        back, wrong_number = run_commands([["invite", "revoke", number, *data], ["invite", "revoke", "5", *data]])
        assert (back.status, wrong_number.status) == (0, 1)
        assert "not there" in wrong_number.told
        await choose_sign_ups(instance, SignUps.CLOSED, by=None)
        assert "takes no new accounts" in (await (await people.browser()).get(f"/sign-up?invite={shell}")).text
        verbs = [deed.verb for deed in await instance.storage.read(audit.deeds)]
        assert {"invite", "revoke invite", "sign-ups"} <= set(verbs)


async def test_an_admin_decides_on_who_asks_and_both_hear_of_it_by_mail(tmp_path: Path) -> None:
    async with a_sink() as sink:
        mail: dict[str, Any] = {"mail.host": "127.0.0.1", "mail.port": sink.port, "mail.security": "none"}
        async with a_world(tmp_path, **{"accounts.sign_ups": "approval", **mail}) as world, people_of(world.instance) as people:
            mira, instance = await an_owner(people), world.instance
            await instance.storage.write(accounts.put_email, mira.account.id, "mira@mail.example")
            eve = await people.browser()
            for wrong, words in (({"reason": ""}, "about yourself"), ({"email": "eve"}, "not an e-mail address")):
                refused = await ask(eve, "eve", **{"email": "eve@mail.example", "reason": "I paint.", **wrong})
                assert (refused.status_code, words in refused.text) == (422, True)
            typed = {"email": " Eve@Mail.example", "reason": "I paint <b>rivers</b>."}
            sent = await ask(eve, "eve", **typed)
            assert "Look into your mail" in sent.text
            assert not await has_account(world, "eve")
            assert (await ask(await people.browser(), "eve", **typed)).status_code == 409, "the name is kept for her meanwhile"
            assert "Nobody." in (await mira.browser.get("/admin/sign-ups")).text, "her address is not confirmed"

            confirm = link_in(await sink.next_to("eve@mail.example", "confirm"), "/sign-up/confirm")
            assert confirm.partition("=")[2] not in await _all_text(world), "no link that works stands in the database"
            page = await eve.get(confirm)
            assert "eve@mail.example" in page.text
            assert "Nobody." in (await mira.browser.get("/admin/sign-ups")).text, "a mail program that opens links does nothing"
            done = await eve.send("/sign-up/confirm", {"token": confirm.partition("=")[2]}, page=confirm)
            assert "An admin reads" in done.text
            assert (await eve.get(confirm)).status_code == 404, "once"
            assert "/admin/sign-ups" in (await sink.next_to("mira@mail.example")).get_content()
            assert "Somebody</strong> asks for an account" in (await mira.browser.get("/notifications")).text
            told = await mira.api.get("/api/v1/notifications")
            assert (told.status_code, told.json()) == (200, [])
            shown = (await mira.browser.get("/admin/sign-ups")).text
            assert "I paint &lt;b&gt;rivers&lt;/b&gt;." in shown
            which = re.search(r'name="which" value="(\d+)"', shown)
            assert which
            let_in = {"action": "admit", "which": which[1]}
            assert (await mira.browser.send("/admin/sign-ups", let_in, page="/admin/sign-ups")).status_code == 303
            assert (await mira.browser.send("/admin/sign-ups", let_in, page="/admin/sign-ups")).status_code == 404
            welcome = await sink.next_to("eve@mail.example", "ready")
            assert welcome["From"] == "fediart <fediart@localhost>"
            assert (await eve.sign_in("eve")).status_code == 303
            held = await instance.storage.read(accounts.account_named, "eve")
            assert held is not None
            assert held.email == "eve@mail.example"
            assert "asks for an account" not in (await mira.browser.get("/notifications")).text

            await ask(await people.browser(), "spam", email="spam@mail.example", reason="cheap pills")
            confirm = link_in(await sink.next_to("spam@mail.example"), "/sign-up/confirm")
            await eve.send("/sign-up/confirm", {"token": confirm.partition("=")[2]}, page="/search")
            (waiting,) = await instance.storage.read(sign_ups.waiting_applicants)
            refuse = {"action": "refuse", "which": str(waiting.id), "reason": "This is a place for art."}
            assert (await mira.browser.send("/admin/sign-ups", refuse, page="/admin/sign-ups")).status_code == 303
            assert "a place for art" in (await sink.next_to("spam@mail.example", "About")).get_content()
            assert "cheap pills" not in await _all_text(world), "what they wrote is gone"
            assert {"admit", "turn away"} <= {deed.verb for deed in await instance.storage.read(audit.deeds)}


async def _all_text(world: World) -> str:
    def read(db: Connection) -> str:
        tables_ = tables.metadata.sorted_tables
        return "\n".join(str(tuple(row)) for table in tables_ for row in db.execute(select(table)))

    return await world.instance.storage.read(read)


@pytest.mark.row(49)
async def test_whoever_types_an_address_does_not_hear_whether_it_has_an_account(tmp_path: Path) -> None:
    async with a_sink() as sink:
        mail: dict[str, Any] = {"mail.host": "127.0.0.1", "mail.port": sink.port, "mail.security": "none"}
        async with a_world(tmp_path, **{"accounts.sign_ups": "open", **mail}) as world, people_of(world.instance) as people:
            instance = world.instance
            await instance.storage.write(accounts.put_email, world.artist.id, "mira@mail.example")
            told = []
            for name, email in (("eve", "mira@mail.example"), ("lou", "lou@mail.example")):
                sent = await ask(await people.browser(), name, email=email)
                told.append((sent.status_code, sent.text.replace(email, "")))
            assert told[0] == told[1]
            assert (await ask(await people.browser(), "eve", email="x@mail.example")).status_code == 409, "its name is kept, too"
            assert "@mira@localhost:8000" in (await sink.next_to("mira@mail.example", "already")).get_content()
            confirm = link_in(await sink.next_to("lou@mail.example"), "/sign-up/confirm")
            await instance.storage.write(accounts.put_email, world.artist.id, "lou@mail.example")
            browser = await people.browser()
            late = await browser.send("/sign-up/confirm", {"token": confirm.partition("=")[2]}, page=confirm)
            assert late.status_code == 409, "one address, one account"
            await instance.storage.write(accounts.put_email, world.artist.id, "")
            opened = await browser.send("/sign-up/confirm", {"token": confirm.partition("=")[2]}, page=confirm)
            assert "Your account is there" in opened.text
            assert (await browser.sign_in("lou")).status_code == 303

            invite = (await make_invite(instance, uses=1, days=1, by=None)).rpartition("=")[2]
            assert await sign_up(instance, Wish("zoe", PASSWORD, "zoe@mail.example", "", invite, True)) == Outcome.CONFIRM
            await instance.storage.write(
                lambda db: db.execute(update(tables.applicants).values(at=instance.clock() - CONFIRM_MS - 1))
            )
            await prune(instance)
            assert await instance.storage.read(sign_ups.count_applicants) == 0, "who never confirms is forgotten"
            (held,) = await instance.storage.read(sign_ups.all_invites)
            assert held.used == 0, "and the invite can be used again"


@pytest.mark.row(49)
async def test_sign_ups_and_letters_are_few_from_one_network_and_a_flood_of_them_is_bounded(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"accounts.sign_ups": "approval", "limits.enabled": True}
    async with a_world(tmp_path, jobs=False, **settings) as world, people_of(world.instance) as people:
        told = []
        for number in range(7):
            browser = await people.browser(client=(f"203.0.113.{number}", 1))
            told.append((await ask(browser, f"eve{number}", reason="I paint.")).status_code)
        assert told == [200] * 5 + [429] * 2, "whatever the address within the network"
        far = await people.browser(client=("198.51.100.1", 1))
        assert (await ask(far, "lou", reason="I paint.")).status_code == 200

        def fill(db: Connection) -> None:
            now = world.instance.clock()
            for number in range(MAX_APPLICANTS):
                some = Applicant(new_id(now), f"bot{number}", "", "", "", ApplicantState.WAITING, True, None, None, now)
                sign_ups.insert_applicant(db, some)

        await world.instance.storage.write(fill)
        full = await ask(far, "zoe", reason="I paint.")
        assert (full.status_code, "come back tomorrow" in full.text) == (429, True)

        letters = []
        for number in range(5):
            browser = await people.browser(client=(f"192.0.2.{number}", 1))
            letters.append((await browser.send("/forgot", {"asked": "@Mira"}, page="/sign-in")).status_code)
        assert letters == [200] * 3 + [429] * 2
