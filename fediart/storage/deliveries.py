"""What this server says, and to whom it must still be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, delete, func, insert, or_, select, text, update

from fediart.domain.follows import origin_of
from fediart.ids import new_id, time_of
from fediart.storage import leases
from fediart.storage.follows import followers_on
from fediart.storage.tables import activities, actors, deliveries, delivery_counts, delivery_ends, hosts


@dataclass(frozen=True, slots=True)
class PartOfFollowers:
    """Those of the followers `collection` that the server has to which something is sent."""

    collection: str
    uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sending:
    """A claimed delivery with all that it takes to send it. `key_pem` None: its author is gone.

    `lane` is the host, with the delivery's own id behind it where it waits by itself.
    """

    id: int
    lane: str
    attempts: int
    inbox: str
    activity_id: int
    uri: str
    body: bytes
    key_id: str
    key_pem: str | None
    problem: str = ""
    followers: PartOfFollowers | None = None
    """Of what is said to followers only."""


def say(
    db: Connection,
    *,
    uri: str,
    actor_id: int,
    body: bytes,
    inboxes: Iterable[tuple[str, str]],
    now: int,
    work_id: int | None = None,
    for_followers: bool = False,
) -> int:
    """Store an activity and one delivery for each distinct (inbox, host). Returns the activity's id."""
    # Order by id is the order in which things were said, also after the clock went back.
    said_at = max(now, time_of(db.execute(select(func.max(activities.c.id))).scalar() or 0) + 1)
    activity_id = new_id(said_at)
    values = {"id": activity_id, "uri": uri, "actor_id": actor_id, "work_id": work_id, "body": body}
    db.execute(insert(activities).values(**values, for_followers=for_followers))
    rows = [
        {"id": new_id(said_at), "activity_id": activity_id, "inbox": inbox, "lane": host, "run_at": now}
        for inbox, host in dict(inboxes).items()
    ]
    if rows:
        db.execute(insert(deliveries), rows)
    db.execute(insert(delivery_counts).values(activity_id=activity_id, planned=len(rows)))
    return activity_id


def was_said(db: Connection, uri: str) -> bool:
    return db.execute(select(activities.c.id).where(activities.c.uri == uri)).first() is not None


def was_forwarded(db: Connection, work_id: int) -> bool:
    """Was it passed on that this work of another server was published?"""
    return db.execute(select(activities.c.id).where(activities.c.work_id == work_id).limit(1)).first() is not None


def count_forwarded(db: Connection, actor_id: int, *, since: int, but_of: str) -> int:
    """Activities of others (whose ids do not begin with `but_of`) that this actor passed on since then."""
    lately = (activities.c.actor_id == actor_id, activities.c.id >= since << 16)
    theirs = ~activities.c.uri.startswith(but_of, autoescape=True)
    return db.execute(select(func.count()).select_from(activities).where(*lately, theirs)).scalar_one()


def forget_forwarded(db: Connection, before: int, *, but_of: str) -> int:
    """Activities of others that were passed on before then, and wait for nobody."""
    waiting = select(deliveries.c.id).where(deliveries.c.activity_id == activities.c.id).exists()
    theirs = ~activities.c.uri.startswith(but_of, autoescape=True)
    ids = list(db.execute(select(activities.c.id).where(activities.c.id < before << 16, theirs, ~waiting).limit(500)).scalars())
    db.execute(delete(delivery_counts).where(delivery_counts.c.activity_id.in_(ids)))
    return db.execute(delete(activities).where(activities.c.id.in_(ids))).rowcount


Later = Callable[[str], tuple[str, str] | None]
"""The uri of an activity → (the beginning of a uri or '', a whole uri) of those that leave nothing of it to be said."""


def claim_sendings(db: Connection, *, now: int, lease: str, lease_ms: int, limit: int, later: Later) -> list[Sending]:
    """Deliveries that are due, claimed, in the order in which they were said.

    What a later activity to the same inbox says anew, or takes back, is dropped: neither sent nor counted.
    """
    claimed = leases.claim(db, deliveries, now=now, lease=lease, lease_ms=lease_ms, limit=limit)
    if not claimed:
        return []
    said = _activities(db, {row.activity_id for row in claimed})
    parts: dict[tuple[int, str], PartOfFollowers] = {}
    claimed = _without_outdated(db, claimed, said, later)
    return [
        Sending(
            id=row.id,
            lane=row.lane,
            attempts=row.attempts,
            inbox=row.inbox,
            activity_id=row.activity_id,
            uri=said[row.activity_id].uri,
            body=said[row.activity_id].body,
            key_id=said[row.activity_id].public_key_id,
            key_pem=said[row.activity_id].private_key_pem,
            problem=row.problem,
            followers=_part(db, parts, said[row.activity_id], row.inbox),
        )
        for row in claimed
    ]


