"""A server to measure: a data folder made ready, `fediart serve` as a process of its own, and what that process cost."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from benchmarks.load import procstat
from fediart.config import load_config
from fediart.domain.actors import Role
from fediart.domain.cloaks import CloakStrength
from fediart.instance import open_instance
from fediart.studio.estimate_cloak import learn
from fediart.studio.open_account import open_account
from fediart.studio.sign_in import grant_token, sign_in

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "a password to measure with"
SETTINGS = """
[instance]
url = "http://localhost:{port}"

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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Member:
    """An account of the server. `token` is a client program's, `session` a browser's (empty unless asked for)."""

    name: str
    actor_id: int
    token: str
    session: str


@dataclass(frozen=True, slots=True)
class Place:
    """A data folder that is ready to be served."""

    data: Path
    port: int
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def database(self) -> Path:
        return self.data / "fediart.sqlite"


def make_place(
    data: Path,
    names: Sequence[str],
    fill: Callable[[Connection, dict[str, Member]], None] | None = None,
    *,
    sessions: bool = False,
    database: str = "",
) -> Place:
    """A migrated database with these accounts; `fill` then puts in what the measurement is about, in one transaction.

    `database`: as `storage.database`; what serves it must be told its address, too.
    """
    port = free_port()
    data.mkdir(parents=True, exist_ok=True)
    (data / "config.toml").write_text(SETTINGS.format(port=port), encoding="utf-8")

    async def make() -> dict[str, Member]:
        members = {}
        async with open_instance(
            load_config(data / "config.toml", {}, {"server.port": port, "storage.database": database}), data
        ) as instance:
            for name in names:
                account = await open_account(instance, name, PASSWORD, Role.ARTIST)
                token = await grant_token(instance, name, "read write follow", "benchmarks")
                session = await sign_in(instance, name, PASSWORD, "benchmarks") if sessions else ""
                members[name] = Member(name, account.actor_id, token, session)
            for strength in CloakStrength:
                await learn(instance, strength, 1.0, 1.0)  # known already: no sample is cloaked beside what is measured
            if fill is not None:
                await instance.storage.write(fill, members)
        return members

    return Place(data, port, asyncio.run(make()))


def environment() -> dict[str, str]:
    """As an admin's server has it: with .pyc files, whatever this shell is set to, and without settings from outside."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME")
    return {name: value for name, value in os.environ.items() if name not in left_out and not name.startswith("FEDIART_")}


class Server:
    """A running process that answers on `port`."""

    def __init__(self, command: Sequence[str], port: int, log: Path, extra: dict[str, str] | None = None) -> None:
        self.port = port
        self._log = log
        self.began = time.perf_counter()
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**environment(), **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self._connection: http.client.HTTPConnection | None = None

    def wait_until_up(self, path: str = "/healthz", seconds: float = 60) -> float:
        """Seconds from the start of the process to its first 200."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", path)[0] == 200:
                    return time.perf_counter() - self.began
            self._connection = None
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise SystemExit(f"The server did not come up:\n{self._log.read_text(errors='replace')[-3000:]}")

    def ask(
        self, method: str, path: str, *, token: str = "", cookie: str = "", body: bytes | None = None, kind: str = ""
    ) -> tuple[int, bytes]:
        """One request on a connection that is kept."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers |= {"cookie": cookie} if cookie else {}
        headers |= {"content-type": kind} if kind else {}
        if self._connection is None:
            self._connection = http.client.HTTPConnection("localhost", self.port, timeout=60)
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (ConnectionResetError, http.client.RemoteDisconnected):
            # Idle for longer than the server keeps a connection.
            self._connection.close()
            self._connection = None
            if method != "GET":
                raise
            return self.ask(method, path, token=token, cookie=cookie, body=body, kind=kind)

    def api(self, method: str, path: str, token: str, said: Any = None) -> Any:
        body = json.dumps(said).encode() if said is not None else None
        status, answer = self.ask(method, path, token=token, body=body, kind="application/json" if body else "")
        if status >= 400:
            raise SystemExit(f"{method} {path} answered {status}: {answer[:300]!r}")
        return json.loads(answer)

    def hang_up(self) -> None:
        """Let go of the kept connection: whatever is idle for long would be closed by the server anyway."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def cpu(self) -> float:
        """CPU seconds, user and system, of the process and its children so far. Resolution: 10 ms."""
        return float(procstat.measure([self.process.pid])["cpu_s"])

    def rss(self) -> float:
        """MB of memory of the process and its children."""
        return float(procstat.measure([self.process.pid])["rss_mib"]) * 1.048576

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)


@contextlib.contextmanager
def serving(
    place: Place, program: Sequence[str] = ("-m", "fediart", "serve"), extra: dict[str, str] | None = None
) -> Iterator[Server]:
    """`program` with `--data` and `--port`, up and answering."""
    command = [*program, "--data", str(place.data), "--port", str(place.port)]
    server = Server(command, place.port, place.data / "server.log", extra)
    try:
        server.wait_until_up()
        yield server
    finally:
        server.stop()
