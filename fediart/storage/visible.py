"""Who may see a work, as one SQL condition: every question about works that a person reads goes through it.

Two circles. `visible_to`: may it be seen at all, by whoever has its address? `listed_for`: does it stand in lists that
somebody reads (home, public, tags, talk, notifications)? There what they muted, and what moderators limited, is away.
What the policy keeps out of public lists is a condition of its own, `in_public_lists`: those lists ask for both.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, exists, func, literal, or_, select

from fediart.domain.moderation import Standing
from fediart.domain.showing import AI_LABELS, HIDES_IN_LISTS, HIDES_IN_PUBLIC, Showing
from fediart.domain.works import Visibility, WorkState
from fediart.storage.tables import accounts, actors, blocks, follows, host_mutes, mutes, work_addresses, works

OPEN = (Visibility.PUBLIC, Visibility.UNLISTED)


def visible_to_bound() -> ColumnElement[bool]:
    """`visible_to` with the viewer as the parameter `viewer`, for statements that are put together once."""
    return _visible(_bound())


def listed_for_bound() -> ColumnElement[bool]:
    return _listed(_bound())


def _bound() -> ColumnElement[int]:
    return bindparam("viewer", type_=BigInteger)


def visible_to(viewer: int | None) -> ColumnElement[bool]:
    """The condition on `works` that the actor `viewer` (None: a stranger) may see the row.

    Its own artist sees a work in every state. Others see it once published, unless a moderator removed it, one of both blocks
    the other, or its artist is suspended: anyone an open one, accepted followers one for followers, and whoever it names in
    `to` or `cc`.
    """
    return and_(_opened(), not_suspended(works.c.actor_id)) if viewer is None else _visible(literal(viewer, BigInteger))


def published_to(host: str) -> ColumnElement[bool]:
    """The condition on `works` that the row was said to somebody on another server: a follower, or whom it names.

    One server's people stand for each other here: whoever runs it reads what it is given. Who is gone, suspended, or apart
    from its artist is nobody.
    """
    is_there = (actors.c.host == host, ~actors.c.gone, actors.c.standing != Standing.SUSPENDED)
    followers = select(actors.c.id).select_from(actors.join(follows, follows.c.follower_id == actors.c.id))
    of_it = (follows.c.followee_id == works.c.actor_id, follows.c.state == "accepted")
    named = select(actors.c.id).select_from(actors.join(work_addresses, work_addresses.c.uri == actors.c.uri))
    is_named = (work_addresses.c.work_id == works.c.id, not_blocked(works.c.actor_id, actors.c.id))
    return and_(
        _is_out(),
        not_suspended(works.c.actor_id),
        or_(
            and_(works.c.visibility == Visibility.FOLLOWERS, exists(followers.where(*is_there, *of_it))),
            exists(named.where(*is_there, *is_named)),
        ),
    )


def listed_for(viewer: int | None) -> ColumnElement[bool]:
    """The condition on `works` that the row stands in lists for `viewer`, besides that they may see it."""
    return not_limited(works.c.actor_id) if viewer is None else _listed(literal(viewer, BigInteger))


def _opened() -> ColumnElement[bool]:
    return and_(_is_out(), works.c.visibility.in_(OPEN))


def _is_out() -> ColumnElement[bool]:
    """Published, and not removed by a moderator."""
    return and_(works.c.state == WorkState.PUBLISHED, works.c.moderated.is_distinct_from("reject"))


def _follows(viewer: ColumnElement[int], actor: ColumnElement[int]) -> ColumnElement[bool]:
    return exists(
        select(follows.c.id).where(follows.c.follower_id == viewer, follows.c.followee_id == actor, follows.c.state == "accepted")
    )


def _visible(viewer: ColumnElement[int]) -> ColumnElement[bool]:
    published = _is_out()
    follows_it = _follows(viewer, works.c.actor_id)
    is_addressed = exists(
        select(work_addresses.c.work_id)
        .select_from(work_addresses.join(actors, actors.c.uri == work_addresses.c.uri))
        .where(work_addresses.c.work_id == works.c.id, actors.c.id == viewer)
    )
    return or_(
        works.c.actor_id == viewer,
        and_(
            or_(
                _opened(),
                and_(published, or_(and_(works.c.visibility == Visibility.FOLLOWERS, follows_it), is_addressed)),
            ),
            not_blocked(viewer, works.c.actor_id),
            not_suspended(works.c.actor_id),
        ),
    )


def _listed(viewer: ColumnElement[int]) -> ColumnElement[bool]:
    author = works.c.actor_id
    return or_(
        author == viewer,
        and_(not_muted(viewer, author), or_(not_limited(author), _follows(viewer, author))),
    )


# Each takes the column that holds the id of the actor who is judged, so that it serves works and notifications alike.
# Few rows fit what stands behind NOT IN: the database reads them once for a whole statement.


def not_blocked(viewer: ColumnElement[int], actor: ColumnElement[int]) -> ColumnElement[bool]:
    """Neither of both blocks the other."""
    return and_(
        actor.not_in(select(blocks.c.target_id).where(blocks.c.actor_id == viewer)),
        actor.not_in(select(blocks.c.actor_id).where(blocks.c.target_id == viewer)),
    )


def not_muted(viewer: ColumnElement[int], actor: ColumnElement[int], *, in_notifications: bool = False) -> ColumnElement[bool]:
    """The viewer muted neither the actor nor its host."""
    muted = select(mutes.c.target_id).where(mutes.c.actor_id == viewer)
    if in_notifications:
        muted = muted.where(mutes.c.notifications)
    of_host = actors.join(host_mutes, host_mutes.c.host == actors.c.host)
    return and_(
        actor.not_in(muted),
        ~exists(select(actors.c.id).select_from(of_host).where(actors.c.id == actor, host_mutes.c.actor_id == viewer)),
    )


def not_suspended(actor: ColumnElement[int]) -> ColumnElement[bool]:
    return actor.not_in(select(actors.c.id).where(actors.c.standing != "", actors.c.standing == Standing.SUSPENDED))


def not_limited(actor: ColumnElement[int]) -> ColumnElement[bool]:
    return actor.not_in(select(actors.c.id).where(actors.c.standing != "", actors.c.standing == Standing.LIMITED))


def heard_by_bound(actor: ColumnElement[int]) -> ColumnElement[bool]:
    """May the actor's doings be told to the actor of the parameter `viewer`?

    Not of who is blocked (either way), muted, suspended, or limited and not followed.
    """
    me = _bound()
    return and_(
        not_blocked(me, actor),
        not_suspended(actor),
        not_muted(me, actor, in_notifications=True),
        or_(not_limited(actor), _follows(me, actor)),
    )


# ------------------------------------------------------------------------------------------ what the policy says of works


def in_public_lists(viewer: int | None, *, softens: bool) -> ColumnElement[bool]:
    """The condition that the policy, and the viewer's own wish, let the row stand in a public list: timelines, hashtags.

    `softens`: following its author makes up for what the policy says. The rule itself: `domain/showing`.
    """
    return _let(None if viewer is None else literal(viewer, BigInteger), HIDES_IN_PUBLIC, softens)


def in_public_lists_bound(*, softens: bool) -> ColumnElement[bool]:
    return _let(_bound(), HIDES_IN_PUBLIC, softens)


def in_profile(viewer: int | None, *, softens: bool) -> ColumnElement[bool]:
    """The same for its author's own page: to strangers that is a public list, to whoever is signed in a place they went to."""
    if viewer is None:
        return in_public_lists(None, softens=softens)
    return _let(literal(viewer, BigInteger), HIDES_IN_LISTS, softens)


def _let(viewer: ColumnElement[int] | None, hides: Sequence[str], softens: bool) -> ColumnElement[bool]:
    action = func.coalesce(works.c.moderated, works.c.verdict_action)
    is_listed: ColumnElement[bool] = action.not_in(hides)
    if viewer is None:
        return is_listed
    if softens:
        is_listed = or_(is_listed, and_(action != "reject", _follows(viewer, works.c.actor_id)))
    is_said_ai = or_(
        works.c.self_label.in_(AI_LABELS),
        works.c.declaration.in_(("ai", "parts-ai")),
        and_(works.c.moderated.is_(None), works.c.verdict_rule.in_(("file", "hashtag"))),
        action.in_(("label", "collapse", *HIDES_IN_PUBLIC)),
    )
    is_unwished = exists(select(accounts.c.id).where(accounts.c.actor_id == viewer, accounts.c.ai_view == Showing.HIDE))
    return or_(works.c.actor_id == viewer, and_(is_listed, or_(~is_said_ai, ~is_unwished)))
