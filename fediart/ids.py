"""Ids: 63-bit integers, `unix_ms << 16 | low`, so that order by id is order by time.

The Mastodon client API shows them as decimal strings and pages by them. `low` counts up within a process from a
random start, so that many things of one millisecond (other servers send whole seconds) get different ids.
"""

from __future__ import annotations

import itertools
import secrets
from typing import NewType

WorkId = NewType("WorkId", int)
ActorId = NewType("ActorId", int)
AccountId = NewType("AccountId", int)
ImageId = NewType("ImageId", int)

LARGEST = (1 << 63) - 1

_count = itertools.count(secrets.randbits(16))


def new_id(ms: int) -> int:
    """An id for something that happened at `ms` (milliseconds since 1970)."""
    return (ms << 16) | (next(_count) & 0xFFFF)


def time_of(id_: int) -> int:
    """The millisecond an id was made for."""
    return id_ >> 16


def parse_id(text: str) -> int | None:
    """The id in a URL or form, or None when it is not one. ASCII digits only, at most 63 bits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    value = int(text)
    return value if 0 < value <= LARGEST else None
