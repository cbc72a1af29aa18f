"""A backup becomes a server again, in an empty folder.

All of it is first put into a hidden folder within, read to its end and compared; then it is moved into its place. Until
that is done no server starts there. Who was stopped in between types the same command again.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from fediart.archive.folders import locked, sync_folder
from fediart.archive.pack import Entry
from fediart.config import load_config
from fediart.domain.backups import RESTORING, Summary
from fediart.errors import BadArchive, Conflict, NotFound
from fediart.media.files import Files
from fediart.media.vault import Vault
from fediart.office.read_backup import Backup, opened
from fediart.office.write_backup import KEPT, LEFT_OUT, STORES
from fediart.storage import images
from fediart.storage.backups import put_restored_from, restored_from
from fediart.storage.engine import OWN_FILE, database_url, is_sound, work_alone
from fediart.storage.migrate import upgrade_to
from fediart.storage.rows import is_empty

_READY = ".ready"
"""In the hidden folder: all of it is there and was compared; what remains is to move it."""

_IGNORED = frozenset({"lost+found"})
"""What an empty disk has."""


async def restore_backup(
    file: Path,
    passphrase: str | None,
    data: Path,
    *,
    database: str | None = None,
    settings_file: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Summary | None:
    """`database`: as `storage.database`; None: as the settings in the backup (or in `settings_file`) and `env` say.

    None when an earlier restore of this folder had only to be ended. Raises BadArchive, Conflict, NotFound, ConfigError, OSError.
    """
    if not file.is_file():
        raise NotFound(f"There is no file {file}.")
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(data) as is_ours:
        if not is_ours:
            raise Conflict(f"Another fediart is restoring into {data} right now.")
        making = data / RESTORING
        if (making / _READY).exists():
            await asyncio.to_thread(_move, making, data)
            return None
        _check_empty(data)
        is_again = making.exists()
        if is_again:
            shutil.rmtree(making)
        making.mkdir(mode=0o700)
        try:
            summary = await _unpack(file, passphrase, making, database, settings_file, env or {}, is_again=is_again)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        await asyncio.to_thread(_make_ready, making)
        await asyncio.to_thread(_move, making, data)
    return replace(summary, bytes=file.stat().st_size)


def _check_empty(data: Path) -> None:
    found = sorted(path.name for path in data.iterdir() if path.name not in {RESTORING, *_IGNORED})
    if found:
        raise Conflict(
            f"{data} is not empty: {', '.join(found[:3])}{' …' if len(found) > 3 else ''}. "
            "A backup is restored into an empty folder, so that it overwrites nothing."
        )


async def _unpack(
    file: Path,
    passphrase: str | None,
    making: Path,
    database: str | None,
    settings_file: Path | None,
    env: Mapping[str, str],
    *,
    is_again: bool,
) -> Summary:
    stores: dict[str, Files | Vault] = {"media": Files(making / "media"), "originals": Vault(making / "originals")}
    with opened(file, passphrase) as backup:
        if not backup.about.has_files:
            stores = {}
        backup.take_kept(lambda entry: _keep(entry, making))
        if database is not None:
            _write_setting(making / "config.toml", database)
        said = load_config(settings_file or making / "config.toml", env).storage.database
        url = database_url(said if database is None else database, making)

        def act(db: Connection) -> Summary:
            return _take(db, backup, stores, is_again=is_again)

        summary = await work_alone(url, act)
    if not await is_sound(url):
        raise BadArchive("The rows of this backup do not make a sound database.")
    return summary


def _take(db: Connection, backup: Backup, stores: dict[str, Files | Vault], *, is_again: bool) -> Summary:
    is_new = is_empty(db)
    # A restore into this folder that was stopped may have committed these rows already.
    if not is_new and not (is_again and restored_from(db) == backup.about.id):
        raise Conflict("The database that the settings name is not empty. A backup is restored into an empty one.")
    counts = backup.take_rows(db, is_new=is_new)
    files = backup.take_files(lambda entry: _put(entry, stores))
    if is_new:
        upgrade_to(db, "head")
        images.evict_all(db)
        put_restored_from(db, backup.about.id)
    lost, changed = backup.compare(db) if stores else ((), ())
    return Summary(backup.about, counts, files, 0, lost, changed)


def _keep(entry: Entry, making: Path) -> None:
    parts = entry.name.split("/")
    if parts[0] != KEPT or len(parts) < 2 or parts[1] in LEFT_OUT or parts[1].startswith(OWN_FILE):
        raise BadArchive(f"This is no backup that fediart wrote: {entry.name} does not belong into one. Nothing was taken of it.")
    _write(entry, making.joinpath(*parts[1:]), 0o600)


def _put(entry: Entry, stores: dict[str, Files | Vault]) -> None:
    store, _, path = entry.name.partition("/")
    try:
        kept = stores[store].path(path if store == "media" else path.rpartition("/")[2])
    except (KeyError, NotFound):
        kept = None
    if kept is None or not kept.as_posix().endswith(f"/{entry.name}"):
        raise BadArchive(f"This is no backup that fediart wrote: {entry.name} does not belong into one. Nothing was taken of it.")
    _write(entry, kept, 0o644 if store == "media" else 0o600)


def _write(entry: Entry, path: Path, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise BadArchive(f"This is no backup that fediart wrote: it holds {entry.name} twice.") from None
    with os.fdopen(handle, "wb") as file:
        for piece in entry.pieces():
            file.write(piece)


def _write_setting(path: Path, database: str) -> None:
    """Let the settings file name this database."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    value = json.dumps(database)  # such a string is TOML's, too
    at = next((index for index, line in enumerate(lines) if line.strip() == "[storage]"), None)
    dotted = next((index for index, line in enumerate(lines) if line.replace(" ", "").startswith("storage.database=")), None)
    if dotted is not None:
        lines[dotted] = f"storage.database = {value}"
    elif at is not None:
        end = next((index for index in range(at + 1, len(lines)) if lines[index].lstrip().startswith("[")), len(lines))
        kept = [line for line in lines[at + 1 : end] if not line.replace(" ", "").startswith("database=")]
        lines[at + 1 : end] = [f"database = {value}", *kept]
    else:
        lines += ["", "[storage]", f"database = {value}"]
    text = "\n".join(lines) + "\n"
    try:
        said = tomllib.loads(text)["storage"]["database"]
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        said = None
    if said != database:
        raise Conflict(
            "The settings file of this backup cannot be changed by a program. Restore it without --database, "
            "or write storage.database into a settings file of your own."
        )
    path.write_text(text, encoding="utf-8")


def _make_ready(making: Path) -> None:
    """Everything is on the disk before it says so."""
    if hasattr(os, "sync"):
        os.sync()
    (making / "unfinished").mkdir(exist_ok=True, mode=0o700)
    (making / _READY).touch()
    sync_folder(making)


def _move(making: Path, data: Path) -> None:
    """Each name once, the database last; whoever is stopped here is gone on with."""
    left = [path for path in making.iterdir() if path.name != _READY]
    for path in sorted(left, key=lambda path: (path.name == OWN_FILE, path.name)):
        path.rename(data / path.name)
    for store in STORES:
        (data / store).mkdir(exist_ok=True)
    sync_folder(data)
    (making / _READY).unlink()
    making.rmdir()
    sync_folder(data)
