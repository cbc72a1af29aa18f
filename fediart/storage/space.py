"""What pictures take on disk, by artist."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from fediart.domain.space import Space
from fediart.storage.tables import copies, images, renditions, works

_BYTES = func.coalesce(func.sum(images.c.original_bytes), 0)


def space_of(db: Connection, actor_id: int) -> Space:
    """Of a local actor, portraits too."""
    mine = images.c.actor_id == actor_id
    held = images.c.vault_key.is_not(None)
    shown = renditions.join(images, renditions.c.image_id == images.c.id)
    asked = copies.join(images, copies.c.image_id == images.c.id)
    return Space(
        int(db.execute(select(_BYTES).where(mine, held)).scalar_one()),
        int(db.execute(select(func.coalesce(func.sum(renditions.c.bytes), 0)).select_from(shown).where(mine)).scalar_one()),
        int(db.execute(select(func.coalesce(func.sum(copies.c.bytes), 0)).select_from(asked).where(mine)).scalar_one()),
    )


def largest_works(db: Connection, actor_id: int, *, limit: int = 10) -> list[tuple[int, str, int, int]]:
    """(id, state, pictures, bytes of their originals) of those that take most."""
    joined = images.join(works, images.c.work_id == works.c.id)
    query = select(works.c.id, works.c.state, func.count(), _BYTES.label("size")).select_from(joined)
    mine = query.where(images.c.actor_id == actor_id, images.c.vault_key.is_not(None))
    rows = db.execute(mine.group_by(works.c.id, works.c.state).order_by(_BYTES.desc(), works.c.id).limit(limit))
    return [(row[0], row[1], row[2], int(row[3])) for row in rows]
