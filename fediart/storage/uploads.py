"""Uploads of artists that are not whole yet: what they will be, and for which draft."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from fediart.storage.tables import uploads


@dataclass(frozen=True, slots=True)
class Upload:
    """`length`: bytes that it will have. What arrived of it is in `media/parts`. Times in ms."""

    id: str
    actor_id: int
    work_id: int
    name: str
    length: int
    touched_at: int


_COLUMNS = tuple(uploads.c[name] for name in Upload.__dataclass_fields__)


def insert_upload(db: Connection, upload: Upload) -> None:
    db.execute(insert(uploads).values(**{name: getattr(upload, name) for name in Upload.__dataclass_fields__}))


def upload_of(db: Connection, id_: str, actor_id: int) -> Upload | None:
    row = db.execute(select(*_COLUMNS).where(uploads.c.id == id_, uploads.c.actor_id == actor_id)).first()
    return Upload(*row) if row else None


def uploads_for(db: Connection, work_id: int, actor_id: int) -> list[Upload]:
    """The oldest first."""
    query = select(*_COLUMNS).where(uploads.c.work_id == work_id, uploads.c.actor_id == actor_id)
    return [Upload(*row) for row in db.execute(query.order_by(uploads.c.touched_at, uploads.c.id))]


def count_uploads(db: Connection, actor_id: int) -> int:
    return db.execute(select(func.count()).where(uploads.c.actor_id == actor_id)).scalar_one()


def touch_upload(db: Connection, id_: str, now: int) -> None:
    db.execute(update(uploads).where(uploads.c.id == id_).values(touched_at=now))


def drop_upload(db: Connection, id_: str) -> bool:
    """False when it was not there any more."""
    return db.execute(delete(uploads).where(uploads.c.id == id_)).rowcount == 1


def forget_uploads(db: Connection, before: int) -> list[str]:
    """Those that were not gone on with since; returns the ids of those that are left."""
    db.execute(delete(uploads).where(uploads.c.touched_at < before))
    return list(db.execute(select(uploads.c.id)).scalars())
