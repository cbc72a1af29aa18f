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
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fediart.domain.origin import Origin, Signal
from fediart.media.lean_png import opened_lean
from fediart.media.origin.credentials import with_credentials
from fediart.media.origin.read import read_origin, with_more
from fediart.media.origin.stealth import hidden_settings

MEMORY = 1 << 30
"""Of address space, where the order names no other."""

CPU_SECONDS = 900
"""A strong cloak of eight megapixels, steered by encoders, on a processor several times slower than what it was measured on."""

FULL_CPU_SECONDS = 6 * 3600
"""Where full encoders take part: a night's work on such a processor."""

OPEN_FILES = 64

MAX_SIDE, MAX_PIXELS, MAX_BYTES = 5_000, 8_294_400, 16_000_000
"""What Mastodon keeps byte for byte and Pixelfed does not drop."""

LARGE_SIDE, PREVIEW_SIDE = 1280, 640
"""Long sides of the smaller copies: for a page of its own, and for a stream of many."""

LEAST_SIDE = 16
"""Pixels that a cloak needs on each side (`laying.SMALLEST_SIDE`): smaller copies are not made smaller than that."""

BOXES = {"avatar": (400, 400), "header": (1500, 500)}

Order = dict[str, Any]
"""What was asked for, or its target, as it came in JSON: `RenderRequest` and `Target` say what is in it."""

ORIENTATION = 0x0112
"""The Exif tag that says how the camera was held: from 5 on the picture lies on its side."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def limit_self(memory: int = MEMORY, *, patient: bool = False, cpu_seconds: int | None = None) -> None:
    """Bounded memory (bytes) and processor time, low priority (`patient`: the lowest), and an end together with the parent."""
    if sys.platform == "win32":
        return  # it has none of these limits: there the parent's patience is the only bound
    import resource

    # Linux takes the priority on the disk from this one too (ioprio_set(2)), so it needs no word of its own.
    os.nice(19 if patient else 10)
    for what, most, grace in ((resource.RLIMIT_CPU, cpu_seconds or CPU_SECONDS, 5), (resource.RLIMIT_NOFILE, OPEN_FILES, 0)):
        lower_limit(what, most, grace)
    # macOS has a limit of this name that it neither keeps nor always lets one set.
    with contextlib.nullcontext() if sys.platform == "linux" else contextlib.suppress(ValueError, OSError):
        lower_limit(resource.RLIMIT_AS, memory)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no orphan goes on cloaking


def lower_limit(what: int, most: int, grace: int = 0) -> None:
    """Lower a limit of this process. One that is lower already (ulimit, a container) stays: it may not be raised."""
    if sys.platform == "win32":
        return
    import resource

    _, ceiling = resource.getrlimit(what)
    hard = most + grace if ceiling == resource.RLIM_INFINITY else min(most + grace, ceiling)
    resource.setrlimit(what, (min(most, hard), hard))


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def decode(path: Path, pixels: int, target: Order | None = None, look: Callable[[Any], None] | None = None) -> Any:
    """An upright RGB picture in sRGB without metadata, at most as large as the public copy, or the `target`, may be.

    `look` sees it as it was stored.
    """
    from PIL import Image, ImageCms, ImageOps

    with opened_lean(path) as file, Image.open(file, formats=_formats(path)) as opened:
        if opened.width * opened.height > pixels:
            raise ValueError("more pixels than allowed")
        goal = public_size(opened.width, opened.height) if target is None else _goal(opened, target)
        opened.draft(None, goal)  # a JPEG of twice the goal or more is decoded at half its size; else nothing happens
        opened.load()
        if look is not None:
            look(opened)
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


def _formats(path: Path) -> tuple[str, ...]:
    """Those that may be tried. HEIC's decoder is loaded only for a picture that says that it is one."""
    from fediart.media.boxes import measured
    from fediart.media.intake import FORMATS, formats_here

    with path.open("rb") as file:
        is_heic = measured(file)[0] == "HEIF"
    if not is_heic or "HEIF" not in formats_here():
        return tuple(FORMATS)
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)
    return ("HEIF",)


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


