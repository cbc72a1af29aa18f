"""One way to write a JSON document, so that everybody hashes the same bytes: JCS, RFC 8785.

https://www.rfc-editor.org/rfc/rfc8785. What is not I-JSON (RFC 7493) has no such form, and is refused: two documents that
differ must not be written alike.
"""

from __future__ import annotations

import json
import math
from typing import Any

LARGEST_INTEGER = 2**53 - 1
"""Beyond it two whole numbers can be the same number to a program that knows doubles only."""

_quoted = json.JSONEncoder(ensure_ascii=False).encode
"""Escapes what RFC 8785 (3.2.2.2) escapes, and in its way: the short forms, then `\\u00xx` in small letters."""


class NotCanonical(ValueError):
    """The document holds something that has no canonical form."""


def canonical(document: Any) -> bytes:
    """Canonical UTF-8 of what a JSON parser makes. Recurses as deep as the document. Raises NotCanonical."""
    parts: list[str] = []
    _write(document, parts)
    try:
        return "".join(parts).encode()
    except UnicodeEncodeError:
        raise NotCanonical("a lone surrogate") from None


def _write(value: Any, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(_quoted(value))
    elif isinstance(value, dict):
        _write_object(value, parts)
    elif isinstance(value, list | tuple):
        parts.append("[")
        for index, item in enumerate(value):
            if index:
                parts.append(",")
            _write(item, parts)
        parts.append("]")
    elif value is None:
        parts.append("null")
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, int):
        parts.append(_integer_text(value))
    elif isinstance(value, float):
        parts.append(number_text(value))
    else:
        raise NotCanonical(f"a {type(value).__name__}")


def _write_object(value: dict[Any, Any], parts: list[str]) -> None:
    if not all(isinstance(name, str) for name in value):
        raise NotCanonical("a name that is no string")
    parts.append("{")
    for index, name in enumerate(sorted(value, key=_by_utf16)):
        parts.append(f",{_quoted(name)}:" if index else f"{_quoted(name)}:")
        _write(value[name], parts)
    parts.append("}")


def _by_utf16(name: str) -> bytes:
    """Names are ordered by their UTF-16 code units: an emoji stands before U+FF5E, whose code point is smaller."""
    return name.encode("utf-16-be", "surrogatepass")


def _integer_text(value: int) -> str:
    """Beyond 2^53 only the digits that ECMAScript writes for a double: no other whole number is written like it."""
    if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER and (abs(value) >= 10**21 or number_text(float(value)) != str(value)):
        raise NotCanonical("a whole number that is no double")
    return str(value)


def number_text(value: float) -> str:
    """A double as ECMAScript writes it (`Number::toString`): the shortest digits that read back as the same double."""
    if not math.isfinite(value):
        raise NotCanonical("a number that is not finite")
    if value == 0:
        return "0"
    # Python's shortest digits are ECMAScript's; only where the point and the exponent stand differs.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        power = point - 1
        text = f"{digits[0]}{'.' if count > 1 else ''}{digits[1:]}e{'+' if power > 0 else '-'}{abs(power)}"
    return f"-{text}" if value < 0 else text
