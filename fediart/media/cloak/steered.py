"""The cloak that encoders steer: gradient steps away from the picture on public encoders, from the embedded texture on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from fediart.errors import BadEncoder, CloakFailed
from fediart.media.cloak.backend import CloakOrder, Pixels
from fediart.media.cloak.budget import bounds, busyness
from fediart.media.cloak.built_in import STEERED, VERSIONS
from fediart.media.cloak.encoders import WorkingEncoder, failed, load_encoder
from fediart.media.cloak.laying import Watch, lay_all, luma, reported, source, strength_named, unit, work_size
from fediart.media.cloak.optimise import Look, Plan, away_from, compressed, planned, steps_done
from fediart.media.cloak.report import CloakReport
from fediart.media.cloak.textures import texture

PLANS = {"light": Plan(10, 300, 10), "standard": Plan(10, 300, 16), "strong": Plan(12, 1300, 30)}
SEEN_SIDE = 384
"""Long side at which a trainer is supposed to see the picture, for the record."""


class SteeredCloak:
    """See the module. Which encoders: the order says, as (name, file)."""

    name = STEERED
    version = VERSIONS[STEERED]

    def cloak(self, pictures: Sequence[Pixels], order: CloakOrder) -> tuple[list[Pixels], CloakReport]:
        watch = Watch()
        rgb = source(pictures, order)
        wanted = strength_named(order.strength)
        if not order.encoders:
            raise CloakFailed(
                "There are no encoders here to steer the cloak by. Whoever runs this server can add some (fediart cloak encoders "
                'fetch), or set cloak.backend to "auto", which does without them.'
            )
        encoders = _readable(order)
        tall, wide = work_size(*rgb.shape[:2])
        small = _resized(rgb, tall, wide)
        start = unit(texture(tall, wide, order.seed))
        limit = bounds(busyness(luma(small)), wanted.flat_cap, wanted.most)
        steps = planned(encoders, tall, wide, PLANS[order.strength])
        saved = _saved_at(order, small, steps)
        resumed = steps_done(saved, small.shape[:2])
        direction = away_from(small, steps, start, limit, wanted.typical, lambda share: order.progress(0.8 * share), saved)
        made, laid = lay_all(pictures, direction, order, lambda share: order.progress(0.8 + 0.15 * share))
        shifts = {encoder.name: shifts_of(encoder, pictures[0], made[0]) for encoder in encoders}
        order.progress(1.0)
        return made, replace(reported(self, order, laid, watch, shifts), resumed=resumed)


def _readable(order: CloakOrder) -> list[WorkingEncoder]:
    """By name: in which order somebody wrote them down must not change a picture. Raises EncoderFailed."""
    found = list[WorkingEncoder]()
    for name, path in sorted(order.encoders):
        try:
            found.append(load_encoder(name, path, order.threads))
        except BadEncoder as problem:
            raise failed(name, problem.message) from None
    return found


def _resized(rgb: Pixels, height: int, width: int) -> Pixels:
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0))


def _saved_at(order: CloakOrder, rgb: Pixels, steps: Sequence[Sequence[Look]]) -> Path | None:
    """A name that says what it is the beginning of: of another plan's steps none is ever gone on with."""
    if order.scratch is None:
        return None
    of = hashlib.sha256(order.seed + np.ascontiguousarray(rgb).tobytes())
    plan = [[(look.encoder.name, look.scale, look.weight) for look in looks] for looks in steps]
    of.update(repr((SteeredCloak.version, order.strength, plan)).encode())
    return order.scratch / f"direction-{of.hexdigest()[:16]}.npz"


def shifts_of(encoder: WorkingEncoder, plain: Pixels, cloaked: Pixels) -> dict[str, float]:
    """How far the encoder's reading moved, d = |E(x') - E(x)| / |E(x)|: at SEEN_SIDE after JPEG 75, and at half of it."""
    out = {}
    for name, side, quality in (("jpeg", SEEN_SIDE, 75), ("half", SEEN_SIDE // 2, None)):
        seen = []
        for rgb in (plain, cloaked):
            scale = min(1.0, side / max(rgb.shape[:2]))
            tall, wide = (max(1, round(length * scale)) for length in rgb.shape[:2])
            small = _resized(rgb, tall, wide).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
            pads = ((0, 0), (0, -tall % encoder.multiple), (0, -wide % encoder.multiple))
            seen.append(encoder.encode(np.pad(compressed(small, quality), pads, mode="edge"))[-1])
        first, second = seen
        out[name] = round(float(np.linalg.norm(second - first) / max(float(np.linalg.norm(first)), 1e-9)), 3)
    encoder.rest()
    return out
