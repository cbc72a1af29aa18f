"""Whom another server counts among an artist's followers here, and whom this one does, are brought together (FEP-8fcf).

A delivery says it in a signed header, as a digest. Where it differs the list is asked for, and believed only if it is the
one that was said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import Connection

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.parsers import fields
from fediart.activitypub.parsers.collection import KINDS
from fediart.activitypub.signatures.verify import covers
from fediart.activitypub.synchronisation import HEADER, Synchronisation, digest_of, parse_header
from fediart.domain.actors import Actor
from fediart.domain.follows import FollowState
from fediart.errors import ParseError, RemoteError
from fediart.ids import new_id
from fediart.inbox.trip import Trip, note_refused
from fediart.instance import DELIVERY, Instance
from fediart.outbox.react import end_follow
from fediart.storage import actors, follows, jobs, looks, timelines

log = structlog.get_logger("fediart.inbox")

SYNCHRONISE = "synchronise"
PAUSE_MS = 3600 * 1000
MAX_PAGES, MAX_REQUESTS, MAX_UNKNOWN = 10, 12, 100


async def hear_of_followers(instance: Instance, signer: Actor, headers: Mapping[str, str]) -> None:
    """A verified delivery may say who follows its sender from here. Where that is not what we have, a job looks."""
    said = parse_header(headers.get(HEADER, ""))
    if said is None or said.collection != signer.followers_uri or not same_host(said.url, signer.uri):
        return
    if not covers(headers, HEADER):
        return
    held = await instance.storage.read(follows.local_follows_of, signer.id)
    if digest_of(uri for _, uri, state in held if state == FollowState.ACCEPTED) == said.digest:
        return
    if await instance.storage.write(_ask, signer, said, instance.clock()):
        instance.wake(SYNCHRONISE)


def _ask(db: Connection, signer: Actor, said: Synchronisation, now: int) -> bool:
    if not looks.begin_look(db, SYNCHRONISE, signer.id, now=now, pause_ms=PAUSE_MS):
        return False
    payload = {"actor_id": signer.id, "url": said.url, "digest": said.digest}
    jobs.add_job(db, SYNCHRONISE, payload, now=now, lane=f"look {signer.host}")
    return True


async def synchronise(instance: Instance, payload: dict[str, Any]) -> None:
    """Ask for the list and keep to it: who is not on it does not follow; who is, and asked to, does."""
    actor = await instance.storage.read(actors.actor_by_id, payload["actor_id"])
    if actor is None or actor.gone:
        return
    # Whoever begins to follow while the list is on its way is not judged by it.
    held = await instance.storage.read(follows.local_follows_of, actor.id)
    listed = await _listed(instance, actor, payload["url"])
    if listed is None or digest_of(listed) != payload["digest"]:
        log.info("followers.not_as_said", actor=actor.uri, url=payload["url"][:200])
        return
    await instance.storage.write(_keep_to, instance, actor, held, listed, instance.clock())
    instance.wake(DELIVERY)


async def _listed(instance: Instance, actor: Actor, url: str) -> frozenset[str] | None:
    """The addresses on the list; None where it cannot be had."""
    trip = Trip(instance, MAX_REQUESTS)
    try:
        document = await trip.document(url)
    except (RemoteError, ParseError) as problem:
        note_refused(url, problem)
        return None
    items = await trip.items(document, actor.uri, pages=MAX_PAGES)
    found = frozenset(uri for _, item in items if (uri := fields.uri(item)) is not None)
    # An empty list must say that it is one: what could not be read must not end anybody's follow.
    says_nobody = document.get("orderedItems", document.get("items")) == [] or document.get("totalItems") == 0
    is_empty = fields.kind(document.get("type")) in KINDS and says_nobody
    return found if found or is_empty else None


def _keep_to(
    db: Connection, instance: Instance, actor: Actor, held: list[tuple[int, str, str]], listed: frozenset[str], now: int
) -> None:
    for follower_id, uri, state in held:
        if state == FollowState.REQUESTED and uri in listed:
            if follows.accept_follow(db, follower_id, actor.id):
                timelines.fill_from(db, follower_id, actor.id)
        elif state == FollowState.ACCEPTED and uri not in listed and follows.drop_follow(db, follower_id, actor.id):
            timelines.take_author(db, follower_id, actor.id)
            log.info("follow.ghost_dropped", follower=uri, actor=actor.uri)
    known = {uri for _, uri, _ in held}
    for unknown in list(actors.actors_by_uri(db, sorted(listed - known)[:MAX_UNKNOWN]).values()):
        if unknown.is_local and follows.follow_between(db, unknown.id, actor.id) is None:
            end_follow(db, instance.identifiers, unknown, actor, f"{unknown.uri}/follows/{new_id(now)}", now)
