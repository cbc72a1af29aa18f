"""What does a cloak do to encoders, beside noise that is as visible? One HTML with pictures, one JSON, one table.

    python -m benchmarks.cloak FOLDER [--encoders DIR] [--out evaluation] [--docs docs/cloak.md]

FOLDER holds pictures (without one, the project's own drawings are used), DIR encoders of the TAESD family as `fediart cloak
encoders` keeps them, and decoders beside them as NAME_decoder.pth. Full encoders, as NAME.safetensors, take part like the
others where fediart[vae] is installed; with them each picture takes hours of processor time, so begin with --only 1.

Every picture is cloaked as it would be published, with all bounds; its mean ꟻLIP over the whole picture, at 33 and at 67 pixels
per degree, is what every other method is scaled to. Then picture and changed picture are both seen as a trainer would see them.

d = |E(x') - E(x)| / |E(x)|: how far an encoder's reading moved. D: the part of that towards the target picture of directed
methods. s: the same as d for the latent's statistics, mean and deviation of each channel, in which style is said to lie.
Round trip: ꟻLIP between both pictures decoded again, over ꟻLIP between them. LPIPS is left out: its weights cannot be had
from a package registry.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import fediart
from benchmarks.cloak_methods import CONTROLS, Change, control, embedded, hatch, pgd, shares, steered
from benchmarks.cloak_views import VIEWS, views_for
from fediart.media.cloak.backend import CloakOrder
from fediart.media.cloak.backends import BUILT_IN
from fediart.media.cloak.encoders import WorkingEncoder, load_encoder
from fediart.media.cloak.laying import apply, lay
from fediart.media.cloak.shelf import SUFFIXES
from fediart.media.cloak.steered import PLANS
from fediart.media.cloak.strengths import FAR, NEAR, STRENGTHS
from fediart.media.cloak.texture import TextureCloak
from fediart.media.cloak.visibility import prepare
from tests.pictures import KINDS

Pixels = NDArray[np.uint8]
TRIES = 9
BEGIN, END = "<!-- evaluation: begin -->", "<!-- evaluation: end -->"


@dataclass(frozen=True, slots=True)
class Task:
    label: str
    path: Path | None
    size: int
    ppd: float
    encoders: tuple[tuple[str, Path], ...]
    decoders: tuple[tuple[str, Path], ...]
    views: tuple[str, ...]
    plans: tuple[str, ...]
    strength: str


def load(task: Task) -> Pixels:
    if task.path is None:
        drawn: Pixels = KINDS[task.label](task.size, task.size * 3 // 4, 3)
        return drawn
    with Image.open(task.path) as opened:
        picture = opened.convert("RGBA")
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    scale = min(1.0, task.size / max(picture.size))
    size = max(64, round(picture.width * scale)), max(64, round(picture.height * scale))
    return np.asarray(ground.resize(size, Image.Resampling.LANCZOS))


class Scaler:
    """Brings changes to a wanted ꟻLIP over the whole picture."""

    def __init__(self, rgb: Pixels, ppd: float) -> None:
        self.rgb, self.reference = rgb, prepare(rgb, ppd)
        self.dither = np.random.default_rng(11).random(rgb.shape[:2], dtype=np.float32)

    def changed(self, change: Change, amplitude: float) -> Pixels:
        added = change.at(amplitude)
        if added.ndim == 2:
            return apply(self.rgb, added, self.dither)
        return np.clip(np.floor(self.rgb + added + self.dither[..., None]), 0, 255).astype(np.uint8)

    def seen(self, rgb: Pixels) -> float:
        return float(self.reference.flip(rgb).mean())

    def scaled(self, change: Change, wanted: float) -> tuple[Pixels, float]:
        """The most of it that is not more visible than wanted, and how visible that is."""
        low, high = 0.05, 60.0
        for _ in range(TRIES):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.seen(self.changed(change, middle)) <= wanted else (low, middle)
        out = self.changed(change, low)
        return out, self.seen(out)


def methods_of(task: Task, rgb: Pixels, encoders: Sequence[WorkingEncoder]) -> dict[str, Change]:
    """Ours first: they say how visible the others are to be."""
    strength = STRENGTHS[task.strength]
    seed = bytes(range(32))
    made: dict[str, Change] = {"texture": embedded(rgb, seed, strength)}
    if encoders:
        made["encoders standard"] = steered(rgb, seed, strength, encoders)
        if "strong" in task.plans:
            made["encoders strong"] = steered(rgb, seed, strength, encoders, PLANS["strong"])
        if len(encoders) > 1 and "left out" in task.plans:
            for encoder in encoders:
                others = [other for other in encoders if other is not encoder]
                made[f"without {encoder.name}"] = steered(rgb, seed, strength, others, PLANS["strong"])
        if "plain" in task.plans:
            made["Mist kind"] = pgd(rgb, encoders, toward=hatch(*rgb.shape[:2]))
            made["PhotoGuard kind"] = pgd(rgb, encoders, toward=None)
    random = np.random.default_rng(7)
    made |= {name: control(name, rgb, random) for name in CONTROLS}
    return made


def read(encoder: WorkingEncoder, rgb: Pixels) -> NDArray[np.float32]:
    return encoder.encode(shares(rgb, encoder.multiple))[-1]


def _statistics(latent: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([latent.mean((1, 2)), latent.std((1, 2))])


def _length(values: NDArray[np.float32]) -> float:
    return max(float(np.linalg.norm(values)), 1e-9)


def measured(task: Task) -> dict[str, Any]:
    """One picture, at one distance of sight."""
    rgb = load(task)
    encoders = [load_encoder(name, path) for name, path in task.encoders]
    scaler, began = Scaler(rgb, task.ppd), time.process_time()
    changes = methods_of(task, rgb, encoders)
    wanted = min(
        scaler.seen(lay(rgb, change.plane, bytes(32), task.strength, lambda _: None)[0])
        for change in changes.values()
        if change.limit is not None
    )
    target = hatch(*rgb.shape[:2])
    clean = {
        (view, encoder.name): (read(encoder, VIEWS[view](rgb)), read(encoder, VIEWS[view](target)))
        for view in task.views
        for encoder in encoders
    }
    rows: dict[str, Any] = {}
    shown: dict[str, Pixels] = {"original": rgb}
    for name, change in changes.items():
        out, seen = scaler.scaled(change, wanted)
        shown[name] = out
        error = float(((out.astype(np.float32) - rgb) ** 2).mean())
        cells: dict[str, dict[str, float]] = {}
        for view in task.views:
            looked = VIEWS[view](out)
            for encoder in encoders:
                plain, aim = clean[view, encoder.name]
                found = read(encoder, looked)
                moved, way = found - plain, aim - plain
                cells[f"{encoder.name} {view}"] = {
                    "d": _length(moved) / _length(plain),
                    "D": float((moved * way).sum()) / _length(way) / _length(plain),
                    "s": _length(_statistics(found) - _statistics(plain)) / _length(_statistics(plain)),
                }
        rows[name] = {"flip": seen, "psnr": 10 * math.log10(255**2 / max(error, 1e-9)), "cells": cells}
        for decoder, path in task.decoders:
            rows[name].setdefault("round trip", {})[decoder] = round_trip(encoders, decoder, path, rgb, out, task.ppd, seen)
    return {
        "picture": task.label,
        "height": rgb.shape[0],
        "width": rgb.shape[1],
        "ppd": task.ppd,
        "wanted": wanted,
        "methods": rows,
        "cpu_seconds": round(time.process_time() - began, 1),
        "shown": {name: _data_url(pixels, rgb) for name, pixels in shown.items()} if task.ppd == NEAR else {},
    }


def round_trip(
    encoders: Sequence[WorkingEncoder], name: str, path: Path, rgb: Pixels, out: Pixels, ppd: float, seen: float
) -> float:
    from benchmarks.decoders import Decoder

    encoder = next(one for one in encoders if one.name == name)
    decoder = Decoder.load(path)
    first, second = (decoder.decode(read(encoder, pixels)) for pixels in (rgb, out))
    return float(prepare(first, ppd).flip(second).mean()) / max(seen, 1e-9)


def _data_url(pixels: Pixels, rgb: Pixels) -> str:
    """The picture (or what was changed, eight times) as it can stand in a page."""
    height, width, _ = pixels.shape
    top, left = max(0, height // 2 - 128), max(0, width // 2 - 160)
    cut = pixels[top : top + 256, left : left + 320]
    if pixels is not rgb:
        change = cut.astype(np.int16) - rgb[top : top + 256, left : left + 320]
        cut = np.concatenate([cut, np.clip(128 + 8 * change, 0, 255).astype(np.uint8)], 0)
    out = io.BytesIO()
    Image.fromarray(cut).save(out, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


# --- a stranger averages a portfolio


def averaging(pictures: int = 60, side: int = 512) -> dict[str, float]:
    """Share of the change's energy that a stranger takes away who averages the fine detail of many cloaked pictures."""
    from tests.cloak_trial import Signal, _blurred, _taken_away, pattern

    plain = [KINDS["sky"](side, side, number) for number in range(pictures)]
    cloak = TextureCloak()
    made = [cloak.cloak([rgb], CloakOrder(number.to_bytes(32, "big"), "standard"))[0][0] for number, rgb in enumerate(plain)]
    details: list[Signal] = []
    for rgb in made:
        grey = rgb.astype(np.float64).mean(-1)
        details.append(grey - _blurred(grey))
    stacked = np.stack([detail.ravel() for detail in details])
    taken = []
    for number in range(0, pictures, 6):
        # The picture itself is left out of what is known of the others.
        others = np.delete(stacked, number, 0)
        _, _, basis = np.linalg.svd(others - others.mean(0), full_matrices=False)
        true = pattern(plain[number], made[number]).ravel()
        known = basis[:5] @ true
        taken.append(float((known**2).sum() / (true**2).sum()))
    return {
        "mean": _taken_away(plain, made, details, align=False),
        "aligned": _taken_away(plain, made, details, align=True),
        "5 components": float(np.mean(taken)),
    }


