"""An actor of another server."""

from __future__ import annotations

import re
from typing import Any

from fediart.activitypub.identifiers import host_of, same_host
from fediart.activitypub.parsers import fields
from fediart.activitypub.parsers.emojis import parse_emojis
from fediart.activitypub.signatures.keys import load_multikey
from fediart.activitypub.vocabulary import ParsedActor
from fediart.domain.actors import Multikey
from fediart.errors import ParseError

KINDS = frozenset({"Person", "Service", "Application", "Group", "Organization"})
MAX_FIELDS = 50
MAX_KEYS = 10
_USERNAME = re.compile(r"[\w.-]{1,256}", re.ASCII)


def parse_actor(document: dict[str, Any]) -> ParsedActor:
    """Raises ParseError when it is not an actor with a name, an inbox and a key on its own host."""
    uri, kind = fields.uri(document.get("id")), fields.kind(document.get("type"), KINDS)
    if uri is None or kind not in KINDS:
        raise ParseError("This is not an actor.")
    username = fields.text(document.get("preferredUsername"), 256)
    inbox = fields.uri(document.get("inbox"))
    # A server's own actor is called as its host, which may have a port.
    is_name = _USERNAME.fullmatch(username) or username == host_of(uri)
    if not is_name or inbox is None or not same_host(uri, inbox):
        raise ParseError("An actor needs a preferredUsername and an inbox on its own host.")
    key = fields.first(document.get("publicKey"))
    key = key if isinstance(key, dict) else {}
    key_id, pem = fields.uri(key.get("id")), fields.text(key.get("publicKeyPem"), 8_192)
    if key_id is None or not pem or key.get("owner", uri) != uri or not same_host(uri, key_id):
        raise ParseError("An actor needs a publicKey of its own.")
    endpoints = document.get("endpoints")
    shared = fields.uri(endpoints.get("sharedInbox")) if isinstance(endpoints, dict) else None
    icon_url, icon_alt = _picture(document.get("icon"))
    image_url, image_alt = _picture(document.get("image"))
    return ParsedActor(
        uri=uri,
        kind=kind,
        username=username,
        name=fields.named(document, "name", 2_048),
        summary=fields.named(document, "summary", 20_480),
        url=_url(document.get("url")) or uri,
        inbox=inbox,
        shared_inbox=shared if shared is not None and same_host(uri, shared) else None,
        outbox=_own(uri, document.get("outbox")),
        followers=_own(uri, document.get("followers")),
        following=_own(uri, document.get("following")),
        featured=_own(uri, document.get("featured")),
        public_key_id=key_id,
        public_key_pem=pem,
        icon_url=icon_url,
        icon_alt=icon_alt,
        image_url=image_url,
        image_alt=image_alt,
        fields=_profile_fields(document.get("attachment")),
        locked=document.get("manuallyApprovesFollowers") is True,
        published_ms=fields.moment(document.get("published")),
        also_known_as=fields.addresses(document.get("alsoKnownAs")),
        moved_to=fields.uri(document.get("movedTo")),
        emojis=parse_emojis(document.get("tag")),
        multikeys=_multikeys(uri, document.get("assertionMethod")),
    )


def _multikeys(uri: str, value: Any) -> tuple[Multikey, ...]:
    """Ed25519 keys that stand whole in the actor's own document (FEP-521a) and that it controls; others are left out."""
    found: dict[str, Multikey] = {}
    for item in fields.listed(value, MAX_KEYS):
        if not isinstance(item, dict) or fields.kind(item.get("type")) != "Multikey" or item.get("controller") != uri:
            continue
        key_id, text = fields.uri(item), item.get("publicKeyMultibase")
        is_own = key_id is not None and same_host(uri, key_id) and ("#" not in key_id or key_id.split("#")[0] == uri)
        if key_id is None or not is_own or not isinstance(text, str) or load_multikey(text) is None:
            continue
        ends = [fields.moment(item[word]) for word in ("expires", "revoked") if word in item]
        # A time that cannot be read is not taken for none.
        found.setdefault(key_id, Multikey(key_id, text, min((end or 0 for end in ends), default=None)))
    return tuple(found.values())


def _own(uri: str, value: Any) -> str | None:
    found = fields.uri(value)
    return found if found is not None and same_host(uri, found) else None


def _url(value: Any) -> str | None:
    for item in fields.listed(value, 10):
        if (found := fields.uri(item)) is not None:
            return found
    return None


def _picture(value: Any) -> tuple[str | None, str]:
    item = fields.first(value)
    if isinstance(item, dict):
        return _url(item.get("url")), fields.text(item.get("summary"), 10_240) or fields.text(item.get("name"), 10_240)
    return fields.uri(item), ""


def _profile_fields(value: Any) -> tuple[tuple[str, str], ...]:
    found = []
    for item in fields.listed(value, MAX_FIELDS):
        if isinstance(item, dict) and fields.kind(item.get("type")) in ("PropertyValue", "schema:PropertyValue"):
            found.append((fields.text(item.get("name"), 2_047), fields.text(item.get("value"), 2_047)))
    return tuple(found)
