"""An artist who decides on each follower says yes or no to those who ask."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.builders.activities import build_follow
from fediart.domain.actors import Account, Actor
from fediart.domain.follows import Follow, FollowState
from fediart.domain.notifications import NotificationKind
from fediart.errors import NotFound
from fediart.ids import new_id
from fediart.instance import DELIVERY, Instance
from fediart.outbox.react import answer_follow
from fediart.storage import actors, follows, notifications, timelines


async def answer_request(instance: Instance, account: Account, follower_id: int, *, accept: bool) -> None:
    """Raises NotFound when there is no such request (any more)."""

    def act(db: Connection, now: int) -> None:
        follow = follows.follow_between(db, follower_id, account.actor_id)
        if follow is None or follow.state != FollowState.REQUESTED:
            raise NotFound("This request is not there any more.")
        artist = actors.actor_by_id(db, account.actor_id)
        assert artist is not None  # an account always has its actor
        _answer(db, instance, artist, follow, now, accept=accept)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


def accept_all(db: Connection, instance: Instance, artist: Actor, now: int) -> None:
    """Who opens the door lets in those who wait before it."""
    for follow in follows.all_requests_to(db, artist.id):
        _answer(db, instance, artist, follow, now, accept=True)


def _answer(db: Connection, instance: Instance, artist: Actor, follow: Follow, now: int, *, accept: bool) -> None:
    follower = actors.actor_by_id(db, follow.follower_id)
    assert follower is not None  # a row that a foreign key holds
    if accept:
        follows.accept_follow(db, follower.id, artist.id)
    else:
        follows.drop_follow(db, follower.id, artist.id)
    notifications.drop_notification(db, artist.id, NotificationKind.REQUEST, follower.id)
    if accept:
        notifications.notify(
            db, id_=new_id(now), actor_id=artist.id, kind=NotificationKind.FOLLOW, from_actor_id=follower.id, work_id=None
        )
    if not follower.is_local:
        asked = build_follow(follow.uri, follower.uri, artist.uri)
        answer_follow(db, instance.identifiers, artist, follower, asked, now, accept=accept)
    elif accept:
        timelines.fill_from(db, follower.id, artist.id)
