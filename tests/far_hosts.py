"""Many other servers in one thread of the test: each a port of this machine, with actors and an inbox that records."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.types import Receive, Scope, Send

from fediart.activitypub.signatures.keys import generate_rsa_pair
from fediart.activitypub.signatures.sign import sign_request
from fediart.activitypub.vocabulary import AP_TYPE, AS
from fediart.clock import system_clock
from tests.servers import wait_for


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery, as it came to `inbox`."""

    inbox: str
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class FarHosts:
    """`received` holds every delivery in the order of arrival. `hold_s`: how long each inbox thinks before it answers."""

    def __init__(self, ports: list[int], hold_s: float) -> None:
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.received: list[Received] = []
        self.hanging: set[str] = set()
        """Inboxes that never answer. `most_at_once`: so many requests of one host were in hand at the same time."""
        self.most_at_once = 0
        self._inside: Counter[str] = Counter()
        self._hold_s = hold_s
        self._private, self._public = generate_rsa_pair()

    def actors(self, per_host: int) -> list[str]:
        """The ids of so many actors on each host. Anybody who is asked for is there."""
        return [f"{url}/users/{name}" for url in self.urls for name in [f"vera{n}" for n in range(per_host)]]

    def _document(self, uri: str) -> dict[str, Any]:
        return {
            "@context": [AS, "https://w3id.org/security/v1"],
            "id": uri,
            "type": "Person",
            "preferredUsername": uri.rpartition("/")[2],
            "inbox": f"{uri}/inbox",
            "followers": f"{uri}/followers",
            "publicKey": {"id": f"{uri}#main-key", "owner": uri, "publicKeyPem": self._public},
        }

    def says(self, client: httpx.Client, inbox: str, activity: dict[str, Any]) -> int:
        """Deliver an activity, signed by its actor. Returns the status of the answer. Raises httpx.TransportError."""
        body, headers = self.signed(inbox, activity)
        return client.post(inbox, content=body, headers=headers).status_code

    def signed(self, inbox: str, activity: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        """An activity as it goes on the wire, and the headers with which its actor signs it."""
        body = json.dumps(activity).encode()
        return body, sign_request("POST", inbox, body, f"{activity['actor']}#main-key", self._private, system_clock())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = dict(scope["headers"])[b"host"].decode()
        url = f"http://{host}{scope['path']}"
        if scope["method"] == "POST":
            self.received.append(Received(url, await read_body(receive)))
            self._inside[host] += 1
            self.most_at_once = max(self.most_at_once, self._inside[host])
            try:
                await asyncio.sleep(3600 if url in self.hanging else self._hold_s)
            finally:
                self._inside[host] -= 1
            await send_answer(send, 202, b"")
        else:
            await send_answer(send, 200, json.dumps(self._document(url)).encode())


async def read_body(receive: Receive) -> bytes:
    body = b""
    while (message := await receive()).get("more_body") or message["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body


async def send_answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", AP_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def far_hosts(count: int, *, hold_s: float = 0, kind: type[FarHosts] = FarHosts) -> Iterator[FarHosts]:
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=256) for _ in range(count)]
    hosts = kind([listener.getsockname()[1] for listener in listeners], hold_s)
    server = uvicorn.Server(uvicorn.Config(hosts, lifespan="off", log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": listeners})
    thread.start()
    try:
        wait_for("the far hosts listen", lambda: server.started)
        yield hosts
    finally:
        server.should_exit = True
        thread.join(20)
