"""Likes and boosts: one of each per actor and work."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, Table, delete, func, insert, literal, select, union

from fediart.domain.emojis import Reaction
from fediart.domain.follows import FollowState
from fediart.domain.listed import Listed, listed
from fediart.domain.moderation import Standing
from fediart.domain.works import ShownActor
from fediart.storage.actors import shown_actors
from fediart.storage.emojis import emojis_in, those_in
from fediart.storage.tables import actors, boosts, follows, likes, works
from fediart.storage.visible import not_blocked, not_suspended
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


MAX_FACES = 12


def faces_of(db: Connection, work_id: int, viewer: int | None) -> list[Reaction]:
    """What the likes of a work were said with, the most frequent first. Nothing by whom the viewer blocks, nor by suspended."""
    heard = [not_suspended(likes.c.actor_id)]
    if viewer is not None:
        heard.append(not_blocked(literal(viewer, BigInteger), likes.c.actor_id))
    query = (
        select(likes.c.face, actors.c.host, func.count().label("how_many"))
        .select_from(likes.join(actors, actors.c.id == likes.c.actor_id))
        .where(likes.c.work_id == work_id, likes.c.face != "", *heard)
        .group_by(likes.c.face, actors.c.host)
    )
    counts: dict[tuple[str, str], int] = {}
    for face, host, count in db.execute(query.order_by(func.count().desc(), likes.c.face).limit(10 * MAX_FACES)):
        # A name means something on its own host only; a plain emoji is the same everywhere.
        key = (face, host if face.startswith(":") else "")
        counts[key] = counts.get(key, 0) + count
    most = sorted(counts, key=lambda key: (-counts[key], key))[:MAX_FACES]
    known = emojis_in(db, [(host, face) for face, host in most])
    return [Reaction(face, counts[face, host], those_in(known, host, face)) for face, host in most]


def drop_reaction(db: Connection, kind: str, actor_id: int, work_id: int) -> Row[Any] | None:
    """The reaction that was taken back, or None."""
    row = reaction_by(db, kind, actor_id, work_id)
    if row is not None:
        db.execute(delete(TABLES[kind]).where(TABLES[kind].c.id == row.id))
        count_change(db, work_id, **{_COUNT[kind]: -1})
    return row


def reacted_to(db: Connection, kind: str, work_id: int, *, max_id: int | None = None, limit: int = 40) -> Listed[ShownActor]:
    """Who did so, the newest first; cut by the ids of the reactions."""
    table, limit = TABLES[kind], max(1, min(limit, 80))
    query = select(table.c.id, table.c.actor_id).where(table.c.work_id == work_id)
    if max_id is not None:
        query = query.where(table.c.id < max_id)
    rows = db.execute(query.order_by(table.c.id.desc()).limit(limit)).all()
    people = shown_actors(db, [row.actor_id for row in rows])
    return listed([people[row.actor_id] for row in rows if row.actor_id in people], [row.id for row in rows], limit)


def local_boosts(db: Connection, work_id: int) -> list[tuple[int, str]]:
    """(actor, address of the boost) of everybody here who boosted the work."""
    query = select(boosts.c.actor_id, boosts.c.uri).join(actors, actors.c.id == boosts.c.actor_id)
    return [(row[0], row[1]) for row in db.execute(query.where(boosts.c.work_id == work_id, actors.c.host == ""))]


def inboxes_reached(db: Connection, work_id: int, apart: Collection[int]) -> list[str]:
    """Where else a work of ours is known: with those elsewhere who liked, boosted or answered it, and with the followers of
    people here who boosted it. The shared inbox where there is one; not those of the actors `apart`.
    """
    local = select(boosts.c.actor_id).join(actors, actors.c.id == boosts.c.actor_id)
    local = local.where(boosts.c.work_id == work_id, actors.c.host == "")
    who = union(
        select(likes.c.actor_id).where(likes.c.work_id == work_id),
        select(boosts.c.actor_id).where(boosts.c.work_id == work_id),
        select(works.c.actor_id).where(works.c.in_reply_to_id == work_id),
        select(follows.c.follower_id).where(follows.c.state == FollowState.ACCEPTED, follows.c.followee_id.in_(local)),
    )
    query = (
        select(func.coalesce(actors.c.shared_inbox, actors.c.inbox))
        .where(actors.c.id.in_(who), actors.c.host != "", ~actors.c.gone, actors.c.standing != Standing.SUSPENDED)
        .where(actors.c.id.not_in(apart))
        .distinct()
    )
    return list(db.execute(query).scalars())
