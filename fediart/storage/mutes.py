"""Whom somebody does not want to meet in lists: single actors, for a time or for good, and whole hosts."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from fediart.domain.listed import Listed, listed
from fediart.domain.works import ShownActor
from fediart.storage.actors import shown_actors
from fediart.storage.tables import host_mutes, mutes

MAX_HOST_MUTES = 500


def put_mute(db: Connection, actor_id: int, target_id: int, *, notifications: bool, until: int | None, now: int) -> None:
    drop_mute(db, actor_id, target_id)
    db.execute(insert(mutes).values(actor_id=actor_id, target_id=target_id, notifications=notifications, until=until, at=now))


def drop_mute(db: Connection, actor_id: int, target_id: int) -> None:
    db.execute(delete(mutes).where(mutes.c.actor_id == actor_id, mutes.c.target_id == target_id))


def muted_by(
    db: Connection, actor_id: int, *, max_id: int | None = None, limit: int = 40
) -> Listed[tuple[ShownActor, int | None, bool]]:
    """(whom, until when or None, whether notifications too); cut by the id of who is muted."""
    limit = max(1, min(limit, 80))
    query = select(mutes.c.target_id, mutes.c.until, mutes.c.notifications).where(mutes.c.actor_id == actor_id)
    if max_id is not None:
        query = query.where(mutes.c.target_id < max_id)
    rows = list(db.execute(query.order_by(mutes.c.target_id.desc()).limit(limit)))
    people = shown_actors(db, [row.target_id for row in rows])
    found = [(people[row.target_id], row.until, row.notifications) for row in rows if row.target_id in people]
    return listed(found, [row.target_id for row in rows], limit)


def muted_ids(db: Connection, actor_id: int) -> set[int]:
    return set(db.execute(select(mutes.c.target_id).where(mutes.c.actor_id == actor_id)).scalars())


def end_mutes(db: Connection, now: int) -> None:
    """Those whose time is over."""
    db.execute(delete(mutes).where(mutes.c.until <= now))


def put_host_mute(db: Connection, actor_id: int, host: str, now: int) -> bool:
    """False when there are as many as there may be."""
    held = muted_hosts(db, actor_id)
    if host in held:
        return True
    if len(held) >= MAX_HOST_MUTES:
        return False
    db.execute(insert(host_mutes).values(actor_id=actor_id, host=host, at=now))
    return True


def drop_host_mute(db: Connection, actor_id: int, host: str) -> None:
    db.execute(delete(host_mutes).where(host_mutes.c.actor_id == actor_id, host_mutes.c.host == host))


def muted_hosts(db: Connection, actor_id: int) -> list[str]:
    query = select(host_mutes.c.host).where(host_mutes.c.actor_id == actor_id).order_by(host_mutes.c.host)
    return list(db.execute(query).scalars())
