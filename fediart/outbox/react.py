"""This server speaks of follows, blocks, reports, likes and boosts. Acts: what they store is sent later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from fediart.activitypub.builders.activities import (
    build_accept,
    build_announce,
    build_block,
    build_flag,
    build_follow,
    build_like,
    build_reject,
    build_undo,
)
from fediart.activitypub.identifiers import Identifiers
from fediart.domain.actors import Actor
from fediart.domain.works import Work
from fediart.ids import new_id
from fediart.outbox.announce_work import say
from fediart.storage import follows


def ask_follow(db: Connection, ids: Identifiers, actor: Actor, target: Actor, follow_uri: str, now: int) -> None:
    document = build_follow(follow_uri, actor.uri, target.uri)
    say(db, document, actor_id=actor.id, inboxes=[target.inbox], now=now)


def end_follow(db: Connection, ids: Identifiers, actor: Actor, target: Actor, follow_uri: str, now: int) -> None:
    undone = build_follow(follow_uri, actor.uri, target.uri)
    say(db, build_undo(f"{follow_uri}/undo/{now}", actor.uri, undone), actor_id=actor.id, inboxes=[target.inbox], now=now)


def answer_follow(
    db: Connection, ids: Identifiers, actor: Actor, follower: Actor, follow: dict[str, Any], now: int, *, accept: bool
) -> None:
    """Accept or Reject, with the Follow as it was received."""
    build = build_accept if accept else build_reject
    document = build(ids.activity_uri(new_id(now)), actor.uri, follow)
    say(db, document, actor_id=actor.id, inboxes=[follower.inbox], now=now)


def tell_block(db: Connection, actor: Actor, target: Actor, uri: str, now: int) -> None:
    say(db, build_block(uri, actor.uri, target.uri), actor_id=actor.id, inboxes=[target.inbox], now=now)


def tell_unblock(db: Connection, actor: Actor, target: Actor, uri: str, now: int) -> None:
    undone = build_block(uri, actor.uri, target.uri)
    say(db, build_undo(f"{uri}/undo/{now}", actor.uri, undone), actor_id=actor.id, inboxes=[target.inbox], now=now)


def tell_flag(
    db: Connection, ids: Identifiers, instance: Actor, target: Actor, works: Sequence[str], words: str, now: int
) -> None:
    """A report goes to the server of who is reported."""
    document = build_flag(ids.activity_uri(new_id(now)), instance.uri, [target.uri, *works], words)
    say(db, document, actor_id=instance.id, inboxes=[target.shared_inbox or target.inbox], now=now)


def tell_like(db: Connection, actor: Actor, work: Work, author: Actor, uri: str, now: int) -> None:
    if not author.is_local:
        say(db, build_like(uri, actor.uri, work.uri), actor_id=actor.id, inboxes=[author.inbox], now=now)


def tell_unlike(db: Connection, actor: Actor, work: Work, author: Actor, uri: str, now: int) -> None:
    if not author.is_local:
        undone = build_like(uri, actor.uri, work.uri)
        say(db, build_undo(f"{uri}/undo", actor.uri, undone), actor_id=actor.id, inboxes=[author.inbox], now=now)


def _boost_inboxes(db: Connection, actor: Actor, author: Actor) -> list[str]:
    inboxes = dict.fromkeys(follows.inboxes_of_followers(db, actor.id))
    if not author.is_local and (author.shared_inbox or author.inbox) not in inboxes:
        inboxes[author.inbox] = None
    return list(inboxes)


def tell_boost(db: Connection, actor: Actor, work: Work, author: Actor, uri: str, now: int) -> None:
    document = build_announce(uri, actor.uri, work.uri, author.uri, actor.followers_uri or "", now)
    say(db, document, actor_id=actor.id, inboxes=_boost_inboxes(db, actor, author), now=now)


def tell_unboost(db: Connection, actor: Actor, work: Work, author: Actor, uri: str, now: int) -> None:
    undone = build_announce(uri, actor.uri, work.uri, author.uri, actor.followers_uri or "", now)
    document = build_undo(f"{uri}/undo", actor.uri, undone)
    say(db, document, actor_id=actor.id, inboxes=_boost_inboxes(db, actor, author), now=now)
