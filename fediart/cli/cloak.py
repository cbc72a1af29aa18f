"""`fediart cloak …`: the encoders that a cloak works against. No server is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fediart.config import Config
    from fediart.media.cloak.shelf import HeldEncoder, Impostor, Shelf

FALLBACK = "copies"


class CopiesUnlessNamed(click.Group):
    """What is no subcommand's name is meant for the command `copies`, where there is one: a picture, a folder, an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and FALLBACK in self.commands and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [FALLBACK, *args]
        return super().parse_args(ctx, args)


@click.group(cls=CopiesUnlessNamed)
def cloak() -> None:
    """The cloak, without a server. What comes first and is no command is meant for copies: fediart cloak IN... --out DIR"""


@cloak.group()
def encoders() -> None:
    """Public encoders that the cloak works against: what there is, and what is here.

    Most are small imitations of those that trainers use. Full ones are those themselves: hundreds of megabytes, minutes for
    each picture, and fediart[vae] to run them.
    """


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    data = click.option(
        "--data",
        type=click.Path(path_type=Path),
        default=None,
        help="Data folder of a server, for its encoders.  [default: those of this user]",
    )
    config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=None,
        help="Settings file.  [default: config.toml in the data folder, if there is one]",
    )
    return data(config(command))


def chosen_shelf(data: Path | None) -> Shelf:
    """The shelf of a server's data folder, or of this user."""
    import os

    from fediart.media.cloak.shelf import Shelf, own_folder

    return Shelf(data / "encoders" if data is not None else own_folder(os.environ, Path.home()))


def _settings(data: Path | None, config: Path | None) -> Config:
    """Read what is there, and make nothing."""
    import os

    from fediart.config import load_config
    from fediart.errors import ConfigError

    if config is not None and not config.exists():
        raise ConfigError(f"There is no settings file {config}.")
    return load_config(config or (data / "config.toml" if data is not None else None), os.environ)


@encoders.command("list")
@_where
def encoders_list(data: Path | None, config: Path | None) -> None:
    """List the encoders: whose models each stands for, and whether it is here."""
    shelf = chosen_shelf(data)
    wanted = _settings(data, config).cloak.encoders
    for line in table(shelf, wanted):
        click.echo(line)
    click.echo(f"* named in the settings (cloak.encoders). Files lie in {shelf.folder}")
    for line in what_full_ones_want(shelf):
        click.echo(line)


@encoders.command("fetch")
@_where
@click.argument("name", nargs=-1)
def encoders_fetch(data: Path | None, config: Path | None, name: tuple[str, ...]) -> None:
    """Fetch the encoders NAME …, or those that the settings name, where they are missing."""
    from fediart.errors import Unavailable
    from fediart.media.cloak.catalogue import check_names

    settings = _settings(data, config)
    names = list(name) or settings.cloak.encoders
    check_names("fetch" if name else "cloak.encoders", names)
    shelf = chosen_shelf(data)
    if not asyncio.run(fetch(shelf, settings, names)):
        raise Unavailable("Not everything could be fetched. Without internet: fediart cloak encoders add FILE")
    for line in what_full_ones_want(shelf):
        click.echo(line, err=True)


@encoders.command("add")
@_where
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), nargs=-1, required=True)
def encoders_add(data: Path | None, config: Path | None, file: tuple[Path, ...]) -> None:
    """Put copies of encoder files (.pth or .safetensors) where the cloak finds them. An unknown one is named by its hash."""
    from fediart.errors import BadEncoder

    _settings(data, config)
    shelf = chosen_shelf(data)
    refused = []
    for path in file:
        try:
            held = shelf.add(path)
        except BadEncoder as problem:
            click.echo(f"{path.name}: {problem.message}", err=True)
            refused.append(path)
        else:
            click.echo(f"{held.name}  {held.mirrors or UNKNOWN}")
    for line in what_full_ones_want(shelf):
        click.echo(line, err=True)
    if refused:
        raise BadEncoder(f"{len(refused)} of {len(file)} files were not added.")


@encoders.command("remove")
@_where
@click.argument("name")
def encoders_remove(data: Path | None, config: Path | None, name: str) -> None:
    """Take the encoder NAME away from here."""
    settings = _settings(data, config)
    chosen_shelf(data).remove(name)
    click.echo(f"{name} is removed.")
    if data is not None and settings.cloak.fetch_encoders and name in settings.cloak.encoders:
        click.echo("The settings name it (cloak.encoders): the server fetches it again when it starts.")


UNKNOWN = "not in the catalogue"


def table(shelf: Shelf, wanted: Sequence[str]) -> list[str]:
    """Lines with name, models, size, state and licence, first those of the catalogue."""
    held, others = shelf.survey()
    here: dict[str, HeldEncoder] = {found.name: found for found in held}
    strange: dict[str, Impostor] = {other.name: other for other in others}
    rows = [("", "name", "mirrors", "size", "state", "licence")]
    for encoder in shelf.catalogue.values():
        name = encoder.name
        size = here[name].size if name in here else encoder.size
        state = "here" if name in here else "tampered" if name in strange else "missing"
        mark = "*" if name in wanted else ""
        rows.append((mark, name, encoder.mirrors, _megabytes(size), state, encoder.licence))
    for name, found in here.items():
        if name not in shelf.catalogue:
            rows.append(("", name, UNKNOWN, _megabytes(found.size), "here", "not known"))
    for name in strange:
        if name not in shelf.catalogue:
            rows.append(("", name, UNKNOWN, "", "tampered", "not known"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def what_full_ones_want(shelf: Shelf) -> list[str]:
    """What must be installed before the full encoders on this shelf can be used."""
    from importlib.util import find_spec

    from fediart.media.cloak.encoders import GET_TORCH

    names = [found.name for found in shelf.survey()[0] if found.is_full]
    if not names or find_spec("torch") is not None:
        return []
    return [f"Not used yet: {', '.join(names)}. Full encoders need torch. {GET_TORCH}"]


def _megabytes(size: int | None) -> str:
    return f"{size / 1e6:.1f} MB" if size is not None else "not known"


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists: they will be on the same disk."""
    return next(at for at in (folder.absolute(), *folder.absolute().parents) if at.exists())


async def fetch(shelf: Shelf, settings: Config, names: Sequence[str]) -> bool:
    """Fetch what is missing, and tell of each. True when all are here then."""
    import tempfile

    from fediart import __version__
    from fediart.media.disk import Reserve
    from fediart.office.fetch_encoders import fetch_missing, host_of
    from fediart.remote.client import open_client
    from fediart.remote.guard import Guard

    guard = Guard(settings.federation.networks)
    reserve = Reserve(_there(shelf.folder), settings.storage.reserve_mb)
    client = open_client(guard, allow_http=settings.federation.allow_http, user_agent=f"fediart/{__version__}")
    try:
        with tempfile.TemporaryDirectory(prefix="fediart-") as aside:
            problems = await fetch_missing(
                client, shelf, names, Path(aside), lambda held: click.echo(f"{held.name} is fetched."), reserve=reserve
            )
    finally:
        await client.aclose()
    for name, problem in problems.items():
        click.echo(f"{name} ({host_of(shelf.catalogue[name])}): {problem.message}", err=True)
    if not problems:
        click.echo(f"All are here: {', '.join(names)}")
    return not problems