def _without_outdated(db: Connection, claimed: list[Row[Any]], said: dict[int, Any], later: Later) -> list[Row[Any]]:
    outdated: set[int] = set()
    for activity_id, row in said.items():
        wanted = later(row.uri)
        newer = _newer(db, row, *wanted) if wanted is not None else []
        if newer:
            waiting = set(db.execute(select(deliveries.c.inbox).where(deliveries.c.activity_id.in_(newer))).scalars())
            taken = select(delivery_ends.c.host).where(delivery_ends.c.activity_id.in_(newer), delivery_ends.c.delivered > 0)
            hosts_with_it = set(db.execute(taken).scalars())
            mine = (one for one in claimed if one.activity_id == activity_id)
            outdated |= {one.id for one in mine if one.inbox in waiting or host_of_lane(one.lane) in hosts_with_it}
    if not outdated:
        return claimed
    db.execute(delete(deliveries).where(deliveries.c.id.in_(outdated)))
    for activity_id, count in Counter(one.activity_id for one in claimed if one.id in outdated).items():
        fewer = update(delivery_counts).where(delivery_counts.c.activity_id == activity_id)
        db.execute(fewer.values(planned=delivery_counts.c.planned - count))
    return _as_often_tried(db, claimed, outdated)


def _newer(db: Connection, row: Any, beginning: str, whole: str) -> list[int]:
    """Ids of later activities with such a uri. Those about a work are few; of a profile only its actor's are looked at."""
    found = list(db.execute(select(activities.c.id).where(activities.c.uri == whole, activities.c.id > row.id)).scalars())
    if beginning:
        about = activities.c.work_id == row.work_id if row.work_id is not None else activities.c.work_id.is_(None)
        same = (about, activities.c.actor_id == row.actor_id, activities.c.id > row.id)
        uris = db.execute(select(activities.c.id, activities.c.uri).where(*same))
        found += [other.id for other in uris if other.uri.startswith(beginning)]
    return found


def _as_often_tried(db: Connection, claimed: list[Row[Any]], without: set[int]) -> list[Row[Any]]:
    """What is first in a lane now counts the attempts of what stood before it: its host has been away for as long."""
    tried: dict[str, int] = {}
    left = []
    for row in claimed:
        if row.id in without:
            tried[row.lane] = max(row.attempts, tried.get(row.lane, 0))
            continue
        attempts = tried.pop(row.lane, 0)
        if attempts > row.attempts:
            db.execute(update(deliveries).where(deliveries.c.id == row.id).values(attempts=attempts))
            row = db.execute(select(deliveries).where(deliveries.c.id == row.id)).one()
        left.append(row)
    return left


def _part(db: Connection, known: dict[tuple[int, str], PartOfFollowers], said: Any, inbox: str) -> PartOfFollowers | None:
    if not said.for_followers or not said.followers_uri:
        return None
    key = (said.actor_id, origin_of(inbox))
    if key not in known:
        known[key] = PartOfFollowers(said.followers_uri, tuple(followers_on(db, *key)))
    return known[key]


def _activities(db: Connection, ids: set[int]) -> dict[int, Any]:
    query = (
        select(
            activities.c.id,
            activities.c.uri,
            activities.c.body,
            activities.c.actor_id,
            activities.c.work_id,
            activities.c.for_followers,
            actors.c.followers_uri,
            actors.c.public_key_id,
            actors.c.private_key_pem,
        )
        .select_from(activities.join(actors, actors.c.id == activities.c.actor_id))
        .where(activities.c.id.in_(ids))
    )
    return {row.id: row for row in db.execute(query)}


_ENDING = (deliveries.c.id, deliveries.c.activity_id, deliveries.c.lane)


def end_sendings(db: Connection, ended: Sequence[tuple[int, str | None]], *, lease: str, now: int) -> None:
    """`ended`: (delivery id, why it was not taken; None: it was). Those still ours are removed and counted, once."""
    told = dict(ended)
    mine = delete(deliveries).where(deliveries.c.id.in_(told), deliveries.c.lease == lease)
    rows = db.execute(mine.returning(*_ENDING)).all()
    _record(db, [(row.activity_id, host_of_lane(row.lane), told[row.id]) for row in rows], now)


def end_lane(db: Connection, lane: str, *, before: int, lease: str, now: int, problem: str) -> int:
    """Whatever was said before `before` and still waits in this lane is given up. Returns how many those were.

    The lane must be in the caller's hand: its rows have this lease, or none.
    """
    old = delete(deliveries).where(deliveries.c.lane == lane, deliveries.c.id < before << 16, deliveries.c.lease.in_(["", lease]))
    rows = db.execute(old.returning(*_ENDING)).all()
    _record(db, [(row.activity_id, host_of_lane(row.lane), problem) for row in rows], now)
    return len(rows)


