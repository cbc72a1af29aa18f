"""Files that are there, whole, once their name is: written aside, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fediart.errors import ConfigError, Unavailable


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise Unavailable("This server cannot write to its disk now. Please try again later.", detail=str(problem)) from None
        raise


def write_whole(target: Path, source: bytes | Path, *, mode: int) -> None:
    """Put bytes, or a copy of a file, at `target`. After this it survives a power cut."""
    with _disk_errors():
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{secrets.token_hex(8)}.part")
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
