"""Other servers that were met: when one was first heard of, last spoke to us, and last took what we sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, func, or_, select, text

from fediart.domain.hosts import Host
from fediart.storage.hosts import hosts_named
from fediart.storage.tables import actors, deliveries, hosts, peers


@dataclass(frozen=True, slots=True)
class Peer:
    """Times in ms, 0 for never. `people`: of its people known here. `waiting`: deliveries to it.

    `host`: its trouble, if any.
    """

    name: str
    met_at: int
    heard_at: int
    reached_at: int
    people: int
    waiting: int
    host: Host | None


@dataclass(frozen=True, slots=True)
class Counts:
    known: int
    failing: int


_SEEN = text(
    "INSERT INTO peers (host, met_at, heard_at, reached_at, seen_at) VALUES (:host, :at, :heard_at, :reached_at, :at) "
    "ON CONFLICT (host) DO UPDATE SET seen_at = excluded.seen_at, "
    "heard_at = CASE WHEN excluded.heard_at > peers.heard_at THEN excluded.heard_at ELSE peers.heard_at END, "
    "reached_at = CASE WHEN excluded.reached_at > peers.reached_at THEN excluded.reached_at ELSE peers.reached_at END"
)


def were_seen(db: Connection, seen: Iterable[tuple[str, int, int]]) -> None:
    """(host, when it was heard, when it was reached); 0 where it was not."""
    rows = [
        {"host": host, "at": max(heard_at, reached_at), "heard_at": heard_at, "reached_at": reached_at}
        for host, heard_at, reached_at in seen
    ]
    if rows:
        db.execute(_SEEN, rows)


def count_peers(db: Connection) -> Counts:
    known = db.execute(select(func.count()).select_from(peers)).scalar_one()
    failing = db.execute(select(func.count()).where(hosts.c.failures > 0)).scalar_one()
    return Counts(known, failing)


def listed_peers(
    db: Connection, *, name: str = "", failing: bool = False, before: tuple[int, str] | None = None, limit: int = 50
) -> list[Peer]:
    """Those seen last first. `name`: a part of the host's. `before`: (seen_at, host) of the last that was shown."""
    query = select(peers).order_by(peers.c.seen_at.desc(), peers.c.host).limit(limit)
    if name:
        query = query.where(peers.c.host.contains(name.lower(), autoescape=True))
    if failing:
        query = query.where(peers.c.host.in_(select(hosts.c.host).where(hosts.c.failures > 0)))
    if before is not None:
        seen_at, host = before
        query = query.where(or_(peers.c.seen_at < seen_at, and_(peers.c.seen_at == seen_at, peers.c.host > host)))
    rows = db.execute(query).all()
    names = [row.host for row in rows]
    troubles = hosts_named(db, names)
    of_actors = select(actors.c.host, func.count()).where(actors.c.host.in_(names)).group_by(actors.c.host)
    people = {host: int(count) for host, count in db.execute(of_actors)}
    of_lanes = select(deliveries.c.lane, func.count()).where(deliveries.c.lane.in_(names)).group_by(deliveries.c.lane)
    waiting = {host: int(count) for host, count in db.execute(of_lanes)}
    return [
        Peer(
            row.host,
            row.met_at,
            row.heard_at,
            row.reached_at,
            people.get(row.host, 0),
            waiting.get(row.host, 0),
            troubles.get(row.host),
        )
        for row in rows
    ]


def cursor_of(db: Connection, host: str) -> tuple[int, str] | None:
    """Where the list goes on behind this host."""
    seen_at = db.execute(select(peers.c.seen_at).where(peers.c.host == host)).scalar()
    return (seen_at, host) if seen_at is not None else None


def forget_peers(db: Connection, before: int) -> None:
    """Those not seen since, of whom nobody is known here any more."""
    known = select(actors.c.id).where(actors.c.host == peers.c.host).exists()
    db.execute(delete(peers).where(peers.c.seen_at < before, ~known))
