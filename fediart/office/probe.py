"""How `fediart doctor` shows the server that it is asked by whoever owns its data folder: both read the same secret."""

from __future__ import annotations

import hashlib
import hmac

HEADER = "x-fediart-doctor"
PATH = "/healthz/front"

HOLDS_MS = 10 * 60 * 1000
"""The doctor's clock is the server's."""


def _signature(secret: bytes, at: str) -> str:
    key = hmac.new(secret, b"doctor", hashlib.sha256).digest()
    return hmac.new(key, at.encode(), hashlib.sha256).hexdigest()


def signed_probe(secret: bytes, now: int) -> str:
    """The header's value. `secret`: of `secret.key` in the data folder; `now` in ms."""
    return f"{now}.{_signature(secret, str(now))}"


def is_probe(secret: bytes, value: str, now: int) -> bool:
    at, _, signature = value.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) < 20) or abs(now - int(at)) > HOLDS_MS:
        return False
    return hmac.compare_digest(signature.encode(), _signature(secret, at).encode())
