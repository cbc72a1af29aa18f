"""The embedded cloak: a band-limited luminance texture. It needs no weights and no network.

What it is worth, and what not, was measured and is said in docs: it moves what encoders of image generators read
somewhat more than noise of equal visibility does once a picture is downscaled, an ordinary denoiser takes most of it
away, and nobody has shown that it stops anyone from training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fediart.errors import CloakFailed
from fediart.media.cloak.backend import Pixels, Progress
from fediart.media.cloak.budget import budget, busyness
from fediart.media.cloak.report import CloakReport
from fediart.media.cloak.textures import Plane, generator, texture
from fediart.media.cloak.visibility import Reference, prepare, ssim

PPD = 33.0
"""Pixels per degree: an artist who looks closely."""


@dataclass(frozen=True, slots=True)
class Strength:
    """`flip`: the wanted mean ꟻLIP. `flat_cap`: the largest change on flat areas, in levels; `most`: anywhere."""

    flip: float
    flat_cap: float
    most: float


STRENGTHS = {"light": Strength(0.035, 1.0, 7.0), "standard": Strength(0.06, 1.5, 10.0), "strong": Strength(0.10, 3.0, 18.0)}

BUSY_SHARE = 1.4
"""How many times the wanted ꟻLIP the busy places may have."""

TILE = 96
SMALLEST_SIDE = 16


def tile_corners(height: int, width: int) -> list[tuple[int, int]]:
    """Where up to 16 tiles lie, spread evenly: what visibility is measured on."""
    tall, wide = min(TILE, height), min(TILE, width)
    rows = np.linspace(0, height - tall, 4).astype(int)
    columns = np.linspace(0, width - wide, 4).astype(int)
    return list(dict.fromkeys((int(y), int(x)) for y in rows for x in columns))


class TextureCloak:
    """See the module. `cloak` is deterministic in its arguments."""

    name = "texture"
    version = 1

    def cloak(self, rgb: Pixels, seed: bytes, strength: str, progress: Progress) -> tuple[Pixels, CloakReport]:
        started, cpu = time.monotonic(), time.process_time()
        if strength not in STRENGTHS:
            raise CloakFailed(f"There is no cloak strength {strength}.")
        height, width, _ = rgb.shape
        if min(height, width) < SMALLEST_SIDE:
            raise CloakFailed(f"A picture needs at least {SMALLEST_SIDE} pixels on each side to be cloaked.")
        wanted = STRENGTHS[strength]
        pattern = texture(height, width, seed)
        progress(0.35)
        busy = busyness(_luma(rgb))
        progress(0.5)
        corners = tile_corners(height, width)
        tall, wide = min(TILE, height), min(TILE, width)
        tiles = np.stack([rgb[y : y + tall, x : x + wide] for y, x in corners])
        reference = prepare(tiles, PPD)
        tile_pattern = np.stack([pattern[y : y + tall, x : x + wide] for y, x in corners])
        tile_busy = np.stack([busy[y : y + tall, x : x + wide] for y, x in corners])
        dither = generator(seed, "tiles").random(tile_pattern.shape, dtype=np.float32)

        def cloaked_tiles(amplitude: float) -> Pixels:
            return apply(tiles, tile_pattern * budget(tile_busy, amplitude, wanted.flat_cap), dither)

        amplitude, flip = _search(reference, cloaked_tiles, tile_busy, wanted, progress)
        out = np.empty_like(rgb)
        random = generator(seed, "dither")
        squared = 0.0
        for top in range(0, height, 256):
            rows = slice(top, min(height, top + 256))
            change = pattern[rows] * budget(busy[rows], amplitude, wanted.flat_cap)
            out[rows] = apply(rgb[rows], change, random.random(change.shape, dtype=np.float32))
            squared += float(((out[rows].astype(np.int16) - rgb[rows]) ** 2).sum(dtype=np.int64))
            progress(0.85 + 0.15 * rows.stop / height)
        if squared == 0:
            raise CloakFailed("The cloak left no trace in this picture.")
        report = CloakReport(
            backend=self.name,
            version=self.version,
            strength=strength,
            flip=round(flip, 4),
            psnr=round(float(10 * np.log10(255**2 / (squared / rgb.size))), 2),
            ssim=round(ssim(tiles, cloaked_tiles(amplitude)), 4),
            seconds=round(time.monotonic() - started, 2),
            cpu_seconds=round(time.process_time() - cpu, 2),
            amplitude=round(amplitude, 2),
            flat_cap=wanted.flat_cap,
            weak=flip < 0.8 * wanted.flip,
        )
        return out, report


def _luma(rgb: Pixels) -> Plane:
    """`(height, width)` luminance 0..255, row by row so that no wide copy is made."""
    out = np.empty(rgb.shape[:2], np.float32)
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    for top in range(0, rgb.shape[0], 256):
        out[top : top + 256] = rgb[top : top + 256].astype(np.float32) @ weights
    return out


def apply(rgb: Pixels, change: Plane, dither: Plane) -> Pixels:
    """Add the same change (in levels) to red, green and blue; `dither` 0..1 decides how fractions are rounded."""
    return np.clip(np.floor(rgb + (change + dither)[..., None]), 0, 255).astype(np.uint8)


def _search(
    reference: Reference, cloaked: Callable[[float], Pixels], busy: Plane, wanted: Strength, progress: Progress
) -> tuple[float, float]:
    """The amplitude whose mean ꟻLIP comes nearest to the wanted one from below, by bisection; and that ꟻLIP.

    Where flat areas hold the mean down, the busy ones do not make up for it: theirs is bounded too.
    """
    weight = float(busy.sum())

    def seen_at(amplitude: float) -> tuple[float, bool]:
        flip = reference.flip(cloaked(amplitude))
        mean, where_busy = float(flip.mean()), float((flip * busy).sum()) / weight if weight > 0 else 0.0
        return mean, mean <= wanted.flip and where_busy <= BUSY_SHARE * wanted.flip

    low, high = 0.5, wanted.most
    best = low, seen_at(low)[0]
    for step in range(6):
        middle = float(np.sqrt(low * high))
        seen, fits = seen_at(middle)
        if fits:
            low, best = middle, (middle, seen)
        else:
            high = middle
        progress(0.5 + 0.05 * (step + 1))
    return best
