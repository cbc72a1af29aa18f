"""What a cloak must be able to do. Others can be added as packages, by the entry point group `fediart.cloaks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fediart.media.cloak.report import CloakReport

Pixels = NDArray[np.uint8]
Progress = Callable[[float], None]


def _unheard(_share: float) -> None:
    """Nobody asked."""


@dataclass(frozen=True, slots=True)
class CloakOrder:
    """`seed`: 32 bytes, of this picture of this artist alone. `strength`: a key of STRENGTHS. `encoders`: (name, file).

    `threads` of the processor. `progress` hears 0..1. `scratch`: a folder for what is worth keeping when the process is
    killed; it is emptied by others. `direction_from`: the picture at the size at which what is laid in was made for others
    before, where that is none of those given now; a cloak that is made of it is the same in all of them.
    """

    seed: bytes
    strength: str
    encoders: tuple[tuple[str, Path], ...] = ()
    threads: int = 1
    progress: Progress = _unheard
    scratch: Path | None = None
    direction_from: Pixels | None = None


class CloakBackend(Protocol):
    """A way to cloak pictures. The same pixels, seed, strength and encoders give the same result on the same machine."""

    name: str
    version: int

    def cloak(self, pictures: Sequence[Pixels], order: CloakOrder) -> tuple[list[Pixels], CloakReport]:
        """`pictures`: one picture in several sizes, the largest first, each `(height, width, 3)`, sRGB 0..255.

        Each comes back cloaked at its own size, and what was changed is the same in all of them, so that nothing is gained
        by averaging sizes. The report is of the first. Raises CloakFailed; a result equal to its input is a failure too.
        """
        ...
