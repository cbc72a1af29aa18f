"""What a small encoder of the TAESD family is made of, told by the names and shapes of its tensors.

A convolution has a weight and most often a bias; one without a bias halves. A block is three convolutions with ReLU between,
plus what came in, then ReLU. A number without tensors is a ReLU after the layer before. Nothing is computed here.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fediart.errors import BadEncoder

F = NDArray[np.float32]

GROUPS = 4
"""Of the group norm in a block's branch."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """`weight`: (out, in, side, side), zero padding side // 2."""

    weight: F
    bias: F | None = None
    stride: int = 1
    relu: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """Added to what comes into a block: 1 × 1 convolution `widen`, group norm over the whole picture, ReLU, 1 × 1 `narrow`."""

    widen: F
    scale: F
    shift: F
    narrow: F


@dataclass(frozen=True, slots=True)
class Block:
    """`skip`: 1 × 1, for what came in, where the widths differ. `remembers`: the frame before comes in behind it."""

    convolutions: tuple[Convolution, Convolution, Convolution]
    skip: F | None
    branch: Branch | None
    remembers: bool


@dataclass(frozen=True, slots=True)
class Frames:
    """`count` frames after each other become one, by a 1 × 1 convolution of all their channels."""

    weight: F
    count: int


Layer = Convolution | Block | Frames


@dataclass(frozen=True, slots=True)
class Layers:
    """In order. `downscale`: pixels of the picture to one of the latent, along a side. `channels`: of the latent.

    `pools`: each result depends on the whole picture. `is_video`: it takes frames, and a picture is one that stands still.
    """

    order: tuple[Layer, ...]
    downscale: int
    channels: int
    pools: bool
    is_video: bool


def layers_of(weights: Mapping[str, F]) -> Layers:
    """The layers of an encoder. Raises BadEncoder when they are not of this family."""
    numbered = _by_number(weights)
    is_video = any("conv.weight" in parts for parts in numbered.values())
    order: list[Layer] = []
    width, downscale = 3, 1
    last = max(numbered)
    for number in range(last + 1):
        parts = numbered.get(number)
        if parts is None:
            if not (order and number - 1 in numbered and isinstance(order[-1], Convolution)):
                raise _strange(number)
            continue
        if "weight" in parts:
            has_relu = number + 1 not in numbered and number != last
            layer: Layer = _convolution(number, parts, width, has_relu=has_relu, is_video=is_video)
        elif "conv.weight" in parts:
            layer = _frames(number, parts, width)
        else:
            layer = _block(number, parts, width, remembers=is_video)
        order.append(layer)
        width, stride = _outcome(layer)
        downscale *= stride
    end = order[-1]
    if not isinstance(end, Convolution) or end.bias is None or end.stride != 1 or end.relu:
        raise _strange(last)
    if not any(isinstance(layer, Block) for layer in order) or not 2 <= downscale <= 64:
        raise BadEncoder("This is no encoder of the kind that is known here (TAESD): it does not make a picture smaller.")
    pools = any(isinstance(layer, Block) and layer.branch is not None for layer in order)
    return Layers(tuple(order), downscale, width, pools, is_video)


def _strange(number: int) -> BadEncoder:
    return BadEncoder(f"This is no encoder of the kind that is known here (TAESD): its layer {number} is another.")


def _by_number(weights: Mapping[str, F]) -> dict[int, dict[str, F]]:
    """Tensors by the number of their layer. Where a decoder lies in the same file, the encoder's names say that they are its."""
    for prefix in ("encoder.layers.", "encoder."):
        if any(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): held for name, held in weights.items() if name.startswith(prefix)}
            break
    numbered: dict[int, dict[str, F]] = collections.defaultdict(dict)
    for name, tensor in weights.items():
        number, _, rest = name.partition(".")
        if not number.isascii() or not number.isdecimal() or len(number) > 3:
            raise BadEncoder("This is no encoder of the kind that is known here (TAESD): its layers have other names.")
        numbered[int(number)][rest] = tensor
    if not numbered:
        raise BadEncoder("This file holds no layers.")
    return dict(numbered)


def _outcome(layer: Layer) -> tuple[int, int]:
    """(channels, stride)"""
    match layer:
        case Convolution(weight=weight, stride=stride):
            return weight.shape[0], stride
        case Block(convolutions=(_, _, third)):
            return third.weight.shape[0], 1
        case Frames(weight=weight):
            return weight.shape[0], 1


def _convolution(number: int, parts: Mapping[str, F], width: int, *, has_relu: bool, is_video: bool) -> Convolution:
    weight, bias = parts["weight"], parts.get("bias")
    outs = weight.shape[0] if weight.ndim else 0
    if not parts.keys() <= {"weight", "bias"} or weight.shape != (outs, width, 3, 3):
        raise _strange(number)
    if bias is not None and bias.shape != (outs,):
        raise _strange(number)
    # One without a bias halves. With bias and ReLU it stands at the start: in deep encoders it halves, in those of video not.
    halves = bias is None or (has_relu and not is_video)
    return Convolution(weight, bias, 2 if halves else 1, has_relu)


def _frames(number: int, parts: Mapping[str, F], width: int) -> Frames:
    weight = parts["conv.weight"]
    count = weight.shape[1] // width if weight.ndim == 4 else 0
    if parts.keys() != {"conv.weight"} or count not in (1, 2) or weight.shape != (width, width * count, 1, 1):
        raise _strange(number)
    return Frames(weight, count)


_CONVOLUTIONS = ("conv.0", "conv.2", "conv.4")
_IN_BLOCK = {f"{name}.{part}" for name in _CONVOLUTIONS for part in ("weight", "bias")}
_IN_BRANCH = {"pool.0.weight", "pool.1.weight", "pool.1.bias", "pool.3.weight"}


def _block(number: int, parts: Mapping[str, F], width: int, *, remembers: bool) -> Block:
    more = parts.keys() - _IN_BLOCK
    if not parts.keys() >= _IN_BLOCK or more - {"skip.weight"} not in (set(), _IN_BRANCH):
        raise _strange(number)
    outs = parts["conv.4.bias"].size
    ins = (width * 2 if remembers else width, outs, outs)
    for name, wanted in zip(_CONVOLUTIONS, ins, strict=True):
        if parts[f"{name}.weight"].shape != (outs, wanted, 3, 3) or parts[f"{name}.bias"].shape != (outs,):
            raise _strange(number)
    first, second, third = (
        Convolution(parts[f"{name}.weight"], parts[f"{name}.bias"], relu=name != _CONVOLUTIONS[-1]) for name in _CONVOLUTIONS
    )
    skip = parts.get("skip.weight")
    if (skip is None) != (outs == width) or (skip is not None and skip.shape != (outs, width, 1, 1)):
        raise _strange(number)
    branch = _branch(number, parts, width) if more >= _IN_BRANCH else None
    return Block((first, second, third), skip, branch, remembers)


def _branch(number: int, parts: Mapping[str, F], width: int) -> Branch:
    branch = Branch(parts["pool.0.weight"], parts["pool.1.weight"], parts["pool.1.bias"], parts["pool.3.weight"])
    inside = branch.scale.size
    shapes = (branch.widen.shape, branch.scale.shape, branch.shift.shape, branch.narrow.shape)
    if shapes != ((inside, width, 1, 1), (inside,), (inside,), (width, inside, 1, 1)) or inside % GROUPS:
        raise _strange(number)
    return branch
