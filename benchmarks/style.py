"""How far a picture's style is from an artist's: the relative distance of Gram matrices of features.

The usual features are those of VGG, whose weights are not here. Two kinds stand in: waves of our own (`gabor`), which take
part in nothing else, and the taps of an encoder that the mimic does not use (`taps`), which may have steered the cloak.
What they say is of the order of what VGG's say, not the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fediart.media.cloak.encoders import Encoder
from tests.probe import SIDE, bank

F = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Features = Callable[[Pixels], list[F]]
"""A picture → for each layer `(channels, places)`."""

SCALES = (1.0, 0.5, 0.25)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32) / np.float32(255)
_FAINT = 1e-3
"""A channel weaker than this share of the strongest counts as if it had it: one that never answers is not made loud."""


def gabor(rgb: Pixels) -> list[F]:
    """Waves of four lengths and six directions on luminance, both signs rectified, at three scales of the picture."""
    filters, found = bank(), []
    for scale in SCALES:
        size = (max(SIDE, round(rgb.shape[1] * scale)), max(SIDE, round(rgb.shape[0] * scale)))
        small = rgb if scale == 1 else np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
        step = 2 if scale == 1 else 1
        padded = np.pad(small.astype(np.float32) @ _LUMA, SIDE // 2, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE))[::step, ::step].reshape(-1, SIDE * SIDE)
        waves = filters @ windows.T
        found.append(np.maximum(np.concatenate([waves, -waves]), 0))
    return found


def taps(encoder: Encoder) -> Features:
    """What an encoder holds before each halving. The latent is left out: it is signed, and small where an encoder is deep."""

    def features(rgb: Pixels) -> list[F]:
        tall, wide = (length // encoder.multiple * encoder.multiple for length in rgb.shape[:2])
        x = np.ascontiguousarray(rgb[:tall, :wide].transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        return [tap.reshape(tap.shape[0], -1) for tap in encoder.encode(x)[:-1]]

    return features


class Style:
    """Of an artist, by the clean portfolio. Each channel is as loud as the others: its mean square there is 1."""

    def __init__(self, features: Features, portfolio: Sequence[Pixels]) -> None:
        self._features = features
        grams = [[_gram(layer) for layer in features(rgb)] for rgb in portfolio]
        loudness = [np.sqrt(np.diag(np.mean(layer, 0))) for layer in zip(*grams, strict=True)]
        self._scales = [np.outer(one, one) for one in (np.maximum(loud, _FAINT * loud.max()) for loud in loudness)]
        self._each = [[gram / scale for gram, scale in zip(one, self._scales, strict=True)] for one in grams]
        self._wanted = [np.mean(layer, 0) for layer in zip(*self._each, strict=True)]

    def distance(self, rgb: Pixels) -> float:
        """|G - G of the portfolio| / |G of the portfolio|, mean over layers."""
        found = [_gram(layer) / scale for layer, scale in zip(self._features(rgb), self._scales, strict=True)]
        return _apart(found, self._wanted)

    def among(self) -> list[float]:
        """Of each picture of the portfolio to the others: what an honest picture of the artist's has."""
        many = len(self._each)
        found = []
        for one in self._each:
            others = [(whole * many - mine) / (many - 1) for whole, mine in zip(self._wanted, one, strict=True)]
            found.append(_apart(one, others))
        return found


def _gram(layer: F) -> NDArray[np.float64]:
    wide = layer.astype(np.float64)
    out: NDArray[np.float64] = wide @ wide.T / wide.shape[1]
    return out


def _apart(found: Sequence[NDArray[np.float64]], wanted: Sequence[NDArray[np.float64]]) -> float:
    pairs = zip(found, wanted, strict=True)
    return float(np.mean([np.linalg.norm(one - other) / np.linalg.norm(other) for one, other in pairs]))
