"""Small public encoders, for measuring only: `.pth` files of the TAESD family, run by numpy.

Nothing of them belongs to fediart. The layers are told by the names and shapes in the file: `N.conv.{0,2,4}` is a block, a lone 3 × 3 convolution without a
bias halves, and a block with `pool` first adds a branch with a group norm over the whole picture.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fediart.media.cloak.weights import read_weights

F = NDArray[np.float32]
Encoder = Callable[[NDArray[np.uint8]], F]
"""`(height, width, 3)` sRGB 0..255 → `(channels, height / f, width / f)`."""

_BAND = 1 << 12
"""Pixels whose neighbourhoods are laid out at once: bounds memory, keeps the product in the cache."""


def convolved(x: F, weight: F, bias: F | None = None, stride: int = 1, relu: bool = False) -> F:
    """`(channels, height, width)` by `weight` `(out, in, k, k)`, zero padding k // 2."""
    outs, ins, side, _ = weight.shape
    pad = side // 2
    _, height, width = x.shape
    tall, wide = (height - 1) // stride + 1, (width - 1) // stride + 1
    flat = weight.reshape(outs, -1)
    out = np.empty((outs, tall, wide), np.float32)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad))) if pad else x
    rows = max(1, _BAND // wide)
    for top in range(0, tall, rows):
        many = min(rows, tall - top)
        laid = np.empty((ins, side, side, many, wide), np.float32)
        for dy in range(side):
            for dx in range(side):
                start = top * stride + dy
                laid[:, dy, dx] = padded[
                    :, start : start + (many - 1) * stride + 1 : stride, dx : dx + (wide - 1) * stride + 1 : stride
                ]
        out[:, top : top + many] = (flat @ laid.reshape(ins * side * side, -1)).reshape(outs, many, wide)
    if bias is not None:
        out += bias[:, None, None]
    if relu:
        np.maximum(out, 0, out=out)
    return out


def _normed(x: F, weight: F, bias: F, groups: int = 4) -> F:
    channels = x.shape[0]
    grouped = x.reshape(groups, -1)
    mean = grouped.mean(1, dtype=np.float64, keepdims=True)
    spread = np.sqrt(grouped.var(1, dtype=np.float64, keepdims=True) + 1e-5)
    out = ((grouped - mean) / spread).astype(np.float32).reshape(channels, -1)
    return (out * weight[:, None] + bias[:, None]).reshape(x.shape)


def _block(x: F, layer: dict[str, F]) -> F:
    if "pool.0.weight" in layer:
        branch = _normed(convolved(x, layer["pool.0.weight"]), layer["pool.1.weight"], layer["pool.1.bias"])
        x = x + convolved(np.maximum(branch, 0), layer["pool.3.weight"])
    inner = convolved(x, layer["conv.0.weight"], layer["conv.0.bias"], relu=True)
    inner = convolved(inner, layer["conv.2.weight"], layer["conv.2.bias"], relu=True)
    inner = convolved(inner, layer["conv.4.weight"], layer["conv.4.bias"])
    skip = convolved(x, layer["skip.weight"]) if "skip.weight" in layer else x
    inner += skip
    return np.maximum(inner, 0, out=inner)


def encoder(path: Path) -> Encoder:
    """The encoder in a file. Pictures are cropped to a multiple of 32 pixels."""
    layers: dict[int, dict[str, F]] = collections.defaultdict(dict)
    for name, tensor in read_weights(path).items():
        number, rest = name.split(".", 1)
        layers[int(number)][rest] = tensor
    order = sorted(layers)

    def encode(rgb: NDArray[np.uint8]) -> F:
        height, width = rgb.shape[0] // 32 * 32, rgb.shape[1] // 32 * 32
        x = np.ascontiguousarray(rgb[:height, :width].transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        for number in order:
            layer = layers[number]
            if "conv.0.weight" in layer:
                x = _block(x, layer)
                continue
            weight, bias = layer["weight"], layer.get("bias")
            # A number left out after a layer is a ReLU; two layers with ReLU at the start halve, as does one without bias.
            followed = number + 1 not in layers and number != order[-1]
            x = convolved(x, weight, bias, stride=2 if bias is None or followed else 1, relu=followed)
        return x

    return encode
