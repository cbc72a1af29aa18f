"""What a mimic does to a picture before training on it: ordinary denoisers, without weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
F = NDArray[np.float32]


def tv(rgb: Pixels, weight: float = 0.06, rounds: int = 40) -> Pixels:
    """Total variation denoising after Chambolle (2004), doi.org/10.1023/B:JMIV.0000011325.36760.1e."""
    x = rgb.astype(np.float32) / np.float32(255)
    py, px = np.zeros_like(x), np.zeros_like(x)
    out = x
    for _ in range(rounds):
        divergence = -py - px
        divergence[1:] += py[:-1]
        divergence[:, 1:] += px[:, :-1]
        out = x + divergence
        gy, gx = np.zeros_like(x), np.zeros_like(x)
        gy[:-1], gx[:, :-1] = np.diff(out, axis=0), np.diff(out, axis=1)
        norm = 1 + np.float32(0.25 / weight) * np.sqrt((gy * gy + gx * gx).sum(-1, keepdims=True))
        py, px = (py - np.float32(0.25) * gy) / norm, (px - np.float32(0.25) * gx) / norm
    made: Pixels = np.clip(np.rint(out * 255), 0, 255).astype(np.uint8)
    return made


def nlm(rgb: Pixels, strength: float = 0.06, reach: int = 5, patch: int = 1) -> Pixels:
    """Non-local means after Buades, Coll and Morel (2005), doi.org/10.1109/CVPR.2005.38.

    `strength` of 0..1: how unlike patches may be; `reach`: how far they are looked for; `patch`: radius.
    """
    x = rgb.astype(np.float32) / np.float32(255)
    height, width, _ = x.shape
    wide = np.pad(x, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    total, weights = np.zeros_like(x), np.zeros((height, width, 1), np.float32)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            moved = wide[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
            unlike = _box(((moved - x) ** 2).mean(-1), patch)
            weight = np.exp(-unlike / np.float32(strength**2))[..., None]
            total += weight * moved
            weights += weight
    return np.clip(np.rint(total / weights * 255), 0, 255).astype(np.uint8)


def _box(plane: F, radius: int) -> F:
    side = 2 * radius + 1
    padded = np.pad(plane.astype(np.float64), radius, mode="edge")
    sums = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    out: F = ((sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]) / side**2).astype(
        np.float32
    )
    return out
