"""Notes of others become works of ours: judged whether they concern anybody here, sanitised, stored, placed."""

from __future__ import annotations

import html
from typing import Any

from sqlalchemy import Connection

from fediart.activitypub.addressing import read_visibility
from fediart.activitypub.identifiers import Identifiers, host_of, is_web_uri
from fediart.activitypub.vocabulary import ParsedNote
from fediart.domain.actors import Actor
from fediart.domain.notifications import NotificationKind
from fediart.domain.works import Mention, Work, WorkState
from fediart.ids import new_id
from fediart.remote.bring_home import put_remote_image
from fediart.storage import actors, follows, notifications, works
from fediart.text.sanitise import clean_html, clean_name, plain_text
from fediart.timeline.place import place_work

MAX_PICTURES = 16


def concerns_us(db: Connection, author: Actor, note: ParsedNote) -> bool:
    """Is its author followed from here, is somebody here addressed, or does it answer something we have?"""
    if follows.local_followers(db, author.id):
        return True
    named = actors.actors_by_uri(db, [*note.to, *note.cc])
    if any(actor.is_local for actor in named.values()):
        return True
    return note.in_reply_to is not None and works.work_by_uri(db, note.in_reply_to) is not None


def shown_content(note: ParsedNote) -> str:
    """Sanitised HTML; what is no Note is shown with its title and a link to where it can be seen whole."""
    body = clean_html(note.content)
    if note.kind in ("Note", "Image"):
        return body
    title = html.escape(clean_name(note.name, 500))
    link = html.escape(note.url or note.uri)
    heading = f'<p><a href="{link}" rel="nofollow noopener noreferrer">{title or link}</a></p>'
    return heading + body


def keep_note(db: Connection, ids: Identifiers, author: Actor, note: ParsedNote, now: int) -> Work | None:
    """Store a note and show it to whom it is for. None when it was here before, or was deleted already."""
    if works.work_by_uri(db, note.uri) is not None or works.has_tombstone(db, note.uri, author.uri):
        return None
    published = min(note.published_ms or now, now)
    parent = works.work_by_uri(db, note.in_reply_to) if note.in_reply_to else None
    work_id = new_id(published)
    while works.work_by_id(db, work_id) is not None:
        work_id = new_id(published)
    works.insert_work(
        db,
        {
            "id": work_id,
            "uri": note.uri,
            "url": note.url or note.uri,
            "actor_id": author.id,
            "state": WorkState.PUBLISHED,
            "visibility": read_visibility(note.to, note.cc, author.followers_uri),
            "in_reply_to_uri": note.in_reply_to,
            "in_reply_to_id": parent.id if parent else None,
            "published_at": published,
            "arrived_at": now,
            **_words(note),
        },
        to=note.to,
        cc=note.cc,
        tags=note.hashtags,
        mentions=_mentions(note),
    )
    work = works.work_by_id(db, work_id)
    assert work is not None  # inserted just above
    _keep_pictures(db, work, author, note, now)
    if parent is not None:
        works.count_change(db, parent.id, replies=1)
    works.adopt_replies(db, note.uri, work_id)
    place_work(db, work, author)
    _notify(db, work, note, now)
    return work


def _words(note: ParsedNote) -> dict[str, Any]:
    # On other servers a summary is a content warning; of an article it is a summary.
    warning = plain_text(note.summary)[:500] if note.kind in ("Note", "Question", "Image") else ""
    return {
        "content": shown_content(note),
        "warning": warning,
        "sensitive": note.sensitive or bool(warning),
        "language": note.language,
    }


def _mentions(note: ParsedNote) -> list[Mention]:
    found = []
    for mention in note.mentions:
        name = clean_name(mention.name).removeprefix("@")
        acct = name if "@" in name else f"{name}@{host_of(mention.href)}"
        found.append(Mention(mention.href, acct, mention.href))
    return found


def _keep_pictures(db: Connection, work: Work, author: Actor, note: ParsedNote, now: int) -> None:
    for position, picture in enumerate(note.attachments[:MAX_PICTURES]):
        if not is_web_uri(picture.url):
            continue
        put_remote_image(
            db,
            new_id(now),
            author.id,
            picture.url,
            now=now,
            alt=picture.alt,
            work_id=work.id,
            position=position,
            secret=not work.visibility.is_open,
            width=picture.width,
            height=picture.height,
            blurhash=picture.blurhash,
            focal_x=picture.focal[0] if picture.focal else None,
            focal_y=picture.focal[1] if picture.focal else None,
        )


def _notify(db: Connection, work: Work, note: ParsedNote, now: int) -> None:
    """Those here who are mentioned by name hear of it."""
    for actor in actors.actors_by_uri(db, [mention.href for mention in note.mentions]).values():
        if actor.is_local and actor.uri in (*note.to, *note.cc):
            notifications.notify(
                db,
                id_=new_id(now),
                actor_id=actor.id,
                kind=NotificationKind.MENTION,
                from_actor_id=work.actor_id,
                work_id=work.id,
            )


def change_note(db: Connection, work: Work, author: Actor, note: ParsedNote, now: int) -> None:
    """An edit: new words. Who it was addressed to stays as it was first said."""
    works.change_work(db, work.id, edited_at=min(note.updated_ms or now, now), **_words(note))
    to, cc = works.addresses_of(db, work.id)
    works.put_surroundings(db, work.id, to=to, cc=cc, tags=note.hashtags, mentions=_mentions(note))
