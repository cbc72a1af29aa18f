"""All rows of a database, out of it into an archive and back: JSON by table, the same from SQLite and from PostgreSQL.

The tables are those that are there, not those of this version's code: so a database can be copied before it is upgraded,
and a copy from an older version is taken up in its own tables, which are then upgraded.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, LargeBinary, MetaData, Select, Table, func, insert, inspect, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from fediart.archive.pack import Entry, PackWriter
from fediart.errors import BadArchive
from fediart.storage.tables import images, renditions

ROWS = "rows"
"""Folder of the archive."""

_CHUNK = 2 << 20
_MOST = 64 << 20
"""Bytes of JSON in one entry, which ends with the row that reaches this; and what is unpacked of one at most."""
_AT_A_TIME = 1_000


class _Head(msgspec.Struct, frozen=True):
    """First line of an entry. `binary`: columns whose values are base64."""

    table: str
    columns: list[str]
    binary: list[str]


def _held_tables(db: Connection) -> list[Table]:
    """In an order in which each table stands behind those it refers to."""
    held = MetaData()
    held.reflect(db)
    return [table for table in held.sorted_tables if table.name != "alembic_version"]


def _streamed(query: Select[Any]) -> Select[Any]:
    """Its rows come a portion at a time."""
    return query.execution_options(stream_results=True, yield_per=_AT_A_TIME)


def is_empty(db: Connection) -> bool:
    return not inspect(db).get_table_names()


def write_rows(db: Connection, pack: PackWriter) -> dict[str, int]:
    """Every row; returns how many each table has. `db` must see the database of one moment."""
    counts: dict[str, int] = {}
    number = 0
    for table in _held_tables(db):
        counts[str(table.name)] = 0
        for count, packed in _chunks(db, table):
            number += 1
            pack.add(f"{ROWS}/{number:06}.gz", packed)
            counts[str(table.name)] += count
    return counts


def _chunks(db: Connection, table: Table) -> Iterator[tuple[int, bytes]]:
    """(how many rows, gzip)."""
    binary = [str(column.name) for column in table.columns if isinstance(column.type, LargeBinary)]
    head = msgspec.json.encode(_Head(str(table.name), [str(column.name) for column in table.columns], binary)) + b"\n"
    encode = msgspec.json.Encoder().encode
    held, count = bytearray(head), 0
    found = db.execute(_streamed(select(table)))
    for row in found:
        held += encode(tuple(row))
        held += b"\n"
        count += 1
        if len(held) >= _CHUNK:
            yield count, gzip.compress(held, 1, mtime=0)
            held, count = bytearray(head), 0
    if count:
        yield count, gzip.compress(held, 1, mtime=0)


class RowLoader:
    """Puts rows back into tables that are there and empty."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._tables = {str(table.name): table for table in _held_tables(db)}
        self.counts = dict.fromkeys(self._tables, 0)

    def load(self, entry: Entry) -> None:
        """One entry of `write_rows`. Raises BadArchive."""
        lines = _unpacked(entry.read(_MOST)).splitlines()
        try:
            head = msgspec.json.decode(lines[0], type=_Head)
            table = self._tables[head.table]
            binary = [head.columns.index(name) for name in head.binary]
            if sorted(head.columns) != sorted(table.columns.keys()):
                raise BadArchive(f"The table {head.table} of this backup has other columns than it should have.")
            for at in range(1, len(lines), _AT_A_TIME):
                self._insert(table, head.columns, binary, lines[at : at + _AT_A_TIME])
        except (KeyError, IndexError, ValueError, msgspec.DecodeError) as problem:
            raise BadArchive("The rows of this backup cannot be read.", detail=repr(problem)) from None
        except StatementError as problem:
            # A full disk is no fault of the archive. What a database, or its driver, says of a single row is.
            if isinstance(problem, DBAPIError) and not isinstance(problem, IntegrityError | DataError):
                raise
            raise BadArchive("A row of this backup does not fit into its table.", detail=repr(problem)) from None

    def _insert(self, table: Table, columns: list[str], binary: Sequence[int], lines: Iterable[bytes]) -> None:
        rows: list[dict[str, Any]] = []
        for line in lines:
            values: list[Any] = msgspec.json.decode(line, type=list[Any])
            for index in binary:
                if values[index] is not None:
                    values[index] = msgspec.convert(values[index], bytes)
            rows.append(dict(zip(columns, values, strict=True)))
        if rows:
            self._db.execute(insert(table), rows)
            self.counts[str(table.name)] += len(rows)


def _unpacked(packed: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(packed, _MOST)
    except zlib.error:
        raise BadArchive("The rows of this backup cannot be unpacked.") from None
    if stream.unconsumed_tail or not stream.eof:
        raise BadArchive("The rows of this backup cannot be unpacked: a part is too long, or cut off.")
    return plain


def files_named(db: Connection) -> Iterator[tuple[str, str, str | None]]:
    """(store, name, hash) of each file that rows name, once: ("media", …) and ("originals", …). The hash where a row knows it.

    Without cached pictures of other servers, which are fetched again.
    """
    of_ours = select(images.c.id).where(images.c.id == renditions.c.image_id, images.c.purpose != "remote").exists()
    shown = select(renditions.c.name, func.max(renditions.c.sha256)).where(of_ours).group_by(renditions.c.name)
    for name, digest in db.execute(_streamed(shown.order_by(renditions.c.name))):
        yield "media", name, digest
    for table in _held_tables(db):
        if "vault_key" not in table.columns:
            continue
        key = table.columns["vault_key"]
        digest_column = table.columns.get("original_sha256")
        columns = (key,) if digest_column is None else (key, digest_column)
        for row in db.execute(_streamed(select(*columns).where(key.is_not(None)).order_by(key))):
            yield "originals", row[0], row[1] if len(row) > 1 else None
