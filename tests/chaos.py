"""A network that goes wrong: proxies for TCP before servers of this machine, each in the trouble that a test puts it in.

Bytes only: what is TLS stays TLS. Which trouble a connection has is settled when it begins; `turn` cuts those that are open.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")


class Trouble(StrEnum):
    NONE = "none"
    REFUSED = "refused"
    """Nobody listens."""
    RESET = "reset"
    """In the middle of what is asked, with RST."""
    TRUNCATED = "truncated"
    """All is asked, and the answer ends after some bytes: who asks does not know whether it was heard."""
    SLOW = "slow"
    """Each piece comes late."""
    DROPS = "drops"
    """Some connections swallow all, and answer nothing."""
    HALF_CLOSED = "half-closed"
    """The far end says that it will say no more, before it has answered, and goes on listening."""
    SILENT = "silent"
    """Connections are taken, and nothing comes of them."""


LATE_S = 0.1
MIDDLE = 100
"""Bytes: within the headers of a request."""
HELD_S = 0.3
"""So long a dropped connection stays open. Of real ones a client's own patience is the end."""


class Proxy:
    """Listens on `port` and speaks with 127.0.0.1:`backend`. `taken`: connections so far."""

    def __init__(self, chaos: Chaos, backend: int, port: int) -> None:
        self.backend = backend
        self.port = port
        self.taken = 0
        self._chaos = chaos
        self._trouble = Trouble.NONE
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_busy(self) -> bool:
        """Is somebody connected?"""
        return bool(self._open)

    def turn(self, trouble: Trouble, *, backend: int | None = None) -> None:
        """From now on. `backend`: another server behind it."""
        self._chaos.call(self._turn(trouble, backend))

    async def _turn(self, trouble: Trouble, backend: int | None) -> None:
        self._trouble, self.backend = trouble, backend or self.backend
        await self.cut()
        if trouble == Trouble.REFUSED:
            await self._deafen()
        elif self._server is None:
            await self.listen()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def cut(self) -> None:
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        await self._deafen()
        await self.cut()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        task = asyncio.create_task(self._carry(reader, writer, self._trouble))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _carry(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter, trouble: Trouble) -> None:
        ends = [to_near]
        try:
            if trouble == Trouble.SILENT:
                await asyncio.Event().wait()
            if trouble == Trouble.DROPS and self._chaos.dice.random() < self._chaos.dropped:
                await asyncio.sleep(HELD_S)
                return
            far, to_far = await asyncio.open_connection("127.0.0.1", self.backend)
            ends.append(to_far)
            asked = asyncio.create_task(self._pass_on(near, to_far, trouble, MIDDLE if trouble == Trouble.RESET else None))
            answered = asyncio.create_task(self._answer(far, to_near, trouble))
            try:
                await asyncio.wait([asked, answered], return_when=asyncio.FIRST_COMPLETED)
                if trouble == Trouble.HALF_CLOSED and not asked.done():
                    await asyncio.wait([asked])
            finally:
                asked.cancel()
                answered.cancel()
            if trouble == Trouble.RESET:
                _with_reset(to_near)
        except OSError:
            pass  # who was to be spoken with is away: the near end hears an end
        finally:
            for end in ends:
                end.transport.abort() if trouble == Trouble.RESET else end.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trouble: Trouble, most: int | None = None
    ) -> None:
        """Until the end, or for `most` bytes."""
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536 if most is None else most):
                if trouble == Trouble.SLOW:
                    await asyncio.sleep(LATE_S)
                writer.write(data)
                await writer.drain()
                if most is not None and (most := most - len(data)) <= 0:
                    return

    async def _answer(self, far: asyncio.StreamReader, to_near: asyncio.StreamWriter, trouble: Trouble) -> None:
        if trouble == Trouble.HALF_CLOSED:
            await far.read(1)
            with contextlib.suppress(OSError):
                to_near.write_eof()
        elif trouble == Trouble.TRUNCATED:
            await self._pass_on(far, to_near, trouble, 20)
        else:
            await self._pass_on(far, to_near, trouble)


def _with_reset(writer: asyncio.StreamWriter) -> None:
    """What is closed now ends with RST."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Chaos:
    """All proxies of a test, in one thread. `dropped`: the share of connections that are, where some are."""

    def __init__(self, seed: int = 0) -> None:
        self.dice = random.Random(seed)
        self.dropped = 0.05
        self.proxies: list[Proxy] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def call(self, act: Coroutine[Any, Any, T]) -> T:
        done: Future[T] = asyncio.run_coroutine_threadsafe(act, self._loop)
        return done.result(20)

    def proxy(self, backend: int, port: int = 0) -> Proxy:
        """`port`: where it listens; 0 for any."""
        proxy = Proxy(self, backend, port)
        self.call(proxy.listen())
        self.proxies.append(proxy)
        return proxy

    def close(self) -> None:
        for proxy in self.proxies:
            self.call(proxy.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


@contextlib.contextmanager
def chaos(seed: int = 0) -> Iterator[Chaos]:
    made = Chaos(seed)
    try:
        yield made
    finally:
        made.close()