# --- tables


def geometric(values: Iterable[float]) -> float:
    found = [max(value, 1e-9) for value in values]
    return math.exp(sum(math.log(value) for value in found) / len(found)) if found else float("nan")


def over_noise(results: Sequence[dict[str, Any]], method: str, cell: str, of: str = "d") -> float:
    """Geometric mean, over pictures, of a figure over that of the best control of the same picture."""
    return geometric(
        result["methods"][method]["cells"][cell][of] / max(result["methods"][name]["cells"][cell][of] for name in CONTROLS)
        for result in results
    )


def mean_of(results: Sequence[dict[str, Any]], method: str, cell: str, of: str) -> float:
    return float(np.mean([result["methods"][method]["cells"][cell][of] for result in results]))


def psnr_over(results: Sequence[dict[str, Any]], method: str, cell: str) -> float:
    """Decibels above the control that moves this encoder furthest."""
    gains = []
    for result in results:
        best = max(CONTROLS, key=lambda name: result["methods"][name]["cells"][cell]["d"])
        gains.append(result["methods"][method]["psnr"] - result["methods"][best]["psnr"])
    return float(np.mean(gains))


def tables(results: Sequence[dict[str, Any]], encoders: Sequence[str], views: Sequence[str]) -> str:
    """Markdown: for each distance the ratios to the best noise, and every d."""
    out: list[str] = []
    for ppd in sorted({result["ppd"] for result in results}):
        these = [result for result in results if result["ppd"] == ppd]
        methods = list(these[0]["methods"])
        out.append(f"### At {ppd:.0f} pixels per degree\n")
        out.append(f"{len(these)} pictures, mean ꟻLIP {np.mean([r['wanted'] for r in these]):.3f}.\n")
        for encoder in encoders:
            head = " | ".join(views)
            out.append(f"**d over that of the best of the four noises, encoder {encoder}** (1 = no better than noise)\n")
            out.append(f"| method | {head} | dB over that noise |")
            out.append("|---" * (len(views) + 2) + "|")
            for method in methods:
                if method in CONTROLS:
                    continue
                cells = " | ".join(f"{over_noise(these, method, f'{encoder} {view}'):.2f}" for view in views)
                out.append(f"| {method} | {cells} | {psnr_over(these, method, f'{encoder} clean'):+.1f} |")
            out.append("")
            out.append(f"**100 · d, 100 · D, 100 · s, encoder {encoder}**\n")
            out.append(f"| method | PSNR | {head} | round trip |")
            out.append("|---" * (len(views) + 3) + "|")
            for method in methods:
                cells = " | ".join(
                    "/".join(f"{100 * mean_of(these, method, f'{encoder} {view}', of):.0f}" for of in ("d", "D", "s"))
                    for view in views
                )
                psnr = np.mean([result["methods"][method]["psnr"] for result in these])
                trips = [result["methods"][method].get("round trip", {}).get(encoder) for result in these]
                trip = f"{np.mean([t for t in trips if t is not None]):.2f}" if any(t is not None for t in trips) else "–"
                out.append(f"| {method} | {psnr:.1f} | {cells} | {trip} |")
            out.append("")
    return "\n".join(out)


