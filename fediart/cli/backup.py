"""`fediart backup` and `fediart restore`: everything that a server holds, into one file and back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fediart.cli.settings import Chosen, read_settings

if TYPE_CHECKING:
    from fediart.config import Config
    from fediart.domain.backups import Summary

PASSPHRASE = "FEDIART_BACKUP_PASSPHRASE"  # noqa: S105 - the name of a variable
_data = click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data folder.")
_config = click.option(
    "--config", type=click.Path(path_type=Path), default=None, help="Settings file.  [default: config.toml in the data folder]"
)
_passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    default=None,
    help=f"File whose first line is the passphrase.  [default: {PASSPHRASE}, where it is set]",
)


@click.group("backup", invoke_without_command=True)
@_data
@_config
@click.option(
    "--to", type=click.Path(path_type=Path), default=None, metavar="FILE", help="The file to write, or a folder for it."
)
@click.option("--seal", is_flag=True, help="Ask for a passphrase, without which nobody can read the file.")
@_passphrase_file
@click.option("--verify/--no-verify", default=True, show_default=True, help="Read it back, and make a new database of its rows.")
@click.option("--attached", is_flag=True, hidden=True, help="End when standard input does.")
@click.option("--json", "as_json", is_flag=True, help="Tell what it holds as one line of JSON.")
@click.pass_context
def backup(context: click.Context, /, **said: Any) -> None:
    """Copy everything that this server holds into one file, while it runs."""
    if said["attached"]:
        threading.Thread(target=_end_with_input, daemon=True).start()
    if context.invoked_subcommand is None:
        if said["to"] is None:
            raise click.UsageError("Say where to: --to FILE")
        asyncio.run(_backup(Chosen(said["data"], said["config"]), said["to"], said))


@backup.command("list")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@_data
@_config
def backup_list(folder: Path | None, data: Path, config: Path | None) -> None:
    """List the backups in FOLDER, or in that of the settings, and say how the last one went."""
    asyncio.run(_list(Chosen(data, config), folder))


@backup.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@_passphrase_file
def backup_verify(file: Path, passphrase_file: Path | None) -> None:
    """Read a backup to its end, make a new database of its rows, and compare that with its files."""
    asyncio.run(_verify(file, passphrase_file))


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@_data
@click.option(
    "--database",
    default=None,
    metavar="ADDRESS",
    help='Put the rows there and write it into the settings: postgresql://…, or "" for SQLite.  [default: as it was]',
)
@_config
@_passphrase_file
def restore(file: Path, data: Path, database: str | None, config: Path | None, passphrase_file: Path | None) -> None:
    """Make a server of a backup, in an empty data folder."""
    asyncio.run(_restore(file, Chosen(data, config), database, passphrase_file))


async def _backup(chosen: Chosen, to: Path, said: dict[str, Any]) -> None:
    from fediart.clock import system_clock
    from fediart.domain.backups import name_at
    from fediart.errors import FediartError
    from fediart.office.read_backup import check_backup
    from fediart.office.write_backup import Place, write_backup
    from fediart.storage.engine import database_url

    config = _settings(chosen)
    passphrase = read_passphrase(said["passphrase_file"], os.environ)
    if said["seal"] and passphrase is None:
        passphrase = _asked()
    target = to / name_at(system_clock(), is_sealed=passphrase is not None) if to.is_dir() else to
    place = Place(chosen.data, database_url(config.storage.database, chosen.data), chosen.config)
    try:
        summary = await write_backup(place, target, passphrase)
        if said["verify"]:
            summary = _joined(summary, await check_backup(target, passphrase))
    except (FediartError, OSError) as problem:
        with contextlib.suppress(FediartError, OSError):
            words = problem.message if isinstance(problem, FediartError) else f"{problem.strerror}."
            await _remember(place.url, 0, target, words, is_good=False)
        raise
    await _remember(place.url, summary.bytes, target, " ".join(warnings_of(summary)), is_good=True)
    if said["as_json"]:
        click.echo(json.dumps({"file": str(target), "bytes": summary.bytes, "files": summary.files, "rows": summary.rows}))
        return
    click.echo(f"{target}: {in_words(summary)}" + (", read back and compared." if said["verify"] else "."))
    for line in warnings_of(summary):
        click.echo(line, err=True)


def _end_with_input() -> None:
    """Whoever began this holds the other end of the pipe: it closes when that process ends, however it ends."""
    while os.read(0, 4_096):
        pass
    os._exit(1)


def _settings(chosen: Chosen) -> Config:
    """Without making anything in the data folder."""
    from fediart.config import load_config
    from fediart.errors import NotFound

    if not chosen.data.is_dir():
        raise NotFound(f"There is no data folder {chosen.data}.")
    if chosen.config is not None:
        return read_settings(chosen)
    return load_config(chosen.data / "config.toml", os.environ)


def read_passphrase(file: Path | None, env: Any) -> str | None:
    """The first line of the file, else what the environment says. Raises ConfigError."""
    from fediart.errors import ConfigError

    if file is None:
        return env.get(PASSPHRASE) or None
    try:
        with file.open(encoding="utf-8") as text:
            found = text.readline(4_096).rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"The passphrase file {file} cannot be read.") from None
    if not found:
        raise ConfigError(f"The passphrase file {file} is empty: its first line is the passphrase.")
    return found


def _asked() -> str:
    found: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True)
    return found


async def _remember(url: Any, size: int, target: Path, words: str, *, is_good: bool) -> None:
    """For the admin's page. A database of another version is left alone."""
    from fediart.clock import system_clock
    from fediart.storage.backups import put_outcome
    from fediart.storage.engine import look, work_alone
    from fediart.storage.migrate import HEAD, version_of

    if await look(url, version_of) == HEAD:
        place = str(target.absolute())
        await work_alone(url, lambda db: put_outcome(db, at=system_clock(), size=size, place=place, words=words, is_good=is_good))


