"""Follow: somebody wants to see an artist's works. Accepted at once, unless the artist decides each one."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.builders.activities import build_follow
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.follows import Follow, FollowState
from fediart.domain.notifications import NotificationKind
from fediart.ids import new_id
from fediart.inbox.outcome import Done, left
from fediart.instance import DELIVERY, Instance
from fediart.outbox.react import answer_follow
from fediart.storage import actors, blocks, follows, notifications, works


def handle_follow(db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int) -> Done:
    target = actors.actor_by_uri(db, activity.object_uri or "")
    if target is None or not target.is_local or target.kind != "Person":
        return left("nobody here has this address")
    # Its Undo came first. Once only: the id may be used again by whoever follows anew.
    if works.take_tombstone(db, activity.uri, sender.uri):
        return left("it was taken back already")
    if target.is_suspended:
        return left("nobody here has this address")
    follow = build_follow(activity.uri, sender.uri, target.uri)
    if target.has_moved or blocks.are_apart(db, sender.id, target.id):
        # Said in any case: a server that hears nothing shows its user a request that waits for ever.
        answer_follow(db, instance.identifiers, target, sender, follow, now, accept=False)
        return Done(wake=(DELIVERY,))
    before = follows.follow_between(db, sender.id, target.id)
    state = FollowState.REQUESTED if target.locked else FollowState.ACCEPTED
    if before is not None and before.state == FollowState.ACCEPTED:
        state = FollowState.ACCEPTED
    follows.put_follow(db, Follow(new_id(now), sender.id, target.id, activity.uri, state, True))
    kind = NotificationKind.FOLLOW if state == FollowState.ACCEPTED else NotificationKind.REQUEST
    if before is None or before.state != state:
        notifications.notify(db, id_=new_id(now), actor_id=target.id, kind=kind, from_actor_id=sender.id, work_id=None)
    if state == FollowState.ACCEPTED:
        # As it was received, but not what else came with it: up to a megabyte would go back.
        answer_follow(db, instance.identifiers, target, sender, follow, now, accept=True)
    return Done(wake=(DELIVERY,))
