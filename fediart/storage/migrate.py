"""Bring a database to this version's tables, or refuse one that is newer. Alembic is loaded only here."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from fediart.errors import ConfigError
from fediart.storage.engine import migration_engine, told_at_start

MIGRATIONS = Path(__file__).with_name("migrations")
HEAD = "0015"
"""The newest migration; a test holds it equal to the folder. Known here so that a start that needs none loads no Alembic."""


async def migrate(url: URL) -> bool:
    """Run what is missing, in one transaction where the database can. True when something was run. Raises ConfigError."""
    with told_at_start(url):
        return await _migrate(url)


async def _migrate(url: URL) -> bool:
    engine = migration_engine(url)
    if isinstance(engine, AsyncEngine):
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(_upgrade)
        finally:
            await engine.dispose()
    try:
        with engine.begin() as connection:
            return _upgrade(connection)
    finally:
        engine.dispose()


def _version(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _upgrade(connection: Connection) -> bool:
    if _version(connection) == HEAD:
        return False
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(alembic)
    version = _version(connection)
    if version is not None and version not in {script.revision for script in scripts.walk_revisions()}:
        raise ConfigError(
            f"This database was written by a newer fediart (its tables are at {version}). Please start that version again."
        )

    def steps(revision: object, _context: object) -> object:
        return scripts._upgrade_revs("head", revision)  # type: ignore[arg-type]

    with EnvironmentContext(alembic, scripts, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
    return True
