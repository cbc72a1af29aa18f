"""Small public decoders, for measuring only: `NAME_decoder.pth` files of the TAESD family, as ONNX graphs of our own making.

A decoder's layers are told by the names and shapes of its tensors, as an encoder's are (`fediart.media.cloak.layers`): a
convolution with a bias, a block, and a convolution without a bias, before which every pixel is repeated, twice along each
side. A number without tensors is a ReLU after the first convolution, or that repetition. Before the first layer stands
tanh(x / 3) · 3.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fediart.errors import BadEncoder
from fediart.media.cloak.layers import GROUPS, Block, Branch, Convolution
from fediart.media.cloak.onnx_format import Model
from fediart.media.cloak.weights import read_weights

F = NDArray[np.float32]
Pixels = NDArray[np.uint8]
REACH = 3.0
"""Latents are bent to this range before anything else."""
_EPSILON = 1e-5
_CONVOLUTIONS = ("conv.0", "conv.2", "conv.4")


@dataclass(frozen=True, slots=True)
class Doubled:
    """Every pixel twice along each side, then the convolution."""

    convolution: Convolution


Layer = Convolution | Block | Doubled


def layers_of(weights: Mapping[str, F]) -> list[Layer]:
    """In order. Raises BadEncoder for what is no decoder of this family."""
    numbered: dict[int, dict[str, F]] = collections.defaultdict(dict)
    for name, tensor in weights.items():
        number, _, rest = name.partition(".")
        if not number.isdecimal():
            raise BadEncoder("This is no decoder of the kind that is known here (TAESD): its layers have other names.")
        numbered[int(number)][rest] = tensor
    last = max(numbered)
    order = [
        _layer(parts, is_first=not at, is_last=number == last) for at, (number, parts) in enumerate(sorted(numbered.items()))
    ]
    width = order[0].weight.shape[1] if isinstance(order[0], Convolution) else 0
    for layer in order:
        if _ins(layer) != width:
            raise BadEncoder("This is no decoder of the kind that is known here (TAESD): its layers do not fit each other.")
        width = _outs(layer)
    if width != 3 or not isinstance(order[-1], Convolution) or not any(isinstance(layer, Doubled) for layer in order):
        raise BadEncoder("This is no decoder of the kind that is known here (TAESD): it does not make a picture.")
    return order


def _layer(parts: Mapping[str, F], *, is_first: bool, is_last: bool) -> Layer:
    if "weight" in parts and "bias" in parts and (is_first or is_last):
        return Convolution(parts["weight"], parts["bias"], relu=is_first)
    if parts.keys() == {"weight"}:
        return Doubled(Convolution(parts["weight"]))
    if any(f"{name}.{part}" not in parts for name in _CONVOLUTIONS for part in ("weight", "bias")):
        raise BadEncoder("This is no decoder of the kind that is known here (TAESD).")
    first, second, third = (
        Convolution(parts[f"{name}.weight"], parts[f"{name}.bias"], relu=name != _CONVOLUTIONS[-1]) for name in _CONVOLUTIONS
    )
    branch = None
    if "pool.0.weight" in parts:
        branch = Branch(parts["pool.0.weight"], parts["pool.1.weight"], parts["pool.1.bias"], parts["pool.3.weight"])
    return Block((first, second, third), parts.get("skip.weight"), branch, remembers=False)


def _ins(layer: Layer) -> int:
    match layer:
        case (
            Convolution(weight=weight)
            | Doubled(Convolution(weight=weight))
            | Block(convolutions=(Convolution(weight=weight), *_))
        ):
            return int(weight.shape[1])
    raise AssertionError(layer)


def _outs(layer: Layer) -> int:
    match layer:
        case (
            Convolution(weight=weight)
            | Doubled(Convolution(weight=weight))
            | Block(convolutions=(*_, Convolution(weight=weight)))
        ):
            return int(weight.shape[0])
    raise AssertionError(layer)


# ------------------------------------------------------------------------------------------------------- the graph


def _conv(model: Model, x: str, weight: F, bias: F | None = None, *, relu: bool = False) -> str:
    side = weight.shape[2]
    names = [x, model.constant(np.ascontiguousarray(weight))] + ([model.constant(bias)] if bias is not None else [])
    out = model.node("Conv", names, kernel_shape=[side, side], pads=[side // 2] * 4)
    return model.node("Relu", [out]) if relu else out


def _normed(model: Model, x: str, branch: Branch) -> str:
    """Group norm over the whole plane: each group is normalised as if it were one channel."""
    ones, zeros = np.ones(GROUPS, np.float32), np.zeros(GROUPS, np.float32)
    flat = model.node("Reshape", [x, model.constant(np.array([1, GROUPS, -1], np.int64))])
    even = model.node("InstanceNormalization", [flat, model.constant(ones), model.constant(zeros)], epsilon=_EPSILON)
    back = model.node("Reshape", [even, model.node("Shape", [x])])
    scaled = model.node("Mul", [back, model.constant(branch.scale.reshape(1, -1, 1, 1))])
    return model.node("Add", [scaled, model.constant(branch.shift.reshape(1, -1, 1, 1))])


def _block(model: Model, x: str, block: Block) -> str:
    if block.branch is not None:
        wide = model.node("Relu", [_normed(model, _conv(model, x, block.branch.widen), block.branch)])
        x = model.node("Add", [x, _conv(model, wide, block.branch.narrow)])
    inner = x
    for layer in block.convolutions:
        inner = _conv(model, inner, layer.weight, layer.bias, relu=layer.relu)
    skip = x if block.skip is None else _conv(model, x, block.skip)
    return model.node("Relu", [model.node("Add", [inner, skip])])


def graph_of(order: list[Layer]) -> bytes:
    """`latent` `(1, channels, h, w)` → `picture` `(1, 3, H, W)`, about 0..1."""
    model = Model()
    x = model.input("latent", [1, _ins(order[0]), "h", "w"])
    reach = model.constant(np.array([REACH], np.float32))
    x = model.node("Mul", [model.node("Tanh", [model.node("Div", [x, reach])]), reach])
    for layer in order:
        match layer:
            case Convolution():
                x = _conv(model, x, layer.weight, layer.bias, relu=layer.relu)
            case Doubled(convolution):
                scales = model.constant(np.array([1, 1, 2, 2], np.float32))
                # Without attributes it takes the nearest; the empty name is a region that is not given.
                x = _conv(model, model.node("Resize", [x, "", scales]), convolution.weight)
            case Block():
                x = _block(model, x, layer)
    model.output(x, "picture", [1, 3, "height", "width"])
    return model.to_bytes()


class Decoder:
    """A decoder at work, on one thread. `scale`: pixels of the picture to one of the latent, along a side."""

    def __init__(self, order: list[Layer]) -> None:
        import onnxruntime

        self.channels = _ins(order[0])
        self.scale = 2 ** sum(isinstance(layer, Doubled) for layer in order)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(graph_of(order), options, ["CPUExecutionProvider"])

    @classmethod
    def load(cls, path: Path) -> Decoder:
        """Raises BadEncoder."""
        return cls(layers_of(read_weights(path)))

    def decode(self, latent: F) -> Pixels:
        """`(channels, h, w)` → `(height, width, 3)`, sRGB 0..255."""
        (made,) = self._session.run(None, {"latent": latent[None].astype(np.float32)})
        return np.ascontiguousarray(np.clip(np.rint(made[0] * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0))
