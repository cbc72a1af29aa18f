"""The one-shot process in which a stranger's picture is decoded, cloaked and encoded, under limits.

It reads one line of JSON, writes lines of JSON (`progress`, then `result` or `error`), and ends. Whatever a decoder does
to it, the server only sees that it ended. Run as `python -m fediart.media.child`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import hmac
import io
import json
import os
import signal
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

MEMORY = 1 << 30
CPU_SECONDS = 300
OPEN_FILES = 64

MAX_SIDE, MAX_PIXELS, MAX_BYTES = 5_000, 8_294_400, 16_000_000
"""What Mastodon keeps byte for byte and Pixelfed does not drop."""

PREVIEW_SIDE = 800
BOXES = {"avatar": (400, 400), "header": (1500, 500)}

Order = dict[str, Any]
"""What was asked for, or its target, as it came in JSON: `RenderRequest` and `Target` say what is in it."""

ORIENTATION = 0x0112
"""The Exif tag that says how the camera was held: from 5 on the picture lies on its side."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def limit_self() -> None:
    """At most 1 GB, bounded processor time, low priority, and an end together with the parent."""
    import resource

    os.nice(10)
    for what, most, grace in ((resource.RLIMIT_CPU, CPU_SECONDS, 5), (resource.RLIMIT_NOFILE, OPEN_FILES, 0)):
        _limit(what, most, grace)
    # macOS has a limit of this name that it neither keeps nor always lets one set.
    with contextlib.nullcontext() if sys.platform == "linux" else contextlib.suppress(ValueError, OSError):
        _limit(resource.RLIMIT_AS, MEMORY)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no orphan goes on cloaking


def _limit(what: int, most: int, grace: int = 0) -> None:
    """Lower a limit of this process. One that is lower already (ulimit, a container) stays: it may not be raised."""
    import resource

    _, ceiling = resource.getrlimit(what)
    hard = most + grace if ceiling == resource.RLIM_INFINITY else min(most + grace, ceiling)
    resource.setrlimit(what, (min(most, hard), hard))


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def decode(path: Path, pixels: int, target: Order | None = None) -> Any:
    """An upright RGB picture in sRGB without metadata, at most as large as the public copy, or the `target`, may be."""
    from PIL import Image, ImageCms, ImageOps

    from fediart.media.intake import FORMATS

    with Image.open(path, formats=tuple(FORMATS)) as opened:
        if opened.width * opened.height > pixels:
            raise ValueError("more pixels than allowed")
        goal = public_size(opened.width, opened.height) if target is None else _goal(opened, target)
        opened.draft(None, goal)  # a JPEG of twice the goal or more is decoded at half its size; else nothing happens
        opened.load()
        profile = opened.info.get("icc_profile")
        # Made smaller before anything else is done to it: fifty megapixels are copied as seldom as can be.
        picture = ImageOps.exif_transpose(_resized(_plain(opened), goal))
    if picture.mode == "RGBA":
        # JPEG has no transparency; white is what pages of other servers mostly are.
        ground = Image.new("RGB", picture.size, "white")
        ground.paste(picture, mask=picture.getchannel("A"))
        picture = ground
    if profile and picture.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            picture = converted or picture
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile says nothing about the colours: they are taken as sRGB, as viewers do
    picture = picture.convert("RGB")
    picture.info.clear()
    return picture


def _plain(picture: Any) -> Any:
    """In a mode that can be made smaller smoothly: RGB, RGBA, CMYK or L."""
    if picture.mode in ("I;16", "I", "F"):
        picture = picture.convert("I").point(lambda value: value / 257).convert("L")
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return picture


def _resized(picture: Any, goal: tuple[int, int]) -> Any:
    from PIL import Image

    return picture if picture.size == goal else picture.resize(goal, Image.Resampling.LANCZOS, reducing_gap=2.0)


def public_size(width: int, height: int) -> tuple[int, int]:
    """The size of the public copy of a picture of this size."""
    return size_within(width, height, MAX_SIDE, MAX_SIDE, MAX_PIXELS)


def size_within(width: int, height: int, widest: int | None, highest: int | None, pixels: int | None) -> tuple[int, int]:
    """The largest size of this shape inside bounds (None: no bound), not larger than it is."""
    scale = min(
        1.0, (widest or width) / width, (highest or height) / height, ((pixels or width * height) / (width * height)) ** 0.5
    )
    # What is a whole number but for the last bits is one: 1,080 shall not become 1,079.
    return max(1, int(width * scale + 1e-6)), max(1, int(height * scale + 1e-6))


def _goal(opened: Any, target: Order) -> tuple[int, int]:
    """The size of an opened picture, as it is stored, once it fits the target, whose bounds are meant upright."""
    is_lying = opened.getexif().get(ORIENTATION, 1) >= 5
    widest, highest = target["width"], target["height"]
    box = (highest, widest) if is_lying else (widest, highest)
    return size_within(opened.width, opened.height, *box, target["pixels"])


