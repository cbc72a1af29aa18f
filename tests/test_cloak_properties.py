"""What holds of every cloak of every picture: bounds, sameness, no seams, one change in all sizes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fediart.media.cloak import optimise
from fediart.media.cloak.backend import CloakOrder, Pixels
from fediart.media.cloak.backends import cloak_for
from fediart.media.cloak.budget import busyness
from fediart.media.cloak.encoders import Encoder
from fediart.media.cloak.laying import lay, luma, unit
from fediart.media.cloak.optimise import Look, away_from
from fediart.media.cloak.strengths import NEAR, STRENGTHS
from fediart.media.cloak.textures import texture
from fediart.media.cloak.visibility import prepare
from tests.cloak_trial import seed
from tests.pictures import KINDS
from tests.tiny_encoder import tiny_encoder

EXAMPLES = 200 if os.environ.get("FEDIART_LONG") else 12
MODERATE = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[str, Path], ...]:
    folder = tmp_path_factory.mktemp("encoders")
    found = []
    for name, kind in (("first", "plain"), ("second", "deep")):
        tiny_encoder(folder / f"{name}.pth", kind, 2)
        found.append((name, folder / f"{name}.pth"))
    return tuple(found)


@st.composite
def pictures(draw: st.DrawFn) -> Pixels:
    height, width = draw(st.integers(16, 300)), draw(st.integers(16, 300))
    what = draw(st.sampled_from(["colour", "noise", "painting", "cel", "checks", "slope"]))
    number = draw(st.integers(0, 1000))
    random = np.random.default_rng(number)
    if what == "colour":
        return np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    if what == "noise":
        return random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if what == "checks":
        y, x = np.mgrid[:height, :width] // 8
        return np.repeat((((x + y) % 2) * 255).astype(np.uint8)[..., None], 3, 2)
    if what == "slope":
        return np.repeat(np.linspace(0, 255, width, dtype=np.uint8)[None, :, None].repeat(height, 0), 3, 2)
    return KINDS[what](width, height, number)


def _made(rgb: Pixels, order: CloakOrder) -> Pixels:
    return cloak_for("auto", order.encoders).cloak([rgb], order)[0][0]


@MODERATE
@given(rgb=pictures(), strength=st.sampled_from(list(STRENGTHS)), steered=st.booleans(), number=st.integers(0, 99))
def test_bounds_hold_and_the_same_gives_the_same(
    rgb: Pixels, strength: str, steered: bool, number: int, encoders: tuple[tuple[str, Path], ...]
) -> None:
    used = encoders if steered else ()
    out, again, other = (_made(rgb, CloakOrder(seed(n), strength, used)) for n in (number, number, number + 1))
    wanted = STRENGTHS[strength]
    change = np.abs(out.astype(int) - rgb)
    assert change.max() <= np.ceil(wanted.most)
    flat = busyness(luma(rgb)) == 0
    if flat.any():
        assert change[flat].max() <= np.ceil(wanted.flat_cap)
        assert change[flat].mean() <= wanted.flat_cap
    assert np.array_equal(out, again)
    assert not np.array_equal(out, other)


@pytest.mark.parametrize("size", [(20, 60_000), (60_000, 20), (16, 16), (17, 5000)])
@pytest.mark.parametrize("steered", [False, True])
def test_ribbons_and_stamps_are_cloaked_everywhere(
    size: tuple[int, int], steered: bool, encoders: tuple[tuple[str, Path], ...]
) -> None:
    rgb = np.random.default_rng(1).integers(80, 170, (*size, 3), dtype=np.uint8)
    out = _made(rgb, CloakOrder(seed(1), "standard", encoders if steered else ()))
    change = np.abs(out.astype(int) - rgb).mean(-1)
    parts = [part.mean() for part in np.array_split(change, 4, axis=int(size[1] > size[0]))]
    assert min(parts) > 0.3 * max(parts)


def test_a_direction_that_lies_on_white_paper_does_not_make_up_for_that_in_the_drawing() -> None:
    """White takes half of a change and flat areas little: the search must not go on there while the drawing is ruined."""
    rgb = np.full((768, 1024, 3), 255, np.uint8)
    rgb[200:560, 300:720] = KINDS["painting"](420, 360, 1)
    direction = texture(768, 1024, seed(2))
    direction[200:560, 300:720] *= 0.3
    out, laid = lay(rgb, unit(direction), seed(2), "standard", lambda _: None)
    drawing = (slice(224, 536), slice(324, 696))
    seen = float(prepare(rgb[drawing], NEAR).flip(out[drawing]).mean())
    assert seen < 1.15 * STRENGTHS["standard"].flip, laid


@pytest.mark.parametrize("kind", ["plain", "pooled"])
def test_tiles_leave_no_seams(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In tiles nearly the same comes out as whole, and where tiles meet it is not more different than elsewhere."""
    tiny_encoder(tmp_path / "e.pth", kind, 3)
    encoder = Encoder.load("e", tmp_path / "e.pth")
    rgb = KINDS["sky"](416, 288, 1)
    limit = np.full((288, 416), 3, np.float32)
    start = unit(texture(288, 416, seed(1)))

    def made(tile: int) -> NDArray[np.float32]:
        monkeypatch.setattr(optimise, "TILE_LIGHT", tile)
        return away_from(rgb, [[Look(encoder, 1.0, 1.0)]] * 6, start, limit, 2.5, lambda _: None)

    whole, tiled = made(640), made(96)
    spans = optimise._spans(416, 96, encoder.multiple)
    assert len(spans) > 4
    assert float((whole * tiled).mean()) > 0.9
    other = np.abs(tiled - whole).mean(0)
    edges = [edge for span in spans for edge in (span.start, span.stop) if 0 < edge < 416]
    assert np.mean([other[edge - 6 : edge + 6].mean() for edge in edges]) < 1.15 * other.mean()


def _down(plane: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    height, width = size
    resized = Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized).astype(np.float64)


@pytest.mark.parametrize("steered", [False, True])
def test_averaging_the_sizes_of_a_picture_takes_nothing_away(steered: bool, encoders: tuple[tuple[str, Path], ...]) -> None:
    """Each size carries the same change: brought to one size they add up, and none is fainter than what thumbnails leave."""
    whole = KINDS["portrait"](1400, 1050, 4)
    sizes = [whole]
    for side in (1280, 640):
        sizes.append(np.asarray(Image.fromarray(whole).resize((side, side * 3 // 4), Image.Resampling.LANCZOS)))
    made, report = cloak_for("auto", encoders if steered else ()).cloak(
        sizes, CloakOrder(seed(3), "standard", encoders if steered else ())
    )
    assert report.encoders == (["first", "second"] if steered else [])
    small = sizes[-1].shape[:2]
    changes = []
    for plain, cloaked in zip(sizes, made, strict=True):
        changes.append(_down((cloaked.astype(np.float64) - plain).mean(-1), small))
    energies = [float((change**2).mean()) for change in changes]
    mean = np.mean(changes, 0)
    assert float((mean**2).mean()) > 0.85 * min(energies)
    for change in changes[:2]:
        likeness = (change * changes[2]).sum() / np.sqrt((change**2).sum() * (changes[2] ** 2).sum())
        assert likeness > 0.7
    # The smallest was refined at its own size: it is not fainter than the public copy made that small.
    assert energies[2] > 0.95 * energies[0]
