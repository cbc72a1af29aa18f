"""`fediart mail …`: whether this server's letters go out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from fediart.cli.settings import Chosen, read_settings


@click.group()
def mail() -> None:
    """Letters of this server."""


@mail.command("test")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data folder.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help="Settings file.  [default: config.toml in the data folder]",
)
@click.argument("address")
def mail_test(data: Path, config: Path | None, address: str) -> None:
    """Send a letter to ADDRESS by the mail server of the settings, and say what mends it if that fails. Ends with 1 then."""
    from fediart.clock import system_clock
    from fediart.domain.checkups import is_well
    from fediart.observe import set_up_logs
    from fediart.office.check_mail import check_mail

    settings = read_settings(Chosen(data, config))
    set_up_logs("warning", settings.log.format)
    found = asyncio.run(check_mail(settings, address.strip(), system_clock()))
    click.echo(found.seen)
    if not is_well([found]):
        click.echo(found.mend)
        raise SystemExit(1)
    click.echo("Look whether it is there, and not among the spam: that nobody here can see.")
