"""Like, and EmojiReact, which is a like with a face (FEP-c0e0)."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.parsers import fields
from fediart.activitypub.parsers.emojis import emoji_name, parse_emojis
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.notifications import NotificationKind
from fediart.ids import new_id
from fediart.inbox.outcome import NOTHING, Done, left
from fediart.instance import Instance
from fediart.remote.bring_home import keep_emojis
from fediart.storage import notifications, reactions, works
from fediart.text.sanitise import clean_name

MAX_FACE = 66
"""The longest name of an emoji, and its colons."""


def handle_like(db: Connection, _instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int) -> Done:
    work = works.work_by_uri(db, activity.object_uri or "")
    if work is None or not works.may_see(db, work.id, sender.id):
        return left("what it likes is not here, or not for its sender")
    # Its Undo came first. Once only: the id may be used again.
    if works.take_tombstone(db, activity.uri, sender.uri):
        return left("it was taken back already")
    face = clean_name(
        fields.text(activity.raw.get("content"), 200) or fields.text(activity.raw.get("_misskey_reaction"), 200), MAX_FACE
    )
    if face.startswith(":") and (name := emoji_name(face)):
        face = f":{name}:"
    if reactions.put_reaction(db, "like", id_=new_id(now), actor_id=sender.id, work_id=work.id, uri=activity.uri, face=face):
        emojis = [emoji for emoji in parse_emojis(activity.raw.get("tag")) if face == f":{emoji.name}:"]
        is_coming = keep_emojis(db, sender, emojis, now)
        notifications.notify(
            db, id_=new_id(now), actor_id=work.actor_id, kind=NotificationKind.LIKE, from_actor_id=sender.id, work_id=work.id
        )
        return Done(wake=("bring_image",)) if is_coming else NOTHING
    return NOTHING
