"""What a post says of how it was made, and what it reserves: self-labels in every shape that was seen.

A Label tag (FEP-4c96), a `digitalSourceType` (schema.org, IPTC's vocabulary), or a plain flag like `genAI`, on the object
or on what is attached to it. Words of schema.org come bare, with a prefix or as a full address; whichever is meant. What is
not known says nothing, and of whatever is there only so much is looked at.
"""

from __future__ import annotations

from typing import Any

from fediart.activitypub.parsers import fields

AI, PARTS_AI, NOT_AI = "ai-generated", "ai-assisted", "no-generative-ai"
STRICTEST_FIRST = (AI, PARTS_AI, NOT_AI)
MAX_LABELS, MAX_VALUES, MAX_USAGE = 1_000, 10, 500

_SCHEMA = ("", "sc:", "schema:", "https://schema.org/", "http://schema.org/", "http://schema.org#", "https://schema.org#")
_OWN = ("", "fediart:", "urn:uuid:471d6064-35f8-4462-9467-61813ed008c0#")
_SOURCE_TYPE = tuple(prefix + "digitalSourceType" for prefix in _SCHEMA)
_FLAG_NAMES = ("genAI", "genAi", "gen_ai", "containsAi", "containsAI", "contains_ai", "aiGenerated", "ai_generated")
_FLAGS = (*_FLAG_NAMES, *(f"fediart:{name}" for name in _FLAG_NAMES), "isAiGenerated", "isAIGenerated", "is_ai_generated")
_USAGE = tuple(prefix + "contentUsage" for prefix in _OWN)
_TDM = ("tdmReservation", "tdm:reservation", "http://www.w3.org/ns/tdmrep#reservation", "http://www.w3.org/ns/tdmrep/reservation")
_ROBOTS = ("xRobotsTag", "XRobotsTag")

_NAMES = {
    "made with ai": AI,
    "ai generated": AI,
    "parts made with ai": PARTS_AI,
    "ai assisted": PARTS_AI,
    "made without generative ai": NOT_AI,
    "no generative ai": NOT_AI,
}
"""Of a label, hyphens read as spaces."""

_SOURCES = {
    "trainedalgorithmicmedia": AI,
    "trainedalgorithmicmediadigitalsource": AI,
    "compositewithtrainedalgorithmicmedia": PARTS_AI,
    "compositewithtrainedalgorithmicmediadigitalsource": PARTS_AI,
    "compositesynthetic": PARTS_AI,
    "compositesyntheticdigitalsource": PARTS_AI,
}
"""IPTC's members, and schema.org's names for them. algorithmicMedia is art made by a program, not AI; and that something is
called a digital creation is no promise that there was none."""


def self_label(document: dict[str, Any], attached: list[Any]) -> str:
    """'' or one of `declarations.LABELS`. Of several the strictest: who says both AI and not says AI."""
    found = {_label(tag) for tag in fields.listed(document.get("tag"), MAX_LABELS)}
    for item in (document, *(item for item in attached if isinstance(item, dict))):
        found |= {_SOURCES.get(_last_part(word)) for word in _words(_first_of(item, _SOURCE_TYPE))}
        if any(_is_true(item.get(name)) for name in _FLAGS):
            found.add(AI)
    return next((label for label in STRICTEST_FIRST if label in found), "")


def content_usage(item: dict[str, Any]) -> str:
    """The AIPREF string, as it was said."""
    return next((word[:MAX_USAGE] for word in _words(_first_of(item, _USAGE))), "")


def tdm_reservation(item: dict[str, Any]) -> bool | None:
    """None: nothing, or nothing that is understood, was said."""
    value = _plain(fields.first(_first_of(item, _TDM)))
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    return {"1": True, "true": True, "0": False, "false": False}.get(value) if isinstance(value, str) else None


def robots_tag(item: dict[str, Any]) -> str:
    """FEP-5e53: directives as in the header X-Robots-Tag, with commas between."""
    return ", ".join(_words(_first_of(item, _ROBOTS)))[:MAX_USAGE]


def _label(tag: Any) -> str | None:
    if not isinstance(tag, dict):
        return None
    if not any(isinstance(kind, str) and _last_part(kind) == "label" for kind in fields.listed(tag.get("type"), 5)):
        return None
    for address in _words(tag.get("href") or tag.get("id")):
        place = address.partition("#")[0].partition("?")[0].rstrip("/")
        if (label := _NAMES.get(_spaced(place.rpartition("/")[2]))) is not None:
            return label
    return next((label for word in _words(tag.get("name")) if (label := _NAMES.get(_spaced(word))) is not None), None)


def _spaced(word: str) -> str:
    return " ".join(word.casefold().replace("-", " ").replace("_", " ").split())


def _last_part(word: str) -> str:
    """Of an address or a prefixed name, in small letters."""
    for separator in ("/", "#", ":"):
        word = word.rstrip(separator).rpartition(separator)[2]
    return word.casefold()


def _first_of(item: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return next((value[name] for name in ("@id", "id", "@value", "href") if value.get(name) is not None), None)
    return value


def _words(value: Any) -> list[str]:
    plain = (_plain(item) for item in fields.listed(value, MAX_VALUES))
    return [fields.text(item, MAX_USAGE) for item in plain if isinstance(item, str) and item]


def _is_true(value: Any) -> bool:
    value = _plain(fields.first(value))
    return value is True or (isinstance(value, str) and value.casefold() == "true")
