"""An artist goes on under another address, or comes here from one: her followers are sent along.

Both addresses must say so (FEP-7628). Here she names her other ones (aliases); the address she moves to must name this one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sqlalchemy import Connection

from fediart.domain.actors import Account, Actor
from fediart.errors import BadInput, Conflict, FediartError, NotAllowed
from fediart.instance import DELIVERY, Instance
from fediart.outbox.announce_move import announce_move
from fediart.outbox.announce_work import announce_actor
from fediart.outbox.follow_along import follow_along
from fediart.remote.bring_home import fetch_actor, keep_actor
from fediart.storage import actors
from fediart.studio.follow_actor import find_actor
from fediart.studio.passwords import password_fits

MAX_ALIASES = 10
PAUSE_MS = 30 * 24 * 3600 * 1000
"""Between two moves. Other servers take no second one within seven days."""


def _own(db: Connection, account: Account) -> Actor:
    actor = actors.actor_by_id(db, account.actor_id)
    assert actor is not None  # an account always has its actor
    return actor


async def add_alias(instance: Instance, account: Account, words: str) -> Actor:
    """`words`: a handle or address. Raises FediartError in words for the artist."""
    other = await find_actor(instance, words)

    def act(db: Connection, now: int) -> None:
        actor = _own(db, account)
        if other.uri == actor.uri:
            raise BadInput("This is this very account.")
        if other.uri in actor.also_known_as:
            return
        if len(actor.also_known_as) >= MAX_ALIASES:
            raise BadInput(f"At most {MAX_ALIASES} other accounts fit. Remove one that has moved here already.")
        _put_aliases(db, instance, actor, (*actor.also_known_as, other.uri), now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)
    return other


async def drop_alias(instance: Instance, account: Account, uri: str) -> None:
    def act(db: Connection, now: int) -> None:
        actor = _own(db, account)
        if uri in actor.also_known_as:
            _put_aliases(db, instance, actor, tuple(held for held in actor.also_known_as if held != uri), now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


def _put_aliases(db: Connection, instance: Instance, actor: Actor, aliases: tuple[str, ...], now: int) -> None:
    actors.change_actor(db, actor.id, also_known_as=json.dumps(aliases))
    announce_actor(db, instance.identifiers, actor.id, now)


def may_move_at(actor: Actor) -> int | None:
    """Before this she cannot move (again); None: she never did."""
    return actor.moved_at + PAUSE_MS if actor.moved_at is not None else None


async def move_account(instance: Instance, account: Account, words: str, password: str | None) -> Actor:
    """Send her followers to the address that `words` (a handle or address) means. `password` None: from the shell.

    Raises FediartError in words for the artist.
    """
    if password is not None and not await password_fits(instance, account.password_hash, password):
        raise BadInput("The password is not right.")
    actor = await instance.storage.read(_own, account)
    _check_time(actor, instance.clock())
    target = await _confirmed(instance, actor, await find_actor(instance, words))

    def act(db: Connection, now: int) -> None:
        before = _own(db, account)
        _check_time(before, now)
        if before.is_suspended:
            raise NotAllowed("This account is suspended.")
        actors.change_actor(db, actor.id, moved_to=target.uri, moved_at=now)
        announce_move(db, instance.identifiers, before, target, now)
        follow_along(db, instance.identifiers, before, target, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)
    return target


def _check_time(actor: Actor, now: int) -> None:
    if actor.has_moved:
        raise Conflict("This account has moved already.")
    free = may_move_at(actor)
    if free is not None and now < free:
        day = datetime.fromtimestamp(free / 1000, UTC)
        raise Conflict(
            f"Your followers were sent on not long ago, and other servers take no second move so soon. "
            f"You can move again from {day.day} {day:%B %Y}."
        )


async def _confirmed(instance: Instance, actor: Actor, target: Actor) -> Actor:
    """The target, once it says now, on its own server, that it is the same person."""
    if target.uri == actor.uri:
        raise BadInput("This is this very account.")
    if target.is_local:
        aliases, has_moved = target.also_known_as, target.has_moved
    else:
        try:
            there = await fetch_actor(instance.seeker, target.uri)
        except FediartError as problem:
            raise BadInput(f"{target.host} could not be asked about this account. {problem.message}") from None
        aliases, has_moved = there.also_known_as, there.moved_to is not None
        if there.uri == target.uri:
            target = await keep_actor(instance.seeker, there)
    handle = f"@{target.username}@{target.host or instance.identifiers.account_domain}"
    mine = f"@{actor.username}@{instance.identifiers.account_domain}"
    if actor.uri not in aliases:
        raise BadInput(
            f"{handle} does not say yet that it is you. Sign in there, name {mine} as an account that you move from "
            "(most servers call it an alias), and come back."
        )
    if has_moved or target.gone:
        raise BadInput(f"{handle} has moved on itself. Please name the address where you are now.")
    if target.is_suspended:
        raise NotAllowed("This server's moderators do not let anybody be sent to that account.")
    return target


async def return_account(instance: Instance, account: Account) -> None:
    """She goes on here after all. Followers who were sent on are not called back."""

    def act(db: Connection, now: int) -> None:
        if _own(db, account).has_moved:
            actors.change_actor(db, account.actor_id, moved_to=None)
            announce_actor(db, instance.identifiers, account.actor_id, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)
