"""Everything that a server holds into one file, while it runs.

The database is read as it is at one moment. A file is on the disk before a row names it, and goes after its row; so that
those which the rows of that moment name can be read at leisure, each gets a second name (a hard link) first. What is in a
backup, and what is not: docs/backup.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from fediart import __version__
from fediart.archive.folders import in_the_making, sync_folder
from fediart.archive.gather import GatheringFile
from fediart.archive.pack import PackWriter, is_name
from fediart.archive.seal import SealingWriter
from fediart.clock import Clock, system_clock
from fediart.domain.backups import FORMAT, RESTORING, About, Summary
from fediart.errors import BadArchive, Conflict, NotFound, Unavailable
from fediart.storage.backups import expected_bytes
from fediart.storage.engine import OWN_FILE, file_of, look
from fediart.storage.migrate import version_of, write_database
from fediart.storage.rows import files_named
from fediart.storage.settings import setting

KEPT = "kept"
"""Folder of the archive for settings, secrets and whatever else lies in the data folder."""

STORES = ("originals", "media")

LEFT_OUT = frozenset({*STORES, "unfinished", "encoders", "backups", RESTORING})
"""Of the data folder. Files of encoders are fetched again."""

SPARE = 256 << 20
"""So many bytes a backup leaves free on its disk."""
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Place:
    """A server as it lies on a disk. `settings_file`: where it is not in the data folder."""

    data: Path
    url: URL
    settings_file: Path | None = None


async def write_backup(place: Place, target: Path, passphrase: str | None, *, clock: Clock = system_clock) -> Summary:
    """The file `target` is there, whole and synced, when this returns, and not at all before.

    Raises BadArchive, Conflict, NotFound, Unavailable, OSError. Whether it can be read back: `check_backup`.
    """
    if target.exists():
        raise Conflict(f"There is a file {target} already. Choose another name, or move it away.")
    if not target.parent.is_dir():
        raise NotFound(f"There is no folder {target.parent}.")
    file = file_of(place.url)
    # Rows are packed; to check them they are unpacked into a database again.
    database = 2 * file.stat().st_size if file is not None and file.exists() else 0
    _check_room(target, database + await look(place.url, expected_bytes))
    with contextlib.ExitStack() as stack:
        aside = stack.enter_context(in_the_making(target.parent)) / "backup"
        for store in STORES:
            (place.data / store).mkdir(exist_ok=True, mode=0o700 if store == "originals" else 0o755)
        links = {store: stack.enter_context(in_the_making(place.data / store)) for store in STORES}
        held = _Links(place.data, links)
        await look(place.url, held.take)
        made = await _try_often(place, aside, held, passphrase, clock)
        await asyncio.to_thread(_put, aside, target)
    return replace(made, bytes=target.stat().st_size)


async def _try_often(place: Place, aside: Path, held: _Links, passphrase: str | None, clock: Clock) -> Summary:
    """A file that went between the moment of the rows and its second name is in no row the next time. Else it is lost."""
    for left in reversed(range(_TRIES)):
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(GatheringFile(aside))
            out = SealingWriter(file, passphrase) if passphrase is not None else file
            moment = clock()
            pack = stack.enter_context(PackWriter(out, moment // 1000))
            told = await look(place.url, partial(_take, place, pack, held, moment))
            if told.lost and left:
                continue
            before = pack.entries
            await asyncio.to_thread(pack.add_files, held.files())
            files = pack.entries - before
            pack.finish()
            if isinstance(out, SealingWriter):
                out.finish()
            await asyncio.to_thread(file.sync)
            return replace(told, files=files)
    raise AssertionError("the last try returns")


def _take(place: Place, pack: PackWriter, held: _Links, moment: int, db: Connection) -> Summary:
    """All that is of one moment: second names for the files that rows name, settings, rows."""
    lost = held.take(db)  # first of all: from here on they may go
    version = version_of(db)
    if version is None:
        raise NotFound("There is nothing to back up yet: the database is empty.")
    about = About(FORMAT, secrets.token_hex(16), moment, __version__, version, setting(db, "address") or "", has_files=True)
    return Summary(about, write_database(db, pack, about, kept_files(place)), lost=lost)


def _put(aside: Path, target: Path) -> None:
    aside.replace(target)
    sync_folder(target.parent)


def _check_room(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < needed + SPARE:
        raise Unavailable(
            f"The disk of {target.parent} has {free / 1e9:.1f} GB free, and a backup needs some {(needed + SPARE) / 1e9:.1f} GB. "
            "Make room there, or choose another disk."
        )


class _Links:
    """Second names of the stores' files, in one folder beside each store's own."""

    def __init__(self, data: Path, folders: dict[str, Path]) -> None:
        self._roots = {store: str(data / store) for store in folders}
        self._folders = {store: str(folder) for store, folder in folders.items()}

    def take(self, db: Connection) -> tuple[str, ...]:
        """A name for each file that rows name now; returns those that are not there."""
        lost = []
        for store, name, _ in files_named(db):
            path = path_in_store(store, name)
            if not is_name(path) or not _link(
                f"{self._roots[store]}/{path}", f"{self._folders[store]}/{path.replace('/', _SLASH)}"
            ):
                lost.append(f"{store}/{path}")
        return tuple(lost)

    def files(self) -> Iterator[tuple[str, str]]:
        """(name in the archive, where it is held)."""
        for store, folder in self._folders.items():
            with os.scandir(folder) as entries:
                for entry in entries:
                    yield f"{store}/{entry.name.replace(_SLASH, '/')}", entry.path


_SLASH = "~"
"""What stands for it in a second name: all are in one folder, which is made and removed more quickly than many."""


def path_in_store(store: str, name: str) -> str:
    """Where a file lies below its store, by the name that a row has for it."""
    return name if store == "media" else f"{name[:2]}/{name}"


def _link(path: str, kept: str) -> bool:
    """False when there is no such file."""
    try:
        os.link(path, kept)
    except FileExistsError:
        return True
    except FileNotFoundError:
        return False
    except OSError:  # a disk without hard links
        try:
            shutil.copyfile(path, kept)
        except FileNotFoundError:
            return False
    return True


def _walk(folder: Path) -> Iterator[Path]:
    """Files below, in order; no links are followed."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name)
        elif entry.is_file(follow_symlinks=False):
            yield folder / entry.name


def kept_files(place: Place) -> Iterator[tuple[str, str]]:
    """(name in the archive, path) of settings and secrets. Raises BadArchive for a name that an archive cannot have."""
    if place.settings_file is not None:
        yield f"{KEPT}/config.toml", str(place.settings_file)
    database = (file_of(place.url) or Path(OWN_FILE)).name
    for path in sorted(place.data.iterdir()):
        if path.name.startswith(".") or path.name in LEFT_OUT or path.is_symlink():
            continue
        if path.name.startswith((OWN_FILE, database)) or path.suffix == ".log":
            continue
        if path.name == "config.toml" and place.settings_file is not None:
            continue
        for file in [path] if path.is_file() else _walk(path) if path.is_dir() else ():
            name = f"{KEPT}/{file.relative_to(place.data).as_posix()}"
            if not is_name(name):
                raise BadArchive(f"{file} has a name that cannot stand in a backup. Rename it: letters, digits, dots, - and _.")
            yield name, str(file)
