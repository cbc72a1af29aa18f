"""On which database a test's worlds lie: SQLite, or a database of their own on the session's PostgreSQL.

A world asks by its folder. What its database is called stands in a file in that folder, so that a copied folder gets a copy
of the database, and one that is opened again finds its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import make_url

from fediart.storage.engine import OWN_FILE, database_url
from fediart.storage.migrate import migrate
from tests.postgres import Postgres

SQLITE, POSTGRESQL = "sqlite", "postgresql"
USUAL = os.environ.get("FEDIART_TEST_DATABASE", SQLITE)
"""Where tests lie that do not say: `python3 run.py test --long` runs those with worlds once more with this set."""

NOTE = ".test-database"
WORLDLY = frozenset({"a_world", "a_scene", "a_far_scene", "Keeper", "SecureKeeper", "prepared", "Trial"})
"""Who names one of these in its module makes worlds."""


@dataclass
class Databases:
    """Those of one PostgreSQL that belong to folders."""

    postgres: Postgres
    template: str
    """Name of a database with this version's tables and no row."""
    made: list[str] = field(default_factory=list)

    def of(self, folder: Path) -> str:
        """The address of the database of a data folder; empty for one that holds a SQLite file already."""
        folder = folder.resolve()
        note = folder / NOTE
        if (folder / OWN_FILE).exists():
            return ""
        name, where = note.read_text().split("\n") if note.exists() else (self.template, "")
        if where != str(folder):
            name = self.postgres.copy_of(name)
            self.made.append(name)
            folder.mkdir(parents=True, exist_ok=True)
            note.write_text(f"{name}\n{folder}")
        return self.postgres.address(name)

    @contextlib.contextmanager
    def cleared(self) -> Iterator[None]:
        """What is made in the block is dropped at its end."""
        before = len(self.made)
        try:
            yield
        finally:
            self.postgres.drop(self.made[before:])
            del self.made[before:]


def databases_on(postgres: Postgres) -> Databases:
    address = postgres.new_database()
    asyncio.run(migrate(database_url(address, Path())))
    return Databases(postgres, make_url(address).database or "")


_CHOSEN: list[Databases] = []
"""The last one holds; none: SQLite."""


@contextlib.contextmanager
def chosen(databases: Databases) -> Iterator[None]:
    """Worlds made in the block lie there."""
    _CHOSEN.append(databases)
    try:
        yield
    finally:
        _CHOSEN.remove(databases)


@contextlib.contextmanager
def cleared() -> Iterator[None]:
    """`Databases.cleared` of those chosen, if any are."""
    with _CHOSEN[-1].cleared() if _CHOSEN else contextlib.nullcontext():
        yield


def address_of(folder: Path) -> str:
    """For `storage.database`; empty: the file in the folder."""
    return _CHOSEN[-1].of(folder) if _CHOSEN else ""


def address_held(folder: Path) -> str:
    """The same for a folder that a world was made in; empty also for one that has no such database."""
    return address_of(folder) if (folder / NOTE).exists() else ""
