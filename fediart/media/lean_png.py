"""A PNG without its texts: Pillow unpacks them all before it decodes, and refuses a picture for one that is too large."""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


@contextlib.contextmanager
def opened_lean(path: Path) -> Iterator[BinaryIO]:
    """The file, or a view of it where it is a PNG that carries text."""
    with path.open("rb") as file:
        kept = _kept(file) if file.read(8) == b"\x89PNG\r\n\x1a\n" else None
        file.seek(0)
        yield io.BufferedReader(_View(file, kept)) if kept is not None else file


def _kept(file: BinaryIO) -> list[tuple[int, int]] | None:
    """(start, end) of the parts that stay, in order; None: all of it."""
    size = file.seek(0, io.SEEK_END)
    kept, start, position = [], 0, 8
    while position + 8 <= size:
        file.seek(position)
        header = file.read(8)
        end = position + 12 + int.from_bytes(header[:4])
        if header[4:] in _TEXTS and end <= size:
            kept.append((start, position))
            start = end
        position = end
    return [*kept, (start, size)] if kept else None


class _View(io.RawIOBase):
    """Parts of a file, one after the other."""

    def __init__(self, file: BinaryIO, parts: list[tuple[int, int]]) -> None:
        self._file = file
        self._parts = [part for part in parts if part[0] < part[1]]
        self._ends = list(itertools.accumulate(end - start for start, end in self._parts))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ends[-1] if self._ends else 0}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader hands over is one
        number = bisect.bisect_right(self._ends, self._at)
        if number == len(self._parts):
            return 0
        left = self._ends[number] - self._at
        self._file.seek(self._parts[number][1] - left)
        data = self._file.read(min(len(buffer), left))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
