"""Where a plug-in may look at pictures for signs of AI. There is none in here, and there will be none.

An installed package names its detectors as entry points of the group `fediart.ai_detectors`. What one says is for moderators
only, and all it can do is have a picture looked at by a person before it goes out: detectors err, most of all on cloaked art.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

GROUP = "fediart.ai_detectors"
MAX_WORDS = 300


class Detector(Protocol):
    """Is made without arguments, in a process of its own with bounded memory and time, without network on its own account."""

    def look(self, original: Path) -> str | None:
        """What a moderator should know of this picture, in one sentence; None: nothing."""


def are_there() -> bool:
    """Is any installed? Loads none."""
    return bool(entry_points(group=GROUP))


def look_all(original: Path) -> list[dict[str, str]]:
    """What the detectors say, with their names. One that fails says nothing, and is told of as a failure."""
    said = []
    for found in entry_points(group=GROUP):
        try:
            detector: Detector = found.load()()
            words = detector.look(original)
        except Exception as problem:  # a door: it is other people's code, and no reason to keep a picture back
            said.append({"name": found.name, "failure": repr(problem)[:300]})
            continue
        if words:
            said.append({"name": found.name, "words": str(words)[:MAX_WORDS]})
    return said
