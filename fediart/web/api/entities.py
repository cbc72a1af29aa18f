"""Shapes of the Mastodon client API, filled from our nouns. https://docs.joinmastodon.org/entities/"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from fediart.activitypub.identifiers import Identifiers
from fediart.clock import to_iso
from fediart.domain.cloaks import left_in_words
from fediart.domain.emojis import ShownEmoji
from fediart.domain.follows import Relationship
from fediart.domain.images import ImageState, Rendition, ShownImage
from fediart.domain.moderation import Filter, FilterHit, Report, Standing
from fediart.domain.notifications import ShownNotification
from fediart.domain.policy_words import PolicyChange
from fediart.domain.works import Mention, QuotePolicy, ShownActor, ShownWork, Visibility, quote_policy_of
from fediart.outbox.documents import media_url
from fediart.text.compose import typed

TO_API = {
    Visibility.PUBLIC: "public",
    Visibility.UNLISTED: "unlisted",
    Visibility.FOLLOWERS: "private",
    Visibility.MENTIONED: "direct",
}
FROM_API = {name: visibility for visibility, name in TO_API.items()}

_NOTIFICATIONS = {
    "like": "favourite",
    "boost": "reblog",
    "follow": "follow",
    "mention": "mention",
    "request": "follow_request",
    "quote": "quote",
}

_QUOTES_TO_API = {QuotePolicy.EVERYONE: "public", QuotePolicy.FOLLOWERS: "followers", QuotePolicy.NOBODY: "nobody"}
QUOTES_FROM_API = {name: policy for policy, name in _QUOTES_TO_API.items()}


def account(ids: Identifiers, shown: ShownActor) -> dict[str, Any]:
    actor = shown.actor
    avatar = _portrait(ids, shown.avatar, "avatar")
    header = _portrait(ids, shown.header, "header")
    return {
        "id": str(actor.id),
        "username": actor.username,
        "acct": actor.username if actor.is_local else f"{actor.username}@{actor.host}",
        "uri": actor.uri,
        "url": actor.url,
        "display_name": actor.name,
        "note": actor.summary,
        "avatar": avatar,
        "avatar_static": avatar,
        "header": header,
        "header_static": header,
        "locked": actor.locked,
        "bot": actor.kind in ("Service", "Application"),
        "group": actor.kind == "Group",
        "discoverable": True,
        "indexable": False,
        "created_at": to_iso(actor.created_at - actor.created_at % 86_400_000),
        "last_status_at": to_iso(shown.last_work_id >> 16)[:10] if shown.last_work_id else None,
        "statuses_count": shown.works,
        "followers_count": shown.followers,
        "following_count": shown.following,
        "fields": [{"name": name, "value": value, "verified_at": None} for name, value in actor.fields],
        "emojis": emojis(ids, shown.emojis),
        **({"moved": account(ids, shown.moved)} if shown.moved is not None else {}),
        **({"limited": True} if actor.standing == Standing.LIMITED else {}),
        **({"suspended": True} if actor.is_suspended else {}),
    }


def emojis(ids: Identifiers, held: Sequence[ShownEmoji]) -> list[dict[str, Any]]:
    """Those that are here; a client shows the others by their names. https://docs.joinmastodon.org/entities/CustomEmoji/"""
    return [
        {
            "shortcode": emoji.name,
            "url": media_url(ids, emoji.file.name),
            "static_url": media_url(ids, emoji.file.name),
            "visible_in_picker": False,
            "category": None,
        }
        for emoji in held
        if emoji.file is not None
    ]


def own_account(ids: Identifiers, shown: ShownActor, requests: int) -> dict[str, Any]:
    """`requests`: how many ask to follow."""
    fields = [{"name": name, "value": typed(value), "verified_at": None} for name, value in shown.actor.fields]
    return {
        **account(ids, shown),
        "source": {
            "note": shown.actor.summary_source,
            "fields": fields,
            "privacy": "public",
            "sensitive": False,
            "language": None,
            "quote_policy": _QUOTES_TO_API[QuotePolicy((shown.choices and shown.choices.quotes) or QuotePolicy.NOBODY)],
            "follow_requests_count": requests,
        },
    }


def _portrait(ids: Identifiers, shown: ShownImage | None, kind: str) -> str:
    """Until an avatar or header is cloaked, a placeholder of ours."""
    if shown is None or shown.public is None:
        return f"{ids.base_url}/static/{kind}.svg"
    return media_url(ids, (shown.preview or shown.public).name if kind == "avatar" else shown.public.name)


