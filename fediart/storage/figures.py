"""What an admin wants to know of the whole server: how much of what there is, and what waits. Each one query, counted in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, case, func, select

from fediart.domain.images import Purpose
from fediart.domain.works import WorkState
from fediart.storage.jobs import NEVER
from fediart.storage.tables import accounts, copies, deliveries, images, jobs, renditions, review_files, sessions, works


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


@dataclass(frozen=True, slots=True)
class Holdings:
    """What one artist has here: published works, bytes of originals and of what is shown. `seen_at` in ms: None for never."""

    works: int = 0
    bytes: int = 0
    seen_at: int | None = None


def holdings_of(db: Connection, actor_ids: Sequence[int]) -> dict[int, Holdings]:
    """By actor, of those asked for. Only browsers are seen: what a client program does is not written down."""
    of_works = select(works.c.actor_id, func.count()).where(works.c.state == WorkState.PUBLISHED)
    published = _by_actor(db, of_works.where(works.c.actor_id.in_(actor_ids)).group_by(works.c.actor_id))
    of_originals = select(images.c.actor_id, func.sum(images.c.original_bytes)).where(images.c.vault_key.is_not(None))
    originals = _by_actor(db, of_originals.where(images.c.actor_id.in_(actor_ids)).group_by(images.c.actor_id))
    of_files = select(images.c.actor_id, func.sum(renditions.c.bytes)).join(renditions, renditions.c.image_id == images.c.id)
    files = _by_actor(db, of_files.where(images.c.actor_id.in_(actor_ids)).group_by(images.c.actor_id))
    of_sessions = select(accounts.c.actor_id, func.max(sessions.c.seen_at)).join(sessions, sessions.c.account_id == accounts.c.id)
    seen = _by_actor(db, of_sessions.where(accounts.c.actor_id.in_(actor_ids)).group_by(accounts.c.actor_id))
    return {
        id_: Holdings(published.get(id_, 0), originals.get(id_, 0) + files.get(id_, 0), seen.get(id_)) for id_ in set(actor_ids)
    }


def _by_actor(db: Connection, query: Select[Any]) -> dict[int, int]:
    return {actor_id: int(value or 0) for actor_id, value in db.execute(query)}


def count_accounts(db: Connection) -> int:
    return db.execute(select(func.count()).select_from(accounts)).scalar_one()
