"""Questions about copies that artists asked for, and the changes of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from fediart.domain.copies import Copy, CopyState
from fediart.storage.tables import copies, images

_COLUMNS = tuple(copies.c[name] for name in Copy.__dataclass_fields__)
_DONE = (CopyState.READY, CopyState.FAILED)


def _copy(row: Row[Any]) -> Copy:
    values = {name: getattr(row, name) for name in Copy.__dataclass_fields__}
    return Copy(**{**values, "state": CopyState(row.state)})


def copy_by_id(db: Connection, copy_id: int) -> Copy | None:
    row = db.execute(select(*_COLUMNS).where(copies.c.id == copy_id)).first()
    return _copy(row) if row else None


def unfinished_ids(db: Connection) -> set[int]:
    """Copies that were asked for and are not made yet."""
    return set(db.execute(select(copies.c.id).where(copies.c.state.not_in(_DONE))).scalars())


def copy_of(db: Connection, copy_id: int, owner_actor_id: int) -> Copy | None:
    """A copy of a picture of this actor's."""
    mine = copies.join(images, copies.c.image_id == images.c.id)
    wanted = (copies.c.id == copy_id, images.c.actor_id == owner_actor_id)
    row = db.execute(select(*_COLUMNS).select_from(mine).where(*wanted)).first()
    return _copy(row) if row else None


def copies_of_images(db: Connection, image_ids: Sequence[int]) -> dict[int, list[Copy]]:
    """The copies of each picture, in the order in which they were asked for."""
    of: dict[int, list[Copy]] = {}
    for row in db.execute(select(*_COLUMNS).where(copies.c.image_id.in_(image_ids)).order_by(copies.c.id)):
        of.setdefault(row.image_id, []).append(_copy(row))
    return of


def insert_copy(db: Connection, copy: Copy) -> None:
    db.execute(insert(copies).values(**{name: getattr(copy, name) for name in Copy.__dataclass_fields__}))


def change_copy(db: Connection, copy_id: int, /, **values: Any) -> bool:
    """False when it is not there any more."""
    return db.execute(update(copies).where(copies.c.id == copy_id).values(**values)).rowcount == 1


def drop_copies(db: Connection, image_ids: Sequence[int], platform: str | None = None) -> list[str]:
    """Remove the copies of these pictures, or those for one platform; returns the vault keys of their files."""
    wanted = [copies.c.image_id.in_(image_ids)] + ([copies.c.platform == platform] if platform is not None else [])
    keys = [key for key in db.execute(select(copies.c.vault_key).where(*wanted)).scalars() if key]
    db.execute(delete(copies).where(*wanted))
    return keys


def forget_copies(db: Connection, now: int) -> list[str]:
    """Remove copies, made or failed, whose time is over; returns the vault keys of their files."""
    over = (copies.c.until <= now, copies.c.state.in_(_DONE))
    keys = [key for key in db.execute(select(copies.c.vault_key).where(*over)).scalars() if key]
    db.execute(delete(copies).where(*over))
    return keys
