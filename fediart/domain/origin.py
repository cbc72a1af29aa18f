"""How a file says it came to be: what its metadata declares, in levels, never a percentage."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a signal says. INFO never acts, and HINT is for moderators to see only."""

    DECLARED = "declared"
    GENERATOR = "generator"
    ASSISTED = "assisted"
    HINT = "hint"
    INFO = "info"


STRENGTH = (Level.INFO, Level.HINT, Level.ASSISTED, Level.GENERATOR, Level.DECLARED)
"""Weakest first."""


@dataclass(frozen=True, slots=True)
class Signal:
    """`source`: short and stable (iptc, c2pa, a1111 …). `evidence`: what was found, in words for who uploaded it; no prompt."""

    level: Level
    source: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Origin:
    """All that one file said. `sha256` is the file's; `c2pa`: absent, not read, not verified, verified or invalid."""

    signals: tuple[Signal, ...] = ()
    sha256: str = ""
    c2pa: str = "absent"

    @property
    def level(self) -> Level | None:
        """The strongest; None where the file says nothing."""
        return max((signal.level for signal in self.signals), key=STRENGTH.index, default=None)


def origin_text(origin: Origin) -> str:
    """For a row."""
    return json.dumps(asdict(origin))


def origin_from(text: str) -> Origin:
    """As it stands in a row."""
    held = json.loads(text)
    signals = tuple(Signal(Level(item["level"]), item["source"], item["evidence"]) for item in held["signals"])
    return Origin(signals, held["sha256"], held["c2pa"])
