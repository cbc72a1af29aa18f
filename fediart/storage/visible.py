"""Who may see a work, as one SQL condition: every question about works that a person reads goes through it."""

from __future__ import annotations

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, exists, func, literal, or_, select

from fediart.domain.showing import AI_LABELS, HIDES_IN_LISTS, HIDES_IN_PUBLIC, Showing
from fediart.domain.works import Visibility, WorkState
from fediart.storage.tables import accounts, actors, follows, work_addresses, works

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


# ------------------------------------------------------------------------------------------ what the policy says of works


def in_public_lists(viewer: int | None, *, softens: bool) -> ColumnElement[bool]:
    """The condition that the policy, and the viewer's own wish, let the row stand in a public list: timelines, hashtags.

    `softens`: following its author makes up for what the policy says. The rule itself: `domain/showing`.
    """
    return _listed(viewer, tuple(HIDES_IN_PUBLIC), softens)


def in_profile(viewer: int | None, *, softens: bool) -> ColumnElement[bool]:
    """The same for its author's own page: to strangers that is a public list, to whoever is signed in a place they went to."""
    return _listed(viewer, tuple(HIDES_IN_PUBLIC if viewer is None else HIDES_IN_LISTS), softens)


def _listed(viewer: int | None, hides: tuple[str, ...], softens: bool) -> ColumnElement[bool]:
    action = func.coalesce(works.c.moderated, works.c.verdict_action)
    is_listed: ColumnElement[bool] = action.not_in(hides)
    if viewer is None:
        return is_listed
    me = literal(viewer, BigInteger)
    if softens:
        follows_it = exists(
            select(follows.c.id).where(
                follows.c.follower_id == me, follows.c.followee_id == works.c.actor_id, follows.c.state == "accepted"
            )
        )
        is_listed = or_(is_listed, and_(action != "reject", follows_it))
    is_said_ai = or_(
        works.c.self_label.in_(AI_LABELS),
        works.c.declaration.in_(("ai", "parts-ai")),
        and_(works.c.moderated.is_(None), works.c.verdict_rule.in_(("file", "hashtag"))),
        action.in_(("label", "collapse", *HIDES_IN_PUBLIC)),
    )
    is_unwished = exists(select(accounts.c.id).where(accounts.c.actor_id == me, accounts.c.ai_view == Showing.HIDE))
    return or_(works.c.actor_id == me, and_(is_listed, or_(~is_said_ai, ~is_unwished)))
