"""`fediart invite …`: links by which somebody may make an account."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fediart.cli.settings import Chosen, read_settings

if TYPE_CHECKING:
    from fediart.instance import Instance


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    data = click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data folder.")
    config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=None,
        help="Settings file.  [default: config.toml in the data folder]",
    )
    return data(config(command))


@click.group()
def invite() -> None:
    """Invites: links by which somebody may make an account."""


async def _open(chosen: Chosen, do: Callable[[Instance], Awaitable[None]]) -> None:
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        await do(instance)


@invite.command("make")
@_common
@click.option("--uses", type=int, default=1, show_default=True, help="For how many people.")
@click.option("--days", type=int, default=7, show_default=True, help="For how many days; 0 for ever.")
@click.option("--note", default="", help="For whom, to remember.")
def make(data: Path, config: Path | None, uses: int, days: int, note: str) -> None:
    """Print a new invite's link. It is not kept in a form that could be printed again."""

    async def do(instance: Instance) -> None:
        from fediart.domain.sign_ups import SignUps
        from fediart.office.admit_people import make_invite
        from fediart.studio.sign_up import sign_ups_of

        click.echo(await make_invite(instance, uses=uses, days=days or None, note=note, by=None))
        if await sign_ups_of(instance) == SignUps.CLOSED:
            click.echo("Sign-ups are closed, so it does not count yet: accounts.sign_ups, or Admin, People wanting in.", err=True)

    asyncio.run(_open(Chosen(data, config), do))


@invite.command("list")
@_common
def list_(data: Path, config: Path | None) -> None:
    """List the invites, newest first: number, how often it was used, until when, what for."""

    async def do(instance: Instance) -> None:
        from fediart.clock import to_iso
        from fediart.storage.sign_ups import all_invites

        invites = await instance.storage.read(all_invites)
        if not invites:
            click.echo("There are no invites.")
        for held in invites:
            until = f"until {to_iso(held.until)[:10]}" if held.until is not None else "without end"
            over = [] if held.is_open(instance.clock()) else ["over"]
            maker = f"by @{held.maker}" if held.maker else "by the shell"
            click.echo("  ".join([str(held.id), f"{held.used} of {held.uses}", until, maker, *over, held.note]).rstrip())

    asyncio.run(_open(Chosen(data, config), do))


@invite.command("revoke")
@_common
@click.argument("number", type=int)
def revoke(data: Path, config: Path | None, number: int) -> None:
    """Take an invite back, by its number in the list. Who came in by it stays."""

    async def do(instance: Instance) -> None:
        from fediart.office.admit_people import revoke_invite

        await revoke_invite(instance, number, by=None)
        click.echo("Nobody comes in by it any more.")

    asyncio.run(_open(Chosen(data, config), do))
