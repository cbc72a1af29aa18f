"""What an admin wants to know of the whole server: how much of what there is, and what waits. Each one query, counted in bulk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, case, func, select

from fediart.domain.images import Purpose
from fediart.storage.jobs import NEVER
from fediart.storage.tables import copies, deliveries, images, jobs, renditions, review_files


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows of one kind (deliveries have none). `due`: would be done now; `later`: wait for their time; `in_hand`: are being done.

    `oldest_at`: since when the oldest of those due is due. `held`: until somebody lets them go on.
    """

    kind: str
    due: int
    later: int
    in_hand: int
    held: int
    oldest_at: int | None

    @property
    def count(self) -> int:
        return self.due + self.later + self.in_hand + self.held


def jobs_waiting(db: Connection, now: int) -> list[Waiting]:
    """By kind, in their order."""
    return _waiting(db, jobs, now)


def deliveries_waiting(db: Connection, now: int) -> Waiting:
    found = _waiting(db, deliveries, now)
    return found[0] if found else Waiting("", 0, 0, 0, 0, None)


def _waiting(db: Connection, table: Table, now: int) -> list[Waiting]:
    state = case(
        (table.c.leased_until > now, "in_hand"), (table.c.run_at >= NEVER, "held"), (table.c.run_at > now, "later"), else_="due"
    )
    by = [table.c.kind, state] if "kind" in table.c else [state]
    kinds: dict[str, dict[str, tuple[int, int]]] = {}
    for *kind, which, count, oldest in db.execute(select(*by, func.count(), func.min(table.c.run_at)).group_by(*by)):
        kinds.setdefault(kind[0] if kind else "", {})[which] = (int(count), int(oldest))
    return [_of_kind(kind, found) for kind, found in sorted(kinds.items())]


def _of_kind(kind: str, found: dict[str, tuple[int, int]]) -> Waiting:
    due, later, in_hand, held = (found.get(state, (0, 0))[0] for state in ("due", "later", "in_hand", "held"))
    return Waiting(kind, due, later, in_hand, held, found["due"][1] if "due" in found else None)


_CACHED = (Purpose.REMOTE, Purpose.EMOJI)


def media_bytes(db: Connection) -> dict[str, int]:
    """Bytes of files by kind, as their rows say: originals, public (of our artists), remote (the cache), copies, proof."""

    def total(column: ColumnElement[Any], table: Table) -> int:
        return int(db.execute(select(func.coalesce(func.sum(column), 0)).select_from(table)).scalar_one())

    is_cached = images.c.purpose.in_(_CACHED)
    of_renditions = (
        select(is_cached, func.sum(renditions.c.bytes))
        .select_from(renditions.join(images, renditions.c.image_id == images.c.id))
        .group_by(is_cached)
    )
    sums = {bool(cached): int(size) for cached, size in db.execute(of_renditions)}
    originals = select(func.coalesce(func.sum(images.c.original_bytes), 0)).where(images.c.vault_key.is_not(None))
    return {
        "originals": int(db.execute(originals).scalar_one()),
        "public": sums.get(False, 0),
        "remote": sums.get(True, 0),
        "copies": total(copies.c.bytes, copies),
        "proof": total(review_files.c.bytes, review_files),
    }
