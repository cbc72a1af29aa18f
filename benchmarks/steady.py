"""Does something grow? Judged from samples over time: what came before the first tenth had passed is warming up."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MOST_PAIRS = 400
"""Samples that a slope is fitted to: more are thinned."""


@dataclass(frozen=True, slots=True)
class Series:
    """`at`: seconds since the beginning, rising; `values` in whatever unit. Both of one length, at least 20."""

    at: Sequence[float]
    values: Sequence[float]

    def between(self, start: float, end: float) -> list[float]:
        """Values of a part of the time, 0 to 1."""
        first, whole = self.at[0], self.at[-1] - self.at[0]
        found = [value for at, value in zip(self.at, self.values, strict=True) if start <= (at - first) / whole <= end]
        return found or list(self.values)

    @property
    def early(self) -> float:
        """Median of the second tenth."""
        return statistics.median(self.between(0.1, 0.2))

    @property
    def late(self) -> float:
        """Median of the last tenth."""
        return statistics.median(self.between(0.9, 1.0))

    def slope(self) -> float:
        """Per second, after the first tenth: the median of the slopes between all pairs, which no spike bends (Theil and Sen)."""
        first, whole = self.at[0], self.at[-1] - self.at[0]
        points = [(at, value) for at, value in zip(self.at, self.values, strict=True) if (at - first) / whole >= 0.1]
        points = points[:: -(-len(points) // MOST_PAIRS)]
        slopes = [
            (later - earlier) / (end - start)
            for n, (start, earlier) in enumerate(points)
            for end, later in points[n + 1 :]
            if end > start
        ]
        return statistics.median(slopes) if slopes else 0.0


def growth_percent(series: Series) -> float:
    """From the second tenth to the last one, in percent of the former; negative when it became less."""
    return (series.late / series.early - 1) * 100 if series.early else 0.0


def drift_percent(series: Series) -> float:
    """What the fitted slope comes to over nine tenths of the time, in percent of the second tenth."""
    span = (series.at[-1] - series.at[0]) * 0.9
    return series.slope() * span / series.early * 100 if series.early else 0.0


def floor_growth(series: Series) -> float:
    """How much higher the lowest value of the last fifth is than that of the fifth after the first tenth.

    For what comes and goes, like connections: a leak lifts what is always there.
    """
    return min(series.between(0.8, 1.0)) - min(series.between(0.1, 0.3))


def share_below(values: Sequence[float], part: float) -> float:
    """The value that this part of them lies below or at; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0
