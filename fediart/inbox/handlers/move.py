"""Move: somebody goes on under another address. Their followers here follow them there, if that address says so too.

The Move is signed by the old actor, and the new one must name the old one in `alsoKnownAs`, as its own server says now:
both sides have spoken then. Works stay with whom they were published by.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.errors import ParseError
from fediart.inbox.outcome import Done, Later, left
from fediart.instance import DELIVERY, Instance
from fediart.outbox.follow_along import follow_along
from fediart.remote.bring_home import fetch_actor, keep_actor
from fediart.storage import actors

COOLDOWN_MS = 7 * 24 * 3600 * 1000


def handle_move(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int
) -> Done | Later:
    target = activity.target
    if activity.object_uri != sender.uri or target is None or target == sender.uri:
        return left("it does not say whereto its sender moves")
    if sender.moved_at is not None and now - sender.moved_at < COOLDOWN_MS:
        return left("its sender has moved within the last seven days already")
    if not instance.identifiers.pretends_local(target):
        return partial(_move, instance, sender, target)
    arrived = actors.actor_by_uri(db, target)
    if arrived is None or not arrived.is_local or sender.uri not in arrived.also_known_as:
        return left("nobody here says that they are the same person")
    return _follow_there(db, instance, sender, arrived, now)


async def _move(instance: Instance, sender: Actor, target: str) -> Done:
    there = await fetch_actor(instance.seeker, target)
    if there.uri != target or sender.uri not in there.also_known_as:
        raise ParseError("The new address does not say that it is the same person.")
    if there.moved_to is not None:
        raise ParseError("The new address has moved on itself.")
    arrived = await keep_actor(instance.seeker, there)
    return await instance.storage.write(_follow_there, instance, sender, arrived, instance.clock())


def _follow_there(db: Connection, instance: Instance, sender: Actor, arrived: Actor, now: int) -> Done:
    if arrived.is_suspended or arrived.gone or (arrived.is_local and arrived.has_moved):
        return left("where it moves to is kept away from here, or gone")
    actors.change_actor(db, sender.id, moved_to=arrived.uri, moved_at=now)
    follow_along(db, instance.identifiers, sender, arrived, now)
    return Done(wake=(DELIVERY,))
