"""`fediart hosts …`: other servers that this one blocks or limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fediart.cli.settings import Chosen, read_settings

if TYPE_CHECKING:
    from fediart.domain.moderation import HostAction
    from fediart.instance import Instance

WHEN = "A running server follows within seconds, else the next start does."


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    data = click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data folder.")
    config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=None,
        help="Settings file.  [default: config.toml in the data folder]",
    )
    return data(config(command))


def _putting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of both rules."""
    for option in (
        click.option("--public", "is_public", is_flag=True, help="List it, with the reason, on /about/hosts."),
        click.option("--note", default="", help="For moderators only."),
        click.option("--reason", default="", help="Why. With --public everyone can read it."),
        click.argument("host"),
    ):
        command = option(command)
    return _common(command)


@click.group()
def hosts() -> None:
    """Other servers: block or limit them."""


async def _open(chosen: Chosen, do: Callable[[Instance], Awaitable[None]]) -> None:
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        await do(instance)


def _put(chosen: Chosen, action: HostAction, host: str, reason: str, note: str, is_public: bool) -> None:
    async def do(instance: Instance) -> None:
        from fediart.office.limit_host import put_host_rule

        rule = await put_host_rule(instance, host, action, account_id=None, reason=reason, private_note=note, is_public=is_public)
        done = {"block": "is blocked", "limit": "is limited"}[rule.action]
        click.echo(f"{rule.host} {done}, and every name under it. {WHEN}")

    asyncio.run(_open(chosen, do))


@hosts.command("block")
@_putting
def block(data: Path, config: Path | None, host: str, reason: str, note: str, is_public: bool) -> None:
    """Nothing comes from HOST and nothing goes there; follows to and from it end."""
    from fediart.domain.moderation import HostAction

    _put(Chosen(data, config), HostAction.BLOCK, host, reason, note, is_public)


@hosts.command("limit")
@_putting
def limit(data: Path, config: Path | None, host: str, reason: str, note: str, is_public: bool) -> None:
    """Works of HOST are shown to followers only."""
    from fediart.domain.moderation import HostAction

    _put(Chosen(data, config), HostAction.LIMIT, host, reason, note, is_public)


@hosts.command("unblock")
@_common
@click.argument("host")
def unblock(data: Path, config: Path | None, host: str) -> None:
    """Lift the rule for HOST. Follows that ended do not come back."""

    async def do(instance: Instance) -> None:
        from fediart.office.limit_host import lift_host_rule

        click.echo(f"There is no rule for {await lift_host_rule(instance, host, account_id=None)} any more. {WHEN}")

    asyncio.run(_open(Chosen(data, config), do))


@hosts.command("list")
@_common
def list_(data: Path, config: Path | None) -> None:
    """List the rules."""

    async def do(instance: Instance) -> None:
        from fediart.storage import host_rules

        rules = await instance.storage.read(host_rules.listed_rules)
        if not rules:
            click.echo("No other server is blocked or limited.")
        for rule in rules:
            more = [*(["public"] if rule.is_public else []), *([rule.reason] if rule.reason else [])]
            click.echo("  ".join([rule.host, rule.action, *more, *([f"({rule.private_note})"] if rule.private_note else [])]))

    asyncio.run(_open(Chosen(data, config), do))


@hosts.command("export")
@_common
def export(data: Path, config: Path | None) -> None:
    """Write the rules as CSV, with the header that Mastodon's lists have."""

    async def do(instance: Instance) -> None:
        from fediart.domain.moderation import write_hosts
        from fediart.storage import host_rules

        click.echo(write_hosts(await instance.storage.read(host_rules.listed_rules)), nl=False)

    asyncio.run(_open(Chosen(data, config), do))


@hosts.command("import")
@_common
@click.argument("list_file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--public", "is_public", is_flag=True, help="List new ones on /about/hosts.")
def import_(data: Path, config: Path | None, list_file: Path, is_public: bool) -> None:
    """Take over a list: CSV as Mastodon exports it, or one host a line."""

    async def do(instance: Instance) -> None:
        from fediart.office.limit_host import import_hosts

        text = list_file.read_text(encoding="utf-8", errors="replace")
        read = await import_hosts(instance, text, account_id=None, is_public=is_public)
        for number, what, why in read.skipped:
            click.echo(f"left out{f', line {number}' if number else ''}: {what}: {why}", err=True)
        click.echo(f"{len(read.rules)} hosts were taken from the list. {WHEN}")

    asyncio.run(_open(Chosen(data, config), do))
