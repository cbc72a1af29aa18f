"""Like, and EmojiReact, which is a like with a face (FEP-c0e0)."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.parsers import fields
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.notifications import NotificationKind
from fediart.ids import new_id
from fediart.inbox.outcome import NOTHING, Done, left
from fediart.instance import Instance
from fediart.storage import notifications, reactions, works
from fediart.text.sanitise import clean_name


def handle_like(db: Connection, _instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int) -> Done:
    work = works.work_by_uri(db, activity.object_uri or "")
    if work is None or not works.may_see(db, work.id, sender.id):
        return left("what it likes is not here, or not for its sender")
    if works.has_tombstone(db, activity.uri, sender.uri):
        return left("it was taken back already")
    face = clean_name(
        fields.text(activity.raw.get("content"), 200) or fields.text(activity.raw.get("_misskey_reaction"), 200), 40
    )
    if reactions.put_reaction(db, "like", id_=new_id(now), actor_id=sender.id, work_id=work.id, uri=activity.uri, face=face):
        notifications.notify(
            db, id_=new_id(now), actor_id=work.actor_id, kind=NotificationKind.LIKE, from_actor_id=sender.id, work_id=work.id
        )
    return NOTHING
