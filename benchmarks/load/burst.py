"""Send prepared requests as fast as they are answered, over so many connections: `burst PORT CONCURRENCY FILE`.

FILE holds whole HTTP/1.1 requests, each after its length in four bytes. The program loads them, prints `ready`, waits
for a line on stdin and then begins, so that reading, signing and connecting lie before the clock. Bare sockets: a
client library would take as much of the machine as the server that is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop


def pack(requests: list[bytes], path: Path) -> None:
    path.write_bytes(b"".join(len(request).to_bytes(4, "big") + request for request in requests))


def unpack(path: Path) -> list[bytes]:
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


class Line(asyncio.Protocol):
    """One connection: the next request leaves when the last one is answered."""

    def __init__(self, work: Iterator[bytes], statuses: dict[str, int], took: list[float]) -> None:
        self._work, self._statuses, self._took = work, statuses, took
        self._transport: asyncio.WriteTransport | None = None
        self._held = b""
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one without being derived from it

    def begin(self) -> None:
        assert self._transport is not None  # connected before the clock
        request = next(self._work, None)
        if request is None:
            self.done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._held += data
        head = self._held.find(b"\r\n\r\n")
        if head < 0:
            return
        fields = self._held[:head].lower()
        at = fields.find(b"content-length:")
        length = int(fields[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._held) < head + 4 + length:
            return
        status = fields[9:12].decode()
        self._held = self._held[head + 4 + length :]
        self._took.append(time.perf_counter() - self._sent)
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._statuses["lost"] = self._statuses.get("lost", 0) + 1
            self.done.set_result(None)


async def send_all(port: int, concurrency: int, requests: list[bytes]) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    work, statuses, took = iter(requests), dict[str, int](), list[float]()
    lines = []
    for _ in range(concurrency):
        _transport, line = await loop.create_connection(lambda: Line(work, statuses, took), "127.0.0.1", port)
        lines.append(line)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    began = time.perf_counter()
    for line in lines:
        line.begin()
    await asyncio.gather(*(line.done for line in lines))
    seconds = time.perf_counter() - began
    took.sort()
    return {
        "seconds": seconds,
        "statuses": statuses,
        "p50_ms": took[len(took) // 2] * 1000 if took else 0.0,
        "p99_ms": took[int(len(took) * 0.99)] * 1000 if took else 0.0,
    }


def main() -> None:
    port, concurrency, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps(uvloop.run(send_all(port, concurrency, unpack(path)))), flush=True)


if __name__ == "__main__":
    main()
