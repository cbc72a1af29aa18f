"""Reading single fields, whatever shape a server gave them: a scalar, a list, an object with an id, or nothing."""

from __future__ import annotations

from typing import Any

from fediart.activitypub.identifiers import is_web_uri
from fediart.activitypub.vocabulary import AS_PUBLIC

_PUBLIC = frozenset({AS_PUBLIC, "as:Public", "Public"})
MAX_ADDRESSES = 256


def first(value: Any) -> Any:
    """The value, or the first of a list of them; None when there is none."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


def listed(value: Any, limit: int) -> list[Any]:
    """A list of at most `limit`, also of a single value."""
    if value is None:
        return []
    return value[:limit] if isinstance(value, list) else [value]


def text(value: Any, limit: int) -> str:
    """A string cut to `limit` characters; '' when it is none. Lone surrogates cannot be stored and are replaced."""
    value = first(value)
    if not isinstance(value, str):
        return ""
    return value[:limit].encode("utf-8", "replace").decode().replace("\x00", "")


def uri(value: Any) -> str | None:
    """An http(s) address, of a string or of an object's `id` (or `href`)."""
    value = first(value)
    if isinstance(value, dict):
        value = value.get("id") or value.get("href")
    return value if is_web_uri(value) else None


def addresses(value: Any) -> tuple[str, ...]:
    """`to` or `cc`: http(s) addresses and the forms of Public."""
    found = []
    for item in listed(value, MAX_ADDRESSES):
        if isinstance(item, str) and item in _PUBLIC:
            found.append(AS_PUBLIC)
        elif (address := uri(item)) is not None:
            found.append(address)
    return tuple(dict.fromkeys(found))


def kind(value: Any) -> str:
    """The type of a document, the first one where there are several."""
    return text(value, 64)


def whole(value: Any, limit: int) -> int | None:
    """A whole number from 1 to `limit`, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= limit:
        return None
    return int(value)
