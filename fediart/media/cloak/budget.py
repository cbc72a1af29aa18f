"""How much texture each place bears: the eye sees it first on flat areas, so those have an absolute cap."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fediart.media.cloak.textures import WORK_SIDE, Plane, enlarged

_CALM, _BUSY = 2.0, 8.0
"""Local standard deviations, in levels: up to the first a place counts as flat, from the second on as fully textured.
A gradient of half a level a pixel, or the grain of a scanner, is still flat."""


def busyness(luma: Plane, size: tuple[int, int] | None = None) -> Plane:
    """0 (flat) … 1 (textured) for `(height, width)` luminance 0..255, at `size` (height, width) or the picture's own.

    A single edge counts as flat: its neighbourhood is calm, and dirt beside an outline is what artists see first.
    """
    height, width = luma.shape
    tall, wide = size or (height, width)
    scale = min(1.0, WORK_SIDE / max(height, width))
    small = Image.fromarray(luma).resize((max(8, round(width * scale)), max(8, round(height * scale))), Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.float32)
    spread = np.sqrt(np.maximum(_box(values * values) - _box(values) ** 2, 0))
    level = np.clip((spread - _CALM) / (_BUSY - _CALM) * 255, 0, 255).astype(np.uint8)
    # The spread reaches three pixels beyond what is busy. Six off takes outlines away, three back restores the rest.
    level = farthest(farthest(level, np.minimum, 6), np.maximum, 3)
    level = Image.fromarray(level).filter(ImageFilter.GaussianBlur(2))
    return enlarged(np.asarray(level, dtype=np.float32) / np.float32(255), tall, wide)


def farthest(levels: NDArray[np.uint8], choose: np.ufunc, radius: int) -> NDArray[np.uint8]:
    """The least or the most of a square of 2·radius+1 pixels, edges repeated: along rows, then along columns."""
    for axis in (0, 1):
        padded = np.pad(levels, [(radius, radius) if axis == one else (0, 0) for one in (0, 1)], mode="edge")
        length = levels.shape[axis]
        shifted = [padded[at : at + length] if axis == 0 else padded[:, at : at + length] for at in range(2 * radius + 1)]
        levels = functools.reduce(choose, shifted)
    return levels


def _box(values: Plane, radius: int = 3) -> Plane:
    """Mean over a square of 2·radius+1 pixels, edges repeated."""
    side = 2 * radius + 1
    padded = np.pad(values.astype(np.float64), radius, mode="edge")
    sums = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    total: NDArray[np.float64] = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return (total / side**2).astype(np.float32)


def bounds(busy: Plane, flat_cap: float, most: float) -> Plane:
    """The largest change in levels at each pixel: `flat_cap` where it is flat, `most` where it is busy."""
    out: Plane = np.float32(flat_cap) + np.float32(most - flat_cap) * np.clip(busy, 0, 1)
    return out
