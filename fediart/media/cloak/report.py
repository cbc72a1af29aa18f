"""What a cloak did to one picture, in figures: kept with the picture and shown to its artist only."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CloakReport:
    """`flip`, `flip_far`: mean ꟻLIP to the uncloaked picture at 33 and 67 pixels per degree, on the tiles that were changed
    most (0 = no difference seen); `worst_patch`: the largest of a tile. `psnr` in dB over all pixels, `ssim` on those tiles.

    `shifts`: for each encoder, d = |E(x') - E(x)| / |E(x)| of the picture as a trainer sees it at a long side of 384, after
    JPEG 75 (`jpeg`) and at half of that (`half`). `amplitude`: root mean square asked for, in levels; `flat_cap`: the bound
    on flat areas. `weak`: the wanted visibility was not reached inside the bounds. `seconds` of wall clock, `cpu_seconds` of
    processor, `check_seconds` of it for looking (ꟻLIP), in all sizes; of the rest, where a process that was ended had done
    `resumed` steps before.
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
    flip_far: float = 0.0
    worst_patch: float = 0.0
    check_seconds: float = 0.0
    resumed: int = 0
    encoders: list[str] = field(default_factory=list)
    shifts: dict[str, dict[str, float]] = field(default_factory=dict)
