"""The acts of the policy's page from a shell: `fediart policy show|preset|set|history`."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fediart.cli.policy import policy, where
from fediart.cli.settings import Chosen, read_settings
from fediart.errors import BadInput

if TYPE_CHECKING:
    from fediart.domain.policy import AiPolicy

NOW = "A running server goes by it within seconds, and judges what is stored by it."


def _dry(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--dry-run", is_flag=True, help="Only tell what would change.")(command)


@policy.command("show")
@where
def show(data: Path, config: Path | None) -> None:
    """Print the policy that holds, key by key."""
    asyncio.run(_show(Chosen(data, config)))


@policy.command("history")
@where
def history(data: Path, config: Path | None) -> None:
    """List the revisions, newest first, with what each one changed."""
    asyncio.run(_history(Chosen(data, config)))


@policy.command("preset")
@where
@_dry
@click.argument("name", metavar="human-art|label-only|open")
def preset(data: Path, config: Path | None, dry_run: bool, name: str) -> None:
    """Go by a preset. Lists and limits stay as they are."""
    from fediart.domain.policy_keys import preset_named

    asyncio.run(_change(Chosen(data, config), lambda held: preset_named(held, name), dry_run))


@policy.command("set")
@where
@_dry
@click.argument("key")
@click.argument("value")
def set_key(data: Path, config: Path | None, dry_run: bool, key: str, value: str) -> None:
    """Change one key, as the settings file calls it: local.declared label, remote.domains '{ "ai.example" = "filter" }'."""
    from fediart.domain.policy_keys import changed, keys_of

    def act(held: AiPolicy) -> AiPolicy:
        usual = keys_of(held).get(key, "")
        return changed(held, {key: value if isinstance(usual, str | int) else _typed(key, value)})

    asyncio.run(_change(Chosen(data, config), act, dry_run))


def _typed(key: str, value: str) -> Any:
    """A list or a table, written as in the settings file. Raises BadInput."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        raise BadInput(f'{key} is written as in the settings file: ["a", "b"] or {{ "ai.example" = "filter" }}.') from None


async def _show(chosen: Chosen) -> None:
    from fediart.domain.policy_keys import in_words, keys_of

    held = await _held(chosen)
    click.echo(f"Revision {held.number}, preset {held.preset}.")
    keys = keys_of(held)
    width = max(map(len, keys))
    for key, value in keys.items():
        click.echo(f"{key.ljust(width)}  {in_words(value)}")


async def _held(chosen: Chosen) -> AiPolicy:
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        return instance.policy


async def _history(chosen: Chosen) -> None:
    from fediart.clock import to_iso
    from fediart.domain.policy_keys import differences
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs
    from fediart.storage import policies

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        revisions = await instance.storage.read(policies.policies_by_number)
    for later, earlier in zip(revisions, [*revisions[1:], None], strict=True):
        click.echo(f"{later.number}  {to_iso(later.adopted_at)}  {later.preset}")
        for key, before, after in differences(earlier, later) if earlier else ():
            click.echo(f"     {key}: {before} -> {after}")


async def _change(chosen: Chosen, act: Callable[[AiPolicy], AiPolicy], dry_run: bool) -> None:
    from fediart.domain.policy_keys import differences
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs
    from fediart.office.adopt_policy import adopt_policy
    from fediart.office.dry_run import count_changes, in_words

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        asked = act(instance.policy)
        told = differences(instance.policy, asked)
        for key, before, after in told:
            click.echo(f"{key}: {before} -> {after}")
        if not told:
            click.echo("Nothing is different.")
        elif dry_run:
            click.echo("\n".join([*in_words(await count_changes(instance, asked)), "Nothing was changed."]))
        else:
            adopted = await adopt_policy(instance, asked, None)
            click.echo(f"Revision {adopted.number} holds. {NOW}")
