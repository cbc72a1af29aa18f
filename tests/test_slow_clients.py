"""Whoever connects and says nothing, or drips, is let go after a while; everybody else is served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import structlog
import uvicorn

from fediart.cli.demo import free_port
from fediart.web.app import create_app
from fediart.web.deadlines import Deadlines
from tests.far_server import QuietServer
from tests.waiting import until
from tests.world import World, a_world

pytestmark = [pytest.mark.anyio, pytest.mark.row(28)]

MANY = 500
ADDRESSES = [f"127.0.0.{number}" if sys.platform == "linux" else "127.0.0.1" for number in range(1, 6)]
"""Outside of Linux only one of 127.0.0.0/8 is there."""


class Hasty(Deadlines):
    """The same in less time: what is tried is that there is an end."""

    HEAD_S = 3.0
    BODY_S = 3.0


class Counting(Deadlines):
    """Tells how often it was looked whether a body goes on."""

    BODY_S = 1.0
    looked = 0

    def _look_at_body(self) -> None:
        Counting.looked += 1
        super()._look_at_body()


@contextlib.asynccontextmanager
async def _served(world: World, port: int, protocol: type[Deadlines]) -> AsyncIterator[None]:
    config = uvicorn.Config(
        create_app(world.instance),
        port=port,
        http=protocol,
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        log_level="warning",
    )
    server = QuietServer(config)
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started or running.done())
    try:
        yield
    finally:
        server.should_exit = True
        await running


class Slow:
    """One connection. `answer`: all that came until it was closed, or None."""

    def __init__(self, begins: bytes, drips: bytes) -> None:
        self.begins, self.drips = begins, drips
        self.answer: bytes | None = None

    async def run(self, port: int, address: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        dripping = asyncio.create_task(self._drip(writer))
        heard = b""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                heard += data
        self.answer = heard
        dripping.cancel()
        writer.close()

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(self.begins)
            while self.drips:
                writer.write(self.drips)
                await writer.drain()
                await asyncio.sleep(0.1)


def _post(path: str, kind: str = "application/x-www-form-urlencoded", length: int = 3_000) -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: localhost:8000\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n".encode()


HALF = b"GET /about HTTP/1.1\r\nhost: localhost:8000\r\nx-a: "
BODIES = {
    _post("/sign-in"): 408,
    _post("/sign-in", "multipart/form-data; boundary=b") + b'--b\r\ncontent-disposition: form-data; name="username"\r\n\r\n': 408,
    _post("/inbox", "application/activity+json"): 408,
    b"POST /sign-in HTTP/1.1\r\nhost: localhost:8000\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n": 408,
    # Those are answered before their body has come, and then drip on.
    _post("/api/v1/statuses", "application/json"): 401,
    _post("/nowhere"): 404,
}


async def test_whoever_says_nothing_or_drips_is_let_go_and_others_are_served(
    prepared: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(prepared, tmp_path / "data")
    port = free_port()
    kinds = {
        "silent": [Slow(b"", b"") for _ in range(MANY)],
        "half a head": [Slow(HALF, b"a") for _ in range(MANY)],
        "half a body": [
            Slow(begins, b"1\r\na\r\n" if b"chunked" in begins else b"a") for begins in [*BODIES] * (MANY // len(BODIES) + 1)
        ],
    }
    everybody = [slow for kind in kinds.values() for slow in kind]
    async with a_world(tmp_path / "data", jobs=False) as world, _served(world, port, Hasty), httpx.AsyncClient() as good:
        with structlog.testing.capture_logs() as told, caplog.at_level(logging.WARNING):
            running = [
                asyncio.create_task(slow.run(port, ADDRESSES[number % len(ADDRESSES)])) for number, slow in enumerate(everybody)
            ]
            served = []
            while not all(task.done() for task in running):
                answer = await good.get(f"http://127.0.0.1:{port}/about", headers={"host": "localhost:8000"}, timeout=60)
                served.append(answer.status_code)
            await asyncio.gather(*running)
        assert set(served) == {200}
        assert len(served) > 3, "not only before or after"
        assert {slow.answer for slow in kinds["silent"]} == {b""}
        assert all(slow.answer is not None and slow.answer.startswith(b"HTTP/1.1 408 ") for slow in kinds["half a head"])
        bodies = [(slow.begins, slow.answer[:12]) for slow in kinds["half a body"] if slow.answer is not None]
        assert set(bodies) == {(begins, f"HTTP/1.1 {status}".encode()) for begins, status in BODIES.items()}
        assert [line for line in told if line["log_level"] == "error"] == []
        assert [record.getMessage() for record in caplog.records if record.exc_info] == []


async def test_a_body_that_goes_on_is_waited_for_and_a_head_without_end_is_not(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "data")
    port = free_port()
    async with a_world(tmp_path / "data", jobs=False) as world, _served(world, port, Counting):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        half = b"username=" + b"a" * 2 * Deadlines.BODY_BYTES
        writer.write(_post("/sign-in", length=2 * len(half)) + half)
        await until(lambda: Counting.looked)
        writer.write(half)
        assert (await reader.readline()).startswith(b"HTTP/1.1 403 "), "it was read whole, and has no form token"
        writer.close()

        for endless in (b"GET / HTTP/1.1\r\nhost: localhost:8000\r\nx-a: " + b"a" * 400_000, b"GET /" + b"a" * 400_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(endless)
            assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
            writer.close()
