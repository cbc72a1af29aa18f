"""Who blocks whom: questions, and the changes of their rows. What a block hides stands in `visible`."""

from __future__ import annotations

from sqlalchemy import Connection, and_, delete, insert, or_, select

from fediart.domain.actors import Actor
from fediart.domain.listed import Listed, listed
from fediart.domain.moderation import Standing
from fediart.domain.works import ShownActor
from fediart.storage.actors import shown_actors
from fediart.storage.tables import actors, blocks, notifications


def put_block(db: Connection, actor_id: int, target_id: int, *, uri: str, now: int) -> bool:
    """False when it was there already; its uri is then renewed."""
    was_there = drop_block(db, actor_id, target_id) is not None
    db.execute(insert(blocks).values(actor_id=actor_id, target_id=target_id, uri=uri, at=now))
    return not was_there


def block_uri(db: Connection, actor_id: int, target_id: int) -> str | None:
    """None when the one does not block the other."""
    return db.execute(select(blocks.c.uri).where(blocks.c.actor_id == actor_id, blocks.c.target_id == target_id)).scalar()


def drop_block(db: Connection, actor_id: int, target_id: int) -> str | None:
    """The uri it was said under, or None when there was none."""
    uri = block_uri(db, actor_id, target_id)
    db.execute(delete(blocks).where(blocks.c.actor_id == actor_id, blocks.c.target_id == target_id))
    return uri


def drop_block_of_uri(db: Connection, actor_id: int, uri: str) -> bool:
    return db.execute(delete(blocks).where(blocks.c.actor_id == actor_id, blocks.c.uri == uri)).rowcount > 0


def are_apart(db: Connection, one: int, other: int) -> bool:
    """Does one of both block the other?"""
    query = select(blocks.c.actor_id).where(
        or_(
            and_(blocks.c.actor_id == one, blocks.c.target_id == other),
            and_(blocks.c.actor_id == other, blocks.c.target_id == one),
        )
    )
    return db.execute(query.limit(1)).first() is not None


def hides_from(db: Connection, actor: Actor, viewer: int | None) -> bool:
    """Is a page of this actor not there for the viewer? Suspended ones are for nobody but themselves.

    Whom a local actor blocks hears what of nobody: a local actor that blocks is not found by them. That somebody elsewhere
    blocks one of ours is not shown to ours.
    """
    if viewer == actor.id:
        return False
    if actor.is_local:
        return actor.is_suspended or (viewer is not None and block_uri(db, actor.id, viewer) is not None)
    return actor.is_suspended


def apart_from(db: Connection, actor_id: int) -> set[int]:
    """All whom this actor blocks, and who block it."""
    found = set(db.execute(select(blocks.c.target_id).where(blocks.c.actor_id == actor_id)).scalars())
    return found | set(db.execute(select(blocks.c.actor_id).where(blocks.c.target_id == actor_id)).scalars())


def key_is_blocked(db: Connection, actor_id: int, key_id: str) -> bool:
    """Does the key belong to somebody from whom this actor is apart, or who is suspended?"""
    whose = or_(actors.c.public_key_id == key_id, actors.c.uri == key_id.split("#")[0])
    holders = db.execute(select(actors.c.id, actors.c.standing).where(whose)).all()
    return any(row.standing == Standing.SUSPENDED or are_apart(db, actor_id, row.id) for row in holders)


def blocked_by(db: Connection, actor_id: int, *, max_id: int | None = None, limit: int = 40) -> Listed[ShownActor]:
    """Whom this actor blocks; cut by the id of who is blocked, which is how the client API pages here."""
    limit = max(1, min(limit, 80))
    query = select(blocks.c.target_id).where(blocks.c.actor_id == actor_id)
    if max_id is not None:
        query = query.where(blocks.c.target_id < max_id)
    ids = list(db.execute(query.order_by(blocks.c.target_id.desc()).limit(limit)).scalars())
    people = shown_actors(db, ids)
    return listed([people[id_] for id_ in ids if id_ in people], ids, limit)


def forget_between(db: Connection, one: int, other: int) -> None:
    """What both were told of each other."""
    told = notifications.c
    db.execute(
        delete(notifications).where(
            or_(
                and_(told.actor_id == one, told.from_actor_id == other),
                and_(told.actor_id == other, told.from_actor_id == one),
            )
        )
    )
