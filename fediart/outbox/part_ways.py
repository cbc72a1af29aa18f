"""A follow ends by the word of one of both, and the other's server is told. Acts."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.builders.activities import build_follow
from fediart.activitypub.identifiers import Identifiers
from fediart.domain.actors import Actor
from fediart.domain.notifications import NotificationKind
from fediart.outbox.react import answer_follow, end_follow
from fediart.storage import follows, notifications, timelines


def end_following(db: Connection, ids: Identifiers, actor: Actor, target: Actor, now: int) -> None:
    """`actor`, who is local, follows `target` no more, and its home is without it."""
    held = follows.follow_between(db, actor.id, target.id)
    timelines.take_author(db, actor.id, target.id)
    if held is None:
        return
    follows.drop_follow(db, actor.id, target.id)
    notifications.drop_notification(db, target.id, NotificationKind.REQUEST, actor.id)
    if not target.is_local:
        end_follow(db, ids, actor, target, held.uri, now)


def end_follower(db: Connection, ids: Identifiers, artist: Actor, follower: Actor, now: int) -> None:
    """`follower` follows `artist`, who is local, no more; nor asks to."""
    held = follows.follow_between(db, follower.id, artist.id)
    if follower.is_local:
        timelines.take_author(db, follower.id, artist.id)
    if held is None:
        return
    follows.drop_follow(db, follower.id, artist.id)
    notifications.drop_notification(db, artist.id, NotificationKind.REQUEST, follower.id)
    if not follower.is_local:
        asked = build_follow(held.uri, follower.uri, artist.uri)
        answer_follow(db, ids, artist, follower, asked, now, accept=False)
