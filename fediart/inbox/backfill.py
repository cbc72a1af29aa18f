"""Older works of an actor of another server, from its pinned ones and its outbox: from before anybody here followed.

Bounded, and nobody is notified. A work is kept as soon as it is found, so that it is shown as it comes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Connection

from fediart.activitypub.addressing import read_visibility
from fediart.activitypub.identifiers import same_host
from fediart.activitypub.parsers import fields
from fediart.activitypub.parsers.note import KINDS
from fediart.domain.actors import Actor
from fediart.domain.moderation import Standing
from fediart.domain.policy import AiPolicy
from fediart.errors import ParseError, RemoteError
from fediart.inbox.handlers.keep_note import ReadNote, keep_note, read_note
from fediart.inbox.trip import Trip, note_refused
from fediart.instance import Instance
from fediart.remote.look_further import BACKFILL
from fediart.storage import actors, jobs, works

MAX_REQUESTS, MAX_WORKS, MAX_PICTURES, MAX_PINNED = 30, 40, 20, 10
PAGES_PINNED, PAGES_OUTBOX = 1, 4
LONGEST_QUIET_S = 86_400


async def backfill(instance: Instance, actor_id: int) -> None:
    """Keep what the actor shows to everybody. Answers to others are left out: this is for the wall, not for the talk."""
    actor = await instance.storage.read(actors.actor_by_id, actor_id)
    if actor is None or actor.is_local or actor.gone or actor.standing == Standing.SUSPENDED:
        return
    trip = Trip(instance, MAX_REQUESTS)
    looking = _Looking(instance, trip, actor)
    if actor.featured_uri:
        await looking.keep_all(await trip.items(actor.featured_uri, actor.uri, pages=PAGES_PINNED), most=MAX_PINNED)
    if actor.outbox:
        await looking.keep_all(await trip.items(actor.outbox, actor.uri, pages=PAGES_OUTBOX), most=MAX_WORKS)
    quiet = trip.away.get(actor.host, 0)
    if quiet:
        run_at = instance.clock() + min(quiet, LONGEST_QUIET_S) * 1000
        await instance.storage.write(
            jobs.add_job, BACKFILL, {"actor_id": actor.id}, now=instance.clock(), lane=f"look {actor.host}", run_at=run_at
        )


class _Looking:
    """One look at one actor: how much of it was kept."""

    def __init__(self, instance: Instance, trip: Trip, actor: Actor) -> None:
        self._instance = instance
        self._trip = trip
        self._actor = actor
        self._kept = 0
        self._pictures = MAX_PICTURES

    async def keep_all(self, items: list[tuple[str, Any]], *, most: int) -> None:
        """Until `most` were kept in all."""
        for _, item in items:
            if self._kept >= most:
                return
            try:
                await self._keep(item)
            except (RemoteError, ParseError) as problem:
                note_refused(str(item)[:200], problem)

    async def _keep(self, item: Any) -> None:
        """A document that came inline is believed: it came from the host of its id."""
        uri = self._uri(item)
        if uri is None or not same_host(uri, self._actor.uri):
            return
        held = await self._instance.storage.read(works.work_by_uri, uri)
        if held is not None:
            return
        document = _embedded(item) or await self._found(uri)
        read = await asyncio.to_thread(read_note, document)
        note = read.note
        is_open = read_visibility(note.to, note.cc, self._actor.followers_uri).is_open
        if note.attributed_to != self._actor.uri or not is_open or note.in_reply_to is not None:
            return
        asked = min(self._pictures, len(read.pictures))
        if await self._instance.storage.write(_keep, self._instance.policy, self._actor.id, read, asked, self._instance.clock()):
            self._kept += 1
            self._pictures -= asked
            self._instance.wake("bring_image")

    async def _found(self, uri: str) -> dict[str, Any]:
        """The post at an address, which may be that of its Create."""
        found = await self._trip.document(uri)
        if fields.kind(found.get("type")) != "Create":
            return found
        embedded = _embedded(found)
        if embedded is not None and same_host(str(found["id"]), self._actor.uri):
            return embedded
        named = self._uri(found)
        if named is None or not same_host(named, self._actor.uri):
            raise ParseError("This Create names no post of its actor.")
        return await self._trip.document(named)

    def _uri(self, item: Any) -> str | None:
        """The id of the post; None when it is none, or a boost."""
        if isinstance(item, dict) and fields.kind(item.get("type")) == "Create":
            return fields.uri(item.get("object"))
        if isinstance(item, dict) and fields.kind(item.get("type")) not in KINDS:
            return None
        return fields.uri(item)


def _embedded(item: Any) -> dict[str, Any] | None:
    """The post itself, in a Create or bare."""
    if not isinstance(item, dict):
        return None
    if fields.kind(item.get("type")) == "Create":
        item = fields.first(item.get("object"))
    return item if isinstance(item, dict) and "attributedTo" in item else None


def _keep(db: Connection, policy: AiPolicy, actor_id: int, read: ReadNote, pictures: int, now: int) -> bool:
    actor = actors.actor_by_id(db, actor_id)
    if actor is None or actor.gone or actor.standing == Standing.SUSPENDED:
        return False
    return keep_note(db, policy, actor, read, now, is_news=False, pictures=pictures) is not None
