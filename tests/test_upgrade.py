"""From every earlier version of the tables to this one: all of it, or nothing and a sentence that says why."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from fediart.cli.settings import EXAMPLE
from fediart.errors import ConfigError
from fediart.office.restore_backup import restore_backup
from fediart.office.write_backup import Place, write_backup
from fediart.storage import migrate, one_file
from fediart.storage.engine import database_url, look, work_alone
from tests.commands import run_command
from tests.old_worlds import FOLLOWER, WORDS, lay_down, versions
from tests.postgres import Postgres
from tests.servers import wait_for
from tests.snapshot import everything
from tests.world import a_world

pytestmark = pytest.mark.anyio


def test_there_is_a_dump_of_every_earlier_version() -> None:
    missing = set(migrate.known_versions()[:-1]) - set(versions())
    assert missing == set(), "python -m tests.old_worlds makes them"


LASTING = {
    "actors": "id, uri, username, host, public_key_pem, private_key_pem",
    "accounts": "id, actor_id, password_hash",
    "works": "id, uri, actor_id, content, visibility, published_at",
    "follows": "id, follower_id, followee_id, uri",
    "images": "id, vault_key, alt",
    "renditions": "image_id, kind, name, sha256",
    "deliveries": "id, inbox",
}


def checksum(file: Path) -> str:
    """Of what no upgrade may change."""
    found = hashlib.sha256()
    with contextlib.closing(sqlite3.connect(file)) as db:
        for table, columns in LASTING.items():
            for row in db.execute(f"SELECT {columns} FROM {table} ORDER BY {columns}"):
                found.update(repr((table, *row)).encode())
    return found.hexdigest()


@pytest.mark.parametrize("version", versions())
@pytest.mark.row(62)
async def test_a_world_of_each_earlier_version_is_upgraded_and_shows_its_work(version: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    file = lay_down(version, data)
    old, said = file.read_bytes(), checksum(file)
    async with a_world(data, jobs=False) as world:
        listed = (await world.client.get("/api/v1/accounts/verify_credentials")).json()
        works = (await world.stranger.get(f"/api/v1/accounts/{listed['id']}/statuses")).json()
        assert [WORDS["waiting"] in works[0]["content"], WORDS["picture"] in works[1]["content"], len(works)] == [True, True, 2]
        picture = works[1]["media_attachments"][0]
        assert picture["description"] == "Light on water"
        for address in (picture["url"], picture["preview_url"]):
            shown = await world.stranger.get(address)
            assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
        page = await world.stranger.get(works[1]["url"])
        assert WORDS["picture"] in page.text
        assert (await world.client.get("/api/v1/timelines/home")).status_code == 200
        inboxes = await world.instance.storage.read(lambda db: db.execute(text("SELECT inbox FROM deliveries")).scalars().all())
        assert inboxes == [f"{FOLLOWER}/inbox"], "what was to be delivered still is"
    assert await look(database_url("", data), migrate.version_of) == migrate.HEAD
    assert checksum(file) == said, "every word, key, follow and delivery is what it was"
    kept = list((data / "backups").glob("*")) if version != migrate.HEAD else []
    assert [path.read_bytes() for path in kept] == [old] * len(kept)
    assert len(kept) == (version != migrate.HEAD)


# ------------------------------------------------------------------------------------------------- what fails


BROKEN = """
import time, pathlib
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.create_table("easels", sa.Column("id", sa.BigInteger(), primary_key=True))
    op.execute("UPDATE works SET content = ''")
    {then}
