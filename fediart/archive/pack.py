"""The one file of a backup: a tar archive of plain files, whose last entry is a manifest with the hash of all others.

Any tar program can open it (POSIX.1-1988 "ustar", https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html).
Here it is read strictly: regular files under plain relative names, each once, and the manifest at the end must agree with
what came before it, so that a cut or damaged archive is noticed. Memory holds a piece of one file; hashes wait on the disk.

What the entries mean is not known here: `office/write_backup`, `office/restore_backup`.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import re
import tempfile
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from fediart.archive.copying import Part, copy_parts
from fediart.archive.gather import GatheringFile
from fediart.errors import BadArchive

MANIFEST = "manifest"
BLOCK = 512
PIECE = 1 << 20
SMALL = 4 << 20
"""Files up to this size are read ahead and hashed by other threads while the one before is written."""
_BATCH, _AHEAD, _READERS = 4, 4, 2
_SPOOL = 4 << 20
_MOST_ENTRIES = 50_000_000
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_NAME = re.compile(rf"{_PART}(?:/{_PART}){{0,5}}")
_LONGEST = 100


class Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_name(name: str) -> bool:
    """Can an entry be called this? Plain letters, no `..`, nothing hidden, at most 100 of them."""
    return len(name) <= _LONGEST and _NAME.fullmatch(name) is not None


_END = (b"0" + bytes(100) + b"ustar\x0000").ljust(356, b"\0")
_SUM = sum(_END) + 8 * 32
"""Of a header without its beginning; the sum's own place counts as spaces."""


def _header(name: str, size: int, moment: int) -> bytes:
    # name, mode, owner's and group's number, size, time, (checksum), kind: a regular file.
    start = name.encode().ljust(100, b"\0") + b"0000600\x000000000\x000000000\0" + b"%011o\0%011o\0" % (size, moment)
    return start + b"%06o\0 " % (sum(start) + _SUM) + _END


class PackWriter:
    """Writes entries to `out`. `moment`: seconds since 1970, the time that all of them bear. Whole only after `finish`."""

    def __init__(self, out: Sink, moment: int) -> None:
        self._out = out
        self._moment = moment
        self._hashes = tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115 - closed on the way out
        self._of_hashes = hashlib.sha256()
        self.entries = 0
        self.size = 0

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._hashes.close()

    def add(self, name: str, data: bytes) -> None:
        self._begin(name, len(data))
        self._write(data)
        self._end(name, len(data), hashlib.sha256(data).hexdigest())

    def add_files(self, files: Iterable[tuple[str, str]]) -> None:
        """(name, path) of files that nobody changes meanwhile."""
        if isinstance(self._out, GatheringFile) and self._out.takes_places:
            for part, digest in copy_parts(self._out, self.parts(self._out, files)):
                self._note(part.name, part.size, digest)
            return
        left = iter(files)
        with ThreadPoolExecutor(_READERS) as readers:
            waiting: deque[Future[list[_Read]]] = deque()
            while batch := list(itertools.islice(left, _BATCH)):
                waiting.append(readers.submit(_read_small, batch))
                if len(waiting) > _AHEAD:
                    self._add_read(waiting.popleft().result())
            while waiting:
                self._add_read(waiting.popleft().result())

    def parts(self, out: GatheringFile, files: Iterable[tuple[str, str]]) -> Iterator[Part]:
        """(name, path) of files as parts of `out`, each with a place behind the one before."""
        for name, path in files:
            size = os.stat(path).st_size
            head = self._head(name, size)
            whole = BLOCK + size + -size % BLOCK
            at = out.reserve(whole)
            self.size += whole
            yield Part(name, path, size, head, at, at + whole)

    def _add_read(self, batch: list[_Read]) -> None:
        for name, path, data, digest in batch:
            if data is None:
                with open(path, "rb", buffering=0) as file:
                    self._add_stream(name, file)
                continue
            self._begin(name, len(data))
            self._write(data)
            self._end(name, len(data), digest)

    def _add_stream(self, name: str, file: io.FileIO) -> None:
        size = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.sha256()
        self._begin(name, size)
        left = size
        while left:
            piece = file.read(min(PIECE, left))
            if not piece:
                raise BadArchive(f"{name} became shorter while it was copied. Please make the backup again.")
            digest.update(piece)
            self._write(piece)
            left -= len(piece)
        self._end(name, size, digest.hexdigest())

    def finish(self) -> None:
        """The manifest and the end of the archive."""
        end = f"end {self.entries} {self._of_hashes.hexdigest()}\n".encode()
        size = self._hashes.tell() + len(end)
        self._begin(MANIFEST, size)
        self._hashes.seek(0)
        while piece := self._hashes.read(PIECE):
            self._write(piece)
        self._write(end)
        self._fill(size)
        self._write(bytes(2 * BLOCK))

    def _begin(self, name: str, size: int) -> None:
        self._write(self._head(name, size))

    def _head(self, name: str, size: int) -> bytes:
        if not is_name(name):
            raise BadArchive(f"{name} cannot be put into a backup: its name is not plain.")
        if size >= 1 << 33:
            raise BadArchive(f"{name} cannot be put into a backup: it has more than 8 GB.")
        return _header(name, size, self._moment)

    def _end(self, name: str, size: int, digest: str) -> None:
        self._fill(size)
        self._note(name, size, digest)

    def _note(self, name: str, size: int, digest: str) -> None:
        line = f"{digest} {size} {name}\n".encode()
        self._hashes.write(line)
        self._of_hashes.update(line)
        self.entries += 1

    def _fill(self, size: int) -> None:
        self._write(bytes(-size % BLOCK))

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self.size += len(data)


