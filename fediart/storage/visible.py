"""Who may see a work, as one SQL condition: every question about works that a person reads goes through it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_, select

from fediart.domain.works import Visibility, WorkState
from fediart.storage.tables import actors, follows, work_addresses, works

OPEN = (Visibility.PUBLIC, Visibility.UNLISTED)


def visible_to(viewer: int | None) -> ColumnElement[bool]:
    """The condition on `works` that the actor `viewer` (None: a stranger) may see the row.

    Its own artist sees a work in every state. Others see it once published: anyone an open one, accepted followers
    one for followers, and whoever it names in `to` or `cc` in any case.
    """
    published = works.c.state == WorkState.PUBLISHED
    opened = and_(published, works.c.visibility.in_(OPEN))
    if viewer is None:
        return opened
    follows_it = exists(
        select(follows.c.id).where(
            follows.c.follower_id == viewer, follows.c.followee_id == works.c.actor_id, follows.c.state == "accepted"
        )
    )
    is_addressed = exists(
        select(work_addresses.c.work_id)
        .select_from(work_addresses.join(actors, actors.c.uri == work_addresses.c.uri))
        .where(work_addresses.c.work_id == works.c.id, actors.c.id == viewer)
    )
    return or_(
        works.c.actor_id == viewer,
        opened,
        and_(published, or_(and_(works.c.visibility == Visibility.FOLLOWERS, follows_it), is_addressed)),
    )
