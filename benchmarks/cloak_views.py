"""What becomes of a picture before an encoder sees it: names and functions."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks.denoise import nlm, tv

Pixels = NDArray[np.uint8]
View = Callable[[Pixels], Pixels]


def jpeg(rgb: Pixels, quality: int) -> Pixels:
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=quality)
    with Image.open(out) as opened:
        return np.asarray(opened)


def within(rgb: Pixels, long_side: float) -> Pixels:
    """Made smaller, as trainers and servers do; never larger."""
    height, width, _ = rgb.shape
    scale = long_side / max(height, width)
    if scale >= 1:
        return rgb
    size = max(16, round(width * scale)), max(16, round(height * scale))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


def blurred(rgb: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(1)))


def noisy(rgb: Pixels) -> Pixels:
    noise = np.random.default_rng(77).normal(0, 0.05 * 255, rgb.shape)
    return np.clip(np.rint(rgb + noise), 0, 255).astype(np.uint8)


def mastodon(rgb: Pixels) -> Pixels:
    """Mastodon keeps what is small enough; a picture that it makes smaller is saved at quality 90."""
    pixels = rgb.shape[0] * rgb.shape[1]
    return jpeg(within(rgb, max(rgb.shape) * min(1.0, (8_294_400 / pixels) ** 0.5)), 90)


def pixelfed(rgb: Pixels) -> Pixels:
    """Pixelfed's 1,080 pixels at quality 80, its settings as they come."""
    return jpeg(within(rgb, 1080), 80)


VIEWS: dict[str, View] = {
    "clean": lambda rgb: rgb,
    "jpeg 90": lambda rgb: jpeg(rgb, 90),
    "jpeg 75": lambda rgb: jpeg(rgb, 75),
    "half": lambda rgb: within(rgb, max(rgb.shape) / 2),
    "1024": lambda rgb: within(rgb, 1024),
    "768": lambda rgb: within(rgb, 768),
    "512": lambda rgb: within(rgb, 512),
    "blur": blurred,
    "noise": noisy,
    "tv": tv,
    "nlm": nlm,
    "mastodon": mastodon,
    "pixelfed": pixelfed,
}
SMALLER = {"1024": 1024, "768": 768, "512": 512}


def views_for(long_side: int) -> list[str]:
    """Those that differ from `clean` for pictures of this long side."""
    return [name for name in VIEWS if name not in SMALLER or SMALLER[name] < long_side]
