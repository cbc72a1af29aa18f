"""What one server remembers about itself: one value per key, as text."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from fediart.storage.tables import settings


def setting(db: Connection, key: str) -> str | None:
    return db.execute(select(settings.c.value).where(settings.c.key == key)).scalar()


def put_setting(db: Connection, key: str, value: str) -> None:
    db.execute(delete(settings).where(settings.c.key == key))
    db.execute(insert(settings).values(key=key, value=value))


def drop_setting(db: Connection, key: str) -> bool:
    """True when it was there: a one-time link is used up by whoever removes it."""
    return db.execute(delete(settings).where(settings.c.key == key)).rowcount == 1
