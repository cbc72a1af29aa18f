"""The one lease mechanism, for jobs and for deliveries: a row is claimed, then renewed, finished or deferred.

A row is committed in the transaction that caused it. Who claims it gets it for a while (`leased_until`); when the
process dies the lease runs out, or is released at the next start, and the row is claimed again. `finish` and
`defer` only touch a row whose lease is still the caller's, so a slow worker cannot undo what a later one did.
One caller at a time has rows of a lane in hand, the oldest first.

Why not an engine of others: decisions/lease-queue.md.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, func, or_, select, text, update

WAIT_FOR_ROOM_MS = 5 * 60 * 1000
"""At most so long waits what failed because the disk is full or the database away: once they are well it goes on soon."""


def claim(
    db: Connection,
    table: Table,
    *,
    now: int,
    lease: str,
    lease_ms: int,
    limit: int,
    kinds: tuple[str, ...] = (),
    in_turn: bool = False,
    after: tuple[str, ...] = (),
) -> list[Row[Any]]:
    """Take up to `limit` rows that are due, oldest first, and mark them with `lease`.

    `in_turn`: those whose owners' turn it is come first (only jobs have turns).
    `after`: kinds that go first. Nothing is taken while a row of theirs is due or in hand.
    Rows of one lane may come together: the caller works them off one after another, in this order.
    """
    if after and db.execute(select(table.c.id).where(table.c.kind.in_(after), table.c.run_at <= now).limit(1)).first():
        return []
    due = and_(table.c.run_at <= now, table.c.leased_until <= now)
    if kinds:
        due = and_(due, table.c.kind.in_(kinds))
    other = table.alias("other")
    # A lane is busy while one of its rows is in hand or waits for its retry: order is kept. `attempts > 0` stands as
    # text because only then the partial index on it serves.
    busy = select(other.c.lane).where(
        other.c.lane != "",
        or_(other.c.leased_until > now, and_(text("other.attempts > 0"), other.c.run_at > now)),
    )
    chosen = (
        select(table.c.id, table.c.lane)
        .where(due, table.c.lane.not_in(busy))
        .order_by(*((table.c.turn,) if in_turn else ()), table.c.run_at, table.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = {row.id: row.lane for row in db.execute(chosen)}
    if not found:
        return []
    ids = _oldest_of_lanes(db, table, found, due)
    db.execute(
        update(table).where(table.c.id.in_(ids)).values(leased_until=now + lease_ms, lease=lease, attempts=table.c.attempts + 1)
    )
    return list(db.execute(select(table).where(table.c.id.in_(ids)).order_by(table.c.id)))


def _oldest_of_lanes(db: Connection, table: Table, found: dict[int, str], due: ColumnElement[bool]) -> list[int]:
    """As many ids of each lane as were found (id → lane), but the oldest: what was tried is due after those behind it."""
    lanes = set(found.values()) - {""}
    if not lanes:
        return list(found)
    tried = select(table.c.id, table.c.lane).where(text("attempts > 0"), due, table.c.lane.in_(lanes))
    for row in db.execute(tried.with_for_update(skip_locked=True)).all():
        last = max(id_ for id_, lane in found.items() if lane == row.lane)
        if row.id not in found and row.id < last:
            del found[last]
            found[row.id] = row.lane
    return list(found)


def renew(db: Connection, table: Table, ids: list[int], *, lease: str, until: int) -> None:
    """Hold on to rows that take longer than their lease."""
    if ids:
        db.execute(update(table).where(table.c.id.in_(ids), table.c.lease == lease).values(leased_until=until))


def finish(db: Connection, table: Table, ids: list[int], *, lease: str) -> int:
    """The rows are done: remove those still ours. Returns how many were."""
    if not ids:
        return 0
    return db.execute(delete(table).where(table.c.id.in_(ids), table.c.lease == lease)).rowcount


def defer(db: Connection, table: Table, id_: int, *, lease: str, run_at: int, problem: str, lane: str | None = None) -> bool:
    """Not done: try again at `run_at`, in another lane if one is given. False when the lease is no longer ours."""
    moved = {} if lane is None else {"lane": lane}
    changed = db.execute(
        update(table)
        .where(table.c.id == id_, table.c.lease == lease)
        .values(run_at=run_at, leased_until=0, lease="", problem=problem[:500], **moved)
    )
    return changed.rowcount == 1


def give_back(db: Connection, table: Table, ids: list[int], *, lease: str) -> None:
    """Claimed but not begun: free again at once, and not counted as an attempt."""
    if ids:
        db.execute(
            update(table)
            .where(table.c.id.in_(ids), table.c.lease == lease)
            .values(leased_until=0, lease="", attempts=table.c.attempts - 1)
        )


def release_all(db: Connection, table: Table) -> None:
    """At the start of the only process that works on this database: what was in hand at the end is free again."""
    db.execute(update(table).where(table.c.leased_until > 0).values(leased_until=0, lease=""))


def clock_went_back(db: Connection, table: Table, *, now: int, longest: int) -> None:
    """The clock was ahead, and is right again. What was due as soon as it was made is due now, and no retry waits for longer than
    `longest` ms. What is planned for a time keeps it. (An id tells when its row was made: `ids`.)
    """
    soon = and_(table.c.attempts == 0, table.c.run_at > now, table.c.run_at <= table.c.id // 65_536)
    db.execute(update(table).where(soon).values(run_at=now))
    far = and_(table.c.attempts > 0, table.c.run_at > now + longest, table.c.run_at < 1 << 62)
    db.execute(update(table).where(far).values(run_at=now + longest))


def depth(db: Connection, table: Table) -> tuple[int, int | None]:
    """(rows waiting, `run_at` of the one that has been due longest, or None)."""
    row = db.execute(select(func.count(), func.min(table.c.run_at)).select_from(table)).one()
    return int(row[0]), row[1]


def change_lane(db: Connection, table: Table, id_: int, lane: str) -> None:
    """Let a row wait by itself, so that those behind it can go on."""
    db.execute(update(table).where(table.c.id == id_).values(lane=lane))
