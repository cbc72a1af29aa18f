"""Gradient steps away from the picture: which small change moves what encoders read the furthest?

Each step looks at the picture as a trainer or a server would show it to an encoder (at full work size or about half of it,
sometimes after JPEG), asks for the gradient of the distance to the uncloaked picture's reading, and goes along it in
luminance. The gradient is evened out: divided by the square root of its own strength nearby, so that no place takes it all.
`benchmarks/cloak.py` chose all of this; docs/cloak.md shows its table.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fediart.media.cloak.backend import Pixels
from fediart.media.cloak.encoders import WorkingEncoder
from fediart.media.cloak.laying import bounded, unit
from fediart.media.cloak.textures import Plane, enlarged

F = NDArray[np.float32]

FIRST, LAST = 1.0, 0.2
"""How far the first and the last step go, in root mean squares of the change."""

START = 0.6
"""Root mean square of what the steps start from, the texture, in those of the change."""

TAPS, TAP_WEIGHT = 3, 0.3
"""Of an encoder's readings the last ones count: the latent fully, those before it less (that helps with other encoders)."""

EVEN = 16
"""Pixels across the neighbourhood in which the gradient is evened out."""

JPEGS = (None, None, 75, 88)
"""Quality at each step, in turn."""

LIGHT = 100.0
"""An encoder up to this cost (thousands of multiplications a pixel) looks in every step; others take turns."""

TILE_LIGHT, TILE_HEAVY = 640, 256
"""Sides of the tiles that encoders get, which bounds memory. An encoder that pools sees each as a picture of its own:
trainers crop, too."""

ENOUGH = 4
"""Turns of dear encoders that are better than fewer at a larger scale."""

OVERLAP = 32
SMALLEST_VIEW = 256

FULL_VIEWS = 512, 384
"""Full encoders look at as many pixels as squares of these sides have, in turn: trainers show them no less."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` in all, and thousands of millions of multiplications that may be spent on them.

    `full_looks` of full encoders, all together, are not counted in that: whoever has some lets pictures take their time.
    """

    steps: int
    budget: float
    full_looks: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """One encoder looking once: at `scale` of the work size, its gradient counting `weight`."""

    encoder: WorkingEncoder
    scale: float
    weight: float


def planned(encoders: Sequence[WorkingEncoder], height: int, width: int, plan: Plan) -> list[list[Look]]:
    """What each step looks at. Deterministic: it reckons with multiplications, not with this machine's seconds.

    Where full encoders are among them there are as many steps as these have looks.
    """
    full = [encoder for encoder in encoders if encoder.is_full]
    if full:
        others = replace(plan, steps=max(plan.steps, plan.full_looks))
        beside = planned([encoder for encoder in encoders if not encoder.is_full], height, width, others)
        beside += [[] for _ in range(others.steps - len(beside))]
        return [[*those, one] for those, one in zip(beside, _full_looks(full, height, width, others.steps), strict=True)]
    if not encoders:
        return []
    pixels, long_side = height * width / 1e6, max(height, width)

    def coarse(fine: float) -> float:
        return max(fine / 2, min(0.5, SMALLEST_VIEW * 1.5 / long_side)) if fine > 0.5 or long_side > SMALLEST_VIEW * 2 else fine

    def scale_of(turn: int, fine: float) -> float:
        """Of a dear encoder's turn: each comes at one scale, then each at the other."""
        return fine if turn // len(heavy) % 2 == 0 else coarse(fine)

    light = [encoder for encoder in encoders if encoder.cost <= LIGHT]
    heavy = [encoder for encoder in encoders if encoder.cost > LIGHT]
    spent = sum(encoder.cost for encoder in light) * pixels * plan.steps * (1 + coarse(1.0) ** 2) / 2
    steps: list[list[Look]] = []
    turns, fine = 0, 0.0
    if heavy:
        left = max(0.0, plan.budget - spent)
        for fine in (1.0, 0.75, 0.5, 0.375):
            costs = [heavy[turn % len(heavy)].cost * pixels * scale_of(turn, fine) ** 2 for turn in range(plan.steps)]
            turns = int(np.searchsorted(np.cumsum(costs), left, side="right"))
            if turns >= min(ENOUGH, plan.steps):
                break
        turns = max(turns, 2 if not light else 1)
    for step in range(plan.steps):
        looks: list[Look] = []
        # The heavy ones' turns are spread over the steps; each encoder comes at both scales.
        before, now = step * turns // plan.steps, (step + 1) * turns // plan.steps
        for turn in range(before, now):
            looks.append(Look(heavy[turn % len(heavy)], scale_of(turn, fine), 1.0))
        for encoder in light:
            looks.append(Look(encoder, 1.0 if step % 2 == 0 else coarse(1.0), 0.5 if looks else 1.0))
        if looks:
            steps.append(looks)
    return steps


