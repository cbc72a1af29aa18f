"""What a cloak must be able to do. Others can be added as packages, by the entry point group `fediart.cloaks`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fediart.media.cloak.report import CloakReport

Pixels = NDArray[np.uint8]
Progress = Callable[[float], None]


class CloakBackend(Protocol):
    """A way to cloak pictures. The same pixels, seed and strength give the same result."""

    name: str
    version: int

    def cloak(self, rgb: Pixels, seed: bytes, strength: str, progress: Progress) -> tuple[Pixels, CloakReport]:
        """`rgb`: `(height, width, 3)`, sRGB 0..255. `seed`: 32 bytes, of this picture alone. `progress` hears 0..1.

        Raises CloakFailed; a result equal to its input is a failure too.
        """
        ...
