"""The cloak test: what a cloak of pictures must stand, as a function, so that impostors can be sent through it too.

`complaints(cloak)` is empty for a cloak that holds, and otherwise says, in a sentence each, what it does not do. Four
things are asked: that it moves the probe further than white noise that is as visible, that flat areas keep their cap,
that no two pictures share a pattern, and that a stranger gains nothing by averaging a portfolio.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fediart.media.cloak.backend import CloakOrder
from fediart.media.cloak.laying import TILE
from fediart.media.cloak.strengths import NEAR, STRENGTHS
from fediart.media.cloak.texture import TextureCloak
from fediart.media.cloak.visibility import prepare
from tests.pictures import KINDS
from tests.probe import shift

Pixels = NDArray[np.uint8]
Signal = NDArray[np.float64]
Cloak = Callable[[Pixels, bytes], Pixels]
"""A picture and 32 bytes of secret → the picture cloaked at strength `standard`."""

SIZE = (560, 420)
TRIED = ("painting", "cel", "sky", "photograph")

OVER_GREY, OVER_COLOUR = 1.1, 1.6
"""How many times the shift of noise of equal ꟻLIP each picture must have at half size: luminance noise, colour noise."""
MEAN_OVER_GREY, MEAN_OVER_COLOUR = 1.5, 2.4
"""And their geometric mean over the pictures."""

ALIKE, ALIKE_ALIGNED = 0.06, 0.2
"""Largest correlation of two patterns: as they lie, and after the shift that makes them most alike. What chance gives
is .02 and .08 here: a pattern of this band has some thousand independent places in a picture of this size."""

TAKEN_AWAY = 0.05
"""Share of the pattern's energy that averaging a portfolio may take away."""


def seed(number: int) -> bytes:
    return number.to_bytes(32, "big")[::-1]


def standard(rgb: Pixels, secret: bytes) -> Pixels:
    return TextureCloak().cloak([rgb], CloakOrder(secret, "standard"))[0][0]


def complaints(cloak: Cloak) -> list[str]:
    pictures = {kind: KINDS[kind](*SIZE, 5) for kind in TRIED}
    cloaked = {kind: cloak(rgb, seed(number)) for number, (kind, rgb) in enumerate(pictures.items())}
    return [
        *not_above_noise(pictures, cloaked),
        *too_strong_on_flats(pictures, cloaked),
        *sharing(pictures, cloaked, cloak),
        *averaged_out(cloak),
    ]


# --- the shift against noise of equal visibility


class Sight:
    """Looks at one picture, on every other tile of those that the cloak looks at."""

    def __init__(self, rgb: Pixels) -> None:
        height, width, _ = rgb.shape
        tops, lefts = (np.linspace(0, length - TILE, 4).astype(int) for length in (height, width))
        self.corners = [(y, x) for y in tops for x in lefts][::2]
        self.reference = prepare(self.cut(rgb), NEAR)

    def cut(self, plane: NDArray[Any]) -> NDArray[Any]:
        return np.stack([plane[y : y + TILE, x : x + TILE] for y, x in self.corners])

    def flip(self, changed: Pixels) -> float:
        """Mean ꟻLIP of a changed copy."""
        return float(self.reference.flip(self.cut(changed)).mean())


def noise_as_visible_as(changed: Pixels, rgb: Pixels, channels: int, number: int) -> Pixels:
    """The picture with white noise, the same in all colours (1 channel) or in each its own (3), of the same mean ꟻLIP."""
    random = np.random.default_rng(number)
    wave = random.standard_normal((*rgb.shape[:2], channels), dtype=np.float32)
    dither = random.random((*rgb.shape[:2], 1), dtype=np.float32)

    def noisy(plain: NDArray[Any], waves: NDArray[Any], dithers: NDArray[Any], amplitude: float) -> Pixels:
        out: Pixels = np.clip(np.floor(plain + np.float32(amplitude) * waves + dithers), 0, 255).astype(np.uint8)
        return out

    sight = Sight(rgb)
    wanted = sight.flip(changed)
    tiles = [sight.cut(plane) for plane in (rgb, wave, dither)]
    low, high = 0.1, 30.0
    for _ in range(8):
        middle = (low * high) ** 0.5
        seen = float(sight.reference.flip(noisy(tiles[0], tiles[1], tiles[2], middle)).mean())
        low, high = (middle, high) if seen <= wanted else (low, middle)
    # The upper end: never less visible than the cloak, so that the comparison does not favour the cloak.
    return noisy(rgb, wave, dither, high)


