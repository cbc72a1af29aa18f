"""Who did what that concerns others: written with the deed, in one transaction, and never changed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from fediart.ids import new_id
from fediart.storage.tables import accounts, actors, audit

MOST = 2_000


@dataclass(frozen=True, slots=True)
class Deed:
    """`who`: a username, or '' where it was done from the shell or by the server itself."""

    id: int
    who: str
    verb: str
    subject: str
    detail: str
    at: int


def write_down(db: Connection, account_id: int | None, verb: str, subject: str, detail: str, now: int) -> None:
    """`verb`: one word or a few (`suspend`, `block host`). `subject`: a handle, a host, an address."""
    db.execute(
        insert(audit).values(
            id=new_id(now), account_id=account_id, verb=verb[:32], subject=subject[:MOST], detail=detail[:MOST], at=now
        )
    )


def deeds(db: Connection, *, max_id: int | None = None, limit: int = 50) -> list[Deed]:
    """Newest first."""
    people = audit.outerjoin(accounts, accounts.c.id == audit.c.account_id).outerjoin(actors, actors.c.id == accounts.c.actor_id)
    query = select(audit.c.id, actors.c.username, audit.c.verb, audit.c.subject, audit.c.detail, audit.c.at).select_from(people)
    if max_id is not None:
        query = query.where(audit.c.id < max_id)
    rows = db.execute(query.order_by(audit.c.id.desc()).limit(max(1, min(limit, 200))))
    return [Deed(row[0], row[1] or "", *row[2:]) for row in rows]


def was_written_down(db: Connection, account_id: int | None, verb: str, subject: str) -> bool:
    wanted = (audit.c.account_id == account_id, audit.c.verb == verb, audit.c.subject == subject)
    return db.execute(select(audit.c.id).where(*wanted).limit(1)).first() is not None
