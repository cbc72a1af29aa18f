"""What the policy says of works of other servers: the signs it judges by, its verdicts, and how far a change of it has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, and_, bindparam, exists, func, select, update

from fediart.domain.declarations import Declaration
from fediart.domain.images import Purpose
from fediart.domain.origin import STRENGTH, Level, Origin
from fediart.domain.policy import PostSigns, PostVerdict, RemoteAction
from fediart.storage.settings import put_setting, setting
from fediart.storage.tables import actors, cleared_files, images, work_tags, works

NEWEST = 1 << 62
"""Above every id."""

_PROGRESS = "rejudge"


@dataclass(frozen=True, slots=True)
class Judged:
    """A stored work: what can be judged of it, and what was the verdict on it."""

    work_id: int
    signs: PostSigns
    verdict: PostVerdict


_COLUMNS = (
    works.c.id,
    works.c.self_label,
    works.c.moderated,
    works.c.verdict_action,
    works.c.verdict_rule,
    works.c.verdict_label,
    actors.c.host,
    actors.c.uri,
)
_REMOTE = select(*_COLUMNS).select_from(works.join(actors, actors.c.id == works.c.actor_id)).where(actors.c.host != "")
_ONE = _REMOTE.where(works.c.id == bindparam("work_id", type_=BigInteger))
_BEFORE = _REMOTE.where(works.c.id < bindparam("before", type_=BigInteger)).order_by(works.c.id.desc()).limit(bindparam("most"))
_LOW, _HIGH = bindparam("low", type_=BigInteger), bindparam("high", type_=BigInteger)
_TAGS = select(work_tags.c.work_id, work_tags.c.tag).where(work_tags.c.work_id.between(_LOW, _HIGH))
_ORIGINS = select(images.c.work_id, images.c.origin).where(
    and_(images.c.work_id.between(_LOW, _HIGH), images.c.origin.is_not(None))
)


def judged_work(db: Connection, work_id: int) -> Judged | None:
    """A work of another server; None: it is not here, or ours."""
    found = _with_signs(db, db.execute(_ONE, {"work_id": work_id}).all())
    return found[0] if found else None


def judged_before(db: Connection, before: int, most: int) -> list[Judged]:
    """Works of other servers with ids below `before`, the newest first."""
    return _with_signs(db, db.execute(_BEFORE, {"before": before, "most": most}).all())


def _with_signs(db: Connection, rows: Sequence[Any]) -> list[Judged]:
    """Of rows of _COLUMNS, the newest first."""
    if not rows:
        return []
    among = {"low": rows[-1].id, "high": rows[0].id}
    tags: dict[int, list[str]] = {}
    for work_id, tag in db.execute(_TAGS, among).all():
        tags.setdefault(work_id, []).append(tag.casefold())
    levels = _levels(db, db.execute(_ORIGINS, among).all())
    return [
        Judged(
            row.id,
            PostSigns(
                host=row.host,
                actor_uri=row.uri,
                self_label=row.self_label,
                hashtags=tags.get(row.id, ()),
                level=levels.get(row.id),
                moderated=RemoteAction(row.moderated) if row.moderated is not None else None,
                moderated_label=row.verdict_label if row.moderated is not None and row.verdict_rule == "moderator" else "",
            ),
            PostVerdict(RemoteAction(row.verdict_action or "allow"), row.verdict_rule, row.verdict_label),
        )
        for row in rows
    ]


def _levels(db: Connection, rows: Sequence[Any]) -> dict[int, Level]:
    """Of rows (work id, origin): the strongest that any picture of a work says, but for files that a moderator cleared."""
    origins = [(work_id, origin) for work_id, text in rows if (origin := _origin_from(text)).level is not None]
    if not origins:
        return {}
    hashes = [origin.sha256 for _, origin in origins]
    cleared = set(db.execute(select(cleared_files.c.sha256).where(cleared_files.c.sha256.in_(hashes))).scalars())
    found: dict[int, Level] = {}
    for work_id, origin in origins:
        level = origin.level
        if level is not None and origin.sha256 not in cleared:
            held = found.get(work_id, level)
            found[work_id] = max(held, level, key=STRENGTH.index)
    return found


def _origin_from(text: str) -> Origin:
    return msgspec.json.decode(text, type=Origin)


_PUT = (
    update(works)
    .where(works.c.id == bindparam("work_id", type_=BigInteger))
    .values(verdict_action=bindparam("action"), verdict_rule=bindparam("rule"), verdict_label=bindparam("label"))
)


def put_verdicts(db: Connection, verdicts: Sequence[tuple[int, PostVerdict]]) -> None:
    """(work id, what the policy says of it now)"""
    if verdicts:
        db.execute(_PUT, [{"work_id": id_, **verdict_values(verdict, "")} for id_, verdict in verdicts])


def verdict_values(verdict: PostVerdict, prefix: str = "verdict_") -> dict[str, Any]:
    """The columns of a verdict."""
    return {f"{prefix}action": verdict.action.value, f"{prefix}rule": verdict.rule, f"{prefix}label": verdict.label[:200]}


def count_judged(db: Connection) -> int:
    """How many works of other servers are here."""
    joined = works.join(actors, actors.c.id == works.c.actor_id)
    return db.execute(select(func.count()).select_from(joined).where(actors.c.host != "")).scalar_one()


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture of an artist of ours, as the policy judges it."""

    declaration: Declaration
    origin: Origin
    is_cleared: bool


def latest_uploads(db: Connection, limit: int) -> list[Upload]:
    """The latest pictures of ours on works whose files were read, the newest first."""
    cleared = exists(select(cleared_files.c.sha256).where(cleared_files.c.sha256 == images.c.original_sha256))
    rows = db.execute(
        select(works.c.declaration, images.c.origin, cleared)
        .select_from(images.join(works, works.c.id == images.c.work_id))
        .where(images.c.purpose == Purpose.WORK, images.c.origin.is_not(None))
        .order_by(images.c.id.desc())
        .limit(limit)
    ).all()
    return [Upload(Declaration(row[0]), _origin_from(row[1]), bool(row[2])) for row in rows]


# ---------------------------------------------------------------------------------------------- how far a change has come


class Rejudging(msgspec.Struct, frozen=True):
    """Of revision `number`: works with an id below `before` are still to be judged; 0: it is over."""

    number: int
    before: int
    done: int
    total: int


def rejudging(db: Connection) -> Rejudging | None:
    """The latest one; None: the policy was never changed."""
    held = setting(db, _PROGRESS)
    return msgspec.json.decode(held, type=Rejudging) if held is not None else None


def put_rejudging(db: Connection, held: Rejudging) -> None:
    put_setting(db, _PROGRESS, msgspec.json.encode(held).decode())


def rejudge_progress(db: Connection) -> tuple[int, int, int] | None:
    """(works judged, of so many, by which revision) of the latest change; None: there was none."""
    held = rejudging(db)
    return (held.done, held.total, held.number) if held is not None else None
