"""A backup, read: into a database and to whoever takes its files. Nothing of it counts before its end was reached.

Read it as something that anybody may have written: names, sizes and rows are checked before anything is done with them.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec
from sqlalchemy import Connection

from fediart.archive.folders import in_the_making
from fediart.archive.pack import Entry, Source, read_pack
from fediart.archive.seal import MAGIC, SealedReader
from fediart.domain.backups import FORMAT, About, Summary
from fediart.errors import BadArchive, NotFound
from fediart.office.write_backup import STORES, path_in_store
from fediart.storage.engine import database_url, is_sound, work_alone
from fediart.storage.migrate import ABOUT, COUNTS, known_versions, upgrade_to
from fediart.storage.rows import ROWS, RowLoader, files_named

_MOST_JSON = 1 << 20
Put = Callable[[Entry], None]
"""Takes a file's bytes, or leaves them."""


@contextlib.contextmanager
def opened(file: Path, passphrase: str | None) -> Iterator[Backup]:
    """Its first entry is read. Raises BadArchive, NotFound."""
    if not file.is_file():
        raise NotFound(f"There is no file {file}.")
    with file.open("rb") as source, contextlib.closing(read_pack(_source(source, passphrase))) as entries:
        first = next(entries, None)
        if first is None or first.name != ABOUT:
            raise BadArchive("This file is no backup of fediart.")
        yield Backup(_about(first), entries)


def _source(source: BinaryIO, passphrase: str | None) -> Source:
    is_sealed = source.read(len(MAGIC)) == MAGIC
    source.seek(0)
    if not is_sealed:
        return source
    if passphrase is None:
        raise BadArchive("This backup is sealed. Give its passphrase: --passphrase-file FILE, or FEDIART_BACKUP_PASSPHRASE.")
    return SealedReader(source, passphrase)


def _about(first: Entry) -> About:
    try:
        about = msgspec.json.decode(first.read(_MOST_JSON), type=About)
    except msgspec.DecodeError:
        raise BadArchive("This backup says nothing of itself that can be read. Was it written by a newer fediart?") from None
    if about.format > FORMAT or about.schema not in known_versions():
        raise BadArchive(
            f"This backup was written by a newer fediart ({about.made_by}, its tables are at {about.schema}). "
            "Please restore it with that version, or a newer one."
        )
    return about


@dataclass(slots=True)
class Backup:
    """One that is being read, in order: files that are kept, rows, files of the stores."""

    about: About
    entries: Generator[Entry]
    _held: Entry | None = None
    _hashes: dict[str, bytes] = field(default_factory=dict)

    def take_kept(self, put: Put) -> None:
        """Those before the rows."""
        for entry in self.entries:
            if entry.name == COUNTS or entry.name.startswith(f"{ROWS}/"):
                self._held = entry
                return
            put(entry)
        raise BadArchive("This backup has no rows.")

    def take_rows(self, db: Connection, *, is_new: bool = True) -> dict[str, int]:
        """Into a database without tables, at the version of the backup; how many each table got.

        `is_new` False: they are there already, and are only read past.
        """
        loader = None
        if is_new:
            upgrade_to(db, self.about.schema)
            loader = RowLoader(db)
        for entry in itertools.chain([self._held] if self._held is not None else [], self.entries):
            if entry.name == COUNTS:
                return _counts(entry, None if loader is None else loader.counts)
            if not entry.name.startswith(f"{ROWS}/"):
                raise BadArchive("This backup is not in the order in which fediart writes one.")
            if loader is not None:
                loader.load(entry)
        raise BadArchive("This backup does not say how many rows it has.")

    def take_files(self, put: Put) -> int:
        """To the end, where it was seen that all is as it was written. Returns how many there were."""
        count = 0
        for entry in self.entries:
            if entry.name.partition("/")[0] not in STORES:
                raise BadArchive("This backup is not in the order in which fediart writes one.")
            put(entry)
            self._hashes[entry.name] = bytes.fromhex(entry.close())
            count += 1
        return count

    def compare(self, db: Connection) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """After all was taken: files that rows name and that are (not there, not what they were when their row was made)."""
        lost, changed = [], []
        for store, name, digest in files_named(db):
            path = f"{store}/{path_in_store(store, name)}"
            held = self._hashes.get(path)
            if held is None:
                lost.append(path)
            elif digest is not None and held.hex() != digest:
                changed.append(path)
        return tuple(lost), tuple(changed)


def _counts(entry: Entry, loaded: dict[str, int] | None) -> dict[str, int]:
    try:
        counts = msgspec.json.decode(entry.read(_MOST_JSON), type=dict[str, int])
    except msgspec.DecodeError:
        raise BadArchive("This backup does not say how many rows it has.") from None
    if loaded is not None and loaded != counts:
        wrong = next(name for name in {**counts, **loaded} if counts.get(name) != loaded.get(name))
        raise BadArchive(
            f"This backup is damaged: {counts.get(wrong)} rows of {wrong} were written, {loaded.get(wrong)} came out."
        )
    return counts


async def check_backup(file: Path, passphrase: str | None) -> Summary:
    """Read all of it, put its rows into a new database, compare that with its files. Raises BadArchive, OSError."""
    with in_the_making(file.parent) as scratch:
        url = database_url("", scratch)
        with opened(file, passphrase) as backup:

            def act(db: Connection) -> Summary:
                backup.take_kept(lambda entry: None)
                counts = backup.take_rows(db)
                files = backup.take_files(lambda entry: None)
                lost, changed = backup.compare(db) if backup.about.has_files else ((), ())
                upgrade_to(db, "head")
                return Summary(backup.about, counts, files, file.stat().st_size, lost, changed)

            summary = await work_alone(url, act)
        if not await is_sound(url):
            raise BadArchive("The rows of this backup do not make a sound database.")
        return summary
