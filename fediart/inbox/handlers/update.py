"""Update: somebody changed a post or their profile."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.parsers.actor import KINDS
from fediart.activitypub.vocabulary import ParsedActivity, ParsedNote
from fediart.domain.actors import Actor
from fediart.inbox.handlers.create import noted
from fediart.inbox.handlers.keep_note import change_note
from fediart.instance import Instance
from fediart.remote.bring_home import bring_actor
from fediart.storage import works


async def handle_update(instance: Instance, sender: Actor, activity: ParsedActivity) -> None:
    kind = activity.object.get("type") if activity.object else None
    if activity.object_uri == sender.uri or kind in KINDS:
        # Asked of its server, so that only what it says now counts.
        await bring_actor(instance.seeker, sender.uri, refresh=True)
        return
    note = await noted(instance, sender, activity)
    await instance.storage.write(_change, sender, note, instance.clock())


def _change(db: Connection, sender: Actor, note: ParsedNote, now: int) -> None:
    work = works.work_by_uri(db, note.uri)
    if work is None or work.actor_id != sender.id:
        return
    if work.edited_at is not None and note.updated_ms is not None and note.updated_ms < work.edited_at:
        return  # an older edit that came late
    change_note(db, work, sender, note, now)
