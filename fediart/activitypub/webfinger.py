"""WebFinger: which actor a handle means. https://www.rfc-editor.org/rfc/rfc7033"""

from __future__ import annotations

import re
from typing import Any

from fediart.activitypub.identifiers import Identifiers, is_web_uri
from fediart.activitypub.vocabulary import AP_TYPE, AS
from fediart.errors import ParseError

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_SELF_TYPES = frozenset({AP_TYPE, f'application/ld+json; profile="{AS}"'})


def asked_username(resource: str, ids: Identifiers) -> str | None:
    """The local username a `resource` asks for; None when it is nobody of ours. Raises ParseError when it is no resource.

    Any URI may be asked for, also of a scheme that nobody here has: https://www.rfc-editor.org/rfc/rfc7033#section-4.5
    """
    if resource.startswith("acct:"):
        name, _, host = resource.removeprefix("acct:").removeprefix("@").rpartition("@")
        if not name or not host or "@" in name:
            raise ParseError("A resource looks like acct:name@host.")
        return name.lower() if host.lower() in ids.hosts else None
    if not is_web_uri(resource):
        if _URI.fullmatch(resource) and not resource.startswith(("http:", "https:")):
            return None
        raise ParseError("A resource looks like acct:name@host or https://host/…")
    if resource.rstrip("/") in (ids.base_url, ids.instance_actor_uri):
        return ids.instance_username
    local = ids.parse_local(resource)
    return local.username.lower() if local is not None and local.work_id is None else None


_INTENTS = (
    ("http://ostatus.org/schema/1.0/subscribe", "/authorize_interaction?uri={uri}"),
    ("https://w3id.org/fep/3b86/Follow", "/authorize_interaction?uri={object}"),
    ("https://w3id.org/fep/3b86/Object", "/authorize_interaction?uri={object}"),
    ("https://w3id.org/fep/3b86/Create", "/share?text={content}"),
)
"""(relation, page) where somebody of this server does what another site offers: follow, answer, share (FEP-3b86)."""


def build_jrd(
    ids: Identifiers, username: str, actor_uri: str, profile_url: str, *, is_person: bool, avatar: tuple[str, str] | None = None
) -> dict[str, Any]:
    """`avatar`: (address, media type). This server's own actor has no pages to act on: `is_person` False."""
    links = [
        {"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": profile_url},
        {"rel": "self", "type": AP_TYPE, "href": actor_uri},
    ]
    if is_person:
        links += [{"rel": rel, "template": ids.base_url + page} for rel, page in _INTENTS]
    if avatar is not None:
        links.append({"rel": "http://webfinger.net/rel/avatar", "type": avatar[1], "href": avatar[0]})
    return {"subject": f"acct:{username}@{ids.account_domain}", "aliases": [profile_url, actor_uri], "links": links}


def read_jrd(document: dict[str, Any]) -> tuple[str, str]:
    """(subject, actor address) of another server's answer. Raises ParseError."""
    subject = document.get("subject")
    links = document.get("links")
    if isinstance(subject, str) and isinstance(links, list):
        for link in links[:100]:
            if (
                isinstance(link, dict)
                and link.get("rel") == "self"
                and link.get("type") in _SELF_TYPES
                and is_web_uri(link.get("href"))
            ):
                return subject[:500], link["href"]
    raise ParseError("This server does not know that account.")


def split_handle(text: str) -> tuple[str, str] | None:
    """('mira', 'art.example') of `@mira@art.example`, `mira@art.example` or `acct:…`; None when it is no handle."""
    name, _, host = text.strip().removeprefix("acct:").removeprefix("@").partition("@")
    if not name or not host or not is_web_uri(f"https://{host}/") or any(c in host for c in "/?#"):
        return None
    return name, host.lower()
