"""Keyword filters: rows. What fits is judged in `domain/moderation`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select

from fediart.domain.moderation import Filter, FilterAction, FilterWord, Place
from fediart.ids import new_id
from fediart.storage.tables import filter_words, filters


def filters_of(db: Connection, actor_id: int) -> list[Filter]:
    """Oldest first."""
    rows = list(db.execute(select(filters).where(filters.c.actor_id == actor_id).order_by(filters.c.id)))
    if not rows:
        return []
    words: dict[int, list[FilterWord]] = {}
    query = select(filter_words).where(filter_words.c.filter_id.in_([row.id for row in rows])).order_by(filter_words.c.id)
    for row in db.execute(query):
        words.setdefault(row.filter_id, []).append(FilterWord(row.id, row.word, row.whole))
    return [
        Filter(
            id=row.id,
            actor_id=row.actor_id,
            title=row.title,
            places=tuple(Place(name) for name in row.places.split()),
            action=FilterAction(row.action),
            until=row.until,
            words=tuple(words.get(row.id, ())),
        )
        for row in rows
    ]


def filter_of(db: Connection, actor_id: int, filter_id: int) -> Filter | None:
    return next((held for held in filters_of(db, actor_id) if held.id == filter_id), None)


def count_filters(db: Connection, actor_id: int) -> int:
    return db.execute(select(func.count()).where(filters.c.actor_id == actor_id)).scalar_one()


def put_filter(db: Connection, held: Filter, words: Sequence[tuple[str, bool]], now: int) -> None:
    """Insert, or put in the place of the one with the same id. `words`: (word, whole)."""
    drop_filter(db, held.actor_id, held.id)
    db.execute(
        insert(filters).values(
            id=held.id,
            actor_id=held.actor_id,
            title=held.title,
            places=" ".join(held.places),
            action=held.action,
            until=held.until,
        )
    )
    rows = [{"id": new_id(now), "filter_id": held.id, "word": word, "whole": whole} for word, whole in words]
    if rows:
        db.execute(insert(filter_words), rows)


def drop_filter(db: Connection, actor_id: int, filter_id: int) -> bool:
    db.execute(delete(filter_words).where(filter_words.c.filter_id.in_(_ids(actor_id, filter_id))))
    return db.execute(delete(filters).where(filters.c.id == filter_id, filters.c.actor_id == actor_id)).rowcount == 1


def _ids(actor_id: int, filter_id: int):  # type: ignore[no-untyped-def]
    return select(filters.c.id).where(filters.c.id == filter_id, filters.c.actor_id == actor_id)


def end_filters(db: Connection, now: int) -> None:
    """Those whose time is over."""
    over = select(filters.c.id).where(filters.c.until <= now)
    db.execute(delete(filter_words).where(filter_words.c.filter_id.in_(over)))
    db.execute(delete(filters).where(filters.c.until <= now))
