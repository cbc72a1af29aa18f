"""The runner: one loop per kind of job and one for deliveries, woken by what is committed, asleep otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, Row

from fediart.errors import FediartError
from fediart.instance import Instance, release_leases
from fediart.jobs.kinds import KINDS, Kind
from fediart.outbox.deliver import deliver_some
from fediart.storage import leases
from fediart.storage.tables import jobs

log = structlog.get_logger("fediart.jobs")

LONGEST_SLEEP_S = 5.0
"""Deferred rows become due without anybody waking us."""


@contextlib.asynccontextmanager
async def running_jobs(instance: Instance) -> AsyncIterator[None]:
    """Work off jobs and deliveries while the block runs. One process per database does this."""
    await release_leases(instance)
    lease = secrets.token_hex(8)
    alarms = [asyncio.Event() for _ in range(len(KINDS) + 1)]
    works = [partial(_work_some, instance, name, kind, lease) for name, kind in KINDS.items()]
    loops = [_loop(work, alarm) for work, alarm in zip([*works, partial(deliver_some, instance, lease)], alarms, strict=True)]
    tasks = [asyncio.create_task(loop) for loop in [*loops, _pass_on(instance, alarms)]]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass_on(instance: Instance, alarms: list[asyncio.Event]) -> None:
    """One wake call rouses every loop."""
    while True:
        await instance.work_waits.wait()
        instance.work_waits.clear()
        for alarm in alarms:
            alarm.set()


async def _loop(work_some: Callable[[], Awaitable[int]], alarm: asyncio.Event) -> None:
    while True:
        alarm.clear()
        try:
            did = await work_some()
        except asyncio.CancelledError:
            raise
        except Exception:  # a door: whatever went wrong, the loop goes on; the rows' leases run out
            log.exception("jobs.loop_failed")
            did = 0
            await asyncio.sleep(1)
        if did == 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_SLEEP_S):
                    await alarm.wait()


async def _work_some(instance: Instance, name: str, kind: Kind, lease: str) -> int:
    """Claim jobs of one kind and do them, lanes side by side, each lane in order."""
    claimed = await instance.storage.write(
        leases.claim, jobs, now=instance.clock(), lease=lease, lease_ms=kind.lease_ms, limit=kind.batch, kinds=(name,)
    )
    if not claimed:
        return 0
    lanes: dict[str, list[Row[Any]]] = {}
    for row in claimed:
        lanes.setdefault(row.lane or str(row.id), []).append(row)
    turns = asyncio.Semaphore(kind.at_once)
    keeper = asyncio.create_task(_keep_leases(instance, [row.id for row in claimed], kind, lease))
    try:
        await asyncio.gather(*(_work_lane(instance, name, kind, lane, lease, turns) for lane in lanes.values()))
    finally:
        keeper.cancel()
    return len(claimed)


async def _keep_leases(instance: Instance, ids: list[int], kind: Kind, lease: str) -> None:
    while True:
        await asyncio.sleep(kind.lease_ms / 3000)
        await instance.storage.write(leases.renew, jobs, ids, lease=lease, until=instance.clock() + kind.lease_ms)


async def _work_lane(
    instance: Instance, name: str, kind: Kind, lane: list[Row[Any]], lease: str, turns: asyncio.Semaphore
) -> None:
    async with turns:
        done: list[int] = []
        for index, row in enumerate(lane):
            with structlog.contextvars.bound_contextvars(job=row.id, kind=name):
                if await _did(instance, kind, row, lease):
                    done.append(row.id)
                    continue
                await instance.storage.write(leases.give_back, jobs, [rest.id for rest in lane[index + 1 :]], lease=lease)
                break
        if done:
            await instance.storage.write(leases.finish, jobs, done, lease=lease)


async def _did(instance: Instance, kind: Kind, row: Row[Any], lease: str) -> bool:
    """True when the job is done, or given up; False when it was deferred."""
    try:
        await kind.act(instance, msgspec.json.decode(row.payload))
    except Exception as problem:  # a door: one job must not take the others with it
        expected = isinstance(problem, FediartError)
        reason = problem.message if isinstance(problem, FediartError) else repr(problem)
        if row.attempts >= kind.tries:
            log.error("job.given_up", attempts=row.attempts, reason=reason, exc_info=not expected)
            return True
        log.warning("job.deferred", attempts=row.attempts, reason=reason, exc_info=not expected)
        await instance.storage.write(_defer, row, lease, instance.clock(), reason)
        return False
    return True


def _defer(db: Connection, row: Row[Any], lease: str, now: int, reason: str) -> None:
    wait = min(5_000 * 4 ** (row.attempts - 1), 6 * 3600 * 1000)
    leases.defer(db, jobs, row.id, lease=lease, run_at=now + wait, problem=reason)
