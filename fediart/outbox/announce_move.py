"""This server speaks of an artist who goes on elsewhere, or who is here no more. Acts: what they store is sent later."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fediart.activitypub.builders.activities import build_delete_actor, build_move
from fediart.activitypub.identifiers import Identifiers
from fediart.domain.actors import Actor
from fediart.ids import new_id
from fediart.outbox.announce_work import announce_actor, say
from fediart.storage import follows


def announce_move(db: Connection, ids: Identifiers, actor: Actor, target: Actor, now: int) -> None:
    """Update, then Move: whoever hears of it finds the new address in the actor's document already."""
    announce_actor(db, ids, actor.id, now)
    document = build_move(ids.activity_uri(new_id(now)), actor.uri, target.uri, actor.followers_uri or "")
    say(db, document, actor_id=actor.id, inboxes=follows.inboxes_of_followers(db, actor.id), now=now)


def announce_end(db: Connection, actor: Actor, inboxes: Sequence[str], now: int) -> int:
    """Delete of the actor itself, once in its life. Returns the activity's id."""
    return say(db, build_delete_actor(actor.uri), actor_id=actor.id, inboxes=inboxes, now=now)
