"""An artist and this server's own actor, inside what the strictest decoders of other servers accept.

Both say under which handle they are found (FEP-2c59).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fediart.activitypub.builders.note import RightsToBuild, rights_fields
from fediart.activitypub.identifiers import Identifiers
from fediart.activitypub.vocabulary import ACTOR_CONTEXT
from fediart.clock import to_iso
from fediart.domain.actors import Multikey

_DAY = 86_400_000

ABOUT_AN_ARTIST = ("usageInfo", "acquireLicensePage", "tdmReservation", "tdmPolicy", "contentUsage", "xRobotsTag")
"""Of rights what an actor's document says: what holds where a work says nothing else."""


IMPLEMENTS = ({"href": "https://datatracker.ietf.org/doc/html/rfc9421", "name": "RFC-9421: HTTP Message Signatures"},)
"""What nobody can see by looking at documents, and has a name in the registry of FEP-844e."""


@dataclass(frozen=True, slots=True)
class ActorToBuild:
    """`icon` and `image` are (address, media type, description), or None."""

    username: str
    name: str
    summary: str
    fields: tuple[tuple[str, str], ...]
    public_key_pem: str
    locked: bool
    published_ms: int
    icon: tuple[str, str, str] | None
    image: tuple[str, str, str] | None
    rights: RightsToBuild | None = None
    also_known_as: tuple[str, ...] = ()
    moved_to: str | None = None
    multikeys: tuple[Multikey, ...] = ()


def _multikeys(uri: str, keys: Sequence[Multikey]) -> list[dict[str, str]]:
    """FEP-521a. In `publicKey` no second key may stand: many servers read one object there."""
    return [{"id": held.id, "type": "Multikey", "controller": uri, "publicKeyMultibase": held.key} for held in keys]


def _key(uri: str, pem: str) -> dict[str, str]:
    return {"id": f"{uri}#main-key", "owner": uri, "publicKeyPem": pem}


def _picture(picture: tuple[str, str, str]) -> dict[str, str]:
    url, media_type, alt = picture
    return {"type": "Image", "mediaType": media_type, "url": url, "summary": alt}


def build_actor(ids: Identifiers, actor: ActorToBuild) -> dict[str, Any]:
    uri = ids.actor_uri(actor.username)
    document: dict[str, Any] = {
        "@context": ACTOR_CONTEXT,
        "id": uri,
        "type": "Person",
        "preferredUsername": actor.username,
        "webfinger": f"{actor.username}@{ids.account_domain}",
        "name": actor.name or actor.username,
        "summary": actor.summary,
        "url": ids.profile_url(actor.username),
        "inbox": ids.inbox(actor.username),
        "outbox": ids.outbox(actor.username),
        "followers": ids.followers(actor.username),
        "following": ids.following(actor.username),
        "featured": ids.featured(actor.username),
        "endpoints": {"sharedInbox": ids.shared_inbox},
        "manuallyApprovesFollowers": actor.locked,
        "discoverable": True,
        # Not for search in full text (FEP-5feb).
        "indexable": False,
        # The day only: to the millisecond it would say when somebody sat at the machine.
        "published": to_iso(actor.published_ms - actor.published_ms % _DAY),
        "publicKey": _key(uri, actor.public_key_pem),
        "assertionMethod": _multikeys(uri, actor.multikeys),
        "alsoKnownAs": list(actor.also_known_as),
        "attachment": [{"type": "PropertyValue", "name": name, "value": value} for name, value in actor.fields],
        "tag": [],
        "generator": {"type": "Application", "id": ids.instance_actor_uri, "implements": list(IMPLEMENTS)},
    }
    if actor.rights is not None:
        said = rights_fields(actor.rights)
        document |= {name: said[name] for name in ABOUT_AN_ARTIST if name in said}
    if actor.moved_to is not None:
        document["movedTo"] = actor.moved_to
    if actor.icon:
        document["icon"] = _picture(actor.icon)
    if actor.image:
        document["image"] = _picture(actor.image)
    return document


OF_A_KEY = ("@context", "id", "type", "preferredUsername", "inbox", "outbox", "publicKey", "assertionMethod")


def only_keys(document: dict[str, Any]) -> dict[str, Any]:
    """Of an artist's document what it takes to check a signature, and no word of who they are."""
    return {name: document[name] for name in OF_A_KEY if name in document}


def build_instance_actor(ids: Identifiers, public_key_pem: str, multikeys: Sequence[Multikey]) -> dict[str, Any]:
    uri = ids.instance_actor_uri
    return {
        "@context": ACTOR_CONTEXT,
        "id": uri,
        "type": "Application",
        "preferredUsername": ids.instance_username,
        "webfinger": f"{ids.instance_username}@{ids.account_domain}",
        "name": ids.instance_username,
        "url": ids.about_url,
        "inbox": ids.instance_inbox,
        "outbox": ids.instance_outbox,
        "endpoints": {"sharedInbox": ids.shared_inbox},
        "manuallyApprovesFollowers": True,
        "publicKey": _key(uri, public_key_pem),
        "assertionMethod": _multikeys(uri, multikeys),
        "implements": list(IMPLEMENTS),
    }
