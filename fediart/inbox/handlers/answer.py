"""Accept and Reject: the answer to a Follow of ours. It counts only from whom was asked."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.parsers import fields
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.follows import Follow
from fediart.inbox.outcome import NOTHING, Done, left
from fediart.instance import Instance
from fediart.storage import actors, follows, timelines
from fediart.storage.follows import follow_of_uri


def _asked(db: Connection, sender: Actor, activity: ParsedActivity) -> Follow | None:
    """Our request that is answered: by its id, else, where that is none of ours, by who asked whom."""
    if activity.object_uri is not None and (found := follow_of_uri(db, activity.object_uri)) is not None:
        return found if found.followee_id == sender.id else None
    if activity.object is None or fields.uri(activity.object.get("object")) != sender.uri:
        return None
    asker = actors.actor_by_uri(db, fields.uri(activity.object.get("actor")) or "")
    if asker is not None and activity.object_uri is not None and same_host(activity.object_uri, asker.uri):
        return None  # an id of ours, of a request that was taken back since: the present one has another
    return follows.follow_between(db, asker.id, sender.id) if asker is not None and asker.is_local else None


def handle_accept(db: Connection, _instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, _now: int) -> Done:
    follow = _asked(db, sender, activity)
    if follow is None:
        return left("it answers no request of ours")
    if follows.accept_follow(db, follow.follower_id, follow.followee_id):
        timelines.fill_from(db, follow.follower_id, sender.id)
    return NOTHING


def handle_reject(db: Connection, _instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, _now: int) -> Done:
    follow = _asked(db, sender, activity)
    if follow is None:
        return left("it answers no request of ours")
    if follows.drop_follow(db, follow.follower_id, follow.followee_id):
        timelines.take_author(db, follow.follower_id, sender.id)
    return NOTHING
