"""Rules for hosts: questions, and the changes of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from fediart.domain.moderation import HostAction, HostRule, HostRules, Standing, names_above, stricter
from fediart.storage.tables import actors, host_rules

_COLUMNS = tuple(host_rules.c[name] for name in HostRule.__dataclass_fields__)


def _rule(row: Row[Any]) -> HostRule:
    values = {name: getattr(row, name) for name in HostRule.__dataclass_fields__}
    return HostRule(**{**values, "action": HostAction(row.action)})


def all_rules(db: Connection) -> HostRules:
    return HostRules({row[0]: HostAction(row[1]) for row in db.execute(select(host_rules.c.host, host_rules.c.action))})


def listed_rules(db: Connection, *, only_public: bool = False) -> list[HostRule]:
    query = select(*_COLUMNS).order_by(host_rules.c.host)
    if only_public:
        query = query.where(host_rules.c.is_public)
    return [_rule(row) for row in db.execute(query)]


def rule_on(db: Connection, host: str) -> HostRule | None:
    """The rule for exactly this name."""
    row = db.execute(select(*_COLUMNS).where(host_rules.c.host == host)).first()
    return _rule(row) if row else None


def standing_of(db: Connection, host: str) -> Standing:
    """What the nearest rule makes of a host's actors."""
    names = names_above(host) if host else []
    found = {row[0]: row[1] for row in db.execute(select(*_COLUMNS[:2]).where(host_rules.c.host.in_(names)))} if names else {}
    return next((HostAction(found[name]).standing for name in names if name in found), Standing.GOOD)


def put_rules(db: Connection, rules: Sequence[HostRule]) -> None:
    """Each takes the place of an earlier one for the same name."""
    for start in range(0, len(rules), 500):
        part = rules[start : start + 500]
        db.execute(delete(host_rules).where(host_rules.c.host.in_([rule.host for rule in part])))
        db.execute(insert(host_rules), [{name: getattr(rule, name) for name in HostRule.__dataclass_fields__} for rule in part])


def drop_rule(db: Connection, host: str) -> bool:
    return db.execute(delete(host_rules).where(host_rules.c.host == host)).rowcount == 1


def restand(db: Connection, rules: HostRules, *, after: int, limit: int) -> tuple[int | None, list[int]]:
    """Look at the next `limit` remote actors by id, and write down what the rules make of them now.

    Returns (the id to go on after, or None at the end; those who are suspended since just now).
    """
    rows = db.execute(
        select(actors.c.id, actors.c.host, actors.c.standing, actors.c.own_standing)
        .where(actors.c.id > after, actors.c.host != "")
        .order_by(actors.c.id)
        .limit(limit)
    ).all()
    suspended = []
    for row in rows:
        action = rules.of(row.host)
        wanted = stricter(Standing(row.own_standing), action.standing if action is not None else Standing.GOOD)
        if wanted != row.standing:
            db.execute(update(actors).where(actors.c.id == row.id).values(standing=wanted))
            if wanted == Standing.SUSPENDED:
                suspended.append(row.id)
    return (rows[-1].id if len(rows) == limit else None), suspended


def put_own_standing(db: Connection, actor_id: int, host: str, standing: Standing) -> Standing:
    """A moderator's word on one actor. Returns what holds: never milder than the rule for its host."""
    held = stricter(standing, standing_of(db, host))
    db.execute(update(actors).where(actors.c.id == actor_id).values(own_standing=standing, standing=held))
    return held


def judged_actors(db: Connection, *, limit: int = 200) -> list[int]:
    """Actors of elsewhere on whom a moderator gave a word, the newest first."""
    query = select(actors.c.id).where(actors.c.own_standing != "", actors.c.standing != "", actors.c.host != "")
    return list(db.execute(query.order_by(actors.c.id.desc()).limit(limit)).scalars())
