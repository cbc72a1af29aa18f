"""Small public encoders, for measuring only: `.pth` files of the TAESD family, run by numpy.

Nothing of them belongs to fediart. What a file's tensors mean is told by `fediart.media.cloak.layers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fediart.media.cloak.layers import GROUPS, Block, Convolution, Frames, Layer, layers_of
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


def _normed(x: F, weight: F, bias: F, groups: int = GROUPS) -> F:
    channels = x.shape[0]
    grouped = x.reshape(groups, -1)
    mean = grouped.mean(1, dtype=np.float64, keepdims=True)
    spread = np.sqrt(grouped.var(1, dtype=np.float64, keepdims=True) + 1e-5)
    flat = ((grouped - mean) / spread).astype(np.float32).reshape(channels, -1)
    out: F = (flat * weight[:, None] + bias[:, None]).reshape(x.shape)
    return out


def _block(x: F, before: F | None, block: Block) -> F:
    """`before`: what came in with the frame before, for a block that remembers."""
    if (branch := block.branch) is not None:
        inner = _normed(convolved(x, branch.widen), branch.scale, branch.shift)
        x = x + convolved(np.maximum(inner, 0), branch.narrow)
    inner = x if before is None else np.concatenate([x, before])
    for layer in block.convolutions:
        inner = convolved(inner, layer.weight, layer.bias, relu=layer.relu)
    inner += convolved(x, block.skip) if block.skip is not None else x
    return np.maximum(inner, 0, out=inner)


def _after(layer: Layer, frames: list[F]) -> list[F]:
    match layer:
        case Convolution(weight=weight, bias=bias, stride=stride, relu=relu):
            return [convolved(x, weight, bias, stride, relu) for x in frames]
        case Block(remembers=True):
            return [_block(x, frames[at - 1] if at else np.zeros_like(x), layer) for at, x in enumerate(frames)]
        case Block():
            return [_block(x, None, layer) for x in frames]
        case Frames(weight=weight, count=count):
            return [convolved(np.concatenate(frames[at : at + count]), weight) for at in range(0, len(frames), count)]


def encoder(path: Path) -> Encoder:
    """The encoder in a file. Pictures are cropped to a multiple of 32 pixels."""
    layers = layers_of(read_weights(path))
    # To an encoder of video a picture is a film in which nothing moves, as long as it takes for one latent to come out.
    length = math.prod(layer.count for layer in layers.order if isinstance(layer, Frames))

    def encode(rgb: NDArray[np.uint8]) -> F:
        height, width = rgb.shape[0] // 32 * 32, rgb.shape[1] // 32 * 32
        x = np.ascontiguousarray(rgb[:height, :width].transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        frames = [x] * length
        for layer in layers.order:
            frames = _after(layer, frames)
        return frames[0]

    return encode
