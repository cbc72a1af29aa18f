"""How visible a change is: ꟻLIP for pictures of ordinary range, of our own, on sampled tiles.

After Andersson et al., "ꟻLIP: A Difference Evaluator for Alternating Images", 2020 (doi.org/10.1145/3406183). A test
holds it to figures of the authors' program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F = NDArray[np.float32]

_TO_XYZ = np.array(
    [
        [10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794],
        [2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897],
        [1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382],
    ],
    dtype=np.float64,
)
_FROM_XYZ = np.linalg.inv(_TO_XYZ)
_WHITE = _TO_XYZ.sum(1)
_CSF = (((1.0, 0.0047),), ((1.0, 0.0053),), ((34.1, 0.04), (13.5, 0.025)))
_QC, _PC, _PT = 0.7, 0.4, 0.95


def linear(rgb: NDArray[np.uint8]) -> F:
    """sRGB 0..255 → linear 0..1."""
    values = rgb.astype(np.float32) / np.float32(255)
    out: F = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return out


def _ycxcz(rgb: F) -> F:
    xyz = (rgb @ _TO_XYZ.T / _WHITE).astype(np.float32)
    x, y, z = xyz[..., 0], xyz[..., 1], xyz[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _linear_of_ycxcz(values: F) -> F:
    y = (values[..., 0] + 16) / 116
    xyz = np.stack([y + values[..., 1] / 500, y, y - values[..., 2] / 200], -1)
    out: F = np.clip((xyz * _WHITE) @ _FROM_XYZ.T, 0, 1).astype(np.float32)
    return out


def _hunt_lab(rgb: F) -> F:
    xyz = rgb @ _TO_XYZ.T / _WHITE
    delta = 6 / 29
    f = np.where(xyz > delta**3, np.cbrt(xyz), xyz / (3 * delta**2) + 4 / 29)
    light = 116 * f[..., 1] - 16
    out: F = np.stack(
        [light, 0.01 * light * 500 * (f[..., 0] - f[..., 1]), 0.01 * light * 200 * (f[..., 1] - f[..., 2])], -1
    ).astype(np.float32)
    return out


def _hyab(first: F, second: F) -> F:
    difference = first - second
    out: F = np.abs(difference[..., 0]) + np.sqrt(difference[..., 1] ** 2 + difference[..., 2] ** 2)
    return out


_GREEN_BLUE = _hunt_lab(np.array([[0, 1, 0], [0, 0, 1]], np.float32))
_C_MAX = float(_hyab(_GREEN_BLUE[:1], _GREEN_BLUE[1:])[0]) ** _QC


def _convolved(values: F, kernel: NDArray[np.float64], axis: int) -> F:
    """One-dimensional convolution along an axis, edges repeated. The kernel runs as correlation."""
    radius = len(kernel) // 2
    pad = [(0, 0)] * values.ndim
    pad[axis] = (radius, radius)
    padded = np.pad(values, pad, mode="edge")
    out = np.zeros_like(values)
    size = values.shape[axis]
    window = [slice(None)] * values.ndim
    for at, weight in enumerate(kernel):
        window[axis] = slice(at, at + size)
        out += np.float32(weight) * padded[tuple(window)]
    return out


def _sensitivity_kernels(ppd: float) -> list[list[tuple[float, NDArray[np.float64]]]]:
    """For each opponent channel, Gaussians as (weight, one-dimensional kernel); together they sum to 1."""
    widest = max(b for channel in _CSF for _, b in channel)
    radius = int(np.ceil(3 * np.sqrt(widest / (2 * np.pi**2)) * ppd))
    distance = np.arange(-radius, radius + 1) / ppd
    kernels = []
    for channel in _CSF:
        parts = [(a * np.sqrt(np.pi / b), np.exp(-(np.pi**2) * distance**2 / b)) for a, b in channel]
        total = sum(weight * kernel.sum() ** 2 for weight, kernel in parts)
        kernels.append([(weight / total, kernel) for weight, kernel in parts])
    return kernels


def _filtered(opponent: F, kernels: list[list[tuple[float, NDArray[np.float64]]]]) -> F:
    channels = []
    for index, parts in enumerate(kernels):
        plane = opponent[..., index]
        channels.append(sum(np.float32(w) * _convolved(_convolved(plane, k, -1), k, -2) for w, k in parts))
    return np.stack(channels, -1)


def _feature_kernels(ppd: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    deviation = 0.5 * 0.082 * ppd
    radius = int(np.ceil(3 * deviation))
    x = np.arange(-radius, radius + 1, dtype=np.float64)
    bell = np.exp(-(x**2) / (2 * deviation**2))
    plane = bell[:, None] * bell[None, :]

    def normed(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
        full = kernel[None, :] * plane
        positive, negative = full[full > 0].sum(), -full[full < 0].sum()
        out: NDArray[np.float64] = np.where(kernel > 0, kernel / positive, kernel / negative) * bell
        return out

    return bell, normed(-x), normed(x**2 / deviation**2 - 1)


def _features(light: F, kernels: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]) -> tuple[F, F]:
    """(edges, points): the strength of each at every pixel."""
    bell, edge, point = kernels
    smooth_x, smooth_y = _convolved(light, bell, -1), _convolved(light, bell, -2)
    edges = np.hypot(_convolved(smooth_y, edge, -1), _convolved(smooth_x, edge, -2))
    points = np.hypot(_convolved(smooth_y, point, -1), _convolved(smooth_x, point, -2))
    return edges, points


@dataclass(frozen=True, slots=True)
class Reference:
    """A picture (or tiles `(n, height, width, 3)`) prepared once, to be compared with many others."""

    ppd: float
    lab: F
    edges: F
    points: F

    def flip(self, rgb: NDArray[np.uint8]) -> F:
        """ꟻLIP at each pixel between the reference and `rgb` of the same shape, 0..1."""
        other = prepare(rgb, self.ppd)
        colour = _hyab(self.lab, other.lab) ** _QC
        knee = _PC * _C_MAX
        colour = np.where(colour < knee, _PT / knee * colour, _PT + (colour - knee) / (_C_MAX - knee) * (1 - _PT))
        feature = np.maximum(np.abs(self.edges - other.edges), np.abs(self.points - other.points))
        feature = np.sqrt(np.clip(feature / np.sqrt(2), 0, 1))
        out: F = np.power(np.maximum(colour, 0), 1 - feature)
        return out


def prepare(rgb: NDArray[np.uint8], ppd: float) -> Reference:
    """`rgb`: sRGB 0..255, `(…, height, width, 3)`. `ppd`: pixels per degree of the viewer's sight."""
    opponent = _ycxcz(linear(rgb))
    lab = _hunt_lab(_linear_of_ycxcz(_filtered(opponent, _sensitivity_kernels(ppd))))
    edges, points = _features((opponent[..., 0] + 16) / np.float32(116), _feature_kernels(ppd))
    return Reference(ppd, lab, edges, points)


def ssim(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Mean structural similarity of two stacks of tiles `(n, height, width, 3)`, on luminance, 8 × 8 blocks."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    blocks = []
    for stack in (first, second):
        luma = stack.astype(np.float32) @ weights
        n, height, width = luma.shape
        cut = luma[:, : height // 8 * 8, : width // 8 * 8]
        blocks.append(cut.reshape(n, height // 8, 8, width // 8, 8).transpose(0, 1, 3, 2, 4).reshape(-1, 64))
    a, b = blocks
    mean_a, mean_b = a.mean(1), b.mean(1)
    covariance = ((a - mean_a[:, None]) * (b - mean_b[:, None])).mean(1)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (a.var(1) + b.var(1) + c2)
    return float((above / below).mean())
