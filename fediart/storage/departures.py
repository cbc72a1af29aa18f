"""An actor is gone, here or elsewhere: all that is theirs goes too, a bounded part at a time, so that others can write."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, or_, select, update

from fediart.domain.images import Purpose
from fediart.domain.moderation import Standing
from fediart.storage import deliveries, follows, images, reactions, reviews, timelines, works
from fediart.storage.tables import actors, blocks, filters, host_mutes, mutes, notifications, pins, quotes, redos, timeline
from fediart.storage.tables import images as image_table
from fediart.storage.tables import reviews as review_table

WORKS, REACTIONS, PICTURES = 40, 200, 100
"""So many in one transaction."""

_BLANK: dict[str, str | None] = {
    **dict.fromkeys(("name", "summary", "summary_source"), ""),
    **dict.fromkeys(("fields", "also_known_as"), "[]"),
    **dict.fromkeys(("avatar_image_id", "header_image_id", "moved_to"), None),
}


@dataclass(frozen=True, slots=True)
class Part:
    """Names of public files and keys in the vault that are unused now. `is_last`: nothing of the actor's is left."""

    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    is_last: bool = False


def mark_gone(db: Connection, actor_id: int) -> None:
    """From now on it is not here for anyone. Its name, address and key stay: nobody else may have them."""
    db.execute(update(actors).where(actors.c.id == actor_id).values(gone=True, **_BLANK))
    follows.drop_follows_of(db, actor_id)


def hide(db: Connection, actor_id: int) -> None:
    """What a local actor published is seen by nobody while it is being removed."""
    hidden = {"standing": Standing.SUSPENDED, "own_standing": Standing.SUSPENDED}
    db.execute(update(actors).where(actors.c.id == actor_id).values(**hidden))


def remove_part(db: Connection, actor_id: int) -> Part:
    """The next part of what is theirs. Called until it was the last; again after that changes nothing."""
    if ids := works.ids_of(db, actor_id, WORKS):
        names, keys = works.remove_works(db, ids)
        return Part(tuple(names), tuple(keys))
    if _take_back_reactions(db, actor_id):
        return Part()
    pictures = select(image_table.c.id).where(image_table.c.actor_id == actor_id, image_table.c.purpose != Purpose.EMOJI)
    if ids := list(db.execute(pictures.limit(PICTURES)).scalars()):
        names, keys = images.drop_images(db, ids)
        return Part(tuple(names), tuple(keys))
    for table in (pins, host_mutes, filters, quotes, redos, timeline):
        db.execute(delete(table).where(table.c.actor_id == actor_id))
    for table in (blocks, mutes):
        db.execute(delete(table).where(or_(table.c.actor_id == actor_id, table.c.target_id == actor_id)))
    told = notifications.c
    db.execute(delete(notifications).where(or_(told.actor_id == actor_id, told.from_actor_id == actor_id)))
    return Part(keys=tuple(_drop_reviews(db, actor_id)), is_last=True)


def _take_back_reactions(db: Connection, actor_id: int) -> bool:
    """True when there were some."""
    found = False
    for kind, table in reactions.TABLES.items():
        rows = db.execute(select(table.c.id, table.c.work_id).where(table.c.actor_id == actor_id).limit(REACTIONS)).all()
        for row in rows:
            reactions.drop_reaction(db, kind, actor_id, row.work_id)
            if kind == "boost":
                timelines.take_entry(db, row.id)
        found = found or bool(rows)
    return found


def _drop_reviews(db: Connection, actor_id: int) -> list[str]:
    """What they wrote to the moderators, and showed them. What others reported stays with the report."""
    held = list(db.execute(select(review_table.c.id).where(review_table.c.actor_id == actor_id)).scalars())
    keys = [key for review_id in held for key in reviews.drop_proof(db, review_id)]
    db.execute(delete(review_table).where(review_table.c.actor_id == actor_id))
    return keys


def forget_keys(db: Connection) -> int:
    """Keys of local actors who are gone, once everybody was told; and what they said. Returns of how many."""
    ready = select(actors.c.id).where(actors.c.host == "", actors.c.gone, actors.c.private_key_pem.is_not(None))
    told = [actor_id for actor_id in db.execute(ready).scalars() if not deliveries.is_unsent(db, actor_id)]
    for actor_id in told:
        deliveries.forget_said(db, actor_id)
        db.execute(
            update(actors)
            .where(actors.c.id == actor_id)
            .values(private_key_pem=None, public_key_pem="", ed25519_pem=None, multikeys="[]")
        )
    return len(told)
