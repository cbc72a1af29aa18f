"""What is known of backups: how the last one went, which one this database came from, how large the next one will be."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from fediart.domain.backups import Outcome
from fediart.storage.settings import put_setting, setting
from fediart.storage.tables import images, renditions

_LAST, _RESTORED = "last_backup", "restored_from"


def last_backup(db: Connection) -> Outcome | None:
    """None: there never was one."""
    held = setting(db, _LAST)
    return None if held is None else msgspec.json.decode(held, type=Outcome)


def put_outcome(db: Connection, *, at: int, size: int, place: str, words: str, is_good: bool) -> None:
    """`at` in ms; `size` in bytes."""
    before = last_backup(db)
    good_at = at if is_good else before.good_at if before is not None else 0
    held_size = size if is_good or before is None else before.bytes
    put_setting(db, _LAST, msgspec.json.encode(Outcome(at, good_at, held_size, place, words)).decode())


def restored_from(db: Connection) -> str | None:
    """Id of the backup that these rows came from."""
    return setting(db, _RESTORED)


def put_restored_from(db: Connection, id_: str) -> None:
    put_setting(db, _RESTORED, id_)


def expected_bytes(db: Connection) -> int:
    """Of the files that a backup holds."""
    of_ours = select(images.c.id).where(images.c.id == renditions.c.image_id, images.c.purpose != "remote").exists()
    shown = db.execute(select(func.coalesce(func.sum(renditions.c.bytes), 0)).where(of_ours)).scalar_one()
    originals = db.execute(select(func.coalesce(func.sum(images.c.original_bytes), 0))).scalar_one()
    return int(shown) + int(originals)
