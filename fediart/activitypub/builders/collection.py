"""Collections and their pages."""

from __future__ import annotations

from typing import Any

from fediart.activitypub.vocabulary import AS


def build_collection(
    uri: str, total: int, *, first: str | None = None, items: list[Any] | None = None, kind: str = "OrderedCollection"
) -> dict[str, Any]:
    """Without `first` and `items`: only the count, which tells others that the rest is not shown."""
    document: dict[str, Any] = {"@context": AS, "id": uri, "type": kind, "totalItems": total}
    if first is not None:
        document["first"] = first
    if items is not None:
        document[_items_of(kind)] = items
    return document


def _items_of(kind: str) -> str:
    return "orderedItems" if kind.startswith("Ordered") else "items"


def build_page(
    uri: str,
    part_of: str,
    items: list[Any],
    *,
    next_page: str | None = None,
    context: Any = AS,
    kind: str = "OrderedCollectionPage",
) -> dict[str, Any]:
    """`context`: that of the items, which carry none."""
    document: dict[str, Any] = {"@context": context, "id": uri, "type": kind, "partOf": part_of, _items_of(kind): items}
    if next_page is not None:
        document["next"] = next_page
    return document
