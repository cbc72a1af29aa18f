"""What somebody typed or pasted becomes an actor or a work: a handle, an id, or the address of a page."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from fediart.activitypub.addressing import read_visibility
from fediart.activitypub.identifiers import is_web_uri
from fediart.activitypub.parsers import actor as actor_parser
from fediart.activitypub.parsers import fields, note
from fediart.domain.actors import Actor
from fediart.domain.moderation import Standing
from fediart.domain.works import Work
from fediart.errors import BadInput, NotFound
from fediart.inbox.handlers.keep_note import keep_note, read_note
from fediart.instance import Instance
from fediart.remote.bring_home import FRESH_MS, bring_actor, find_handle, keep_actor
from fediart.remote.fetch import find_document
from fediart.storage import actors, works

MAX_WORDS = 2_000


NOT_HERE = "There is nothing here under this address, or it is not for everyone."


async def resolve(instance: Instance, words: str, viewer: int | None) -> Actor | Work:
    """What the actor `viewer` (None: a stranger) may see. Raises FediartError in words for the person who typed it."""
    words = words.strip()
    if not words or len(words) > MAX_WORDS:
        raise BadInput("Type a handle like @mira@art.example, or the address of a profile or a work.")
    if not is_web_uri(words):
        return await find_handle(instance.seeker, words)
    local = instance.identifiers.parse_local(words)
    if local is not None:
        if local.work_id is None:
            return await find_handle(instance.seeker, words)
        return await instance.storage.read(_seen, local.work_id, viewer)
    if instance.identifiers.pretends_local(words):
        raise NotFound(NOT_HERE)
    work = await instance.storage.read(works.work_by_uri, words)
    if work is not None:
        return await instance.storage.read(_seen, work.id, viewer)
    known = await instance.storage.read(actors.actor_by_uri, words)
    if known is not None and known.fetched_at > instance.clock() - FRESH_MS:
        return known
    return await _fetched(instance, words)


def _seen(db: Connection, work_id: int, viewer: int | None) -> Work:
    work = works.work_by_id(db, work_id) if works.may_see(db, work_id, viewer) else None
    if work is None:
        raise NotFound(NOT_HERE)
    return work


async def _fetched(instance: Instance, address: str) -> Actor | Work:
    document = await find_document(instance.client, address, instance.sign_as_instance)
    uri = fields.uri(document.get("id"))
    if uri is None or instance.identifiers.pretends_local(uri):
        raise BadInput("What is at this address is neither a profile nor a work.")
    kind = fields.kind(document.get("type"))
    if kind in actor_parser.KINDS:
        return await keep_actor(instance.seeker, actor_parser.parse_actor(document))
    if kind not in note.KINDS:
        raise BadInput("What is at this address is neither a profile nor a work.")
    read = await asyncio.to_thread(read_note, document)
    author = await bring_actor(instance.seeker, read.note.attributed_to)
    if author.standing == Standing.SUSPENDED or not read_visibility(read.note.to, read.note.cc, author.followers_uri).is_open:
        raise NotFound("This work is not for everyone.")
    await instance.storage.write(keep_note, instance.policy, author, read, instance.clock(), is_news=False)
    instance.wake("bring_image")
    work = await instance.storage.read(works.work_by_uri, read.note.uri)
    if work is None:
        raise NotFound("This work was deleted, or this server does not take it.")
    return work
