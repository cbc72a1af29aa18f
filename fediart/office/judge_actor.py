"""A moderator's word on one actor: suspend, limit, let be again. And the owner's on who is what."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fediart.domain.actors import Account, Actor, Role
from fediart.domain.moderation import MAX_COMMENT, Standing
from fediart.errors import BadInput, Conflict, NotAllowed, NotFound
from fediart.instance import DELIVERY, Instance
from fediart.outbox.part_ways import end_follower, end_following
from fediart.outbox.restate import RESTATE, restate_since
from fediart.storage import accounts, actors, audit, follows, host_rules

VERBS = {Standing.SUSPENDED: "suspend", Standing.LIMITED: "limit", Standing.GOOD: "unsuspend"}


async def judge_actor(instance: Instance, actor_id: int, standing: Standing, *, by: Account | None, reason: str = "") -> None:
    """SUSPENDED: hidden everywhere, nothing to them and nothing from them; of somebody here, every session ends too.

    `by` None: from the shell. `reason`: read by who it concerns, if they are here. Raises NotFound, NotAllowed, Conflict.
    """
    await instance.storage.write(_judge, instance, actor_id, standing, by, reason.strip()[:MAX_COMMENT], instance.clock())
    instance.wake(DELIVERY, RESTATE)


def _judge(
    db: Connection, instance: Instance, actor_id: int, standing: Standing, by: Account | None, reason: str, now: int
) -> None:
    actor = actors.actor_by_id(db, actor_id)
    if actor is None or (actor.is_local and (actor.kind != "Person" or actor.gone)):
        raise NotFound("This account is not there any more.")
    account = accounts.account_of_actor(db, actor.id) if actor.is_local else None
    if account is not None:
        _check_rank(db, account, standing, by)
    if standing == Standing.SUSPENDED and not actor.is_local and not actor.is_suspended:
        _end_follows(db, instance, actor, now)
    host_rules.put_own_standing(db, actor.id, actor.host, standing)
    instance.signers.forget(actor.uri)
    if account is not None:
        is_out = standing == Standing.SUSPENDED
        accounts.put_suspension(db, account.id, (account.suspended_at or now) if is_out else None, reason if is_out else "")
        if not is_out and account.suspended_at is not None:
            restate_since(db, actor.id, account.suspended_at, now)
    handle = f"@{actor.username}@{actor.host or instance.identifiers.account_domain}"
    audit.write_down(db, by.id if by is not None else None, VERBS[standing], handle, reason, now)


def _check_rank(db: Connection, account: Account, standing: Standing, by: Account | None) -> None:
    """Moderators decide on artists, admins also on moderators, the owner on all; nobody on themselves."""
    if by is not None and by.id == account.id:
        raise NotAllowed("Nobody decides on themselves.")
    if by is not None and _RANK.index(by.role) <= _RANK.index(account.role) and by.role != Role.OWNER:
        raise NotAllowed(f"This account is {_named(account.role)}: somebody of a higher role decides on it.")
    is_owner = account.role == Role.OWNER and account.suspended_at is None
    if standing == Standing.SUSPENDED and is_owner and accounts.count_owners(db) == 1:
        raise Conflict("This is the only owner of this server. Make somebody else owner first.")


_RANK: Sequence[Role] = (Role.ARTIST, Role.MODERATOR, Role.ADMIN, Role.OWNER)


def _named(role: Role) -> str:
    return f"an {role}" if role in (Role.OWNER, Role.ADMIN, Role.ARTIST) else f"a {role}"


def _end_follows(db: Connection, instance: Instance, far: Actor, now: int) -> None:
    """Their server is told, while it may still be: else it would go on as if nothing had happened after a pardon."""
    for follower_id, followee_id in follows.pairs_of(db, far.id):
        near = actors.actor_by_id(db, followee_id if follower_id == far.id else follower_id)
        if near is None or not near.is_local:
            continue
        if follower_id == far.id:
            end_follower(db, instance.identifiers, near, far, now)
        else:
            end_following(db, instance.identifiers, near, far, now)


async def give_role(instance: Instance, username: str, role: Role, *, by: Account | None) -> None:
    """`by` None: from the shell. Raises NotFound, NotAllowed, Conflict."""
    if by is not None and by.role != Role.OWNER:
        raise NotAllowed("Only an owner decides who is what.")

    def act(db: Connection, now: int) -> None:
        account = accounts.account_named(db, username.strip().lower().removeprefix("@"))
        if account is None:
            raise NotFound(f"There is no account {username[:60]} here.")
        if account.role == role:
            return
        if account.suspended_at is not None and role != Role.ARTIST:
            raise BadInput("This account is suspended.")
        if account.role == Role.OWNER and account.suspended_at is None and accounts.count_owners(db) == 1:
            raise Conflict("This is the only owner of this server. Make somebody else owner first.")
        accounts.put_role(db, account.id, role)
        actor = actors.actor_by_id(db, account.actor_id)
        name = actor.username if actor is not None else username
        audit.write_down(db, by.id if by is not None else None, "role", f"@{name}", f"{account.role} → {role}", now)

    await instance.storage.write(act, instance.clock())