def encode(picture: Any, quality: int = 92, most: int | None = None, packet: bytes | None = None) -> bytes:
    """JPEG, sRGB, with nothing but pixels, the colour profile and our XMP packet. `most` bytes: else what other servers keep."""
    from PIL import ImageFile

    from fediart.media.xmp import saved_with

    # A progressive JPEG must fit into Pillow's buffer whole; its own guess, a byte a pixel, is too small for dense paint.
    ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, 3 * picture.width * picture.height)
    more = {"icc_profile": srgb_profile(), **saved_with("image/jpeg", packet)}
    while True:
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, subsampling=0, optimize=True, progressive=True, **more)
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
    size = max(LEAST_SIDE, int(width * scale)), max(LEAST_SIDE, int(height * scale))
    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def cloaked(
    pictures: list[Any], original: Path, order: Order, direction_from: Any | None = None
) -> tuple[list[Any], dict[str, Any]]:
    """One picture in several sizes, the largest first: each cloaked at its own size, from one direction.

    That is made of the first, or of `direction_from`: the picture in another size.
    """
    import numpy as np
    from PIL import Image

    from fediart.errors import CloakFailed
    from fediart.media.cloak.backend import CloakOrder
    from fediart.media.cloak.backends import cloak_for
    from fediart.media.memory import is_shortage

    encoders = tuple((name, Path(path)) for name, path in order["encoders"])
    backend = cloak_for(order["backend"], encoders)
    # One seed for one picture of one artist: the same again gives the same, another picture shares nothing.
    with original.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    asked = CloakOrder(
        seed=hmac.new(bytes.fromhex(order["secret"]), digest + order["purpose"].encode(), "sha256").digest(),
        strength=order["strength"],
        encoders=encoders,
        threads=order["threads"],
        progress=lambda share: say(progress=0.1 + 0.8 * share),
        scratch=Path(order["scratch"]) if order["scratch"] else None,
        direction_from=np.asarray(direction_from) if direction_from is not None else None,
    )
    try:
        made, report = backend.cloak([np.asarray(picture) for picture in pictures], asked)
    except (CloakFailed, MemoryError, OSError):
        raise
    except Exception as problem:  # a door: it may be other people's code, and the picture is not to blame for it
        if is_shortage(problem):
            raise MemoryError(repr(problem)[:300]) from None
        raise CloakFailed("The cloak failed at this picture. The server's log says why.", detail=repr(problem)[:300]) from None
    return [Image.fromarray(pixels) for pixels in made], asdict(report)


QUALITY = {"public": 92, "large": 90, "preview": 85}


def packet_of(order: Order) -> bytes | None:
    """The XMP packet that every file of this order carries: the artist's rights, where they were named."""
    from fediart.domain.rights import Rights
    from fediart.media.xmp import build_packet

    return build_packet(Rights(**order["rights"])) if order.get("rights") is not None else None


def encode_as(picture: Any, target: Order, packet: bytes | None = None) -> bytes:
    """The file that a target asks for; the same picture gives the same bytes."""
    from fediart.media.xmp import saved_with

    if target["media_type"] == "image/jpeg":
        return encode(picture, target["quality"], target["bytes"] or sys.maxsize, packet)
    out = io.BytesIO()
    more = {"icc_profile": srgb_profile(), **saved_with(target["media_type"], packet)}
    if target["media_type"] == "image/png":
        picture.save(out, "PNG", compress_level=6, **more)
    else:
        picture.save(out, "WEBP", quality=target["quality"], method=4, **more)
    return out.getvalue()


def written(picture: Any, folder: Path, kind: str, quality: int = 92, packet: bytes | None = None) -> dict[str, Any]:
    return _put(picture, folder, kind, "image/jpeg", encode(picture, quality, packet=packet))


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


def render(order: Order) -> dict[str, Any]:
    """All renditions of one picture, or the one that a target asks for. Everything that is written is made from cloaked pixels,
    each size cloaked at its own."""
    path, folder = Path(order["original"]), Path(order["out"])
    origin, hidden = _origin(path, order), []
    picture = fitted(decode(path, order["pixels"], look=lambda opened: hidden.extend(_hidden(opened, order))), order["purpose"])
    say(progress=0.1)
    if order.get("target") is not None:
        return _copy(picture, path, folder, order)
    sizes = {"public": picture, "preview": smaller(picture, PREVIEW_SIDE)}
    if order["purpose"] == "work" and max(picture.size) > LARGE_SIDE:
        sizes["large"] = smaller(picture, LARGE_SIDE)
    if order["purpose"] == "remote":
        del sizes["public"]
    width, height = picture.size
    del picture
    report = None
    if order["cloak"]:
        in_order = sorted(sizes, key=lambda kind: -max(sizes[kind].size))
        made, report = cloaked([sizes[kind] for kind in in_order], path, order)
        sizes = dict(zip(in_order, made, strict=True))
    say(progress=0.9)
    packet = packet_of(order)
    renditions = [written(shown, folder, kind, QUALITY[kind], packet) for kind, shown in sizes.items()]
    import numpy as np  # not before decoding, which needs all the memory that there is
    from PIL import Image

    from fediart.media import blurhash

    preview = sizes["preview"]
    tiny = preview.resize((32, max(1, min(64, round(32 * preview.height / preview.width)))), Image.Resampling.BOX)
    return {
        "renditions": renditions,
        "blurhash": blurhash.encode(np.asarray(tiny)),
        "report": report,
        "width": width,
        "height": height,
        "origin": asdict(with_more(origin, hidden)) if origin is not None else None,
    }


def _origin(path: Path, order: Order) -> Origin | None:
    """What the file says of how it was made, where that was asked for."""
    if not order.get("reads_origin"):
        return None
    return with_credentials(path, read_origin(path), Path(order["trust"]) if order.get("trust") else None)


def _hidden(opened: Any, order: Order) -> list[Signal]:
    return hidden_settings(opened) if order.get("reads_origin") else []


