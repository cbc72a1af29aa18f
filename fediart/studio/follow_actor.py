"""Following, from here: somebody here at once, somebody elsewhere once their server has said yes."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account, Actor
from fediart.domain.follows import Follow, FollowState
from fediart.domain.notifications import NotificationKind
from fediart.errors import BadInput, Conflict, NotAllowed, NotFound
from fediart.ids import new_id
from fediart.instance import DELIVERY, Instance
from fediart.outbox.react import ask_follow, end_follow
from fediart.remote.bring_home import find_handle
from fediart.remote.look_further import BACKFILL, FOLLOW_PAUSE_MS, ask_for_works
from fediart.storage import actors, blocks, follows, notifications, timelines
from fediart.storage.blocks import hides_from


async def find_actor(instance: Instance, text: str) -> Actor:
    """Whom a handle or address means. Raises FediartError in words for the person who typed it."""
    if len(text) > 2_000 or not text.strip():
        raise BadInput("Type a handle like @mira@art.example, or the address of a profile.")
    return await find_handle(instance.seeker, text)


def _both(db: Connection, account: Account, target_id: int) -> tuple[Actor, Actor]:
    actor, target = actors.actor_by_id(db, account.actor_id), actors.actor_by_id(db, target_id)
    if actor is None or target is None or target.gone or hides_from(db, target, actor.id):
        raise NotFound("This account is not there any more.")
    if actor.id == target.id:
        raise BadInput("Your own works are in your home anyway.")
    return actor, target


async def follow(instance: Instance, account: Account, target_id: int) -> None:
    await instance.storage.write(_follow, instance, account, target_id, instance.clock())
    instance.wake(DELIVERY, BACKFILL)


def _follow(db: Connection, instance: Instance, account: Account, target_id: int, now: int) -> None:
    actor, target = _both(db, account, target_id)
    if follows.follow_between(db, actor.id, target.id) is not None:
        return
    if blocks.block_uri(db, actor.id, target.id) is not None:
        raise Conflict("You block this person. Unblock them first.")
    if target.is_suspended:
        raise NotAllowed("This server's moderators do not let this account be followed from here.")
    if target.is_local and target.has_moved:
        raise Conflict("This artist has moved. Follow them at their new address, which stands on their page.")
    if actor.has_moved:
        raise NotAllowed("Your account has moved: follow from your new one, or take the move back in your settings.")
    id_ = new_id(now)
    uri = f"{actor.uri}/follows/{id_}"
    if target.is_local:
        state = FollowState.REQUESTED if target.locked else FollowState.ACCEPTED
        follows.put_follow(db, Follow(id_, actor.id, target.id, uri, state, True))
        kind = NotificationKind.FOLLOW if state == FollowState.ACCEPTED else NotificationKind.REQUEST
        notifications.notify(db, id_=new_id(now), actor_id=target.id, kind=kind, from_actor_id=actor.id, work_id=None)
        if state == FollowState.ACCEPTED:
            timelines.fill_from(db, actor.id, target.id)
        return
    follows.put_follow(db, Follow(id_, actor.id, target.id, uri, FollowState.REQUESTED, True))
    ask_follow(db, instance.identifiers, actor, target, uri, now)
    ask_for_works(db, target, now, pause_ms=FOLLOW_PAUSE_MS)


async def unfollow(instance: Instance, account: Account, target_id: int) -> None:
    def act(db: Connection, now: int) -> None:
        actor, target = _both(db, account, target_id)
        held = follows.follow_between(db, actor.id, target.id)
        if held is None:
            return
        follows.drop_follow(db, actor.id, target.id)
        notifications.drop_notification(db, target.id, NotificationKind.REQUEST, actor.id)
        timelines.take_author(db, actor.id, target.id)
        if not target.is_local:
            end_follow(db, instance.identifiers, actor, target, held.uri, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


async def show_boosts(instance: Instance, account: Account, target_id: int, on: bool) -> None:
    await instance.storage.write(follows.show_boosts, account.actor_id, target_id, on)
