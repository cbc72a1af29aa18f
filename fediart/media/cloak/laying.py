"""A direction is laid into a picture: as strongly as its strength allows, nowhere beyond its bounds.

A direction says what to change, as a plane of luminance of root mean square 1 at the work size; how much is searched here
for each picture, because the same amplitude is seen in one picture and not in another.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from fediart.errors import CloakFailed
from fediart.media.cloak.backend import CloakBackend, CloakOrder, Pixels
from fediart.media.cloak.budget import bounds, busyness
from fediart.media.cloak.report import CloakReport
from fediart.media.cloak.strengths import FAR, NEAR, STRENGTHS, Strength
from fediart.media.cloak.textures import WORK_SIDE, Plane, generator
from fediart.media.cloak.visibility import Reference, prepare, ssim

TILE, TILES = 96, 24
"""ꟻLIP looks at this many tiles of this side at most, those that are changed most: 0.22 megapixels."""

ROWS = 256
SMALLEST_SIDE = 16
LEAST = 0.3
"""The smallest amplitude that is tried, in levels."""

WEAK = 0.75
"""Below this share of the wanted ꟻLIP a cloak is called weak."""


@dataclass(frozen=True, slots=True)
class Laid:
    """`flip` at NEAR, `flip_far` at FAR, both means over the tiles looked at; `check_seconds` of processor for looking."""

    amplitude: float
    flip: float
    flip_far: float
    worst_patch: float
    psnr: float
    ssim: float
    weak: bool
    check_seconds: float


class Watch:
    """Starts when it is made."""

    def __init__(self) -> None:
        self._began, self._cpu = time.monotonic(), time.process_time()

    def read(self) -> tuple[float, float]:
        """(seconds of wall clock, of processor)"""
        return round(time.monotonic() - self._began, 2), round(time.process_time() - self._cpu, 2)


def reported(
    backend: CloakBackend,
    order: CloakOrder,
    laid: Laid,
    watch: Watch,
    shifts: dict[str, dict[str, float]] | None = None,
) -> CloakReport:
    seconds, cpu_seconds = watch.read()
    return CloakReport(
        backend=backend.name,
        version=backend.version,
        strength=order.strength,
        flip=laid.flip,
        flip_far=laid.flip_far,
        worst_patch=laid.worst_patch,
        psnr=laid.psnr,
        ssim=laid.ssim,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        check_seconds=laid.check_seconds,
        amplitude=laid.amplitude,
        flat_cap=strength_named(order.strength).flat_cap,
        weak=laid.weak,
        encoders=list(shifts or {}),
        shifts=shifts or {},
    )


def unit(direction: Plane) -> Plane:
    """Of root mean square 1."""
    spread = float(np.sqrt(np.mean(np.square(direction, dtype=np.float64))))
    return direction / np.float32(spread if spread > 0 else 1)


def strength_named(name: str) -> Strength:
    if name not in STRENGTHS:
        raise CloakFailed(f"There is no cloak strength {name}.")
    return STRENGTHS[name]


def work_size(height: int, width: int) -> tuple[int, int]:
    """The size at which a direction is made: the picture's own, at most WORK_SIDE along the longer side.

    A ribbon keeps SMALLEST_SIDE across.
    """
    scale = min(1.0, WORK_SIDE / max(height, width))
    tall, wide = (max(min(SMALLEST_SIDE, side), round(side * scale)) for side in (height, width))
    return tall, wide


def check_size(rgb: Pixels) -> None:
    if min(rgb.shape[:2]) < SMALLEST_SIDE:
        raise CloakFailed(
            f"A picture needs at least {SMALLEST_SIDE} pixels on each side to be cloaked; this one is shown with "
            f"{rgb.shape[1]} × {rgb.shape[0]}. Use a larger one, or show it without a cloak."
        )


def source(pictures: Sequence[Pixels], order: CloakOrder) -> Pixels:
    """The picture in the size that the direction is made of. Raises CloakFailed where one is too small."""
    for rgb in pictures:
        check_size(rgb)
    return pictures[0] if order.direction_from is None else order.direction_from


def luma(rgb: Pixels) -> Plane:
    """`(height, width)` luminance 0..255, row by row so that no wide copy is made."""
    out = np.empty(rgb.shape[:2], np.float32)
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    for top in range(0, rgb.shape[0], ROWS):
        out[top : top + ROWS] = rgb[top : top + ROWS].astype(np.float32) @ weights
    return out


def apply(rgb: Pixels, change: Plane, dither: Plane) -> Pixels:
    """Add the same change (in levels) to red, green and blue; `dither` 0..1 decides how fractions are rounded."""
    # So near to 1 that adding 255 would round it up, a fraction would be a level beyond the bounds.
    dither = np.minimum(dither, np.float32(0.9998))
    return np.clip(np.floor(rgb + (change + dither)[..., None]), 0, 255).astype(np.uint8)


def bounded(direction: Plane, amplitude: float, limit: Plane) -> Plane:
    """The change in levels: amplitude times direction, cut off where it would pass the limit."""
    out: Plane = np.float32(amplitude) * direction
    return np.clip(out, -limit, limit, out=out)


class _Window:
    """Parts of a plane as if it were enlarged or made smaller to the picture's size."""

    def __init__(self, plane: Plane, height: int, width: int) -> None:
        self._picture = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
        self._tall, self._wide = plane.shape[0] / height, plane.shape[1] / width
        self._same = plane.shape == (height, width)

    def part(self, top: int, left: int, tall: int, wide: int) -> Plane:
        if self._same:
            return np.asarray(self._picture.crop((left, top, left + wide, top + tall)), np.float32)
        box = (left * self._wide, top * self._tall, (left + wide) * self._wide, (top + tall) * self._tall)
        box = (*box[:2], min(box[2], self._picture.width), min(box[3], self._picture.height))
        return np.asarray(self._picture.resize((wide, tall), Image.Resampling.BICUBIC, box=box), np.float32)


