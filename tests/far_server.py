"""Another server, as a small Starlette program on a real socket: actors with keys, WebFinger, an inbox that records.

It signs its own activities and its documents can be changed at will, so that it can also be a hostile one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy import Connection, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from fediart.activitypub.signatures.integrity import add_proof
from fediart.activitypub.signatures.keys import generate_ed25519_pair, generate_rsa_pair
from fediart.activitypub.signatures.sign import NOTHING_ELSE, sign_request, sign_request_rfc9421
from fediart.activitypub.vocabulary import AS, AS_PUBLIC
from fediart.clock import system_clock, to_iso
from fediart.storage.tables import deliveries, jobs
from tests.waiting import until
from tests.world import World

_SERVERS = itertools.count()
"""Keys are made once and used again by a later test's server, never by two that stand side by side."""

AP = "application/activity+json"
JRD = "application/jrd+json"


@cache
def key_pair(number: int) -> tuple[str, str]:
    """(private, public) PEM; made once, because making one takes 50 ms."""
    return generate_rsa_pair()


@cache
def ed25519_pair(number: int) -> tuple[str, str]:
    """(private PEM, public Multikey)"""
    return generate_ed25519_pair()


@dataclass
class Served:
    """What one path answers."""

    body: bytes
    content_type: str | None = AP
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


Answer = Served | Callable[[Request], Awaitable[Response]]


@dataclass
class FarActor:
    """Somebody on a far server."""

    server: FarServer
    name: str
    number: int
    count: int = 0

    @property
    def uri(self) -> str:
        return f"{self.server.url}/users/{self.name}"

    @property
    def key_id(self) -> str:
        return f"{self.uri}#main-key"

    @property
    def followers(self) -> str:
        return f"{self.uri}/followers"

    @property
    def acct(self) -> str:
        return f"{self.name}@{self.server.host}"

    def document(self, **changes: Any) -> dict[str, Any]:
        return {
            "@context": [AS, "https://w3id.org/security/v1"],
            "id": self.uri,
            "type": "Person",
            "preferredUsername": self.name,
            "name": self.name.title(),
            "summary": "",
            "inbox": f"{self.uri}/inbox",
            "outbox": f"{self.uri}/outbox",
            "followers": self.followers,
            "following": f"{self.uri}/following",
            "endpoints": {"sharedInbox": f"{self.server.url}/inbox"},
            "url": f"{self.server.url}/@{self.name}",
            "manuallyApprovesFollowers": False,
            "publicKey": {"id": self.key_id, "owner": self.uri, "publicKeyPem": key_pair(self.number)[1]},
            **changes,
        }

    @property
    def multikey(self) -> dict[str, str]:
        """What stands in `assertionMethod`, where it is shown with it."""
        key = ed25519_pair(self.number)[1]
        return {"id": f"{self.uri}#ed25519-key", "type": "Multikey", "controller": self.uri, "publicKeyMultibase": key}

    def proven(self, activity: Mapping[str, Any], *, at: int | None = None, key: int | None = None) -> dict[str, Any]:
        """With an integrity proof of its own. `key`: by another key than its own."""
        pem = ed25519_pair(self.number if key is None else key)[0]
        return add_proof(activity, self.multikey["id"], pem, at if at is not None else system_clock())

    def shows(self, **changes: Any) -> None:
        """Change its document."""
        self.server.serve(f"/users/{self.name}", self.document(**changes))

    def uri_of(self, what: str) -> str:
        """A new id on its server."""
        self.count += 1
        return f"{self.server.url}/{what}/{self.name}-{self.count}"

    def activity(self, kind: str, of: Any, **more: Any) -> dict[str, Any]:
        said = {"@context": AS, "id": self.uri_of(kind.lower()), "type": kind, "actor": self.uri, "object": of, **more}
        return {name: value for name, value in said.items() if value is not None}

    def note(self, content: str = "<p>evening light</p>", **more: Any) -> dict[str, Any]:
        """A public note, unless `to` and `cc` say otherwise."""
        said = {
            "id": self.uri_of("notes"),
            "type": "Note",
            "attributedTo": self.uri,
            "content": content,
            "published": to_iso(system_clock()),
            "to": [AS_PUBLIC],
            "cc": [self.followers],
            **more,
        }
        return {name: value for name, value in said.items() if value is not None}

    def create(self, note: dict[str, Any], **more: Any) -> dict[str, Any]:
        return self.activity("Create", note, to=note.get("to"), cc=note.get("cc"), **more)

    def signed(
        self,
        url: str,
        body: bytes,
        *,
        key_id: str | None = None,
        key: int | None = None,
        at: int | None = None,
        new: bool = False,
        also: Mapping[str, str] = NOTHING_ELSE,
    ) -> dict[str, str]:
        """Headers for a POST of `body` to `url`. `key`: sign with another than its own. `also`: headers that are signed too."""
        sign = sign_request_rfc9421 if new else sign_request
        pem = key_pair(self.number if key is None else key)[0]
        return sign("POST", url, body, key_id or self.key_id, pem, at if at is not None else system_clock(), also)

    async def says(self, world: World, activity: Mapping[str, Any], inbox: str | None = None, **how: Any) -> httpx.Response:
        """Deliver an activity, signed, to the shared inbox of the world's instance."""
        url = inbox or world.instance.identifiers.shared_inbox
        body = json.dumps(activity).encode()
        return await world.stranger.post(url, content=body, headers=self.signed(url, body, **how))


