"""What this server says, and to whom it must still be said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from fediart.ids import new_id
from fediart.storage.tables import activities, actors, deliveries, delivery_counts, hosts


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
    wanted = dict(inboxes)
    base = new_id(now)
    rows = [
        {"id": base + n, "activity_id": activity_id, "inbox": inbox, "lane": host, "run_at": now}
        for n, (inbox, host) in enumerate(wanted.items())
    ]
    if rows:
        db.execute(insert(deliveries), rows)
    db.execute(insert(delivery_counts).values(activity_id=activity_id, planned=len(rows)))
    return activity_id


def activity_bodies(db: Connection, ids: Iterable[int]) -> dict[int, Row[Any]]:
    """id → (uri, body, actor_id, public_key_id, private_key_pem), all that a delivery needs."""
    query = (
        select(
            activities.c.id,
            activities.c.uri,
            activities.c.body,
            activities.c.actor_id,
            actors.c.public_key_id,
            actors.c.private_key_pem,
        )
        .select_from(activities.join(actors, actors.c.id == activities.c.actor_id))
        .where(activities.c.id.in_(list(set(ids))))
    )
    rows: list[Row[Any]] = list(db.execute(query))
    return {row.id: row for row in rows}


def activity_said(db: Connection, uri: str) -> bytes | None:
    return db.execute(select(activities.c.body).where(activities.c.uri == uri)).scalar()


def count_outcomes(db: Connection, activity_id: int, *, delivered: int, failed: int) -> None:
    db.execute(
        update(delivery_counts)
        .where(delivery_counts.c.activity_id == activity_id)
        .values(delivered=delivery_counts.c.delivered + delivered, failed=delivery_counts.c.failed + failed)
    )


def host_failures(db: Connection, host: str) -> int:
    return db.execute(select(hosts.c.failures).where(hosts.c.host == host)).scalar() or 0
