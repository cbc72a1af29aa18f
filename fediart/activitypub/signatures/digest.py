"""Digests of a body: the old `Digest` header and RFC 9530's `Content-Digest`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

_CONTENT_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):")


def digest_header(body: bytes) -> str:
    """`SHA-256=…` with capitals: Threads refuses small letters."""
    return "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode()


def content_digest_header(body: bytes) -> str:
    return "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"


def _fits(encoded: str, body: bytes) -> bool:
    try:
        given = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, hashlib.sha256(body).digest())


def digest_fits(header: str, body: bytes) -> bool:
    """Does a `Digest` header name this body? Only its SHA-256 counts; without one it does not."""
    for part in header[:1_000].split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "sha-256":
            return _fits(value, body)
    return False


def content_digest_fits(header: str, body: bytes) -> bool:
    found = _CONTENT_DIGEST.search(header[:1_000])
    return found is not None and _fits(found[1], body)