def hold_lane(db: Connection, lane: str, *, lease: str, run_at: int, problem: str) -> None:
    """The next of this lane waits like one that was tried, and the others behind it. The lane must be in the caller's hand."""
    head = select(func.min(deliveries.c.id)).where(deliveries.c.lane == lane).scalar_subquery()
    mine = update(deliveries).where(deliveries.c.id == head, deliveries.c.lease.in_(["", lease]))
    attempts = case((deliveries.c.attempts > 0, deliveries.c.attempts), else_=1)
    db.execute(mine.values(run_at=run_at, leased_until=0, lease="", attempts=attempts, problem=problem[:500]))


_END = text(
    "INSERT INTO delivery_ends (activity_id, host, delivered, failed, ended_at, problem) "
    "VALUES (:activity_id, :host, :delivered, :failed, :ended_at, :problem) "
    "ON CONFLICT (activity_id, host) DO UPDATE SET delivered = delivery_ends.delivered + excluded.delivered, "
    "failed = delivery_ends.failed + excluded.failed, ended_at = excluded.ended_at, "
    "problem = CASE WHEN excluded.problem = '' THEN delivery_ends.problem ELSE excluded.problem END"
)


def _record(db: Connection, ended: Sequence[tuple[int, str, str | None]], now: int) -> None:
    """`ended`: (activity id, host, why it was not taken or None). One statement for the hosts, one for each activity's counts."""
    hosts: dict[tuple[int, str], dict[str, Any]] = {}
    counts: dict[int, Counter[str]] = {}
    for activity_id, host, problem in ended:
        blank = {"activity_id": activity_id, "host": host, "delivered": 0, "failed": 0, "ended_at": now, "problem": ""}
        row = hosts.setdefault((activity_id, host), blank)
        part = "delivered" if problem is None else "failed"
        row[part] += 1
        row["problem"] = row["problem"] if problem is None else problem[:300]
        counts.setdefault(activity_id, Counter())[part] += 1
    if hosts:
        db.execute(_END, list(hosts.values()))
    for activity_id, counted in counts.items():
        values = {part: delivery_counts.c[part] + count for part, count in counted.items()}
        db.execute(update(delivery_counts).where(delivery_counts.c.activity_id == activity_id).values(values))


def host_of_lane(lane: str) -> str:
    """A delivery that waits by itself has its id behind the host."""
    return lane.split(" ")[0]


def lanes_of_host(host: str) -> ColumnElement[bool]:
    """The host's own lane, and those of deliveries to it that wait by themselves."""
    return or_(deliveries.c.lane == host, and_(deliveries.c.lane > f"{host} ", deliveries.c.lane < f"{host}!"))


def try_again(db: Connection, host: str, now: int) -> int:
    """What waits for its retry there is due now. Returns how many deliveries to the host there are."""
    waiting = update(deliveries).where(lanes_of_host(host), deliveries.c.run_at > now, deliveries.c.leased_until <= now)
    db.execute(waiting.values(run_at=now))
    return db.execute(select(func.count()).select_from(deliveries).where(lanes_of_host(host))).scalar_one()


def is_awaited(db: Connection, host: str) -> bool:
    """Does anything wait in the host's own lane?"""
    return db.execute(select(deliveries.c.id).where(deliveries.c.lane == host).limit(1)).first() is not None


def try_one(db: Connection, host: str, now: int) -> bool:
    """The oldest delivery to the host, if it waits for its retry, is due now."""
    oldest = select(func.min(deliveries.c.id)).where(lanes_of_host(host)).scalar_subquery()
    waiting = update(deliveries).where(deliveries.c.id == oldest, deliveries.c.run_at > now, deliveries.c.leased_until <= now)
    return db.execute(waiting.values(run_at=now)).rowcount == 1


def drop_unsent(db: Connection, actor_id: int) -> None:
    """What an actor said and nobody took yet is not said any more."""
    db.execute(delete(deliveries).where(deliveries.c.activity_id.in_(_said_by(actor_id))))


def is_unsent(db: Connection, actor_id: int) -> bool:
    """Does anything that the actor said still wait for somebody?"""
    return (
        db.execute(select(deliveries.c.id).where(deliveries.c.activity_id.in_(_said_by(actor_id))).limit(1)).first() is not None
    )


def forget_said(db: Connection, actor_id: int) -> None:
    """All that the actor ever said, and how it was taken. Nothing of it may wait."""
    for table in (delivery_ends, delivery_counts):
        db.execute(delete(table).where(table.c.activity_id.in_(_said_by(actor_id))))
    db.execute(delete(activities).where(activities.c.actor_id == actor_id))


