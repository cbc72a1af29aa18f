"""When something of another server was last looked into further: an actor's older works, the talk around a work."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, text

from fediart.storage.tables import looks

_LOOK = text(
    "INSERT INTO looks (kind, subject_id, looked_at) VALUES (:kind, :subject_id, :now) "
    "ON CONFLICT (kind, subject_id) DO UPDATE SET looked_at = excluded.looked_at WHERE looks.looked_at <= :before"
)


def looked_at(db: Connection, kind: str, subject_id: int) -> int | None:
    return db.execute(select(looks.c.looked_at).where(looks.c.kind == kind, looks.c.subject_id == subject_id)).scalar()


def begin_look(db: Connection, kind: str, subject_id: int, *, now: int, pause_ms: int) -> bool:
    """May it be looked into? Not again before `pause_ms`. Saying yes counts as looking."""
    values = {"kind": kind, "subject_id": subject_id, "now": now, "before": now - pause_ms}
    return db.execute(_LOOK, values).rowcount == 1


def forget_looks(db: Connection, before: int) -> None:
    db.execute(delete(looks).where(looks.c.looked_at < before))
