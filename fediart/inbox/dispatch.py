"""What arrived is done: activities of one actor in their order, as many as possible in one transaction.

The table from verb to handler stands here. What is in it is understood; everything else was answered 202 and left alone.
A handler is an act that looks at nothing but the database; where another server must be asked it says so, and is
finished outside of the transaction. Its job is removed in the transaction that has its effect, so that it has it once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, Row

from fediart.activitypub.parsers.activity import parse_activity
from fediart.activitypub.parsers.json_document import load_document
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.errors import AddressRefused, BadAnswer, FediartError, ParseError, RefusedByRemote, RemoteError, Unavailable
from fediart.inbox.handlers.announce import handle_announce
from fediart.inbox.handlers.answer import handle_accept, handle_reject
from fediart.inbox.handlers.block import handle_block
from fediart.inbox.handlers.create import handle_create
from fediart.inbox.handlers.delete import handle_delete
from fediart.inbox.handlers.flag import handle_flag
from fediart.inbox.handlers.follow import handle_follow
from fediart.inbox.handlers.keep_note import read_embedded
from fediart.inbox.handlers.like import handle_like
from fediart.inbox.handlers.move import handle_move
from fediart.inbox.handlers.pin import handle_add, handle_remove
from fediart.inbox.handlers.quote_request import handle_quote_request
from fediart.inbox.handlers.undo import handle_undo
from fediart.inbox.handlers.update import handle_update
from fediart.inbox.outcome import Done, Later
from fediart.instance import Instance
from fediart.storage import actors, leases
from fediart.storage.engine import undone_on_error
from fediart.storage.tables import jobs

log = structlog.get_logger("fediart.inbox")

KIND = "arrival"
LANES, BATCH, LEASE_MS, TRIES = 64, 64, 120_000, 12
PATIENCE_S, BURST_S = 1.0, 0.03
FIRST_WAIT_MS, LONGEST_WAIT_MS = 5_000, 2 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Handler:
    """`read` understands and sanitises without a database, off the event loop; `act` gets what it made of the activity."""

    act: Callable[[Connection, Instance, Actor, ParsedActivity, Any, int], Done | Later]
    read: Callable[[ParsedActivity], Any] = lambda _: None


HANDLERS: dict[str, Handler] = {
    "Accept": Handler(handle_accept),
    "Add": Handler(handle_add),
    "Announce": Handler(handle_announce),
    "Block": Handler(handle_block),
    "Create": Handler(handle_create, read_embedded),
    "Delete": Handler(handle_delete),
    "Flag": Handler(handle_flag),
    "Follow": Handler(handle_follow),
    "Like": Handler(handle_like),
    "EmojiReact": Handler(handle_like),
    "Move": Handler(handle_move),
    "QuoteRequest": Handler(handle_quote_request),
    "Reject": Handler(handle_reject),
    "Remove": Handler(handle_remove),
    "Undo": Handler(handle_undo),
    "Update": Handler(handle_update, read_embedded),
}


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A claimed row and what was read in it; `activity` None: it cannot be understood, now or later."""

    row: Row[Any]
    activity: ParsedActivity | None
    read: Any = None


@dataclass(frozen=True, slots=True)
class _Stopped:
    """The lane cannot go on past `arrival`: it needs more than the database (`later`), or failed (`problem`)."""

    arrival: _Arrival
    later: Later | None = None
    problem: Exception | None = None


