"""Delete: a post is gone, or a whole account."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.works import Work
from fediart.inbox.outcome import Done, Later, left
from fediart.instance import DELIVERY, Instance
from fediart.outbox.react import tell_unboost
from fediart.storage import actors, follows, reactions, works

BATCH = 40


def handle_delete(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int
) -> Done | Later:
    if activity.object_uri is None or not same_host(activity.object_uri, sender.uri):
        return left("what it deletes is on another host")
    if activity.object_uri == sender.uri:
        return partial(_remove_actor, instance, sender)
    return Done(wake=(DELIVERY,), discard=tuple(_remove(db, sender, activity.object_uri, now)))


async def _remove_actor(instance: Instance, sender: Actor) -> Done:
    """Part of an account's works at a time, so that others can write in between."""
    instance.signers.forget(sender.uri)
    names: list[str] = []
    while True:
        found, unused = await instance.storage.write(_remove_some, sender, instance.clock())
        names += unused
        if not found:
            return Done(wake=(DELIVERY,), discard=tuple(names))


def _remove(db: Connection, sender: Actor, uri: str, now: int) -> list[str]:
    work = works.work_by_uri(db, uri)
    if work is None:
        works.put_tombstone(db, uri, sender.uri, now)  # its Create may still be on the way
        return []
    if work.actor_id != sender.id:
        return []
    return _remove_work(db, sender, work, now)


def _remove_work(db: Connection, sender: Actor, work: Work, now: int) -> list[str]:
    """Who has the work from a boost of ours hears no Delete of its author, who does not know them: the boost is taken back."""
    for booster_id, uri in reactions.local_boosts(db, work.id):
        booster = actors.actor_by_id(db, booster_id)
        if booster is not None:
            tell_unboost(db, booster, work, sender, uri, now)
    return works.remove_work(db, work, sender.uri, now)[0]


def _remove_some(db: Connection, sender: Actor, now: int) -> tuple[int, list[str]]:
    """(how many works were removed, names of files that are unused now)."""
    actors.change_actor(db, sender.id, gone=True)
    follows.drop_follows_of(db, sender.id)
    names: list[str] = []
    found = works.works_of(db, sender.id, sender.id, limit=BATCH)
    for shown in found:
        names += _remove_work(db, sender, shown.work, now)
    return len(found), names