def page(results: Sequence[dict[str, Any]], table: str) -> str:
    parts = ["<!doctype html><meta charset=utf-8><title>Evaluation of the cloak</title>"]
    parts.append(
        "<style>body{font:15px/1.5 sans-serif;margin:2rem}pre{overflow:auto}figure{display:inline-block;margin:.5rem}</style>"
    )
    parts.append(f"<h1>Evaluation of the cloak</h1><pre>{html.escape(table)}</pre>")
    for result in results:
        if not result["shown"]:
            continue
        parts.append(f"<h2>{html.escape(result['picture'])}</h2><p>A cut of 320 × 256; below it what was changed, × 8.</p>")
        for name, url in result["shown"].items():
            parts.append(f'<figure><img src="{url}" alt=""><figcaption>{html.escape(name)}</figcaption></figure>')
    return "\n".join(parts)


def files_in(folder: Path | None, ending: str) -> tuple[tuple[str, Path], ...]:
    paths = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES) if folder else []
    found = []
    for path in paths:
        is_decoder = path.stem.endswith("_decoder")
        if is_decoder == (ending == "_decoder"):
            found.append((path.stem.removesuffix("_decoder").removesuffix("_encoder"), path))
    return tuple(found)


def into_docs(path: Path, text: str) -> None:
    """Between the two marks."""
    whole = path.read_text()
    before, rest = whole.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="pictures [default: the project's own drawings]")
    parser.add_argument(
        "--encoders", type=Path, help="folder of NAME_encoder.pth or NAME.pth, NAME_decoder.pth, NAME.safetensors"
    )
    parser.add_argument("--out", type=Path, default=Path("evaluation"), help="writes OUT.html and OUT.json")
    parser.add_argument("--docs", type=Path, help="a page whose table is replaced")
    parser.add_argument("--size", type=int, default=384, help="long side that pictures are brought to")
    parser.add_argument("--ppd", type=float, nargs="+", default=[NEAR, FAR])
    parser.add_argument("--strength", choices=list(STRENGTHS), default="standard", help="how visible it is all to be")
    parser.add_argument("--views", nargs="+", help="default: all that differ at this size")
    parser.add_argument("--plans", nargs="*", default=["strong", "left out", "plain"])
    parser.add_argument("--only", type=int, help="so many pictures")
    parser.add_argument("--averaging", type=int, default=60, help="pictures of the averaging attack; 0: none")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    endings = (".jpg", ".jpeg", ".png", ".webp")
    sources: list[tuple[str, Path | None]] = [(kind, None) for kind in KINDS]
    if options.folder:
        sources = [(path.stem, path) for path in sorted(options.folder.iterdir()) if path.suffix.lower() in endings]
    sources = sources[: options.only]
    encoders, decoders = files_in(options.encoders, ""), files_in(options.encoders, "_decoder")
    decoders = tuple(one for one in decoders if one[0] in {name for name, _ in encoders})
    views = tuple(options.views or views_for(options.size))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    task = Task("", None, options.size, NEAR, encoders, decoders, views, tuple(options.plans), options.strength)
    tasks = [replace(task, label=label, path=path, ppd=ppd) for ppd in options.ppd for label, path in sources]
    results = []
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        for result in pool.map(measured, tasks):
            results.append(result)
            print(f"{result['picture']} at {result['ppd']:.0f}: {result['cpu_seconds']:.0f} CPU s", file=sys.stderr, flush=True)
    text = tables(results, [name for name, _ in encoders], views)
    about = (
        f"Made on {datetime.now(UTC):%Y-%m-%d} with fediart {fediart.__version__} "
        f"(cloaks: {', '.join(f'{name} {make().version}' for name, make in BUILT_IN.items())}) by "
        f"`python -m benchmarks.cloak`, long side {options.size} px, strength {options.strength}."
    )
    taken = averaging(options.averaging) if options.averaging else {}
    if taken:
        shares_ = ", ".join(f"{name} {share:.3f}" for name, share in taken.items())
        text += f"\n### Averaging attack\n\n{options.averaging} pictures of 512²; share of the change taken away: {shares_}.\n"
    print(f"{about}\n\n{text}")
    options.out.with_suffix(".json").write_text(
        json.dumps(
            {
                "about": about,
                "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
                "averaging": taken,
                "results": [{key: value for key, value in result.items() if key != "shown"} for result in results],
            },
            indent=1,
        )
    )
    options.out.with_suffix(".html").write_text(page(results, f"{about}\n\n{text}"))
    if options.docs:
        into_docs(options.docs, f"{about}\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
