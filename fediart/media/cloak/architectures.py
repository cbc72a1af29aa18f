"""What the encoders that trainers use are made of: their parts in order, and every tensor's published name and shape.

The facts are those of the published programs and files: Stable Diffusion's autoencoder (CompVis latent-diffusion), which
SDXL took over and FLUX.2 with more channels in the latent, and Wan 2.1's, which Qwen-Image took over. Nothing is computed
here and torch is not needed: `full_encoders` does that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Convolution:
    """`side` × `side`, zero padding side // 2. With `halves`: stride 2, one zero row below and one zero column to the right."""

    name: str
    ins: int
    outs: int
    side: int = 3
    halves: bool = False


@dataclass(frozen=True, slots=True)
class Norm:
    name: str
    channels: int


@dataclass(frozen=True, slots=True)
class Step:
    """Norm, SiLU, convolution."""

    norm: Norm
    convolution: Convolution


@dataclass(frozen=True, slots=True)
class Residual:
    """Two steps, and what came in is added: through a 1 × 1 convolution where the widths differ."""

    first: Step
    second: Step
    skip: Convolution | None


@dataclass(frozen=True, slots=True)
class Attention:
    """Norm, then every place of the plane looks at every other, one head; what came in is added.

    `mixed`: one 1 × 1 convolution for query, key and value behind each other, or one for each.
    """

    norm: Norm
    mixed: tuple[Convolution, ...]
    out: Convolution


Part = Convolution | Step | Residual | Attention


@dataclass(frozen=True, slots=True)
class Architecture:
    """`norms`: over groups of channels and the whole plane, or over the channels at each place.

    `middle`: the number of the first part at the latent's size that is neither wider nor smaller than the one before; what
    goes into it is a reading of its own. `latent`: channels of the mean, which come first of what the last part gives.
    `films`: convolutions are made for films, and of their weights the last frame's meet a picture, whose past is zeros.
    """

    name: str
    parts: tuple[Part, ...]
    norms: Literal["groups", "places"]
    middle: int
    latent: int
    films: bool = False

    @property
    def downscale(self) -> int:
        return 1 << sum(isinstance(part, Convolution) and part.halves for part in self.parts)

    def tensors(self) -> dict[str, Shape]:
        """Names and shapes, as they stand in the file."""
        found: dict[str, Shape] = {}
        for part in self.parts:
            found |= self._of(part)
        return found

    def parameters(self) -> int:
        return sum(math.prod(shape) for shape in self.tensors().values())

    def fits(self, shapes: Mapping[str, Shape]) -> bool:
        """Are all its tensors among these?"""
        return all(shapes.get(name) == shape for name, shape in self.tensors().items())

    def cost(self) -> float:
        """Thousands of multiplications a pixel: forward, most of it again on the way back, and back. Attention is left out."""
        total, area = 0.0, 1.0
        for part in self.parts:
            for convolution in _convolutions(part):
                area /= 4 if convolution.halves else 1
                total += area * convolution.ins * convolution.outs * convolution.side**2
        return 2.5 * total / 1e3

    def _of(self, part: Part) -> dict[str, Shape]:
        found: dict[str, Shape] = {}
        for norm in _norms(part):
            if self.norms == "groups":
                found |= {f"{norm.name}.weight": (norm.channels,), f"{norm.name}.bias": (norm.channels,)}
            else:
                flat = isinstance(part, Attention)
                found[f"{norm.name}.gamma"] = (norm.channels, 1, 1) if flat else (norm.channels, 1, 1, 1)
        for one in _convolutions(part):
            is_film = (self.films and not one.halves and not isinstance(part, Attention)) or (self.films and _is_skip(part, one))
            deep = (one.side,) if is_film else ()
            found |= {f"{one.name}.weight": (one.outs, one.ins, *deep, one.side, one.side), f"{one.name}.bias": (one.outs,)}
        return found


def _is_skip(part: Part, one: Convolution) -> bool:
    return isinstance(part, Residual) and part.skip is one


def _norms(part: Part) -> Iterable[Norm]:
    match part:
        case Step(norm=norm) | Attention(norm=norm):
            return (norm,)
        case Residual(first=first, second=second):
            return first.norm, second.norm
    return ()