_Read = tuple[str, str, bytes | None, str]
"""Name, path, bytes and hash; None and "" of a file that is too large to be held."""


def _read_small(batch: list[tuple[str, str]]) -> list[_Read]:
    found: list[_Read] = []
    for name, path in batch:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            data = None if size > SMALL else file.read(size)
            is_whole = data is not None and len(data) == size
            found.append(
                (name, path, data, hashlib.sha256(data).hexdigest()) if is_whole and data is not None else (name, path, None, "")
            )
    return found


class Entry:
    """One file of an archive that is being read, in its turn."""

    def __init__(self, name: str, size: int, source: Source) -> None:
        self.name = name
        self.size = size
        self._source = source
        self._left = size
        self._hash = hashlib.sha256()
        self._digest: str | None = None

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, in order, at most a megabyte at a time."""
        while self._left:
            piece = _exactly(self._source, min(PIECE, self._left))
            self._hash.update(piece)
            self._left -= len(piece)
            yield piece

    def read(self, most: int) -> bytes:
        """All of it. Raises BadArchive when it is longer than `most`."""
        if self.size > most:
            raise BadArchive(f"This is no backup that fediart wrote: its part {self.name} is too long.")
        return b"".join(self.pieces())

    def close(self) -> str:
        """Read past the rest of it, if that was not done; returns the hash of all of it."""
        if self._digest is None:
            for _ in self.pieces():
                pass
            _exactly(self._source, -self.size % BLOCK)
            self._digest = self._hash.hexdigest()
        return self._digest


_CUT = "This backup ends too early: it was cut off, or its disk was full."


def _exactly(source: Source, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise BadArchive(_CUT)
    return data


def read_pack(source: Source) -> Generator[Entry]:
    """Each entry but the manifest, in order. That it ends without an error means that all is as it was written.

    Raises BadArchive. What was read before may then be wrong, too: use nothing of it.
    """
    with tempfile.SpooledTemporaryFile(_SPOOL) as hashes:
        of_hashes = hashlib.sha256()
        count = 0
        while True:
            name, size = _parse_header(_exactly(source, BLOCK))
            entry = Entry(name, size, source)
            if name == MANIFEST:
                break
            count += 1
            if count > _MOST_ENTRIES:
                raise BadArchive("This is no backup that fediart wrote: it has too many parts.")
            yield entry
            line = f"{entry.close()} {size} {name}\n".encode()
            hashes.write(line)
            of_hashes.update(line)
        hashes.write(f"end {count} {of_hashes.hexdigest()}\n".encode())
        _compare(entry, hashes)
        if any(_exactly(source, 2 * BLOCK)) or source.read(1):
            raise BadArchive("This backup was changed: something stands behind its end.")


def _compare(manifest: Entry, hashes: tempfile.SpooledTemporaryFile[bytes]) -> None:
    size = hashes.tell()
    hashes.seek(0)
    for piece in manifest.pieces():
        if hashes.read(len(piece)) != piece:
            raise BadArchive("This backup is damaged: what it holds is not what its manifest says.")
    if manifest.size != size:
        raise BadArchive("This backup is damaged: its manifest has another length.")
    manifest.close()


def _parse_header(block: bytes) -> tuple[str, int]:
    """(name, size). Raises BadArchive for whatever `PackWriter` would not write."""
    if not any(block):
        raise BadArchive(_CUT)
    if block[257:263] != b"ustar\0":
        raise BadArchive("This file is no backup of fediart, or it is damaged.")
    try:
        name = block[:100].rstrip(b"\0").decode("ascii")
        size, checksum = int(block[124:135], 8), int(block[148:154], 8)
    except ValueError:
        raise BadArchive("This file is no backup of fediart, or it is damaged.") from None
    if checksum != sum(block) - sum(block[148:156]) + 8 * 32 or size < 0:
        raise BadArchive("This backup is damaged: one of its headers does not add up.")
    if block[156:157] not in (b"0", b"\0") or any(block[157:257]) or any(block[345:500]) or not is_name(name):
        raise BadArchive(
            "This is no backup that fediart wrote: it holds something other than plain files. Nothing was taken of it."
        )
    return name, size
