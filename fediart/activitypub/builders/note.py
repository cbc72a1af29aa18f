"""A work as a Note with Image attachments: the shape that every receiver read shows with its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fediart.activitypub.identifiers import Identifiers
from fediart.activitypub.vocabulary import NOTE_CONTEXT
from fediart.clock import to_iso


@dataclass(frozen=True, slots=True)
class ImageToBuild:
    url: str
    media_type: str
    alt: str
    width: int
    height: int
    blurhash: str | None
    focal: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class MentionToBuild:
    uri: str
    acct: str


@dataclass(frozen=True, slots=True)
class NoteToBuild:
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


def _image(image: ImageToBuild) -> dict[str, Any]:
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
    return document


def build_note(ids: Identifiers, note: NoteToBuild) -> dict[str, Any]:
    author = ids.actor_uri(note.username)
    tags: list[dict[str, str]] = [{"type": "Mention", "href": m.uri, "name": f"@{m.acct}"} for m in note.mentions]
    tags += [{"type": "Hashtag", "href": ids.tag_url(tag), "name": f"#{tag}"} for tag in note.hashtags]
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
        "attachment": [_image(image) for image in note.images],
        "tag": tags,
        "likes": {"id": f"{note.uri}/likes", "type": "Collection", "totalItems": note.likes},
        "shares": {"id": f"{note.uri}/shares", "type": "Collection", "totalItems": note.boosts},
        # Nobody but the artist may quote: a missing policy means the same to Mastodon, but says nothing.
        "interactionPolicy": {"canQuote": {"automaticApproval": [author]}},
    }
    if note.language:
        document["contentMap"] = {note.language: note.content}
    if note.updated_ms:
        document["updated"] = to_iso(note.updated_ms)
    return document
