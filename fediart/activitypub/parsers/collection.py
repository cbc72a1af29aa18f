"""A collection or a page of one, in whatever shape a server gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fediart.activitypub.parsers import fields
from fediart.errors import ParseError

KINDS = frozenset({"Collection", "OrderedCollection", "CollectionPage", "OrderedCollectionPage"})
MAX_ITEMS = 200


@dataclass(frozen=True, slots=True)
class ParsedCollection:
    """`items`: documents or addresses, those of a first page that came inline included. `next`: the address of the next page."""

    items: tuple[Any, ...]
    next: str | None


def parse_collection(document: dict[str, Any]) -> ParsedCollection:
    """Raises ParseError when it is none. Of each page at most MAX_ITEMS are read."""
    if fields.kind(document.get("type")) not in KINDS:
        raise ParseError("This is not a collection.")
    items = _items(document)
    first = fields.first(document.get("first"))
    if isinstance(first, dict) and not items:
        return ParsedCollection(_items(first), fields.uri(first.get("next")))
    following = fields.uri(document.get("next"))
    return ParsedCollection(items, following if items or following else fields.uri(first))


def _items(document: dict[str, Any]) -> tuple[Any, ...]:
    held = document.get("orderedItems")
    return tuple(fields.listed(held if held is not None else document.get("items"), MAX_ITEMS))
