"""`fediart account alias|move|return|delete`: what an artist can do under Settings, Moving and leaving, from a shell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fediart.cli.settings import Chosen, read_settings

if TYPE_CHECKING:
    from fediart.domain.actors import Account
    from fediart.instance import Instance

WHEN = "A running server does it within seconds, else the next start does."

_data = click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data folder.")
_config = click.option(
    "--config", type=click.Path(path_type=Path), default=None, help="Settings file.  [default: config.toml in the data folder]"
)


@click.command("alias")
@_data
@_config
@click.argument("name")
@click.argument("other", required=False)
@click.option("--remove", is_flag=True, help="OTHER is no other account of NAME's any more.")
def alias(data: Path, config: Path | None, name: str, other: str | None, remove: bool) -> None:
    """Name another account of NAME's, like @mira@elsewhere.example, which may then move here. Without OTHER: list them."""

    async def act(instance: Instance, account: Account) -> None:
        from fediart.studio.follow_actor import find_actor
        from fediart.studio.move_account import add_alias, drop_alias

        if other is not None and remove:
            known = await _aliases(instance, account)
            await drop_alias(instance, account, other if other in known else (await find_actor(instance, other)).uri)
        elif other is not None:
            await add_alias(instance, account, other)
        held = await _aliases(instance, account)
        click.echo("\n".join(held) or f"{name} names no other account.")

    asyncio.run(_as(Chosen(data, config), name, act))


@click.command("move")
@_data
@_config
@click.argument("name")
@click.argument("target")
@click.confirmation_option("--yes", prompt="Followers cannot be called back. Send them on?", help="Do not ask.")
def move(data: Path, config: Path | None, name: str, target: str) -> None:
    """Send NAME's followers to TARGET, like @mira@elsewhere.example, which must name this account as an alias."""

    async def act(instance: Instance, account: Account) -> None:
        from fediart.studio.move_account import move_account

        there = await move_account(instance, account, target, None)
        click.echo(f"{name} goes on at {there.uri}. Followers on other servers are told. {WHEN}")

    asyncio.run(_as(Chosen(data, config), name, act))


@click.command("return")
@_data
@_config
@click.argument("name")
def return_(data: Path, config: Path | None, name: str) -> None:
    """Take NAME's move back: the artist goes on here. Followers who were sent on are not called back."""

    async def act(instance: Instance, account: Account) -> None:
        from fediart.studio.move_account import return_account

        await return_account(instance, account)
        click.echo(f"{name} goes on here.")

    asyncio.run(_as(Chosen(data, config), name, act))


@click.command("delete")
@_data
@_config
@click.argument("name")
@click.confirmation_option(
    "--yes", prompt="The account, its works and its originals are deleted for good. Delete?", help="Do not ask."
)
def delete(data: Path, config: Path | None, name: str) -> None:
    """Delete NAME with all works and originals, and tell every server that was ever met. The name is never free again."""

    async def act(instance: Instance, account: Account) -> None:
        from fediart.studio.delete_account import delete_account

        await delete_account(instance, account, name, None)
        click.echo(f"{name} is gone. Files are removed and other servers told. {WHEN}")

    asyncio.run(_as(Chosen(data, config), name, act))


async def _as(chosen: Chosen, name: str, act: Callable[[Instance, Account], Awaitable[None]]) -> None:
    from fediart.errors import NotFound
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs
    from fediart.storage import accounts
    from fediart.studio.sign_in import meant_username

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        account = await instance.storage.read(accounts.account_named, meant_username(name))
        if account is None:
            raise NotFound(f"There is no account {name} here.")
        await act(instance, account)


async def _aliases(instance: Instance, account: Account) -> tuple[str, ...]:
    from fediart.storage import actors

    actor = await instance.storage.read(actors.actor_by_id, account.actor_id)
    return actor.also_known_as if actor is not None else ()
