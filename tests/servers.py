"""Real servers for tests: fediart as a process of its own, on a free port."""

from __future__ import annotations

import asyncio
import contextlib
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
from fediart.media.sample import draw_sample

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


def start_server(data: Path, port: int | None = None, settings: str = SETTINGS) -> Server:
    """Start, and wait until it answers."""
    port = port or free_port()
    data.mkdir(parents=True, exist_ok=True)
    if not (data / "config.toml").exists():
        (data / "config.toml").write_text(settings)
    with (data / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fediart", "serve", "--data", str(data), "--port", str(port)], stdout=log, stderr=log
        )
    server = Server(f"http://localhost:{port}", data, process)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
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
        self.side: Side = asyncio.run(prepare(name, data, database, {}))
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


@contextlib.contextmanager
def running(keeper: Keeper) -> Iterator[Server]:
    """The keeper's server, while the block runs; the client is closed with it."""
    with keeper.client:
        try:
            yield keeper.start()
        finally:
            keeper.stop()
