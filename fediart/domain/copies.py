"""A copy: a cloaked picture in the size and file of another place, made for its artist to carry there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

KEPT_MS = 24 * 3600 * 1000
"""So long a copy lies ready; then it can be made again."""


class CopyState(StrEnum):
    WAITING = "waiting"
    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Copy:
    """`cloak_report`: the public copy's when this one was asked for. `problem` is for its artist. `until`: when it is pruned.

    `vault_key`, `media_type`, `width`, `height` and `bytes` are of the file, once it is READY.
    """

    id: int
    image_id: int
    platform: str
    state: CopyState
    progress: float
    problem: str
    cloak_report: str
    vault_key: str | None
    media_type: str
    width: int
    height: int
    bytes: int
    until: int

    def serves(self, cloak_report: str | None, now: int) -> bool:
        """Whether it can still be had, and is of the same cloak as the public copy is now."""
        in_time = self.state in (CopyState.WAITING, CopyState.MAKING) or now < self.until
        return in_time and self.cloak_report == cloak_report
