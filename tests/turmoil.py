"""Two servers, other servers around them, people who do things on all of them, and trouble: made into a history.

Servers are processes of their own; between them and before each peer stands a proxy (`tests/chaos.py`). People and peers act at
random, by a seed, each one thing after another; where a kill or a cut leaves open whether something was done, they do as people
and servers do, and try again. What came of it is judged by `tests/history.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
from sqlalchemy import Connection, func, select, update
from sqlalchemy.orm import aliased
from starlette.types import Receive, Scope, Send

from fediart.activitypub.vocabulary import AS, AS_PUBLIC
from fediart.cli.demo import free_port
from fediart.cli.settings import Chosen, read_settings
from fediart.clock import system_clock
from fediart.domain.actors import Role
from fediart.instance import open_instance
from fediart.storage import tables as t
from fediart.storage.engine import Storage, database_url, open_storage
from fediart.studio.open_account import open_account
from fediart.studio.sign_in import grant_token
from tests.chaos import Chaos, Proxy, Trouble
from tests.far_hosts import FarHosts, far_hosts, read_body, send_answer
from tests.history import Act, HeldWork, History, Receipt, State
from tests.people import PASSWORD
from tests.servers import SETTINGS, Server, start_server
from tests.waiting import until

NAMES = {"ours": ("ada", "bea", "cleo"), "theirs": ("noor", "olga", "petra")}
LOCKED = ("cleo", "petra")
PATIENCE_S = 120
"""Within which everything ends that is not in trouble; a healthy run takes a second or two."""

VISIBILITIES = ("public", "public", "public", "unlisted", "private", "direct")


class Peers(FarHosts):
    """Their receipts, with when they came, who signed them, and whether they were taken. `busy`: hosts that answer 503."""

    def __init__(self, ports: list[int], hold_s: float) -> None:
        super().__init__(ports, hold_s)
        self.receipts: list[Receipt] = []
        self.busy: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await super().__call__(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host, body = headers[b"host"].decode(), await read_body(receive)
        is_busy = f"http://{host}" in self.busy
        signed = re.search(r'keyId="http://([^/"]+)/', headers.get(b"signature", b"").decode())
        whose = f"http://{host}{scope['path']}".removesuffix("/inbox")
        self.receipts.append(Receipt(time.monotonic(), whose, signed[1] if signed else "", body, not is_busy))
        await send_answer(send, 503 if is_busy else 202, b"")


@dataclass
class Side:
    """One of our servers. `name`: host and port as others know it."""

    data: Path
    port: int
    proxy: Proxy
    storage: Storage
    tokens: dict[str, str]
    server: Server | None = None

    @property
    def name(self) -> str:
        return f"localhost:{self.proxy.port}"

    @property
    def url(self) -> str:
        return f"http://{self.name}"

    def person(self, name: str) -> str:
        return f"{self.url}/users/{name}"

    def start(self) -> None:
        self.server = start_server(self.data, self.port)

    def kill(self) -> None:
        assert self.server is not None
        self.server.kill()

    async def shut(self) -> None:
        await self.storage.close()
        if self.server is not None:
            await asyncio.to_thread(self.server.stop)


async def a_side(folder: Path, names: Sequence[str], chaos: Chaos, database: str) -> Side:
    """A data folder with its people, behind a proxy; not started yet."""
    port = free_port()
    proxy = chaos.proxy(port)
    folder.mkdir(parents=True)
    url = f"http://localhost:{proxy.port}"
    (folder / "config.toml").write_text(f'instance.url = "{url}"\nstorage.database = "{database}"\n{SETTINGS}')
    tokens = {}
    async with open_instance(read_settings(Chosen(folder, port=port)), folder) as instance:
        for name in names:
            await open_account(instance, name, PASSWORD, Role.OWNER if name == names[0] else Role.ARTIST)
            tokens[name] = await grant_token(instance, name, "read write follow", "tests")
    return Side(folder, port, proxy, open_storage(database_url(database, folder)), tokens)


# ------------------------------------------------------------------------------------------------ what a server holds

_WORDS = re.compile(r"\bw\d{6}\b")
_ANSWERED = aliased(t.works)


def held_by(db: Connection) -> State:
    uris = {row.id: row.uri for row in db.execute(select(t.actors.c.id, t.actors.c.uri))}
    columns = (t.works.c.id, t.works.c.uri, t.works.c.actor_id, t.works.c.visibility, t.works.c.content, t.works.c.in_reply_to_id)
    counted = (t.works.c.likes, t.works.c.boosts, t.works.c.replies)
    rows = db.execute(select(*columns, *counted).where(t.works.c.state == "published")).all()
    names = {row.id: row.uri for row in rows}
    works = {}
    for row in rows:
        found = _WORDS.search(row.content)
        answers = names.get(row.in_reply_to_id) if row.in_reply_to_id is not None else None
        shown = (row.likes, row.boosts, row.replies)
        works[row.uri] = HeldWork(uris[row.actor_id], row.visibility, found[0] if found else row.content, *shown, answers)
    likes, boosts = (
        Counter((uris[row.actor_id], names.get(row.work_id, "")) for row in db.execute(select(table.c.actor_id, table.c.work_id)))
        for table in (t.likes, t.boosts)
    )
    follows = {(uris[row.follower_id], uris[row.followee_id]): row.state for row in db.execute(select(t.follows))}
    blocks = frozenset((uris[row.actor_id], uris[row.target_id]) for row in db.execute(select(t.blocks)))
    ends = select(t.activities.c.uri, t.delivery_ends.c.host, t.delivery_ends.c.delivered, t.delivery_ends.c.failed)
    ends = ends.select_from(t.delivery_ends.join(t.activities, t.activities.c.id == t.delivery_ends.c.activity_id))
    sent = {(row.uri, row.host): (row.delivered, row.failed) for row in db.execute(ends)}
    counts = t.delivery_counts.c
    open_ = select(t.activities.c.uri).join(t.delivery_counts, counts.activity_id == t.activities.c.id)
    open_ = open_.where(counts.planned != counts.delivered + counts.failed)
    return State(works, likes, boosts, follows, blocks, sent, sum(_waiting(db)), frozenset(db.execute(open_).scalars()))


def _waiting(db: Connection) -> tuple[int, int]:
    return (
        db.execute(select(func.count()).select_from(t.deliveries)).scalar_one(),
        db.execute(select(func.count()).select_from(t.jobs)).scalar_one(),
    )


def _traffic(db: Connection) -> tuple[int, ...]:
    """What has happened so far, and what waits."""
    counts = (db.execute(select(func.count()).select_from(table)).scalar_one() for table in (t.arrivals, t.activities))
    return (*counts, *_waiting(db))


def time_passes(db: Connection, now: int) -> None:
    """Whatever waits for its next try is due."""
    for table in (t.deliveries, t.jobs):
        db.execute(update(table).where(table.c.run_at > now, table.c.leased_until <= now).values(run_at=now))


# ---------------------------------------------------------------------------------------------------------- who acts


@dataclass
class Turmoil:
    """`acts` are those that are known to be done. `round`: the number of the present one."""

    dice: random.Random
    sides: dict[str, Side]
    peers: Peers
    uris: tuple[str, ...]
    troubled: dict[str, Proxy]
    client: httpx.AsyncClient
    round: int = -1
    acts: list[Act] = field(default_factory=list)
    snapshots: list[dict[str, State]] = field(default_factory=list)
    left: int = 0
    said: int = 0
    kills: int = 0
    again: int = 0

    @property
    def history(self) -> History:
        people = {side.person(name): side.name for side in self.sides.values() for name in side.tokens}
        return History(people, self.uris, list(self.acts), list(self.peers.receipts), list(self.snapshots))

    def next_words(self) -> str:
        self.said += 1
        return f"w{self.said:06d}"

    def did(self, who: str, verb: str, what: str, began: float, **more: Any) -> None:
        self.acts.append(Act(self.round, who, verb, what, began, time.monotonic(), **more))

    # ------------------------------------------------------------------------------------------------ rounds

    async def run_round(self, acts: int, faults: int, kills: Sequence[str] = ()) -> None:
        """So many acts, as many by each, all at once and in trouble; then it ends, and what everybody holds is written down.

        `faults`: how many troubles. `kills`: sides that are killed in between.
        """
        self.round += 1
        acting = [*(who.act for who in self.people), *(who.act for who in self.actors)]
        each = acts // len(acting)
        self.left = each * len(acting)
        workers = [asyncio.create_task(self._work(act, each)) for act in acting]
        trouble = asyncio.create_task(self._make_trouble(self.left, faults, kills))
        try:
            await asyncio.gather(*workers)
            await trouble
        finally:
            for task in (*workers, trouble):
                task.cancel()
            await asyncio.gather(*workers, trouble, return_exceptions=True)
        await self.settle()

    def __post_init__(self) -> None:
        self.actors = [PeerActor(self, uri, random.Random(f"{self.dice.random()} {uri}")) for uri in self.uris]
        self.people = [
            Person(self, side, name, random.Random(f"{self.dice.random()} {name}"))
            for side in self.sides.values()
            for name in side.tokens
        ]

    async def _work(self, act: Callable[[], Awaitable[None]], count: int) -> None:
        for _ in range(count):
            self.left -= 1
            await act()

    async def _make_trouble(self, acts: int, faults: int, kills: Sequence[str]) -> None:
        """Spread over the round by how much of it is done."""
        plan: list[str | None] = [None] * faults + list(kills)
        self.dice.shuffle(plan)
        for number, killed in enumerate(plan):
            mark = acts - (number + 1) * acts // (len(plan) + 1)
            await until(lambda mark=mark: self.left <= mark, PATIENCE_S)  # type: ignore[misc]
            if killed is not None:
                await self._kill(self.sides[killed])
            elif self.dice.random() < 0.25:
                busy = self.dice.choice(self.peers.urls)
                self.peers.busy.add(busy)
                await asyncio.sleep(self.dice.uniform(0.1, 0.4))
                self.peers.busy.discard(busy)
            else:
                proxy = self.dice.choice(list(self.troubled.values()))
                await asyncio.to_thread(proxy.turn, self.dice.choice([trouble for trouble in Trouble if trouble != Trouble.NONE]))
                await asyncio.sleep(self.dice.uniform(0.1, 0.4))
                await asyncio.to_thread(proxy.turn, Trouble.NONE)
            await self.hurry()

    async def _kill(self, side: Side) -> None:
        self.kills += 1
        await asyncio.to_thread(side.kill)
        await asyncio.to_thread(side.start)

    async def hurry(self) -> None:
        """Time passes, and both servers notice at once."""
        for side in self.sides.values():
            await side.storage.write(time_passes, system_clock())
            names = list(side.tokens)
            neighbour = await side.storage.read(_id_of, side.person(names[1]))
            with contextlib.suppress(httpx.TransportError):
                await self.ask(side, names[0], "POST", f"/api/v1/accounts/{neighbour}/unblock")
                uri, self.said = self.uris[0], self.said + 1
                knock = {
                    "@context": AS,
                    "id": f"{uri}#knock{self.said}",
                    "type": "Like",
                    "actor": uri,
                    "object": f"{uri}/nothing",
                }
                await self.tell(side, knock)

    async def settle(self) -> None:
        """Everybody is well again, until nothing waits any more; then what is held is written down."""
        self.peers.busy.clear()
        for proxy in self.troubled.values():
            await asyncio.to_thread(proxy.turn, Trouble.NONE)
        end = time.monotonic() + PATIENCE_S
        before: list[tuple[int, ...]] = []
        await self.hurry()
        pressed = time.monotonic()
        while time.monotonic() < end:
            for peer in self.actors:
                await peer.answer()
            now = [await side.storage.read(_traffic) for side in self.sides.values()]
            if now == before and all(counts[-2:] == (0, 0) for counts in now):
                break
            if time.monotonic() - pressed > 1:
                await self.hurry()
                pressed = time.monotonic()
            before = now
            await asyncio.sleep(0.05)
        self.snapshots.append({side.name: await side.storage.read(held_by) for side in self.sides.values()})

    # ----------------------------------------------------------------------------------------------- asking

    async def ask(self, side: Side, name: str, method: str, path: str, **request: Any) -> httpx.Response:
        """At the server itself: nobody's own way to it is in trouble here. Raises httpx.TransportError."""
        headers = {"host": side.name, "authorization": f"Bearer {side.tokens[name]}"}
        return await self.client.request(method, f"http://127.0.0.1:{side.port}{path}", headers=headers, **request)

    async def insist(self, ask: Callable[[], Coroutine[Any, Any, httpx.Response]]) -> httpx.Response:
        """As a person does: again, until there is an answer."""
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await ask()
                assert answer.status_code < 500, (answer.request.url, answer.status_code, answer.text)
                return answer
            self.again += 1
            await asyncio.sleep(0.05)

    async def tell(self, side: Side, document: dict[str, Any]) -> int:
        """What a peer says, signed. Raises httpx.TransportError."""
        inbox = f"{side.url}/inbox"
        body, headers = self.peers.signed(inbox, document)
        return (await self.client.post(inbox, content=body, headers=headers)).status_code

    async def tell_until_taken(self, side: Side, document: dict[str, Any]) -> None:
        while True:
            with contextlib.suppress(httpx.TransportError):
                status = await self.tell(side, document)
                if status == 202:
                    return
                assert status in (401, 503), (status, document)
            self.again += 1
            await asyncio.sleep(0.05)

    def open_works(self) -> list[Act]:
        """The newest of everybody here that are for everybody."""
        return [post for person in self.people for post in person.mine[-10:] if post.visibility in ("public", "unlisted")]

    def side_of(self, uri: str) -> Side | None:
        return next((side for side in self.sides.values() if uri.startswith(side.url + "/")), None)