def _size(rendition: Rendition) -> dict[str, Any]:
    return {
        "width": rendition.width,
        "height": rendition.height,
        "size": f"{rendition.width}x{rendition.height}",
        "aspect": rendition.width / rendition.height,
    }


def attachment(ids: Identifiers, shown: ShownImage) -> dict[str, Any]:
    """`url` is null while the picture is not ready."""
    image = shown.image
    is_ready = image.state == ImageState.READY and shown.public is not None
    meta: dict[str, Any] = {}
    if shown.public is not None:
        meta["original"] = _size(shown.public)
    if shown.preview is not None:
        meta["small"] = _size(shown.preview)
    if image.focal_x is not None and image.focal_y is not None:
        meta["focus"] = {"x": image.focal_x, "y": image.focal_y}
    remote = image.remote_url
    return {
        "id": str(image.id),
        "type": "image",
        "url": media_url(ids, shown.public.name) if is_ready and shown.public else remote,
        "preview_url": media_url(ids, shown.preview.name) if is_ready and shown.preview else remote,
        "remote_url": remote,
        "text_url": None,
        "meta": meta,
        "description": image.alt or None,
        "blurhash": image.blurhash,
    }


def on_its_way(shown: Sequence[ShownImage], left: float | None, problem: str = "") -> dict[str, Any]:
    """Not of Mastodon's API: how far pictures of the artist who asks are. `left`: seconds, or None when nobody knows.

    `problem`: why the work is a draft again.
    """
    pictures = [item.image for item in shown]
    undone = [image for image in pictures if image.state != ImageState.READY]
    if not undone:
        state = ImageState.READY
    else:
        telling = (ImageState.FAILED, ImageState.PAUSED, ImageState.CLOAKING)
        state = next((s for s in telling if any(i.state == s for i in undone)), undone[0].state)
    return {
        "state": state,
        "progress": round(sum(image.progress for image in pictures) / max(1, len(pictures)), 3),
        "seconds_left": round(left) if left is not None else None,
        "time_left": left_in_words(left) or None,
        "cloaked": all(image.cloak for image in pictures),
        "weak": any(image.is_weak for image in pictures),
        "problem": problem or None,
    }


def status(ids: Identifiers, shown: ShownWork) -> dict[str, Any]:
    """A boost is a wrapper with its own id round the work."""
    if shown.booster is None:
        return _status(ids, shown)
    inner = _status(ids, shown)
    return {
        **inner,
        "id": str(shown.entry_id),
        "uri": f"{shown.work.uri}#boost-{shown.entry_id}",
        "created_at": to_iso(shown.entry_id >> 16),
        "account": account(ids, shown.booster),
        "content": "",
        "media_attachments": [],
        "mentions": [],
        "tags": [],
        "reblog": inner,
    }


_EVERYWHERE = ["home", "notifications", "public", "thread", "account"]


def _filtered(shown: ShownWork) -> list[dict[str, Any]]:
    """A work whose pictures are behind a click here, as the result of a filter that warns: not as its author's words.

    https://docs.joinmastodon.org/entities/FilterResult/
    """
    if not shown.is_collapsed or shown.label is None:
        return []
    held = {"id": "0", "title": shown.label.words, "context": _EVERYWHERE, "expires_at": None, "filter_action": "warn"}
    return [{"filter": held, "keyword_matches": None, "status_matches": None}]


def _ai_label(ids: Identifiers, shown: ShownWork) -> dict[str, Any]:
    """Not of Mastodon's API: what this server shows under the pictures. Never what it tells to other servers."""
    label = shown.label
    if label is None:
        return {}
    url = f"{ids.base_url}/labels/{label.name}" if label.name else None
    return {"label": {"text": label.words, "name": label.name or None, "url": url, "why": label.why, "shown": shown.showing}}


def _status(ids: Identifiers, shown: ShownWork) -> dict[str, Any]:
    work = shown.work
    return {
        "id": str(work.id),
        "uri": work.uri,
        "url": work.url,
        "created_at": to_iso(work.published_at),
        "edited_at": to_iso(work.edited_at) if work.edited_at else None,
        "account": account(ids, shown.author),
        "content": work.content,
        "visibility": TO_API[work.visibility],
        # Clients that know no filters of the server's hide a picture at least for this.
        "sensitive": work.sensitive or shown.is_collapsed,
        "spoiler_text": work.warning,
        "media_attachments": [attachment(ids, image) for image in shown.images],
        "mentions": [_mention(ids, item) for item in shown.mentions],
        "tags": [{"name": tag, "url": ids.tag_url(tag)} for tag in shown.tags],
        "emojis": emojis(ids, shown.emojis),
        "reblogs_count": work.boosts,
        "favourites_count": work.likes,
        "replies_count": work.replies,
        "in_reply_to_id": str(work.in_reply_to_id) if work.in_reply_to_id else None,
        "in_reply_to_account_id": str(shown.answers_actor_id) if shown.answers_actor_id else None,
        "language": work.language,
        "reblog": None,
        "poll": None,
        "card": None,
        "favourited": shown.liked,
        "reblogged": shown.boosted,
        "muted": False,
        "bookmarked": False,
        "pinned": False,
        "quote": None,
        "quote_approval": _quote_approval(shown),
        "filtered": [*_filtered(shown), *(filtered(hit) for hit in shown.filtered)],
        "fediart": _ai_label(ids, shown),
    }


