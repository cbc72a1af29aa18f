"""Other servers that are away for a week of a simulated clock: what each of them hears when it is back, and how gently."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from fediart.cli.demo import free_port
from fediart.domain.hosts import DAY_MS
from fediart.outbox.deliver import CATCH_UP_S
from fediart.storage import deliveries as rows
from tests.far_server import Asked, FarServer, a_far_server
from tests.people import people_of
from tests.test_atomic_outbox import far_follower
from tests.test_deliveries import HOUR_MS, Post, nobody
from tests.world import a_world

pytestmark = pytest.mark.anyio
LONG = os.environ.get("FEDIART_LONG") == "1"
NAMED = "away.example"


class Names:
    """The names of servers, of which one is not known yet."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.is_known = False
        real = socket.getaddrinfo

        def resolve(host: Any, *rest: Any, **more: Any) -> Any:
            if host != NAMED:
                return real(host, *rest, **more)
            if not self.is_known:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return real("127.0.0.1", *rest, **more)

        patch.setattr(socket, "getaddrinfo", resolve)


@dataclass
class Spell:
    """How servers are away: one answers 503, one hangs up in the middle of its answer, of one nobody knows the name."""

    post: Post
    unwell: FarServer
    mute: FarServer
    nameless: FarServer
    names: Names
    lost: str
    """A fourth one does not come back."""

    @property
    def servers(self) -> list[FarServer]:
        return [self.unwell, self.mute, self.nameless]

    def begin(self) -> None:
        def fail(asked: Asked) -> int | None:
            return 503 if asked.method == "POST" else None

        self.unwell.judge = fail
        self.mute.drops = True

    def end(self) -> None:
        self.unwell.judge = lambda _: None
        self.mute.drops = False
        self.names.is_known = True
        for server in self.servers:
            server.asked.clear()
            server.most_at_once = 0

    async def settle(self) -> None:
        self.post.calendar.now += 1
        await self.post.send_all()

    async def ask(self, method: str, path: str, **said: str) -> dict[str, Any]:
        self.post.calendar.now += 1
        answer = await self.post.world.client.request(method, path, data=said or None)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def works(self, words: str) -> dict[str, Any]:
        return await self.ask("POST", "/api/v1/statuses", status=words)


def heard_by(server: FarServer) -> list[tuple[str, str, str]]:
    """(verb, what it is about, its words) of everything that came, in order."""
    told = []
    for document in server.received():
        about = document["object"]
        words = about.get("content") or about.get("name") or ""
        told.append((document["type"], about["id"].rpartition("/")[2], words))
    return told


@contextlib.asynccontextmanager
async def a_spell(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Spell]:
    names = Names(patch)
    async with (
        a_far_server() as unwell,
        a_far_server() as mute,
        a_far_server(name=NAMED) as nameless,
        a_world(folder, jobs=False) as world,
    ):
        post = Post(world)
        lost, inbox = nobody(free_port())
        spell = Spell(post, unwell, mute, nameless, names, lost)

        def followers(db: Connection) -> None:
            for told in (*(f"{server.url}/users/ana/inbox" for server in spell.servers), inbox):
                far_follower(db, world.artist.actor_id, told, post.calendar.now)

        await world.instance.storage.write(followers)
        yield spell


