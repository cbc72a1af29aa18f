"""The table from verb to handler. What stands in it is understood; everything else was answered 202 and left alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from fediart.activitypub.parsers.activity import parse_activity
from fediart.activitypub.parsers.json_document import load_document
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.errors import ParseError
from fediart.inbox.handlers.announce import handle_announce
from fediart.inbox.handlers.answer import handle_accept, handle_reject
from fediart.inbox.handlers.create import handle_create
from fediart.inbox.handlers.delete import handle_delete
from fediart.inbox.handlers.follow import handle_follow
from fediart.inbox.handlers.like import handle_like
from fediart.inbox.handlers.undo import handle_undo
from fediart.inbox.handlers.update import handle_update
from fediart.instance import Instance
from fediart.storage import actors

log = structlog.get_logger("fediart.inbox")

Handler = Callable[[Instance, Actor, ParsedActivity], Awaitable[None]]

HANDLERS: dict[str, Handler] = {
    "Accept": handle_accept,
    "Announce": handle_announce,
    "Create": handle_create,
    "Delete": handle_delete,
    "Follow": handle_follow,
    "Like": handle_like,
    "EmojiReact": handle_like,
    "Reject": handle_reject,
    "Undo": handle_undo,
    "Update": handle_update,
}


async def handle_arrival(instance: Instance, actor_uri: str, body: str) -> None:
    """Do what a received activity asks for. Doing it twice has the effect of once."""
    try:
        activity = parse_activity(load_document(body.encode()))
    except ParseError as problem:
        log.info("arrival.unreadable", reason=problem.message)
        return
    sender = await instance.storage.read(actors.actor_by_uri, actor_uri)
    if sender is None or sender.is_local:
        return
    try:
        await HANDLERS[activity.type](instance, sender, activity)
    except ParseError as problem:
        log.info("arrival.not_understood", kind=activity.type, actor=actor_uri, reason=problem.message)
