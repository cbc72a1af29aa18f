"""Announce: somebody boosts a work, ours or another's."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.parsers.note import parse_note
from fediart.activitypub.vocabulary import ParsedActivity, ParsedNote
from fediart.domain.actors import Actor
from fediart.domain.notifications import NotificationKind
from fediart.domain.works import Work, WorkState
from fediart.ids import new_id
from fediart.inbox.handlers.keep_note import keep_note
from fediart.instance import Instance
from fediart.remote.bring_home import bring_actor
from fediart.remote.fetch import fetch_document
from fediart.storage import follows, notifications, reactions, works
from fediart.timeline.place import place_boost


async def handle_announce(instance: Instance, sender: Actor, activity: ParsedActivity) -> None:
    uri = activity.object_uri
    if uri is None:
        return
    work = await instance.storage.read(works.work_by_uri, uri)
    author: Actor | None = None
    note: ParsedNote | None = None
    if work is None:
        if instance.identifiers.pretends_local(uri) or not await instance.storage.read(follows.local_followers, sender.id):
            return
        # What others say of a post does not count: it is asked of its own server.
        note = parse_note(await fetch_document(instance.client, uri, instance.sign_as_instance))
        author = await bring_actor(instance.seeker, note.attributed_to)
    await instance.storage.write(_boost, instance, sender, activity, author, note, instance.clock())
    instance.wake("bring_image")


def _boost(
    db: Connection,
    instance: Instance,
    sender: Actor,
    activity: ParsedActivity,
    author: Actor | None,
    note: ParsedNote | None,
    now: int,
) -> None:
    if author is not None and note is not None:
        keep_note(db, instance.identifiers, author, note, now)
    work = works.work_by_uri(db, note.uri if note is not None else activity.object_uri or "")
    if work is None or not _may_boost(work) or works.has_tombstone(db, activity.uri, sender.uri):
        return
    boost_id = new_id(min(activity.published_ms or now, now))
    if not reactions.put_reaction(db, "boost", id_=boost_id, actor_id=sender.id, work_id=work.id, uri=activity.uri):
        return
    place_boost(db, boost_id=boost_id, work=work, booster=sender)
    notifications.notify(
        db, id_=new_id(now), actor_id=work.actor_id, kind=NotificationKind.BOOST, from_actor_id=sender.id, work_id=work.id
    )


def _may_boost(work: Work) -> bool:
    return work.visibility.is_open and work.state == WorkState.PUBLISHED
