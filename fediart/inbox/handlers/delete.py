"""Delete: a post is gone, or a whole account."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.inbox.outcome import Done, Later, left
from fediart.instance import Instance
from fediart.storage import actors, follows, quotes, works

BATCH = 40


def handle_delete(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int
) -> Done | Later:
    if activity.object_uri is None or not same_host(activity.object_uri, sender.uri):
        return left("what it deletes is on another host")
    if activity.object_uri == sender.uri:
        return partial(_remove_actor, instance, sender)
    return Done(discard=tuple(_remove(db, sender, activity.object_uri, now)))


async def _remove_actor(instance: Instance, sender: Actor) -> Done:
    """Part of an account's works at a time, so that others can write in between."""
    instance.signers.forget(sender.uri)
    names: list[str] = []
    while True:
        found, unused = await instance.storage.write(_remove_some, sender, instance.clock())
        names += unused
        if not found:
            return Done(discard=tuple(names))


def _remove(db: Connection, sender: Actor, uri: str, now: int) -> list[str]:
    work = works.work_by_uri(db, uri)
    quotes.drop_quotes_by(db, uri, sender.id)
    if work is None:
        works.put_tombstone(db, uri, sender.uri, now)  # its Create may still be on the way
        return []
    if work.actor_id != sender.id:
        return []
    return works.remove_work(db, work, sender.uri, now)[0]


def _remove_some(db: Connection, sender: Actor, now: int) -> tuple[int, list[str]]:
    """(how many works were removed, names of files that are unused now)."""
    actors.change_actor(db, sender.id, gone=True)
    follows.drop_follows_of(db, sender.id)
    names: list[str] = []
    found = works.works_of(db, sender.id, sender.id, limit=BATCH)
    for shown in found:
        names += works.remove_work(db, shown.work, sender.uri, now)[0]
    return len(found), names
