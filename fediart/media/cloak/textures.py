"""Textures of one band of wavelengths, drawn anew for each picture from a seed.

White noise is filtered to a ring in the frequency plane by one FFT. Its phases are all random, so neither averaging a
portfolio nor aligning it finds a common pattern; a tile that were repeated, or shifted, would be found.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]

WORK_SIDE = 1024
"""Trainers look at pictures of about this long side or half of it, so wavelengths are counted there."""

SHORTEST, LONGEST = 12.0, 20.0
"""The band, in pixels at WORK_SIDE. Chosen by an evaluation (docs/cloak.md): at equal visibility nothing shorter moved
encoders as far at half size, after JPEG and after a denoiser together. Longer waves lived through the denoiser better
still, but the eye takes them for blotches, which ꟻLIP does not count."""

SMALL_SIDE = 512
"""Trainers do not make pictures smaller than this; so what is smaller gets no shorter waves."""

SQUASH = 0.8
"""How hard tanh squashes the waves: it bounds the peaks, and flattens them into something like the grain of paper."""

_DRAWN = 0.5
"""Drawn at this part of WORK_SIDE and enlarged: the shortest wave still has six pixels, and the FFT a quarter to do."""


def generator(seed: bytes, purpose: str) -> np.random.Generator:
    """A stream of random numbers for one purpose, of 32 bytes of seed, all of which count."""
    key = np.frombuffer(hashlib.sha256(seed).digest()[:16], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=_counter(purpose)))


def _counter(purpose: str) -> NDArray[np.uint64]:
    return np.frombuffer(purpose.encode().ljust(32, b"\0")[:32], np.uint64)


def band(height: int, width: int, shortest: float, longest: float, random: np.random.Generator) -> Plane:
    """`(height, width)` of mean 0 and root mean square 1, with wavelengths from `shortest` to `longest` pixels only."""
    spectrum = np.fft.rfft2(random.standard_normal((height, width), dtype=np.float32))
    fy = np.fft.fftfreq(height).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(width).astype(np.float32)[None, :]
    frequency = np.sqrt(fy * fy + fx * fx)
    low, high = 1 / longest, 1 / shortest
    # Soft edges, so that the texture has no ringing that an eye could follow.
    ring = np.clip((frequency - low * 0.8) / (low * 0.2), 0, 1) * np.clip((high * 1.2 - frequency) / (high * 0.2), 0, 1)
    plane: Plane = np.fft.irfft2(spectrum * ring, s=(height, width)).astype(np.float32)
    spread = float(plane.std())
    return plane / np.float32(spread if spread > 0 else 1)


def enlarged(plane: Plane, height: int, width: int) -> Plane:
    """Resized with a cubic kernel."""
    if plane.shape == (height, width):
        return plane
    picture = Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float32)


def texture(height: int, width: int, seed: bytes) -> Plane:
    """The cloak's texture for a picture of this size, -1..1. Its wavelengths go with the picture's size, from SMALL_SIDE on."""
    unit = max(SMALL_SIDE, max(height, width)) / WORK_SIDE / _DRAWN
    # At least 16 by 16, so that a ribbon of a picture has whole waves too: it is enlarged evenly and cut.
    small = (max(16, math.ceil(height / unit)), max(16, math.ceil(width / unit)))
    plane = band(*small, SHORTEST * _DRAWN, LONGEST * _DRAWN, generator(seed, "texture"))
    out = enlarged(plane, math.ceil(small[0] * unit), math.ceil(small[1] * unit))[:height, :width]
    out = np.float32(SQUASH) * out
    return np.tanh(out, out=out)
