"""Actors of other servers are fetched, understood and kept. What they claim is theirs to claim, or it is dropped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from fediart.activitypub.identifiers import Identifiers, host_of, is_web_uri
from fediart.activitypub.parsers.actor import parse_actor
from fediart.activitypub.vocabulary import ParsedActor, ParsedEmoji
from fediart.activitypub.webfinger import split_handle
from fediart.clock import Clock
from fediart.domain.actors import Actor
from fediart.domain.images import ImageState, Purpose
from fediart.errors import BadAnswer, FediartError, NotFound, ParseError, RemoteError, Unreachable
from fediart.ids import new_id
from fediart.remote.client import RemoteClient, Signer
from fediart.remote.fetch import fetch_document, fetch_webfinger
from fediart.remote.newcomers import Newcomers
from fediart.remote.signers import Signers
from fediart.storage import actors, emojis, files, images, jobs
from fediart.storage.engine import Storage
from fediart.text.sanitise import clean_html, clean_name

log = structlog.get_logger("fediart.remote")

FRESH_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Seeker:
    """What it takes to ask other servers and to keep what they say."""

    storage: Storage
    client: RemoteClient
    identifiers: Identifiers
    sign: Signer
    clock: Clock
    wake: Callable[[str], None]
    signers: Signers
    newcomers: Newcomers


async def fetch_actor(seeker: Seeker, uri: str) -> ParsedActor:
    """The actor at `uri`, as its server says now. Raises RemoteError, ParseError."""
    if seeker.identifiers.pretends_local(uri):
        raise BadAnswer("This address is on our own host.", detail=uri[:200])
    await meet(seeker, host_of(uri))
    return parse_actor(await fetch_document(seeker.client, uri, seeker.sign))


async def meet(seeker: Seeker, host: str) -> None:
    """Raises Unreachable where too many servers under one name are new within a few minutes: ask again later."""
    if not seeker.newcomers.admits(host, seeker.clock()) and not await seeker.storage.read(actors.is_host_known, host):
        raise Unreachable(
            "Many new servers of that name were met just now. Please try again in a few minutes.", detail=host[:200]
        )


async def bring_actor(seeker: Seeker, uri: str, *, refresh: bool = False) -> Actor:
    """The actor with this id, from here or from its server. Raises RemoteError, ParseError."""
    known = await seeker.storage.read(actors.actor_by_uri, uri)
    if known is not None and (known.is_local or (not refresh and known.fetched_at > seeker.clock() - FRESH_MS)):
        return known
    try:
        return await keep_actor(seeker, await fetch_actor(seeker, uri))
    except (RemoteError, ParseError):
        if known is not None and not refresh:
            return known
        raise


async def keep_actor(seeker: Seeker, parsed: ParsedActor) -> Actor:
    """Store or refresh a remote actor and queue its pictures."""
    actor = await seeker.storage.write(_keep, parsed, seeker.clock())
    seeker.signers.put(actor)
    seeker.wake("bring_image")
    return actor


MAX_FIELDS_BYTES = 131_072


def _fields(parsed: ParsedActor) -> str:
    """The lines of a profile, sanitised, as JSON; those that would make its row too long are left out."""
    kept: list[list[str]] = []
    left = MAX_FIELDS_BYTES
    for name, value in parsed.fields:
        pair = [clean_name(name), clean_html(value)]
        left -= sum(len(part.encode()) for part in pair)
        if left < 0:
            break
        kept.append(pair)
    return json.dumps(kept, ensure_ascii=False)


def actor_values(parsed: ParsedActor, now: int) -> dict[str, Any]:
    """The row of a remote actor; everything that will stand in a page is sanitised here."""
    return {
        "uri": parsed.uri,
        "host": host_of(parsed.uri),
        "username": parsed.username,
        "kind": parsed.kind,
        "name": clean_name(parsed.name),
        "summary": clean_html(parsed.summary),
        "fields": _fields(parsed),
        "url": parsed.url,
        "inbox": parsed.inbox,
        "shared_inbox": parsed.shared_inbox,
        "outbox": parsed.outbox,
        "followers_uri": parsed.followers,
        "following_uri": parsed.following,
        "featured_uri": parsed.featured,
        "public_key_id": parsed.public_key_id,
        "public_key_pem": parsed.public_key_pem,
        "multikeys": actors.multikeys_text(parsed.multikeys),
        "locked": parsed.locked,
        "fetched_at": now,
    }


def _keep(db: Connection, parsed: ParsedActor, now: int) -> Actor:
    actor = actors.save_remote_actor(db, new_id(now), actor_values(parsed, now))
    if actor.has_moved and parsed.moved_to is None:
        actors.change_actor(db, actor.id, moved_to=None)  # they took it back
    for purpose, column, url, alt in (
        (Purpose.AVATAR, "avatar_image_id", parsed.icon_url, parsed.icon_alt),
        (Purpose.HEADER, "header_image_id", parsed.image_url, parsed.image_alt),
    ):
        _keep_portrait(db, actor, purpose, column, url, alt, now)
    keep_emojis(db, actor, parsed.emojis, now)
    found = actors.actor_by_id(db, actor.id)
    assert found is not None  # stored just above
    return found


def _keep_portrait(db: Connection, actor: Actor, purpose: Purpose, column: str, url: str | None, alt: str, now: int) -> None:
    held = getattr(actor, column)
    before = images.image_by_id(db, held) if held else None
    if before is not None and before.remote_url == url:
        return
    if url is None:
        actors.change_actor(db, actor.id, **{column: None})
        return
    image_id = new_id(now)
    put_remote_image(db, image_id, actor.id, url, alt=alt, now=now)
    actors.change_actor(db, actor.id, **{column: image_id})


def put_remote_image(
    db: Connection,
    image_id: int,
    actor_id: int,
    url: str,
    *,
    now: int,
    alt: str = "",
    work_id: int | None = None,
    position: int = 0,
    secret: bool = False,
    ask: bool = True,
    purpose: Purpose = Purpose.REMOTE,
    **more: Any,
) -> None:
    """A picture of another server: its row now, its bytes by a job; without `ask` once somebody looks (`studio/use_pictures`)."""
    images.insert_image(
        db,
        {
            "id": image_id,
            "actor_id": actor_id,
            "work_id": work_id,
            "position": position,
            "purpose": purpose,
            "state": ImageState.WAITING if ask else ImageState.EVICTED,
            "alt": alt,
            "cloak": False,
            "secret_names": secret,
            "remote_url": url,
            "used_at": now,
            "created_at": now,
            **more,
        },
    )
    if ask:
        ask_for_picture(db, image_id, url, now)


MAX_EMOJIS_OF_HOST = 5_000
EMOJI_AGAIN_MS = 24 * 3600 * 1000
"""So rarely may a host give one of its emoji another picture."""


def keep_emojis(db: Connection, actor: Actor, found: Sequence[ParsedEmoji], now: int) -> bool:
    """Emoji in words of this actor: one means something only in what comes from the actor's host. Their pictures are fetched.

    True when some are, so that the crew `bring_image` must be woken.
    """
    if actor.is_local or not found:
        return False
    held = emojis.held_emojis(db, actor.host, [emoji.name for emoji in found])
    room = MAX_EMOJIS_OF_HOST - emojis.count_emojis(db, actor.host) if len(held) < len(found) else 0
    asked = False
    for emoji in found:
        before = held.get(emoji.name)
        if before is None and room <= 0:
            continue
        if before is not None and (before[1] == emoji.url or before[2] > now - EMOJI_AGAIN_MS):
            continue
        room -= before is None
        image_id, asked = new_id(now), True
        put_remote_image(db, image_id, actor.id, emoji.url, now=now, alt=f":{emoji.name}:", purpose=Purpose.EMOJI)
        emojis.put_emoji(db, actor.host, emoji.name, image_id, now)
        if before is not None:
            files.retire(db, images.drop_images(db, [before[0]])[0], now)
    return asked


def ask_for_picture(db: Connection, image_id: int, url: str, now: int) -> None:
    """Have the bytes of a picture fetched. The crew `bring_image` must be woken."""
    jobs.add_job(db, "bring_image", {"image_id": image_id}, now=now, lane=f"media {host_of(url)}")


async def bring_handle(seeker: Seeker, handle: str) -> Actor | None:
    """Whom `mira@art.example` (or, here, `mira`) means; None when nobody can be found."""
    try:
        return await find_handle(seeker, handle)
    except FediartError as problem:
        log.info("handle.not_found", handle=handle[:200], reason=problem.message, detail=problem.detail)
        return None


async def find_handle(seeker: Seeker, text: str) -> Actor:
    """The actor a handle or address means. Raises FediartError in words for the person who typed it."""
    text = text.strip()
    if is_web_uri(text):
        local = seeker.identifiers.parse_local(text)
        if local is not None:
            return await _local(seeker, local.username)
        return await bring_actor(seeker, text)
    parts = split_handle(text)
    if parts is None:
        return await _local(seeker, text.removeprefix("@"))
    username, host = parts
    if host in seeker.identifiers.hosts:
        return await _local(seeker, username)
    known = await seeker.storage.read(actors.actor_named, username, host)
    if known is not None and known.fetched_at > seeker.clock() - FRESH_MS:
        return known
    subject, uri = await fetch_webfinger(seeker.client, username, host)
    actor = await bring_actor(seeker, uri)
    # A handle is shown under the host of its actor's id; that host must agree that it is its own.
    if subject.lower().removeprefix("acct:") != f"{username}@{host}".lower() and host_of(uri) != host:
        raise BadAnswer("The other server does not stand by this handle.", detail=f"{text[:200]}: {subject[:200]}")
    return actor


async def _local(seeker: Seeker, username: str) -> Actor:
    actor = await seeker.storage.read(actors.actor_named, username.lower())
    if actor is None or actor.kind != "Person" or actor.gone:
        raise NotFound(f"Nobody here is called {username[:60]}.")
    return actor
