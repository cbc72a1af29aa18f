"""Our ꟻLIP against the figures of its authors' own program.

`flip_figures.json` was written by `python -m tests.test_flip` with PyPI `flip-evaluator` 1.7. That package has no wheel for
every machine that fediart runs on, so its figures are kept and not the package.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fediart.media.cloak.visibility import prepare, ssim

Pixels = NDArray[np.uint8]
FIGURES = Path(__file__).with_name("flip_figures.json")
DISTANCES = (20.0, 33.0, 67.0, 100.0)
POINTS = ((0, 0), (5, 71), (30, 40), (31, 40), (47, 12), (59, 79))
Y, X = np.mgrid[0:60, 0:80]


def _scattered(salt: int) -> NDArray[np.int64]:
    """Numbers 0..255 without order, by integers alone, so that every machine draws the same."""
    value = (X * 73_856_093 ^ Y * 19_349_663 ^ salt * 83_492_791) & 0xFFFFFFFF
    value = (value ^ value >> 13) * 1_274_126_177 & 0xFFFFFFFF
    found: NDArray[np.int64] = (value ^ value >> 16) & 255
    return found


def pairs() -> dict[str, tuple[Pixels, Pixels]]:
    scene = np.stack([X * 3, 40 + Y * 3, 128 + 60 * ((X // 9 + Y // 7) % 2)], -1)
    grain = _scattered(1)[..., None] // 16 - 8
    colours = [np.stack([_scattered(3 * n), _scattered(3 * n + 1), _scattered(3 * n + 2)], -1) for n in (1, 2)]
    half = np.repeat((Y >= 30)[..., None] * 255, 3, 2)
    plain = np.zeros((60, 80, 3), np.int64)
    found = {
        "grain on a scene": (scene, scene + grain),
        "one level everywhere": (scene, scene + 1),
        "a scene moved by a pixel": (scene, np.roll(scene, 1, 1)),
        "two pictures without likeness": (colours[0], colours[1]),
        "black, and half of it white": (plain, half),
        "green and blue": (plain + np.array([0, 255, 0]), plain + np.array([0, 0, 255])),
    }
    return {name: (a.clip(0, 255).astype(np.uint8), b.clip(0, 255).astype(np.uint8)) for name, (a, b) in found.items()}


def figures() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(FIGURES.read_text())
    return known


@pytest.mark.parametrize("ppd", DISTANCES)
@pytest.mark.parametrize("name", list(pairs()))
def test_flip_is_what_its_authors_program_says(name: str, ppd: float) -> None:
    first, second = pairs()[name]
    ours = prepare(first, ppd).flip(second)
    theirs = figures()[f"{name} at {ppd:.0f}"]
    assert float(ours.mean()) == pytest.approx(theirs["mean"], abs=2e-5)
    assert [float(ours[point]) for point in POINTS] == pytest.approx(theirs["points"], abs=5e-4)


def test_a_picture_does_not_differ_from_itself() -> None:
    for first, _ in pairs().values():
        assert float(prepare(first, 33).flip(first).max()) == 0


def test_tiles_are_compared_each_for_itself() -> None:
    (a, b), (c, d) = list(pairs().values())[:2]
    together = prepare(np.stack([a, c]), 33).flip(np.stack([b, d]))
    assert np.allclose(together[0], prepare(a, 33).flip(b), atol=1e-6)
    assert np.allclose(together[1], prepare(c, 33).flip(d), atol=1e-6)


def test_ssim_is_1_for_the_same_and_falls_with_noise() -> None:
    scene = pairs()["grain on a scene"][0]
    grain = _scattered(9)[..., None] / 255 - 0.5
    seen = [ssim(scene[None], (scene + much * grain).clip(0, 255).astype(np.uint8)[None]) for much in (0, 8, 32, 128)]
    assert seen[0] == pytest.approx(1, abs=1e-6)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 0.7


def main() -> int:
    """Write the figures anew with the authors' program, where it is installed."""
    from flip_evaluator import evaluate

    out = {}
    for name, (first, second) in pairs().items():
        for ppd in DISTANCES:
            both = (picture.astype(np.float32) / 255 for picture in (first, second))
            seen, mean, _ = evaluate(*both, "LDR", applyMagma=False, parameters={"ppd": ppd})
            plane = np.asarray(seen).reshape(first.shape[:2])
            out[f"{name} at {ppd:.0f}"] = {"mean": round(float(mean), 6), "points": [round(float(plane[p]), 6) for p in POINTS]}
    FIGURES.write_text(json.dumps(out, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