def srgb_profile() -> bytes:
    from PIL import ImageCms

    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Its header (ICC.1, 7.2.1) tells when it was made, to the second: the same picture must give the same bytes.
    return made[:24] + bytes.fromhex("07e8 0001 0001 0000 0000 0000") + made[36:]


def encode(picture: Any, quality: int = 92, most: int | None = None) -> bytes:
    """JPEG, sRGB, without anything but pixels and the colour profile. `most` bytes: else what other servers keep."""
    from PIL import ImageFile

    # A progressive JPEG must fit into Pillow's buffer whole; its own guess, a byte a pixel, is too small for dense paint.
    ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, 3 * picture.width * picture.height)
    while True:
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, subsampling=0, optimize=True, progressive=True, icc_profile=srgb_profile())
        if out.tell() <= (most or MAX_BYTES) or quality <= 50:
            return out.getvalue()
        quality -= 8


def fitted(picture: Any, purpose: str) -> Any:
    """Cropped to what an avatar or header is; a work's picture as it is."""
    from PIL import Image, ImageOps

    if purpose not in BOXES:
        return picture
    width, height = BOXES[purpose]
    scale = min(1.0, picture.width / width, picture.height / height)
    return ImageOps.fit(picture, (max(16, int(width * scale)), max(16, int(height * scale))), Image.Resampling.LANCZOS)


def cloaked(picture: Any, original: Path, order: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import numpy as np
    from PIL import Image

    from fediart.media.cloak.backends import cloak_named

    backend = cloak_named(order["backend"])
    # One seed for one picture of one artist: the same again gives the same, another picture shares nothing.
    with original.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    seed = hmac.new(bytes.fromhex(order["secret"]), digest + order["purpose"].encode(), "sha256").digest()
    pixels, report = backend.cloak(np.asarray(picture), seed, order["strength"], lambda share: say(progress=0.2 + 0.6 * share))
    return Image.fromarray(pixels), asdict(report)


def encode_as(picture: Any, target: Order) -> bytes:
    """The file that a target asks for; the same picture gives the same bytes."""
    if target["media_type"] == "image/jpeg":
        return encode(picture, target["quality"], target["bytes"] or sys.maxsize)
    out = io.BytesIO()
    if target["media_type"] == "image/png":
        picture.save(out, "PNG", compress_level=6, icc_profile=srgb_profile())
    else:
        picture.save(out, "WEBP", quality=target["quality"], method=4, icc_profile=srgb_profile())
    return out.getvalue()


def written(picture: Any, folder: Path, kind: str, quality: int = 92) -> dict[str, Any]:
    return _put(picture, folder, kind, "image/jpeg", encode(picture, quality))


def _put(picture: Any, folder: Path, kind: str, media_type: str, data: bytes) -> dict[str, Any]:
    from fediart.media.targets import SUFFIXES

    path = folder / f"{kind}.{SUFFIXES[media_type]}"
    path.write_bytes(data)
    return {
        "kind": kind,
        "path": str(path),
        "media_type": media_type,
        "width": picture.width,
        "height": picture.height,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
    }


def render(order: dict[str, Any]) -> dict[str, Any]:
    """All renditions of one picture, or the one that a target asks for. Everything written is made from the cloaked pixels."""
    from PIL import Image

    path, folder, target = Path(order["original"]), Path(order["out"]), order.get("target")
    picture = fitted(decode(path, order["pixels"], target), order["purpose"])
    say(progress=0.2)
    report = None
    if order["cloak"]:
        picture, report = cloaked(picture, path, order)
    if target is not None:
        made = [_put(picture, folder, "copy", target["media_type"], encode_as(picture, target))]
        return {"renditions": made, "blurhash": "", "report": report, "width": picture.width, "height": picture.height}
    made = []
    if order["purpose"] != "remote":
        made.append(written(picture, folder, "public"))
    say(progress=0.9)
    preview = picture.copy()
    preview.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    made.append(written(preview, folder, "preview", 85))
    import numpy as np  # not before decoding, which needs all the memory that there is

    from fediart.media import blurhash

    tiny = preview.resize((32, max(1, min(64, round(32 * preview.height / preview.width)))), Image.Resampling.BOX)
    return {
        "renditions": made,
        "blurhash": blurhash.encode(np.asarray(tiny)),
        "report": report,
        "width": picture.width,
        "height": picture.height,
    }


def main() -> int:
    order = json.loads(sys.stdin.readline())
    limit_self()
    warnings.simplefilter("ignore")
    from fediart.errors import CloakFailed

    try:
        say(result=render(order))
    except CloakFailed as problem:
        say(error={"kind": "CloakFailed", "message": problem.message})
    except MemoryError:
        say(error={"kind": "BadPicture", "message": "This picture needs more memory than this server gives to one."})
    except Exception as problem:  # a door: whatever a decoder raises on a stranger's bytes means the same to its sender
        if isinstance(problem, OSError) and problem.errno in NO_ROOM:
            say(error={"kind": "Unavailable", "message": "There is no room on the disk now.", "detail": repr(problem)[:300]})
            return 0
        say(
            error={
                "kind": "BadPicture",
                "message": "This picture is damaged and cannot be opened.",
                "detail": repr(problem)[:300],
            }
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