def half_size(rgb: Pixels) -> Pixels:
    height, width, _ = rgb.shape
    return np.asarray(Image.fromarray(rgb).resize((width // 2, height // 2), Image.Resampling.LANCZOS))


def not_above_noise(pictures: dict[str, Pixels], cloaked: dict[str, Pixels]) -> list[str]:
    found = []
    for name, channels, least, mean in (
        ("luminance", 1, OVER_GREY, MEAN_OVER_GREY),
        ("colour", 3, OVER_COLOUR, MEAN_OVER_COLOUR),
    ):
        ratios = []
        for kind, rgb in pictures.items():
            noise = noise_as_visible_as(cloaked[kind], rgb, channels, 7)
            plain = half_size(rgb)
            ratio = shift(half_size(cloaked[kind]), plain) / shift(half_size(noise), plain)
            ratios.append(ratio)
            if ratio < least:
                found.append(f"{kind}: moves the probe {ratio:.2f} times as far as {name} noise, not {least}")
        typical = float(np.exp(np.mean(np.log(ratios))))
        if typical < mean:
            found.append(f"on the whole it moves the probe {typical:.2f} times as far as {name} noise, not {mean}")
    return found


# --- flat areas


def flat(rgb: Pixels) -> NDArray[np.bool_]:
    """Where nothing at all happens within 12 pixels."""
    grey = Image.fromarray(rgb).convert("L")
    high, low = (np.asarray(grey.filter(kind(25))).astype(int) for kind in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
    found: NDArray[np.bool_] = high - low <= 8
    return found


def too_strong_on_flats(pictures: dict[str, Pixels], cloaked: dict[str, Pixels]) -> list[str]:
    cap = STRENGTHS["standard"].flat_cap
    found = []
    for kind in ("cel", "sky"):
        where = flat(pictures[kind])
        change = np.abs(cloaked[kind].astype(int) - pictures[kind])[where]
        if change.mean() > cap or change.max() > np.ceil(cap):
            found.append(f"{kind}: flat areas change by {change.mean():.2f} levels, at most {change.max()}; the cap is {cap}")
    return found


# --- patterns that can be found again


def pattern(plain: Pixels, changed: Pixels) -> Signal:
    """What the cloak added, of mean 0."""
    difference: Signal = (changed.astype(np.float64) - plain).mean(-1)
    difference -= difference.mean()
    return difference


def likeness(first: Signal, second: Signal) -> tuple[float, float]:
    """Normalised cross-correlation: as they lie, and the largest over all shifts."""
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    product = np.fft.rfft2(first) * np.conj(np.fft.rfft2(second))
    everywhere = np.abs(np.fft.irfft2(product, s=first.shape)) / size
    return float(everywhere[0, 0]), float(everywhere.max())


def sharing(pictures: dict[str, Pixels], cloaked: dict[str, Pixels], cloak: Cloak) -> list[str]:
    patterns = {kind: pattern(rgb, cloaked[kind]) for kind, rgb in pictures.items()}
    again = pictures["painting"]
    patterns["painting with another secret"] = pattern(again, cloak(again, seed(99)))
    found, names = [], list(patterns)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            lying, aligned = likeness(patterns[one], patterns[other])
            if lying > ALIKE or aligned > ALIKE_ALIGNED:
                found.append(f"{one} and {other} share a pattern: {lying:.2f}, aligned {aligned:.2f}")
    return found


# --- a stranger averages a portfolio


def averaged_out(cloak: Cloak, many: int = 30) -> list[str]:
    """What is added is estimated as the mean of the fine detail of many calm pictures, as it lies and aligned."""
    plain = [KINDS["sky"](256, 192, number) for number in range(many)]
    cloaked = [cloak(rgb, seed(200 + number)) for number, rgb in enumerate(plain)]
    details = []
    for rgb in cloaked:
        grey = rgb.astype(np.float64).mean(-1)
        details.append(grey - _blurred(grey))
    found = []
    for way in ("as they lie", "aligned"):
        taken = _taken_away(plain, cloaked, details, align=way == "aligned")
        if taken > TAKEN_AWAY:
            found.append(f"averaging {many} pictures {way} takes away {taken:.0%} of the pattern")
    return found


def _blurred(plane: Signal, deviation: float = 6) -> Signal:
    """By a Gaussian; beyond its edges the plane is mirrored."""
    edge = int(4 * deviation)
    wide = np.pad(plane, edge, mode="reflect")
    fy, fx = np.fft.fftfreq(wide.shape[0])[:, None], np.fft.rfftfreq(wide.shape[1])[None, :]
    bell = np.exp(-2 * (np.pi * deviation) ** 2 * (fy * fy + fx * fx))
    out: Signal = np.fft.irfft2(np.fft.rfft2(wide) * bell, s=wide.shape)
    return out[edge:-edge, edge:-edge]


def _taken_away(plain: list[Pixels], cloaked: list[Pixels], details: list[Signal], *, align: bool) -> float:
    mean, moved = details[0], [(0, 0)]
    for number, detail in enumerate(details[1:], 1):
        product = np.fft.rfft2(mean) * np.conj(np.fft.rfft2(detail))
        phase = np.fft.irfft2(product / np.maximum(np.abs(product), 1e-9), s=mean.shape)
        by = np.unravel_index(int(np.argmax(phase)), phase.shape) if align else (0, 0)
        moved.append((int(by[0]), int(by[1])))
        mean = (mean * number + np.roll(detail, moved[-1], (0, 1))) / (number + 1)
    shares = []
    for rgb, changed, (down, right) in zip(plain, cloaked, moved, strict=True):
        true = pattern(rgb, changed)
        guess = np.roll(mean, (-down, -right), (0, 1))
        # Subtracted at the best strength, a guess takes away the square of its correlation.
        shares.append(float((true * guess).sum() ** 2 / ((true**2).sum() * (guess**2).sum())))
    return float(np.mean(shares))
