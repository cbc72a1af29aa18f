"""Keeping somebody away: block, mute, remove a follower, mute a host. Each is taken back by its counterpart."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account, Actor
from fediart.domain.moderation import meant_host
from fediart.errors import BadInput, NotFound
from fediart.ids import new_id
from fediart.instance import DELIVERY, Instance
from fediart.outbox.answer_quote import take_back_stamps_of
from fediart.outbox.part_ways import end_follower, end_following
from fediart.outbox.react import tell_block, tell_unblock
from fediart.storage import actors, blocks, jobs, mutes

LAPSE = "lapse"
"""Kind of the job that ends what was meant for a time only."""

LONGEST_MUTE_S = 10 * 365 * 24 * 3600


def _both(db: Connection, account: Account, target_id: int) -> tuple[Actor, Actor]:
    actor, target = actors.actor_by_id(db, account.actor_id), actors.actor_by_id(db, target_id)
    if actor is None or target is None or (target.is_local and target.kind != "Person"):
        # This server itself is nobody to keep away: what its moderators decide is told in its name.
        raise NotFound("This account is not there any more.")
    if actor.id == target.id:
        raise BadInput("This is you.")
    return actor, target


async def block(instance: Instance, account: Account, target_id: int) -> None:
    """Neither sees the other from now on; both follows end; another server is told."""
    await instance.storage.write(_block, instance, account, target_id, instance.clock())
    instance.wake(DELIVERY)


def _block(db: Connection, instance: Instance, account: Account, target_id: int, now: int) -> None:
    actor, target = _both(db, account, target_id)
    if blocks.block_uri(db, actor.id, target.id) is not None:
        return
    uri = f"{actor.uri}/blocks/{new_id(now)}"
    blocks.put_block(db, actor.id, target.id, uri=uri, now=now)
    end_following(db, instance.identifiers, actor, target, now)
    end_follower(db, instance.identifiers, actor, target, now)
    take_back_stamps_of(db, instance.identifiers, actor, target, now)
    blocks.forget_between(db, actor.id, target.id)
    if not target.is_local:
        tell_block(db, actor, target, uri, now)


async def unblock(instance: Instance, account: Account, target_id: int) -> None:
    """Follows do not come back by it."""

    def act(db: Connection, now: int) -> None:
        actor, target = _both(db, account, target_id)
        uri = blocks.drop_block(db, actor.id, target.id)
        if uri is not None and not target.is_local:
            tell_unblock(db, actor, target, uri, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


async def mute(
    instance: Instance, account: Account, target_id: int, *, for_s: int | None = None, with_notifications: bool = True
) -> None:
    """Their works leave this person's lists, and they hear nothing of it. `for_s`: seconds; None for good."""
    now = instance.clock()
    until = now + min(for_s, LONGEST_MUTE_S) * 1000 if for_s is not None and for_s > 0 else None

    def act(db: Connection) -> None:
        actor, target = _both(db, account, target_id)
        mutes.put_mute(db, actor.id, target.id, notifications=with_notifications, until=until, now=now)
        if until is not None:
            jobs.add_job(db, LAPSE, {}, now=now, run_at=until)

    await instance.storage.write(act)
    instance.wake(LAPSE)


async def unmute(instance: Instance, account: Account, target_id: int) -> None:
    def act(db: Connection) -> None:
        actor, target = _both(db, account, target_id)
        mutes.drop_mute(db, actor.id, target.id)

    await instance.storage.write(act)


async def remove_follower(instance: Instance, account: Account, follower_id: int) -> None:
    """They may ask again: a block keeps them away."""

    def act(db: Connection, now: int) -> None:
        artist, follower = _both(db, account, follower_id)
        end_follower(db, instance.identifiers, artist, follower, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


async def mute_host(instance: Instance, account: Account, typed: str) -> str:
    """Everybody of that host, for this person. Returns the host. Raises BadInput."""
    host = meant_host(typed)
    if host is None:
        raise BadInput(f"{typed.strip()[:100] or 'This'} is no name of a server. Type it like art.example.")
    if host in instance.identifiers.hosts:
        raise BadInput("This is the server you are on.")
    if not await instance.storage.write(mutes.put_host_mute, account.actor_id, host, instance.clock()):
        raise BadInput(f"You mute {mutes.MAX_HOST_MUTES} servers already, and more are not kept.")
    return host


async def unmute_host(instance: Instance, account: Account, typed: str) -> None:
    await instance.storage.write(mutes.drop_host_mute, account.actor_id, meant_host(typed) or typed)
