"""Durable jobs: a row per thing that must still be done, committed with the change that caused it."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select

from fediart.ids import new_id
from fediart.storage.tables import jobs


def add_job(db: Connection, kind: str, payload: dict[str, Any], *, now: int, lane: str = "", run_at: int | None = None) -> None:
    """`payload` must be JSON. `lane`: jobs of one lane run one after another."""
    db.execute(
        insert(jobs).values(
            id=new_id(now), kind=kind, lane=lane, payload=msgspec.json.encode(payload), run_at=now if run_at is None else run_at
        )
    )


def has_job(db: Connection, kind: str, lane: str) -> bool:
    return db.execute(select(jobs.c.id).where(jobs.c.kind == kind, jobs.c.lane == lane).limit(1)).first() is not None
