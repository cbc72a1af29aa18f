"""Averaging a portfolio: what all cloaks of one artist have in common would be found in the mean of what was laid into them,
or in its leading components, and could be taken out of the next picture. There must be next to nothing.

The attacker here is stronger than any real one: he has the uncloaked pictures too, all but those that are tried.
By default 16 pictures, and 8 for the encoders; FEDIART_LONG=1 takes 100 for both.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fediart.media.cloak.backend import CloakBackend, CloakOrder
from fediart.media.cloak.steered import SteeredCloak
from fediart.media.cloak.texture import TextureCloak
from tests.cloak_trial import TAKEN_AWAY, Pixels, Signal, pattern, seed
from tests.pictures import KINDS
from tests.tiny_encoder import KINDS as ENCODERS
from tests.tiny_encoder import tiny_encoder

LONG = os.environ.get("FEDIART_LONG") == "1"
SIZE = (320, 240) if LONG else (160, 120)
"""So small a picture has room for some 240 patterns that share nothing, one four times as large for as many more: what a
component or two hold by chance is well below the bound, and so it must be for the ten of a hundred pictures."""


def portfolio(many: int) -> list[Pixels]:
    kinds = list(KINDS)
    return [KINDS[kinds[number % len(kinds)]](*SIZE, number) for number in range(many)]


def recovered(patterns: Sequence[Signal]) -> float:
    """The mean share of a pattern's energy that lies in the mean and the leading components of others of the portfolio.

    Three quarters are looked at and a quarter is tried. As many components as one in ten of those looked at: more of them
    would hold a share by chance alone.
    """
    flat: NDArray[np.float64] = np.stack([one.ravel() / np.linalg.norm(one) for one in patterns])
    tried, seen = flat[::4], flat[np.arange(len(flat)) % 4 != 0]
    mean = seen.mean(0)
    _, _, components = np.linalg.svd(seen - mean, full_matrices=False)
    basis, _ = np.linalg.qr(np.vstack([mean, components[: max(1, len(seen) // 10)]]).T)
    return float(np.square(tried @ basis).sum(1).mean())


def patterns_of(backend: CloakBackend, orders: Sequence[CloakOrder]) -> list[Signal]:
    pictures = portfolio(len(orders))
    return [pattern(rgb, backend.cloak([rgb], order)[0][0]) for rgb, order in zip(pictures, orders, strict=True)]


def test_nothing_that_textures_of_one_artist_have_in_common_can_be_taken_out() -> None:
    many = 100 if LONG else 16
    found = recovered(patterns_of(TextureCloak(), [CloakOrder(seed(number), "standard") for number in range(many)]))
    print(f"{many} textures: {found:.4f}")
    assert found <= TAKEN_AWAY


@pytest.mark.parametrize("kind", ENCODERS if LONG else ["plain"])
def test_nothing_that_steered_cloaks_of_one_artist_have_in_common_can_be_taken_out(kind: str, tmp_path: Path) -> None:
    """The same encoder looks at all of them, tile by tile, with strides of 8 pixels: it must leave no lattice."""
    many = 100 if LONG else 8
    encoders = (("tiny", tiny_encoder(tmp_path / "tiny.pth", kind)),)
    found = recovered(patterns_of(SteeredCloak(), [CloakOrder(seed(number), "standard", encoders) for number in range(many)]))
    print(f"{many} cloaks steered by {kind}: {found:.4f}")
    assert found <= TAKEN_AWAY


def test_one_texture_in_every_picture_would_be_found() -> None:
    assert recovered(patterns_of(TextureCloak(), [CloakOrder(seed(1), "standard")] * 8)) > 0.5