def _quote_approval(shown: ShownWork) -> dict[str, Any]:
    """Who may quote it. Nobody of this server can: it has no button for that."""
    work = shown.work
    policy = quote_policy_of(work, shown.author.choices if shown.author.actor.is_local else None)
    automatic = [] if policy == QuotePolicy.NOBODY else [_QUOTES_TO_API[policy]]
    return {"automatic": automatic, "manual": [], "current_user": "denied"}


def _mention(ids: Identifiers, held: Mention) -> dict[str, Any]:
    """Of an actor that is not known here the id is 0: clients need one, and find nobody under it."""
    username, _, host = held.acct.partition("@")
    acct = username if host in ids.hosts else held.acct
    return {"id": str(held.actor_id or 0), "username": username, "acct": acct, "url": held.url}


def filter_(held: Filter) -> dict[str, Any]:
    return {
        "id": str(held.id),
        "title": held.title,
        "context": list(held.places),
        "expires_at": to_iso(held.until) if held.until is not None else None,
        "filter_action": held.action,
        "keywords": [{"id": str(word.id), "keyword": word.word, "whole_word": word.whole} for word in held.words],
        "statuses": [],
    }


def filtered(hit: FilterHit) -> dict[str, Any]:
    return {"filter": filter_(hit.filter), "keyword_matches": list(hit.words), "status_matches": []}


def report(ids: Identifiers, held: Report, target: ShownActor, works: Sequence[int]) -> dict[str, Any]:
    return {
        "id": str(held.id),
        "action_taken": False,
        "action_taken_at": None,
        "category": held.category,
        "comment": held.comment,
        "forwarded": held.forwarded,
        "created_at": to_iso(held.created_at),
        "status_ids": [str(work_id) for work_id in works],
        "rule_ids": [],
        "target_account": account(ids, target),
    }


def relationship(held: Relationship) -> dict[str, Any]:
    return {
        "id": str(held.actor_id),
        "following": held.following,
        "requested": held.requested,
        "followed_by": held.followed_by,
        "showing_reblogs": held.showing_boosts,
        "notifying": False,
        "languages": None,
        "blocking": held.blocking,
        "blocked_by": False,
        "muting": held.muting,
        "muting_notifications": held.muting_notifications,
        "requested_by": held.requested_by,
        "domain_blocking": held.host_muted,
        "endorsed": False,
        "note": "",
    }


def notification(ids: Identifiers, shown: ShownNotification) -> dict[str, Any]:
    return {
        "id": str(shown.id),
        "type": _NOTIFICATIONS[shown.kind],
        "created_at": to_iso(shown.id >> 16),
        "account": account(ids, shown.sender),
        # Left out where there is none, as Mastodon does: there are clients that take the key as a promise.
        **({"status": status(ids, shown.work)} if shown.work else {}),
        # Of no standard: what a like was said with, in the word that Pleroma's clients know.
        **({"emoji": shown.face} if shown.face else {}),
        **({"emoji_url": known[0]["url"]} if (known := emojis(ids, shown.emojis)) else {}),
    }


def announcement(ids: Identifiers, change: PolicyChange, *, is_read: bool) -> dict[str, Any]:
    """That the AI-art policy changed: its sentences, and where all of it stands."""
    lines = "".join(f"<br>• {escape(line)}" for line in change.lines)
    page, policy = f"{ids.base_url}/ai-policy/revisions/{change.number}", f"{ids.base_url}/ai-policy"
    links = f'<p><a href="{page}">What changed</a> · <a href="{policy}">The whole policy</a></p>'
    return {
        "id": str(change.number),
        "content": f"<p>The AI-art policy of this server has changed.{lines}</p>{links}",
        "starts_at": None,
        "ends_at": None,
        "all_day": False,
        "published_at": to_iso(change.since),
        "updated_at": to_iso(change.since),
        "read": is_read,
        "mentions": [],
        "statuses": [],
        "tags": [],
        "emojis": [],
        "reactions": [],
    }
