"""Getting back in, and putting others out: links for a new password, letters, sessions and tokens that end everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from fediart.domain.browsers import browser_in_words
from fediart.domain.sign_ups import RESET_MS, SHELL_RESET_MS
from fediart.errors import BadInput
from fediart.jobs.runner import running_jobs
from fediart.outbox.send_letter import LETTER
from fediart.storage import accounts, audit
from fediart.storage.tables import jobs
from fediart.studio.delete_account import delete_account
from fediart.studio.regain_account import choose_password
from tests.commands import run_command, run_commands
from tests.people import PASSWORD, people_of
from tests.servers import Keeper, running
from tests.smtp_sink import a_certificate, a_sink, link_in, server_context
from tests.waiting import until
from tests.world import World, a_world

pytestmark = pytest.mark.anyio
NEW = "another password to test with"
MAIL = "mira@mail.example"


def mail_at(port: int, **more: Any) -> dict[str, Any]:
    return {"mail.host": "127.0.0.1", "mail.port": port, "mail.security": "none", **more}


async def letters_waiting(world: World) -> int:
    query = select(func.count()).select_from(jobs).where(jobs.c.kind == LETTER)
    return await world.instance.storage.read(lambda db: db.execute(query).scalar_one())


@pytest.mark.row(49)
async def test_who_forgot_a_password_gets_a_letter_whose_link_works_once(tmp_path: Path) -> None:
    async with a_sink() as sink, a_world(tmp_path, **mail_at(sink.port)) as world, people_of(world.instance) as people:
        mira, noor, instance = await people.person("mira"), await people.person("noor"), world.instance
        await instance.storage.write(accounts.put_email, mira.account.id, MAIL)
        browser = await people.browser()
        told = []
        for asked in ("noor", "nobody", "nobody@mail.example", "mira"):
            sent = await browser.send("/forgot", {"asked": asked}, page="/forgot")
            told.append((sent.status_code, sent.text))
        assert told == [told[0]] * 4, "with an account, without one, without an address: the same answer"
        assert "a letter is on its way" in told[0][1]
        first = link_in(await sink.next_to(MAIL), "/reset")
        await browser.send("/forgot", {"asked": " MIRA@mail.example "}, page="/forgot")
        second = link_in(await sink.next_to(MAIL), "/reset")
        await until(lambda: _none_waits(world))
        assert sink.letters == [], "nobody else is written to"
        assert (await browser.get(first)).status_code == 404, "a later link ends an earlier one"
        assert (await browser.get("/reset?token=guessed")).status_code == 404

        token = second.partition("=")[2]
        short = await browser.send("/reset", {"token": token, "new": "short"}, page=second)
        assert (short.status_code, "at least 10 characters" in short.text) == (422, True)
        assert await mira.browser.is_signed_in(), "asking for a link changes nothing"
        done = await browser.send("/reset", {"token": token, "new": NEW}, page=second)
        assert (done.status_code, "Every browser and app" in done.text) == (200, True)
        assert (await browser.send("/reset", {"token": token, "new": NEW}, page="/forgot")).status_code == 404
        assert not await mira.browser.is_signed_in()
        assert (await mira.api.get("/api/v1/accounts/verify_credentials")).status_code == 401
        assert await noor.browser.is_signed_in()
        assert "was changed" in (await sink.next_to(MAIL, "changed")).get_content()
        assert (await browser.sign_in("mira")).status_code == 401
        assert (await browser.sign_in("mira", NEW)).status_code == 303

        await instance.storage.write(accounts.put_email, noor.account.id, "noor@mail.example")
        await browser.send("/forgot", {"asked": "noor"}, page="/forgot")
        stale = link_in(await sink.next_to("noor@mail.example"), "/reset").partition("=")[2]
        clock, instance.clock = instance.clock, lambda: clock() + RESET_MS
        assert (await browser.send("/reset", {"token": stale, "new": NEW}, page="/forgot")).status_code == 404
        instance.clock = clock
        await delete_account(instance, noor.account, "noor", None)
        assert (await browser.send("/reset", {"token": stale, "new": NEW}, page="/forgot")).status_code == 404


async def _none_waits(world: World) -> bool:
    return await letters_waiting(world) == 0


async def test_an_address_counts_once_its_letter_was_answered(tmp_path: Path) -> None:
    async with a_sink() as sink, a_world(tmp_path, **mail_at(sink.port)) as world, people_of(world.instance) as people:
        mira, noor, instance = await people.person("mira"), await people.person("noor"), world.instance
        await instance.storage.write(accounts.put_email, noor.account.id, "noor@mail.example")

        async def held() -> str:
            account = await instance.storage.read(accounts.account_by_id, mira.account.id)
            assert account is not None
            return account.email

        page = "/settings/email"
        change = {"action": "change", "email": MAIL, "password": PASSWORD}
        for wrong, words in (({"password": "guess"}, "the password is not right"), ({"email": "x"}, "not an e-mail address")):
            refused = await mira.browser.send(page, {**change, **wrong}, page=page)
            assert (refused.status_code, words in refused.text) == (422, True)
        assert "on its way to mira@mail.example" in (await mira.browser.send(page, change, page=page)).text
        link = link_in(await sink.next_to(MAIL), "/settings/email/confirm")
        token = {"token": link.partition("=")[2]}
        assert await held() == ""
        elsewhere = await people.browser()
        assert (await elsewhere.send("/settings/email/confirm", token, page=link)).status_code == 200, "the link is enough"
        assert await held() == MAIL
        assert (await elsewhere.send("/settings/email/confirm", token, page=link)).status_code == 404

        taken = await mira.browser.send(page, {**change, "email": "noor@mail.example"}, page=page)
        assert "on its way to noor@mail.example" in taken.text, "as with any other address"
        assert "belongs to @noor" in (await sink.next_to("noor@mail.example")).get_content()
        await mira.browser.send(page, {**change, "email": "new@mail.example"}, page=page)
        link = link_in(await sink.next_to("new@mail.example"), "/settings/email/confirm")
        await elsewhere.send("/settings/email/confirm", {"token": link.partition("=")[2]}, page=link)
        assert "do not go to this address any more" in (await sink.next_to(MAIL)).get_content()
        dropped = await mira.browser.send(page, {"action": "drop", "password": PASSWORD}, page=page)
        assert dropped.status_code == 303
        assert await held() == ""


@pytest.mark.parametrize("way", ["starttls", "tls"])
async def test_letters_are_handed_over_encrypted_to_the_server_of_that_name_and_to_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    certificate = a_certificate(tmp_path)
    login = ("gallery", "a secret")
    async with a_sink(server_context(certificate), implicit=way == "tls", login=login) as sink:
        mail = mail_at(sink.port, **{"mail.security": way, "mail.username": "gallery", "mail.password": "a secret"})
        async with a_world(tmp_path / "data", **{**mail, "mail.host": "localhost"}) as world, people_of(world.instance) as people:
            await world.instance.storage.write(accounts.put_email, world.artist.id, MAIL)
            browser = await people.browser()
            await browser.send("/forgot", {"asked": "mira"}, page="/forgot")
            await until(lambda: _problem(world))
            assert sink.letters == [], "its certificate is nobody's that we trust"
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            await browser.send("/forgot", {"asked": "mira"}, page="/forgot")
            assert link_in(await sink.next_to(MAIL), "/reset")
            assert sink.encrypted == [True]


async def _problem(world: World) -> str:
    query = select(jobs.c.problem).where(jobs.c.kind == LETTER, jobs.c.problem != "")
    return await world.instance.storage.read(lambda db: db.execute(query).scalar()) or ""


async def test_a_mail_server_without_tls_gets_nothing_and_one_that_is_away_gets_it_later(tmp_path: Path) -> None:
    async with a_sink() as sink:
        sink.refusals += ["451 later", "550 nobody"]
        async with a_world(tmp_path, jobs=False, **mail_at(sink.port)) as world, people_of(world.instance) as people:
            instance = world.instance
            await instance.storage.write(accounts.put_email, world.artist.id, MAIL)
            browser = await people.browser()
            await browser.send("/forgot", {"asked": "mira"}, page="/forgot")
            clock, ahead = instance.clock, 0
            instance.clock = lambda: clock() + ahead
            async with running_jobs(instance):
                await until(lambda: _problem(world))
                assert await letters_waiting(world) == 1, "it stays, and is tried again"
                ahead += 60_000
                instance.wake(LETTER)
                await until(lambda: _none_waits(world))
            assert sink.refusals == []
            assert sink.letters == [], "an address that is none is not tried for ever"
            await browser.send("/forgot", {"asked": "mira"}, page="/forgot")
            ahead += 2 * 3600 * 1000
            async with running_jobs(instance):
                await until(lambda: _none_waits(world))
            assert sink.letters == [], "nobody waits for a link that was asked for hours ago"
        plain = {**mail_at(sink.port), "mail.security": "starttls"}
        async with a_world(tmp_path, **plain) as world, people_of(world.instance) as people:
            await (await people.browser()).send("/forgot", {"asked": "mira"}, page="/forgot")
            await until(lambda: _problem(world))
            assert sink.letters == [], "what does not offer TLS is not spoken to in the open"


async def test_without_mail_nothing_breaks_and_the_shell_has_a_link(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, instance = await people.person("mira"), world.instance
        browser = await people.browser()
        assert "sends no mail" in (await browser.get("/forgot")).text
        assert (await browser.send("/forgot", {"asked": "mira"}, page="/sign-in")).status_code == 200
        assert "sends no mail" in (await mira.browser.get("/settings/email")).text
        said = {"action": "change", "email": MAIL, "password": PASSWORD}
        assert (await mira.browser.send("/settings/email", said)).status_code == 422
        assert await letters_waiting(world) == 0
        data = ("--data", str(tmp_path))
        made, nobody = run_commands([["account", "reset-link", "mira", *data], ["account", "reset-link", "eve", *data]])
        assert (nobody.status, "no account eve" in nobody.told) == (1, True)
        link = made.told.strip().removeprefix("http://localhost:8000")
        token = link.partition("=")[2]
        with pytest.raises(BadInput):
            await choose_password(instance, token, "short")
        assert (await browser.send("/reset", {"token": token, "new": NEW}, page=link)).status_code == 200
        assert not await mira.browser.is_signed_in()
        assert (await browser.sign_in("mira", NEW)).status_code == 303
        late = run_command("account", "reset-link", "mira", *data).told.strip().removeprefix("http://localhost:8000")
        clock = instance.clock
        instance.clock = lambda: clock() + SHELL_RESET_MS
        assert (await browser.get(late)).status_code == 404
        assert [deed.verb for deed in await instance.storage.read(audit.deeds)] == ["reset link"] * 2


@pytest.mark.row(48)
async def test_sessions_and_apps_are_listed_and_each_can_be_signed_out(tmp_path: Path) -> None:
    agents = {
        "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0": "Firefox on Linux",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1": "Safari on an iPhone",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36 Edg/142.0": "Edge on Windows",
        "<b>": "A browser that does not say its name",
    }
    assert {browser_in_words(agent) for agent in agents} == set(agents.values())
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        page = "/settings/sessions"
        others = {}
        for agent, words in agents.items():
            browser = await people.browser(headers={"user-agent": agent})
            await browser.sign_in("mira")
            others[words] = browser
        shown = (await mira.browser.get(page)).text
        assert all(words in shown for words in agents.values())
        assert "<b> " not in shown
        assert shown.count("(this browser)") == 1
        which = re.search(r'name="which" value="(\w+)"><button name="action" value="session" aria-label="Sign out Edge', shown)
        assert which
        out = {"action": "session", "which": which[1]}
        await noor.browser.send(page, out, page=page)
        assert await others["Edge on Windows"].is_signed_in(), "nobody signs out somebody else"
        await mira.browser.send(page, out, page=page)
        assert not await others["Edge on Windows"].is_signed_in()
        assert await others["Firefox on Linux"].is_signed_in()

        app = re.search(r'name="which" value="(\w+)"><button name="action" value="grant" aria-label="Sign out tests', shown)
        assert app
        await noor.browser.send(page, {"action": "grant", "which": app[1]}, page=page)
        for token in set(re.findall(r'name="which" value="(\w+)"><button name="action" value="grant"', shown)):
            await mira.browser.send(page, {"action": "grant", "which": token}, page=page)
        assert (await mira.api.get("/api/v1/accounts/verify_credentials")).status_code == 401
        assert (await noor.api.get("/api/v1/accounts/verify_credentials")).status_code == 200

        thief = await people.client(cookies={"fediart-8000": mira.browser.http.cookies["fediart-8000"]})
        assert (await thief.get("/home")).status_code == 200
        everywhere = await mira.browser.send(page, {"action": "everywhere"}, page=page)
        assert everywhere.headers["location"] == "/settings/sessions?done=1"
        assert await mira.browser.is_signed_in(), "whoever asked goes on, with a session of her own"
        assert (await thief.get("/home")).status_code == 401
        assert not await others["Firefox on Linux"].is_signed_in()
        assert (await mira.browser.get(page)).text.count("last used") == 1
        assert await noor.browser.is_signed_in()


@pytest.mark.row(48)
def test_what_was_stolen_ends_on_a_running_server_at_once_whether_by_page_or_from_the_shell(tmp_path: Path) -> None:
    """Two browsers and a client program over sockets; the shell is a process of its own beside the server's."""
    keeper = Keeper(tmp_path)
    with running(keeper) as server:
        data = ("--data", str(server.data))
        made = run_command("account", "reset-link", "mira", *data).told.strip()
        with httpx.Client(base_url=server.url) as owner, httpx.Client(base_url=server.url) as thief:

            def send(client: httpx.Client, path: str, said: dict[str, str], page: str) -> httpx.Response:
                token = re.search(r'name="form_token" value="(\w+)"', (client.get(page)).text)
                assert token
                return client.post(path, data={"form_token": token[1], **said})

            def steal() -> None:
                sent = send(owner, "/sign-in", {"username": "mira", "password": NEW}, "/sign-in")
                assert sent.status_code == 303
                thief.cookies = httpx.Cookies(owner.cookies)
                assert (thief.get("/home")).status_code == 200

            path = made.removeprefix(server.url)
            assert (send(owner, "/reset", {"token": path.partition("=")[2], "new": NEW}, path)).status_code == 200
            assert keeper.client.get("/api/v1/accounts/verify_credentials").status_code == 401
            steal()
            page = "/settings/sessions"
            assert (send(owner, page, {"action": "everywhere"}, page)).status_code == 303
            assert (thief.get("/home")).status_code == 401
            assert (owner.get(page)).status_code == 200
            assert "has ended" in run_command("account", "sign-out", "mira", *data).told
            assert (owner.get(page)).status_code == 401