class FarServer:
    """Running while `a_far_server` is open. `asked` holds every request in the order of arrival."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host = url.split("://", 1)[1]
        self.asked: list[Asked] = []
        self.answers: dict[str, Answer] = {}
        self.inbox_status = 202
        self.inbox_headers: dict[str, str] = {}
        self.judge: Callable[[Asked], int | None] = lambda _: None
        """The status that a request is refused with before anything else, or None."""
        self.hold_s = 0.0
        """How long it thinks before it answers."""
        self.drops = False
        """It reads what comes and hangs up in the middle of its answer."""
        self.most_at_once = 0
        """So many requests were in hand at the same time."""
        self._inside = 0
        self._keys = itertools.count(next(_SERVERS) % 4 * 100)
        self._actors: dict[str, FarActor] = {}

    def actor(self, name: str = "ana") -> FarActor:
        """An actor of this server, made when first asked for."""
        if name not in self._actors:
            actor = FarActor(self, name, next(self._keys))
            self._actors[name] = actor
            actor.shows()
            self.knows(f"acct:{actor.acct}", actor.uri)
        return self._actors[name]

    def knows(self, resource: str, uri: str, *, subject: str | None = None) -> None:
        """What WebFinger says of a resource."""
        links = [{"rel": "self", "type": AP, "href": uri}]
        self.serve(f"/.well-known/webfinger?{resource}", {"subject": subject or resource, "links": links}, content_type=JRD)

    def serve(self, path: str, document: Any, *, content_type: str | None = AP, status: int = 200, **headers: str) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers[path] = Served(body, content_type, status, {k.replace("_", "-"): v for k, v in headers.items()})

    def holds(self, note: dict[str, Any], **changes: Any) -> None:
        """Serve a note at its own id."""
        self.serve(note["id"].removeprefix(self.url), {"@context": AS, **note, **changes})

    def redirect(self, path: str, location: str, status: int = 302) -> None:
        self.serve(path, b"", status=status, content_type=None, location=location)

    def times_asked(self, path: str) -> int:
        return sum(asked.target.split("?")[0] == path for asked in self.asked if asked.method == "GET")

    def received(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Activities that were delivered here."""
        told = [asked.document for asked in self.asked if asked.method == "POST"]
        return [document for document in told if kind is None or document["type"] == kind]

    async def handle(self, request: Request) -> Response:
        if self.drops:
            await request.body()
            return StreamingResponse(_nothing(), 202, headers={"content-length": "2"})
        self._inside += 1
        self.most_at_once = max(self.most_at_once, self._inside)
        try:
            await asyncio.sleep(self.hold_s)
            return await self._answer(request)
        finally:
            self._inside -= 1

    async def _answer(self, request: Request) -> Response:
        query = request.url.query
        target = request.scope["raw_path"].decode() + (f"?{query}" if query else "")
        self.asked.append(Asked(request.method, target, dict(request.headers), await request.body()))
        refused = self.judge(self.asked[-1])
        if refused is not None:
            return Response(status_code=refused)
        if request.method == "POST":
            return Response(status_code=self.inbox_status, headers=self.inbox_headers)
        path = request.url.path
        if path == "/.well-known/webfinger":
            path = f"{path}?{request.query_params.get('resource', '')}"
        answer = self.answers.get(path)
        if answer is None:
            return Response(status_code=404)
        if not isinstance(answer, Served):
            return await answer(request)
        response = Response(answer.body, answer.status, headers=dict(answer.headers))
        if answer.content_type is not None:
            response.headers["content-type"] = answer.content_type
        return response


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


