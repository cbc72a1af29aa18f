"""Untrusted bytes: is this a picture that we take? Judged here by its header alone; decoding happens in a child process.

All but WebP are measured by a few lines of our own: Pillow goes through all that stands before the pixels, and unpacks what a
PNG has as text. A million empty chunks would keep the server busy for seconds, and a field that is too large would have the
picture refused.
"""

from __future__ import annotations

import importlib.util
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from fediart.errors import BadPicture, TooLarge
from fediart.media.boxes import measured

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "AVIF": "image/avif"}
"""The formats we open, of the forty that Pillow knows. Of what moves, the first picture."""

HEIC = "image/heic"
NO_HEIC = (
    "This is a HEIC picture, as iPhones take them, and this server does not read those. Save it as JPEG and add it again; "
    "whoever runs the server can install fediart[heic]."
)


def formats_here() -> dict[str, str]:
    """FORMATS, and HEIC where the extra `fediart[heic]` is installed."""
    return {**FORMATS, "HEIF": HEIC} if importlib.util.find_spec("pillow_heif") is not None else FORMATS


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
    formats = formats_here()
    if kind == "HEIF" and kind not in formats:
        raise BadPicture(NO_HEIC)
    if kind not in formats or width < 1 or height < 1:
        raise BadPicture("This is not a JPEG, PNG, WebP, GIF or AVIF picture, or it is damaged.")
    if width * height > limits.pixels:
        raise TooLarge(
            f"This picture has {width * height / 1e6:.0f} megapixels ({width} × {height}); "
            f"this server takes up to {limits.pixels / 1e6:.0f}."
        )
    return PictureHeader(formats[kind], width, height)


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
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ("GIF", *_gif_size(file, head))
    if head[4:8] == b"ftyp":
        return measured(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=("WEBP",)) as picture:
                return "WEBP", picture.width, picture.height
    except Exception:  # a decoder meets a stranger's bytes: whatever it raises means the same to the sender
        return "", 0, 0


MAX_BLOCKS = 20_000
"""Before a GIF's first picture: words, and what programs note. XMP of some kilobytes takes a thousand."""


def _gif_size(file: BinaryIO, head: bytes) -> tuple[int, int]:
    """The canvas that holds the first picture (GIF89a, 18 and 20), or (0, 0): a picture may lie beyond the screen."""
    width, height, flags = struct.unpack("<HHB", head[6:11]) if len(head) >= 13 else (0, 0, 0)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    is_inside = False
    for _ in range(MAX_BLOCKS):
        file.seek(at)
        block = file.read(10)
        if is_inside:
            at += 1 + (block[0] if block else 0)
            is_inside = block[:1] not in (b"", b"\0")
        elif len(block) == 10 and block[0] == 0x2C:
            left, top, wide, high = struct.unpack("<HHHH", block[1:9])
            return max(width, left + wide), max(height, top + high)
        elif block[:1] == b"\x21":
            at, is_inside = at + 2, True
        else:
            break
    return 0, 0


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
