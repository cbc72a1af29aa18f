"""Announce: somebody boosts a work, ours or another's."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.identifiers import host_of
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.notifications import NotificationKind
from fediart.domain.policy import PostSigns, PostVerdict, RemoteAction, host_action
from fediart.domain.works import Work, WorkState
from fediart.ids import new_id
from fediart.inbox.handlers.keep_note import ReadNote, fetch_note, keep_note
from fediart.inbox.outcome import NOTHING, Done, Later
from fediart.instance import Instance
from fediart.remote.bring_home import bring_actor
from fediart.storage import follows, notifications, reactions, works
from fediart.timeline.judge import tell_rejected
from fediart.timeline.place import place_boost


def handle_announce(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int
) -> Done | Later:
    uri = activity.object_uri
    if uri is None:
        return NOTHING
    work = works.work_by_uri(db, uri)
    if work is not None:
        return _boost(db, sender, activity, work, now)
    if instance.identifiers.pretends_local(uri) or not follows.local_followers(db, sender.id):
        return NOTHING
    if host_action(instance.policy.remote.domains, host_of(uri)) == RemoteAction.REJECT:
        # Nor is it asked for.
        tell_rejected(PostSigns(host_of(uri), ""), PostVerdict(RemoteAction.REJECT, "host"))
        return NOTHING
    return partial(_fetch_first, instance, sender, activity)


async def _fetch_first(instance: Instance, sender: Actor, activity: ParsedActivity) -> Done:
    """What others say of a post does not count: it is asked of its own server."""
    read = await fetch_note(instance, activity)
    author = await bring_actor(instance.seeker, read.note.attributed_to)
    return await instance.storage.write(_keep_and_boost, instance, sender, activity, author, read, instance.clock())


def _keep_and_boost(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, author: Actor, read: ReadNote, now: int
) -> Done:
    keep_note(db, instance.policy, author, read, now)
    work = works.work_by_uri(db, read.note.uri)
    if work is None:
        return NOTHING
    _boost(db, sender, activity, work, now)
    return Done(wake=("bring_image",))


def _boost(db: Connection, sender: Actor, activity: ParsedActivity, work: Work, now: int) -> Done:
    if not _may_boost(work) or not works.may_see(db, work.id, sender.id) or works.has_tombstone(db, activity.uri, sender.uri):
        return NOTHING
    boost_id = new_id(min(activity.published_ms or now, now))
    if not reactions.put_reaction(db, "boost", id_=boost_id, actor_id=sender.id, work_id=work.id, uri=activity.uri):
        return NOTHING
    place_boost(db, boost_id=boost_id, work=work, booster=sender)
    notifications.notify(
        db, id_=new_id(now), actor_id=work.actor_id, kind=NotificationKind.BOOST, from_actor_id=sender.id, work_id=work.id
    )
    return NOTHING


def _may_boost(work: Work) -> bool:
    return work.visibility.is_open and work.state == WorkState.PUBLISHED
