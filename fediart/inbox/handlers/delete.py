"""Delete: a post is gone, or a whole account."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.instance import Instance
from fediart.storage import actors, works

BATCH = 200


async def handle_delete(instance: Instance, sender: Actor, activity: ParsedActivity) -> None:
    if activity.object_uri is None or not same_host(activity.object_uri, sender.uri):
        return
    if activity.object_uri == sender.uri:
        instance.signers.forget(sender.uri)
        while names := await instance.storage.write(_remove_some, sender, instance.clock()):
            await _discard(instance, names)
        return
    await _discard(instance, await instance.storage.write(_remove, sender, activity.object_uri, instance.clock()))


def _remove(db: Connection, sender: Actor, uri: str, now: int) -> list[str]:
    work = works.work_by_uri(db, uri)
    if work is None:
        works.put_tombstone(db, uri, sender.uri, now)  # its Create may still be on the way
        return []
    if work.actor_id != sender.id:
        return []
    return works.remove_work(db, work, sender.uri, now)[0]


def _remove_some(db: Connection, sender: Actor, now: int) -> list[str]:
    """Part of an account's works at a time, so that others can write in between. [] when nothing is left."""
    actors.change_actor(db, sender.id, gone=True)
    names: list[str] = []
    found = works.works_of(db, sender.id, sender.id, limit=BATCH)
    for shown in found:
        names += works.remove_work(db, shown.work, sender.uri, now)[0]
    return names or ([""] if found else [])


async def _discard(instance: Instance, names: list[str]) -> None:
    def remove() -> None:
        for name in filter(None, names):
            instance.files.discard(name)

    await asyncio.to_thread(remove)
