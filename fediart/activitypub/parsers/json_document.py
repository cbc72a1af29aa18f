"""Bytes become a JSON object within bounds, or a ParseError. Nothing else in fediart reads JSON of strangers."""

from __future__ import annotations

from typing import Any

import msgspec

from fediart.errors import ParseError

MAX_BYTES = 1_048_576
MAX_DEPTH = 32
MAX_NODES = 20_000


def load_document(body: bytes) -> dict[str, Any]:
    """At most 1 MB, 32 levels and 20,000 values; NaN is refused, of a repeated key the last one counts."""
    if len(body) > MAX_BYTES:
        raise ParseError("This document is longer than 1 MB.")
    # Before decoding: a decoder recurses, a count of brackets does not.
    if body.count(b"[") + body.count(b"{") + body.count(b",") > MAX_NODES:
        raise ParseError("This document has too many parts.")
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ParseError("This is not valid JSON.") from None
    if not isinstance(document, dict):
        raise ParseError("This JSON document is not an object.")
    _check_depth(document)
    return document


def _check_depth(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            children = value.values() if isinstance(value, dict) else value
            below.extend(child for child in children if isinstance(child, dict | list))
        if not below:
            return
        level = below
    raise ParseError("This document is nested too deeply.")