class QuietServer(uvicorn.Server):
    """Leaves the signals of the test process alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def a_far_server(
    address: str = "127.0.0.1", *, name: str | None = None, tls: tuple[Path, Path] | None = None
) -> AsyncIterator[FarServer]:
    """`name`: how its addresses call it, if not by `address`. `tls`: (certificate, key) files."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    listener.bind((address, 0))
    shown = name or (f"[{address}]" if ":" in address else address)
    far = FarServer(f"http{'s' if tls else ''}://{shown}:{listener.getsockname()[1]}")
    app = Starlette(routes=[Route("/{path:path}", far.handle, methods=["GET", "POST"])])
    app.router.redirect_slashes = False
    config = uvicorn.Config(app, lifespan="off", log_level="critical", access_log=False, timeout_graceful_shutdown=1)
    if tls is not None:
        config.ssl_certfile, config.ssl_keyfile = str(tls[0]), str(tls[1])
    server = QuietServer(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        assert not running.done(), running.exception()
        await asyncio.sleep(0.005)
    try:
        yield far
    finally:
        # Asked to stop it would first look round for a fifth of a second.
        for open_server in server.servers:
            open_server.close()
        for connection in list(server.server_state.connections):
            connection.transport.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        listener.close()


class Canary:
    """Listens where nobody may connect, and counts who does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host = url.split("://", 1)[1]
        self.touched = 0


FORBIDDEN = "127.0.5.5"
"""On Linux all of 127.0.0.0/8 is this machine; elsewhere ::1 is the other loopback address."""


@contextlib.asynccontextmanager
async def a_canary(address: str | None = None) -> AsyncIterator[Canary]:
    if address is None:
        try:
            socket.create_server((FORBIDDEN, 0)).close()
            address = FORBIDDEN
        except OSError:
            address = "::1"
    canary: Canary

    async def touch(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        canary.touched += 1
        writer.close()

    server = await asyncio.start_server(touch, address, 0)
    port = server.sockets[0].getsockname()[1]
    canary = Canary(f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}")
    async with server:
        yield canary


# ---------------------------------------------------------------------------------------------- a world and a far server


def artist_uri(world: World) -> str:
    """The id of the world's own artist."""
    return world.instance.identifiers.actor_uri("mira")


async def find(world: World, actor: FarActor) -> str:
    """The far actor's id in the client API, once it has been looked up."""
    found = await world.client.get("/api/v2/search", params={"q": actor.uri, "resolve": "true", "type": "accounts"})
    accounts = found.json()["accounts"]
    assert accounts, f"{actor.uri} cannot be found"
    return str(accounts[0]["id"])


async def ask_to_follow(world: World, actor: FarActor) -> tuple[str, dict[str, Any]]:
    """(the far actor's id in the client API, the Follow that its server received)"""

    def asked() -> list[dict[str, Any]]:
        return [said for said in actor.server.received("Follow") if said["object"] == actor.uri]

    account_id, before = await find(world, actor), len(asked())
    answer = await world.client.post(f"/api/v1/accounts/{account_id}/follow")
    assert answer.status_code == 200, answer.text
    (newest,) = await until(lambda: asked()[before:])
    return account_id, newest


async def relationship(world: World, account_id: str) -> dict[str, Any]:
    found = await world.client.get("/api/v1/accounts/relationships", params={"id": account_id})
    held: dict[str, Any] = found.json()[0]
    return held


async def follow(world: World, actor: FarActor) -> str:
    """The world's artist follows the far actor, who accepts. Returns the actor's id in the client API."""
    account_id, asked = await ask_to_follow(world, actor)
    assert (await actor.says(world, actor.activity("Accept", asked))).status_code == 202

    async def is_following() -> bool:
        return bool((await relationship(world, account_id))["following"])

    await until(is_following)
    return account_id


async def settled(world: World) -> list[str]:
    """Wait until nothing is due or in hand; returns why the rest waits for a later time."""

    def waiting(db: Connection) -> tuple[int, list[str]]:
        now = world.instance.clock()
        rows = [row for table in (jobs, deliveries) for row in db.execute(select(table)).all()]
        return sum(row.run_at <= now for row in rows), [row.problem for row in rows if row.run_at > now]

    async def is_quiet() -> tuple[int, list[str]] | None:
        found = await world.instance.storage.read(waiting)
        return found if found[0] == 0 else None

    deferred: list[str] = (await until(is_quiet))[1]
    return deferred


async def home(world: World) -> list[dict[str, Any]]:
    """The artist's home timeline, newest first."""
    found: list[dict[str, Any]] = (await world.client.get("/api/v1/timelines/home")).json()
    return found
