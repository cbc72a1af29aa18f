"""The talk around a work as every stranger may see it: what other servers are told of answers and conversations."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, func, select

from fediart.domain.works import Talk, Work, WorkState
from fediart.storage.tables import actors, works
from fediart.storage.visible import in_public_lists, listed_for, visible_to
from fediart.storage.works import MAX_THREAD, may_see, not_blocked_by_answered, work_by_id

_SHOWN: tuple[ColumnElement[bool], ...] = (
    works.c.state == WorkState.PUBLISHED,
    visible_to(None),
    listed_for(None),
    in_public_lists(None, softens=False),
    not_blocked_by_answered,
)
MAX_ABOVE = 40


def answers_to(db: Connection, work_id: int, *, after: int = 0, limit: int) -> list[tuple[int, str]]:
    """(id, address) of answers, oldest first, those after `after`."""
    query = select(works.c.id, works.c.uri).where(works.c.in_reply_to_id == work_id, works.c.id > after, *_SHOWN)
    return [(row[0], row[1]) for row in db.execute(query.order_by(works.c.id).limit(limit))]


def count_answers(db: Connection, work_id: int) -> int:
    return db.execute(select(func.count()).select_from(works).where(works.c.in_reply_to_id == work_id, *_SHOWN)).scalar_one()


def conversation(db: Connection, root: Work) -> list[tuple[int, str]]:
    """(id, address) of a work and of all that answers it, oldest first; what answers something hidden is hidden with it."""
    found = {root.id: root.uri}
    level = [root.id]
    while level and len(found) < MAX_THREAD:
        query = select(works.c.id, works.c.uri).where(works.c.in_reply_to_id.in_(level), *_SHOWN)
        rows = [row for row in db.execute(query.order_by(works.c.id).limit(MAX_THREAD)) if row.id not in found]
        found |= {row.id: row.uri for row in rows}
        level = [row.id for row in rows]
    below = sorted((id_, uri) for id_, uri in found.items() if id_ != root.id)
    return [(root.id, root.uri), *below][:MAX_THREAD]


def talk_of(db: Connection, work: Work) -> Talk:
    root = _root_of(db, work)
    return Talk(count_answers(db, work.id), root.uri if root is not None else None)


def _root_of(db: Connection, work: Work) -> Work | None:
    """Where a conversation began that everybody may see, if that was here; None also where a part of it is missing."""
    at: Work | None = work
    for _ in range(MAX_ABOVE):
        if at is None or at.in_reply_to_uri is None:
            break
        at = work_by_id(db, at.in_reply_to_id) if at.in_reply_to_id is not None else None
    if at is None or at.in_reply_to_uri is not None or not may_see(db, at.id, None):
        return None
    is_ours = db.execute(select(actors.c.host).where(actors.c.id == at.actor_id)).scalar_one() == ""
    return at if is_ours else None
