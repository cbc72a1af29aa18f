"""So many in so long: what `120/min` means."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RATE = re.compile(r"([1-9][0-9]{0,5})/(s|min|h)")
_SECONDS = {"s": 1, "min": 60, "h": 3600}
_WORDS = {"s": "a second", "min": "a minute", "h": "an hour"}


@dataclass(frozen=True, slots=True)
class Rate:
    """`most` in `seconds`. `words`: "120 requests a minute"."""

    most: int
    seconds: int
    words: str


def rate_of(text: str) -> Rate | None:
    """None for `off`, and for what is no rate: the policy's own check is `first_policy.rate`."""
    found = _RATE.fullmatch(text)
    if found is None:
        return None
    return Rate(int(found[1]), _SECONDS[found[2]], f"{found[1]} requests {_WORDS[found[2]]}")
