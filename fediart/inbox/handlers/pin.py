"""Add and Remove: somebody says which of their works stand first. Of other collections nothing is kept."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.errors import ParseError
from fediart.inbox.handlers.keep_note import ReadNote, fetch_note, keep_note
from fediart.inbox.outcome import NOTHING, Done, Later, left
from fediart.instance import Instance
from fediart.storage import follows, pins, works


def handle_add(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int
) -> Done | Later:
    if activity.target is None or activity.target != sender.featured_uri or activity.object_uri is None:
        return left("it adds to a collection of which nothing is kept")
    work = works.work_by_uri(db, activity.object_uri)
    if work is not None:
        return _pin(db, sender, work.id, work.actor_id, now)
    if not follows.local_followers(db, sender.id):
        return left("it concerns nobody here")
    return partial(_fetch_first, instance, sender, activity)


async def _fetch_first(instance: Instance, sender: Actor, activity: ParsedActivity) -> Done:
    read = await fetch_note(instance, activity)
    if read.note.attributed_to != sender.uri:
        raise ParseError("This post is by somebody else.")
    return await instance.storage.write(_keep_and_pin, instance, sender, read, instance.clock())


def _keep_and_pin(db: Connection, instance: Instance, sender: Actor, read: ReadNote, now: int) -> Done:
    keep_note(db, instance.policy, sender, read, now)
    work = works.work_by_uri(db, read.note.uri)
    if work is None:
        return left("it is not to be kept")
    _pin(db, sender, work.id, work.actor_id, now)
    return Done(wake=("bring_image",))


def _pin(db: Connection, sender: Actor, work_id: int, author_id: int, now: int) -> Done:
    if author_id != sender.id:
        return left("it pins what somebody else made")
    return NOTHING if pins.pin(db, sender.id, work_id, now) else left("it is pinned already, or too much is")


def handle_remove(db: Connection, _instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, _now: int) -> Done:
    if activity.target is None or activity.target != sender.featured_uri or activity.object_uri is None:
        return left("it removes from a collection of which nothing is kept")
    work = works.work_by_uri(db, activity.object_uri)
    if work is None or not pins.unpin(db, sender.id, work.id):
        return left("it was not pinned here")
    return NOTHING