def lay(rgb: Pixels, direction: Plane, seed: bytes, strength: str, progress: Callable[[float], None]) -> tuple[Pixels, Laid]:
    """The picture with the direction in it, and what that looks like. Raises CloakFailed when nothing is left of it."""
    check_size(rgb)
    wanted = strength_named(strength)
    height, width, _ = rgb.shape
    small = work_size(height, width)
    light = luma(rgb)
    busy = busyness(light, small)
    light = _Window(light, *small).part(0, 0, *small)
    waves, calm = _Window(direction, height, width), _Window(busy, height, width)
    progress(0.1)
    started = time.process_time()
    look = _Look(rgb, waves, calm, wanted, seed)

    def most_changed(amplitude: float) -> list[tuple[int, int]]:
        return _most_changed(direction, busy, light, amplitude, wanted, (height, width))

    corners = most_changed(wanted.typical)
    found = look.search(corners, lambda share: progress(0.1 + 0.3 * share))
    # At another amplitude other places may be the ones that are changed most: the bound is for those, too.
    again = most_changed(found[0])
    if len(set(again) - set(corners)) > len(corners) // 4:
        found = min(found, look.search(again, lambda share: progress(0.4 + 0.3 * share)), key=lambda one: one[0])
    amplitude, near, far, tiles, seen = found
    similar = ssim(tiles, seen)
    check = time.process_time() - started
    out, squared = np.empty_like(rgb), 0.0
    random = generator(seed, "dither")
    for top in range(0, height, ROWS):
        rows = slice(top, min(height, top + ROWS))
        many = rows.stop - top
        limit = bounds(calm.part(top, 0, many, width), wanted.flat_cap, wanted.most)
        change = bounded(waves.part(top, 0, many, width), amplitude, limit)
        out[rows] = apply(rgb[rows], change, random.random(change.shape, dtype=np.float32))
        squared += float(((out[rows].astype(np.int16) - rgb[rows]) ** 2).sum(dtype=np.int64))
        progress(0.7 + 0.3 * rows.stop / height)
    if squared == 0:
        raise CloakFailed("The cloak left no trace in this picture.")
    flip = max(float(near.mean()), float(far.mean()))
    return out, Laid(
        amplitude=round(amplitude, 2),
        flip=round(float(near.mean()), 4),
        flip_far=round(float(far.mean()), 4),
        worst_patch=round(float(near.mean((1, 2)).max()), 4),
        psnr=round(float(10 * np.log10(255**2 / (squared / rgb.size))), 2),
        ssim=round(similar, 4),
        weak=flip < WEAK * wanted.flip,
        check_seconds=round(check, 2),
    )


