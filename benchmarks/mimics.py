"""Three ways to imitate an artist in an encoder's latent space, small enough for a processor.

Two need no training and take a content picture: `wct` gives its latent the mean and covariance of the portfolio's, `quilt`
lays it anew out of the portfolio's patches. The third, `LatentModel`, is trained from nothing on one portfolio and draws
samples: a diffusion model that sees a neighbourhood of 5 × 5 latents at a time. None of them is what a mimic uses today;
they ask whether what a cloak does to latents is carried into what is made from them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

F = NDArray[np.float32]
W = NDArray[np.float64]
_LEAST = 1e-4
"""Of a variance, where it is divided by."""


def _flat(latents: Sequence[F]) -> W:
    return np.concatenate([latent.reshape(latent.shape[0], -1) for latent in latents], 1).astype(np.float64)


def _root(covariance: W, power: float) -> W:
    values, vectors = np.linalg.eigh(covariance)
    out: W = (vectors * np.maximum(values, _LEAST) ** power) @ vectors.T
    return out


def wct(content: F, portfolio: Sequence[F]) -> F:
    """Whitening and colouring (Li et al. 2017, arxiv.org/abs/1705.08086): `content` with the portfolio's mean and covariance."""
    mine, theirs = _flat([content]), _flat(portfolio)
    white = _root(np.cov(mine), -0.5) @ (mine - mine.mean(1, keepdims=True))
    out = _root(np.cov(theirs), 0.5) @ white + theirs.mean(1, keepdims=True)
    made: F = out.reshape(content.shape).astype(np.float32)
    return made


def neighbourhoods(latent: F, side: int) -> F:
    """`(channels, h, w)` → `(places, channels · side²)`, those that lie inside, row by row."""
    windows = np.lib.stride_tricks.sliding_window_view(latent, (side, side), axis=(1, 2))
    return np.ascontiguousarray(windows.transpose(1, 2, 0, 3, 4)).reshape(windows.shape[1] * windows.shape[2], -1)


