"""What this server says, and to whom it must still be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from fediart.ids import new_id
from fediart.storage import leases
from fediart.storage.tables import activities, actors, deliveries, delivery_counts


@dataclass(frozen=True, slots=True)
class Sending:
    """A claimed delivery with all that it takes to send it. `key_pem` None: its author is gone. `lane` is the host."""

    id: int
    lane: str
    attempts: int
    inbox: str
    activity_id: int
    uri: str
    body: bytes
    key_id: str
    key_pem: str | None


def say(
    db: Connection,
    *,
    uri: str,
    actor_id: int,
    body: bytes,
    inboxes: Iterable[tuple[str, str]],
    now: int,
    work_id: int | None = None,
) -> int:
    """Store an activity and one delivery for each distinct (inbox, host). Returns the activity's id."""
    activity_id = new_id(now)
    db.execute(insert(activities).values(id=activity_id, uri=uri, actor_id=actor_id, work_id=work_id, body=body))
    rows = [
        {"id": new_id(now), "activity_id": activity_id, "inbox": inbox, "lane": host, "run_at": now}
        for inbox, host in dict(inboxes).items()
    ]
    if rows:
        db.execute(insert(deliveries), rows)
    db.execute(insert(delivery_counts).values(activity_id=activity_id, planned=len(rows)))
    return activity_id


def claim_sendings(db: Connection, *, now: int, lease: str, lease_ms: int, limit: int) -> list[Sending]:
    """Deliveries that are due, claimed, in the order in which they were said."""
    claimed = leases.claim(db, deliveries, now=now, lease=lease, lease_ms=lease_ms, limit=limit)
    if not claimed:
        return []
    said = _activities(db, {row.activity_id for row in claimed})
    return [
        Sending(
            id=row.id,
            lane=row.lane,
            attempts=row.attempts,
            inbox=row.inbox,
            activity_id=row.activity_id,
            uri=said[row.activity_id].uri,
            body=said[row.activity_id].body,
            key_id=said[row.activity_id].public_key_id,
            key_pem=said[row.activity_id].private_key_pem,
        )
        for row in claimed
    ]


def _activities(db: Connection, ids: set[int]) -> dict[int, Any]:
    query = (
        select(activities.c.id, activities.c.uri, activities.c.body, actors.c.public_key_id, actors.c.private_key_pem)
        .select_from(activities.join(actors, actors.c.id == activities.c.actor_id))
        .where(activities.c.id.in_(ids))
    )
    return {row.id: row for row in db.execute(query)}


def end_sendings(db: Connection, ended: Sequence[tuple[int, bool]], *, lease: str) -> None:
    """`ended`: (delivery id, whether it was taken). Those still ours are removed and counted, once."""
    taken = dict(ended)
    mine = delete(deliveries).where(deliveries.c.id.in_(taken), deliveries.c.lease == lease)
    rows = db.execute(mine.returning(deliveries.c.id, deliveries.c.activity_id)).all()
    counts = Counter((row.activity_id, taken[row.id]) for row in rows)
    for (activity_id, was_taken), count in counts.items():
        column = delivery_counts.c.delivered if was_taken else delivery_counts.c.failed
        db.execute(
            update(delivery_counts).where(delivery_counts.c.activity_id == activity_id).values({column.name: column + count})
        )