def lay_all(
    pictures: Sequence[Pixels], direction: Plane, order: CloakOrder, progress: Callable[[float], None]
) -> tuple[list[Pixels], Laid]:
    """The same direction into one picture in several sizes, each as strongly as that size allows; what the first looks like."""
    made, first, check = [], None, 0.0
    pixels = [rgb.shape[0] * rgb.shape[1] for rgb in pictures]
    for at, rgb in enumerate(pictures):
        begun, share = sum(pixels[:at]) / sum(pixels), pixels[at] / sum(pixels)

        def heard(part: float, begun: float = begun, share: float = share) -> None:
            progress(begun + share * part)

        out, laid = lay(rgb, direction, order.seed, order.strength, heard)
        made.append(out)
        first = first or laid
        check += laid.check_seconds
    assert first is not None  # there is at least one size
    return made, replace(first, check_seconds=round(check, 2))


def _most_changed(
    direction: Plane, busy: Plane, light: Plane, amplitude: float, wanted: Strength, size: tuple[int, int]
) -> list[tuple[int, int]]:
    """Corners of the tiles, in pixels of the picture, on which ꟻLIP will look: those that are changed most.

    By the mean of the change itself at the work size, as far as black and white leave room for it: that costs nothing
    beside ꟻLIP.
    """
    height, width = size
    tall, wide = min(TILE, height), min(TILE, width)
    rows = np.unique(np.linspace(0, height - tall, max(1, math.ceil(height / tall))).astype(int))
    columns = np.unique(np.linspace(0, width - wide, max(1, math.ceil(width / wide))).astype(int))
    corners = [(int(y), int(x)) for y in rows for x in columns]
    if len(corners) <= TILES:
        return corners
    fitting = _Window(direction, *busy.shape).part(0, 0, *busy.shape)
    change = bounded(fitting, amplitude, bounds(busy, wanted.flat_cap, wanted.most))
    change = np.abs(np.clip(light + change, 0, 255) - light)
    sums = np.pad(change.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    scale_y, scale_x = busy.shape[0] / height, busy.shape[1] / width

    def total(corner: tuple[int, int]) -> float:
        top, left = int(corner[0] * scale_y), int(corner[1] * scale_x)
        bottom, right = max(top + 1, int((corner[0] + tall) * scale_y)), max(left + 1, int((corner[1] + wide) * scale_x))
        found = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return float(found) / ((bottom - top) * (right - left))

    return sorted(sorted(corners, key=total, reverse=True)[:TILES])


class _Look:
    """Looks at tiles of one picture with its direction in it."""

    def __init__(self, rgb: Pixels, waves: _Window, calm: _Window, wanted: Strength, seed: bytes) -> None:
        self._rgb, self._waves, self._calm, self._wanted, self._seed = rgb, waves, calm, wanted, seed

    def search(
        self, corners: Sequence[tuple[int, int]], progress: Callable[[float], None]
    ) -> tuple[float, Plane, Plane, Pixels, Pixels]:
        """The largest amplitude that is not seen more than wanted, near and far, by bisection.

        With it ꟻLIP near and far on the tiles at these corners, the tiles, and the tiles with the change in them.
        """
        height, width, _ = self._rgb.shape
        tall, wide = min(TILE, height), min(TILE, width)
        tiles = np.stack([self._rgb[y : y + tall, x : x + wide] for y, x in corners])
        waves = np.stack([self._waves.part(y, x, tall, wide) for y, x in corners])
        calm = np.stack([self._calm.part(y, x, tall, wide) for y, x in corners])
        limit = bounds(calm, self._wanted.flat_cap, self._wanted.most)
        dither = generator(self._seed, "tiles").random(waves.shape, dtype=np.float32)
        references: dict[float, Reference] = {ppd: prepare(tiles, ppd) for ppd in (NEAR, FAR)}
        low, high = LEAST, self._wanted.most
        for step in range(6):
            middle = math.sqrt(low * high)
            seen = references[NEAR].flip(apply(tiles, bounded(waves, middle, limit), dither)).mean()
            low, high = (middle, high) if seen <= self._wanted.flip else (low, middle)
            progress((step + 1) / 8)
        # What is in bounds near is in bounds far but for odd pictures; those are taken down until it is.
        while True:
            changed = apply(tiles, bounded(waves, low, limit), dither)
            near, far = references[NEAR].flip(changed), references[FAR].flip(changed)
            if far.mean() <= self._wanted.flip or low <= LEAST:
                progress(1)
                return low, near, far, tiles, changed
            low = max(LEAST, low * 0.9)
