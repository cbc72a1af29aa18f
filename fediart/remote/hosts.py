"""What is known of other servers, at hand: who fails, who wants quiet, who takes which signature. Kept in the database too.

Most hosts are none of that, and then nothing is asked or written: a delivery that goes well costs nothing here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import structlog

from fediart.clock import Clock
from fediart.domain.hosts import Host
from fediart.errors import Unavailable

log = structlog.get_logger("fediart.remote")


class OnePerHost:
    """Turns at a host: one at a time."""

    def __init__(self) -> None:
        self._busy: dict[str, asyncio.Event] = {}

    def is_busy(self, host: str) -> bool:
        return host in self._busy

    @contextlib.asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        while (busy := self._busy.get(host)) is not None:
            await busy.wait()
        over = self._busy[host] = asyncio.Event()
        try:
            yield
        finally:
            del self._busy[host]
            over.set()


class Sightings:
    """Which servers spoke to us and took what we sent since it was last written down."""

    MOST = 10_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, int]] = {}

    def heard(self, host: str) -> None:
        if host in self._seen or len(self._seen) < self.MOST:
            self._seen[host] = (self._clock(), self._seen.get(host, (0, 0))[1])

    def reached(self, host: str) -> None:
        if host in self._seen or len(self._seen) < self.MOST:
            self._seen[host] = (self._seen.get(host, (0, 0))[0], self._clock())

    def take(self) -> list[tuple[str, int, int]]:
        """(host, when it was heard, when it was reached); 0 where it was not. Forgotten with that."""
        seen, self._seen = self._seen, {}
        return [(host, heard_at, reached_at) for host, (heard_at, reached_at) in seen.items()]


Keep = Callable[[Host], Awaitable[None]]


class Hosts:
    """`keep` writes one down; without it they are known until the end of the process only."""

    def __init__(self, known: Iterable[Host] = (), keep: Keep | None = None) -> None:
        self._known = {host.host: host for host in known}
        self._keep = keep

    def of(self, name: str) -> Host:
        return self._known.get(name) or Host(name)

    def put(self, host: Host) -> None:
        """As it stands in the database now."""
        if host.is_plain:
            self._known.pop(host.host, None)
        else:
            self._known[host.host] = host

    async def learn(self, host: Host) -> None:
        """Know it, and write it down. When that cannot be done now it will be learned again."""
        if host == self.of(host.host):
            return
        self.put(host)
        if self._keep is None:
            return
        try:
            await self._keep(host)
        except Unavailable as problem:
            log.warning("host.not_kept", host=host.host, reason=problem.message, detail=problem.detail)
