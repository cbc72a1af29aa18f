"""Update: somebody changed a post or their profile."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.parsers.actor import KINDS
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.errors import ParseError
from fediart.inbox.forward import forward_answer
from fediart.inbox.handlers.keep_note import ReadNote, change_note, fetch_note
from fediart.inbox.outcome import NOTHING, Done, Later, left
from fediart.instance import Instance
from fediart.remote.bring_home import bring_actor
from fediart.storage import works


def handle_update(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, read: ReadNote | None, now: int
) -> Done | Later:
    kind = activity.object.get("type") if activity.object else None
    if activity.object_uri == sender.uri or kind in KINDS:
        return partial(_refresh, instance, sender)
    if activity.object_uri is None or works.work_by_uri(db, activity.object_uri) is None:
        return left("what it changes is not here")
    if read is None:
        return partial(_fetch_first, instance, sender, activity)
    return _change(db, instance, sender, activity, read, now)


async def _refresh(instance: Instance, sender: Actor) -> Done:
    """A profile is asked of its server, so that only what it says now counts."""
    await bring_actor(instance.seeker, sender.uri, refresh=True)
    return NOTHING


async def _fetch_first(instance: Instance, sender: Actor, activity: ParsedActivity) -> Done:
    read = await fetch_note(instance, activity)
    return await instance.storage.write(_change, instance, sender, activity, read, instance.clock())


def _change(db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, read: ReadNote, now: int) -> Done:
    note = read.note
    if note.attributed_to != sender.uri:
        raise ParseError("This post is by somebody else.")
    work = works.work_by_uri(db, note.uri)
    if work is None or work.actor_id != sender.id:
        return left("what it changes is not here, or somebody else's")
    if work.edited_at is not None and note.updated_ms is not None and note.updated_ms < work.edited_at:
        return left("an older edit that came late")
    unused = change_note(db, instance.policy, work, sender, read, now)
    changed = works.work_by_id(db, work.id)
    crews = forward_answer(db, instance.identifiers, sender, activity, changed, now) if changed is not None else ()
    return Done(wake=(*crews, "bring_image"), discard=tuple(unused))
