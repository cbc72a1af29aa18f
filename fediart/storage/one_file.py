"""The database that is one file, changed as a file is: aside, checked, synced, and put in its place at once.

An upgrade works on a copy. Whatever ends it (an error, a full disk, SIGKILL), the file is the old one, byte for byte, or
the new one. The old one is kept beside.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from fediart.archive.folders import locked, sync_folder
from fediart.errors import ConfigError

ASIDE = ".upgrade.sqlite"
KEPT = 3
"""So many databases from before an upgrade stay."""


def change_copy(file: Path, kept: Path, change: Callable[[Path], None], version: str) -> bool:
    """Let `change` work on a copy of `file`, and put that in its place; False when it is at `version` already.

    The old one is `kept` then. Raises ConfigError when somebody has the file open.
    """
    aside = file.with_name(ASIDE)
    with locked(file.parent) as is_ours:
        if not is_ours:
            raise ConfigError("Another fediart is upgrading this database right now. Wait until it is done.")
        if _version(file) == version:
            return False
        _discard(aside)
        try:
            with contextlib.closing(_opened_alone(file)) as held:
                with contextlib.closing(sqlite3.connect(aside)) as copy:
                    held.backup(copy)
                change(aside)
                _check(aside)
            _take_place(aside, file, kept)
        finally:
            _discard(aside)
    discard_older(kept.parent)
    return True


def _version(file: Path) -> str:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def _opened_alone(file: Path) -> sqlite3.Connection:
    """A connection beside which there is no other. What was committed and not yet in the file is in it then."""
    # In this mode the first look takes the whole file, and fails while others have it open: https://www.sqlite.org/wal.html
    connection = sqlite3.connect(file, isolation_level=None, timeout=3, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as problem:
        connection.close()
        if "locked" not in str(problem):
            raise
        raise ConfigError(
            f"The database {file} must be upgraded, and another program has it open (the older fediart, still running?). "
            "Stop that one, then start this one again."
        ) from None
    return connection


def _check(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        words = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
        loose = connection.execute("PRAGMA foreign_key_check").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if words != ["ok"] or loose is not None:
        raise ConfigError("The upgraded database is not sound.", detail=f"{words} {loose}")
    with file.open("rb") as written:
        os.fsync(written.fileno())


def _take_place(new: Path, file: Path, kept: Path) -> None:
    for tail in ("-wal", "-shm"):
        # Of the old one, and empty: its only connection was closed. Beside the new one it would be read.
        file.with_name(file.name + tail).unlink(missing_ok=True)
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new.chmod(file.stat().st_mode & 0o777)
    with contextlib.suppress(FileExistsError):
        try:
            os.link(file, kept)
        except OSError:  # a disk without hard links
            shutil.copyfile(file, kept)
    new.replace(file)
    sync_folder(file.parent)


def discard_older(keep: Path) -> None:
    """Of what stands here from before upgrades, the newest few stay."""
    held = sorted(keep.glob("before-*"), key=lambda path: path.stat().st_mtime)
    for path in held[:-KEPT]:
        path.unlink(missing_ok=True)


def _discard(file: Path) -> None:
    for tail in ("", "-wal", "-shm", "-journal"):
        file.with_name(file.name + tail).unlink(missing_ok=True)
