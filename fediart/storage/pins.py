"""Works that an actor of another server shows first (its `featured` collection), as far as they are here."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select

from fediart.domain.works import ShownWork
from fediart.storage.shown import works_shown
from fediart.storage.tables import pins, works
from fediart.storage.visible import visible_to

MAX_PINS = 20


def pin(db: Connection, actor_id: int, work_id: int, now: int) -> bool:
    """False when it is pinned already, or when there are as many as are kept."""
    held = db.execute(select(func.count()).where(pins.c.actor_id == actor_id)).scalar_one()
    if held >= MAX_PINS or db.execute(select(pins).where(pins.c.actor_id == actor_id, pins.c.work_id == work_id)).first():
        return False
    db.execute(insert(pins).values(actor_id=actor_id, work_id=work_id, pinned_at=now))
    return True


def unpin(db: Connection, actor_id: int, work_id: int) -> bool:
    return db.execute(delete(pins).where(pins.c.actor_id == actor_id, pins.c.work_id == work_id)).rowcount == 1


def pinned_works(db: Connection, actor_id: int, viewer: int | None) -> list[ShownWork]:
    """What the viewer may see of them, the last one pinned first."""
    query = (
        select(works.c.id)
        .select_from(pins.join(works, works.c.id == pins.c.work_id))
        .where(pins.c.actor_id == actor_id, visible_to(viewer))
        .order_by(pins.c.pinned_at.desc(), works.c.id.desc())
    )
    return works_shown(db, list(db.execute(query).scalars()), viewer)