def _said_by(actor_id: int) -> Select[Any]:
    return select(activities.c.id).where(activities.c.actor_id == actor_id)


def forget_ends(db: Connection, before: int) -> None:
    db.execute(delete(delivery_ends).where(delivery_ends.c.ended_at < before))


# --------------------------------------------------------------------------------------- was it delivered, to whom, when


@dataclass(frozen=True, slots=True)
class WaitingHost:
    """`oldest_at`: when the oldest of them was due first. `next_at`: its next try, in the past when it is due."""

    host: str
    count: int
    oldest_at: int
    next_at: int
    attempts: int
    problem: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one activity at one host. `delivered` and `failed`: inboxes. `waiting`: those that still wait."""

    activity_id: int
    verb: str
    host: str
    delivered: int
    failed: int
    at: int | None
    waiting: int
    next_at: int | None
    problem: str


def waiting_hosts(db: Connection, *, host: str | None = None) -> list[WaitingHost]:
    """Whom deliveries wait for, the one with the oldest first."""
    columns = (
        deliveries.c.lane,
        func.count().label("how_many"),
        func.min(deliveries.c.id).label("oldest"),
        func.max(deliveries.c.run_at).label("next_at"),
        func.max(deliveries.c.attempts).label("attempts"),
        func.max(deliveries.c.problem).label("problem"),
    )
    query = select(*columns).group_by(deliveries.c.lane)
    if host is not None:
        query = query.where(lanes_of_host(host))
    found: dict[str, WaitingHost] = {}
    for row in db.execute(query):
        name = host_of_lane(row.lane)
        held = found.get(name)
        one = WaitingHost(name, row.how_many, time_of(row.oldest), row.next_at, row.attempts, row.problem)
        if held is not None:
            one = WaitingHost(
                name,
                held.count + one.count,
                min(held.oldest_at, one.oldest_at),
                min(held.next_at, one.next_at),
                max(held.attempts, one.attempts),
                held.problem or one.problem,
            )
        found[name] = one
    return sorted(found.values(), key=lambda one: (one.oldest_at, one.host))


def outcomes(
    db: Connection,
    *,
    work_id: int | None = None,
    host: str | None = None,
    failed: bool = False,
    undone: bool = False,
    limit: int = 200,
) -> list[Outcome]:
    """The newest first, at most `limit` that ended and as many that wait. `undone`: leave out what was taken."""
    ended = (
        select(delivery_ends, activities.c.body)
        .select_from(delivery_ends.outerjoin(activities, activities.c.id == delivery_ends.c.activity_id))
        .order_by(delivery_ends.c.activity_id.desc(), delivery_ends.c.host)
        .limit(limit)
    )
    waiting = (
        select(
            deliveries.c.activity_id,
            deliveries.c.lane,
            deliveries.c.run_at,
            deliveries.c.problem,
            activities.c.body,
            hosts.c.problem.label("trouble"),
        )
        .select_from(
            deliveries.join(activities, activities.c.id == deliveries.c.activity_id).outerjoin(
                hosts, hosts.c.host == deliveries.c.lane
            )
        )
        .order_by(deliveries.c.activity_id.desc(), deliveries.c.lane)
        .limit(limit)
    )
    if work_id is not None:
        about = select(activities.c.id).where(activities.c.work_id == work_id)
        ended, waiting = ended.where(delivery_ends.c.activity_id.in_(about)), waiting.where(activities.c.work_id == work_id)
    if host is not None:
        ended, waiting = ended.where(delivery_ends.c.host == host), waiting.where(lanes_of_host(host))
    if failed or undone:
        ended = ended.where(delivery_ends.c.failed > 0)
    found: dict[tuple[int, str], Outcome] = {}
    for row in db.execute(ended):
        verb = _verb(row.body) if row.body is not None else ""
        found[row.activity_id, row.host] = Outcome(
            row.activity_id, verb, row.host, row.delivered, row.failed, row.ended_at, 0, None, row.problem
        )
    for row in db.execute(waiting) if not failed else ():
        key = (row.activity_id, host_of_lane(row.lane))
        held = found.get(key) or Outcome(key[0], _verb(row.body), key[1], 0, 0, None, 0, None, "")
        problem = row.problem or row.trouble or held.problem
        found[key] = replace(held, waiting=held.waiting + 1, next_at=max(held.next_at or 0, row.run_at), problem=problem)
    return sorted(found.values(), key=lambda one: (-one.activity_id, one.host))


def _verb(body: bytes) -> str:
    return msgspec.json.decode(body, type=_Said).type


class _Said(msgspec.Struct):
    type: str = ""
