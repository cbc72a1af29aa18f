"""Announce: somebody boosts a work, ours or another's."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.identifiers import host_of
from fediart.activitypub.parsers import fields
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.notifications import NotificationKind
from fediart.domain.policy import PostSigns, PostVerdict, RemoteAction, host_action
from fediart.domain.works import Work, WorkState
from fediart.ids import new_id
from fediart.inbox.handlers.keep_note import ReadNote, fetch_note, keep_note
from fediart.inbox.outcome import NOTHING, Done, Later, left
from fediart.instance import Instance
from fediart.remote.bring_home import bring_actor
from fediart.storage import follows, notifications, reactions, works
from fediart.timeline.judge import tell_rejected
from fediart.timeline.place import place_boost


def handle_announce(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int
) -> Done | Later:
    activity = _unwrapped(activity)
    uri = activity.object_uri
    if uri is None:
        return left("it passes on what is no post")
    work = works.work_by_uri(db, uri)
    if work is not None:
        return _boost(db, sender, activity, work, now)
    if instance.identifiers.pretends_local(uri):
        return left("what it boosts is not here")
    if not follows.local_followers(db, sender.id):
        return left("it concerns nobody here")
    if host_action(instance.policy.remote.domains, host_of(uri)) == RemoteAction.REJECT:
        # Nor is it asked for.
        tell_rejected(PostSigns(host_of(uri), ""), PostVerdict(RemoteAction.REJECT, "host"))
        return left("the policy keeps nothing of this host")
    return partial(_fetch_first, instance, sender, activity)


def _unwrapped(activity: ParsedActivity) -> ParsedActivity:
    """A group (Lemmy, Mbin, PieFed; FEP-1b12) passes on whole activities: of a Create what was made, of other verbs nothing.

    What was said in it does not count: the post is asked of its own server like any other.
    """
    inner = activity.object or {}
    if _kind_inside(activity) in ("Create", "Update"):
        return replace(activity, object_uri=fields.uri(inner.get("object")), object=None)
    # An activity has an actor; a post has whom it is attributed to.
    return replace(activity, object_uri=None) if "actor" in inner and "attributedTo" not in inner else activity


async def _fetch_first(instance: Instance, sender: Actor, activity: ParsedActivity) -> Done:
    """What others say of a post does not count: it is asked of its own server."""
    read = await fetch_note(instance, activity)
    author = await bring_actor(instance.seeker, read.note.attributed_to)
    return await instance.storage.write(_keep_and_boost, instance, sender, activity, author, read, instance.clock())


def _keep_and_boost(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, author: Actor, read: ReadNote, now: int
) -> Done:
    if _is_passed_on(activity) and read.note.in_reply_to is not None and works.work_by_uri(db, read.note.in_reply_to) is None:
        return left("an answer to what is not here")
    keep_note(db, instance.policy, author, read, now)
    work = works.work_by_uri(db, read.note.uri)
    if work is None:
        return left("it is not to be kept")
    _boost(db, sender, activity, work, now)
    return Done(wake=("bring_image",))


def _boost(db: Connection, sender: Actor, activity: ParsedActivity, work: Work, now: int) -> Done:
    if not _may_boost(work) or not works.may_see(db, work.id, sender.id):
        return left("what it boosts is not for everybody, or not for its sender")
    # Its Undo came first. Once only: the id may be used again.
    if works.take_tombstone(db, activity.uri, sender.uri):
        return left("it was taken back already")
    if _is_passed_on(activity) and work.in_reply_to_uri is not None:
        return NOTHING  # an answer stands in its thread
    boost_id = new_id(min(activity.published_ms or now, now))
    if not reactions.put_reaction(db, "boost", id_=boost_id, actor_id=sender.id, work_id=work.id, uri=activity.uri):
        return left("it was said before")
    place_boost(db, boost_id=boost_id, work=work, booster=sender)
    notifications.notify(
        db, id_=new_id(now), actor_id=work.actor_id, kind=NotificationKind.BOOST, from_actor_id=sender.id, work_id=work.id
    )
    return NOTHING


def _kind_inside(activity: ParsedActivity) -> str:
    inner = fields.first(activity.raw.get("object"))
    return fields.kind(inner.get("type")) if isinstance(inner, dict) else ""


def _is_passed_on(activity: ParsedActivity) -> bool:
    """By a group, whole: that is how it tells of answers too, which are no boosts."""
    return _kind_inside(activity) in ("Create", "Update")


def _may_boost(work: Work) -> bool:
    return work.visibility.is_open and work.state == WorkState.PUBLISHED