def _convolutions(part: Part) -> Iterable[Convolution]:
    match part:
        case Convolution():
            return (part,)
        case Step(convolution=convolution):
            return (convolution,)
        case Residual(first=first, second=second, skip=skip):
            both = (first.convolution, second.convolution)
            return both if skip is None else (*both, skip)
        case Attention(mixed=mixed, out=out):
            return (*mixed, out)


WIDTHS = (1, 2, 4, 4)
"""Of the four sizes, in those of the first. Each has two residual blocks; all but the last end with a halving."""


def _stable_diffusion(name: str, latent: int, quant: str) -> Architecture:
    """https://github.com/CompVis/latent-diffusion, `ldm/modules/diffusionmodules/model.py`: 128 channels, 32 groups."""
    parts: list[Part] = [Convolution("encoder.conv_in", 3, 128)]
    ins = 128

    def residual(at: str, ins: int, outs: int) -> Residual:
        first = Step(Norm(f"{at}.norm1", ins), Convolution(f"{at}.conv1", ins, outs))
        second = Step(Norm(f"{at}.norm2", outs), Convolution(f"{at}.conv2", outs, outs))
        return Residual(first, second, Convolution(f"{at}.nin_shortcut", ins, outs, 1) if ins != outs else None)

    for size, times in enumerate(WIDTHS):
        outs = 128 * times
        for block in range(2):
            parts.append(residual(f"encoder.down.{size}.block.{block}", ins, outs))
            ins = outs
        if size < len(WIDTHS) - 1:
            parts.append(Convolution(f"encoder.down.{size}.downsample.conv", outs, outs, halves=True))
    middle = len(parts)
    at = "encoder.mid.attn_1"
    mixed = tuple(Convolution(f"{at}.{one}", ins, ins, 1) for one in ("q", "k", "v"))
    parts += [
        residual("encoder.mid.block_1", ins, ins),
        Attention(Norm(f"{at}.norm", ins), mixed, Convolution(f"{at}.proj_out", ins, ins, 1)),
        residual("encoder.mid.block_2", ins, ins),
        Step(Norm("encoder.norm_out", ins), Convolution("encoder.conv_out", ins, 2 * latent)),
        Convolution(quant, 2 * latent, 2 * latent, 1),
    ]
    return Architecture(name, tuple(parts), "groups", middle, latent)


def _wan() -> Architecture:
    """https://github.com/Wan-Video/Wan2.1, `wan/modules/vae.py`: 96 channels, 16 in the latent."""
    parts: list[Part] = [Convolution("encoder.conv1", 3, 96)]
    ins, number = 96, 0

    def residual(at: str, ins: int, outs: int) -> Residual:
        first = Step(Norm(f"{at}.residual.0", ins), Convolution(f"{at}.residual.2", ins, outs))
        second = Step(Norm(f"{at}.residual.3", outs), Convolution(f"{at}.residual.6", outs, outs))
        return Residual(first, second, Convolution(f"{at}.shortcut", ins, outs, 1) if ins != outs else None)

    for size, times in enumerate(WIDTHS):
        outs = 96 * times
        for _ in range(2):
            parts.append(residual(f"encoder.downsamples.{number}", ins, outs))
            ins, number = outs, number + 1
        if size < len(WIDTHS) - 1:
            parts.append(Convolution(f"encoder.downsamples.{number}.resample.1", outs, outs, halves=True))
            number += 1
    middle = len(parts)
    mixed = (Convolution("encoder.middle.1.to_qkv", ins, 3 * ins, 1),)
    parts += [
        residual("encoder.middle.0", ins, ins),
        Attention(Norm("encoder.middle.1.norm", ins), mixed, Convolution("encoder.middle.1.proj", ins, ins, 1)),
        residual("encoder.middle.2", ins, ins),
        Step(Norm("encoder.head.0", ins), Convolution("encoder.head.2", ins, 32)),
        Convolution("conv1", 32, 32, 1),
    ]
    return Architecture("Wan 2.1", tuple(parts), "places", middle, 16, films=True)


ARCHITECTURES = (
    _stable_diffusion("Stable Diffusion", 4, "quant_conv"),
    _stable_diffusion("FLUX.2", 32, "encoder.quant_conv"),
    _wan(),
)


def architecture_of(shapes: Mapping[str, Shape]) -> Architecture | None:
    """The one whose tensors are all among these, if any."""
    return next((one for one in ARCHITECTURES if one.fits(shapes)), None)
