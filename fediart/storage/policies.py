"""The revisions of the AI-art policy: added, never edited."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select

from fediart.domain.policy import AiPolicy
from fediart.storage.tables import policies


def current_policy(db: Connection) -> AiPolicy | None:
    """The revision that holds; None before the first start."""
    body = db.execute(select(policies.c.body).order_by(policies.c.number.desc()).limit(1)).scalar()
    return None if body is None else policy_from(body)


def policies_by_number(db: Connection, *, limit: int = 50) -> list[AiPolicy]:
    """Newest first."""
    rows = db.execute(select(policies.c.body).order_by(policies.c.number.desc()).limit(limit)).scalars()
    return [policy_from(body) for body in rows]


def add_policy(db: Connection, policy: AiPolicy, now: int, adopted_by: int | None) -> AiPolicy:
    """The same with the next number, who adopted it and when."""
    last = db.execute(select(func.max(policies.c.number))).scalar() or 0
    revision = replace(policy, number=last + 1, adopted_at=now, adopted_by=adopted_by)
    db.execute(insert(policies).values(number=revision.number, body=policy_text(revision), adopted_at=now, adopted_by=adopted_by))
    return revision


def policy_text(policy: AiPolicy) -> str:
    return msgspec.json.encode(policy, enc_hook=_plain).decode()


def policy_from(text: str) -> AiPolicy:
    return msgspec.json.decode(text, type=AiPolicy)


def _plain(value: Any) -> Any:
    return dict(value)
