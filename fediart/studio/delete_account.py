"""An artist leaves for good. Every server that this one ever met is told, then all that is hers goes, and her name stays hers.

One transaction ends the account and says so to the others; what is behind it, files and rows, is a durable job's work. Her key
is kept until everybody was told (`office/prune` lets go of it): who is told must be able to see that she says it herself.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from fediart.activitypub.identifiers import host_of
from fediart.domain.actors import Account, Role
from fediart.errors import BadInput, Conflict
from fediart.instance import DELIVERY, Instance
from fediart.outbox.announce_move import announce_end
from fediart.storage import accounts, actors, audit, deliveries, departures, files, images, jobs
from fediart.studio.arrange_images import discard
from fediart.studio.passwords import password_fits

DEPART = "depart"

LAST_OWNER = "This is the only owner of this server, and others have an account here. Make one of them owner first."


def keeps_last_owner(db: Connection, account: Account) -> bool:
    """Would the others be left without an owner?"""
    is_owner = account.role == Role.OWNER and account.suspended_at is None
    return is_owner and accounts.count_owners(db) == 1 and len(accounts.actor_ids(db)) > 1


async def delete_account(instance: Instance, account: Account, name: str, password: str | None) -> None:
    """`name`: her username, typed to say that it is meant. `password` None: from the shell.

    Raises BadInput or Conflict in words for the artist, TooMany.
    """
    actor = await instance.storage.read(actors.actor_by_id, account.actor_id)
    assert actor is not None  # an account always has its actor
    if name.strip().lower().removeprefix("@") != actor.username:
        raise BadInput(f"Nothing was deleted: type your username, {actor.username}, to say that you mean it.")
    if password is not None and not await password_fits(instance, account.password_hash, password):
        raise BadInput("Nothing was deleted: the password is not right.")
    await instance.storage.write(_end, instance, account, instance.clock(), password is None)
    instance.wake(DELIVERY, DEPART)


def _end(db: Connection, instance: Instance, account: Account, now: int, by_shell: bool) -> None:
    actor = actors.actor_by_id(db, account.actor_id)
    if actor is None or actor.gone:
        return
    if keeps_last_owner(db, account):
        raise Conflict(LAST_OWNER)
    # Nothing of hers is to be told any more but this.
    deliveries.drop_unsent(db, actor.id)
    everywhere = [inbox for inbox in actors.inboxes_everywhere(db) if not instance.host_rules.blocks(host_of(inbox))]
    announce_end(db, actor, everywhere, now)
    departures.mark_gone(db, actor.id)
    departures.hide(db, actor.id)
    accounts.drop_account(db, account.id)
    detail = "from the shell" if by_shell else "by themselves"
    audit.write_down(db, None, "delete", f"@{actor.username}@{instance.identifiers.account_domain}", detail, now)
    jobs.add_job(db, DEPART, {"actor_id": actor.id}, now=now)


async def depart(instance: Instance, payload: dict[str, Any]) -> None:
    """The job: goes on wherever a kill or an error left it."""
    actor_id = payload["actor_id"]
    for image in (await instance.storage.read(images.images_by_id, list(instance.renders))).values():
        if image.actor_id == actor_id:
            await instance.stop_render(image.id)
    is_last = False
    while not is_last:
        part = await instance.storage.write(_remove_part, actor_id, instance.clock())
        await discard(instance, part.names, part.keys)
        is_last = part.is_last
    instance.said_of_files.clear()


def _remove_part(db: Connection, actor_id: int, now: int) -> departures.Part:
    part = departures.remove_part(db, actor_id)
    files.retire(db, part.names, now)
    return part
