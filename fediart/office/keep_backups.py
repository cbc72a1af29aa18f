"""Backups by themselves: every so often one, of which some are kept; each told to the admin, well or not.

The copy is made by a process of its own at low priority, which ends with this one. Its job stands in the database like every
other: what a kill interrupted is made again, and nothing half is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection

from fediart.domain.backups import Outcome, kept_of, name_at, time_of_name
from fediart.instance import Instance
from fediart.storage import jobs
from fediart.storage.backups import last_backup, put_outcome

log = structlog.get_logger("fediart.office")

BACKUP = "backup"
"""The kind of job."""

HOUR_MS = 3600 * 1000
FIRST_MS = 5 * 60 * 1000
"""After a start with a folder in which there is none yet."""

NICENESS = 10
_MOST_WORDS = 2_000


async def plan_backups(instance: Instance) -> None:
    """Put the next one into the queue, or none where no folder is set."""
    folder = instance.config.backup.folder
    newest = max(await asyncio.to_thread(_times, Path(folder)), default=None) if folder else None
    every = instance.config.backup.every_hours * HOUR_MS
    await instance.storage.write(_plan, bool(folder), newest, every, instance.clock())


def _plan(db: Connection, is_wanted: bool, newest: int | None, every: int, now: int) -> None:
    jobs.drop_job(db, BACKUP, {})
    if is_wanted:
        jobs.add_job(db, BACKUP, {}, now=now, run_at=next_at(newest, last_backup(db), every, now))


def next_at(newest: int | None, last: Outcome | None, every: int, now: int) -> int:
    """When the next one is due, all in ms: so long after the newest; an hour after one that failed."""
    due = now + FIRST_MS if newest is None else newest + every
    if last is not None and not last.is_good:
        due = max(due if newest is not None else 0, last.at + min(HOUR_MS, every))
    return max(due, now)


async def back_up(instance: Instance, _payload: dict[str, Any]) -> None:
    """Make one, discard what need not be kept, plan the next. What went wrong is told to the admin, not raised."""
    settings = instance.config.backup
    if settings.folder:
        target = Path(settings.folder) / name_at(instance.clock(), is_sealed=bool(settings.passphrase_file))
        problem = await _copy(instance, target)
        if problem is None:
            await asyncio.to_thread(_discard_old, target.parent, settings.keep_daily, settings.keep_weekly)
            log.info("backup.made", file=str(target))
        else:
            log.error("backup.failed", reason=problem)
            await instance.storage.write(
                put_outcome, at=instance.clock(), size=0, place=str(target), words=problem, is_good=False
            )
    await plan_backups(instance)


async def _copy(instance: Instance, target: Path) -> str | None:
    """None when it is there and was read back; else what went wrong, in a sentence."""
    if not target.parent.is_dir():
        return f"There is no folder {target.parent}. Make it, or connect its disk."
    command = [
        sys.executable,
        "-m",
        "fediart",
        "backup",
        "--data",
        str(instance.data),
        "--to",
        str(target),
        "--json",
        "--attached",
    ]
    if instance.config.backup.passphrase_file:
        command += ["--passphrase-file", instance.config.backup.passphrase_file]
    if instance.settings_file is not None:
        command += ["--config", str(instance.settings_file)]
    env = {**os.environ, "FEDIART_STORAGE__DATABASE": instance.config.storage.database}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=asyncio.subprocess.DEVNULL, stderr=pipe, env=env, start_new_session=True
    )
    assert process.stderr is not None
    try:
        if hasattr(os, "setpriority"):
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        told = (await process.stderr.read()).decode(errors="replace")[-_MOST_WORDS:]
        status = await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()
        raise
    if status == 0:
        return None
    lines = [line.removeprefix("fediart: ") for line in told.splitlines() if line.startswith("fediart: ")]
    return lines[0] if lines else "The program that makes the copy ended before it was done."


def _times(folder: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [at for name in os.listdir(folder) if (at := time_of_name(name)) is not None]
    return []


def _discard_old(folder: Path, daily: int, weekly: int) -> None:
    kept = kept_of(_times(folder), daily=daily, weekly=weekly)
    for path in folder.iterdir():
        at = time_of_name(path.name)
        if at is not None and at not in kept:
            path.unlink(missing_ok=True)
