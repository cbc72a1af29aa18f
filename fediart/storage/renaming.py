"""Every address of this server's own, in whatever table it stands, written anew: only while no other server knows one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, String, Table, and_, delete, func, select, update

from fediart.storage.tables import accounts, actors, arrivals, deliveries, delivery_counts, metadata

INSTANCE_KIND = "Application"

_NEVER_TEXT = frozenset({accounts.c.cloak_secret})
"""Bytes that are no document."""


def met(db: Connection) -> str:
    """What shows that this server has had to do with others, in words that follow on "It has federated:"; '' for nothing."""
    people, hosts = db.execute(
        select(func.count(), func.count(actors.c.host.distinct())).select_from(actors).where(actors.c.host != "")
    ).one()
    if people:
        return f"it knows {people} people of {hosts} other servers"
    if db.execute(select(func.count()).select_from(arrivals)).scalar():
        return "other servers have written to it"
    sent = db.execute(select(func.sum(delivery_counts.c.planned))).scalar()
    if sent or db.execute(select(func.count()).select_from(deliveries)).scalar():
        return "works were sent to other servers"
    return ""


def instance_actors(db: Connection) -> list[str]:
    """Addresses under which this database was opened, newest first: each left an actor for the server itself."""
    own = and_(actors.c.host == "", actors.c.kind == INSTANCE_KIND)
    return [
        uri.removesuffix("/actor") for uri in db.execute(select(actors.c.uri).where(own).order_by(actors.c.id.desc())).scalars()
    ]


def rename_instance_actor(db: Connection, old: str, username: str) -> None:
    """The server's own actor at `old` keeps its key and is called `username`. Those that other addresses left go."""
    own = and_(actors.c.host == "", actors.c.kind == INSTANCE_KIND)
    db.execute(delete(actors).where(own, actors.c.uri != f"{old}/actor"))
    db.execute(update(actors).where(own).values(username=username))


def rewrite(db: Connection, change: Callable[[str], str]) -> int:
    """Put `change` of it in the place of every text and document of every table. How many rows were changed."""
    return sum(_rewrite_table(db, table, change) for table in metadata.sorted_tables)


def _rewrite_table(db: Connection, table: Table, change: Callable[[str], str]) -> int:
    columns = [column for column in table.c if isinstance(column.type, String | LargeBinary) and column not in _NEVER_TEXT]
    if not columns:
        return 0
    keys = list(table.primary_key.columns)
    changed = list(_changed(db, table, keys, columns, change))
    for key, values in changed:
        db.execute(update(table).where(*(column == held for column, held in zip(keys, key, strict=True))).values(values))
    return len(changed)


def _changed(
    db: Connection, table: Table, keys: list[Column[Any]], columns: list[Column[Any]], change: Callable[[str], str]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """(key, column → new value) of the rows in which something changes."""
    for row in db.execute(select(*(column.label(f"key_{column.name}") for column in keys), *columns)):
        values = {}
        for column, held in zip(columns, row[len(keys) :], strict=True):
            new = _changed_value(held, change)
            if new != held:
                values[column.name] = new
        if values:
            yield tuple(row[: len(keys)]), values


def _changed_value(held: Any, change: Callable[[str], str]) -> Any:
    if isinstance(held, str):
        return change(held)
    if isinstance(held, bytes):
        # Documents are UTF-8; latin-1 keeps whatever else there may be, byte for byte.
        return change(held.decode("latin-1")).encode("latin-1")
    return held
