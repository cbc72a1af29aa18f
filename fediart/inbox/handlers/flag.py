"""Flag: another server passes on a report of somebody here, and perhaps of works. It becomes a row for the moderators."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.parsers import fields
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.moderation import MAX_COMMENT, MAX_REPORTED, Report, ReportCategory
from fediart.domain.works import WorkState
from fediart.ids import new_id
from fediart.inbox.outcome import NOTHING, Done, left
from fediart.instance import Instance
from fediart.storage import actors, reports, works
from fediart.text.sanitise import plain_text


def handle_flag(db: Connection, _instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int) -> Done:
    """Objects may be whole or bare ids, of the actor, of works, or of both. What is not of one person here is left out."""
    uris = [uri for item in fields.listed(activity.raw.get("object"), MAX_REPORTED) if (uri := fields.uri(item)) is not None]
    named = [actor for actor in actors.actors_by_uri(db, uris).values() if actor.is_local and actor.kind == "Person"]
    found = [work for uri in uris if (work := works.work_by_uri(db, uri)) is not None and work.state == WorkState.PUBLISHED]
    target_id = named[0].id if named else next((work.actor_id for work in found), None)
    target = actors.actor_by_id(db, target_id) if target_id is not None else None
    if target is None or not target.is_local:
        return left("it reports nobody of this server")
    theirs = list(dict.fromkeys(work.id for work in found if work.actor_id == target.id))
    room = reports.room_for(db, sender)
    kept = theirs[:room]
    missed = max(1, len(theirs)) if room == 0 else len(theirs) - len(kept)
    if missed:
        reports.add_overflow(db, sender.host, missed, now)
    if room == 0:
        return left("more is reported from there than may wait for moderators at a time")
    report = Report(
        id=new_id(now),
        reporter_id=sender.id,
        actor_id=target.id,
        category=ReportCategory.OTHER,
        comment=plain_text(fields.text(activity.raw.get("content"), 8 * MAX_COMMENT))[:MAX_COMMENT],
        uri=activity.uri,
        forwarded=False,
        state="open",
        created_at=now,
    )
    reports.add_report(db, report, kept)
    return NOTHING
