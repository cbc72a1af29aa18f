"""Coming in and going out: setup, sign-in, sessions, rate limits, forms that must be ours."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from fediart.clock import system_clock
from fediart.config import load_config
from fediart.domain.actors import Role
from fediart.domain.reviews import ReviewKind
from fediart.errors import SignInNeeded, TooMany
from fediart.instance import open_instance
from fediart.storage import accounts
from fediart.storage.reviews import open_review
from fediart.studio import passwords
from fediart.studio.open_account import setup_token
from fediart.studio.publish_work import Draft, start_draft
from fediart.studio.sign_in import grant_token, sign_in
from fediart.web.pages.routes import page_routes
from fediart.web.security import Limiter
from tests.addresses import filled, route_table
from tests.commands import run_command
from tests.judged import a_moderator
from tests.people import PASSWORD, people_of
from tests.snapshot import everything
from tests.waiting import until
from tests.world import LOOPBACK, a_world

NEW_PASSWORD = "another password to test with"
FAR = "203.0.113.9"


@pytest.mark.anyio
async def test_the_setup_link_makes_the_owner_once(tmp_path: Path) -> None:
    async with open_instance(load_config(None, {}, LOOPBACK), tmp_path) as instance, people_of(instance) as people:
        stale = await setup_token(instance)
        token = await setup_token(instance)
        browser, late = await people.browser(), await people.browser()
        assert (await browser.get(f"/setup?token={stale}")).status_code == 404, "a later link ends an earlier one"
        assert (await browser.get("/setup?token=guessed")).status_code == 404
        page = f"/setup?token={token}"
        late_token = await late.form_token(page)
        short = await browser.send("/setup", {"token": token, "username": "mira", "password": "short"}, page=page)
        assert short.status_code == 422
        assert 'value="mira"' in short.text, "what was typed stays"
        made = await browser.send("/setup", {"token": token, "username": "Mira", "password": PASSWORD}, page=page)
        assert (made.status_code, made.headers["location"]) == (303, "/settings/profile")
        assert await browser.is_signed_in()
        again = {"form_token": late_token, "token": token, "username": "eve", "password": PASSWORD}
        assert (await late.http.post("/setup", data=again)).status_code == 404
        assert (await late.get(page)).status_code == 404
        assert await setup_token(instance) is None


@pytest.mark.anyio
async def test_an_app_s_last_day_of_use_is_shown_and_is_written_down_once_a_day(tmp_path: Path) -> None:
    day = 24 * 3600 * 1000
    now = 1_790_000_000_000
    async with (
        open_instance(load_config(None, {}, LOOPBACK), tmp_path, clock=lambda: now) as instance,
        people_of(instance) as people,
    ):
        mira = await people.person("mira")
        token = await grant_token(instance, "mira", "read", "Gallery phone")
        assert (
            "Gallery phone <small>may: read · since 21 September 2026 · no use is known"
            in (await mira.browser.get("/settings/sessions")).text
        )
        phone = await people.client(token)
        for when in ("21 September", "24 September"):
            await asyncio.gather(*(phone.get("/api/v1/accounts/verify_credentials") for _ in range(5)))
            before = await instance.storage.read(everything)
            now += day - 1
            assert (await phone.get("/api/v1/timelines/public")).status_code == 200
            assert await instance.storage.read(everything) == before, "within a day a read stays a read"
            shown = (await mira.browser.get("/settings/sessions")).text
            assert f"Gallery phone <small>may: read · since 21 September 2026 · last used {when} 2026" in shown
            now += 2 * day + 1


@pytest.mark.row(48)
@pytest.mark.anyio
async def test_signing_out_ends_the_session_and_not_only_the_cookie(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        browser = await people.browser()
        assert not await browser.is_signed_in()
        answer = await browser.sign_in("mira")
        assert (answer.status_code, answer.headers["location"]) == (303, "/home")
        token = browser.http.cookies["fediart-8000"]
        out = await browser.send("/sign-out")
        assert out.status_code == 303
        assert "Max-Age=0" in out.headers["set-cookie"]
        assert "fediart-8000" not in browser.http.cookies
        thief = await people.client(cookies={"fediart-8000": token})
        assert (await thief.get("/home")).status_code == 401


@pytest.mark.anyio
async def test_a_session_lasts_as_long_as_it_is_used_and_ends_sixty_days_after(tmp_path: Path) -> None:
    day = 24 * 3600 * 1000
    now = system_clock()
    config = load_config(None, {}, LOOPBACK)
    async with open_instance(config, tmp_path, clock=lambda: now) as instance, people_of(instance) as people:
        mira = (await people.person("mira")).browser
        other = await people.browser()
        await other.sign_in("mira")
        kept = mira.http.cookies["fediart-8000"]
        now += day - 1_000
        before = await instance.storage.read(everything)
        assert "set-cookie" not in (await mira.get("/search")).headers
        assert await instance.storage.read(everything) == before, "within a day a read stays a read"
        for _ in range(4):
            now += 30 * day
            seen = await mira.get("/search")
            assert seen.status_code == 200
            assert f"fediart-8000={kept}" in seen.headers["set-cookie"], "the browser keeps it for as long again"
            assert f"Max-Age={60 * 24 * 3600}" in seen.headers["set-cookie"]
            before = await instance.storage.read(everything)
            assert "set-cookie" not in (await mira.get("/search")).headers
            assert await instance.storage.read(everything) == before, "once a day"
        assert not await other.is_signed_in(), "what was not used for sixty days has ended"
        now += 60 * day + 1
        assert not await mira.is_signed_in()


@pytest.mark.row(48)
@pytest.mark.anyio
async def test_each_sign_in_has_a_session_of_its_own(tmp_path: Path) -> None:
    """A session that somebody planted before the sign-in is not the one that is signed in."""
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        planted = await people.client(cookies={"fediart-8000": "planted"})
        browser = await people.browser(headers={"cookie": "fediart-8000=planted"})
        answer = await browser.sign_in("mira")
        assert answer.status_code == 303
        assert "fediart-8000=planted" not in answer.headers["set-cookie"]
        assert (await planted.get("/home")).status_code == 401


@pytest.mark.row(48)
@pytest.mark.anyio
@pytest.mark.parametrize("way", ["web", "command line"])
async def test_a_new_password_ends_other_sessions_and_every_token(tmp_path: Path, way: str) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        other = await people.browser()
        await other.sign_in("mira")
        if way == "web":
            said = {"old": "wrong", "new": NEW_PASSWORD, "again": NEW_PASSWORD}
            assert (await mira.browser.send("/settings/password", said)).status_code == 422
            assert await other.is_signed_in(), "a wrong old password changes nothing"
            said["old"] = PASSWORD
            assert (await mira.browser.send("/settings/password", {**said, "again": "x"})).status_code == 422
            token = mira.browser.http.cookies["fediart-8000"]
            thief = await people.client(cookies={"fediart-8000": token})
            assert (await mira.browser.send("/settings/password", said)).headers["location"] == "/settings/password?done=1"
            assert (await thief.get("/home")).status_code == 401, "also who has the same session by stealing it"
        else:
            command = ("account", "reset-password", "mira", "--password", NEW_PASSWORD, "--data", str(tmp_path))
            ran = await asyncio.to_thread(run_command, *command)
            assert ran.told.startswith("New password set.")
        assert await mira.browser.is_signed_in() == (way == "web"), "only the session that asked for it stays"
        assert not await other.is_signed_in()
        assert (await mira.api.get("/api/v1/accounts/verify_credentials")).status_code == 401
        assert (await noor.api.get("/api/v1/accounts/verify_credentials")).status_code == 200
        assert await noor.browser.is_signed_in()
        fresh = await people.browser()
        assert (await fresh.sign_in("mira")).status_code == 401
        assert (await fresh.sign_in("mira", NEW_PASSWORD)).status_code == 303


@pytest.mark.row(49)
@pytest.mark.anyio
async def test_an_unknown_name_costs_exactly_the_hash_that_a_wrong_password_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in hashes and what each costs, not by the clock."""
    tried: list[tuple[str, str]] = []

    class Counting:
        def verify(self, stored: str, password: str) -> bool:
            tried.append((stored.rpartition("$")[0].rpartition("$")[0], password))
            return hasher.verify(stored, password)

    hasher = passwords._HASHER
    async with a_world(tmp_path, jobs=False) as world:
        monkeypatch.setattr(passwords, "_HASHER", Counting())
        for name in ("mira", "nobody", "", "mira@elsewhere.example", "localhost:8000"):
            with pytest.raises(SignInNeeded, match="do not fit together"):
                await sign_in(world.instance, name, "a guess", "")
    assert tried == [("$argon2id$v=19$m=19456,t=2,p=1", "a guess")] * 5