def _joined(written: Summary, read: Summary) -> Summary:
    """What was read back; a file that was lost when it was written was not there to be read."""
    from dataclasses import replace

    return replace(read, lost=tuple(sorted({*written.lost, *read.lost})))


def in_words(summary: Summary) -> str:
    works, accounts = summary.rows.get("works", 0), summary.rows.get("accounts", 0)
    named = ((works, "work", "works"), (accounts, "account", "accounts"), (summary.files, "picture file", "picture files"))
    parts = [f"{number} {one if number == 1 else many}" for number, one, many in named]
    parts += [f"{summary.bytes / 1e6:.1f} MB"] if summary.bytes else []
    return ", ".join(parts)


def warnings_of(summary: Summary) -> list[str]:
    """One sentence for each kind of trouble that is in what was copied."""
    told = []
    for paths, what in ((summary.lost, "not on the disk any more"), (summary.changed, "not what was once put there")):
        if paths:
            few = ", ".join(paths[:3]) + (" …" if len(paths) > 3 else "")
            told.append(f"{len(paths)} of the files that the database names are {what}: {few}.")
    return told


async def _list(chosen: Chosen, folder: Path | None) -> None:
    from fediart.clock import to_iso
    from fediart.domain.backups import time_of_name
    from fediart.errors import FediartError
    from fediart.storage.backups import last_backup
    from fediart.storage.engine import database_url, look

    config = _settings(chosen)
    place = folder or (Path(config.backup.folder) if config.backup.folder else None)
    if place is None:
        click.echo("No folder for backups is set (backup.folder).")
    else:
        held = sorted((at, path) for path in place.glob("fediart-*") if (at := time_of_name(path.name)) is not None)
        for at, path in held:
            click.echo(f"{to_iso(at)[:16].replace('T', ' ')} UTC  {path.stat().st_size / 1e6:10.1f} MB  {path}")
        if not held:
            click.echo(f"There is no backup in {place}.")
    with contextlib.suppress(FediartError):
        last = await look(database_url(config.storage.database, chosen.data), last_backup)
        if last is not None and not last.is_good:
            good = f"the last good one {to_iso(last.good_at)[:10]}" if last.good_at else "there was no good one yet"
            click.echo(f"The last backup, {to_iso(last.at)[:16].replace('T', ' ')} UTC, failed ({good}): {last.words}")


async def _verify(file: Path, passphrase_file: Path | None) -> None:
    from fediart.office.read_backup import check_backup

    summary = await check_backup(file, read_passphrase(passphrase_file, os.environ))
    click.echo(f"{file} is whole: {in_words(summary)}.")
    for line in warnings_of(summary):
        click.echo(line, err=True)


async def _restore(file: Path, chosen: Chosen, database: str | None, passphrase_file: Path | None) -> None:
    from fediart.office.restore_backup import restore_backup

    passphrase = read_passphrase(passphrase_file, os.environ)
    data = chosen.data
    summary = await restore_backup(file, passphrase, data, database=database, settings_file=chosen.config, env=os.environ)
    if summary is None:
        click.echo(f"The restore into {data} that was stopped is ended.")
    else:
        click.echo(f"{data}: {in_words(summary)}.")
        for line in warnings_of(summary):
            click.echo(line, err=True)
    click.echo("Stop the old server for good before you start this one: there must be one server under an address.")
