"""The embedded cloak stands the cloak test, impostors do not, and odd pictures come out right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fediart.errors import CloakFailed
from fediart.media.cloak.backend import CloakOrder, Pixels
from fediart.media.cloak.backends import cloak_named
from fediart.media.cloak.budget import bounds, busyness, farthest
from fediart.media.cloak.laying import apply, unit
from fediart.media.cloak.report import CloakReport
from fediart.media.cloak.strengths import STRENGTHS
from fediart.media.cloak.texture import TextureCloak
from fediart.media.cloak.textures import LONGEST, SHORTEST, SMALL_SIDE, WORK_SIDE, generator, texture
from tests.cloak_trial import (
    SIZE,
    TRIED,
    Cloak,
    Sight,
    averaged_out,
    complaints,
    noise_as_visible_as,
    not_above_noise,
    seed,
    sharing,
    standard,
    too_strong_on_flats,
)
from tests.pictures import KINDS


def cloak(rgb: Pixels, number: int = 1, strength: str = "standard") -> tuple[Pixels, CloakReport]:
    made, report = TextureCloak().cloak([rgb], CloakOrder(seed(number), strength))
    return made[0], report


# --- the cloak test


def test_the_cloak_stands_the_cloak_test() -> None:
    assert complaints(standard) == []


@pytest.mark.parametrize("channels", [1, 3])
def test_white_noise_of_equal_visibility_in_the_place_of_the_cloak_fails_the_cloak_test(channels: int) -> None:
    pictures = {kind: KINDS[kind](*SIZE, 5) for kind in TRIED}
    noise = {
        kind: noise_as_visible_as(standard(rgb, seed(n)), rgb, channels, n) for n, (kind, rgb) in enumerate(pictures.items())
    }
    found = not_above_noise(pictures, noise)
    # Not one picture passes, and the whole does not.
    assert [line.split(":")[0] for line in found if ": moves" in line][: len(TRIED)] == list(TRIED), found
    assert any(line.startswith("on the whole") for line in found), found


def _strewn(strength: float, pattern: NDArray[np.float32], rgb: Pixels, secret: bytes) -> Pixels:
    dither = generator(secret, "dither").random(rgb.shape[:2], dtype=np.float32)
    height, width, _ = rgb.shape
    return apply(rgb, np.float32(strength) * pattern[:height, :width], dither)


def _some_pictures(cloak: Cloak) -> tuple[dict[str, Pixels], dict[str, Pixels]]:
    pictures = {kind: KINDS[kind](*SIZE, 5) for kind in ("painting", "cel", "sky")}
    return pictures, {kind: cloak(rgb, seed(number)) for number, (kind, rgb) in enumerate(pictures.items())}


def test_one_texture_for_every_picture_fails_the_cloak_test() -> None:
    always = texture(SIZE[1], SIZE[0], seed(4))

    def fixed(rgb: Pixels, secret: bytes) -> Pixels:
        return _strewn(1.5, always, rgb, secret)

    assert len(sharing(*_some_pictures(fixed), fixed)) == 6
    assert len(averaged_out(fixed)) == 2


def test_one_texture_that_is_only_shifted_fails_the_cloak_test() -> None:
    always = texture(SIZE[1], SIZE[0], seed(4))

    def shifted(rgb: Pixels, secret: bytes) -> Pixels:
        height, width, _ = rgb.shape
        return _strewn(1.5, np.roll(always[:height, :width], (secret[0] * 7, secret[0] * 13), (0, 1)), rgb, secret)

    assert any("share a pattern" in line for line in sharing(*_some_pictures(shifted), shifted))
    assert any("aligned takes away" in line for line in averaged_out(shifted))


def test_a_texture_without_a_cap_on_flat_areas_fails_the_cloak_test() -> None:
    def uncapped(rgb: Pixels, secret: bytes) -> Pixels:
        return _strewn(5, texture(rgb.shape[0], rgb.shape[1], secret), rgb, secret)

    assert len(too_strong_on_flats(*_some_pictures(uncapped))) == 2


# --- what a report says


def test_the_same_picture_and_seed_give_the_same_pixels() -> None:
    rgb = KINDS["evening"](320, 240, 1)
    first, report = cloak(rgb)
    second, _ = cloak(rgb)
    other, _ = cloak(rgb, number=2)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert (report.backend, report.version, report.strength) == ("texture", 2, "standard")


@pytest.mark.parametrize("kind", ["painting", "cel", "portrait"])
def test_strengths_are_ordered_by_what_is_seen_and_keep_their_bounds(kind: str) -> None:
    rgb = KINDS[kind](*SIZE, 2)
    seen = {}
    for name, wanted in STRENGTHS.items():
        out, report = cloak(rgb, strength=name)
        # The report looks at tiles; here the whole picture is looked at.
        seen[name] = Sight(rgb).flip(out)
        assert seen[name] == pytest.approx(report.flip, rel=0.05)
        assert report.flip <= wanted.flip
        assert int(np.abs(out.astype(int) - rgb).max()) <= np.ceil(wanted.most)
        error = ((out.astype(float) - rgb) ** 2).mean()
        assert report.psnr == pytest.approx(10 * np.log10(255**2 / error), abs=0.01)
        assert 0.5 < report.ssim < 1
    assert seen["light"] < 0.8 * seen["standard"] < 0.64 * seen["strong"]


def test_a_picture_with_texture_of_its_own_is_cloaked_as_strongly_as_wanted() -> None:
    for kind in ("painting", "photograph", "cloth"):
        _, report = cloak(KINDS[kind](*SIZE, 3))
        assert not report.weak
        assert report.flip > 0.9 * STRENGTHS["standard"].flip


def test_busy_places_do_not_make_up_for_flat_ones() -> None:
    """A page of flat colour with one patch of hatching: the patch is not ruined for the mean."""
    rgb = np.full((480, 640, 3), 200, np.uint8)
    rgb[160:340, 220:420] = KINDS["painting"](200, 180, 1)
    out, report = cloak(rgb)
    assert report.worst_patch < 2 * STRENGTHS["standard"].flip
    patch = (slice(180, 320), slice(240, 400))
    assert report.amplitude < 0.4 * STRENGTHS["standard"].most
    assert int(np.abs(out[patch].astype(int) - rgb[patch]).max()) <= np.ceil(3 * report.amplitude)


def test_progress_rises_to_the_end() -> None:
    heard: list[float] = []
    TextureCloak().cloak([KINDS["cel"](320, 240, 1)], CloakOrder(seed(1), "light", progress=heard.append))
    assert heard == sorted(heard)
    assert heard[0] > 0
    assert heard[-1] == pytest.approx(1)
    assert len(heard) >= 8


# --- black, white, grey, dither


def test_white_and_black_are_clipped_and_called_weak() -> None:
    for level in (255, 0):
        rgb = np.full((240, 320, 3), level, np.uint8)
        out, report = cloak(rgb)
        change = out.astype(int) - rgb
        assert report.weak
        assert np.abs(change).max() <= 2
        assert 0.1 < np.abs(change).mean() < STRENGTHS["standard"].flat_cap / 2


def test_a_full_range_picture_never_wraps_around() -> None:
    rows = np.tile(np.repeat(np.array([0, 255], np.uint8), 3), (300, 60))
    rgb = np.repeat(rows[..., None], 3, 2)
    out, _ = cloak(rgb, strength="strong")
    assert np.abs(out.astype(int) - rgb).max() <= STRENGTHS["strong"].most


def test_grey_stays_grey() -> None:
    grey = np.repeat(KINDS["photograph"](320, 240, 1).mean(-1, keepdims=True), 3, 2).astype(np.uint8)
    out, _ = cloak(grey)
    assert np.array_equal(out[..., 0], out[..., 1])
    assert np.array_equal(out[..., 0], out[..., 2])


def test_a_fraction_of_a_level_is_dithered_not_lost() -> None:
    rgb = np.full((200, 200, 3), 128, np.uint8)
    change = np.full((200, 200), 0.3, np.float32)
    out = apply(rgb, change, np.random.default_rng(1).random((200, 200), dtype=np.float32))
    assert set(np.unique(out).tolist()) == {128, 129}
    assert float(out.mean()) == pytest.approx(128.3, abs=0.02)


def test_a_change_of_whole_levels_is_never_one_more() -> None:
    rgb = np.full((1, 1, 3), 217, np.uint8)
    almost = np.full((1, 1), np.nextafter(np.float32(1), np.float32(0)), np.float32)
    assert int(apply(rgb, np.full((1, 1), 3, np.float32), almost)[0, 0, 0]) == 220


def test_on_a_flat_page_the_texture_is_what_was_drawn_and_no_steps_are_seen() -> None:
    rgb = np.full((480, 640, 3), 128, np.uint8)
    out, report = cloak(rgb)
    cap = np.float32(STRENGTHS["standard"].flat_cap)
    drawn = np.clip(np.float32(report.amplitude) * unit(texture(480, 640, seed(1))), -cap, cap)
    rest = out[..., 0] - 128.0 - drawn
    assert abs(rest.mean()) < 0.01
    assert abs(float((rest * drawn).mean())) < 0.01


# --- sizes


@pytest.mark.parametrize(
    ("height", "width"), [(16, 16), (16, 17), (97, 31), (16, 3000), (3000, 16), (40, 1500), (1, 1), (15, 800)]
)
def test_every_size_is_cloaked_or_refused_in_words(height: int, width: int) -> None:
    rgb = np.random.default_rng(height).integers(60, 200, (height, width, 3), dtype=np.uint8)
    if min(height, width) < 16:
        with pytest.raises(CloakFailed, match="at least 16 pixels"):
            cloak(rgb)
        return
    out, report = cloak(rgb)
    assert out.shape == rgb.shape
    assert out.dtype == np.uint8
    assert 0.2 < np.abs(out.astype(int) - rgb).mean() < 10
    assert report.flip > 0


def test_an_unknown_strength_or_backend_is_refused_in_words() -> None:
    with pytest.raises(CloakFailed, match="no cloak strength mighty"):
        cloak(KINDS["cel"](64, 64, 1), strength="mighty")
    with pytest.raises(CloakFailed, match="not installed: mirage"):
        cloak_named("mirage")
    assert isinstance(cloak_named("texture"), TextureCloak)


# --- the texture itself


def _spectrum(plane: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(energy, wavelength in pixels, direction in radians), of the half plane."""
    height, width = plane.shape
    energy = np.abs(np.fft.rfft2(plane - plane.mean())).astype(np.float64) ** 2
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    with np.errstate(divide="ignore"):
        return energy, 1 / np.hypot(fy, fx), np.arctan2(fy, fx + 0 * fy)


