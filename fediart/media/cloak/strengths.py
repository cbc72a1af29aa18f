"""How visible a cloak may be."""

from __future__ import annotations

from dataclasses import dataclass

NEAR, FAR = 33.0, 67.0
"""Pixels per degree of sight: an artist who looks closely, and ꟻLIP's ordinary distance (70 cm from a screen)."""


@dataclass(frozen=True, slots=True)
class Strength:
    """`flip`: the largest mean ꟻLIP, at NEAR and at FAR. `flat_cap`: the largest change on flat areas, in levels of 255;
    `most`: anywhere. `typical`: what gradient steps reckon with, root mean square."""

    flip: float
    flat_cap: float
    most: float
    typical: float


STRENGTHS = {
    "light": Strength(0.02, 1.0, 6.0, 1.5),
    "standard": Strength(0.04, 1.5, 10.0, 2.5),
    "strong": Strength(0.08, 3.0, 18.0, 5.0),
}
