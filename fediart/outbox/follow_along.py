"""Who follows somebody follows them to their new address. An act, for moves from elsewhere and from here alike."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.identifiers import Identifiers
from fediart.domain.actors import Actor
from fediart.domain.follows import Follow, FollowState
from fediart.domain.notifications import NotificationKind
from fediart.ids import new_id
from fediart.outbox.react import ask_follow, end_follow
from fediart.storage import actors, blocks, follows, notifications, timelines


def follow_along(db: Connection, ids: Identifiers, old: Actor, new: Actor, now: int) -> None:
    """Both sides have said that they are the same person. Only followers of this server are sent on from here.

    Who blocks the new address, or is blocked by it, stays where they are. Works stay with whom they were published by.
    """
    for follower_id in follows.local_followers(db, old.id):
        follower = actors.actor_by_id(db, follower_id)
        before = follows.follow_between(db, follower_id, old.id)
        if follower is None or before is None or blocks.are_apart(db, follower_id, new.id):
            continue
        follows.drop_follow(db, follower_id, old.id)
        if not old.is_local:
            end_follow(db, ids, follower, old, before.uri, now)
        if follower_id != new.id and follows.follow_between(db, follower_id, new.id) is None:
            _follow(db, ids, follower, new, before.show_boosts, now)


def _follow(db: Connection, ids: Identifiers, follower: Actor, new: Actor, boosts: bool, now: int) -> None:
    id_ = new_id(now)
    uri = f"{follower.uri}/follows/{id_}"
    is_accepted = new.is_local and not new.locked
    state = FollowState.ACCEPTED if is_accepted else FollowState.REQUESTED
    follows.put_follow(db, Follow(id_, follower.id, new.id, uri, state, boosts))
    if not new.is_local:
        ask_follow(db, ids, follower, new, uri, now)
        return
    kind = NotificationKind.FOLLOW if is_accepted else NotificationKind.REQUEST
    notifications.notify(db, id_=new_id(now), actor_id=new.id, kind=kind, from_actor_id=follower.id, work_id=None)
    if is_accepted:
        timelines.fill_from(db, follower.id, new.id)
