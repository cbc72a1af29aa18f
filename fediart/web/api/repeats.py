"""`Idempotency-Key`: a client that did not hear our answer asks again, and must not publish twice.

Kept in memory: within one process and one hour. A client that asks again after a restart publishes again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

KEEP_MS = 3_600_000
MOST = 10_000


@dataclass(slots=True)
class _Turn:
    began: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    result: int | None = None


class Repeats:
    """What was done under which key."""

    def __init__(self) -> None:
        self._turns: OrderedDict[tuple[str, str], _Turn] = OrderedDict()

    async def once(self, token: str, key: str, now: int, act: Callable[[], Awaitable[int]]) -> int:
        """The result of `act`, or of the call with the same token and key before. What failed may be tried again."""
        self._forget(now)
        turn = self._turns.setdefault((token, key), _Turn(now))
        async with turn.lock:
            if turn.result is None:
                turn.result = await act()
            return turn.result

    def _forget(self, now: int) -> None:
        while self._turns:
            oldest = next(iter(self._turns.values()))
            if oldest.lock.locked() or (now - oldest.began < KEEP_MS and len(self._turns) <= MOST):
                return
            self._turns.popitem(last=False)
