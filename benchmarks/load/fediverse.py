"""Two hundred servers that live beside ours for a while: `fediverse PLAN`, one process, with one keypair for all its actors.

They send signed activities at a constant rate, of which one in twenty is faulty; readers read and artists upload through the
front; and the hosts take what our server delivers, some of them badly. Everything that was accepted is kept in mind, so that
whoever started this can hold it against the database: `expected.json` beside the plan.

It prints `ready` once the hosts listen, begins at a line on stdin, prints `sent` at the end, and ends when stdin does.
"""

from __future__ import annotations

import asyncio
import base64
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from fediart.activitypub.signatures.sign import sign_request
from fediart.activitypub.vocabulary import AP_TYPE, AS, AS_PUBLIC
from fediart.clock import to_iso

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
AT_ONCE = 200
"""Requests of one sort that may be under way: more than that and the rate falls, which is told."""
PATIENCE_S = 120.0
"""So long the last deliveries of ours are waited for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens within `seconds`. Of the `hosts` the last `failing` answer 500 and those before them, `hanging`, nothing.

    `members`: (name, token, browser's cookie) of the artists here; `works`: (id, address) of what they showed before.
    """

    port: int
    far_port: int
    seconds: float
    deliveries: int
    reads: int
    uploads: int
    hosts: int
    failing: int
    hanging: int
    authors: int
    strangers: int
    members: list[tuple[str, str, str]]
    works: list[tuple[str, str]]
    private_pem: str
    public_pem: str
    picture: str
    folder: str

    @property
    def healthy(self) -> int:
        return self.hosts - self.failing - self.hanging

    def address(self, host: int) -> str:
        return f"127.0.{1 + host // 250}.{host % 250 + 1}"

    def base(self, host: int) -> str:
        return f"http://{self.address(host)}:{self.far_port}"

    def author(self, number: int) -> str:
        """Somebody who is followed here."""
        return f"{self.base(number % self.healthy)}/users/painter{number}"

    def stranger(self, number: int) -> str:
        """Somebody of whom nobody here has heard: their key has to be fetched."""
        return f"{self.base(number % self.healthy)}/users/stranger{number}"


@dataclass(slots=True)
class Expected:
    """What must be so in the end. `notes`: address → the edition that was said last, 0 when it was deleted.

    `likes` and `boosts`: address of the activity → is it still said? `posts`: address of a work here → the seconds after
    which each healthy host had it.
    """

    notes: dict[str, int] = field(default_factory=dict)
    likes: dict[str, bool] = field(default_factory=dict)
    boosts: dict[str, bool] = field(default_factory=dict)
    posts: dict[str, list[float]] = field(default_factory=dict)


@dataclass(slots=True)
class Told:
    """What was done. `wrong`: answers that should have been others, by what was asked. Rates are per second."""

    deliveries: int = 0
    faulty: int = 0
    reads: int = 0
    uploads: int = 0
    unread: int = 0
    retries: int = 0
    deliveries_per_s: float = 0.0
    reads_per_s: float = 0.0
    read_p50_ms: float = 0.0
    read_p99_ms: float = 0.0
    ack_p50_ms: float = 0.0
    ack_p99_ms: float = 0.0
    said: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)
    taken: int = 0
    refused: int = 0
    cpu_s: float = 0.0


@dataclass(slots=True)
class Reaction:
    """A Like or Announce that was accepted and may be taken back."""

    uri: str
    kind: str
    actor: str
    target: str


def addressed(actor: str) -> dict[str, Any]:
    return {"to": [AS_PUBLIC], "cc": [f"{actor}/followers"]}


