"""All rows of a database, to see whether anything changed: but for the day on which an app last asked, which it may."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Table, select

from fediart.storage import tables

LEFT_OUT = {tables.grants.c.used_at}


def everything(db: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """table → its rows, in an order that does not depend on the database."""
    return {
        table.name: sorted((tuple(row) for row in db.execute(select(*_columns(table)))), key=repr)
        for table in tables.metadata.sorted_tables
    }


def _columns(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if column not in LEFT_OUT]