@pytest.mark.row(49)
@pytest.mark.anyio
async def test_a_wrong_name_and_a_wrong_password_are_the_same_answer(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        browser = await people.browser()
        told = []
        for name, password in (("mira", "not the password"), ("nobody", PASSWORD), ("localhost:8000", PASSWORD), ("", "")):
            answer = await browser.sign_in(name, password)
            assert "set-cookie" not in answer.headers
            told.append((answer.status_code, answer.text.replace(f'value="{name}"', "")))
        assert told[0][0] == 401
        assert told == [told[0]] * 4


@pytest.mark.row(49)
@pytest.mark.anyio
@pytest.mark.row(29)
async def test_five_tries_in_five_minutes_for_an_account_however_its_name_is_spelled(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False, **{"limits.enabled": True}) as world, people_of(world.instance) as people:
        spellings = ("mira", "MIRA", " mira ", "@mira", "mira@localhost:8000", "@Mira@elsewhere.example", "mira@2")
        told = []
        for number, name in enumerate(spellings):
            # From a new address each time, so that only the account is counted.
            browser = await people.browser(client=(f"203.0.113.{number}", 1))
            told.append(await browser.sign_in(name, "not the password"))
        assert [answer.status_code for answer in told] == [401] * 5 + [429] * 2
        assert "Too many tries" in told[5].text
        assert 'value="mira@2"' in told[6].text, "what was typed stays"
        right = await (await people.browser(client=("203.0.113.99", 1))).sign_in("mira")
        assert right.status_code == 429
        other = await (await people.browser(client=("203.0.113.99", 1))).sign_in("noor", "not hers")
        assert other.status_code == 401


@pytest.mark.row(50)
@pytest.mark.anyio
async def test_of_a_flood_of_sign_ins_a_few_wait_and_the_others_are_sent_away_at_once(tmp_path: Path) -> None:
    """Without it each would wait for its 19 MiB and its share of a processor, and the owner behind them all."""
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, late = await people.person("mira"), await people.browser()
        await late.get("/sign-in")
        turns, free, begun, most = world.instance.hashing, asyncio.Event(), 0, 0

        async def hash_for_long() -> None:
            nonlocal begun, most
            async with turns.turn():
                begun += 1
                most = max(most, begun)
                await free.wait()
                begun -= 1

        flood = [asyncio.create_task(hash_for_long()) for _ in range(100)]
        await until(lambda: sum(task.done() for task in flood) == 78)
        assert all(isinstance(task.exception(), TooMany) for task in flood if task.done())
        sent = await late.sign_in("mira")
        assert (sent.status_code, sent.headers["retry-after"]) == (429, "10")
        assert 'value="mira"' in sent.text, "what was typed stays"
        said = {"old": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}
        changed = await mira.browser.send("/settings/password", said)
        assert (changed.status_code, changed.headers["retry-after"]) == (429, "10")
        assert await mira.browser.is_signed_in(), "pages go on"
        free.set()
        await asyncio.gather(*flood, return_exceptions=True)
        assert most == 2
        assert (await late.sign_in("mira")).status_code == 303


@pytest.mark.anyio
async def test_a_hundred_sign_ins_at_once_are_all_answered(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        browser = await people.browser()
        said = {"form_token": await browser.form_token("/sign-in"), "username": "mira", "password": "a wrong guess"}
        told = await asyncio.gather(*(browser.http.post("/sign-in", data=said) for _ in range(100)))
        statuses = [answer.status_code for answer in told]
        assert set(statuses) <= {401, 429}
        assert statuses.count(401) >= 22


@pytest.mark.row(49)
@pytest.mark.anyio
@pytest.mark.row(29)
async def test_twenty_five_tries_in_five_minutes_from_an_address_whatever_it_says_of_itself(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False, **{"limits.enabled": True}) as world, people_of(world.instance) as people:
        browser = await people.browser(client=(FAR, 1))
        told = []
        for number in range(27):
            headers = {"x-forwarded-for": f"198.51.100.{number}", "forwarded": f"for=198.51.100.{number}"}
            told.append((await browser.sign_in(f"guess{number}", "x", headers=headers)).status_code)
        assert told == [401] * 25 + [429] * 2


@pytest.mark.anyio
@pytest.mark.row(29)
async def test_one_subscriber_of_ipv6_is_one_address(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False, **{"limits.enabled": True}) as world, people_of(world.instance) as people:
        told = []
        for number in range(26):
            browser = await people.browser(client=(f"2001:db8:1:2::{number + 1:x}", 1))
            told.append((await browser.sign_in(f"guess{number}", "x")).status_code)
        assert told == [401] * 25 + [429]
        neighbour = await people.browser(client=("2001:db8:1:3::1", 1))
        assert (await neighbour.sign_in("guess", "x")).status_code == 401


@pytest.mark.anyio
@pytest.mark.row(29)
async def test_behind_a_trusted_proxy_the_address_it_tells_is_counted(tmp_path: Path) -> None:
    settings = {"limits.enabled": True, "server.trusted_proxies": ["10.0.0.0/8"]}
    async with a_world(tmp_path, jobs=False, **settings) as world, people_of(world.instance) as people:
        browser = await people.browser(client=("10.0.0.2", 1))
        told = []
        for number in range(26):
            # What stands left of the proxy's own entry is what the caller made up.
            headers = {"x-forwarded-for": f"198.51.100.{number}, {FAR}, 10.0.0.1"}
            told.append((await browser.sign_in(f"guess{number}", "x", headers=headers)).status_code)
        assert told == [401] * 25 + [429]
        headers = {"x-forwarded-for": "203.0.113.10"}
        assert (await browser.sign_in("guess", "x", headers=headers)).status_code == 401


@pytest.mark.anyio
@pytest.mark.row(29)
async def test_whoever_holds_a_session_cannot_guess_its_password_without_limit(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False, **{"limits.enabled": True}) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        said = {"old": "a guess", "new": NEW_PASSWORD, "again": NEW_PASSWORD}
        told = [(await mira.browser.send("/settings/password", said)).status_code for _ in range(6)]
        assert told == [422] * 5 + [429]


def test_a_limiter_forgets_what_is_longest_unused_and_nothing_else() -> None:
    limiter = Limiter(1, 1000, keys=3)
    for key in ("a", "b", "c", "d"):
        limiter.take(key)
    limiter.take("a")  # forgotten when d came
    with pytest.raises(Exception, match="Too many tries"):
        limiter.take("d")


# ------------------------------------------------------------------------------------------------- forms are ours


def _posts() -> list[str]:
    return [route.path for route in page_routes() if "POST" in (route.methods or ())]


FORGERIES: dict[str, dict[str, Any]] = {
    "no token": {"token": None},
    "an empty token": {"token": ""},
    "a token of another session": {"token": "foreign"},
    "words for a token": {"token": "ünïcode"},
    "another site's Origin": {"token": "own", "headers": {"origin": "https://evil.example"}},
    "our name on another port": {"token": "own", "headers": {"origin": "http://localhost:8001"}},
    "another site, says the browser": {"token": "own", "headers": {"sec-fetch-site": "cross-site"}},
    "a neighbour, says the browser": {"token": "own", "headers": {"sec-fetch-site": "same-site"}},
    "JSON as text": {"token": None, "headers": {"content-type": "text/plain"}},
    "an address that begins as ours": {"token": "own", "headers": {"origin": "http://localhost:8000.evil.example"}},
}


SAID = {
    "text": "forged", "status": "forged", "action": "discard", "name": "forged", "username": "mira",
    "password": PASSWORD, "old": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD,
}  # fmt: skip


@pytest.mark.anyio
@pytest.mark.row(47)
async def test_a_form_that_is_not_ours_changes_nothing_whatever_route_it_is_sent_to(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        instance = world.instance
        mira, noor = await people.person("mira"), await people.person("noor")
        await instance.storage.write(accounts.put_role, mira.account.id, Role.OWNER)  # so that every page is there for her
        posted = await mira.api.post("/api/v1/statuses", json={"status": "hello"})
        work_id = posted.json()["id"]
        draft_id = str(await start_draft(instance, mira.account, Draft("a draft")))
        about: dict[str, Any] = {"actor_id": mira.account.actor_id, "work_id": int(work_id), "now": instance.clock()}
        review_id = str(await instance.storage.write(open_review, ReviewKind.HELD, **about))
        await a_moderator(people, "mira", Role.OWNER)
        ids = {"/compose/{id}": draft_id, "/follow/{id}": str(noor.account.actor_id)}
        ids |= {"/decisions/{id}": review_id, "/admin/review/{id}": review_id}
        verbs = ["like", "unlike", "boost", "unboost", "reply", "delete"]
        before = await instance.storage.read(everything)
        tokens = {
            "own": await mira.browser.form_token("/search"),
            "foreign": await noor.browser.form_token("/search"),
        }
        paths = [
            path
            for route in _posts()
            for path in filled(route, {"id": [ids.get(route, work_id)], "verb": verbs, "number": ["1"]})
        ]
        assert len(paths) > 12
        for forgery, case in FORGERIES.items():
            said = dict(SAID)
            if case["token"] is not None:
                said["form_token"] = tokens.get(case["token"], case["token"])
            for path in paths:
                answer = await mira.browser.http.post(path, data=said, headers=case.get("headers"))
                assert answer.status_code == 403, (path, forgery)
                assert "set-cookie" not in answer.headers
        assert await instance.storage.read(everything) == before
        assert await mira.browser.is_signed_in()


NOT_BY_FORM = {"/gate": "counts only what it asked for itself, once, and changes nothing of anybody's"}


@pytest.mark.row(47)
@pytest.mark.anyio
async def test_with_a_cookie_alone_no_address_changes_anything_by_any_method(tmp_path: Path) -> None:
    """Every route that takes something else than GET, as another site would have a signed-in browser send it."""
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        await world.instance.storage.write(accounts.put_role, mira.account.id, Role.OWNER)
        draft = str(await start_draft(world.instance, mira.account, Draft("a draft")))
        work = (await mira.api.post("/api/v1/statuses", json={"status": "hello"})).json()["id"]
        token = await mira.browser.form_token("/search")
        begun = await mira.browser.http.post(
            f"/compose/{draft}/uploads", headers={"tus-resumable": "1.0.0", "upload-length": "9", "x-form-token": token}
        )
        upload = begun.headers["location"].rpartition("/")[2]
        ids = {"/compose/{id}": [draft], "/compose/{id}/uploads": [draft], "/uploads/{id}": [upload]}
        before = await world.instance.storage.read(everything)
        ways: list[dict[str, Any]] = [
            {"content": b'{"status": "forged", "form_token": "x"}', "headers": {"content-type": "text/plain"}},
            {"content": b'{"status": "forged"}', "headers": {"content-type": "application/json"}},
            {"data": SAID},
            {"data": {**SAID, "_method": "DELETE"}, "headers": {"x-http-method-override": "DELETE"}},
            {"headers": {"tus-resumable": "1.0.0", "upload-offset": "0", "content-type": "application/offset+octet-stream"}},
        ]
        asked = 0
        for route in route_table(people.app):
            more = {
                "verb": ["like", "boost", "delete"],
                "number": ["1"],
                "quoting_id": ["1"],
                "username": ["mira"],
                "name": ["mira"],
            }
            more |= {name: ["1"] for name in ("work_id", "file_id", "image_id", "quote_id", "tag", "version")}
            for path in filled(route.path, {"id": ids.get(route.path, [work]), **more}):
                for method in (route.methods or set()) - {"GET", "HEAD"}:
                    for way in ways[1:3] if route.path.startswith("/api/") else ways:
                        answer = await mira.browser.http.request(method, path, **way)
                        asked += 1
                        wanted = (429,) if route.path in NOT_BY_FORM else (401, 403, 404)
                        assert answer.status_code in wanted, (method, path, way, answer.status_code)
                if {"GET", "POST"} <= (route.methods or set()):
                    said = {**SAID, "_method": "DELETE"}
                    await mira.browser.http.get(path, params=said, headers={"x-http-method-override": "POST"})
        assert asked > 200
        assert await world.instance.storage.read(everything) == before
        assert await mira.browser.is_signed_in()


@pytest.mark.row(47)
@pytest.mark.anyio
async def test_the_token_of_a_browser_without_a_cookie_is_nobodys(tmp_path: Path) -> None:
    """With an empty form cookie everybody would be given the same token, also one who makes others send it."""
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        attacker = await people.browser(headers={"cookie": "fediart-8000-form="})
        page = (await attacker.get("/sign-in")).text
        token = re.search(r'name="form_token" value="([^"]*)"', page)
        victim = await people.client()
        said = {"form_token": token[1] if token else "", "username": "mira", "password": PASSWORD}
        assert (await victim.post("/sign-in", data=said)).status_code == 403


@pytest.mark.anyio
@pytest.mark.row(47)
async def test_a_form_from_our_own_page_is_taken_with_what_a_browser_sends(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        browser = await people.browser()
        headers = {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}
        assert (await browser.sign_in("mira", headers=headers)).status_code == 303
        loopback = await people.browser()
        loopback.http.base_url = httpx.URL("http://127.0.0.1:8000")
        headers["origin"] = "http://127.0.0.1:8000"
        assert (await loopback.sign_in("mira", headers=headers)).status_code == 303


BACK = {
    "/home?boosts=no": "/home?boosts=no",
    "/@mira": "/@mira",
    "//evil.example": "/home",
    "/\\evil.example": "/home",
    "\\evil.example": "/home",
    "https://evil.example/": "/home",
    "javascript:alert(1)": "/home",
    "/\t/evil.example": "/home",
    "/\n/evil.example": "/home",
    " //evil.example": "/home",
    "": "/home",
}


@pytest.mark.anyio
@pytest.mark.row(34)
async def test_the_way_back_leads_to_our_own_pages_only(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        for back, goes in BACK.items():
            answer = await mira.browser.send(f"/follow/{noor.account.actor_id}", {"action": "follow", "back": back})
            assert (answer.status_code, answer.headers["location"]) == (303, goes)


# ---------------------------------------------------------------------------------------------- cookies and names


@pytest.mark.anyio
@pytest.mark.row(47)
async def test_on_http_loopback_the_cookie_names_its_port_and_needs_no_tls(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False, **{"server.port": 8123}) as world, people_of(world.instance) as people:
        browser = await people.browser()
        form = (await browser.get("/sign-in")).headers["set-cookie"]
        cookie = (await browser.sign_in("mira")).headers["set-cookie"]
        for held, name in ((form, "fediart-8123-form"), (cookie, "fediart-8123")):
            assert held.startswith(f"{name}=")
            parts = [part.strip().lower() for part in held.split(";")[1:]]
            assert {"httponly", "path=/", "samesite=lax"} <= set(parts)
            assert "secure" not in parts
            assert not any(part.startswith("domain") for part in parts)


@pytest.mark.anyio
@pytest.mark.row(47)
async def test_on_https_the_cookie_is_bound_to_its_host_and_to_tls(tmp_path: Path) -> None:
    settings = {"instance.url": "https://art.example"}
    async with a_world(tmp_path, jobs=False, **settings) as world, people_of(world.instance) as people:
        browser = await people.browser()
        first = await browser.get("/sign-in")
        assert first.headers["strict-transport-security"] == "max-age=31536000"
        cookie = (await browser.sign_in("mira")).headers["set-cookie"]
        for held, name in ((first.headers["set-cookie"], "__Host-fediart-form"), (cookie, "__Host-fediart")):
            assert held.startswith(f"{name}=")
            parts = [part.strip().lower() for part in held.split(";")[1:]]
            assert {"httponly", "secure", "path=/", "samesite=lax"} <= set(parts)
            assert not any(part.startswith("domain") for part in parts)
        assert await browser.is_signed_in()


@pytest.mark.anyio
@pytest.mark.row(34)
async def test_a_name_that_is_not_ours_is_not_answered(tmp_path: Path) -> None:
    settings = {"instance.url": "https://art.example:443/"}
    wrong = ("evil.example", "art.example.evil.example", "art.example:8443", "localhost", "art.example@evil.example", "")
    async with a_world(tmp_path, jobs=False, **settings) as world, people_of(world.instance) as people:
        client = await people.client()
        for path in ("/", "/users/mira", "/api/v1/instance"):
            for host in ("art.example", "ART.example", *wrong):
                headers = {"host": host, "x-forwarded-host": "evil.example"}
                answer = await client.get(path, headers=headers, follow_redirects=False)
                assert (answer.status_code == 421) == (host in wrong), host
                assert "evil.example" not in answer.text + str(answer.headers)
