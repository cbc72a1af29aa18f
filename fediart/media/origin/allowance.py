"""How much reading one stranger's file may cost."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OriginLimits:
    """`seconds`: of this thread's processor time, so that a busy machine loses nothing. `bytes`: of all metadata that is
    looked at, unfolded; `piece`: of one field."""

    seconds: float = 0.3
    bytes: int = 6 << 20
    piece: int = 1 << 20


class Spent(Exception):
    """Time or bytes are used up: what was found so far is all."""


class Allowance:
    """Counts down what `OriginLimits` allows."""

    def __init__(self, limits: OriginLimits) -> None:
        self.piece = limits.piece
        self._bytes = limits.bytes
        self._end = time.thread_time() + limits.seconds
        self._steps = 0

    def tick(self) -> None:
        """At every step that a stranger can have repeated. Raises Spent."""
        self._steps += 1
        if self._steps % 32 == 0:  # asking for the time costs more than most steps
            self._check()

    def _check(self) -> None:
        if time.thread_time() > self._end:
            raise Spent

    def take(self, data: bytes) -> bytes:
        """These bytes, now counted. Raises Spent."""
        self._check()
        self._bytes -= len(data)
        if self._bytes < 0:
            raise Spent
        return data

    def unfolded(self, packed: bytes) -> bytes:
        """The beginning of what zlib packed, at most a piece; nothing of what is broken from its start."""
        unpacker = zlib.decompressobj()
        parts: list[bytes] = []
        left = self.piece
        try:
            while packed and left > 0:
                parts.append(self.take(unpacker.decompress(packed, min(left, 1 << 16))))
                left -= len(parts[-1])
                packed = unpacker.unconsumed_tail
        except zlib.error:
            pass
        return b"".join(parts)
