"""Files that are there, whole, once their name is: written aside, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import getpass
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fediart.errors import ConfigError, NoRoom, Unavailable

_ASIDE = re.compile(r"\.[0-9a-f]{16}\.part")


def _aside(target: Path) -> Path:
    return target.with_name(f".{secrets.token_hex(8)}.part")


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """A disk that is full or read-only is no bug: raises Unavailable."""
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES):
            raise Unavailable("This server cannot write to its disk now. Please try again later.", detail=str(problem)) from None
        raise


def write_whole(target: Path, source: bytes | Path, *, mode: int) -> None:
    """Put bytes, or a copy of a file, at `target`. After this it survives a power cut."""
    with disk_errors():
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = _aside(target)
        try:
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(handle, "wb") as file:
                _fill(file, source)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)


def _fill(file: BinaryIO, source: bytes | Path) -> None:
    if isinstance(source, bytes):
        file.write(source)
        return
    with source.open("rb") as original:
        shutil.copyfileobj(original, file, 1 << 20)


def sync_folder(folder: Path) -> None:
    """A rename is on disk once its folder is."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def key_at(path: Path) -> bytes:
    """The 32 secret bytes in a file, which is made at the first use, readable by its user only. Raises ConfigError."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(32)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
    if len(key) != 32:
        raise ConfigError(f"{path} is damaged: it must hold 32 bytes. Restore it from your backup.")
    return key


def touched(path: Path) -> bool:
    """Is the file there? It counts as written now, so that `discard_old` lets it be."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class OldFile:
    """`name` is None of one that was never finished."""

    path: Path
    name: str | None


def old_files(folder: Path, before: int, name_of: Callable[[Path], str | None]) -> tuple[int, list[OldFile]]:
    """(how many files lie in this folder, those of them that were last written before `before`, in ms).

    What is neither unfinished nor has a name is none of ours and is left out.
    """
    looked, old = 0, []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if not entry.is_file(follow_symlinks=False):
                    continue
                looked += 1
                if entry.stat(follow_symlinks=False).st_mtime_ns >= before * 1_000_000:
                    continue
                path = folder / entry.name
                name = name_of(path)
                if name is not None or _ASIDE.fullmatch(entry.name):
                    old.append(OldFile(path, name))
    return looked, old


def discard_old(path: Path, before: int) -> None:
    """Remove a file, unless it was written or touched after all: then somebody counts on it."""
    aside = _aside(path)
    with contextlib.suppress(FileNotFoundError):
        # Under its own name nobody finds it from here on, and whoever puts the same content writes it anew.
        path.rename(aside)
        if aside.stat().st_mtime_ns < before * 1_000_000:
            aside.unlink()
        else:
            aside.rename(path)


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of a disk, and those of them that this server's user may still fill."""

    size: int
    free: int


def room_at(folder: Path) -> Room:
    usage = shutil.disk_usage(folder)
    return Room(usage.total, usage.free)


NEARLY_FULL = (
    "This server's disk is nearly full, so it takes no pictures now. Everything that is here can be seen, and words can be "
    "published. Whoever runs it sees a notice about it."
)
AGAIN_S = 600


class Reserve:
    """The last of the disk, for reading and for words: `reserve_mb`, and at most a tenth of the disk."""

    def __init__(self, folder: Path, reserve_mb: int) -> None:
        self._folder = folder
        self._most = reserve_mb * 1_000_000

    def is_low(self, *, with_bytes: int = 0) -> bool:
        """Now, or once so many bytes more were written. Looks at the disk, which takes some microseconds."""
        room = room_at(self._folder)
        return room.free - with_bytes < min(self._most, room.size // 10)

    def check(self) -> None:
        """Before a picture is taken. Raises NoRoom."""
        if self.is_low():
            raise NoRoom(NEARLY_FULL, retry_after=AGAIN_S)


MOST_LOOKED_AT = 10_000


def owner_of(folder: Path) -> str:
    """The user to whom a folder belongs: its name, or its number where it has none."""
    try:
        return folder.owner()
    except KeyError:
        return str(folder.stat().st_uid)
    except NotImplementedError:  # a system on which files have no such owner
        return getpass.getuser()


def bytes_in(folder: Path) -> int:
    """Of the files in a folder and below, at most MOST_LOOKED_AT of them. 0 where there is no such folder."""
    total = looked = 0
    for at, _folders, names in os.walk(folder):
        for name in names:
            looked += 1
            if looked > MOST_LOOKED_AT:
                return total
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(at, name)).st_size
    return total
