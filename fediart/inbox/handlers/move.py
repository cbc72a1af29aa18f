"""Move: somebody goes on under another address. Their followers here follow them there, if that address says so too.

The Move is signed by the old actor, and the new one must name the old one in `alsoKnownAs`, as its own server says now:
both sides have spoken then. Works stay with whom they were published by.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.follows import Follow, FollowState
from fediart.errors import ParseError
from fediart.ids import new_id
from fediart.inbox.outcome import Done, Later, left
from fediart.instance import DELIVERY, Instance
from fediart.outbox.react import ask_follow, end_follow
from fediart.remote.bring_home import fetch_actor, keep_actor
from fediart.storage import actors, blocks, follows

COOLDOWN_MS = 7 * 24 * 3600 * 1000


def handle_move(
    _db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int
) -> Done | Later:
    target = activity.target
    if activity.object_uri != sender.uri or target is None or target == sender.uri:
        return left("it does not say whereto its sender moves")
    if instance.identifiers.pretends_local(target):
        return left("accounts are not moved here by a message")
    if sender.moved_at is not None and now - sender.moved_at < COOLDOWN_MS:
        return left("its sender has moved within the last seven days already")
    return partial(_move, instance, sender, target)


async def _move(instance: Instance, sender: Actor, target: str) -> Done:
    there = await fetch_actor(instance.seeker, target)
    if there.uri != target or sender.uri not in there.also_known_as:
        raise ParseError("The new address does not say that it is the same person.")
    if there.moved_to is not None:
        raise ParseError("The new address has moved on itself.")
    arrived = await keep_actor(instance.seeker, there)
    return await instance.storage.write(_follow_there, instance, sender, arrived, instance.clock())


def _follow_there(db: Connection, instance: Instance, sender: Actor, arrived: Actor, now: int) -> Done:
    if arrived.is_suspended or arrived.gone:
        return left("where it moves to is kept away from here")
    actors.change_actor(db, sender.id, moved_to=arrived.uri, moved_at=now)
    for follower_id in follows.local_followers(db, sender.id):
        follower = actors.actor_by_id(db, follower_id)
        before = follows.follow_between(db, follower_id, sender.id)
        if follower is None or before is None or blocks.are_apart(db, follower_id, arrived.id):
            continue
        follows.drop_follow(db, follower_id, sender.id)
        end_follow(db, instance.identifiers, follower, sender, before.uri, now)
        if follows.follow_between(db, follower_id, arrived.id) is None:
            id_ = new_id(now)
            uri = f"{follower.uri}/follows/{id_}"
            follows.put_follow(db, Follow(id_, follower_id, arrived.id, uri, FollowState.REQUESTED, before.show_boosts))
            ask_follow(db, instance.identifiers, follower, arrived, uri, now)
    return Done(wake=(DELIVERY,))
