"""Reading single fields, whatever shape a server gave them: a scalar, a list, an object with an id, or nothing."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from fediart.activitypub.identifiers import is_web_uri
from fediart.activitypub.vocabulary import AS, AS_PUBLIC
from fediart.clock import from_iso

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
    if isinstance(value, dict):
        value = value.get("@value")
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


def kind(value: Any, known: Container[str] = ()) -> str:
    """The type of a document. Of several the first that is known, else the first."""
    names = [text(item, 128).removeprefix("as:").removeprefix(f"{AS}#")[:64] for item in listed(value, 10)]
    return next((name for name in names if name in known), names[0] if names else "")


def named(document: Any, word: str, limit: int) -> str:
    """`name` or `summary` of an object, also where it is there by language only (`nameMap`)."""
    if not isinstance(document, dict):
        return ""
    if said := text(document.get(word), limit):
        return said
    by_language = document.get(f"{word}Map")
    words = list(by_language.values())[:20] if isinstance(by_language, dict) else []
    return next((found for item in words if (found := text(item, limit))), "")


def moment(value: Any) -> int | None:
    """A time in milliseconds since 1970; None when it is none that is understood."""
    said = text(value, 64).strip().upper()
    return from_iso(said) if said else None


def whole(value: Any, limit: int) -> int | None:
    """A whole number from 1 to `limit`, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= limit:
        return None
    return int(value)