def note_of(actor: str, number: int, edition: int, picture: str | None) -> dict[str, Any]:
    """A note of about 1 kB. `edition` counts from 1."""
    uri, now = f"{actor}/statuses/{number}", to_iso(time.time_ns() // 1_000_000)
    host = actor.rpartition("/users/")[0]
    words = "The second wash dried overnight and the paper kept its tooth, so the mountain could be glazed a third time. " * 3
    note: dict[str, Any] = {
        "id": uri,
        "type": "Note",
        "published": now,
        "url": uri,
        "attributedTo": actor,
        **addressed(actor),
        "sensitive": False,
        "content": f"<p>edition {edition}: {words}</p>",
        "attachment": [],
        "tag": [{"type": "Hashtag", "href": f"{host}/tags/{tag}", "name": f"#{tag}"} for tag in ("watercolour", "wip")],
    }
    if picture is not None:
        note["attachment"] = [{"type": "Document", "mediaType": "image/jpeg", "url": picture, "name": "A mountain"}]
    if edition > 1:
        note["updated"] = now
    return note


def activity_of(kind: str, actor: str, uri: str, said: object, **more: Any) -> dict[str, Any]:
    return {"@context": AS, "id": uri, "type": kind, "actor": actor, "object": said, **more}


def share(values: list[float], part: float) -> float:
    """In ms, the value that this part of the sorted seconds lies below."""
    return values[min(len(values) - 1, int(len(values) * part))] * 1000 if values else 0.0


class Hosts:
    """All far hosts, by the address that they are asked at."""

    def __init__(self, plan: Plan, told: Told) -> None:
        self._plan, self._told = plan, told
        self._number = {plan.base(host).removeprefix("http://"): host for host in range(plan.hosts)}
        self._picture = Path(plan.picture).read_bytes()
        self._decoder = msgspec.json.Decoder(dict[str, Any])
        self.heard: dict[str, dict[int, float]] = {}
        """Address of a work here → host → when it was told of it (of the monotonic clock)."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        host = self._number[request.host]
        if host >= self._plan.hosts - self._plan.failing:
            self._told.refused += 1
            return web.Response(status=500)
        if host >= self._plan.healthy:
            self._told.refused += 1
            await asyncio.sleep(60)
            return web.Response(status=503)
        if request.method == "POST":
            document = self._decoder.decode(await request.read())
            self._told.taken += 1
            if document["type"] == "Create":
                self.heard.setdefault(document["object"]["id"], {}).setdefault(host, time.monotonic())
            return web.Response(status=202)
        if request.path.startswith("/pictures/"):
            return web.Response(body=marked(self._picture, request.path), content_type="image/jpeg")
        if request.path.startswith("/users/") and request.path.count("/") == 2:
            return web.Response(body=msgspec.json.encode(self._actor(host, request.path)), content_type=AP_TYPE)
        return web.Response(status=404)

    def _actor(self, host: int, path: str) -> dict[str, Any]:
        uri = self._plan.base(host) + path
        return {
            "@context": [AS, "https://w3id.org/security/v1"],
            "id": uri,
            "type": "Person",
            "preferredUsername": path.rpartition("/")[2],
            "inbox": f"{uri}/inbox",
            "followers": f"{uri}/followers",
            "endpoints": {"sharedInbox": f"{self._plan.base(host)}/inbox"},
            "publicKey": {"id": f"{uri}#main-key", "owner": uri, "publicKeyPem": self._plan.public_pem},
        }


def marked(jpeg: bytes, words: str) -> bytes:
    """The same picture with a comment in it: another file."""
    comment = words.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


class Senders:
    """The actors out there, and what they say."""

    def __init__(self, plan: Plan, client: aiohttp.ClientSession, hasty: aiohttp.ClientSession, told: Told) -> None:
        self._plan, self._client, self._hasty, self._told = plan, client, hasty, told
        self._inbox = f"http://localhost:{plan.port}/inbox"
        self._random = random.Random(5)
        self.expected = Expected()
        self.seen: deque[str] = deque([uri for _, uri in plan.works], maxlen=1000)
        """Works that somebody has seen here, and so can like and boost."""
        self._took: list[float] = []
        self._said: Counter[str] = Counter()
        self._wrong: Counter[str] = Counter()
        self._next = 0
        self._quiet: deque[tuple[str, int]] = deque(maxlen=3000)
        """(actor, number) of notes that may be changed."""
        self._mortal: deque[tuple[str, int]] = deque()
        self._reactions: deque[Reaction] = deque(maxlen=3000)
        self._pairs: set[tuple[str, str, str]] = set()
        self._verbs: dict[str, tuple[int, Callable[[], Awaitable[bool]]]] = {
            "Create": (46, self._create),
            "Like": (18, self._like),
            "Announce": (10, self._announce),
            "Update": (12, self._update),
            "Delete": (6, self._delete),
            "Undo": (8, self._undo),
        }
        self._faults: dict[str, Callable[[], tuple[bytes, dict[str, str], int]]] = {
            "no signature": self._unsigned,
            "a wrong signature": self._badly_signed,
            "another body than was signed": self._body_changed,
            "signed by somebody else": self._signed_by_another,
            "signed long ago": self._signed_long_ago,
            "no JSON": self._no_json,
            "too deep": self._too_deep,
            "too large": self._too_large,
            "a key that cannot be had": self._key_out_of_reach,
            "an unknown verb": self._unknown_verb,
            "about another's note": self._about_another,
        }

    async def say(self, number: int) -> None:
        if number % 20 == 7:
            await self._say_wrongly(list(self._faults)[number // 20 % len(self._faults)])
            return
        kind = self._random.choices(list(self._verbs), [weight for weight, _ in self._verbs.values()])[0]
        if not await self._verbs[kind][1]():
            kind = "Create"
            await self._create()
        self._said[kind] += 1

    def tell(self) -> None:
        self._took.sort()
        self._told.ack_p50_ms, self._told.ack_p99_ms = share(self._took, 0.5), share(self._took, 0.99)
        self._told.said, self._told.wrong = dict(self._said), dict(self._wrong)

    def went_wrong(self, what: str) -> None:
        self._wrong[what] += 1

    def _signed(self, actor: str, body: bytes, ago_s: float = 0) -> dict[str, str]:
        now = time.time_ns() // 1_000_000 - int(ago_s * 1000)
        return sign_request("POST", self._inbox, body, f"{actor}#main-key", self._plan.private_pem, now)

    async def _post(self, body: bytes, headers: dict[str, str]) -> int:
        """The status. What gets lost on the way, and what is not taken now, is sent again, as servers do."""
        # Some keep their connections, others do not.
        client = self._hasty if self._random.random() < 0.3 else self._client
        for attempt in range(4):
            began = time.perf_counter()
            try:
                async with client.post(self._inbox, data=body, headers=headers) as answer:
                    await answer.read()
                    self._took.append(time.perf_counter() - began)
                    if answer.status != 503:
                        return answer.status
            except (aiohttp.ClientError, TimeoutError):
                pass
            self._told.retries += 1
            await asyncio.sleep(0.5 * 2**attempt)
        return 0

    async def _accepted(self, actor: str, document: dict[str, Any]) -> bool:
        body = msgspec.json.encode(document)
        status = await self._post(body, self._signed(actor, body))
        self._told.deliveries += 1
        if status != 202:
            self.went_wrong(f"{document['type']}: {status}")
        return status == 202

    def _some_author(self) -> str:
        return self._plan.author(self._random.randrange(self._plan.authors))

    def _somebody(self) -> str:
        if self._random.random() < 0.3:
            return self._plan.stranger(self._random.randrange(self._plan.strangers))
        return self._some_author()

    def _new_number(self) -> int:
        self._next += 1
        return self._next

    async def _create(self) -> bool:
        actor, number = self._some_author(), self._new_number()
        picture = f"{actor.partition('/users/')[0]}/pictures/{number}.jpg" if number % 20 == 0 else None
        note = note_of(actor, number, 1, picture)
        if await self._accepted(actor, activity_of("Create", actor, f"{note['id']}/activity", note, **addressed(actor))):
            self.expected.notes[note["id"]] = 1
            (self._mortal if number % 5 == 0 else self._quiet).append((actor, number))
        return True

    async def _update(self) -> bool:
        if not self._quiet:
            return False
        self._quiet.rotate(self._random.randrange(len(self._quiet)))
        actor, number = self._quiet.popleft()  # nobody else says anything of it meanwhile
        edition = self.expected.notes[f"{actor}/statuses/{number}"] + 1
        note = note_of(actor, number, edition, None)
        uri = f"{note['id']}#updates/{edition}"
        if await self._accepted(actor, activity_of("Update", actor, uri, note, **addressed(actor))):
            self.expected.notes[note["id"]] = edition
            self._quiet.append((actor, number))
        return True

    async def _delete(self) -> bool:
        if not self._mortal:
            return False
        actor, number = self._mortal.popleft()
        uri = f"{actor}/statuses/{number}"
        gone = {"id": uri, "type": "Tombstone"}
        if await self._accepted(actor, activity_of("Delete", actor, f"{uri}#delete", gone, to=[AS_PUBLIC])):
            self.expected.notes[uri] = 0
        return True

    async def _like(self) -> bool:
        return await self._react("Like", self._somebody(), self.expected.likes, {})

    async def _announce(self) -> bool:
        actor = self._some_author()
        return await self._react("Announce", actor, self.expected.boosts, addressed(actor))

    async def _react(self, kind: str, actor: str, said: dict[str, bool], more: dict[str, Any]) -> bool:
        target = self._random.choice(self.seen)
        if (kind, actor, target) in self._pairs:
            return False
        self._pairs.add((kind, actor, target))
        uri = f"{actor}#{kind.lower()}/{self._new_number()}"
        if await self._accepted(actor, activity_of(kind, actor, uri, target, **more)):
            said[uri] = True
            self._reactions.append(Reaction(uri, kind, actor, target))
        return True

    async def _undo(self) -> bool:
        if not self._reactions:
            return False
        self._reactions.rotate(self._random.randrange(len(self._reactions)))
        done = self._reactions.popleft()
        inner = {"id": done.uri, "type": done.kind, "actor": done.actor, "object": done.target}
        if await self._accepted(done.actor, activity_of("Undo", done.actor, f"{done.uri}/undo", inner)):
            (self.expected.likes if done.kind == "Like" else self.expected.boosts)[done.uri] = False
        return True

    # ------------------------------------------------------------------------------------------------------- faults

    async def _say_wrongly(self, fault: str) -> None:
        body, headers, right = self._faults[fault]()
        status = await self._post(body, headers)
        self._told.deliveries += 1
        self._told.faulty += 1
        if status != right:
            self.went_wrong(f"{fault}: {status}")

    def _plain(self, actor: str) -> bytes:
        note = note_of(actor, self._new_number(), 1, None)
        return msgspec.json.encode(activity_of("Create", actor, f"{note['id']}/activity", note, **addressed(actor)))

    def _unsigned(self) -> tuple[bytes, dict[str, str], int]:
        return self._plain(self._some_author()), {"content-type": AP_TYPE}, 401

    def _badly_signed(self) -> tuple[bytes, dict[str, str], int]:
        actor = self._some_author()
        body = self._plain(actor)
        headers = self._signed(actor, body)
        start = headers["signature"].partition('signature="')[0]
        return body, {**headers, "signature": f'{start}signature="{base64.b64encode(bytes(256)).decode()}"'}, 401

    def _body_changed(self) -> tuple[bytes, dict[str, str], int]:
        actor = self._some_author()
        body = self._plain(actor)
        return body.replace(b"mountain", b"fountain"), self._signed(actor, body), 401

    def _signed_by_another(self) -> tuple[bytes, dict[str, str], int]:
        body = self._plain(self._plan.author(0))
        return body, self._signed(self._plan.author(1), body), 401

    def _signed_long_ago(self) -> tuple[bytes, dict[str, str], int]:
        actor = self._some_author()
        body = self._plain(actor)
        return body, self._signed(actor, body, ago_s=3 * 86_400), 401

    def _no_json(self) -> tuple[bytes, dict[str, str], int]:
        body = b'{"type": "Create", '
        return body, self._signed(self._some_author(), body), 400

    def _too_deep(self) -> tuple[bytes, dict[str, str], int]:
        body = b'{"object":' * 5_000 + b"1" + b"}" * 5_000
        return body, self._signed(self._some_author(), body), 400

    def _too_large(self) -> tuple[bytes, dict[str, str], int]:
        actor = self._some_author()
        body = self._plain(actor)[:-1] + b',"more":"' + b"x" * 1_100_000 + b'"}'
        return body, self._signed(actor, body), 413

    def _key_out_of_reach(self) -> tuple[bytes, dict[str, str], int]:
        host = self._plan.healthy + self._random.randrange(self._plan.failing + self._plan.hanging)
        actor = f"{self._plan.base(host)}/users/lost{self._random.randrange(100)}"
        body = self._plain(actor)
        return body, self._signed(actor, body), 401

    def _unknown_verb(self) -> tuple[bytes, dict[str, str], int]:
        actor = self._some_author()
        body = msgspec.json.encode(activity_of("Dance", actor, f"{actor}#dance/{self._new_number()}", actor))
        return body, self._signed(actor, body), 202

    def _about_another(self) -> tuple[bytes, dict[str, str], int]:
        actor = self._plan.author(0)
        note = note_of(self._plan.author(1), self._new_number(), 1, None)
        body = msgspec.json.encode(activity_of("Create", actor, f"{actor}#mine/{self._new_number()}", note, **addressed(actor)))
        return body, self._signed(actor, body), 202


class Readers:
    """People with a browser or a client program, and other servers that look."""

    def __init__(self, plan: Plan, client: aiohttp.ClientSession, senders: Senders) -> None:
        self._plan, self._client, self._senders = plan, client, senders
        self._random = random.Random(6)
        self._base = f"http://localhost:{plan.port}"
        self._files: deque[str] = deque(maxlen=50)
        self._works = deque(plan.works, maxlen=200)
        self.took: list[float] = []
        self._decoder = msgspec.json.Decoder(list[dict[str, Any]])
        self._looks = (
            self._home,
            self._page,
            self._notices,
            self._home,
            self._work,
            self._profile,
            self._public,
            self._actor,
            self._file,
            self._status,
        )

    async def read(self, number: int) -> None:
        await self._looks[number % len(self._looks)](self._plan.members[self._random.randrange(len(self._plan.members))])

    def has_appeared(self, id_: str, uri: str) -> None:
        self._works.append((id_, uri))
        self._senders.seen.append(uri)

    async def cannot_read(self, posted: Mapping[str, tuple[str, float]]) -> int:
        """How many of the posted works have no page, no entry in the API, or no picture."""
        token, unread = self._plan.members[0][1], 0
        for uri, (id_, _) in posted.items():
            page = await self._get(uri.removeprefix(self._base), accept="text/html")
            entry = await self._get(f"/api/v1/statuses/{id_}", authorization=f"Bearer {token}")
            pictures = msgspec.json.decode(entry)["media_attachments"] if entry else []
            found = [await self._get(picture["url"].removeprefix(self._base)) for picture in pictures]
            unread += not (page and found and all(found))
        return unread

    async def _get(self, path: str, **headers: str) -> bytes:
        asked = {"user-agent": BROWSER, "x-forwarded-for": f"198.18.{self._random.randrange(256)}.{self._random.randrange(256)}"}
        began = time.perf_counter()
        for _ in range(2):
            try:
                async with self._client.get(self._base + path, headers={**asked, **headers}) as answer:
                    body = await answer.read()
                    self.took.append(time.perf_counter() - began)
                    if answer.status != 200:
                        self._senders.went_wrong(f"GET {path.partition('?')[0]}: {answer.status}")
                        return b""
                    return body
            except (aiohttp.ClientError, TimeoutError):
                continue
        self._senders.went_wrong(f"GET {path.partition('?')[0]}: lost")
        return b""

    def _keep_in_mind(self, listed: bytes) -> None:
        for entry in self._decoder.decode(listed or b"[]"):
            entry = entry.get("reblog") or entry
            uri: str = entry["uri"]
            # Mortal notes may go at any time: nobody likes those.
            if "/statuses/" in uri and (uri.startswith(self._base) or int(uri.rpartition("/")[2]) % 5):
                self._senders.seen.append(uri)
            self._files.extend(
                picture["url"].removeprefix(self._base)
                for picture in entry["media_attachments"]
                if uri.startswith(self._base) and picture["url"]
            )

    async def _home(self, member: tuple[str, str, str]) -> None:
        self._keep_in_mind(await self._get("/api/v1/timelines/home?limit=40", authorization=f"Bearer {member[1]}"))

    async def _public(self, _member: tuple[str, str, str]) -> None:
        self._keep_in_mind(await self._get("/api/v1/timelines/public?limit=20&local=true"))

    async def _notices(self, member: tuple[str, str, str]) -> None:
        await self._get("/api/v1/notifications?limit=20", authorization=f"Bearer {member[1]}")

    async def _page(self, member: tuple[str, str, str]) -> None:
        await self._get("/", cookie=member[2], accept="text/html")

    async def _profile(self, member: tuple[str, str, str]) -> None:
        await self._get(f"/@{member[0]}", accept="text/html")

    async def _actor(self, member: tuple[str, str, str]) -> None:
        await self._get(f"/users/{member[0]}", accept=AP_TYPE)

    async def _work(self, _member: tuple[str, str, str]) -> None:
        await self._get(self._random.choice(self._works)[1].removeprefix(self._base), accept="text/html")

    async def _status(self, member: tuple[str, str, str]) -> None:
        await self._get(f"/api/v1/statuses/{self._random.choice(self._works)[0]}", authorization=f"Bearer {member[1]}")

    async def _file(self, member: tuple[str, str, str]) -> None:
        await (self._get(self._random.choice(self._files)) if self._files else self._public(member))


class Artists:
    """They upload a picture, wait until it is ready, and post it."""

    def __init__(self, plan: Plan, client: aiohttp.ClientSession, senders: Senders, readers: Readers) -> None:
        self._plan, self._client, self._senders, self._readers = plan, client, senders, readers
        self._base = f"http://localhost:{plan.port}"
        self._picture = Path(plan.picture).read_bytes()
        self.posted: dict[str, tuple[str, float]] = {}
        """Address of the work → (id in the API, when it was posted, of the monotonic clock)."""

    async def post(self, number: int) -> None:
        token = self._plan.members[number % len(self._plan.members)][1]
        form = aiohttp.FormData()
        form.add_field("file", marked(self._picture, f"upload {number}"), filename="a.jpg", content_type="image/jpeg")
        form.add_field("description", "An evening over water")
        held = await self._ask("POST", "/api/v2/media", token, data=form)
        end = time.monotonic() + PATIENCE_S
        while held is not None and not held.get("url"):
            await asyncio.sleep(0.5)
            held = await self._ask("GET", f"/api/v1/media/{held['id']}", token) if time.monotonic() < end else None
        if held is None:
            self._senders.went_wrong("an upload that never was ready")
            return
        began = time.monotonic()
        work = await self._ask("POST", "/api/v1/statuses", token, json={"status": f"Evening {number}", "media_ids": [held["id"]]})
        if work is not None:
            self.posted[work["uri"]] = (work["id"], began)
            self._readers.has_appeared(work["id"], work["uri"])

    async def _ask(self, method: str, path: str, token: str, **request: Any) -> dict[str, Any] | None:
        headers = {"authorization": f"Bearer {token}", "x-forwarded-for": "198.19.0.1"}
        try:
            async with self._client.request(method, self._base + path, headers=headers, **request) as answer:
                body = await answer.read()
                if answer.status in (200, 202, 206):
                    return msgspec.json.decode(body, type=dict[str, Any])
                self._senders.went_wrong(f"{method} {path.rstrip('0123456789')}: {answer.status}")
        except (aiohttp.ClientError, TimeoutError):
            self._senders.went_wrong(f"{method} {path.rstrip('0123456789')}: lost")
        return None


async def keep_pace(total: int, seconds: float, act: Callable[[int], Awaitable[None]]) -> float:
    """Begin `act` so many times, evenly; the rate that was reached, per second, once all have ended."""
    loop, turns, tasks = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE), set[asyncio.Task[None]]()

    async def one(number: int) -> None:
        try:
            await act(number)
        finally:
            turns.release()

    began = loop.time()
    for number in range(total):
        wait = began + number * seconds / total - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        await turns.acquire()
        task = loop.create_task(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    took = loop.time() - began + seconds / max(total, 1)
    await asyncio.gather(*tasks)
    return total / max(took, seconds)


async def heard_by_all(hosts: Hosts, posted: Mapping[str, tuple[str, float]], healthy: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and any(len(hosts.heard.get(uri, {})) < healthy for uri in posted):
        await asyncio.sleep(0.2)


async def live(plan: Plan, hosts: Hosts, told: Told) -> None:
    """Send, read and upload as planned, and write down what came of it."""
    before = time.process_time()
    patience = aiohttp.ClientTimeout(total=60)
    # Shorter than our server keeps a connection, so that none is closed under a request.
    kept = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
    hasty_ones = aiohttp.TCPConnector(limit=0, force_close=True)
    async with (
        aiohttp.ClientSession(connector=kept, timeout=patience, cookie_jar=aiohttp.DummyCookieJar()) as client,
        aiohttp.ClientSession(connector=hasty_ones, timeout=patience) as hasty,
    ):
        senders = Senders(plan, client, hasty, told)
        readers = Readers(plan, client, senders)
        artists = Artists(plan, client, senders, readers)
        told.deliveries_per_s, told.reads_per_s, _ = await asyncio.gather(
            keep_pace(plan.deliveries, plan.seconds, senders.say),
            keep_pace(plan.reads, plan.seconds, readers.read),
            keep_pace(plan.uploads, plan.seconds, artists.post),
        )
        readers.took.sort()
        told.read_p50_ms, told.read_p99_ms = share(readers.took, 0.5), share(readers.took, 0.99)
        told.reads = len(readers.took)
        await heard_by_all(hosts, artists.posted, plan.healthy)
        told.unread = await readers.cannot_read(artists.posted)
    told.uploads = len(artists.posted)
    told.cpu_s = time.process_time() - before
    senders.tell()
    for uri, (_, began) in artists.posted.items():
        senders.expected.posts[uri] = [at - began for host, at in hosts.heard.get(uri, {}).items() if host < plan.healthy]
    folder = Path(plan.folder)
    (folder / "expected.json").write_bytes(msgspec.json.encode(senders.expected))
    (folder / "told.json").write_bytes(msgspec.json.encode(told))
    print("sent", flush=True)


async def run(plan: Plan) -> None:
    """Ends with stdin: with whoever started this."""
    told = Told()
    hosts = Hosts(plan, told)
    app = web.Application(client_max_size=2**21)
    app.router.add_route("*", "/{path:.*}", hosts.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    for host in range(plan.hosts):
        await web.TCPSite(runner, plan.address(host), plan.far_port, shutdown_timeout=1).start()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    living = asyncio.create_task(live(plan, hosts, told))
    over = loop.run_in_executor(None, sys.stdin.read)
    await asyncio.wait({living, over}, return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        living.result()
        await over
    living.cancel()
    await runner.cleanup()


def main() -> None:
    uvloop.run(run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))


if __name__ == "__main__":
    main()
