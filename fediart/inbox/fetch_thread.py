"""The talk around a work of another server: what it answers, and what answers it, each asked of its own server."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from fediart.activitypub.addressing import read_visibility
from fediart.activitypub.identifiers import same_host
from fediart.activitypub.parsers import fields
from fediart.domain.moderation import Standing
from fediart.errors import ParseError, RemoteError
from fediart.inbox.handlers.keep_note import ReadNote, keep_note, read_note
from fediart.inbox.trip import Trip, note_refused
from fediart.instance import Instance
from fediart.storage import works

MAX_REQUESTS, MAX_ABOVE, MAX_BELOW, PAGES = 30, 10, 3, 2
"""Requests in all; works above; levels of answers below; pages of each list of answers."""


async def fetch_thread(instance: Instance, work_id: int) -> None:
    """Keep what is open. Nobody is notified."""
    work = await instance.storage.read(works.work_by_id, work_id)
    if work is None:
        return
    trip = Trip(instance, MAX_REQUESTS)
    await _above(instance, trip, work.in_reply_to_uri)
    await _below(instance, trip, work.uri)


async def _above(instance: Instance, trip: Trip, uri: str | None) -> None:
    seen: set[str] = set()
    while uri is not None and uri not in seen and len(seen) < MAX_ABOVE and not trip.is_over:
        seen.add(uri)
        held = await instance.storage.read(works.work_by_uri, uri)
        if held is not None:
            uri = held.in_reply_to_uri
            continue
        try:
            read = await _read(await trip.document(uri))
            if read.note.uri != uri or not await _keep(instance, trip, read):
                return
        except (RemoteError, ParseError) as problem:
            note_refused(uri, problem)
            return
        uri = read.note.in_reply_to


async def _below(instance: Instance, trip: Trip, root: str) -> None:
    waiting: deque[tuple[str, dict[str, Any] | None, int]] = deque([(root, None, 0)])
    seen = {root}
    while waiting and not trip.is_over:
        uri, document, level = waiting.popleft()
        try:
            document = document or await trip.document(uri)
            if document.get("id") != uri:
                raise ParseError("This is not what was asked for.")
        except (RemoteError, ParseError) as problem:
            note_refused(uri, problem)
            continue
        if level == 0 and await _conversation(instance, trip, root, document.get("context")):
            return
        for page, item in await trip.items(document.get("replies"), uri, pages=PAGES):
            answer = fields.uri(item)
            if answer is None or answer in seen or trip.is_over or instance.identifiers.pretends_local(answer):
                continue
            seen.add(answer)
            try:
                inline = isinstance(item, dict) and "attributedTo" in item and same_host(page, answer)
                found: dict[str, Any] = item if inline else await trip.document(answer)
                read = await _read(found)
                if read.note.in_reply_to != uri or not await _keep(instance, trip, read):
                    continue
                answer = read.note.uri
                seen.add(answer)
            except (RemoteError, ParseError) as problem:
                note_refused(answer, problem)
                continue
            if level + 1 < MAX_BELOW:
                waiting.append((answer, found, level + 1))


async def _conversation(instance: Instance, trip: Trip, root: str, context: Any) -> bool:
    """The whole talk, where the work's own server lists it (FEP-f228). False when it does not: then each is asked for answers.

    What is listed is kept only where it answers something that is here: a list is oldest first.
    """
    if fields.uri(context) is None:
        return False
    listed = await trip.items(fields.uri(context), root, pages=PAGES)
    for page, item in listed:
        uri = fields.uri(item)
        if uri is None or trip.is_over or instance.identifiers.pretends_local(uri):
            continue
        if await instance.storage.read(works.work_by_uri, uri) is not None:
            continue
        try:
            inline = isinstance(item, dict) and "attributedTo" in item and same_host(page, uri)
            read = await _read(item if inline else await trip.document(uri))
            answered = read.note.in_reply_to
            if answered is not None and await instance.storage.read(works.work_by_uri, answered) is not None:
                await _keep(instance, trip, read)
        except (RemoteError, ParseError) as problem:
            note_refused(uri, problem)
    return any(fields.uri(item) not in (None, root) for _, item in listed)


async def _read(document: dict[str, Any]) -> ReadNote:
    return await asyncio.to_thread(read_note, document)


async def _keep(instance: Instance, trip: Trip, read: ReadNote) -> bool:
    """False when it is not for everybody, or not kept by the policy."""
    note = read.note
    if await instance.storage.read(works.work_by_uri, note.uri) is not None:
        return True
    if note.name and not note.content and note.in_reply_to:
        return False  # a vote in a poll
    author = await trip.actor(note.attributed_to)
    if (
        author.is_local
        or author.standing == Standing.SUSPENDED
        or not read_visibility(note.to, note.cc, author.followers_uri).is_open
    ):
        return False
    kept = await instance.storage.write(keep_note, instance.policy, author, read, instance.clock(), is_news=False)
    instance.wake("bring_image")
    return kept is not None
