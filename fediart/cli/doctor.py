"""`fediart doctor`: is everything as it must be, and what mends what is not?"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from fediart import __version__
from fediart.activitypub.identifiers import Identifiers
from fediart.cli.settings import Chosen
from fediart.config import Config, load_config
from fediart.domain.checkups import Finding, State, bad, is_well, unseen
from fediart.errors import ConfigError
from fediart.observe import set_up_logs
from fediart.office.check_machine import (
    Machine,
    check_cloak,
    check_database,
    check_disk,
    check_folders,
    check_memory,
    check_server,
    read_probe_secret,
)
from fediart.office.check_public import Asked, check_public
from fediart.remote.look import looking_client

_MARKS = {State.GOOD: "✓", State.NOTE: "!", State.BAD: "✗", State.UNSEEN: "·"}


async def check_up(config: Config, data: Path, *, disk_mb: int, wait_s: int, others: Sequence[str] = ()) -> list[Finding]:
    """Everything, in the order in which it is told. Nothing is changed."""
    machine = Machine(config, data, disk_mb)
    folders = check_folders(machine)
    database, health = await check_database(machine)
    keys = health.instance_keys if health is not None else {}
    async with looking_client(f"fediart/{__version__} (doctor; +{config.base_url})") as client:
        server = await check_server(machine, client)
        is_serving = server.state == State.GOOD
        if not is_serving and not config.instance.url:
            server = unseen("server", "It does not run.")
        asked = Asked(
            config,
            keys.get(Identifiers(config.base_url, config.account_domain).instance_actor_uri),
            read_probe_secret(data),
            wait_s,
            others,
        )
        # The cloak keeps a core busy while the front is waited for.
        cloak, public = await asyncio.gather(check_cloak(machine), check_public(asked, client, is_serving=is_serving))
    return [folders, check_disk(machine), check_memory(machine), database, cloak, server, *public]


def run_doctor(chosen: Chosen, *, as_json: bool, disk_mb: int, wait_s: int, others: Sequence[str]) -> int:
    """The exit status: 1 when something is bad."""
    set_up_logs("error", "console")
    try:
        config = load_config(chosen.config or chosen.data / "config.toml", os.environ)
    except ConfigError as problem:
        findings = [bad("settings", problem.message, "Mend that line in the settings file; config.example.toml shows every key.")]
    else:
        findings = asyncio.run(check_up(config, chosen.data, disk_mb=disk_mb, wait_s=wait_s, others=others))
    if as_json:
        click.echo(json.dumps({"well": is_well(findings), "findings": [asdict(finding) for finding in findings]}))
    else:
        for line in in_words(findings):
            click.echo(line)
        click.echo("\nAll is well." if is_well(findings) else "\nWhat is marked ✗ must be mended.")
    return 0 if is_well(findings) else 1


def in_words(findings: Sequence[Finding]) -> list[str]:
    """One line each, and one for each line of its mend; those that could not be looked at for one reason stand in one."""
    lines = []
    for (state, seen), same in itertools.groupby(findings, lambda finding: (finding.state, finding.seen)):
        group = list(same)
        names = ", ".join(finding.name for finding in group)
        lines.append(f"{_MARKS[state]} {names:<11} {seen}" if len(group) == 1 else f"{_MARKS[state]} {names}: {seen}")
        lines += [f"{'':14}→ {line}" for line in group[0].mend.splitlines()]
    return lines
