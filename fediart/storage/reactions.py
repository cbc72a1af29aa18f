"""Likes and boosts: one of each per actor and work."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Table, delete, insert, select

from fediart.storage.tables import boosts, likes
from fediart.storage.works import count_change

TABLES: dict[str, Table] = {"like": likes, "boost": boosts}
_COUNT = {"like": "likes", "boost": "boosts"}


def reaction_by(db: Connection, kind: str, actor_id: int, work_id: int) -> Row[Any] | None:
    table = TABLES[kind]
    return db.execute(select(table).where(table.c.actor_id == actor_id, table.c.work_id == work_id)).first()


def reaction_by_uri(db: Connection, kind: str, uri: str) -> Row[Any] | None:
    return db.execute(select(TABLES[kind]).where(TABLES[kind].c.uri == uri)).first()


def put_reaction(db: Connection, kind: str, *, id_: int, actor_id: int, work_id: int, uri: str, face: str = "") -> bool:
    """False when the actor had done so before. `face`: what a like was said with."""
    if reaction_by(db, kind, actor_id, work_id) is not None:
        return False
    db.execute(
        insert(TABLES[kind]).values(id=id_, actor_id=actor_id, work_id=work_id, uri=uri, **({"face": face} if face else {}))
    )
    count_change(db, work_id, **{_COUNT[kind]: 1})
    return True


def drop_reaction(db: Connection, kind: str, actor_id: int, work_id: int) -> Row[Any] | None:
    """The reaction that was taken back, or None."""
    row = reaction_by(db, kind, actor_id, work_id)
    if row is not None:
        db.execute(delete(TABLES[kind]).where(TABLES[kind].c.id == row.id))
        count_change(db, work_id, **{_COUNT[kind]: -1})
    return row
