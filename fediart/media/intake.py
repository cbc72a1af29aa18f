"""Untrusted bytes: is this a picture that we take? Judged here by its header alone; decoding happens in a child process."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fediart.errors import BadPicture, TooLarge

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
"""The formats we open, of the forty that Pillow knows."""

Image.MAX_IMAGE_PIXELS = None  # our own bound is checked at every open, before any pixel is read


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """`bytes` of the file and `pixels` (width times height)."""

    bytes: int
    pixels: int


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """Width and height as stored, before it is turned upright."""

    media_type: str
    width: int
    height: int


def check_header(path: Path, limits: IntakeLimits) -> PictureHeader:
    """Type and size of a picture file. Raises BadPicture or TooLarge in words for its sender."""
    size = path.stat().st_size
    if size == 0:
        raise BadPicture("This file is empty.")
    if size > limits.bytes:
        raise TooLarge(f"This file has {size / 1e6:.1f} MB; this server takes pictures up to {limits.bytes / 1e6:.0f} MB.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=tuple(FORMATS)) as picture:
                # Many phones put a second picture (depth, gain map) behind a JPEG; Pillow calls that MPO. We take the first.
                kind = "JPEG" if picture.format == "MPO" else picture.format
                width, height = picture.width, picture.height
    except Exception as problem:  # a decoder meets a stranger's bytes: whatever it raises means the same to the sender
        raise BadPicture("This is not a JPEG, PNG or WebP picture, or it is damaged.", detail=repr(problem)[:200]) from None
    if kind not in FORMATS or width < 1 or height < 1:
        raise BadPicture("This is not a JPEG, PNG or WebP picture.")
    if width * height > limits.pixels:
        raise TooLarge(
            f"This picture has {width * height / 1e6:.0f} megapixels ({width} × {height}); "
            f"this server takes up to {limits.pixels / 1e6:.0f}."
        )
    return PictureHeader(FORMATS[kind], width, height)
