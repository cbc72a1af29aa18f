"""Untrusted bytes: is this a picture that we take? Judged here by its header alone; decoding happens in a child process.

PNG and JPEG are measured by a few lines of our own: Pillow goes through all that stands before the pixels, and unpacks what a
PNG has as text. A million empty chunks would keep the server busy for seconds, and a field that is too large would have the
picture refused.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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
    with path.open("rb") as file:
        kind, width, height = _measured(file)
    if kind not in FORMATS or width < 1 or height < 1:
        raise BadPicture("This is not a JPEG, PNG or WebP picture, or it is damaged.")
    if width * height > limits.pixels:
        raise TooLarge(
            f"This picture has {width * height / 1e6:.0f} megapixels ({width} × {height}); "
            f"this server takes up to {limits.pixels / 1e6:.0f}."
        )
    return PictureHeader(FORMATS[kind], width, height)


def _measured(file: BinaryIO) -> tuple[str, int, int]:
    """(format, width, height). A format of '' or a side of 0: it is none of ours, or damaged."""
    head = file.read(33)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height, depth, colour = struct.unpack(">IIBB", head[16:26]) if len(head) == 33 else (0, 0, 0, 0)
        is_whole = head[8:16] == b"\0\0\0\x0dIHDR" and depth in _DEPTHS.get(colour, ())
        return ("PNG", width, height) if is_whole else ("", 0, 0)
    if head.startswith(b"\xff\xd8"):
        # Many phones put a second picture (depth, gain map) behind a JPEG. We take the first.
        return ("JPEG", *_jpeg_size(file))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=("WEBP",)) as picture:
                return "WEBP", picture.width, picture.height
    except Exception:  # a decoder meets a stranger's bytes: whatever it raises means the same to the sender
        return "", 0, 0


_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits a sample, by PNG's colour type (w3.org/TR/png-3, 11.2.1)."""

MAX_SEGMENTS = 10_000
"""Before a JPEG's frame. Content Credentials of some megabytes take a hundred; each filling byte counts as one."""


def _jpeg_size(file: BinaryIO) -> tuple[int, int]:
    """As its frame says (ITU T.81, B.2.2), or (0, 0)."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        file.seek(position)
        head = file.read(9)
        if len(head) < 9 or head[0] != 0xFF:
            break
        if head[1] == 0xFF:
            position += 1
        elif 0xC0 <= head[1] <= 0xCF and head[1] not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(head[7:9]), int.from_bytes(head[5:7])
        else:
            position += 2 + max(2, int.from_bytes(head[2:4]))
    return 0, 0
