"""Files go into a file at places that are known beforehand, some at a time: read, hashed and written by the same thread.

A thread has one buffer, which it uses again and again: what it read is still near the processor when it is hashed and
written, and no bytes are handed from thread to thread.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from fediart.archive.gather import GatheringFile
from fediart.errors import BadArchive

_THREADS = 2
_BATCH, _AHEAD = 32, 4
BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """The file `path` of `size` bytes. `head` goes to the place `at`, its bytes behind that, then zeros up to `end`."""

    name: str
    path: str
    size: int
    head: bytes
    at: int
    end: int


def copy_parts(out: GatheringFile, parts: Iterable[Part]) -> Iterator[tuple[Part, str]]:
    """Each part with the SHA-256 (hex) of its file, in the order given, when it is written. Raises BadArchive, OSError."""
    left = iter(parts)
    buffers: SimpleQueue[bytearray] = SimpleQueue()
    for _ in range(_THREADS):
        buffers.put(bytearray(BUFFER))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="fediart-copy") as threads:
        waiting: deque[tuple[list[Part], Future[list[str]]]] = deque()
        while True:
            while len(waiting) < _AHEAD and (batch := list(itertools.islice(left, _BATCH))):
                waiting.append((batch, threads.submit(_copy_all, out, batch, buffers)))
            if not waiting:
                return
            batch, copied = waiting.popleft()
            yield from zip(batch, copied.result(), strict=True)
            out.is_written_to(batch[-1].end)


def _copy_all(out: GatheringFile, batch: list[Part], buffers: SimpleQueue[bytearray]) -> list[str]:
    buffer = buffers.get()
    try:
        with memoryview(buffer) as view:
            return [_copy(out, part, view) for part in batch]
    finally:
        buffers.put(buffer)


def _copy(out: GatheringFile, part: Part, view: memoryview) -> str:
    digest = hashlib.sha256()
    handle = os.open(part.path, os.O_RDONLY)
    try:
        filled, at, left = len(part.head), part.at, part.size
        view[:filled] = part.head
        while True:
            size = os.readv(handle, [view[filled : min(len(view), filled + left)]]) if left else 0
            if left and not size:
                raise BadArchive(f"{part.name} became shorter while it was copied. Please make the backup again.")
            digest.update(view[filled : filled + size])
            filled += size
            left -= size
            if not left and part.end - at <= len(view):
                view[filled : part.end - at] = bytes(part.end - at - filled)
                out.write_at(view[: part.end - at], at)
                return digest.hexdigest()
            out.write_at(view[:filled], at)
            at, filled = at + filled, 0
    finally:
        os.close(handle)
