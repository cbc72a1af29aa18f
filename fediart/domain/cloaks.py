"""Cloaks, as nouns: how strong one is to be, and how long one takes. Pixels are in `media/cloak/`."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from enum import StrEnum

Took = tuple[float, float]
"""(megapixels, seconds of wall clock) of one picture that was prepared on this machine."""

REMEMBERED = 9
"""So many are kept: enough for a median, few enough that a faster machine is believed soon."""


class CloakStrength(StrEnum):
    """How visible a cloak may be. NONE: the picture goes out as it is."""

    LIGHT = "light"
    STANDARD = "standard"
    STRONG = "strong"
    NONE = "none"

    @property
    def stronger(self) -> CloakStrength | None:
        """The next one, which may be seen more; None where there is none."""
        order = [CloakStrength.LIGHT, CloakStrength.STANDARD, CloakStrength.STRONG]
        return order[order.index(self) + 1] if self in order[:-1] else None


def seconds_for(megapixels: float, took: Sequence[Took]) -> float | None:
    """How long a picture of this size will take, by what others took. None when nothing is known.

    A line through them, with medians, so that one picture during which the machine slept does not bend it. Where all were
    of about one size, in proportion.
    """
    slopes = [(t2 - t1) / (m2 - m1) for (m1, t1), (m2, t2) in itertools.combinations(sorted(took), 2) if m2 > 1.3 * m1]
    if not slopes:
        paces = [seconds / size for size, seconds in took if size > 0]
        return statistics.median(paces) * megapixels if paces else None
    slope = max(0.0, statistics.median(slopes))
    start = max(0.0, statistics.median(seconds - slope * size for size, seconds in took))
    return start + slope * megapixels


def left_in_words(seconds: float | None) -> str:
    """`about 40 s left`; '' when nobody knows. Never more exact than it can be."""
    if seconds is None:
        return ""
    if seconds < 5:
        return "a few seconds left"
    if seconds < 100:
        return f"about {max(5, round(seconds / 5) * 5)} s left"
    minutes = round(seconds / 60)
    return f"about {minutes} min left" if minutes < 100 else f"about {round(minutes / 60)} h left"
