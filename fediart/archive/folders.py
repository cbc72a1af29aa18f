"""Folders in which something is in the making: held by a lock that ends with its program, and cleared away by the next one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from fediart.domain.backups import RESTORING
from fediart.errors import ConfigError

BEGINNING = ".fediart-"
"""Of the name of every folder in the making."""


def _lock(folder: Path) -> int | None:
    """A handle whose life is the lock's; None when somebody else has it. Where there are no locks, everybody gets one."""
    if os.name != "posix":
        return -1
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _unlock(handle: int) -> None:
    if handle >= 0:
        os.close(handle)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """One program at a time has the folder, while it lives. False: another one has it now."""
    handle = _lock(folder)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            _unlock(handle)


@contextlib.contextmanager
def in_the_making(parent: Path) -> Iterator[Path]:
    """A new hidden folder in `parent`, for this user only, which is gone at the end. What killed programs left goes, too."""
    discard_left(parent)
    folder = parent / f"{BEGINNING}{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    handle = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            _unlock(handle)


def discard_left(parent: Path) -> None:
    """Remove what is in the making here and whose program is gone."""
    if os.name != "posix":
        return
    for folder in parent.glob(f"{BEGINNING}????????????????"):
        with contextlib.suppress(OSError), locked(folder) as is_ours:
            if is_ours:
                shutil.rmtree(folder, ignore_errors=True)


def check_restored(data: Path) -> None:
    """Raises ConfigError where a restore was stopped before its end."""
    if (data / RESTORING).exists():
        raise ConfigError(f"A restore into {data} was stopped before its end. Type the same fediart restore again, then start.")


def sync_folder(folder: Path) -> None:
    """A rename is on disk once its folder is."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