def quilt(content: F, portfolio: Sequence[F], side: int = 3) -> F:
    """Each patch of `content` is replaced by the portfolio's nearest, each channel by its spread there; overlaps are averaged."""
    spread = np.maximum(_flat(portfolio).std(1), _LEAST).astype(np.float32)[:, None, None]
    channels, height, width = content.shape
    theirs = np.concatenate([neighbourhoods(latent / spread, side) for latent in portfolio])
    mine = neighbourhoods(content / spread, side)
    sizes = np.square(theirs).sum(1)
    nearest = np.concatenate([(sizes - 2 * (part @ theirs.T)).argmin(1) for part in np.array_split(mine, -(-len(mine) // 512))])
    patches = theirs[nearest].reshape(height - side + 1, width - side + 1, channels, side, side)
    total, many = np.zeros_like(content), np.zeros((1, height, width), np.float32)
    for dy in range(side):
        for dx in range(side):
            rows, columns = slice(dy, dy + height - side + 1), slice(dx, dx + width - side + 1)
            total[:, rows, columns] += patches[..., dy, dx].transpose(2, 0, 1)
            many[:, rows, columns] += 1
    out: F = total / many * spread
    return out


SIDE = 5
LEVELS = np.geomspace(6, 0.04, 18).astype(np.float32)
"""Noise that the model learns to take away, where latents have a deviation of 1."""
HIDDEN, BATCH, RATE = 256, 256, 2e-3


class LatentModel:
    """Tells the clean latent in the middle of a noisy neighbourhood, at each level of noise; samples are drawn by that.

    What a linear map can tell (ridge regression, in closed form) is never learned; the rest is, by a network of two hidden
    layers that hears the level too, trained by Adam (arxiv.org/abs/1412.6980). After few steps nearly all that the model
    knows is linear; `left` says how much the network has added. Same latents, seed and steps: same model.
    """

    def __init__(self, portfolio: Sequence[F], steps: int, seed: int) -> None:
        flat = _flat(portfolio)
        self._mean = flat.mean(1).astype(np.float32)[:, None, None]
        self._spread = np.maximum(flat.std(1), _LEAST).astype(np.float32)[:, None, None]
        seen = np.concatenate([neighbourhoods((latent - self._mean) / self._spread, SIDE) for latent in portfolio])
        self.channels = portfolio[0].shape[0]
        self._middle = np.arange(self.channels) * SIDE**2 + SIDE**2 // 2
        self._linear, self._errors = self._ridge(seen)
        random = np.random.default_rng(seed)
        wide = seen.shape[1] + self.channels
        self._weights: list[F] = [
            random.normal(0, np.sqrt(2 / wide), (wide, HIDDEN)).astype(np.float32),
            np.zeros((len(LEVELS), HIDDEN), np.float32),
            random.normal(0, np.sqrt(2 / HIDDEN), (HIDDEN, HIDDEN)).astype(np.float32),
            np.zeros(HIDDEN, np.float32),
            np.zeros((HIDDEN, self.channels), np.float32),
        ]
        self.left = self._train(seen, steps, random)
        """Of the linear map's squared error, what the trained network leaves; mean over the last tenth of the steps."""

    def _ridge(self, seen: F) -> tuple[list[F], F]:
        """For each level the best linear map from neighbourhood to middle, and its error by channel, root mean square."""
        covariance = np.cov(seen.T.astype(np.float64))
        values, vectors = np.linalg.eigh(covariance)
        values = np.maximum(values, 0)
        toward = covariance[self._middle] @ vectors
        maps, errors = [], []
        for level in LEVELS.astype(np.float64):
            maps.append(np.ascontiguousarray(((toward / (values + level**2)) @ vectors.T).T).astype(np.float32))
            left = np.diag(covariance)[self._middle] - (toward**2 / (values + level**2)).sum(1)
            errors.append(np.sqrt(np.maximum(left, _LEAST)))
        return maps, np.array(errors, np.float32)

    def _forward(self, noisy: F, levels: NDArray[np.int64]) -> tuple[F, F, F, F, F]:
        """What the linear map tells, and the network's layers: it is shown the neighbourhood, and what the linear map tells.

        `levels` in ascending order.
        """
        first, by_level, second, bias, last = self._weights
        ends = np.searchsorted(levels, np.arange(len(LEVELS) + 1))
        line = np.concatenate([noisy[ends[at] : ends[at + 1]] @ self._linear[at] for at in range(len(LEVELS))])
        size: F = np.sqrt(1 + LEVELS[levels] ** 2).astype(np.float32)
        x = np.concatenate([noisy / size[:, None], np.float32(SIDE) * line], 1)  # one as loud as the other
        one: F = np.maximum(x @ first + by_level[levels], 0)
        two: F = np.maximum(one @ second + bias, 0)
        return line, x, one, two, two @ last

    def _train(self, seen: F, steps: int, random: np.random.Generator) -> float:
        means, squares = ([np.zeros_like(one) for one in self._weights] for _ in range(2))
        lefts: list[float] = []
        for step in range(1, steps + 1):
            clean = seen[random.integers(len(seen), size=BATCH)]
            levels = np.sort(random.integers(len(LEVELS), size=BATCH))
            noisy = clean + LEVELS[levels][:, None] * random.standard_normal(clean.shape, dtype=np.float32)
            line, x, one, two, out = self._forward(noisy, levels)
            wanted = (clean[:, self._middle] - line) / self._errors[levels]
            away = out - wanted
            lefts.append(float((away**2).mean() / (wanted**2).mean()))
            gradient = away * np.float32(2 / away.size)
            back_two = (gradient @ self._weights[4].T) * (two > 0)
            back_one = (back_two @ self._weights[2].T) * (one > 0)
            to_levels = (levels == np.arange(len(LEVELS))[:, None]).astype(np.float32) @ back_one
            gradients = [x.T @ back_one, to_levels, one.T @ back_two, back_two.sum(0), two.T @ gradient]
            rate = RATE * (1 - (step - 1) / steps)
            for weight, mean, square, slope in zip(self._weights, means, squares, gradients, strict=True):
                mean += np.float32(0.1) * (slope - mean)
                square += np.float32(0.01) * (slope * slope - square)
                unbiased = np.sqrt(square / np.float32(1 - 0.99**step)) + np.float32(1e-8)
                weight -= np.float32(rate / (1 - 0.9**step)) * mean / unbiased
        return float(np.mean(lefts[-max(1, steps // 10) :])) if lefts else 1.0

    def _told(self, noisy: F, level: int) -> F:
        """`(channels, h, w)` at a level → its clean middle everywhere; beyond an edge lies what is at the other."""
        reach = SIDE // 2
        around = neighbourhoods(np.pad(noisy, ((0, 0), (reach, reach), (reach, reach)), mode="wrap"), SIDE)
        line, *_, out = self._forward(around, np.full(len(around), level))
        clean = line + self._errors[level] * out
        return np.ascontiguousarray(clean.T).reshape(noisy.shape)

    def sample(self, height: int, width: int, seed: int) -> F:
        """A latent of this size, by ancestral steps down the levels."""
        random = np.random.default_rng(seed)
        shape = (self.channels, height, width)
        x = LEVELS[0] * random.standard_normal(shape, dtype=np.float32)
        for at, level in enumerate(LEVELS):
            clean = self._told(x, at)
            if at + 1 == len(LEVELS):
                x = clean
                break
            lower = LEVELS[at + 1]
            fresh = np.sqrt(lower**2 * (level**2 - lower**2) / level**2)
            x = clean + (x - clean) * (np.sqrt(lower**2 - fresh**2) / level)
            x += fresh * random.standard_normal(shape, dtype=np.float32)
        out: F = x * self._spread + self._mean
        return out
