"""Words of the language, and documents from elsewhere once they have been understood. No I/O in this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fediart.domain.actors import Multikey
from fediart.domain.reservations import Reservation

AS = "https://www.w3.org/ns/activitystreams"
AS_PUBLIC = f"{AS}#Public"
AP_TYPE = "application/activity+json"
AP_ACCEPT = f'{AP_TYPE}, application/ld+json; profile="{AS}"'

DATA_INTEGRITY = "https://w3id.org/security/data-integrity/v2"
"""The context of integrity proofs (`signatures/integrity`)."""

FEDIART = "urn:uuid:471d6064-35f8-4462-9467-61813ed008c0#"
"""Our own two terms stand under this name, which belongs to no host: see docs/fep-ai-reservation.md."""

RIGHTS_TERMS: dict[str, Any] = {
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    # Not `schema`, which Mastodon binds to another address; there no program finds schema.org's terms.
    "sc": "http://schema.org/",
    "license": {"@id": "sc:license", "@type": "@id"},
    "usageInfo": {"@id": "sc:usageInfo", "@type": "@id"},
    "acquireLicensePage": {"@id": "sc:acquireLicensePage", "@type": "@id"},
    "copyrightNotice": "sc:copyrightNotice",
    "creditText": "sc:creditText",
    "digitalSourceType": {"@id": "sc:digitalSourceType", "@type": "@id"},
    "tdm": "http://www.w3.org/ns/tdmrep#",
    "tdmReservation": {"@id": "tdm:reservation", "@type": "xsd:integer"},
    "tdmPolicy": {"@id": "tdm:policy", "@type": "@id"},
    "xRobotsTag": "https://w3id.org/fep/5e53#xRobotsTag",
    "Label": "https://w3id.org/fep/4c96#Label",
    "fediart": FEDIART,
    "contentUsage": "fediart:contentUsage",
    "cloaked": {"@id": "fediart:cloaked", "@type": "xsd:boolean"},
}

QUOTE_CONTEXT: list[Any] = [
    AS,
    {
        "QuoteRequest": "https://w3id.org/fep/044f#QuoteRequest",
        "QuoteAuthorization": "https://w3id.org/fep/044f#QuoteAuthorization",
        "gts": "https://gotosocial.org/ns#",
        "interactingObject": {"@id": "gts:interactingObject", "@type": "@id"},
        "interactionTarget": {"@id": "gts:interactionTarget", "@type": "@id"},
    },
]

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
        "canReply": {"@id": "gts:canReply", "@type": "@id"},
        "automaticApproval": {"@id": "gts:automaticApproval", "@type": "@id"},
        **RIGHTS_TERMS,
    },
]

ACTOR_CONTEXT: list[Any] = [
    AS,
    "https://w3id.org/security/v1",
    {
        "webfinger": {"@id": "https://purl.archive.org/socialweb/webfinger#webfinger", "@type": "xsd:string"},
        "implements": {"@id": "https://w3id.org/fep/844e#implements", "@type": "@id", "@container": "@set"},
        "manuallyApprovesFollowers": "as:manuallyApprovesFollowers",
        "toot": "http://joinmastodon.org/ns#",
        "featured": {"@id": "toot:featured", "@type": "@id"},
        "alsoKnownAs": {"@id": "as:alsoKnownAs", "@type": "@id"},
        "movedTo": {"@id": "as:movedTo", "@type": "@id"},
        "discoverable": "toot:discoverable",
        "indexable": "toot:indexable",
        "schema": "http://schema.org#",
        "PropertyValue": "schema:PropertyValue",
        "value": "schema:value",
        "Hashtag": "as:Hashtag",
        # Said here and not by naming the contexts of FEP-521a: whoever does not have those would have to fetch them.
        "sec": "https://w3id.org/security#",
        "Multikey": "sec:Multikey",
        "assertionMethod": {"@id": "sec:assertionMethod", "@type": "@id", "@container": "@set"},
        "controller": {"@id": "sec:controller", "@type": "@id"},
        "publicKeyMultibase": {"@id": "sec:publicKeyMultibase", "@type": "sec:multibase"},
        **RIGHTS_TERMS,
    },
]


@dataclass(frozen=True, slots=True)
class ParsedEmoji:
    """`name` without colons, and the address of its picture."""

    name: str
    url: str


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
    also_known_as: tuple[str, ...] = ()
    moved_to: str | None = None
    emojis: tuple[ParsedEmoji, ...] = ()
    multikeys: tuple[Multikey, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedAttachment:
    """A picture of a note; `focal` is (x, y), each -1..1. `reservation`: what it, or its note, reserves; None: nothing."""

    url: str
    media_type: str | None
    alt: str
    width: int | None
    height: int | None
    blurhash: str | None
    focal: tuple[float, float] | None
    reservation: Reservation | None = None


@dataclass(frozen=True, slots=True)
class ParsedMention:
    """`href` None: it is said by name only."""

    href: str | None
    name: str


@dataclass(frozen=True, slots=True)
class ParsedLink:
    """Something attached that is not shown here; `name` '' where it has none."""

    href: str
    name: str


@dataclass(frozen=True, slots=True)
class ParsedPolicies:
    """What a note says of who may do what with it: '' everyone or not said, else "followers" or "nobody".

    `quote` is the other way round: '' not said, which is nobody, else a `works.QuotePolicy`.
    """

    reply: str = ""
    like: str = ""
    boost: str = ""
    quote: str = ""


@dataclass(frozen=True, slots=True)
class ParsedNote:
    """A note-like object of another server. `content` is HTML as it came: not sanitised.

    `self_label`: how its author says it was made, '' or one of `declarations.LABELS`.
    `options`: of a poll. `facts`: of an event, a line of plain text each.
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
    reservation: Reservation | None = None
    self_label: str = ""
    links: tuple[ParsedLink, ...] = ()
    options: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    policies: ParsedPolicies = ParsedPolicies()
    emojis: tuple[ParsedEmoji, ...] = ()


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
    has_proof: bool = False
    """It came with an integrity proof that was verified."""
