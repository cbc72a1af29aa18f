"""A file that is written in long pieces from many short ones, without copying them together, or at several places at once."""

from __future__ import annotations

import os
from types import TracebackType

_ENOUGH = 1 << 20
_RANGE = 16 << 20
_MOST = 500
"""Pieces in one call; systems take about a thousand (IOV_MAX)."""


class GatheringFile:
    """A new file, for this user only. What was written is in it after `flush`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._held: list[bytes] = []
        self._size = 0
        self._written = 0
        self._told = 0
        self._is_behind = False

    def __enter__(self) -> GatheringFile:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _problem: BaseException | None, _trace: TracebackType | None) -> None:
        os.close(self._handle)

    def write(self, data: bytes) -> int:
        """`data` must not be changed afterwards."""
        self._held.append(data)
        self._size += len(data)
        if self._size >= _ENOUGH or len(self._held) >= _MOST:
            self.flush()
        return len(data)

    @property
    def takes_places(self) -> bool:
        """Can this system write at a place, and read into a buffer?"""
        return hasattr(os, "pwrite") and hasattr(os, "readv")

    def reserve(self, size: int) -> int:
        """The place of the next so many bytes, for `write_at`; `write` goes on behind them."""
        self.flush()
        place = self._written
        self._written += size
        self._is_behind = True
        return place

    def write_at(self, data: memoryview, place: int) -> None:
        """From any thread."""
        while data:
            written = os.pwrite(self._handle, data, place)
            data, place = data[written:], place + written

    def is_written_to(self, place: int) -> None:
        """All before it is written."""
        if place - self._told >= _RANGE and hasattr(os, "posix_fadvise"):
            # The disk begins with it now and not at the end; and what the server reads stays in memory instead of this.
            os.posix_fadvise(self._handle, self._told, place - self._told, os.POSIX_FADV_DONTNEED)
            self._told = place

    def flush(self) -> None:
        held, left, self._held, self._size = self._held, self._size, [], 0
        if not held:
            return
        if self._is_behind:
            os.lseek(self._handle, self._written, os.SEEK_SET)
            self._is_behind = False
        self._written += left
        if hasattr(os, "writev"):
            left -= os.writev(self._handle, held)
        if left:
            # A disk that is nearly full takes a part, and says what is wrong at the next call.
            rest = memoryview(b"".join(held))[-left:]
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        self.is_written_to(self._written)

    def sync(self) -> None:
        """All of it survives a power cut then."""
        self.flush()
        os.fsync(self._handle)
