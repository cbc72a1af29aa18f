"""What it costs to measure a picture of 12 MP by its header, read what it says of its origin, and write its rights as XMP.

The files carry as much as real ones do: an editor's XMP of 1,500 properties, a ComfyUI graph of 400 nodes, pixels in pieces of
8 kB. Beside it: the hash of the file, which is needed anyway.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from benchmarks.report import Figure, arguments, tell
from fediart.domain.rights import Rights
from fediart.media.intake import IntakeLimits, check_header
from fediart.media.origin.read import read_origin
from fediart.media.xmp import build_packet, saved_with
from tests.hostile_origins import chunk
from tests.origin_samples import A1111_TEXT, IPTC, MAKES, comment, graph, png, saved, xmp

RIGHTS = Rights(
    creator="Ana",
    credit="Ana (@ana@art.example)",
    copyright_notice="© 2026 Ana",
    licence_url=None,
    usage_terms="No AI training.",
    web_statement="https://art.example/@ana/rights",
    data_mining="DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
    digital_source_type=f"{IPTC}digitalCreation",
    tdm_reservation=1,
    tdm_policy="https://art.example/tdm-policy.json",
)


def files(width: int) -> dict[str, bytes]:
    height = width * 3 // 4
    random = np.random.default_rng(1)
    coarse = Image.fromarray(random.integers(0, 256, (300, 400, 3), dtype=np.uint8)).resize((width, height))
    picture = Image.fromarray(np.clip(np.asarray(coarse) + random.integers(-6, 7, (height, width, 3)), 0, 255).astype(np.uint8))
    ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, 3 * width * height)
    packet = xmp("".join(f"<xmp:P{number}>some words</xmp:P{number}>" for number in range(1_500)))
    exif = comment(A1111_TEXT)
    whole = png({"prompt": graph(*MAKES * 80), "workflow": graph(*MAKES * 80)}, shown=picture, compress_level=1)
    return {
        "jpeg": saved(picture, "JPEG", quality=92, exif=exif, xmp=packet),
        "webp": saved(picture, "WEBP", quality=90, method=0, exif=exif, xmp=packet),
        "png": _in_small_pieces(whole),
    }


def _in_small_pieces(data: bytes) -> bytes:
    out, position = [data[:8]], 8
    while position < len(data):
        size, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + size]
        parts = [body] if kind != b"IDAT" else [body[start : start + 8_192] for start in range(0, len(body), 8_192)]
        out += [chunk(kind, part) for part in parts]
        position += 12 + size
    return b"".join(out)


def cpu_ms(act: Callable[[], Any], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        act()
        taken.append(1_000 * (time.process_time() - start))
    return statistics.median(taken)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--width", type=int, default=4_000, help="of the pictures; their height is three quarters of it")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    limits = IntakeLimits(1 << 30, 1 << 30)
    figures: list[Figure] = []
    writing = cpu_ms(lambda: saved_with("image/jpeg", build_packet(RIGHTS)), args.rounds)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files(args.width).items():
            path = Path(folder, name)
            path.write_bytes(data)
            sha256 = hashlib.sha256(data).hexdigest()
            if read_origin(path).level is None:
                raise SystemExit(f"nothing was found in the {name}")
            header = cpu_ms(partial(check_header, path, limits), args.rounds)
            reading = cpu_ms(partial(read_origin, path, sha256=sha256), args.rounds)
            hashing = cpu_ms(partial(hashlib.sha256, data), args.rounds)
            figures += [
                Figure(f"{name}_all_ms", f"{name}: header, origin and XMP", header + reading + writing, "ms", most=20),
                Figure(f"{name}_header_ms", f"{name}: header", header, "ms"),
                Figure(f"{name}_origin_ms", f"{name}: origin", reading, "ms"),
                Figure(f"{name}_hash_ms", f"{name}: hash, needed anyway", hashing, "ms"),
            ]
    figures.append(Figure("xmp_ms", "a packet of rights", writing, "ms"))
    tell("origin", figures, pixels=args.width * args.width * 3 // 4)


if __name__ == "__main__":
    main()
