"""What a note says of who may answer, like, boost or quote it: `interactionPolicy`, as GoToSocial and Mastodon say it.

https://docs.gotosocial.org/en/latest/federation/interaction_policy/
"""

from __future__ import annotations

from typing import Any

from fediart.activitypub.parsers import fields
from fediart.activitypub.vocabulary import AS_PUBLIC, ParsedPolicies
from fediart.domain.works import QuotePolicy, ReplyPolicy

_WAYS = ("automaticApproval", "manualApproval", "always", "approvalRequired")
"""The last two are older names of the first two."""


def read_policies(document: dict[str, Any], author: str, mentioned: frozenset[str]) -> ParsedPolicies:
    """Who is asked first may do it, too: their server sees to that."""
    said = fields.first(document.get("interactionPolicy"))
    if not isinstance(said, dict):
        return ParsedPolicies()
    return ParsedPolicies(
        reply=_closed_to(said.get("canReply"), author, mentioned),
        like=_closed_to(said.get("canLike"), author, mentioned),
        boost=_closed_to(said.get("canAnnounce"), author, mentioned),
        quote=_quote(said.get("canQuote"), author),
    )


def _named(part: Any) -> set[str] | None:
    """Everybody a part of a policy names; None where it names nobody: to JSON-LD an empty list is one that is not there."""
    part = fields.first(part)
    if not isinstance(part, dict):
        return None
    return {uri for way in _WAYS for uri in fields.addresses(part.get(way))} or None


def _is_followers(uri: str, author: str) -> bool:
    """By its name: the policy stands in a document that does not say how its author's collections are called."""
    return uri.startswith(f"{author.rstrip('/')}/") and uri.rstrip("/").endswith("/followers")


def _closed_to(part: Any, author: str, mentioned: frozenset[str]) -> str:
    named = _named(part)
    if named is None or AS_PUBLIC in named:
        return ""
    others = named - mentioned - {author}
    if not others:
        return ReplyPolicy.NOBODY
    # Somebody is named of whom nothing is known here: it is left to their server.
    return ReplyPolicy.FOLLOWERS if all(_is_followers(uri, author) for uri in others) else ""


def _quote(part: Any, author: str) -> str:
    named = _named(part)
    if named is None:
        return ""
    if AS_PUBLIC in named:
        return QuotePolicy.EVERYONE
    return QuotePolicy.FOLLOWERS if any(_is_followers(uri, author) for uri in named) else QuotePolicy.NOBODY
