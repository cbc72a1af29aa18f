"""Bytes as base58btc text, as `publicKeyMultibase` and `proofValue` carry them. https://www.w3.org/TR/cid-1.0/#multibase-0"""

from __future__ import annotations

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
MAX_TEXT = 200
"""Characters of a text that is read: keys and signatures of Ed25519 have about 48 and 89."""


def base58_multibase(data: bytes) -> str:
    """`z`, then base58btc."""
    number, letters = int.from_bytes(data), []
    while number:
        number, rest = divmod(number, 58)
        letters.append(_ALPHABET[rest])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "z" + "1" * zeros + "".join(reversed(letters))


def read_multibase(text: str) -> bytes | None:
    """None for another base than base58btc, for letters it does not have, and for what is too long."""
    if not text.startswith("z") or len(text) > MAX_TEXT:
        return None
    number = 0
    for letter in text[1:]:
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number * 58 + value
    zeros = len(text[1:]) - len(text[1:].lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)
