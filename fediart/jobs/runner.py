"""The runner: a crew for each kind of job and one for deliveries, woken by what is committed, asleep otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, Row

from fediart.errors import FediartError, Unavailable
from fediart.inbox import dispatch
from fediart.instance import DELIVERY, ENCODERS, Instance, release_leases
from fediart.jobs.crew import Crew, run_crew
from fediart.jobs.kinds import KINDS, Kind
from fediart.office.fetch_encoders import keep_encoders
from fediart.office.keep_backups import plan_backups
from fediart.office.prune import discard_retired, keep_sightings, prune
from fediart.outbox import deliver
from fediart.storage import leases
from fediart.storage.engine import is_no_room
from fediart.storage.tables import deliveries, jobs

log = structlog.get_logger("fediart.jobs")

LONGEST_WAIT_MS = 2 * 3600 * 1000
FIRST_PRUNE_S, PRUNE_S = 60, 3600
"""Soon after a start, so that a server that is started anew every hour prunes too; not at once, when it has better to do."""


@contextlib.asynccontextmanager
async def running_jobs(instance: Instance) -> AsyncIterator[None]:
    """Work off jobs and deliveries while the block runs. One process per database does this."""
    await release_leases(instance)
    await instance.storage.write(_clock_went_back, instance.clock())  # perhaps it did while nothing ran
    await discard_retired(instance)
    await plan_backups(instance)
    lease = secrets.token_hex(8)
    crews = [_job_crew(instance, name, kind, lease) for name, kind in KINDS.items()]
    crews += [_arrival_crew(instance, lease), _delivery_crew(instance, lease)]
    tasks = [asyncio.create_task(run_crew(crew, instance.alarm(crew.name))) for crew in crews]
    tasks.append(asyncio.create_task(_prune_hourly(instance)))
    tasks.append(asyncio.create_task(_keep_sightings(instance)))
    tasks.append(asyncio.create_task(_watch_clock(instance)))
    if instance.config.cloak.fetch_encoders:
        tasks.append(asyncio.create_task(_fetch_encoders(instance)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _prune_hourly(instance: Instance) -> None:
    wait = FIRST_PRUNE_S
    while True:
        await asyncio.sleep(wait)
        wait = PRUNE_S
        try:
            await prune(instance)
        except Exception:  # a door: what could not be pruned now is pruned in an hour
            log.exception("jobs.prune_failed")


SIGHTINGS_S = 60


async def _keep_sightings(instance: Instance) -> None:
    while True:
        await asyncio.sleep(SIGHTINGS_S)
        try:
            await keep_sightings(instance)
        except Unavailable as problem:
            log.warning("jobs.sightings_lost", reason=problem.message, detail=problem.detail)


LOOK_AT_CLOCK_S = 5.0


async def _watch_clock(instance: Instance) -> None:
    seen = instance.clock()
    while True:
        await asyncio.sleep(LOOK_AT_CLOCK_S)
        before, seen = seen, instance.clock()
        if seen >= before:
            continue
        log.warning("jobs.clock_went_back", milliseconds=before - seen)
        try:
            await instance.storage.write(_clock_went_back, seen)
        except Unavailable as problem:
            log.warning("jobs.clock_not_followed", reason=problem.message, detail=problem.detail)
            seen = before  # looked at again the next time
        else:
            instance.wake(*instance.alarms)


def _clock_went_back(db: Connection, now: int) -> None:
    leases.clock_went_back(db, jobs, now=now, longest=LONGEST_WAIT_MS)
    leases.clock_went_back(db, deliveries, now=now, longest=deliver.LONGEST_WAIT_MS)


async def _fetch_encoders(instance: Instance) -> None:
    alarm = instance.alarm(ENCODERS)
    while True:
        alarm.clear()
        try:
            await keep_encoders(instance)
        except Exception:  # a door: a server without encoders is still a server
            log.exception("jobs.encoders_failed")
        await alarm.wait()  # one of them turned out to be damaged


def _arrival_crew(instance: Instance, lease: str) -> Crew:
    handling = dispatch.Handling(instance, lease)
    return Crew(
        name=dispatch.KIND,
        claim=handling.claim,
        work=handling.work_lane,
        renew=partial(_renew, instance, jobs, dispatch.LEASE_MS, lease),
        give_back=partial(_give_back, instance, jobs, lease),
        lanes=dispatch.LANES,
        batch=dispatch.BATCH,
        lease_ms=dispatch.LEASE_MS,
    )


def _delivery_crew(instance: Instance, lease: str) -> Crew:
    return Crew(
        name=DELIVERY,
        claim=partial(deliver.claim_deliveries, instance, lease),
        work=deliver.Sender(instance, lease).send_lane,
        renew=partial(_renew, instance, deliveries, deliver.LEASE_MS, lease),
        give_back=partial(_give_back, instance, deliveries, lease),
        lanes=deliver.LANES,
        batch=deliver.BATCH,
        lease_ms=deliver.LEASE_MS,
    )


def _job_crew(instance: Instance, name: str, kind: Kind, lease: str) -> Crew:
    async def claim(limit: int) -> Sequence[Any]:
        return await instance.storage.write(
            leases.claim,
            jobs,
            now=instance.clock(),
            lease=lease,
            lease_ms=kind.lease_ms,
            limit=limit,
            kinds=(name,),
            after=kind.after,
            in_turn=kind.in_turn,
        )

    return Crew(
        name=name,
        claim=claim,
        work=partial(_work_lane, instance, name, kind, lease),
        renew=partial(_renew, instance, jobs, kind.lease_ms, lease),
        give_back=partial(_give_back, instance, jobs, lease),
        lanes=kind.lanes,
        batch=kind.batch,
        lease_ms=kind.lease_ms,
    )


async def _renew(instance: Instance, table: Any, lease_ms: int, lease: str, ids: list[int]) -> None:
    await instance.storage.write(leases.renew, table, ids, lease=lease, until=instance.clock() + lease_ms)


async def _give_back(instance: Instance, table: Any, lease: str, ids: list[int]) -> None:
    await instance.storage.write(leases.give_back, table, ids, lease=lease)


async def _work_lane(instance: Instance, name: str, kind: Kind, lease: str, lane: list[Row[Any]]) -> None:
    done: list[int] = []
    for index, row in enumerate(lane):
        with structlog.contextvars.bound_contextvars(job=row.id, kind=name):
            if await _did(instance, name, kind, row, lease):
                done.append(row.id)
                continue
            await instance.storage.write(leases.give_back, jobs, [rest.id for rest in lane[index + 1 :]], lease=lease)
            break
    if done:
        await instance.storage.write(leases.finish, jobs, done, lease=lease)
        instance.wake(*(other for other, waiting in KINDS.items() if name in waiting.after))


async def _did(instance: Instance, name: str, kind: Kind, row: Row[Any], lease: str) -> bool:
    """True when the job is done, or given up; False when it was deferred."""
    payload = msgspec.json.decode(row.payload)
    try:
        await kind.act(instance, payload)
    except Exception as problem:  # a door: one job must not take the others with it
        expected = isinstance(problem, FediartError)
        reason = problem.message if isinstance(problem, FediartError) else repr(problem)
        # A full disk or a database that is away is no fault of the job: it waits as long as that takes.
        waits = isinstance(problem, Unavailable) or is_no_room(problem)
        if row.attempts >= kind.tries and not waits:
            log.error("job.given_up", attempts=row.attempts, reason=reason, exc_info=not expected)
            instance.metrics.jobs_done.count(name, "given_up")
            await kind.give_up(instance, payload)
            return True
        log.warning("job.deferred", attempts=row.attempts, reason=reason, exc_info=not expected)
        instance.metrics.jobs_done.count(name, "deferred")
        longest = leases.WAIT_FOR_ROOM_MS if waits else LONGEST_WAIT_MS
        await instance.storage.write(_defer, row, lease, instance.clock(), reason, longest)
        return False
    instance.metrics.jobs_done.count(name, "done")
    return True


def _defer(db: Connection, row: Row[Any], lease: str, now: int, reason: str, longest: int) -> None:
    wait = min(5_000 * 4 ** min(row.attempts - 1, 8), longest)
    leases.defer(db, jobs, row.id, lease=lease, run_at=now + wait, problem=reason)
