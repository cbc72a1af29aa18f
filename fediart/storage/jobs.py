"""Durable jobs: a row per thing that must still be done, committed with the change that caused it."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from fediart.ids import new_id
from fediart.storage.tables import jobs

NEVER = 1 << 62
"""`run_at` of a job that is held: it stays, and nobody takes it."""


def add_job(
    db: Connection, kind: str, payload: dict[str, Any], *, now: int, lane: str = "", run_at: int | None = None, owner: int = 0
) -> None:
    """`payload` must be JSON. `lane`: jobs of one lane run one after another. `owner`: see `_next_turn`."""
    db.execute(
        insert(jobs).values(
            id=new_id(now),
            kind=kind,
            lane=lane,
            payload=msgspec.json.encode(payload),
            run_at=now if run_at is None else run_at,
            owner=owner,
            turn=_next_turn(db, kind, owner, now) if owner else 0,
        )
    )


def _next_turn(db: Connection, kind: str, owner: int, now: int) -> int:
    """The number by which owners come in turn: one more than of this owner's last, and not before the turn that is on.

    So a hundred jobs of one owner have a hundred turns, and the first job of another has the turn that is just on.
    """
    of_kind = jobs.c.kind == kind
    last = db.execute(select(func.max(jobs.c.turn)).where(of_kind, jobs.c.owner == owner)).scalar()
    on = db.execute(select(func.min(jobs.c.turn)).where(of_kind, or_(jobs.c.run_at <= now, jobs.c.leased_until > now))).scalar()
    return max(last + 1 if last is not None else 0, on or 0)


def _is(kind: str, payload: dict[str, Any]) -> ColumnElement[bool]:
    return and_(jobs.c.kind == kind, jobs.c.payload == msgspec.json.encode(payload))


def ask_again(db: Connection, kind: str, payload: dict[str, Any], *, now: int, owner: int = 0) -> None:
    """Let it be done (once more), whether it is held, in hand, or was finished. Who has it in hand loses it."""
    anew = update(jobs).where(_is(kind, payload)).values(run_at=now, leased_until=0, lease="", attempts=0, problem="")
    if db.execute(anew).rowcount == 0:
        add_job(db, kind, payload, now=now, owner=owner)


def hold_job(db: Connection, kind: str, payload: dict[str, Any]) -> None:
    """It stays and keeps its turn, and is not done before `ask_again`. Who has it in hand loses it."""
    db.execute(update(jobs).where(_is(kind, payload)).values(run_at=NEVER, leased_until=0, lease="", attempts=0))


def is_free(db: Connection, kind: str, payload: dict[str, Any]) -> bool:
    """Is it there, and in nobody's hand?"""
    return db.execute(select(jobs.c.id).where(_is(kind, payload), jobs.c.lease == "").limit(1)).first() is not None


def is_asked(db: Connection, kind: str, payload: dict[str, Any]) -> bool:
    """Is it still to be done, or in hand?"""
    return db.execute(select(jobs.c.id).where(_is(kind, payload)).limit(1)).first() is not None


def drop_job(db: Connection, kind: str, payload: dict[str, Any]) -> None:
    db.execute(delete(jobs).where(_is(kind, payload)))


def queue_of(db: Connection, kind: str, now: int) -> list[dict[str, Any]]:
    """What is in hand or due, in the order in which it will be done."""
    rows = db.execute(
        select(jobs.c.payload)
        .where(jobs.c.kind == kind, or_(jobs.c.run_at <= now, jobs.c.leased_until > now))
        .order_by((jobs.c.leased_until > now).desc(), jobs.c.turn, jobs.c.run_at, jobs.c.id)
    )
    return [msgspec.json.decode(payload) for payload in rows.scalars()]


def has_job(db: Connection, kind: str, lane: str) -> bool:
    return db.execute(select(jobs.c.id).where(jobs.c.kind == kind, jobs.c.lane == lane).limit(1)).first() is not None
