"""All rows of a database, to see whether anything changed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from fediart.storage import tables


def everything(db: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """table → its rows, in an order that does not depend on the database."""
    return {
        table.name: sorted((tuple(row) for row in db.execute(select(table))), key=repr) for table in tables.metadata.sorted_tables
    }
