"""Create: somebody published something."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.errors import ParseError
from fediart.inbox.forward import forward_answer
from fediart.inbox.handlers.keep_note import ReadNote, fetch_note, is_for_somebody_here, keep_note
from fediart.inbox.outcome import Done, Later, left
from fediart.instance import Instance
from fediart.storage import follows


def handle_create(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, read: ReadNote | None, now: int
) -> Done | Later:
    if read is None:
        return partial(_fetch_first, instance, sender, activity)
    return _keep(db, instance, sender, activity, read, now)


def _keep(db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, read: ReadNote, now: int) -> Done:
    note = read.note
    if note.attributed_to != sender.uri:
        raise ParseError("This post is by somebody else.")
    if note.name and not note.content and note.in_reply_to:
        return left("a vote, and there are no polls of ours")
    followers = follows.local_followers(db, sender.id)
    if not followers and not is_for_somebody_here(db, sender, note):
        return left("it concerns nobody here")
    work = keep_note(db, instance.policy, sender, read, now, followers=followers)
    if work is None:
        return left("it is here already, or not to be kept")
    crews = forward_answer(db, instance.identifiers, sender, activity, work, now)
    return Done(wake=(*crews, "bring_image") if note.attachments or note.emojis else crews)


async def _fetch_first(instance: Instance, sender: Actor, activity: ParsedActivity) -> Done:
    """Only its id was said: it is asked of its own server."""
    read = await fetch_note(instance, activity)
    return await instance.storage.write(_keep, instance, sender, activity, read, instance.clock())
