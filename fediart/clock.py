"""The only place that asks the machine for the time.

Times inside fediart are integers, milliseconds since 1970 UTC; wire formats are made at the doors.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]


def system_clock() -> int:
    """Now, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def to_iso(ms: int) -> str:
    """`2026-11-23T10:00:00.000Z`, as ActivityStreams and the Mastodon API write it."""
    seconds, rest = divmod(ms, 1000)
    year, month, day, hour, minute, second = time.gmtime(seconds)[:6]
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{rest:03d}Z"


def from_iso(text: str) -> int | None:
    """Milliseconds of an ISO 8601 time, or None when it is not one (or lies outside the years 1970 to 9999)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        ms = int(moment.timestamp() * 1000)
    except (OverflowError, ValueError):
        return None
    return ms if 0 <= ms < 253_402_300_800_000 else None
