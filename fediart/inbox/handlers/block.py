"""Block: somebody elsewhere does not want to meet an artist of ours. Kept without telling her."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.inbox.outcome import NOTHING, Done
from fediart.instance import Instance
from fediart.storage import actors, blocks, follows, timelines, works


def handle_block(db: Connection, _instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int) -> Done:
    """Both follows end; from then on nothing of the artist's is addressed to them, and nothing of theirs is shown to her."""
    target = actors.actor_by_uri(db, activity.object_uri or "")
    if target is None or not target.is_local or works.take_tombstone(db, activity.uri, sender.uri):
        return NOTHING
    blocks.put_block(db, sender.id, target.id, uri=activity.uri, now=now)
    follows.drop_follow(db, sender.id, target.id)
    follows.drop_follow(db, target.id, sender.id)
    blocks.forget_between(db, sender.id, target.id)
    timelines.take_author(db, target.id, sender.id)
    return NOTHING