"""
FAILURES = {
    "an error": "raise RuntimeError('no such easel')",
    "a word that SQL does not know": "op.execute('PAINT easels')",
    "an error after half of it was committed": "op.execute('COMMIT'); raise RuntimeError('half')",
    "rows that refer to nothing": "op.execute('PRAGMA defer_foreign_keys=ON'); op.execute('DELETE FROM actors')",
}


def broken(folder: Path, then: str) -> Path:
    """A folder of migrations in which one more ends like this."""
    shutil.copytree(migrate.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9999_broken.py").write_text(BROKEN.format(head=migrate.HEAD, then=then))
    return folder


@pytest.fixture
def break_migrations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    def break_with(then: str) -> None:
        monkeypatch.setattr(migrate, "MIGRATIONS", broken(tmp_path / "broken", then))
        monkeypatch.setattr(migrate, "HEAD", "9999")

    return break_with


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.row(62)
async def test_a_migration_that_fails_leaves_the_old_file_as_it_was_byte_for_byte(
    failure: str, tmp_path: Path, break_migrations: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    file = lay_down(versions()[-1], data)
    await migrate.migrate(database_url("", data))
    shutil.rmtree(data / "backups", ignore_errors=True)
    old = file.read_bytes()
    with monkeypatch.context() as later:
        break_migrations(FAILURES[failure])
        with pytest.raises(ConfigError, match=r"not sound|is as it was before"):
            await migrate.migrate(database_url("", data))
        later.undo()
    assert file.read_bytes() == old
    assert sorted(path.name for path in data.iterdir()) == ["fediart.sqlite", "media", "originals"], "and nothing else is left"
    monkeypatch.undo()
    async with a_world(data, jobs=False) as world:
        assert (await world.stranger.get("/@mira")).status_code == 200


@pytest.mark.row(62)
async def test_on_postgresql_a_migration_that_fails_leaves_every_row_and_one_that_does_not_keeps_a_copy(
    postgres: Postgres, tmp_path: Path, break_migrations: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = database_url(postgres.new_database(), tmp_path)
    await migrate.migrate(url)
    await work_alone(url, lambda db: db.execute(text("INSERT INTO settings (key, value) VALUES ('colour', 'ochre')")))
    before = await look(url, everything)
    break_migrations(FAILURES["an error"])
    with pytest.raises(ConfigError, match="is as it was before") as told:
        await migrate.migrate(url, tmp_path / "backups")
    assert "no such easel" in (told.value.detail or "")
    assert await look(url, everything) == before
    monkeypatch.undo()
    assert await look(url, migrate.version_of) == migrate.HEAD
    monkeypatch.setattr(migrate, "MIGRATIONS", broken(tmp_path / "whole", "pass"))
    monkeypatch.setattr(migrate, "HEAD", "9999")
    assert await migrate.migrate(url, tmp_path / "copies")
    [kept] = (tmp_path / "copies").iterdir()
    assert kept.name.startswith("before-9999-")


PROGRAM = """
import sys
from pathlib import Path
from fediart.storage import migrate
migrate.MIGRATIONS, migrate.HEAD = Path(sys.argv.pop(1)), "9999"
from fediart.cli import main
main()
"""


@pytest.mark.row(62)
def test_a_kill_in_the_middle_of_an_upgrade_leaves_the_old_file_and_the_next_start_goes_on(tmp_path: Path) -> None:
    data, sign = tmp_path / "data", tmp_path / "sign"
    file = lay_down("0001", data)
    old = file.read_bytes()
    folder = broken(tmp_path / "broken", f"pathlib.Path({str(sign)!r}).touch(); time.sleep(600)")
    command = [sys.executable, "-c", PROGRAM, str(folder), "account", "list", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        wait_for("the last migration runs", sign.exists)
        process.send_signal(signal.SIGKILL)
    assert file.read_bytes() == old
    assert run_command("account", "list", "--data", str(data)).told == "@mira@localhost:8000  artist\n"
    assert not (data / one_file.ASIDE).exists()


@pytest.mark.row(62)
def test_a_kill_in_the_middle_of_an_upgrade_on_postgresql_leaves_every_row_and_the_next_start_goes_on(
    postgres: Postgres, tmp_path: Path
) -> None:
    data, copy, sign, address = tmp_path / "data", tmp_path / "copy", tmp_path / "sign", postgres.new_database()
    lay_down("0003", tmp_path / "old")
    asyncio.run(write_backup(Place(tmp_path / "old", database_url("", tmp_path / "old")), copy, None))
    asyncio.run(restore_backup(copy, None, data, database=address))
    url = database_url(address, data)
    before = asyncio.run(look(url, everything))
    folder = broken(tmp_path / "broken", f"pathlib.Path({str(sign)!r}).touch(); time.sleep(600)")
    command = [sys.executable, "-c", PROGRAM, str(folder), "account", "list", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        wait_for("the last migration runs", sign.exists)
        process.send_signal(signal.SIGKILL)
    assert asyncio.run(look(url, migrate.version_of)) == migrate.HEAD
    assert asyncio.run(look(url, everything)) == before
    assert postgres.ask(address, "SELECT to_regclass('easels') IS NULL") == "t"
    assert run_command("account", "list", "--data", str(data)).told == "@mira@localhost:8000  artist\n"
    assert not list((data / "backups").glob(".*.part")), "the half of a copy that it had begun is gone"


@pytest.mark.row(62)
def test_a_disk_that_fills_up_in_an_upgrade_is_told_in_a_sentence_and_nothing_is_lost(tmp_path: Path) -> None:
    data = tmp_path / "data"
    file = lay_down("0001", data)
    (data / "config.toml").write_bytes(EXAMPLE.read_bytes())
    old = file.read_bytes()
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({len(old) // 2},) * 2)\n"
    command = [sys.executable, "-c", f"{limited}from fediart.cli import main; main()", "account", "list", "--data", str(data)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "is as it was before. Is the disk full?" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert file.read_bytes() == old
    assert run_command("account", "list", "--data", str(data)).status == 0


@pytest.mark.row(62)
def test_older_code_refuses_a_newer_database_and_an_upgrade_waits_for_nobody_who_has_it_open(tmp_path: Path) -> None:
    data = tmp_path / "data"
    file = lay_down("0002", data)
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("SELECT count(*) FROM works").fetchone()
        refused = run_command("account", "list", "--data", str(data))
        assert refused.status == 1
        assert "another program has it open" in refused.told
        other.execute("UPDATE alembic_version SET version_num = '9999'")
        other.commit()
    before = file.read_bytes()
    refused = run_command("account", "list", "--data", str(data))
    assert refused.status == 1
    assert refused.told == (
        "This database was written by a newer fediart (its tables are at 9999). Please start that version again."
    )
    assert file.read_bytes() == before
