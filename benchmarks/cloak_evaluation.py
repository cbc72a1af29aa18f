"""Which texture moves encoders most at equal visibility? Prints tables; changes nothing.

    python -m benchmarks.cloak_evaluation [--encoders DIR] [--pictures DIR] [--ppd 33] [--sizes 1024] [--map]

Each pattern is scaled until its mean ꟻLIP to the picture is the wanted one, added with dither, and the picture is then
looked at as a trainer would: downscaled, after JPEG 75, after a denoiser. Printed is d × 100, the undirected shift
100 · |E(x') - E(x)| / |E(x)| with both pictures treated alike, as mean over the pictures, and in the last column the
geometric mean, over all views and encoders, of d relative to luminance noise.

Encoders: `tests/probe`, and with --encoders every `.pth` file of the TAESD family in that folder.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.encoders import Encoder, encoder
from fediart.media.cloak import textures
from fediart.media.cloak.budget import bounds, busyness
from fediart.media.cloak.laying import apply, luma
from fediart.media.cloak.textures import WORK_SIDE, band, enlarged
from fediart.media.cloak.visibility import prepare
from tests.pictures import KINDS
from tests.probe import encode as probe

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
Drawer = Callable[[int, int, np.random.Generator], Plane]

TILE, TILES = 96, 5
WANTED = {33.0: 0.06, 67.0: 0.04}
FLAT_CAP, MOST = 1.5, 10.0


# --- patterns: (height, width, random) → mean 0, root mean square 1; (height, width, 3) for colour noise


def _unit(plane: Plane) -> Plane:
    plane = plane - plane.mean()
    return (plane / plane.std()).astype(np.float32)


def colour_noise(height: int, width: int, random: np.random.Generator) -> Plane:
    return _unit(random.uniform(-1, 1, (height, width, 3)).astype(np.float32))


def noise(height: int, width: int, random: np.random.Generator) -> Plane:
    return _unit(random.standard_normal((height, width), dtype=np.float32))


def blocks(height: int, width: int, random: np.random.Generator) -> Plane:
    small = random.standard_normal((height // 2 + 1, width // 2 + 1), dtype=np.float32)
    return _unit(small.repeat(2, 0).repeat(2, 1)[:height, :width])


def ring(height: int, width: int, shortest: float, longest: float, random: np.random.Generator) -> Plane:
    """One band, wavelengths in pixels of the picture; drawn small and enlarged where they are long, as the cloak does."""
    scale = min(1.0, 6.0 / shortest)
    small = band(max(8, round(height * scale)), max(8, round(width * scale)), shortest * scale, longest * scale, random)
    return _unit(enlarged(small, height, width))


def mixture(parts: list[tuple[float, float, float]], squash: float) -> Drawer:
    """Bands as (weight, shortest, longest), wavelengths at WORK_SIDE; then tanh (0 = none)."""

    def draw(height: int, width: int, random: np.random.Generator) -> Plane:
        unit = max(1.0, max(height, width) / WORK_SIDE)
        plane = sum(w * ring(height, width, low * unit, high * unit, random) for w, low, high in parts)
        plane = _unit(np.asarray(plane, np.float32))
        return _unit(np.tanh(np.float32(squash) * plane)) if squash else plane

    return draw


def as_shipped(height: int, width: int, random: np.random.Generator) -> Plane:
    return textures.texture(height, width, random.bytes(32))


def patterns(names: list[str]) -> dict[str, Drawer]:
    """By name: `noise`, `2x2`, `colour`, `shipped`, or bands such as `6-10`, `6-10+12-20*.7~.8` (weight *, tanh ~)."""
    known: dict[str, Drawer] = {"noise": noise, "2x2": blocks, "colour": colour_noise, "shipped": as_shipped}
    out = {}
    for name in names:
        if name in known:
            out[name] = known[name]
            continue
        bands, _, squash = name.partition("~")
        parts = []
        for one in bands.split("+"):
            wavelengths, _, weight = one.partition("*")
            low, high = (float(value) for value in wavelengths.split("-"))
            parts.append((float(weight or 1), low, high))
        out[name] = mixture(parts, float(squash or 0))
    return out


# --- what a trainer sees


def downscaled(rgb: Pixels, long_side: int) -> Pixels:
    height, width, _ = rgb.shape
    scale = long_side / max(height, width)
    if scale >= 1:
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS))


def jpeg(rgb: Pixels, quality: int = 75) -> Pixels:
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def tv(rgb: Pixels, weight: float = 0.06, rounds: int = 40) -> Pixels:
    """Total variation denoising after Chambolle (2004)."""
    x = rgb.astype(np.float32) / np.float32(255)
    py, px = np.zeros_like(x), np.zeros_like(x)
    for _ in range(rounds):
        divergence = -py - px
        divergence[1:] += py[:-1]
        divergence[:, 1:] += px[:, :-1]
        out = x + divergence
        gy, gx = np.zeros_like(x), np.zeros_like(x)
        gy[:-1], gx[:, :-1] = np.diff(out, axis=0), np.diff(out, axis=1)
        norm = 1 + np.float32(0.25 / weight) * np.sqrt((gy * gy + gx * gx).sum(-1, keepdims=True))
        py, px = (py - np.float32(0.25) * gy) / norm, (px - np.float32(0.25) * gx) / norm
    return np.clip(np.rint(out * 255), 0, 255).astype(np.uint8)


VIEWS: dict[str, Callable[[Pixels], Pixels]] = {
    "full": lambda rgb: rgb,
    "1024": lambda rgb: downscaled(rgb, 1024),
    "half": lambda rgb: downscaled(rgb, max(rgb.shape) // 2),
    "512": lambda rgb: downscaled(rgb, 512),
    "512 jpeg": lambda rgb: jpeg(downscaled(rgb, 512)),
    "512 tv": lambda rgb: tv(downscaled(rgb, 512)),
}
DEAR = 0.4e6
"""Views with more pixels are shown to the cheap encoders only (an encoder with a 64-channel stage at full size is dear)."""


def shift(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return 100 * float(np.linalg.norm(first - second) / np.linalg.norm(second))


# --- one picture


@dataclass(frozen=True, slots=True)
class Task:
    label: str
    path: Path | None
    size: int
    ppd: float
    wanted: float
    mapped: bool
    methods: list[str]
    views: list[str]
    encoders: Path | None
    seed: int


def load(task: Task) -> Pixels:
    if task.path is None:
        return KINDS[task.label](task.size, task.size * 3 // 4, task.seed)
    with Image.open(task.path) as opened:
        picture = opened.convert("RGB")
    scale = task.size / max(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def encoders_of(folder: Path | None) -> dict[str, Encoder]:
    found: dict[str, Encoder] = {"probe": probe}
    for path in sorted(folder.glob("*.pth")) if folder else []:
        found[path.stem.removesuffix("_encoder")] = encoder(path)
    return found


def scaled(rgb: Pixels, pattern: Plane, busy: Plane | None, task: Task) -> tuple[Pixels, float, float]:
    """The picture with the pattern at the wanted ꟻLIP, that ꟻLIP, and the amplitude."""
    height, width, _ = rgb.shape
    corners = [
        (int(y), int(x))
        for y in np.linspace(0, height - TILE, TILES).astype(int)
        for x in np.linspace(0, width - TILE, TILES).astype(int)
    ]
    random = np.random.default_rng(task.seed + 1)
    dither = random.random((height, width), dtype=np.float32)

    def cut(plane: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.stack([plane[y : y + TILE, x : x + TILE] for y, x in corners])

    def cloaked(part: Pixels, wave: Plane, calm: Plane | None, rounding: Plane, amplitude: float) -> Pixels:
        change = wave * (
            np.float32(amplitude)
            if calm is None
            else np.minimum(bounds(calm, FLAT_CAP, MOST), amplitude)[(...,) + (None,) * (wave.ndim - calm.ndim)]
        )
        if change.ndim == part.ndim:  # colour
            return np.clip(np.floor(part + change + rounding[..., None]), 0, 255).astype(np.uint8)
        return apply(part, change, rounding)

    tiles, waves, roundings = cut(rgb), cut(pattern), cut(dither)
    calms = None if busy is None else cut(busy)
    reference = prepare(tiles, task.ppd)
    low, high = 0.1, 60.0
    for _ in range(11):
        middle = (low * high) ** 0.5
        seen = float(reference.flip(cloaked(tiles, waves, calms, roundings, middle)).mean())
        low, high = (middle, high) if seen <= task.wanted else (low, middle)
    seen = float(reference.flip(cloaked(tiles, waves, calms, roundings, low)).mean())
    return cloaked(rgb, pattern, busy, dither, low), seen, low


def measured(task: Task) -> dict[str, object]:
    rgb = load(task)
    height, width, _ = rgb.shape
    nets = encoders_of(task.encoders)
    busy = busyness(luma(rgb)) if task.mapped else None
    clean: dict[tuple[str, str], NDArray[np.float32]] = {}
    rows: dict[str, object] = {}
    for method, draw in patterns(task.methods).items():
        pattern = draw(height, width, np.random.default_rng(task.seed + 2))
        out, seen, amplitude = scaled(rgb, pattern, busy, task)
        error = (out.astype(np.float32) - rgb) ** 2
        shifts = {}
        for view in task.views:
            looked, plain = VIEWS[view](out), None
            for name, net in nets.items():
                if looked.shape[0] * looked.shape[1] > DEAR and name not in ("probe", "taesana"):
                    continue
                if (view, name) not in clean:
                    plain = VIEWS[view](rgb) if plain is None else plain
                    clean[view, name] = net(plain)
                shifts[f"{name} {view}"] = shift(net(looked), clean[view, name])
        rows[method] = {"flip": seen, "amplitude": amplitude, "psnr": float(10 * np.log10(255**2 / error.mean())), "d": shifts}
    return {"picture": task.label, "size": task.size, "ppd": task.ppd, "methods": rows}


def table(results: list[dict[str, object]], methods: list[str], base: str) -> None:
    rows = [result["methods"] for result in results]
    columns = list(rows[0][methods[0]]["d"])  # type: ignore[index]
    print("| method | ꟻLIP | PSNR | " + " | ".join(columns) + f" | × {base} |")
    print("|---" * (len(columns) + 4) + "|")
    for method in methods:
        mine = [row[method] for row in rows]  # type: ignore[index]
        theirs = [row[base] for row in rows]  # type: ignore[index]
        cells = [f"{np.mean([m['d'][c] for m in mine]):.1f}" for c in columns]
        ratio = np.exp(np.mean([np.log(m["d"][c] / t["d"][c]) for m, t in zip(mine, theirs, strict=True) for c in columns]))
        flip, psnr = np.mean([m["flip"] for m in mine]), np.mean([m["psnr"] for m in mine])
        print(f"| {method} | {flip:.3f} | {psnr:.1f} | " + " | ".join(cells) + f" | {ratio:.2f} |")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--encoders", type=Path, help="folder of .pth encoders of the TAESD family")
    parser.add_argument("--pictures", type=Path, help="folder of pictures to use besides the drawn ones, where large enough")
    parser.add_argument("--sizes", default="512,1024,2048")
    parser.add_argument("--ppd", default="33,67")
    parser.add_argument("--flip", type=float, help="wanted mean ꟻLIP; default .06 at 33 and .04 at 67 pixels per degree")
    parser.add_argument("--map", action="store_true", help="under the cloak's budget, with its cap on flat areas")
    parser.add_argument("--methods", default="noise,2x2,colour,shipped,6-10~.8,12-20~.8")
    parser.add_argument("--views", default=",".join(VIEWS))
    parser.add_argument("--base", default="noise")
    parser.add_argument("--only", default="", help="kinds of drawn pictures, by comma; default all")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write every figure there")
    options = parser.parse_args()
    methods, every = options.methods.split(","), []
    kinds = options.only.split(",") if options.only else list(KINDS)
    sources: list[tuple[str, Path | None]] = [(kind, None) for kind in kinds if kind in KINDS]
    if options.pictures:
        sources += [(path.stem, path) for path in sorted(options.pictures.iterdir())]

    def large_enough(path: Path | None, size: int) -> bool:
        """A picture that had to be enlarged has nothing at its finest scale: it is left out."""
        return path is None or max(Image.open(path).size) >= size

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # the processes share the cores among themselves; spawned, they load numpy after this
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        for ppd in (float(value) for value in options.ppd.split(",")):
            for size in (int(value) for value in options.sizes.split(",")):
                wanted = options.flip or WANTED[ppd]
                views = [v for v in options.views.split(",") if v in useful_views(size)]
                started = time.monotonic()
                tasks = [
                    Task(label, path, size, ppd, wanted, options.map, methods, views, options.encoders, options.seed)
                    for label, path in sources
                    if large_enough(path, size)
                ]
                results = list(pool.map(measured, tasks))
                under = f", under the budget with flats at most {FLAT_CAP} levels" if options.map else ""
                print(f"\n{len(results)} pictures, long side {size} px, ꟻLIP {wanted} at {ppd:.0f} pixels per degree{under}")
                print(f"({time.monotonic() - started:.0f} s)\n")
                table(results, methods, options.base)
                every += results
    if options.json:
        options.json.write_text(json.dumps(every, indent=1))
    return 0


def useful_views(size: int) -> list[str]:
    """The views that differ at this size."""
    if size <= 512:
        return ["full", "half", "512 jpeg", "512 tv"]
    if size <= 1024:
        return ["full", "512", "512 jpeg", "512 tv"]
    return ["1024", "512", "512 jpeg", "512 tv"]


if __name__ == "__main__":
    sys.exit(main())
