"""Who may see a work, as one SQL condition: every question about works that a person reads goes through it."""

from __future__ import annotations

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, exists, literal, or_, select

from fediart.domain.works import Visibility, WorkState
from fediart.storage.tables import actors, follows, work_addresses, works

OPEN = (Visibility.PUBLIC, Visibility.UNLISTED)


def visible_to_bound() -> ColumnElement[bool]:
    """`visible_to` with the viewer as the parameter `viewer`, for statements that are put together once."""
    return _visible(bindparam("viewer", type_=BigInteger))


def visible_to(viewer: int | None) -> ColumnElement[bool]:
    """The condition on `works` that the actor `viewer` (None: a stranger) may see the row.

    Its own artist sees a work in every state. Others see it once published: anyone an open one, accepted followers
    one for followers, and whoever it names in `to` or `cc` in any case.
    """
    return _opened() if viewer is None else _visible(literal(viewer, BigInteger))


def _opened() -> ColumnElement[bool]:
    return and_(works.c.state == WorkState.PUBLISHED, works.c.visibility.in_(OPEN))


def _visible(viewer: ColumnElement[int]) -> ColumnElement[bool]:
    published = works.c.state == WorkState.PUBLISHED
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
        _opened(),
        and_(published, or_(and_(works.c.visibility == Visibility.FOLLOWERS, follows_it), is_addressed)),
    )
