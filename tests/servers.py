"""Real servers for tests: fediart as a process of its own, on a free port."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fediart.cli.demo import free_port

SETTINGS = """
[federation]
allow_networks = ["127.0.0.0/8", "::1/128"]
allow_http = true
[limits]
enabled = false
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
        server.process.terminate()
        try:
            server.process.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
