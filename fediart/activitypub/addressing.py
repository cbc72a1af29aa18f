"""From visibility to `to` and `cc`, and back. What is said here decides who may see a work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.domain.works import Visibility

_PUBLIC = frozenset({AS_PUBLIC, "as:Public", "Public"})


def with_public(uris: Sequence[str]) -> tuple[str, ...]:
    """The same addresses with the two short forms of Public written out."""
    return tuple(AS_PUBLIC if uri in _PUBLIC else uri for uri in uris)


def read_visibility(to: Sequence[str], cc: Sequence[str], followers_uri: str | None) -> Visibility:
    """What a note's addresses mean: Public in `to`, Public in `cc`, the followers, or those named."""
    if _PUBLIC.intersection(to):
        return Visibility.PUBLIC
    if _PUBLIC.intersection(cc):
        return Visibility.UNLISTED
    if followers_uri and (followers_uri in to or followers_uri in cc):
        return Visibility.FOLLOWERS
    return Visibility.MENTIONED


def has_blind_addresses(document: Mapping[str, Any]) -> bool:
    """Does it, or what it is about, name whom nobody else shall hear of? (ActivityPub 6: `bto` and `bcc` are taken out.)"""
    inner = document.get("object")
    return any(name in held for held in (document, inner) if isinstance(held, Mapping) for name in ("bto", "bcc"))


def address(visibility: Visibility, followers_uri: str, mentioned: Sequence[str]) -> tuple[list[str], list[str]]:
    """(to, cc) of a local work."""
    named = list(dict.fromkeys(mentioned))
    if visibility == Visibility.PUBLIC:
        return [AS_PUBLIC], [followers_uri, *named]
    if visibility == Visibility.UNLISTED:
        return [followers_uri], [AS_PUBLIC, *named]
    if visibility == Visibility.FOLLOWERS:
        return [followers_uri], named
    return named, []
