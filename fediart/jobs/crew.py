"""A crew claims rows that are due and works their lanes off side by side, without end.

A lane is worked in order, by one at a time; a slow lane holds up nobody else, and new rows are claimed while others are
still in hand. What a row means, and what becomes of it, is the affair of whoever made the crew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from fediart.errors import Unavailable

log = structlog.get_logger("fediart.jobs")

LONGEST_SLEEP_S = 5.0
"""Deferred rows become due without anybody waking us."""

GATHER_S = 0.01
"""After a wake call, so that what is committed together is claimed together."""


class Claimed(Protocol):
    """A row in hand. `lane` '' means a lane of its own."""

    @property
    def id(self) -> int: ...

    @property
    def lane(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Crew:
    """`claim` takes up to so many rows; `work` does one lane's, in order; `renew` holds on to rows still in hand; `give_back`
    lets go of those that are not done.

    `lanes`: at most so many side by side. `lease_ms`: how long a claim holds by itself.
    """

    name: str
    claim: Callable[[int], Awaitable[Sequence[Any]]]
    work: Callable[[list[Any]], Coroutine[Any, Any, None]]
    renew: Callable[[list[int]], Awaitable[None]]
    give_back: Callable[[list[int]], Awaitable[None]]
    lanes: int
    batch: int
    lease_ms: int


async def run_crew(crew: Crew, alarm: asyncio.Event) -> None:
    """Until cancelled. `alarm` is set by whoever commits a row."""
    in_hand: dict[asyncio.Task[None], list[int]] = {}
    keeper = asyncio.create_task(_keep(crew, in_hand))

    def done(task: asyncio.Task[None]) -> None:
        in_hand.pop(task, None)
        alarm.set()
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("jobs.lane_failed", crew=crew.name, exc_info=problem)  # its rows' leases run out

    try:
        while True:
            alarm.clear()
            claimed = await _claimed(crew, min(crew.batch, crew.lanes - len(in_hand)))
            for lane in lanes_of(claimed):
                task = asyncio.create_task(_work(crew, lane))
                in_hand[task] = [row.id for row in lane]
                task.add_done_callback(done)
            if not claimed or len(in_hand) >= crew.lanes:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LONGEST_SLEEP_S):
                        await alarm.wait()
                await asyncio.sleep(GATHER_S)
    finally:
        keeper.cancel()
        tasks = list(in_hand)
        for task in tasks:
            task.cancel()
        await asyncio.gather(keeper, *tasks, return_exceptions=True)


def lanes_of(claimed: Sequence[Any]) -> list[list[Any]]:
    """Rows by lane, in the order they came."""
    lanes: dict[object, list[Any]] = {}
    for row in claimed:
        lanes.setdefault(row.lane or row.id, []).append(row)
    return list(lanes.values())


AGAIN_S = 1.0
"""So often is tried what cannot be written down."""


async def _work(crew: Crew, lane: list[Any]) -> None:
    """What cannot be written down now (a full disk, a database that is away) is begun anew when it can, not when leases end."""
    try:
        await crew.work(lane)
    except Unavailable as problem:
        log.warning("jobs.lane_interrupted", crew=crew.name, reason=problem.message, detail=problem.detail)
        while True:
            try:
                return await crew.give_back([row.id for row in lane])
            except Unavailable:
                await asyncio.sleep(AGAIN_S)


async def _claimed(crew: Crew, limit: int) -> Sequence[Any]:
    if limit <= 0:
        return []
    try:
        return await crew.claim(limit)
    except Unavailable as problem:
        log.warning("jobs.not_claimed", crew=crew.name, reason=problem.message, detail=problem.detail)
        await asyncio.sleep(AGAIN_S)
        return []
    except Exception:  # a door: whatever it is may end; the crew goes on then
        log.exception("jobs.claim_failed", crew=crew.name)
        await asyncio.sleep(1)
        return []


async def _keep(crew: Crew, in_hand: dict[asyncio.Task[None], list[int]]) -> None:
    while True:
        await asyncio.sleep(crew.lease_ms / 3000)
        ids = [id_ for lane in in_hand.values() for id_ in lane]
        if not ids:
            continue
        try:
            await crew.renew(ids)
        except Unavailable as problem:
            log.warning("jobs.not_renewed", crew=crew.name, reason=problem.message, detail=problem.detail)
        except Exception:  # a door: the lease still has two thirds of its time
            log.exception("jobs.renew_failed", crew=crew.name)
