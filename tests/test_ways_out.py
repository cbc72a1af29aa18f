"""No address that somebody else wrote leads a visitor away from here, and no name that we do not have gets into what we say."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest

from fediart.storage import accounts
from fediart.web.gate import GATE_PATH
from tests.addresses import parameters, route_table
from tests.people import people_of
from tests.smtp_sink import a_sink
from tests.test_regain import MAIL, mail_at
from tests.world import a_world

pytestmark = [pytest.mark.anyio, pytest.mark.row(34)]

AWAY = [
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "\\/evil.example", "https://evil.example/",
    "https:evil.example", "HTTPS://evil.example", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example",
    "/\u00a0/evil.example", "\u2028//evil.example", "javascript:alert(1)", "data:text/html,x", "http://localhost:8000@evil.example/",
    "//localhost:8000@evil.example", "/\x00/evil.example", "/%5cevil.example/..//evil.example\r\nset-cookie: x=1", "evil.example",
    "?next=//evil.example", "/x" * 20_000,
]  # fmt: skip


def _stays(location: str, base: str) -> bool:
    """As a browser reads it: it takes \\ for / and leaves out tabs and line ends (url.spec.whatwg.org, 4.4)."""
    seen = "".join(letter for letter in location if letter not in "\t\r\n").strip("".join(map(chr, range(33)))).replace("\\", "/")
    found = urlsplit(urljoin(base, seen))
    return (found.scheme, found.netloc) == tuple(urlsplit(base)[:2])


def test_the_reader_of_locations_sees_what_it_is_to_see() -> None:
    assert _stays("/home", "http://localhost:8000")
    assert _stays("http://localhost:8000/home", "http://localhost:8000")
    for away in ("//evil.example", "/\\evil.example", "/\t/evil.example", "https:evil.example", " \\\\evil.example"):
        assert not _stays(away, "http://localhost:8000"), away


async def test_every_way_back_and_on_stays_here(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        base = world.instance.config.base_url
        locations = []
        for away in AWAY:
            asked = [
                await mira.browser.send(f"/follow/{noor.account.actor_id}", {"action": "follow", "back": away}),
                await mira.browser.send(f"/people/{noor.account.actor_id}/mute", {"back": away}),
                await mira.browser.http.get(f"/{away.lstrip('/')}".encode("unicode_escape").decode()[:2_000]),
            ]
            for path in ("/?back=", "/?next=", "/sign-in?back=", "/share?url=", f"{GATE_PATH}?next="):
                asked.append(await world.stranger.get(path + quote(away[:3_000])))
            locations += [answer.headers["location"] for answer in asked if "location" in answer.headers]
            for answer in asked:
                assert 'href="//evil' not in answer.text
                assert 'action="//evil' not in answer.text
                assert "x=1" not in answer.headers.get("set-cookie", "")
        for away in AWAY[::3]:
            browser = await people.browser()
            page = f"/sign-in?back={quote(away[:3_000])}"
            said = {"username": "mira", "password": "a password to test with", "back": away}
            entered = await browser.send("/sign-in", said, page=page)
            locations.append(entered.headers["location"])
        assert [location for location in locations if not _stays(location, base)] == []
        assert len(locations) > 2 * len(AWAY)


HEADERS = ("x-forwarded-host", "x-host", "x-original-host", "x-forwarded-server", "x-http-host-override", "forwarded")


async def test_no_name_that_is_not_ours_stands_in_what_we_answer_or_in_letters(tmp_path: Path) -> None:
    async with a_sink() as sink, a_world(tmp_path, **mail_at(sink.port)) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        await world.instance.storage.write(accounts.put_email, mira.account.id, MAIL)
        claims = dict.fromkeys(HEADERS, "evil.example") | {"forwarded": "host=evil.example;proto=http"}
        claims |= {
            "x-forwarded-proto": "gopher",
            "x-forwarded-port": "666",
            "x-original-url": "/admin",
            "x-rewrite-url": "/admin",
        }
        browser = await people.browser(headers=claims)
        assert (await browser.send("/forgot", {"asked": "mira"}, page="/sign-in")).status_code == 200
        letter = await sink.next_to(MAIL)
        assert world.instance.config.base_url in letter.get_content()
        assert "evil.example" not in letter.as_string()
        routes = route_table(people.app)
        for route in routes:
            if "GET" not in (route.methods or ()) or parameters(route.path):
                continue
            for client in (browser.http, mira.browser.http):
                answer = await client.get(route.path, headers=claims)
                assert "evil.example" not in answer.text + str(answer.headers), route.path
                location = answer.headers.get("location", "/")
                assert _stays(location, world.instance.config.base_url), route.path
            for host in ("evil.example", "localhost:8000.evil.example", "localhost:8000@evil.example"):
                foreign = await browser.http.get(route.path, headers={"host": host})
                assert foreign.status_code == 421, (route.path, host)
                assert "evil" not in foreign.text
