"""Notes of others become works of ours: read and sanitised, judged whether they concern anybody here, stored, placed."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from fediart.activitypub.addressing import read_visibility
from fediart.activitypub.identifiers import host_of, is_web_uri
from fediart.activitypub.parsers.note import parse_note
from fediart.activitypub.vocabulary import ParsedActivity, ParsedAttachment, ParsedNote
from fediart.domain.actors import Actor
from fediart.domain.notifications import NotificationKind
from fediart.domain.policy import AiPolicy, PostSigns, PostVerdict, RemoteAction, judge_post
from fediart.domain.reservations import reservation_from, reservation_text
from fediart.domain.signals import together
from fediart.domain.works import Mention, Work, WorkState
from fediart.errors import ParseError
from fediart.ids import new_id
from fediart.instance import Instance
from fediart.remote.bring_home import keep_emojis, put_remote_image
from fediart.remote.fetch import fetch_document
from fediart.storage import actors, blocks, follows, images, notifications, verdicts, works
from fediart.text.sanitise import clean_html, clean_name, plain_text
from fediart.timeline.judge import judge_again, tell_rejected
from fediart.timeline.place import place_work

MAX_PICTURES = 16


@dataclass(frozen=True, slots=True)
class ReadNote:
    """A note that was understood and sanitised. `words`: the columns of a work that say what it says."""

    note: ParsedNote
    words: dict[str, Any]
    mentions: tuple[Mention, ...]
    hashtags: tuple[str, ...]
    pictures: tuple[ParsedAttachment, ...]


def read_note(document: dict[str, Any]) -> ReadNote:
    """Pure, and no work for an event loop: sanitising may take some 20 ms. Raises ParseError."""
    note = parse_note(document)
    pictures = tuple(picture for picture in note.attachments if is_web_uri(picture.url))[:MAX_PICTURES]
    # Like a name, a tag could otherwise be made to look like another one.
    hashtags = tuple(tag for word in note.hashtags if (tag := clean_name(word, 100)))
    return ReadNote(note, _words(note), tuple(_mentions(note)), hashtags, pictures)


def read_embedded(activity: ParsedActivity) -> ReadNote | None:
    """The note inside a Create or Update; None when only its id is there, or when it is no note."""
    document = activity.object
    if document is None or "attributedTo" not in document:
        return None
    return read_note(document)


async def fetch_note(instance: Instance, activity: ParsedActivity) -> ReadNote:
    """The note an activity names, from its own server. Raises ParseError, RemoteError."""
    if activity.object_uri is None or instance.identifiers.pretends_local(activity.object_uri):
        raise ParseError("This activity has no object.")
    return read_note(await fetch_document(instance.client, activity.object_uri, instance.sign_as_instance))


def is_for_somebody_here(db: Connection, author: Actor, note: ParsedNote) -> bool:
    """Is somebody here addressed, or does it answer something we have?

    Not who blocks its author, nor a work that its author may not answer.
    """
    named = [actor for actor in actors.actors_by_uri(db, [*note.to, *note.cc]).values() if actor.is_local]
    parent = works.work_by_uri(db, note.in_reply_to) if note.in_reply_to is not None else None
    shut = parent is not None and not works.may_answer(db, parent, author.id)
    for actor in named:
        if shut and parent is not None and actor.id == parent.actor_id:
            continue  # it is addressed only because it was answered
        if not actor.is_suspended and not blocks.are_apart(db, actor.id, author.id):
            return True
    return parent is not None and not shut


_AS_THEY_ARE = frozenset({"Note", "ChatMessage", "Image"})
MAX_BELOW = 32_768
"""Bytes of what stands above and below the words, so that a row stays a row."""


def shown_content(note: ParsedNote) -> str:
    """Sanitised HTML. What is no Note has its title above, as a link to where it can be seen whole; what was attached and is
    no picture stands below, as a link too."""
    link = note.url or note.uri
    body = clean_html(note.content)
    if not body and (note.kind not in _AS_THEY_ARE or not note.in_reply_to):
        title = "" if note.kind not in _AS_THEY_ARE else clean_name(note.name, 500)
        body = _paragraph(title or (plain_text(note.summary)[:2_000] if not _is_warning(note) else ""))
    below = (
        [f"<ul>{''.join(f'<li>{html.escape(clean_name(option, 500))}</li>' for option in note.options)}</ul>"]
        if note.options
        else []
    )
    below += [_paragraph(clean_name(fact, 500)) for fact in note.facts]
    below += [_link(attached.href, clean_name(attached.name, 200)) for attached in note.links if is_web_uri(attached.href)]
    if note.options:
        below.append(_link(link, f"Answer at {host_of(link)}"))
    above = _link(link, clean_name(note.name, 500)) if note.kind not in _AS_THEY_ARE and not note.options else ""
    left = MAX_BELOW - len(above.encode())
    for part in below:
        left -= len(part.encode())
        if left > 0:
            body += part
    return above + body


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>" if text else ""


def _link(href: str, text: str) -> str:
    return f'<p><a href="{html.escape(href)}" rel="nofollow noopener noreferrer">{html.escape(text or href)}</a></p>'


def _is_warning(note: ParsedNote) -> bool:
    """On other servers a summary is a content warning; of an article or an event it is a summary."""
    return note.kind in _AS_THEY_ARE or note.kind == "Question"


def signs_of(author: Actor, read: ReadNote) -> PostSigns:
    """What can be judged of a note as it comes; its pictures are looked into once they have been fetched."""
    tags = tuple(tag.casefold() for tag in read.hashtags)
    return PostSigns(author.host, author.uri, self_label=read.note.self_label, hashtags=tags)


def keep_note(
    db: Connection,
    policy: AiPolicy,
    author: Actor,
    read: ReadNote,
    now: int,
    *,
    is_news: bool = True,
    pictures: int = MAX_PICTURES,
    followers: Sequence[int] | None = None,
) -> Work | None:
    """Store a note and show it to whom it is for.

    None when it was here before, was deleted already, when the policy does not keep it, or its author is suspended, whoever
    brings it (CVE-2026-23961). `is_news`: nobody is notified of what was found and not told. `pictures`: so many are fetched
    now, the others when somebody looks. `followers`: the author's here, where they are known already.
    """
    if author.is_suspended:
        return None
    note = read.note
    signs = signs_of(author, read)
    verdict = judge_post(policy, signs)
    if verdict.action == RemoteAction.REJECT:
        tell_rejected(signs, verdict)
        return None
    published = min(note.published_ms or now, now)
    room = works.room_for(db, note.uri, author.uri, new_id(published))
    if room is None:
        return None
    answered = works.work_by_uri(db, note.in_reply_to) if note.in_reply_to else None
    # Who may not answer a work stands apart from it, for everyone, and its artist hears nothing of it.
    parent = answered if answered is not None and works.may_answer(db, answered, author.id) else None
    work = Work(
        id=room.id,
        uri=note.uri,
        url=note.url or note.uri,
        actor_id=author.id,
        state=WorkState.PUBLISHED,
        visibility=read_visibility(note.to, note.cc, author.followers_uri),
        in_reply_to_uri=note.in_reply_to,
        in_reply_to_id=parent.id if parent else None,
        published_at=published,
        edited_at=None,
        arrived_at=now,
        source="",
        problem="",
        likes=0,
        boosts=0,
        replies=0,
        **verdicts.verdict_values(verdict),
        **read.words,
    )
    mentions = [*read.mentions, *_said_by_name(db, note)]
    works.insert_whole(db, work, to=note.to, cc=note.cc, tags=read.hashtags, mentions=mentions)
    _keep_pictures(db, work, author, list(enumerate(read.pictures)), now, ask_for=pictures)
    keep_emojis(db, author, note.emojis, now)
    if parent is not None:
        works.count_change(db, parent.id, replies=1)
    if room.has_replies:
        works.adopt_replies(db, note.uri, work.id)
    place_work(db, work, author, followers)
    if is_news:
        but = answered.actor_id if answered is not None and parent is None else None
        _notify(db, policy, work, note, mentions, verdict, now, but=but)
    return work


def _words(note: ParsedNote) -> dict[str, Any]:
    warning = clean_name(plain_text(note.summary), 500) if note.summary and _is_warning(note) else ""
    return {
        "content": shown_content(note),
        "warning": warning,
        "sensitive": note.sensitive or bool(warning),
        "language": note.language,
        "reservation": reservation_text(note.reservation),
        "self_label": note.self_label,
        "reply_policy": note.policies.reply,
        "quote_policy": note.policies.quote,
        "like_policy": note.policies.like,
        "boost_policy": note.policies.boost,
    }


def _mentions(note: ParsedNote) -> list[Mention]:
    found = []
    for mention in note.mentions:
        if mention.href is None:
            continue
        name = clean_name(mention.name).removeprefix("@")
        acct = name if "@" in name else f"{name}@{host_of(mention.href)}"
        found.append(Mention(mention.href, acct, mention.href))
    return found


def _said_by_name(db: Connection, note: ParsedNote) -> list[Mention]:
    """Mentions without an address mean whoever of this name the note is addressed to."""
    names = {
        clean_name(mention.name).removeprefix("@").split("@")[0].lower() for mention in note.mentions if mention.href is None
    }
    if not names:
        return []
    addressed = actors.actors_by_uri(db, [*note.to, *note.cc]).values()
    return [
        Mention(actor.uri, f"{actor.username}@{actor.host or host_of(actor.uri)}", actor.url)
        for actor in addressed
        if actor.username.lower() in names
    ]


def _keep_pictures(
    db: Connection,
    work: Work,
    author: Actor,
    placed: Sequence[tuple[int, ParsedAttachment]],
    now: int,
    *,
    ask_for: int = MAX_PICTURES,
) -> None:
    for position, picture in placed:
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
            ask=position < ask_for,
            width=picture.width,
            height=picture.height,
            blurhash=picture.blurhash,
            reservation=reservation_text(picture.reservation),
            focal_x=picture.focal[0] if picture.focal else None,
            focal_y=picture.focal[1] if picture.focal else None,
        )


def _notify(
    db: Connection,
    policy: AiPolicy,
    work: Work,
    note: ParsedNote,
    mentions: Sequence[Mention],
    verdict: PostVerdict,
    now: int,
    *,
    but: int | None,
) -> None:
    """Those here who are mentioned by name hear of it, if it is shown to them in a list; `but`: save this one."""
    hearing = None
    if verdict.action == RemoteAction.FILTER:
        hearing = follows.local_followers(db, work.actor_id) if policy.remote.followed_override else []
    for actor in actors.actors_by_uri(db, [mention.uri for mention in mentions]).values():
        if not actor.is_local or actor.id == but or actor.uri not in (*note.to, *note.cc):
            continue
        if hearing is None or actor.id in hearing:
            notifications.notify(
                db,
                id_=new_id(now),
                actor_id=actor.id,
                kind=NotificationKind.MENTION,
                from_actor_id=work.actor_id,
                work_id=work.id,
            )


def change_note(db: Connection, policy: AiPolicy, work: Work, author: Actor, read: ReadNote, now: int) -> list[str]:
    """An edit: new words and pictures, and so a new verdict. Who it was addressed to stays as it was first said.

    Returns names of files that no row names any more.
    """
    works.change_work(db, work.id, edited_at=min(read.note.updated_ms or now, now), **read.words)
    to, cc = works.addresses_of(db, work.id)
    works.put_surroundings(
        db, work.id, to=to, cc=cc, tags=read.hashtags, mentions=[*read.mentions, *_said_by_name(db, read.note)]
    )
    keep_emojis(db, author, read.note.emojis, now)
    unused = _change_pictures(db, work, author, read, now)
    return unused + judge_again(db, policy, work.id)


def _change_pictures(db: Connection, work: Work, author: Actor, read: ReadNote, now: int) -> list[str]:
    """A picture is the same one when its address is; its description and place may be new."""
    held = {shown.image.remote_url: shown.image for shown in images.images_of_works(db, [work.id]).get(work.id, [])}
    added = []
    for position, picture in enumerate(read.pictures):
        image = held.pop(picture.url, None)
        if image is None:
            added.append((position, picture))
        elif (image.alt, image.position) != (picture.alt, position):
            images.change_image(db, image.id, alt=picture.alt, position=position)
        if image is not None and picture.reservation is not None:
            # What came with its bytes stands beside it: in doubt it stays reserved until they are fetched anew.
            said = together([reservation_from(image.reservation), picture.reservation])
            images.change_image(db, image.id, reservation=reservation_text(said))
    _keep_pictures(db, work, author, added, now)
    return images.drop_images(db, [image.id for image in held.values()])[0]
