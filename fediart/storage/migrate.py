"""Bring a database to this version's tables, or refuse one that is newer. Alembic is loaded only here.

Before tables are changed that somebody's rows are in, the old database is kept: the file itself, or on PostgreSQL an
archive of all rows. An upgrade that fails leaves what was there: the file because only a copy is worked on
(`storage/one_file`), PostgreSQL because all of it is one transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, inspect
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from fediart import __version__
from fediart.archive.pack import PackWriter
from fediart.clock import system_clock, to_iso
from fediart.domain.backups import FORMAT, About
from fediart.errors import ConfigError, FediartError, NotFound
from fediart.storage import one_file, rows, settings
from fediart.storage.engine import file_of, is_no_room, look, migration_engine, told_at_start

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).with_name("migrations")
HEAD = "0019"
"""The newest migration; a test holds it equal to the folder. Known here so that a start that needs none loads no Alembic."""


async def migrate(url: URL, keep: Path | None = None) -> bool:
    """Run what is missing, all or nothing. True when something was run. Raises ConfigError.

    `keep`: the folder for what was there before; None: `backups`, beside the file, and nowhere on PostgreSQL.
    """
    with told_at_start(url):
        file = file_of(url)
        if file is None:
            return await _migrate_served(url, keep)
        version = await _version_at(url)
        if version is None or version == HEAD:
            return _migrate_file(url)
        return _migrate_held_file(url, file, keep or file.parent / "backups", version)


async def _version_at(url: URL) -> str | None:
    try:
        return await look(url, version_of)
    except NotFound:
        return None


def version_of(connection: Connection) -> str | None:
    """The newest migration that was run; None of a database that has no tables yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


async def _migrate_served(url: URL, keep: Path | None) -> bool:
    engine = migration_engine(url)
    assert isinstance(engine, AsyncEngine)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade_kept, keep)
    finally:
        await engine.dispose()


def _upgrade_kept(connection: Connection, keep: Path | None) -> bool:
    version = version_of(connection)
    if version == HEAD:
        return False
    _check_known(version)
    try:
        if version is not None and keep is not None:
            _keep_rows(connection, keep, version)
        upgrade_to(connection, "head")
    except FediartError:
        raise
    except Exception as problem:  # a door: whatever it was, the transaction takes it back
        raise _failed(version, problem) from problem
    return True


def _migrate_file(url: URL) -> bool:
    """A new database, or one that needs nothing: in its place."""
    engine = migration_engine(url)
    assert not isinstance(engine, AsyncEngine)
    try:
        with engine.begin() as connection:
            if version_of(connection) == HEAD:
                return False
            upgrade_to(connection, "head")
            return True
    finally:
        engine.dispose()


def _migrate_held_file(url: URL, file: Path, keep: Path, version: str) -> bool:
    _check_known(version)

    def change(copy: Path) -> None:
        _migrate_file(url.set(database=str(copy)))

    try:
        return one_file.change_copy(file, keep / f"before-{HEAD}-{_stamp()}{file.suffix}", change, HEAD)
    except FediartError:
        raise
    except Exception as problem:  # a door: whatever it was, only a copy was changed
        raise _failed(version, problem) from problem


def _failed(version: str | None, problem: Exception) -> ConfigError:
    reason = "Is the disk full? An upgrade needs as much room again as the database has. " if is_no_room(problem) else ""
    return ConfigError(
        f"The database could not be upgraded from {version} to {HEAD}, and is as it was before. {reason}"
        "Nothing is lost: the version of fediart that you had goes on with it.",
        detail=repr(problem),
    )


def _stamp() -> str:
    return to_iso(system_clock())[:19].replace("-", "").replace(":", "") + "Z"


def _keep_rows(connection: Connection, keep: Path, version: str) -> None:
    keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole = keep / f"before-{HEAD}-{_stamp()}.tar"
    part = whole.with_name(f".{whole.name}.part")
    now = system_clock()
    try:
        with part.open("wb") as file, PackWriter(file, now // 1000) as pack:
            address = settings.setting(connection, "address") or ""
            about = About(FORMAT, secrets.token_hex(16), now, __version__, version, address, has_files=False)
            write_database(connection, pack, about)
            pack.finish()
        part.replace(whole)
    finally:
        part.unlink(missing_ok=True)
    one_file.discard_older(keep)


ABOUT, COUNTS = "backup.json", "counts.json"
"""Entries of an archive: what it is; how many rows each table has."""


def write_database(
    connection: Connection, pack: PackWriter, about: About, kept: Iterable[tuple[str, str]] = ()
) -> dict[str, int]:
    """The first entries of every backup: what it is, files `kept` (name, path), all rows, their counts (which are returned)."""
    pack.add(ABOUT, msgspec.json.encode(about))
    pack.add_files(kept)
    counts = rows.write_rows(connection, pack)
    pack.add(COUNTS, msgspec.json.encode(counts))
    return counts


def _check_known(version: str | None) -> None:
    if version is not None and version not in known_versions():
        raise ConfigError(
            f"This database was written by a newer fediart (its tables are at {version}). Please start that version again."
        )


def known_versions() -> tuple[str, ...]:
    """Oldest first."""
    return tuple(script.revision for script in _scripts(MIGRATIONS).walk_revisions())[::-1]


@cache
def _scripts(folder: Path) -> ScriptDirectory:
    """The migrations in a folder, read once."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    alembic = Config()
    alembic.set_main_option("script_location", str(folder))
    return ScriptDirectory.from_config(alembic)


def upgrade_to(connection: Connection, target: str) -> None:
    """Run what is missing to `target`, a migration or "head", in the transaction of this connection."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    scripts = _scripts(MIGRATIONS)

    def steps(revision: object, _context: object) -> object:
        return scripts._upgrade_revs(target, revision)  # type: ignore[arg-type]

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
