"""Real servers for tests: fediart as a process of its own, on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from fediart.cli.demo import Side, free_port, prepare
from fediart.cli.settings import Chosen, read_settings
from fediart.domain.actors import Role
from fediart.instance import open_instance
from fediart.media.sample import draw_sample
from fediart.studio.open_account import open_account
from fediart.studio.sign_in import grant_token
from tests.databases import address_of
from tests.tls import Authority

T = TypeVar("T")

SETTINGS = """
[federation]
allow_networks = ["127.0.0.0/8", "::1/128"]
allow_http = true
[limits]
enabled = false
[cloak]
fetch_encoders = false
[log]
format = "json"
"""


@dataclass
class Server:
    url: str
    data: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return (self.data / "server.log").read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


def start_server(data: Path, port: int | None = None, settings: str = SETTINGS, **environment: str) -> Server:
    """Start, and wait until it answers. `environment`: what its own differs in from ours."""
    port = port or free_port()
    data.mkdir(parents=True, exist_ok=True)
    if not (data / "config.toml").exists():
        (data / "config.toml").write_text(f'storage.database = "{address_of(data)}"\n{settings}')
    with (data / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fediart", "serve", "--data", str(data), "--port", str(port)],
            stdout=log,
            stderr=log,
            env={**os.environ, **environment},
        )
    server = Server(f"http://localhost:{port}", data, process)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            with contextlib.suppress(urllib.error.HTTPError):  # 421, where it has another name
                urllib.request.urlopen(server.url + "/healthz", timeout=2).read()
            return server
        assert process.poll() is None, server.log
        time.sleep(0.05)
    server.kill()
    raise AssertionError("the server did not come up: " + server.log)


@contextlib.contextmanager
def a_server(data: Path) -> Iterator[Server]:
    server = start_server(data)
    try:
        yield server
    finally:
        server.stop()


def wait_for(what: str, ask: Callable[[], T | None], seconds: float = 60, every: float = 0.05) -> T:
    """Ask until the answer says something: not None, False or empty."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = ask()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"waited {seconds:.0f} seconds in vain: {what}")


class Keeper:
    """Somebody with an account on a server of its own, and a client program that speaks to it. The server may be restarted."""

    def __init__(self, data: Path, name: str = "mira", database: str = "") -> None:
        self.side: Side = asyncio.run(prepare(name, data, database or address_of(data), {}))
        self.uri = f"{self.side.url}/users/{name}"
        self.client = httpx.Client(
            base_url=self.side.url, headers={"authorization": f"Bearer {self.side.token}"}, timeout=20, trust_env=False
        )

        self.server: Server | None = None

    def start(self) -> Server:
        self.server = start_server(self.side.data, self.side.port)
        return self.server

    def kill_and_start(self) -> None:
        """SIGKILL: no handler runs, nothing is tidied up."""
        assert self.server is not None
        self.server.kill()
        self.start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop()

    def ask(self, method: str, path: str, **request: Any) -> Any:
        """What the client API answers, when it is no error."""
        answer = self.client.request(method, path, **request)
        assert answer.status_code < 400, (method, path, answer.status_code, answer.text)
        return answer.json()

    def upload(self, picture: bytes | None = None, alt: str = "An evening over water") -> str:
        """The id of a picture that is accepted, not yet cloaked."""
        data = picture if picture is not None else draw_sample(320, 240)
        found: str = self.ask(
            "POST", "/api/v2/media", files={"file": ("evening.jpg", data, "image/jpeg")}, data={"description": alt}
        )["id"]
        return found

    def post(self, text: str, *pictures: str, **more: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("POST", "/api/v1/statuses", json={"status": text, "media_ids": list(pictures), **more})
        return found

    def find(self, handle_or_uri: str) -> str:
        """The id here of an account elsewhere."""
        found = self.ask("GET", "/api/v2/search", params={"q": handle_or_uri, "resolve": "true", "type": "accounts"})
        id_: str = found["accounts"][0]["id"]
        return id_

    def is_following(self, id_: str) -> bool:
        held: bool = self.ask("GET", "/api/v1/accounts/relationships", params={"id[]": id_})[0]["following"]
        return held


class SecureKeeper(Keeper):
    """Behind TLS, as servers on the internet are: plain http is not spoken, and one authority is believed."""

    def __init__(self, data: Path, authority: Authority, name: str = "mira", host: str = "") -> None:
        """`front`: the port that `a_front` is to take. `host`: a name, where that is 443."""
        self.authority = authority
        self.front = 443 if host else free_port()
        self.side = asyncio.run(_prepare_at(f"https://{host or f'localhost:{self.front}'}", name, data))
        self.uri = f"{self.side.url}/users/{name}"
        self.client = httpx.Client(
            base_url=self.side.url,
            headers={"authorization": f"Bearer {self.side.token}"},
            timeout=20,
            trust_env=False,
            verify=authority.trusting(),
        )
        self.server = None

    def start(self) -> Server:
        self.server = start_server(self.side.data, self.side.port, SSL_CERT_FILE=str(self.authority.root))
        return self.server


async def _prepare_at(url: str, name: str, data: Path) -> Side:
    data.mkdir(parents=True)
    where = f'instance.url = "{url}"\nstorage.database = "{address_of(data)}"\n'
    (data / "config.toml").write_text(where + SETTINGS.replace("allow_http = true", "allow_http = false"))
    port, password = free_port(), secrets.token_urlsafe(12)
    async with open_instance(read_settings(Chosen(data, port=port)), data) as instance:
        await open_account(instance, name, password, Role.OWNER)
        token = await grant_token(instance, name, "read write follow", "tests")
    return Side(name, url, port, data, f"{name}@{url.removeprefix('https://')}", token, password)


@contextlib.contextmanager
def running(keeper: Keeper) -> Iterator[Server]:
    """The keeper's server, while the block runs; the client is closed with it."""
    with keeper.client:
        try:
            yield keeper.start()
        finally:
            keeper.stop()
