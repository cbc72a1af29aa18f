"""Our blurhash against hashes made by another program (PyPI `blurhash` 1.1.5), and what a decoder must find in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from fediart.media.blurhash import encode

Y, X = np.mgrid[0:24, 0:32]
DISC = ((X - 10) ** 2 + (Y - 8) ** 2 < 40)[..., None]

PICTURES: dict[str, NDArray[np.uint8]] = {
    "ramp": np.stack([X * 8, Y * 10, 255 - X * 8], -1).clip(0, 255).astype(np.uint8),
    "checks": np.repeat(((X // 4 + Y // 6) % 2 * 255)[..., None], 3, 2).astype(np.uint8),
    "one colour": np.full((24, 32, 3), (200, 30, 90), np.uint8),
    "black": np.zeros((24, 32, 3), np.uint8),
    "white": np.full((24, 32, 3), 255, np.uint8),
    "disc": np.where(DISC, (250, 210, 40), (20, 40, 110)).astype(np.uint8),
    "one pixel": np.array([[[1, 128, 254]]], np.uint8),
}
HASHES = {
    "ramp": "L.H27=77w%XAmHWYjuf8gJfjfQfj",
    "checks": "L6Lqe9_3fQ_3~q4nfQ4nfQfQfQfQ",
    "one colour": "L7M^#v]VfQ]V|zo2fQo2fQfQfQfQ",
    "black": "L00000fQfQfQfQfQfQfQfQfQfQfQ",
    "white": "LDTSUA_3fQ_3~qoffQoffQfQfQfQ",
    "disc": "LUCs5U^vE80p^c-iN2E89$IuxW${",
    "one pixel": "L~0EPbhLhLhLhLhLhLhLhLhLhLhL",
}
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


@pytest.mark.parametrize("name", list(PICTURES))
def test_the_hash_is_the_one_that_another_program_makes(name: str) -> None:
    assert encode(PICTURES[name]) == HASHES[name]


@settings(max_examples=40, deadline=None)
@given(
    picture=arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))),
    across=st.integers(1, 9),
    down=st.integers(1, 9),
)
def test_any_picture_has_a_hash_of_its_length_whose_first_colour_is_the_mean_of_the_light(
    picture: NDArray[np.uint8], across: int, down: int
) -> None:
    made = encode(picture, across, down)
    assert len(made) == 4 + 2 * across * down
    assert set(made) <= set(DIGITS)
    assert DIGITS.index(made[0]) == across - 1 + 9 * (down - 1)
    value = 0
    for digit in made[2:6]:
        value = value * 83 + DIGITS.index(digit)
    share = picture / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4).mean((0, 1))
    mean = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(np.array([value >> 16, value >> 8 & 255, value & 255]) - mean).max() <= 1