@pytest.mark.row(56)
@pytest.mark.row(57)
async def test_who_was_away_for_a_week_hears_all_that_is_still_wanted_within_the_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_spell(tmp_path / "data", monkeypatch) as spell:
        post = spell.post
        kept, gone = await spell.works("kept"), await spell.works("gone")
        await spell.settle()
        assert [len(server.received()) for server in spell.servers] == [2, 2, 0]
        begun = post.calendar.now
        spell.begin()
        for number in range(3):
            await spell.ask("PUT", f"/api/v1/statuses/{kept['id']}", status=f"kept, edit {number}")
            await spell.ask("PATCH", "/api/v1/accounts/update_credentials", display_name=f"Mira {number}")
            await post.pass_time(DAY_MS)
        late = await spell.works("late")
        await spell.ask("PUT", f"/api/v1/statuses/{late['id']}", status="late, edited")
        brief = await spell.works("brief")
        await post.pass_time(DAY_MS)
        await spell.ask("DELETE", f"/api/v1/statuses/{gone['id']}")
        await spell.ask("DELETE", f"/api/v1/statuses/{brief['id']}")
        await post.pass_time(begun + 7 * DAY_MS - post.calendar.now)
        assert [host.is_dead for host in map(post.instance.hosts.of, (server.host for server in spell.servers))] == [False] * 3
        if LONG:  # this is what never answering is like: ten seconds for each
            spell.mute.drops = False
            spell.mute.hold_s = 20
            post.calendar.now += HOUR_MS
            await post.send()
            spell.mute.hold_s = 0
        tries = {one.host: one.attempts for one in await post.instance.storage.read(rows.waiting_hosts)}
        assert all(180 < count < 240 for count in tries.values()), "it was not asked more often because more was said"
        spell.end()
        await post.pass_time(HOUR_MS)
        work_id = late["uri"].rpartition("/")[2]
        first = ("Create", kept["uri"].rpartition("/")[2], "<p>kept</p>")
        for server in spell.servers:
            assert heard_by(server) == [
                *([first] if server is spell.nameless else []),
                ("Update", kept["uri"].rpartition("/")[2], "<p>kept, edit 2</p>"),
                ("Update", "mira", "Mira 2"),
                ("Create", work_id, "<p>late</p>"),
                ("Update", work_id, "<p>late, edited</p>"),
                ("Delete", gone["uri"].rpartition("/")[2], ""),
                ("Delete", brief["uri"].rpartition("/")[2], ""),
            ]
            assert server.most_at_once == 1
        assert {row.lane for row in await post.waiting()} == {spell.lost}
        assert post.paused == pytest.approx((5 + 5 + 6) * CATCH_UP_S)
        await _is_told(spell, kept["id"])
        await spell.works("afterwards")
        await spell.settle()
        assert [len(server.received()) for server in spell.servers] == [7, 7, 8]
        assert post.paused == pytest.approx((5 + 5 + 6) * CATCH_UP_S), "who has heard everything is spoken to as anybody is"


async def _is_told(spell: Spell, work: str) -> None:
    """One server stays away for more than eight days. The work's artist sees it."""
    async with people_of(spell.post.instance) as people:
        mira = await people.person("mira")
        page = (await mira.browser.get(f"/works/{work}", follow_redirects=True)).text
        assert "Delivered to 3 of 4 servers, 1 waits." in page
        await spell.post.pass_time(DAY_MS)
        page = (await mira.browser.get(f"/works/{work}", follow_redirects=True)).text
        assert "Delivered to 3 of 4 servers, 1 did not take it." in page
        told = page.split("Who does not have it")[1].split("</details>")[0]
        assert f"<strong>{spell.lost}</strong>: The other server cannot be reached" in told


@pytest.mark.row(57)
@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
async def test_an_edit_that_waits_by_itself_does_not_come_after_a_newer_one_or_after_the_end(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A host that answers, but refuses one delivery again and again, goes on with the others: older words come too late then."""
    settings = {"storage.database": request.getfixturevalue("postgres").new_database()} if kind == "PostgreSQL" else {}
    async with a_far_server() as far, a_world(tmp_path / "data", jobs=False, **settings) as world:
        post = Post(world)

        def follower(db: Connection) -> None:
            far_follower(db, world.artist.actor_id, f"{far.url}/users/ana/inbox", post.calendar.now)

        await world.instance.storage.write(follower)
        refused: set[str] = set()

        def judge(asked: Asked) -> int | None:
            return 500 if any(words in asked.body.decode() for words in refused) else None

        far.judge = judge
        edited = (await world.client.post("/api/v1/statuses", data={"status": "zero"})).json()
        await post.send_all()
        refused |= {"first words", "short-lived"}
        for words in ("first words", "second words"):
            post.calendar.now += 1
            await world.client.put(f"/api/v1/statuses/{edited['id']}", data={"status": words})
            await post.pass_time(DAY_MS if words == "second words" else HOUR_MS)
        brief = (await world.client.post("/api/v1/statuses", data={"status": "short-lived"})).json()
        await post.pass_time(HOUR_MS)
        assert len(await post.waiting()) == 1
        await world.client.delete(f"/api/v1/statuses/{brief['id']}")
        await post.pass_time(HOUR_MS)
        refused.clear()
        far.asked.clear()
        await post.pass_time(2 * HOUR_MS)
        assert far.received() == [], "nothing of what was said before comes after it"
        assert await post.waiting() == []
