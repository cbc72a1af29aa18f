"""Undo: a follow, block, like or boost is taken back, named whole or by its id."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from fediart.activitypub.parsers import fields
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.notifications import NotificationKind
from fediart.inbox.outcome import NOTHING, Done, left
from fediart.instance import Instance
from fediart.storage import actors, blocks, follows, notifications, reactions, timelines, works


def handle_undo(db: Connection, _instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int) -> Done:
    inner = activity.object or {}
    if fields.uri(inner.get("actor")) not in (None, sender.uri):
        return left("somebody else said what it undoes")
    kind = fields.kind(inner.get("type"))
    if kind and kind not in _UNDO:
        return left("what it undoes was of no account here")
    # Of a bare id nothing tells which of them it was.
    tried = [_UNDO[kind]] if kind else list(dict.fromkeys(_UNDO.values()))
    target = fields.uri(inner.get("object"))
    if not any(undo(db, sender, activity.object_uri, target) for undo in tried) and activity.object_uri is not None:
        works.put_tombstone(db, activity.object_uri, sender.uri, now)  # what it undoes may still be on the way
    return NOTHING


def _unfollow(db: Connection, sender: Actor, uri: str | None, target: str | None) -> bool:
    follow = follows.follow_of_uri(db, uri) if uri else None
    if follow is not None and follow.follower_id == sender.id:
        followee_id = follow.followee_id
    elif target is not None and (followed := actors.actor_by_uri(db, target)) is not None:
        followee_id = followed.id
    else:
        return False
    notifications.drop_notification(db, followee_id, NotificationKind.REQUEST, sender.id)
    return follows.drop_follow(db, sender.id, followee_id)


def _take_back(db: Connection, kind: str, sender: Actor, uri: str | None, target: str | None) -> bool:
    said = reactions.reaction_by_uri(db, kind, uri) if uri else None
    work_id = said.work_id if said is not None and said.actor_id == sender.id else None
    if work_id is None and target is not None and (work := works.work_by_uri(db, target)) is not None:
        work_id = work.id
    row = reactions.drop_reaction(db, kind, sender.id, work_id) if work_id is not None else None
    if row is not None and kind == "boost":
        timelines.take_entry(db, row.id)
    return row is not None


def _unlike(db: Connection, sender: Actor, uri: str | None, target: str | None) -> bool:
    return _take_back(db, "like", sender, uri, target)


def _unboost(db: Connection, sender: Actor, uri: str | None, target: str | None) -> bool:
    return _take_back(db, "boost", sender, uri, target)


def _unblock(db: Connection, sender: Actor, uri: str | None, target: str | None) -> bool:
    if uri is not None and blocks.drop_block_of_uri(db, sender.id, uri):
        return True
    blocked = actors.actor_by_uri(db, target) if target is not None else None
    return blocked is not None and blocks.drop_block(db, sender.id, blocked.id) is not None


_UNDO: dict[str, Callable[[Connection, Actor, str | None, str | None], bool]] = {
    "Follow": _unfollow,
    "Like": _unlike,
    "EmojiReact": _unlike,
    "Announce": _unboost,
    "Block": _unblock,
}
