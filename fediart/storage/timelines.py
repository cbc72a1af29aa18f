"""The home timeline: rows written when a work arrives, read by one index seek."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, exists, select, text

from fediart.domain.listed import Listed, listed
from fediart.domain.moderation import Place
from fediart.domain.works import ShownWork
from fediart.storage.shown import works_shown
from fediart.storage.tables import timeline, works
from fediart.storage.works import MAX_PAGE

_PLACE = text(
    "INSERT INTO timeline (actor_id, entry_id, work_id, booster_id) VALUES (:actor_id, :entry_id, :work_id, :booster_id) "
    "ON CONFLICT DO NOTHING"
)

_PAGE = {
    (False, False): "actor_id = :actor",
    (True, False): "actor_id = :actor AND entry_id < :max_id",
    (False, True): "actor_id = :actor AND entry_id > :low_id",
    (True, True): "actor_id = :actor AND entry_id < :max_id AND entry_id > :low_id",
}


def home_entries(
    db: Connection,
    actor_id: int,
    *,
    max_id: int | None = None,
    min_id: int | None = None,
    since_id: int | None = None,
    limit: int = 20,
    boosts: bool = True,
) -> list[tuple[int, int, int | None]]:
    """(entry id, work id, booster id or None), newest first."""
    low = min_id if min_id is not None else since_id
    where = _PAGE[max_id is not None, low is not None] + ("" if boosts else " AND booster_id IS NULL")
    order = "ASC" if min_id is not None else "DESC"
    rows = db.execute(
        text(f"SELECT entry_id, work_id, booster_id FROM timeline WHERE {where} ORDER BY entry_id {order} LIMIT :limit"),  # noqa: S608 - only our own constants
        {"actor": actor_id, "max_id": max_id, "low_id": low, "limit": max(1, min(limit, MAX_PAGE))},
    ).all()
    entries = [(row[0], row[1], row[2]) for row in rows]
    return entries[::-1] if min_id is not None else entries


def home_of(
    db: Connection,
    actor_id: int,
    *,
    max_id: int | None = None,
    min_id: int | None = None,
    since_id: int | None = None,
    limit: int = 20,
    boosts: bool = True,
) -> Listed[ShownWork]:
    """One page of an actor's home, newest first, only what it may see."""
    limit = max(1, min(limit, MAX_PAGE))
    entries = home_entries(db, actor_id, max_id=max_id, min_id=min_id, since_id=since_id, limit=limit, boosts=boosts)
    return listed(works_shown(db, [], actor_id, entries, place=Place.HOME), [entry[0] for entry in entries], limit)


def place(db: Connection, actor_ids: Iterable[int], *, entry_id: int, work_id: int, booster_id: int | None = None) -> None:
    """Put a work into homes. Doing it twice changes nothing."""
    rows = [{"actor_id": actor_id, "entry_id": entry_id, "work_id": work_id, "booster_id": booster_id} for actor_id in actor_ids]
    if rows:
        db.execute(_PLACE, rows)


def without_entry_of(db: Connection, actor_ids: Iterable[int], work_id: int) -> list[int]:
    """Those of the actors whose home does not show the work yet, so that a boost does not repeat it."""
    wanted = list(actor_ids)
    if not wanted:
        return []
    have = set(
        db.execute(select(timeline.c.actor_id).where(timeline.c.work_id == work_id, timeline.c.actor_id.in_(wanted))).scalars()
    )
    return [actor_id for actor_id in wanted if actor_id not in have]


def take_entry(db: Connection, entry_id: int) -> None:
    """A boost was undone."""
    db.execute(delete(timeline).where(timeline.c.entry_id == entry_id, timeline.c.booster_id.is_not(None)))


def take_author(db: Connection, actor_id: int, author_id: int) -> None:
    """After an unfollow: the author's works and boosts leave the home."""
    of_author = exists(select(works.c.id).where(works.c.id == timeline.c.work_id, works.c.actor_id == author_id))
    db.execute(delete(timeline).where(timeline.c.actor_id == actor_id, timeline.c.booster_id.is_(None), of_author))
    db.execute(delete(timeline).where(timeline.c.actor_id == actor_id, timeline.c.booster_id == author_id))


def fill_from(db: Connection, actor_id: int, author_id: int, limit: int = 20) -> None:
    """After a follow: what we already have of the author comes into the home."""
    query = (
        select(works.c.id)
        .where(
            works.c.actor_id == author_id,
            works.c.state == "published",
            works.c.visibility.in_(["public", "unlisted"]),
            works.c.in_reply_to_uri.is_(None),
        )
        .order_by(works.c.id.desc())
        .limit(limit)
    )
    for work_id in db.execute(query).scalars():
        place(db, [actor_id], entry_id=work_id, work_id=work_id)


def trim(db: Connection, actor_id: int, keep: int) -> None:
    """Keep the newest `keep` entries of a home."""
    oldest = db.execute(
        select(timeline.c.entry_id)
        .where(timeline.c.actor_id == actor_id)
        .order_by(timeline.c.entry_id.desc())
        .offset(keep)
        .limit(1)
    ).scalar()
    if oldest is not None:
        db.execute(delete(timeline).where(timeline.c.actor_id == actor_id, timeline.c.entry_id <= oldest))
