"""A work as a Note with Image attachments: the shape that every receiver read shows with its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fediart.activitypub.identifiers import Identifiers
from fediart.activitypub.vocabulary import NOTE_CONTEXT
from fediart.clock import to_iso


@dataclass(frozen=True, slots=True)
class RightsToBuild:
    """Addresses and words; what is None or empty is not said. `content_usage` is AIPREF's, `x_robots_tag` that header's value."""

    license: str
    usage_info: str
    acquire_license_page: str
    copyright_notice: str
    credit_text: str
    digital_source_type: str | None
    tdm_reservation: int | None
    tdm_policy: str | None
    content_usage: str
    x_robots_tag: str


@dataclass(frozen=True, slots=True)
class ImageToBuild:
    """`cloaked`: only where its artist has it told."""

    url: str
    media_type: str
    alt: str
    width: int
    height: int
    blurhash: str | None
    focal: tuple[float, float] | None
    cloaked: bool = False


@dataclass(frozen=True, slots=True)
class MentionToBuild:
    uri: str
    acct: str


@dataclass(frozen=True, slots=True)
class NoteToBuild:
    """`label`: the name of one of our labels and what it says, where the artist said how the work was made."""

    uri: str
    url: str
    username: str
    content: str
    warning: str
    sensitive: bool
    language: str | None
    published_ms: int
    updated_ms: int | None
    in_reply_to: str | None
    to: tuple[str, ...]
    cc: tuple[str, ...]
    images: tuple[ImageToBuild, ...]
    mentions: tuple[MentionToBuild, ...]
    hashtags: tuple[str, ...]
    likes: int
    boosts: int
    answers: int = 0
    context: str | None = None
    """The collection of the conversation it belongs to (FEP-7888, FEP-f228), where that is ours."""
    rights: RightsToBuild | None = None
    label: tuple[str, str] | None = None
    may_reply: tuple[str, ...] = ()
    """Who may answer: actors and collections; empty: everyone."""
    may_quote: tuple[str, ...] = ()
    """Who may quote, besides its author: actors and collections; empty: nobody."""


AI_HASHTAG = "AIGenerated"
"""On what was made with AI: filters of today's servers know hashtags, and no labels."""


def rights_fields(rights: RightsToBuild) -> dict[str, Any]:
    said = {
        "license": rights.license,
        "usageInfo": rights.usage_info,
        "acquireLicensePage": rights.acquire_license_page,
        "copyrightNotice": rights.copyright_notice or None,
        "creditText": rights.credit_text,
        "digitalSourceType": rights.digital_source_type,
        "tdmReservation": rights.tdm_reservation,
        "tdmPolicy": rights.tdm_policy,
        "contentUsage": rights.content_usage,
        "xRobotsTag": rights.x_robots_tag or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _labels(ids: Identifiers, note: NoteToBuild) -> list[dict[str, str]]:
    """What its artist says of how it was made (FEP-4c96)."""
    if note.label is None:
        return []
    name, words = note.label
    said = [{"type": "Label", "href": ids.label_url(name), "name": words}]
    if name == "ai-generated" and AI_HASHTAG.lower() not in note.hashtags:
        said.append({"type": "Hashtag", "href": ids.tag_url(AI_HASHTAG.lower()), "name": f"#{AI_HASHTAG}"})
    return said


def _image(image: ImageToBuild, rights: RightsToBuild | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": "Image",
        "mediaType": image.media_type,
        "url": image.url,
        "name": image.alt,
        "width": image.width,
        "height": image.height,
    }
    if image.blurhash:
        document["blurhash"] = image.blurhash
    if image.focal:
        document["focalPoint"] = list(image.focal)
    if rights is not None:
        document |= rights_fields(rights)
    if image.cloaked:
        document["cloaked"] = True
    return document


def build_note(ids: Identifiers, note: NoteToBuild) -> dict[str, Any]:
    author = ids.actor_uri(note.username)
    tags: list[dict[str, str]] = [{"type": "Mention", "href": m.uri, "name": f"@{m.acct}"} for m in note.mentions]
    tags += [{"type": "Hashtag", "href": ids.tag_url(tag), "name": f"#{tag}"} for tag in note.hashtags]
    tags += _labels(ids, note)
    document: dict[str, Any] = {
        "@context": NOTE_CONTEXT,
        "id": note.uri,
        "type": "Note",
        "attributedTo": author,
        "url": note.url,
        "published": to_iso(note.published_ms),
        "to": list(note.to),
        "cc": list(note.cc),
        "summary": note.warning or None,
        "sensitive": note.sensitive,
        "content": note.content,
        "inReplyTo": note.in_reply_to,
        "attachment": [_image(image, note.rights) for image in note.images],
        "tag": tags,
        "replies": {
            "id": f"{note.uri}/replies",
            "type": "Collection",
            "totalItems": note.answers,
            "first": f"{note.uri}/replies?page=true",
        },
        "likes": {"id": f"{note.uri}/likes", "type": "Collection", "totalItems": note.likes},
        "shares": {"id": f"{note.uri}/shares", "type": "Collection", "totalItems": note.boosts},
        "interactionPolicy": {
            # Its author alone is how nobody is said (FEP-044f): a missing policy means the same to Mastodon, but says nothing.
            "canQuote": {"automaticApproval": list(note.may_quote) or [author]},
            # Said only where it is not everyone, which is what a missing one means. Whom the work names may answer in any case.
            **({"canReply": {"automaticApproval": list(note.may_reply)}} if note.may_reply else {}),
        },
    }
    if note.context is not None:
        document["context"] = note.context
    if note.language:
        document["contentMap"] = {note.language: note.content}
    if note.rights is not None:
        document |= rights_fields(note.rights)
    if note.updated_ms:
        document["updated"] = to_iso(note.updated_ms)
    return document
