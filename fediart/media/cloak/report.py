"""What a cloak did to one picture, in figures: kept with the picture and shown to its artist only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CloakReport:
    """`flip`: mean ꟻLIP to the uncloaked picture at 33 pixels per degree, on sampled tiles (0 = no difference seen).

    `psnr` in dB over all pixels, `ssim` on the tiles' luminance. `seconds` of wall clock, `cpu_seconds` of processor.
    `weak`: the wanted visibility could not be reached inside the cap on flat areas.
    """

    backend: str
    version: int
    strength: str
    flip: float
    psnr: float
    ssim: float
    seconds: float
    cpu_seconds: float
    amplitude: float
    flat_cap: float
    weak: bool