class Handling:
    """Works off lanes of arrivals. A lane is one actor's."""

    def __init__(self, instance: Instance, lease: str) -> None:
        self._instance = instance
        self._lease = lease

    async def claim(self, limit: int) -> Sequence[Row[Any]]:
        now = self._instance.clock()
        return await self._instance.storage.write(
            leases.claim, jobs, now=now, lease=self._lease, lease_ms=LEASE_MS, limit=limit, kinds=(KIND,)
        )

    async def work_lane(self, rows: list[Row[Any]]) -> None:
        waiting = await asyncio.to_thread(self._read_all, rows)
        await self._let_accepting_go_first()
        while waiting:
            handled, done, stopped = await self._instance.storage.write(self._handle, waiting)
            await self._follow_up(done)
            waiting = waiting[handled:]
            if stopped is None:
                continue
            waiting = waiting[1:]
            if not await self._finished(stopped):
                ids = [arrival.row.id for arrival in waiting]
                await self._instance.storage.write(leases.give_back, jobs, ids, lease=self._lease)
                return

    def _read_all(self, rows: Sequence[Row[Any]]) -> list[_Arrival]:
        return [self._read(row) for row in rows]

    def _read(self, row: Row[Any]) -> _Arrival:
        activity = None
        try:
            payload = msgspec.json.decode(row.payload)
            activity = parse_activity(load_document(payload["body"].encode()))
            activity = replace(activity, has_proof=payload.get("has_proof", False))
            return _Arrival(row, activity, HANDLERS[activity.type].read(activity))
        except ParseError as problem:
            self._not_understood(activity, problem)
            return _Arrival(row, None)

    async def _let_accepting_go_first(self) -> None:
        """A sender that waits too long sends again, a home that waits a moment loses nothing: during a burst, up to a second."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and time.monotonic() - self._instance.accepted_at < BURST_S:
            await asyncio.sleep(BURST_S)

    def _handle(self, db: Connection, arrivals: list[_Arrival]) -> tuple[int, list[Done], _Stopped | None]:
        """Do as many as need nothing but the database. Returns how many those were, and why the next one was not."""
        sender = actors.actor_by_uri(db, _actor_of(arrivals[0].row))
        try:
            with undone_on_error(db):
                ended, done, stopped = self._act(db, sender, arrivals)
        except Exception:  # a door: whose error it is comes out when each is done apart
            ended, done, stopped = self._act(db, sender, arrivals, apart=True)
        if leases.finish(db, jobs, ended, lease=self._lease) != len(ended):
            raise Unavailable("Somebody else has this work in hand by now.", detail=f"lane {arrivals[0].row.lane}")
        for activity, outcome in done:
            self._tell(activity, outcome)
        return len(ended), [outcome for _, outcome in done], stopped

    def _act(
        self, db: Connection, sender: Actor | None, arrivals: list[_Arrival], *, apart: bool = False
    ) -> tuple[list[int], list[tuple[ParsedActivity, Done]], _Stopped | None]:
        """`apart`: an error undoes the one activity alone, and stops the lane; else it undoes all and goes to the caller."""
        now = self._instance.clock()
        ended: list[int] = []
        done: list[tuple[ParsedActivity, Done]] = []
        for arrival in arrivals:
            activity = arrival.activity
            if sender is not None and activity is not None and _is_heard(sender, activity):
                try:
                    with undone_on_error(db) if apart else nullcontext():
                        outcome = HANDLERS[activity.type].act(db, self._instance, sender, activity, arrival.read, now)
                except Exception as problem:  # a door: told to whoever works the lane, who defers it
                    if not apart:
                        raise
                    if not isinstance(problem, ParseError):
                        return ended, done, _Stopped(arrival, problem=problem)
                    self._not_understood(activity, problem)
                else:
                    if not isinstance(outcome, Done):
                        return ended, done, _Stopped(arrival, later=outcome)
                    done.append((activity, outcome))
            ended.append(arrival.row.id)
        return ended, done, None

    async def _finished(self, stopped: _Stopped) -> bool:
        """Finish what could not be done at once; False when it must be tried again, and the lane waits.

        What waits for another server than the sender's waits apart: the sender's next post has nothing to do with it.
        """
        row, activity = stopped.arrival.row, stopped.arrival.activity
        problem, lane = stopped.problem, None
        if stopped.later is not None:
            try:
                outcome = await stopped.later()
                self._tell(activity, outcome)
                await self._follow_up([outcome])
            except ParseError as unclear:
                self._not_understood(activity, unclear)
            except RemoteError as failed:
                if _is_final(failed):
                    self._not_understood(activity, failed)
                else:
                    problem, lane = failed, f"{_actor_of(row)} {row.id}"
            except Exception as failed:  # a door: another server may answer the next time
                problem = failed
        if problem is not None and not self._gives_up(row, problem):
            expected = isinstance(problem, FediartError)
            reason = problem.message if isinstance(problem, FediartError) else repr(problem)
            log.warning(
                "arrival.deferred", job=row.id, attempts=row.attempts, reason=reason, exc_info=None if expected else problem
            )
            self._count(activity, "deferred")
            longest = leases.WAIT_FOR_ROOM_MS if isinstance(problem, Unavailable) else LONGEST_WAIT_MS
            wait = min(FIRST_WAIT_MS * 4 ** min(row.attempts - 1, 8), longest)
            run_at = self._instance.clock() + wait
            await self._instance.storage.write(
                leases.defer, jobs, row.id, lease=self._lease, run_at=run_at, problem=reason, lane=lane
            )
            return lane is not None
        await self._instance.storage.write(leases.finish, jobs, [row.id], lease=self._lease)
        return True

    def _gives_up(self, row: Row[Any], problem: Exception) -> bool:
        if isinstance(problem, Unavailable) or row.attempts < TRIES:
            return False
        log.error("arrival.given_up", job=row.id, attempts=row.attempts, reason=str(problem))
        return True

    def _count(self, activity: ParsedActivity | None, outcome: str) -> None:
        kind = activity.type if activity is not None and activity.type in HANDLERS else "other"
        self._instance.metrics.arrivals.count(kind, outcome)

    def _not_understood(self, activity: ParsedActivity | None, problem: FediartError) -> None:
        self._count(activity, "not_understood")
        if activity is not None:
            said = {"kind": activity.type, "actor": activity.actor, "activity": activity.uri}
            log.info("arrival.not_understood", **said, reason=problem.message, detail=problem.detail)

    def _tell(self, activity: ParsedActivity | None, outcome: Done) -> None:
        self._count(activity, "left" if outcome.left else "done")
        if activity is not None and outcome.left:
            self._instance.metrics.arrivals_left.count(outcome.left)
            log.info("arrival.left", kind=activity.type, actor=activity.actor, activity=activity.uri, reason=outcome.left)

    async def _follow_up(self, outcomes: Sequence[Done]) -> None:
        self._instance.wake(*{crew for outcome in outcomes for crew in outcome.wake})
        names = [name for outcome in outcomes for name in outcome.discard]
        if names:
            await asyncio.to_thread(self._instance.files.discard_all, names)


_ALSO_OF_SUSPENDED = frozenset({"Delete", "Undo", "Block", "Reject"})
"""What takes back is done also for whom this server does not want to hear."""


def _is_heard(sender: Actor, activity: ParsedActivity) -> bool:
    if sender.is_local or (sender.gone and activity.type != "Delete"):
        return False
    return not sender.is_suspended or activity.type in _ALSO_OF_SUSPENDED


def _actor_of(row: Row[Any]) -> str:
    """A lane is named after its actor, with the row's own id behind it where the row waits apart."""
    lane: str = row.lane
    return lane.split(" ")[0]


def _is_final(problem: RemoteError) -> bool:
    """Will asking again be of no use? What is gone, refused or wrong stays so; a server that is away may come back."""
    if isinstance(problem, RefusedByRemote):
        return problem.remote_status < 500 and problem.remote_status not in (408, 425, 429)
    return isinstance(problem, AddressRefused | BadAnswer)
