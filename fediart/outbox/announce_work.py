"""This server speaks of a local artist's works and profile: Create, Update, Delete, to all who must hear of them.

Each function is an act: it stores the activity and one delivery per inbox in the caller's transaction. Nothing is sent here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection

from fediart.activitypub.builders.activities import build_create, build_delete, build_update
from fediart.activitypub.identifiers import Identifiers, host_of
from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.domain.actors import Actor
from fediart.domain.works import ShownWork, Visibility
from fediart.outbox.documents import actor_document, note_document
from fediart.outbox.prove import proven
from fediart.outbox.rights import policy_now
from fediart.storage import actors, blocks, deliveries, follows, reactions, shown, works
from fediart.storage.talk import talk_of


def say(
    db: Connection,
    document: dict[str, Any],
    *,
    actor_id: int,
    inboxes: Iterable[str],
    now: int,
    work_id: int | None = None,
    for_followers: bool = False,
) -> int:
    """Store an activity of a local actor, proven if it is for everybody, and its deliveries. Returns the activity's id.

    `for_followers`: each server that gets it also hears whom of it we count among the followers.
    """
    return deliveries.say(
        db,
        uri=document["id"],
        actor_id=actor_id,
        body=msgspec.json.encode(proven(db, document, actor_id, now)),
        inboxes=[(inbox, host_of(inbox)) for inbox in inboxes],
        now=now,
        work_id=work_id,
        for_followers=for_followers,
    )


def audience_of(db: Connection, actor: Actor, to: list[str], cc: list[str]) -> list[str]:
    """The remote inboxes that a document with these addresses must reach. None for those with whom one blocks the other."""
    inboxes: dict[str, None] = {}
    everyone = [*to, *cc]
    if actor.followers_uri in everyone or AS_PUBLIC in everyone:
        inboxes.update(dict.fromkeys(follows.inboxes_of_followers(db, actor.id)))
    apart = blocks.apart_from(db, actor.id)
    for named in actors.actors_by_uri(db, everyone).values():
        if named.is_local or named.gone or named.is_suspended or named.id in apart:
            continue
        if (named.shared_inbox or named.inbox) not in inboxes:
            inboxes[named.inbox] = None
    return list(inboxes)


def _told(
    db: Connection, work_id: int, *, also_of_suspended: bool = False
) -> tuple[ShownWork, Actor, list[str], list[str]] | None:
    """None where there is nothing to be said: of whom the moderators suspended this server speaks only to take back."""
    work = works.work_by_id(db, work_id)
    if work is None:
        return None
    seen = shown.work_seen_by(db, work_id, work.actor_id)
    author = actors.actor_by_id(db, work.actor_id)
    if seen is None or author is None or not author.is_local or (author.is_suspended and not also_of_suspended):
        return None
    to, cc = works.addresses_of(db, work_id)
    return seen, author, to, cc


def _say_of_work(db: Connection, document: dict[str, Any], seen: ShownWork, author: Actor, inboxes: list[str], now: int) -> None:
    for_followers = seen.work.visibility == Visibility.FOLLOWERS
    say(db, document, actor_id=author.id, inboxes=inboxes, now=now, work_id=seen.work.id, for_followers=for_followers)


def _and_reached(db: Connection, author: Actor, work_id: int, inboxes: list[str]) -> list[str]:
    """Also those who have the work from others: a boost carries it to servers where nobody follows its artist."""
    return list(dict.fromkeys([*inboxes, *reactions.inboxes_reached(db, work_id, blocks.apart_from(db, author.id))]))


def announce_work(db: Connection, ids: Identifiers, work_id: int, now: int) -> None:
    """Create: a work was published."""
    told = _told(db, work_id)
    if told is None:
        return
    seen, author, to, cc = told
    document = build_create(note_document(ids, seen, policy_now(db), to=to, cc=cc, talk=talk_of(db, seen.work)))
    _say_of_work(db, document, seen, author, audience_of(db, author, to, cc), now)


def announce_edit(db: Connection, ids: Identifiers, work_id: int, now: int) -> None:
    """Update: a published work was changed."""
    told = _told(db, work_id)
    if told is None:
        return
    seen, author, to, cc = told
    document = build_update(note_document(ids, seen, policy_now(db), to=to, cc=cc, talk=talk_of(db, seen.work)), now)
    inboxes = audience_of(db, author, to, cc)
    if seen.work.visibility.is_open:
        inboxes = _and_reached(db, author, work_id, inboxes)
    _say_of_work(db, document, seen, author, inboxes, now)


def announce_removal(db: Connection, ids: Identifiers, work_id: int, now: int) -> None:
    """Delete: to everyone who was told of the work, and where likes, boosts and answers show it. Called before its rows go."""
    told = _told(db, work_id, also_of_suspended=True)
    if told is None:
        return
    seen, author, to, cc = told
    document = build_delete(seen.work.uri, author.uri, to, cc)
    say(db, document, actor_id=author.id, inboxes=_and_reached(db, author, work_id, audience_of(db, author, to, cc)), now=now)


def announce_actor(db: Connection, ids: Identifiers, actor_id: int, now: int) -> None:
    """Update: a local artist's profile changed."""
    seen = actors.shown_actor(db, actor_id)
    if seen is None or seen.actor.is_suspended:
        return
    document = build_update(actor_document(ids, seen, policy_now(db)), now)
    say(db, document, actor_id=actor_id, inboxes=follows.inboxes_of_followers(db, actor_id), now=now)