def _full_looks(full: Sequence[WorkingEncoder], height: int, width: int, many: int) -> Iterator[Look]:
    """One in each step: each encoder in turn at one scale, then each at the other."""
    for turn in range(many):
        side = FULL_VIEWS[turn // len(full) % len(FULL_VIEWS)]
        yield Look(full[turn % len(full)], min(1.0, side / math.sqrt(height * width)), 1.0)


class _View:
    """The picture at one scale: made by a linear map whose transpose carries gradients back."""

    def __init__(self, rgb: F, scale: float, multiple: int) -> None:
        _, height, width = rgb.shape
        self._size = height, width
        tall, wide = max(16, round(height * scale)), max(16, round(width * scale))
        self._rows = _resampling(height, tall) if tall != height else None
        self._columns = _resampling(width, wide) if wide != width else None
        # Sides must be multiples: the last row and column are repeated.
        self._pad = -tall % multiple, -wide % multiple
        self._tall, self._wide = tall, wide
        self.clean = np.stack([self.of(channel) for channel in rgb])

    def of(self, plane: Plane) -> Plane:
        if plane.shape != (self._tall, self._wide):
            made = Image.fromarray(plane).resize((self._wide, self._tall), Image.Resampling.LANCZOS)
            plane = np.asarray(made, np.float32)
        return np.pad(plane, ((0, self._pad[0]), (0, self._pad[1])), mode="edge")

    def back(self, gradient: Plane) -> Plane:
        gradient = gradient[: self._tall, : self._wide]
        if self._rows is not None:
            gradient = self._rows.T @ gradient
        if self._columns is not None:
            gradient = gradient @ self._columns
        return gradient


_KEPT: dict[tuple[int, int], F] = {}


def _resampling(long: int, short: int) -> F:
    """`(short, long)`: Lanczos resampling along one side as a matrix."""
    if (long, short) not in _KEPT:
        identity = Image.fromarray(np.eye(long, dtype=np.float32))
        _KEPT[long, short] = np.asarray(identity.resize((long, short), Image.Resampling.LANCZOS), np.float32)
    return _KEPT[long, short]


def compressed(picture: F, quality: int | None) -> F:
    """`(3, height, width)` of 0..1, as it comes out of a JPEG."""
    if quality is None:
        return picture
    out = io.BytesIO()
    levels = np.rint(picture.transpose(1, 2, 0) * 255).astype(np.uint8)
    Image.fromarray(levels).save(out, "JPEG", quality=quality)
    with Image.open(out, formats=("JPEG",)) as opened:
        return np.ascontiguousarray(np.asarray(opened, np.float32).transpose(2, 0, 1)) / np.float32(255)


def tiles_of(height: int, width: int, side: int, multiple: int) -> Iterator[tuple[slice, slice]]:
    """Overlapping tiles that cover a plane whose sides are multiples of `multiple`; so are theirs."""
    for rows in _spans(height, side, multiple):
        for columns in _spans(width, side, multiple):
            yield rows, columns


def _spans(length: int, side: int, multiple: int) -> list[slice]:
    if length <= side:
        return [slice(0, length)]
    many = math.ceil((length - OVERLAP) / (side - OVERLAP))
    size = math.ceil((length + OVERLAP * (many - 1)) / many / multiple) * multiple
    starts = np.linspace(0, length - size, many) // multiple * multiple
    return [slice(int(start), int(start) + size) for start in starts]


def _ramp(span: slice, length: int) -> F:
    """Weights along a tile: rising from its edges inwards, except where the plane ends."""
    size = span.stop - span.start
    ramp = np.ones(size, np.float32)
    rise = (np.arange(OVERLAP, dtype=np.float32) + 1) / (OVERLAP + 1)
    many = min(OVERLAP, size // 2)
    if span.start > 0:
        ramp[:many] = rise[:many]
    if span.stop < length:
        ramp[size - many :] = np.minimum(ramp[size - many :], rise[:many][::-1])
    return ramp


class _Looker:
    """Asks encoders for gradients, tile by tile, and remembers what the uncloaked picture reads like."""

    def __init__(self, rgb: Pixels) -> None:
        self._rgb = np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        self._views: dict[tuple[float, int], _View] = {}
        self._aims: dict[tuple[str, float, int | None, int, int], list[NDArray[np.float16]]] = {}

    def gradient(self, look: Look, change: Plane, quality: int | None) -> Plane:
        """Of the distance, with respect to luminance in levels, `(height, width)`, of root mean square 1."""
        encoder = look.encoder
        key = look.scale, encoder.multiple
        if key not in self._views:
            self._views[key] = _View(self._rgb, look.scale, encoder.multiple)
        view = self._views[key]
        clean = np.clip(view.clean, 0, 1)
        moved = compressed(np.clip(view.clean + view.of(change / np.float32(255)), 0, 1), quality)
        still = compressed(clean, quality)
        _, height, width = clean.shape
        total, weights = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
        side = TILE_LIGHT if encoder.cost <= LIGHT else TILE_HEAVY
        if encoder.is_full:
            side = max(height, width)
        for rows, columns in tiles_of(height, width, side, encoder.multiple):
            aims = self._aim(look, quality, still, rows, columns)
            worth = [0.0] * max(0, len(aims) - TAPS) + [TAP_WEIGHT] * (min(TAPS, len(aims)) - 1) + [1.0]
            energies = [max(float(np.mean(np.square(aim))), 1e-6) for aim in aims]
            part = [one / energy for one, energy in zip(worth, energies, strict=True)]
            _, found = encoder.gradient(np.ascontiguousarray(moved[:, rows, columns]), aims, part)
            ramp = _ramp(rows, height)[:, None] * _ramp(columns, width)[None, :]
            # Each tile's loss is a mean over the tile; the whole's is a mean over the whole.
            share = np.float32(found.shape[1] * found.shape[2] / (height * width))
            total[rows, columns] += ramp * found.sum(0) * share
            weights[rows, columns] += ramp
        return unit(view.back(total / weights))

    def _aim(self, look: Look, quality: int | None, still: F, rows: slice, columns: slice) -> list[F]:
        key = look.encoder.name, look.scale, quality, rows.start, columns.start
        if key not in self._aims:
            found = look.encoder.encode(np.ascontiguousarray(still[:, rows, columns]))
            # Those that do not count need no values, only their shape: the largest one is one of them.
            nothing = np.float16(0)
            self._aims[key] = [
                tap.astype(np.float16) if len(found) - at <= TAPS else np.broadcast_to(nothing, tap.shape)
                for at, tap in enumerate(found)
            ]
        return [tap.astype(np.float32) for tap in self._aims[key]]


def _evened(gradient: Plane) -> Plane:
    height, width = gradient.shape
    small = Image.fromarray(np.square(gradient)).resize((max(1, width // EVEN), max(1, height // EVEN)), Image.Resampling.BOX)
    nearby = np.sqrt(np.maximum(enlarged(np.asarray(small, np.float32), height, width), 0)) + np.float32(0.05)
    return unit((gradient / np.sqrt(nearby)).astype(np.float32))


def away_from(
    rgb: Pixels,
    steps: Sequence[Sequence[Look]],
    start: Plane,
    limit: Plane,
    typical: float,
    progress: Callable[[float], None],
    saved: Path | None = None,
) -> Plane:
    """The direction in which encoders are moved furthest, `(height, width)`, of root mean square 1.

    `rgb`: the picture at the work size. `start`: where the steps start from, of root mean square 1, and `limit`: the bound of
    the change in levels, both of the work size. `typical`: root mean square in levels that is reckoned with. `saved`: a file
    in which every step is kept, so that what was killed goes on from there; one of another picture must not be given.
    """
    looker = _Looker(rgb)
    begun, change = _resumed(saved, start.shape)
    if change is None:
        change = np.float32(START * typical) * start
    for at in range(begun, len(steps)):
        inside, quality = bounded(change, 1.0, limit), JPEGS[at % len(JPEGS)]
        total = np.zeros_like(change)
        for look in steps[at]:
            total += np.float32(look.weight) * looker.gradient(look, inside, quality)
            if look.encoder.cost > LIGHT:
                look.encoder.rest()  # several dear ones at once would not fit into the memory of one process
        length = FIRST + (LAST - FIRST) * at / max(1, len(steps) - 1)
        change = unit(change + np.float32(length * typical) * _evened(unit(total))) * np.float32(typical)
        _save(saved, at + 1, change)
        progress((at + 1) / len(steps))
    return unit(change)


def steps_done(saved: Path | None, shape: tuple[int, ...]) -> int:
    """So many steps are in the file already."""
    return _resumed(saved, shape)[0]


def _resumed(saved: Path | None, shape: tuple[int, ...]) -> tuple[int, Plane | None]:
    if saved is None or not saved.exists():
        return 0, None
    try:
        with saved.open("rb") as file, np.load(file, allow_pickle=False) as held:
            step, change = int(held["step"]), np.asarray(held["change"], np.float32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return 0, None  # cut short while it was written: from the start again
    return (step, change) if change.shape == shape and np.isfinite(change).all() else (0, None)


def _save(saved: Path | None, step: int, change: Plane) -> None:
    if saved is None:
        return
    aside = saved.with_suffix(".part.npz")
    np.savez(aside, step=np.int64(step), change=change)
    aside.replace(saved)
