"""Names of files that nothing shows any more: what they answer, and which of the files must still go from the disk."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select, update

from fediart.domain.images import is_secret_name
from fediart.storage.tables import renditions, retired_files


def retire(db: Connection, names: Iterable[str], now: int) -> None:
    """Nothing shows these any more, in the transaction of this: whatever ends the process then, the files go."""
    held = sorted(set(names))
    if held:
        db.execute(delete(retired_files).where(retired_files.c.name.in_(held)))
        db.execute(insert(retired_files), [{"name": name, "retired_at": now} for name in held])


def revive(db: Connection, names: Iterable[str]) -> None:
    """Something shows these again: a content's name comes back with its content."""
    db.execute(delete(retired_files).where(retired_files.c.name.in_(list(names))))


def is_retired(db: Connection, name: str) -> bool:
    return db.execute(select(retired_files.c.name).where(retired_files.c.name == name)).first() is not None


def to_be_discarded(db: Connection, limit: int) -> list[str]:
    """Retired names whose files may still be on the disk, and that nothing shows."""
    shown = select(renditions.c.name).where(renditions.c.name == retired_files.c.name).exists()
    query = select(retired_files.c.name).where(retired_files.c.on_disk, ~shown).order_by(retired_files.c.name).limit(limit)
    return list(db.execute(query).scalars())


def are_discarded(db: Connection, names: Iterable[str]) -> None:
    """The files are gone. Of a name that was a secret nothing is kept: it answers as if it had never been."""
    held = list(names)
    db.execute(update(retired_files).where(retired_files.c.name.in_(held)).values(on_disk=False))
    db.execute(delete(retired_files).where(retired_files.c.name.in_([name for name in held if is_secret_name(name)])))
