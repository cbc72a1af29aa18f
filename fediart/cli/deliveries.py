"""`fediart deliveries`: was it delivered, to whom, when, and what failed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fediart.cli.settings import Chosen, read_settings

if TYPE_CHECKING:
    from fediart.domain.hosts import Host
    from fediart.instance import Instance
    from fediart.storage.deliveries import Outcome, WaitingHost

MOST = 200


@click.command("deliveries")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data folder.")
@click.option(
    "--config", type=click.Path(path_type=Path), default=None, help="Settings file.  [default: config.toml in the data folder]"
)
@click.option("--work", default=None, metavar="ID", help="What became of this work: the number at the end of its address.")
@click.option("--host", default=None, metavar="HOST", help="Only what was said to this server.")
@click.option("--failed", is_flag=True, help="Only what was given up.")
@click.option("--retry", default=None, metavar="HOST", help="Try what waits for this server again now.")
def deliveries(data: Path, config: Path | None, work: str | None, host: str | None, failed: bool, retry: str | None) -> None:
    """Tell what waits to be delivered and for whom; or what became of one work, or at one server.

    What was delivered is told for 30 days.
    """
    asyncio.run(run_deliveries(Chosen(data, config), work, host, failed=failed, retry=retry))


async def run_deliveries(chosen: Chosen, work: str | None, host: str | None, *, failed: bool, retry: str | None) -> None:
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs
    from fediart.outbox.deliver import try_now

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        if retry is not None:
            count = await try_now(instance, retry.lower())
            click.echo(f"{_deliveries(count)} wait for {retry.lower()}." if count else f"Nothing waits for {retry.lower()}.")
            if count:
                click.echo("A running server tries again within seconds, else the next start does.")
        elif work is not None or host is not None or failed:
            for line in await _outcomes(instance, work, host, failed=failed):
                click.echo(line)
        else:
            for line in await _summary(instance):
                click.echo(line)


async def _summary(instance: Instance) -> list[str]:
    from fediart.storage import deliveries as rows
    from fediart.storage import hosts

    waiting, now = await instance.storage.read(rows.waiting_hosts), instance.clock()
    if not waiting:
        return ["Nothing waits: everything was delivered or given up."]
    known = await instance.storage.read(hosts.hosts_named, [one.host for one in waiting[:MOST]])
    total = sum(one.count for one in waiting)
    lines = [f"{_deliveries(total)} wait for {_servers(len(waiting))}, the oldest since {_moment(waiting[0].oldest_at)}."]
    lines += [in_words(one, known.get(one.host), now) for one in waiting[:MOST]]
    return [*lines, *([f"and {len(waiting) - MOST} more"] if len(waiting) > MOST else [])]


def in_words(one: WaitingHost, host: Host | None, now: int) -> str:
    """One line: who, how many, why, when next."""
    reason = one.problem or (host.problem if host else "")
    since = f", failing since {_moment(host.failing_since)}" if host and host.failing_since else ""
    dead = ", tried once a day only" if host and host.is_dead else ""
    return f"  {one.host}: {one.count}{since}{dead}; {_next(one.next_at, now)}{f'; {reason}' if reason else ''}"


async def _outcomes(instance: Instance, work: str | None, host: str | None, *, failed: bool) -> list[str]:
    from fediart.errors import BadInput
    from fediart.ids import parse_id
    from fediart.storage import deliveries as rows

    work_id = parse_id(work.rstrip("/").rpartition("/")[2]) if work is not None else None
    if work is not None and work_id is None:
        raise BadInput("A work's ID is the number at the end of its address.")
    name = host.lower() if host is not None else None
    found = await instance.storage.read(rows.outcomes, work_id=work_id, host=name, failed=failed, limit=MOST)
    if not found:
        return ["Nothing failed." if failed else "Nothing is known: it went to no other server, or more than 30 days ago."]
    lines = [_outcome(one, instance.clock()) for one in found]
    return [*lines, *([f"Only the newest {MOST} are shown."] if len(found) >= MOST else [])]


def _outcome(one: Outcome, now: int) -> str:
    told = []
    if one.delivered:
        told.append(f"delivered {_moment(one.at or 0)}" + (f" to {one.delivered} inboxes" if one.delivered > 1 else ""))
    if one.failed:
        told.append(f"given up {_moment(one.at or 0)}" + (f" for {one.failed} inboxes" if one.failed > 1 else ""))
    if one.waiting:
        told.append(f"{one.waiting} waiting, {_next(one.next_at or 0, now)}")
    if one.problem and (one.failed or one.waiting):
        told.append(one.problem)
    return f"  {one.verb or 'said'} → {one.host}: {'; '.join(told)}"


def _next(at: int, now: int) -> str:
    return "due now" if at <= now else f"next try {_moment(at)}"


def _moment(ms: int) -> str:
    from fediart.clock import to_iso

    return to_iso(ms)[:16].replace("T", " ") + " UTC"


def _deliveries(count: int) -> str:
    return f"{count} delivery" if count == 1 else f"{count} deliveries"


def _servers(count: int) -> str:
    return f"{count} server" if count == 1 else f"{count} servers"
