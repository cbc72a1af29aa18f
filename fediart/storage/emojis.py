"""Emoji of other servers: which there are, and those that stand in given words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, func, insert, select

from fediart.domain.emojis import ShownEmoji, names_in
from fediart.storage.images import shown_images
from fediart.storage.tables import emojis, images

MAX_NAMES = 300
"""So many are looked for in one page of works."""


def held_emojis(db: Connection, host: str, names: Sequence[str]) -> dict[str, tuple[int, str | None, int]]:
    """name → (image id, address of its picture, when that was last changed)."""
    query = (
        select(emojis.c.name, emojis.c.image_id, images.c.remote_url, emojis.c.changed_at)
        .select_from(emojis.join(images, images.c.id == emojis.c.image_id))
        .where(emojis.c.host == host, emojis.c.name.in_(names))
    )
    return {row[0]: (row[1], row[2], row[3]) for row in db.execute(query)}


def count_emojis(db: Connection, host: str) -> int:
    return db.execute(select(func.count()).where(emojis.c.host == host)).scalar_one()


def put_emoji(db: Connection, host: str, name: str, image_id: int, now: int) -> None:
    """In the place of the host's earlier one of this name."""
    db.execute(delete(emojis).where(emojis.c.host == host, emojis.c.name == name))
    db.execute(insert(emojis).values(host=host, name=name, image_id=image_id, changed_at=now))


def emojis_in(db: Connection, said: Iterable[tuple[str, str]]) -> dict[str, dict[str, ShownEmoji]]:
    """`said`: (host, its words). host → name → emoji, of those that are known. Nothing is asked where nothing can be one."""
    wanted: dict[str, set[str]] = {}
    for host, words in said:
        if host and (names := names_in(words)):
            wanted.setdefault(host, set()).update(names)
    if not wanted:
        return {}
    asked = sorted(set().union(*wanted.values()))[:MAX_NAMES]
    query = select(emojis.c.host, emojis.c.name, emojis.c.image_id).where(emojis.c.host.in_(wanted), emojis.c.name.in_(asked))
    rows = [row for row in db.execute(query) if row.name in wanted[row.host]]
    pictures = shown_images(db, [row.image_id for row in rows]) if rows else {}
    found: dict[str, dict[str, ShownEmoji]] = {}
    for row in rows:
        found.setdefault(row.host, {})[row.name] = ShownEmoji(row.name, pictures[row.image_id])
    return found


def those_in(found: dict[str, dict[str, ShownEmoji]], host: str, words: str) -> tuple[ShownEmoji, ...]:
    """Of what `emojis_in` found, those in these words."""
    held = found.get(host)
    return tuple(held[name] for name in sorted(names_in(words)) if name in held) if held else ()
