"""Blurhash: a picture in some thirty characters, shown until it is there. https://github.com/woltapp/blurhash"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def _base83(value: int, length: int) -> str:
    return "".join(_DIGITS[value // 83 ** (length - n - 1) % 83] for n in range(length))


def _linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _srgb(value: float) -> int:
    value = min(1.0, max(0.0, value))
    out = value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return int(out * 255 + 0.5)


def encode(rgb: NDArray[np.uint8], x_parts: int = 4, y_parts: int = 3) -> str:
    """The hash of `(height, width, 3)` sRGB 0..255; a thumbnail of some 32 pixels is enough."""
    height, width, _ = rgb.shape
    linear = _linear(rgb.astype(np.float64) / 255)
    along_x = np.cos(np.pi * np.arange(x_parts)[:, None] * np.arange(width)[None, :] / width)
    along_y = np.cos(np.pi * np.arange(y_parts)[:, None] * np.arange(height)[None, :] / height)
    parts = np.einsum("yh,hwc,xw->yxc", along_y, linear, along_x) / (width * height)
    parts[1:] *= 2
    parts[0, 1:] *= 2
    flat = parts.reshape(-1, 3)
    strongest = float(np.abs(flat[1:]).max(initial=0.0))
    quantised = max(0, min(82, int(strongest * 166 - 0.5)))
    scale = (quantised + 1) / 166
    out = _base83((x_parts - 1) + (y_parts - 1) * 9, 1) + _base83(quantised, 1)
    red, green, blue = (_srgb(float(value)) for value in flat[0])
    out += _base83((red << 16) + (green << 8) + blue, 4)
    for part in flat[1:]:
        root = np.sign(part) * np.sqrt(np.abs(part) / scale)
        levels = [max(0, min(18, int(np.floor(float(value) * 9 + 9.5)))) for value in root]
        out += _base83(levels[0] * 361 + levels[1] * 19 + levels[2], 2)
    return out
