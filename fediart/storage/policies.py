"""The revisions of the AI-art policy: added, never edited."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select

from fediart.domain.policy import AiPolicy
from fediart.domain.policy_words import PolicyChange, change_between
from fediart.storage.tables import policies

_END = 1 << 31
"""Of what the column holds."""


def current_policy(db: Connection) -> AiPolicy | None:
    """The revision that holds; None before the first start."""
    body = db.execute(select(policies.c.body).order_by(policies.c.number.desc()).limit(1)).scalar()
    return None if body is None else policy_from(body)


def current_number(db: Connection) -> int:
    """0 before the first start."""
    return db.execute(select(func.max(policies.c.number))).scalar() or 0


def following_softens(db: Connection) -> bool:
    """Does following an author make up for what the policy says of a work (`policy.remote.followed_override`)?"""
    policy = current_policy(db)
    return policy is None or policy.remote.followed_override


def policies_by_number(db: Connection, *, limit: int = 50) -> list[AiPolicy]:
    """Newest first."""
    rows = db.execute(select(policies.c.body).order_by(policies.c.number.desc()).limit(limit)).scalars()
    return [policy_from(body) for body in rows]


def changes_since(db: Connection, number: int) -> PolicyChange | None:
    """What the revision that holds says otherwise than this one (0: than the first one). None: nothing."""
    holds = current_policy(db)
    before = policy_numbered(db, max(1, number))
    if holds is None or before is None or holds.number <= before.number:
        return None
    change = change_between(before, holds)
    return change if change.lines else None


def policy_numbered(db: Connection, number: int) -> AiPolicy | None:
    """`number` may be anything that somebody typed."""
    if not 0 < number < _END:
        return None
    body = db.execute(select(policies.c.body).where(policies.c.number == number)).scalar()
    return None if body is None else policy_from(body)


def change_by(db: Connection, number: int, since: int | None = None) -> PolicyChange | None:
    """What this revision says otherwise than the one before, or than `since`. None: there is no such revision.

    The first one changed nothing.
    """
    after = policy_numbered(db, number)
    if after is None:
        return None
    before = policy_numbered(db, number - 1 if since is None else min(since, number)) or policy_numbered(db, number - 1)
    return change_between(before or after, after)


def changes_before(db: Connection, number: int, *, limit: int) -> list[PolicyChange]:
    """What the revisions before this one changed, newest first. The first one stands at the end, without lines."""
    query = select(policies.c.body).where(policies.c.number < number).order_by(policies.c.number.desc()).limit(limit + 1)
    held = [policy_from(body) for body in db.execute(query).scalars()]
    return [change_between(before, after) for after, before in zip(held, [*held[1:], *held[-1:]], strict=True)][:limit]


def add_policy(db: Connection, policy: AiPolicy, now: int, adopted_by: int | None) -> AiPolicy:
    """The same with the next number, who adopted it and when."""
    revision = replace(policy, number=current_number(db) + 1, adopted_at=now, adopted_by=adopted_by)
    db.execute(insert(policies).values(number=revision.number, body=policy_text(revision), adopted_at=now, adopted_by=adopted_by))
    return revision


def policy_text(policy: AiPolicy) -> str:
    return msgspec.json.encode(policy, enc_hook=_plain).decode()


def policy_from(text: str) -> AiPolicy:
    return msgspec.json.decode(text, type=AiPolicy)


def _plain(value: Any) -> Any:
    return dict(value)
