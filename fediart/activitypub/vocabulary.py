"""Words of the language, and documents from elsewhere once they have been understood. No I/O in this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

AS = "https://www.w3.org/ns/activitystreams"
AS_PUBLIC = f"{AS}#Public"
AP_TYPE = "application/activity+json"
AP_ACCEPT = f'{AP_TYPE}, application/ld+json; profile="{AS}"'

NOTE_CONTEXT: list[Any] = [
    AS,
    {
        "sensitive": "as:sensitive",
        "Hashtag": "as:Hashtag",
        "toot": "http://joinmastodon.org/ns#",
        "blurhash": "toot:blurhash",
        "focalPoint": {"@container": "@list", "@id": "toot:focalPoint"},
        "gts": "https://gotosocial.org/ns#",
        "interactionPolicy": {"@id": "gts:interactionPolicy", "@type": "@id"},
        "canQuote": {"@id": "gts:canQuote", "@type": "@id"},
        "automaticApproval": {"@id": "gts:automaticApproval", "@type": "@id"},
    },
]

ACTOR_CONTEXT: list[Any] = [
    AS,
    "https://w3id.org/security/v1",
    {
        "manuallyApprovesFollowers": "as:manuallyApprovesFollowers",
        "toot": "http://joinmastodon.org/ns#",
        "featured": {"@id": "toot:featured", "@type": "@id"},
        "alsoKnownAs": {"@id": "as:alsoKnownAs", "@type": "@id"},
        "discoverable": "toot:discoverable",
        "indexable": "toot:indexable",
        "schema": "http://schema.org#",
        "PropertyValue": "schema:PropertyValue",
        "value": "schema:value",
        "Hashtag": "as:Hashtag",
    },
]


@dataclass(frozen=True, slots=True)
class ParsedActor:
    """An actor document of another server. `summary` and the values of `fields` are HTML as it came: not sanitised."""

    uri: str
    kind: str
    username: str
    name: str
    summary: str
    url: str
    inbox: str
    shared_inbox: str | None
    outbox: str | None
    followers: str | None
    following: str | None
    featured: str | None
    public_key_id: str
    public_key_pem: str
    icon_url: str | None
    icon_alt: str
    image_url: str | None
    image_alt: str
    fields: tuple[tuple[str, str], ...]
    locked: bool
    published_ms: int | None


@dataclass(frozen=True, slots=True)
class ParsedAttachment:
    """A picture of a note; `focal` is (x, y), each -1..1.

    What is reserved, of it or else of the whole note: `content_usage` (AIPREF), `tdm_reservation` (None: nothing was said),
    `robots_tag` (directives of X-Robots-Tag).
    """

    url: str
    media_type: str | None
    alt: str
    width: int | None
    height: int | None
    blurhash: str | None
    focal: tuple[float, float] | None
    content_usage: str = ""
    tdm_reservation: bool | None = None
    robots_tag: str = ""


@dataclass(frozen=True, slots=True)
class ParsedMention:
    href: str
    name: str


@dataclass(frozen=True, slots=True)
class ParsedNote:
    """A note-like object of another server. `content` is HTML as it came: not sanitised.

    `self_label`: how its author says it was made, '' or one of `declarations.LABELS`.
    """

    uri: str
    kind: str
    attributed_to: str
    content: str
    name: str
    summary: str
    sensitive: bool
    published_ms: int | None
    updated_ms: int | None
    url: str
    in_reply_to: str | None
    to: tuple[str, ...]
    cc: tuple[str, ...]
    attachments: tuple[ParsedAttachment, ...]
    mentions: tuple[ParsedMention, ...]
    hashtags: tuple[str, ...]
    language: str | None
    self_label: str = ""


@dataclass(frozen=True, slots=True)
class ParsedActivity:
    """A verb said by `actor`. `object` is the embedded document, if one was embedded; `object_uri` its id in any case."""

    uri: str
    type: str
    actor: str
    object_uri: str | None
    object: dict[str, Any] | None
    target: str | None
    to: tuple[str, ...]
    cc: tuple[str, ...]
    published_ms: int | None
    raw: dict[str, Any]