def _copy(public: Any, path: Path, folder: Path, order: Order) -> dict[str, Any]:
    """The one file that a target asks for: what was laid into the picture at its public size is laid into this one."""
    target = order["target"]
    picture = fitted(decode(path, order["pixels"], target), order["purpose"])
    report = None
    if order["cloak"]:
        (picture,), report = cloaked([picture], path, order, public)
    say(progress=0.9)
    made = _put(picture, folder, "copy", target["media_type"], encode_as(picture, target, packet_of(order)))
    return {"renditions": [made], "blurhash": "", "report": report, "width": picture.width, "height": picture.height}


def smaller(picture: Any, side: int) -> Any:
    from PIL import Image

    made = picture.copy()
    # A ribbon keeps what a cloak needs across.
    side = max(side, math.ceil(min(LEAST_SIDE, *made.size) * max(made.size) / min(made.size)))
    made.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return made


GREY, TIMES = 128, 8
"""A difference is shown as mid-grey plus eight times the change."""


def compare(order: Order) -> dict[str, Any]:
    """What a cloak changed, for its artist: the picture as it was before, and the difference to the public copy.

    Both pass the same encoder, so that what JPEG does to either is hardly seen in the difference.
    """
    import numpy as np
    from PIL import Image

    folder = Path(order["out"])
    before = written(fitted(decode(Path(order["original"]), order["pixels"]), order["purpose"]), folder, "original")
    with Image.open(before["path"], formats=("JPEG",)) as opened:
        plain = np.asarray(opened.convert("RGB"))
    with Image.open(order["public"], formats=("JPEG",)) as opened:
        if opened.size != (plain.shape[1], plain.shape[0]):
            raise ValueError("the public copy has another size")
        public = np.asarray(opened.convert("RGB"))
    shown = np.empty_like(plain)
    for top in range(0, plain.shape[0], 256):
        rows = slice(top, top + 256)
        change = public[rows].astype(np.int16) - plain[rows]
        shown[rows] = np.clip(GREY + TIMES * change, 0, 255).astype(np.uint8)
    return {"made": [before, written(Image.fromarray(shown), folder, "difference")]}


def version_of(order: Order) -> dict[str, Any]:
    """Of a backend that may be other people's: loading one is running it."""
    from fediart.media.cloak.backends import cloak_named

    return {"version": cloak_named(order["version_of"]).version}


def draw(order: Order) -> dict[str, Any]:
    """A picture to try things with, in a file."""
    from fediart.media.sample import draw_sample

    Path(order["draw"]).write_bytes(draw_sample(order["width"], order["height"]))
    return {}


def detect(order: Order) -> dict[str, Any]:
    """What installed detectors say of a picture: loading one is running it."""
    from fediart.media.detectors import look_all

    return {"said": look_all(Path(order["detect"]))}


DAMAGED = "This picture is damaged and cannot be opened. Save it anew in the program that it was made with, and add it again."
NO_MEMORY = (
    "This picture needs more memory than this server gives to one ({memory_mb:,} MB). Make it smaller, or have cloak.memory_mb "
    "in the server's settings raised; at the command line, --memory."
)
Act = Callable[[Order], dict[str, Any]]


def _wanted(order: Order) -> tuple[Act, str, str]:
    """What is asked for, and the kind and words of an error that nobody thought of."""
    if "version_of" in order:
        return version_of, "CloakFailed", "The cloak that this server's settings name cannot be loaded."
    if "detect" in order:
        return detect, "CloakFailed", "A detector cannot be loaded."
    if "draw" in order:
        return draw, "CloakFailed", "No picture could be drawn to try the cloak with."
    return compare if "public" in order else render, "BadPicture", DAMAGED


def main() -> int:
    order = json.loads(sys.stdin.readline())
    memory_mb = order.get("memory_mb", MEMORY >> 20)
    limit_self(
        memory_mb << 20,
        patient=order.get("patient", False),
        cpu_seconds=FULL_CPU_SECONDS if order.get("is_full", False) else None,
    )
    warnings.simplefilter("ignore")
    from fediart.errors import CloakFailed, EncoderFailed
    from fediart.media.memory import is_shortage

    act, kind, words = _wanted(order)
    try:
        say(result=act(order))
    except EncoderFailed as problem:
        told = {"kind": "EncoderFailed", "message": problem.message, "detail": problem.detail, "encoder": problem.encoder}
        say(error=told)
    except CloakFailed as problem:
        say(error={"kind": "CloakFailed", "message": problem.message, "detail": problem.detail})
    except Exception as problem:  # a door: whatever a decoder raises on a stranger's bytes means the same to its sender
        if isinstance(problem, OSError) and problem.errno in NO_ROOM:
            kind, words = "Unavailable", "There is no room on the disk now."
        elif is_shortage(problem):
            kind, words = "BadPicture", NO_MEMORY.format(memory_mb=memory_mb)
        if order.get("purpose") == "remote":
            words = words.split(". ")[0].rstrip(".") + "."  # who sees this one has nothing to mend it with
        say(error={"kind": kind, "message": words, "detail": repr(problem)[:300]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
