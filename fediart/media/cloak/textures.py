"""Textures of one band of wavelengths, drawn anew for each picture from a seed.

White noise is filtered to a ring in the frequency plane by one FFT. Its phases are all random, so neither averaging a
portfolio nor aligning it finds a common pattern; a tile that were repeated, or shifted, would be found.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]

WORK_SIDE = 1024
"""Trainers look at pictures of about this long side, so wavelengths are counted there."""

SHORTEST, LONGEST = 6.0, 10.0
"""The band, in pixels at WORK_SIDE: what moved encoders most after half size and after a denoiser, at equal visibility."""


def generator(seed: bytes, purpose: str) -> np.random.Generator:
    """A stream of random numbers for one purpose, of 32 bytes of seed."""
    return np.random.Generator(np.random.Philox(key=np.frombuffer(seed[:16], np.uint64), counter=_counter(purpose)))


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
    """The cloak's texture for a picture of this size, -1..1.

    Two octaves: one whose wavelengths go with the picture (it is what a trainer's downscale to WORK_SIDE leaves) and,
    for larger pictures, one an octave finer for whoever takes the picture at its full size.
    """
    long_side = max(height, width)
    scale = min(1.0, WORK_SIDE / long_side)
    plane = enlarged(_at(height, width, scale, seed, "coarse"), height, width)
    if long_side > 1.5 * WORK_SIDE:
        finer = enlarged(_at(height, width, min(1.0, 2 * scale), seed, "fine"), height, width)
        plane = np.float32(0.85) * plane + np.float32(0.53) * finer
    out: Plane = np.tanh(np.float32(0.8) * plane)
    return out


def _at(height: int, width: int, scale: float, seed: bytes, purpose: str) -> Plane:
    small = (max(8, round(height * scale)), max(8, round(width * scale)))
    return band(*small, SHORTEST, LONGEST, generator(seed, purpose))