@pytest.mark.parametrize("width", [400, 1024, 2048])
def test_the_texture_has_its_band_at_the_size_that_trainers_see_and_no_direction(width: int) -> None:
    plane = texture(width * 3 // 4, width, seed(width))
    unit = max(SMALL_SIDE, width) / WORK_SIDE
    energy, wave, direction = _spectrum(plane)
    inside = (wave > SHORTEST / 1.3 * unit) & (wave < LONGEST * 1.3 * unit)
    assert energy[inside].sum() > 0.93 * energy.sum()
    assert np.abs(plane).max() < 1
    # Of eight directions none has much more than its eighth (there are few waves in a small picture).
    parts = [energy[inside & (np.floor((direction / np.pi + 0.5) * 8).clip(0, 7) == n)].sum() for n in range(8)]
    assert max(parts) < 1.5 * sum(parts) / 8
    assert min(parts) > 0.6 * sum(parts) / 8


def test_the_texture_does_not_repeat_itself_within_a_picture() -> None:
    plane = texture(768, 1024, seed(3))
    energy, _, _ = _spectrum(plane)
    again = np.fft.irfft2(energy, s=plane.shape)
    again /= again[0, 0]
    far = 60
    assert np.abs(again[far:-far, far:-far]).max() < 0.15


def test_streams_of_random_numbers_differ_by_purpose_and_by_seed() -> None:
    seeds = (seed(1), seed(2), seed(1)[::-1], seed(2)[::-1])
    drawn = [generator(s, p).random(64) for s, p in itertools.product(seeds, ("texture", "dither", "tiles"))]
    for one, other in itertools.combinations(drawn, 2):
        assert not np.isclose(one, other).any()


# --- where it may be seen


def test_an_outline_between_flat_colours_counts_as_flat_and_paint_as_busy() -> None:
    page = np.full((600, 800), 220, np.float32)
    page[:, 400:] = 120
    page[:, 398:403] = 10
    assert busyness(page).max() < 0.05
    paint = KINDS["painting"](800, 600, 2).astype(np.float32).mean(-1)
    assert busyness(paint).mean() > 0.4


def test_a_gradient_and_a_scanners_grain_count_as_flat() -> None:
    random = np.random.default_rng(2)
    slope = np.linspace(0, 255, 1000, dtype=np.float32)[None].repeat(700, 0)
    assert busyness(slope).max() < 0.02
    grain = (128 + random.normal(0, 1.2, (700, 1000))).astype(np.float32)
    assert busyness(grain).max() < 0.05


@pytest.mark.parametrize("size", [(40, 64), (8, 30), (3, 5)])
def test_least_and_most_of_squares_are_those_of_another_library(size: tuple[int, int]) -> None:
    levels = np.random.default_rng(4).integers(0, 256, size, dtype=np.uint8)
    for choose, step in ((np.minimum, ImageFilter.MinFilter(7)), (np.maximum, ImageFilter.MaxFilter(7))):
        assert np.array_equal(farthest(levels, choose, 3), np.asarray(Image.fromarray(levels).filter(step)))


def test_the_bounds_lie_between_the_cap_and_the_most() -> None:
    busy = np.linspace(0, 1, 11, dtype=np.float32)[None]
    assert bounds(busy, 1.5, 8)[0, [0, -1]].tolist() == [1.5, 8]
