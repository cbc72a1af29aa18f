"""Who did what that concerns others: written with the act itself, never changed."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from fediart.ids import new_id
from fediart.storage.tables import audit


def record(db: Connection, account_id: int | None, verb: str, subject: str, detail: str, now: int) -> None:
    """`account_id` None: from the shell, or the server itself. `verb`: short; `subject` and `detail`: in words."""
    db.execute(insert(audit).values(id=new_id(now), account_id=account_id, verb=verb, subject=subject, detail=detail, at=now))


def was_recorded(db: Connection, account_id: int | None, verb: str, subject: str) -> bool:
    wanted = (audit.c.account_id == account_id, audit.c.verb == verb, audit.c.subject == subject)
    return db.execute(select(audit.c.id).where(*wanted).limit(1)).first() is not None
