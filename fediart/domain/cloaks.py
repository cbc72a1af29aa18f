"""Cloaks, as nouns: how strong one is to be, by which method one is made, how long one takes, and making old ones anew.

Pixels are in `media/cloak/`.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class CloakMethod:
    """What two cloaks must have in common to be of one kind. `encoders`: names of those that it worked against."""

    backend: str
    version: int
    strength: str
    encoders: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As it is kept with a picture: `texture 1 standard`, `encoders 2 standard +taef1 +taesdxl`."""
        return " ".join([self.backend, str(self.version), self.strength, *(f"+{name}" for name in sorted(self.encoders))])


class RedoState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"


class TurnState(StrEnum):
    """Of one picture in a redo. Staged: its new files are there, and wait for those of its work's other pictures.

    Lost: its original is not in the vault. Dropped: nothing to do any more, its work was withdrawn for instance.
    """

    WAITING = "waiting"
    STAGED = "staged"
    REDONE = "redone"
    FAILED = "failed"
    LOST = "lost"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Redo:
    """Old works are cloaked again: those of one artist, or all (`actor_id` None). `every`: also those that need it not."""

    id: int
    actor_id: int | None
    every: bool
    state: RedoState
    pictures: int
    redone: int
    failed: int
    lost: int
    dropped: int
    started_at: int
    ended_at: int | None

    @property
    def finished(self) -> int:
        """Pictures that had their turn."""
        return self.redone + self.failed + self.lost + self.dropped


@dataclass(frozen=True, slots=True)
class Turn:
    """One picture of a redo."""

    redo_id: int
    image_id: int
    work_id: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a redo would have to do. `present`: pictures that carry the present method already; `behind`: those to be redone.

    `lost`: so many of those behind have no original here any more. `megapixels` and `seconds` are of the others; `seconds`
    is None where nothing was measured yet. `measured`: from so many pictures; `same_method`: whether by the present method.
    """

    method: str
    present: int
    behind: int
    lost: int
    megapixels: float
    seconds: float | None
    measured: int
    same_method: bool

    @property
    def doable(self) -> int:
        return self.behind - self.lost


def seconds_per_megapixel(measured: Iterable[tuple[float, float]]) -> float | None:
    """Of (seconds, megapixels) of pictures that were cloaked on this machine. None: there were none."""
    pairs = [(seconds, size) for seconds, size in measured if size > 0]
    return sum(seconds for seconds, _ in pairs) / sum(size for _, size in pairs) if pairs else None


def in_words(seconds: float) -> str:
    """`about 5 minutes`: an estimate deserves no more digits."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 1.5 * length:
            return f"about {round(seconds / length)} {unit}s"
    return "about a minute" if seconds >= 30 else "less than a minute"
