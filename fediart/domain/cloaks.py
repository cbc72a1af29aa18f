"""By which method a picture is cloaked, and cloaking old works again, as nouns. How it is done stands in `media/cloak`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


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
