"""`fediart policy …`: the AI-art policy from a shell. No server is needed; a running one notices within seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click


@click.group()
def policy() -> None:
    """The AI-art policy of this server."""


@policy.group()
def agents() -> None:
    """The list of AI agents that robots.txt names and that are refused."""


def where(command: Callable[..., Any]) -> Callable[..., Any]:
    """--data and --config."""
    data = click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data folder.")
    config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=None,
        help="Settings file.  [default: config.toml in the data folder]",
    )
    return data(config(command))


def _check(data: Path, config: Path | None) -> None:
    """A mistake in the settings is told by every command."""
    from fediart.cli.settings import Chosen, read_settings

    read_settings(Chosen(data, config))


@agents.command("list")
@where
def agents_list(data: Path, config: Path | None) -> None:
    """List the agents: who runs each, what it fetches for, and why some are not refused."""
    from fediart.domain.known_agents import SOURCE
    from fediart.storage.agents import FILE, AgentList

    _check(data, config)
    held = AgentList(data / FILE)
    rows = [("name", "operator", "fetches for", "")]
    rows += [
        (agent.name, agent.operator, agent.category.value, f"not refused: {agent.reason}" if not agent.is_refused else "")
        for agent in sorted(held.agents, key=lambda agent: (agent.category, agent.name.casefold()))
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])).rstrip())
    click.echo(f"{len(held.agents)} agents, from {SOURCE if held.is_own else held.path}.")


@agents.command("load")
@where
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def agents_load(data: Path, config: Path | None, file: Path) -> None:
    """Go by the list in FILE, which looks like robots.json of ai.robots.txt. What we say of a name ourselves holds on."""
    from fediart.office.load_agents import load_agents

    _check(data, config)
    change = load_agents(data, file)
    _tell("added", change.added)
    _tell("removed", change.removed)
    _tell("in the list, but not used, because others carry this word too", change.loaded.unused)
    click.echo(f"{len(change.loaded.agents)} agents. A running server goes by them within seconds.")


@agents.command("reset")
@where
def agents_reset(data: Path, config: Path | None) -> None:
    """Go by the list that came with fediart again."""
    from fediart.office.load_agents import reset_agents

    _check(data, config)
    click.echo("The list that came with fediart holds again." if reset_agents(data) else "It was in use already.")


def _tell(what: str, names: Iterable[str]) -> None:
    held = list(names)
    if held:
        click.echo(f"{what}: {', '.join(held)}")
