"""What `fediart doctor` finds: each finding says what was seen and, where something is wrong, what mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    GOOD = "good"
    NOTE = "note"
    """It works, and somebody should look at it."""
    BAD = "bad"
    UNSEEN = "unseen"
    """It could not be looked at, because something else must be mended or done first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`seen`: one sentence. `mend`: one or two lines, '' where there is nothing to do."""

    name: str
    state: State
    seen: str
    mend: str = ""


def good(name: str, seen: str) -> Finding:
    return Finding(name, State.GOOD, seen)


def note(name: str, seen: str, mend: str) -> Finding:
    return Finding(name, State.NOTE, seen, mend)


def bad(name: str, seen: str, mend: str) -> Finding:
    return Finding(name, State.BAD, seen, mend)


def unseen(name: str, why: str) -> Finding:
    return Finding(name, State.UNSEEN, why)


def is_well(findings: Sequence[Finding]) -> bool:
    return all(finding.state != State.BAD for finding in findings)
