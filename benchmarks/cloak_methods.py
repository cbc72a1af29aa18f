"""Ways to change a picture, each a plane (or three) of root mean square about 1 that is then scaled to a wanted visibility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fediart.media.cloak.budget import bounds, busyness
from fediart.media.cloak.encoders import WorkingEncoder
from fediart.media.cloak.laying import bounded, luma, unit, work_size
from fediart.media.cloak.optimise import Plan, away_from, planned
from fediart.media.cloak.steered import PLANS
from fediart.media.cloak.strengths import Strength
from fediart.media.cloak.textures import enlarged, texture

Pixels = NDArray[np.uint8]
F = NDArray[np.float32]
CONTROLS = ("uniform", "masked", "luminance", "2x2")


@dataclass(frozen=True, slots=True)
class Change:
    """`plane`: `(height, width)` or `(height, width, 3)`. `limit`: bounds in levels that it stays inside, as the cloak does."""

    plane: F
    limit: F | None = None

    def at(self, amplitude: float) -> F:
        if self.limit is None:
            return np.float32(amplitude) * self.plane
        return bounded(self.plane, amplitude, self.limit)


def control(name: str, rgb: Pixels, random: np.random.Generator) -> Change:
    height, width, _ = rgb.shape
    if name == "uniform":
        return Change(random.uniform(-1.7, 1.7, (height, width, 3)).astype(np.float32))
    if name == "2x2":
        small = random.standard_normal((height // 2 + 1, width // 2 + 1), dtype=np.float32)
        return Change(np.ascontiguousarray(small.repeat(2, 0).repeat(2, 1)[:height, :width]))
    plane = random.standard_normal((height, width), dtype=np.float32)
    if name == "masked":
        plane *= np.float32(0.25) + np.float32(0.75) * busyness(luma(rgb))
    return Change(plane)


def _limits(rgb: Pixels, strength: Strength) -> F:
    return bounds(busyness(luma(rgb)), strength.flat_cap, strength.most)


def embedded(rgb: Pixels, seed: bytes, strength: Strength) -> Change:
    """The texture, inside the cloak's bounds."""
    height, width, _ = rgb.shape
    plane = enlarged(texture(*work_size(height, width), seed), height, width)
    return Change(unit(plane), _limits(rgb, strength))


def steered(
    rgb: Pixels, seed: bytes, strength: Strength, encoders: Sequence[WorkingEncoder], plan: Plan = PLANS["standard"]
) -> Change:
    """Steps away from the picture, inside the cloak's bounds. For pictures up to the work size."""
    height, width, _ = rgb.shape
    if work_size(height, width) != (height, width):
        raise ValueError("the evaluation looks at pictures up to the work size")
    limit = _limits(rgb, strength)
    start = unit(texture(height, width, seed))
    steps = planned(encoders, height, width, plan)
    return Change(away_from(rgb, steps, start, limit, strength.typical, lambda _: None), limit)


def hatch(height: int, width: int) -> Pixels:
    """What directed methods pull towards: dark strokes in two directions on white."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    lines = np.minimum(np.abs(np.sin((x + y) / 5)), np.abs(np.sin((x - 0.6 * y) / 7)))
    return np.repeat((255 * np.clip(lines * 2, 0, 1))[..., None], 3, 2).astype(np.uint8)


def shares(rgb: Pixels, multiple: int) -> F:
    """`(3, H, W)` of 0..1, sides filled up to a multiple."""
    height, width, _ = rgb.shape
    x = np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
    return np.pad(x, ((0, 0), (0, -height % multiple), (0, -width % multiple)), mode="edge")


def pgd(rgb: Pixels, encoders: Sequence[WorkingEncoder], *, toward: Pixels | None, steps: int = 16, eps: float = 8.0) -> Change:
    """Plain projected gradient steps in colour by signs: toward another picture's latent (as Mist), or away (as PhotoGuard)."""
    height, width, _ = rgb.shape
    random = np.random.default_rng(5)
    change = random.uniform(-1, 1, (3, height, width)).astype(np.float32)
    clean = rgb.transpose(2, 0, 1).astype(np.float32)
    seen = {encoder.name: encoder.encode(shares(rgb if toward is None else toward, encoder.multiple)) for encoder in encoders}
    for step in range(steps):
        total = np.zeros_like(change)
        for encoder in encoders:
            moved = np.clip(clean + change, 0, 255) / np.float32(255)
            pads = ((0, 0), (0, -height % encoder.multiple), (0, -width % encoder.multiple))
            aims = seen[encoder.name]
            weights = [0.0] * (len(aims) - 1) + [1.0]
            _, gradient = encoder.gradient(np.pad(moved, pads, mode="edge"), aims, weights)
            gradient = gradient[:, :height, :width]
            total += gradient / (np.sqrt(np.mean(gradient**2)) + 1e-12)
        length = 0.3 * eps * (1 - 0.9 * step / steps)
        sign = np.float32(length if toward is None else -length) * np.sign(total)
        change = np.clip(change + sign, -eps, eps).astype(np.float32)
    plane = np.ascontiguousarray(change.transpose(1, 2, 0))
    return Change(unit(plane))