def _id_of(db: Connection, uri: str) -> int:
    return int(db.execute(select(t.actors.c.id).where(t.actors.c.uri == uri)).scalar_one())


@dataclass(frozen=True, slots=True)
class Seen:
    """A work as somebody may come across it."""

    id: int
    uri: str
    author: str


class Person:
    """Somebody with an account on one of our servers."""

    def __init__(self, turmoil: Turmoil, side: Side, name: str, dice: random.Random) -> None:
        self.turmoil, self.side, self.name, self.dice = turmoil, side, name, dice
        self.uri = side.person(name)
        self.mine: list[Act] = []
        """Its works that are still there."""

    async def act(self) -> None:
        verbs = {self.post: 26, self.answer: 10, self.edit: 12, self.delete: 6, self.like: 14, self.unlike: 5, self.boost: 7}
        verbs |= {
            self.unboost: 3,
            self.follow: 7,
            self.unfollow: 3,
            self.block: 1,
            self.unblock: 2,
            self.remove: 1,
            self.admit: 4,
        }
        [verb] = self.dice.choices(list(verbs), list(verbs.values()))
        if not await verb():
            await self.post()

    async def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Raises AssertionError for an answer that no server should give."""
        return await self.turmoil.insist(lambda: self.turmoil.ask(self.side, self.name, method, path, **request))

    async def _do(self, verb: str, what: str, method: str, path: str, **request: Any) -> bool:
        """Done, unless it is refused."""
        began = time.monotonic()
        answer = await self._ask(method, path, **request)
        if answer.status_code < 300:
            self.turmoil.did(self.uri, verb, what, began)
        return True

    # ---------------------------------------------------------------------------------------------- works

    async def post(self, seen: Seen | None = None, visibility: str = "") -> bool:
        visibility = visibility or self.dice.choice(VISIBILITIES)
        named: list[str] = []
        if visibility == "direct" or self.dice.random() < 0.15:
            named = [self.dice.choice([uri for uri in self.others() if uri != self.uri])]
        words = self.turmoil.next_words()
        text = " ".join([words, *(f"@{uri.rpartition('/')[2]}@{uri.split('/')[2]}" for uri in named)])
        said = {"status": text, "visibility": visibility, **({"in_reply_to_id": str(seen.id)} if seen else {})}
        began = time.monotonic()
        while True:
            try:
                answer = await self.turmoil.ask(self.side, self.name, "POST", "/api/v1/statuses", json=said)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                if answer.status_code in (403, 404):
                    return True  # what it answers is gone, or not to be answered
                assert answer.status_code == 200, answer.text
            uri = await self._published(text)
            if uri is not None:
                break
        to = tuple(dict.fromkeys([*named, *([seen.author] if seen and seen.author != self.uri else [])]))
        answers = seen.uri if seen else ""
        self.turmoil.did(self.uri, "post", uri, began, to=to, visibility=visibility, words=words, answers=answers)
        self.mine.append(self.turmoil.acts[-1])
        return True

    async def _published(self, text: str) -> str | None:
        """Of the work with this text, once it is published; None when it must be posted again."""

        def look(db: Connection) -> tuple[str, str] | None:
            row = db.execute(select(t.works.c.uri, t.works.c.state).where(t.works.c.source == text, t.works.c.state != "draft"))
            found = row.first()
            return (found.uri, found.state) if found else None

        while (found := await self.side.storage.read(look)) is not None:
            if found[1] == "published":
                return found[0]
            await asyncio.sleep(0.05)
        return None

    async def answer(self) -> bool:
        seen = await self._some_work()
        return seen is not None and await self.post(seen)

    async def edit(self) -> bool:
        if not self.mine:
            return False
        post, began, words = self.dice.choice(self.mine[-20:]), time.monotonic(), self.turmoil.next_words()
        text = " ".join([words, *(f"@{uri.rpartition('/')[2]}@{uri.split('/')[2]}" for uri in post.to[:1] if not post.answers)])
        answer = await self._ask("PUT", f"/api/v1/statuses/{post.what.rpartition('/')[2]}", json={"status": text})
        assert answer.status_code == 200, answer.text
        self.turmoil.did(self.uri, "edit", post.what, began, words=words)
        return True

    async def delete(self) -> bool:
        if not self.mine:
            return False
        post, began = self.dice.choice(self.mine[-20:]), time.monotonic()
        answer = await self._ask("DELETE", f"/api/v1/statuses/{post.what.rpartition('/')[2]}")
        assert answer.status_code in (200, 404), answer.text
        self.mine.remove(post)
        self.turmoil.did(self.uri, "delete", post.what, began)
        return True

    async def _some_work(self, but: Any = None) -> Seen | None:
        """One of the newest forty that are here. `but`: a table of what was reacted to already."""

        def look(db: Connection) -> list[Seen]:
            query = select(t.works.c.id, t.works.c.uri, t.actors.c.uri.label("author")).join(
                t.actors, t.actors.c.id == t.works.c.actor_id
            )
            me = select(t.actors.c.id).where(t.actors.c.uri == self.uri).scalar_subquery()
            query = query.where(t.works.c.state == "published").order_by(t.works.c.id.desc()).limit(40)
            if but is not None:
                query = query.where(t.works.c.id.not_in(select(but.c.work_id).where(but.c.actor_id == me)))
            return [Seen(row.id, row.uri, row.author) for row in db.execute(query)]

        found = await self.side.storage.read(look)
        return self.dice.choice(found) if found else None

    async def _reacted(self, table: Any) -> Seen | None:
        def look(db: Connection) -> list[Seen]:
            me = select(t.actors.c.id).where(t.actors.c.uri == self.uri).scalar_subquery()
            query = select(t.works.c.id, t.works.c.uri).join(table, table.c.work_id == t.works.c.id).where(table.c.actor_id == me)
            return [Seen(row.id, row.uri, "") for row in db.execute(query.order_by(t.works.c.id.desc()).limit(40))]

        found = await self.side.storage.read(look)
        return self.dice.choice(found) if found else None

    async def like(self) -> bool:
        seen = await self._some_work(but=t.likes)
        return seen is not None and await self._do("like", seen.uri, "POST", f"/api/v1/statuses/{seen.id}/favourite")

    async def unlike(self) -> bool:
        seen = await self._reacted(t.likes)
        return seen is not None and await self._do("unlike", seen.uri, "POST", f"/api/v1/statuses/{seen.id}/unfavourite")

    async def boost(self) -> bool:
        seen = await self._some_work(but=t.boosts)
        return seen is not None and await self._do("boost", seen.uri, "POST", f"/api/v1/statuses/{seen.id}/reblog")

    async def unboost(self) -> bool:
        seen = await self._reacted(t.boosts)
        return seen is not None and await self._do("unboost", seen.uri, "POST", f"/api/v1/statuses/{seen.id}/unreblog")

    # --------------------------------------------------------------------------------------------- people

    def others(self) -> list[str]:
        people = [side.person(name) for side in self.turmoil.sides.values() for name in side.tokens]
        return [uri for uri in (*people, *self.turmoil.uris) if uri != self.uri]

    async def meet(self, verb: str, uri: str, path: str) -> bool:
        id_ = await self.side.storage.read(_id_of, uri)
        return await self._do(verb, uri, "POST", path.format(id_))

    async def _pairs(self, column: Any, other: Any, state: str | None = None) -> list[str]:
        """Those on the other end of our follows."""

        def look(db: Connection) -> list[str]:
            me = select(t.actors.c.id).where(t.actors.c.uri == self.uri).scalar_subquery()
            query = select(t.actors.c.uri).join(t.follows, other == t.actors.c.id).where(column == me)
            query = query if state is None else query.where(t.follows.c.state == state)
            return list(db.execute(query.order_by(t.actors.c.uri)).scalars())

        return await self.side.storage.read(look)

    async def follow(self) -> bool:
        followed = set(await self._pairs(t.follows.c.follower_id, t.follows.c.followee_id))
        others = [uri for uri in self.others() if uri not in followed]
        return bool(others) and await self.meet("follow", self.dice.choice(others), "/api/v1/accounts/{}/follow")

    async def unfollow(self) -> bool:
        followed = await self._pairs(t.follows.c.follower_id, t.follows.c.followee_id)
        return bool(followed) and await self.meet("unfollow", self.dice.choice(followed), "/api/v1/accounts/{}/unfollow")

    async def remove(self) -> bool:
        followers = await self._pairs(t.follows.c.followee_id, t.follows.c.follower_id)
        path = "/api/v1/accounts/{}/remove_from_followers"
        return bool(followers) and await self.meet("remove", self.dice.choice(followers), path)

    async def admit(self) -> bool:
        asking = await self._pairs(t.follows.c.followee_id, t.follows.c.follower_id, "requested")
        if not asking:
            return False
        verb, path = self.dice.choice([("admit", "authorize"), ("admit", "authorize"), ("turn_away", "reject")])
        return await self.meet(verb, self.dice.choice(asking), f"/api/v1/follow_requests/{{}}/{path}")

    def _foes(self) -> list[str]:
        """Few: what is between people who blocked each other is hardly judged."""
        [other] = [side for side in self.turmoil.sides.values() if side is not self.side]
        return [other.person(list(other.tokens)[list(self.side.tokens).index(self.name)]), self.turmoil.uris[-1]]

    async def _blocked(self) -> set[str]:
        state = await self.side.storage.read(
            lambda db: set(
                db.execute(
                    select(t.actors.c.uri)
                    .join(t.blocks, t.blocks.c.target_id == t.actors.c.id)
                    .where(t.blocks.c.actor_id == _id_of(db, self.uri))
                ).scalars()
            )
        )
        return cast("set[str]", state)

    async def block(self) -> bool:
        foes = [uri for uri in self._foes() if uri not in await self._blocked()]
        return bool(foes) and await self.meet("block", self.dice.choice(foes), "/api/v1/accounts/{}/block")

    async def unblock(self) -> bool:
        blocked = sorted(await self._blocked())
        return bool(blocked) and await self.meet("unblock", self.dice.choice(blocked), "/api/v1/accounts/{}/unblock")


@dataclass
class PeerActor:
    """Somebody on another server, of which all that we know is what it says and hears."""

    turmoil: Turmoil
    uri: str
    dice: random.Random
    said: int = 0
    heard: int = 0
    followed: dict[str, dict[str, Any]] = field(default_factory=dict)
    reacted: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    notes: list[Act] = field(default_factory=list)

    async def act(self) -> None:
        await self.answer()
        verbs = {self.note: 12, self.edit: 6, self.delete: 3, self.react: 14, self.unreact: 6, self.follow: 8, self.unfollow: 2}
        [verb] = self.dice.choices(list(verbs), list(verbs.values()))
        if not await verb():
            await self.note()

    def _document(self, kind: str, object_: Any, **more: Any) -> dict[str, Any]:
        self.said += 1
        return {"@context": AS, "id": f"{self.uri}#{self.said}", "type": kind, "actor": self.uri, "object": object_, **more}

    async def _say(self, document: dict[str, Any], *sides: Side) -> None:
        for side in sides:
            await self.turmoil.tell_until_taken(side, document)
            if self.dice.random() < 0.15:  # its answer was lost, as far as the peer knows
                await self.turmoil.tell_until_taken(side, document)

    async def answer(self) -> None:
        """Whoever asks to follow may, once for each time that they ask."""
        receipts = self.turmoil.peers.receipts
        while self.heard < len(receipts):
            receipt = receipts[self.heard]
            self.heard += 1
            if receipt.to != self.uri or not receipt.taken:
                continue
            document = receipt.document
            side = self.turmoil.side_of(document["actor"])
            if document["type"] == "Follow" and side is not None:
                await self.turmoil.tell_until_taken(side, self._document("Accept", document))
            elif document["type"] == "Reject":
                asked = self.followed.get(document["actor"])
                if asked is not None and asked["id"] == document["object"]["id"]:
                    del self.followed[document["actor"]]

    def artists(self) -> list[str]:
        return [side.person(name) for side in self.turmoil.sides.values() for name in side.tokens]

    async def follow(self) -> bool:
        artists = [uri for uri in self.artists() if uri not in self.followed]
        if not artists:
            return False
        await self.begin_to_follow(self.dice.choice(artists))
        return True

    async def begin_to_follow(self, artist: str) -> None:
        began, document = time.monotonic(), self._document("Follow", artist)
        self.followed[artist] = document
        side = self.turmoil.side_of(artist)
        assert side is not None
        await self._say(document, side)
        self.turmoil.did(self.uri, "follow", artist, began, id_=document["id"])

    async def unfollow(self) -> bool:
        if not self.followed:
            return False
        artist = self.dice.choice(sorted(self.followed))
        began, side = time.monotonic(), self.turmoil.side_of(artist)
        assert side is not None
        await self._say(self._document("Undo", self.followed.pop(artist)), side)
        self.turmoil.did(self.uri, "unfollow", artist, began)
        return True

    async def react(self) -> bool:
        verb, kind = self.dice.choice([("like", "Like"), ("like", "Like"), ("boost", "Announce")])
        open_ = [post for post in self.turmoil.open_works() if (verb, post.what) not in self.reacted]
        if not open_:
            return False
        post, began = self.dice.choice(open_), time.monotonic()
        more = {"to": [AS_PUBLIC]} if verb == "boost" else {}
        document = self._document(kind, post.what, **more)
        side = self.turmoil.side_of(post.what)
        assert side is not None
        await self._say(document, side)
        self.reacted[verb, post.what] = document
        self.turmoil.did(self.uri, verb, post.what, began, id_=document["id"])
        return True

    async def unreact(self) -> bool:
        if not self.reacted:
            return False
        verb, uri = self.dice.choice(sorted(self.reacted))
        began, side = time.monotonic(), self.turmoil.side_of(uri)
        assert side is not None
        await self._say(self._document("Undo", self.reacted.pop((verb, uri))), side)
        self.turmoil.did(self.uri, f"un{verb}", uri, began)
        return True

    def _note(self, uri: str, words: str, to: Sequence[str], answers: str) -> dict[str, Any]:
        note: dict[str, Any] = {"id": uri, "type": "Note", "attributedTo": self.uri, "content": f"<p>{words}</p>"}
        note["to"] = [AS_PUBLIC]
        note["cc"] = [f"{self.uri}/followers", *to]
        note["tag"] = [{"type": "Mention", "href": person, "name": f"@{person.rpartition('/')[2]}"} for person in to]
        return {**note, "inReplyTo": answers} if answers else note

    async def note(self) -> bool:
        open_ = self.turmoil.open_works()
        post = self.dice.choice(open_) if open_ and self.dice.random() < 0.5 else None
        to, answers = ((post.who,), post.what) if post is not None else ((), "")
        began, words = time.monotonic(), self.turmoil.next_words()
        self.said += 1
        uri = f"{self.uri}/notes/{self.said}"
        note = self._note(uri, words, to, answers)
        document = {**self._document("Create", note), "id": f"{uri}/activity", "to": note["to"], "cc": note["cc"]}
        await self._say(document, *self.turmoil.sides.values())
        self.turmoil.did(self.uri, "post", uri, began, to=to, visibility="public", words=words, answers=answers)
        self.notes.append(self.turmoil.acts[-1])
        return True

    async def edit(self) -> bool:
        if not self.notes:
            return False
        post, began, words = self.dice.choice(self.notes[-20:]), time.monotonic(), self.turmoil.next_words()
        note = self._note(post.what, words, post.to, post.answers)
        await self._say(self._document("Update", note), *self.turmoil.sides.values())
        self.turmoil.did(self.uri, "edit", post.what, began, words=words)
        return True

    async def delete(self) -> bool:
        if not self.notes:
            return False
        post, began = self.dice.choice(self.notes[-20:]), time.monotonic()
        self.notes.remove(post)
        await self._say(self._document("Delete", {"id": post.what, "type": "Tombstone"}), *self.turmoil.sides.values())
        self.turmoil.did(self.uri, "delete", post.what, began)
        return True


# ------------------------------------------------------------------------------------------------------------- a stage


@contextlib.asynccontextmanager
async def turmoil(folder: Path, chaos: Chaos, dice: random.Random, databases: Sequence[str] = ("", "")) -> AsyncIterator[Turmoil]:
    """Both servers run, everybody knows everybody, and some follow some."""
    with far_hosts(3, kind=Peers) as found:
        peers = cast("Peers", found)
        async with contextlib.AsyncExitStack() as stack:
            proxies = [chaos.proxy(int(url.rpartition(":")[2])) for url in peers.urls]
            peers.urls = [proxy.url for proxy in proxies]
            sides: dict[str, Side] = {}
            for (name, people), database in zip(NAMES.items(), databases, strict=True):
                sides[name] = await a_side(folder / name, people, chaos, database)
                stack.push_async_callback(sides[name].shut)
            await asyncio.gather(*(asyncio.to_thread(side.start) for side in sides.values()))
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
            uris = (*peers.actors(1), f"{peers.urls[0]}/users/vera9")
            troubled = dict(zip((*peers.urls, *sides), (*proxies, *(side.proxy for side in sides.values())), strict=True))
            made = Turmoil(dice, sides, peers, uris, troubled, client)
            await _introduce(made)
            yield made


async def _introduce(made: Turmoil) -> None:
    for side in made.sides.values():
        others = [other.person(name) for other in made.sides.values() if other is not side for name in other.tokens]
        first = next(iter(side.tokens))
        for uri in (*others, *made.uris):
            found = await made.ask(side, first, "GET", "/api/v2/search", params={"q": uri, "resolve": "true", "type": "accounts"})
            assert [account["uri"] for account in found.json()["accounts"]] == [uri]
        for name in LOCKED:
            if name in side.tokens:
                changed = await made.ask(side, name, "PATCH", "/api/v1/accounts/update_credentials", json={"locked": True})
                assert changed.json()["locked"]
    for person in made.people:
        for uri in made.dice.sample(person.others(), 4):
            await person.meet("follow", uri, "/api/v1/accounts/{}/follow")
    for peer in made.actors:
        for artist in made.dice.sample(peer.artists(), 4):
            await peer.begin_to_follow(artist)
    await made.settle()
