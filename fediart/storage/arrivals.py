"""What other servers told us: the first insert of an activity's id wins."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, text

from fediart.ids import new_id
from fediart.storage.tables import arrivals

_ARRIVE = text("INSERT INTO arrivals (uri, actor_uri, received_at) VALUES (:uri, :actor, :now) ON CONFLICT DO NOTHING")
_HANDLE = text(
    "INSERT INTO jobs (id, kind, lane, payload, run_at, leased_until, lease, attempts, problem) "
    "VALUES (:id, 'arrival', :lane, :payload, :now, 0, '', 0, '')"
)


def receive(db: Connection, *, uri: str, actor_uri: str, body: bytes, now: int, has_proof: bool = False) -> bool:
    """Keep an activity and the job that will handle it. False when its id was here before.

    `has_proof`: it carries an integrity proof, which was verified.
    """
    if db.execute(_ARRIVE, {"uri": uri, "actor": actor_uri, "now": now}).rowcount != 1:
        return False
    payload = msgspec.json.encode({"actor": actor_uri, "body": body.decode(), "has_proof": has_proof})
    db.execute(_HANDLE, {"id": new_id(now), "lane": actor_uri, "payload": payload, "now": now})
    return True


def forget_arrivals(db: Connection, before: int) -> int:
    """Ids are kept for 30 days; a repeat that old is refused by its Date already."""
    return db.execute(delete(arrivals).where(arrivals.c.received_at < before)).rowcount
