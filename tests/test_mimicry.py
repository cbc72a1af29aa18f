"""The mimics of the mimicry benchmark imitate, its decoders decode, and its style distance tells styles apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from benchmarks.decoders import REACH, Decoder, Doubled, graph_of, layers_of
from benchmarks.encoders import _block, convolved
from benchmarks.mimicry import with_noise
from benchmarks.mimics import LatentModel, quilt, wct
from benchmarks.style import Style, gabor, taps
from fediart.errors import BadEncoder
from fediart.media.cloak.encoders import Encoder
from fediart.media.cloak.layers import Block, Convolution
from fediart.media.cloak.strengths import NEAR
from fediart.media.cloak.visibility import prepare
from fediart.media.cloak.weights import read_weights
from tests.pictures import KINDS
from tests.tiny_encoder import tiny_decoder, tiny_decoder_weights, tiny_encoder, tiny_weights

F = NDArray[np.float32]


# --- decoders


def _plainly(path: Path, latent: F) -> F:
    """By arithmetic: `(3, height, width)`, about 0..1."""
    x: F = (np.tanh(latent / REACH) * REACH).astype(np.float32)
    for layer in layers_of(read_weights(path)):
        match layer:
            case Convolution(weight=weight, bias=bias, relu=relu):
                x = convolved(x, weight, bias, relu=relu)
            case Doubled(Convolution(weight=weight)):
                x = convolved(x.repeat(2, 1).repeat(2, 2), weight)
            case Block():
                x = _block(x, None, layer)
    return x


@pytest.mark.parametrize("kind", ["plain", "pooled"])
def test_a_decoder_makes_what_plain_arithmetic_makes(kind: str, tmp_path: Path) -> None:
    path = tiny_decoder(tmp_path / "tiny_decoder.pth", kind, 3)
    latent = (2 * np.random.default_rng(1).standard_normal((4, 6, 9))).astype(np.float32)
    decoder = Decoder.load(path)
    assert (decoder.channels, decoder.scale) == (4, 8)
    made = decoder.decode(latent)
    assert made.shape == (48, 72, 3)
    assert made.std() > 5
    wanted = np.clip(_plainly(path, latent) * 255, 0, 255).transpose(1, 2, 0)
    assert np.abs(made - wanted).max() < 0.51


@pytest.mark.parametrize("kind", ["plain", "pooled"])
def test_a_decoder_graph_is_valid_onnx(kind: str) -> None:
    model = onnx.load_from_string(graph_of(layers_of(tiny_decoder_weights(kind))))
    onnx.checker.check_model(model, full_check=True)


def test_what_is_no_decoder_is_refused() -> None:
    right = tiny_decoder_weights()
    wrong = {
        "an encoder": tiny_weights("plain"),
        "without doubling": {name: held for name, held in right.items() if name not in ("5.weight", "8.weight", "11.weight")},
        "of another width": {**right, "5.weight": right["5.weight"][:, :4]},
        "of four colours": {**right, "13.weight": np.repeat(right["13.weight"], 2, 0)},
        "with other names": {f"layer.{name}": held for name, held in right.items()},
    }
    layers_of(right)
    for weights in wrong.values():
        with pytest.raises(BadEncoder, match="no decoder"):
            layers_of(weights)


# --- mimics


def _latents(seed: int, along: int, many: int = 4) -> list[F]:
    """Latents that change slowly along one axis and quickly along the other."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(many):
        plane = random.standard_normal((3, 20, 20))
        for _ in range(3):
            plane = plane + np.roll(plane, 1, along)
        found.append((2 + plane / plane.std()).astype(np.float32))
    return found


def _slowness(latents: list[F], axis: int) -> float:
    """1 where neighbours along an axis are alike, 0 where they have nothing to do with each other."""
    whole = np.stack(latents).astype(np.float64)
    whole -= whole.mean()
    before, after = (np.delete(whole, at, axis + 1) for at in (-1, 0))
    return float((before * after).mean() / np.square(whole).mean())


def test_wct_gives_the_portfolios_mean_and_covariance() -> None:
    portfolio = _latents(1, 1)
    content = np.random.default_rng(2).standard_normal((3, 12, 16)).astype(np.float32)
    made = wct(content, portfolio).reshape(3, -1)
    theirs = np.concatenate([latent.reshape(3, -1) for latent in portfolio], 1)
    np.testing.assert_allclose(made.mean(1), theirs.mean(1), atol=1e-3)
    np.testing.assert_allclose(np.cov(made), np.cov(theirs), atol=1e-3)


def test_a_quilt_of_what_is_in_the_portfolio_is_that_and_of_others_is_made_of_its_patches() -> None:
    portfolio = _latents(1, 1)
    np.testing.assert_allclose(quilt(portfolio[2], portfolio), portfolio[2], atol=1e-5)
    noise = np.random.default_rng(2).standard_normal((3, 20, 20)).astype(np.float32)
    made = quilt(noise, portfolio)
    assert _slowness([made], 1) > _slowness([noise], 1) + 0.3
    assert made.mean() == pytest.approx(2, abs=1)


def test_a_trained_model_draws_in_the_style_of_what_it_was_trained_on() -> None:
    for along, across in ((1, 2), (2, 1)):
        latents = _latents(1, along)
        model = LatentModel(latents, 20, 5)
        samples = [model.sample(16, 16, number) for number in range(3)]
        assert np.mean(samples) == pytest.approx(2, abs=0.5)
        assert np.std(samples) == pytest.approx(1, abs=0.3)
        assert _slowness(samples, along) == pytest.approx(_slowness(latents, along), abs=0.15)
        assert _slowness(samples, across) == pytest.approx(_slowness(latents, across), abs=0.15)
        again = LatentModel(latents, 20, 5).sample(16, 16, 2)
        np.testing.assert_array_equal(again, samples[2])
        assert not np.array_equal(model.sample(16, 16, 3), samples[2])


def test_training_learns_what_no_linear_map_can_tell() -> None:
    """Latents of two values only: with them in mind, noise is better guessed than by any average."""
    random = np.random.default_rng(3)
    latents = [np.sign(random.standard_normal((2, 24, 24))).astype(np.float32) for _ in range(4)]
    lefts = [LatentModel(latents, steps, 1).left for steps in (0, 20, 400)]
    assert lefts[0] == 1
    assert lefts[2] < 0.85 < lefts[1]


# --- style


def test_style_distances_tell_an_artists_pictures_from_others_and_grow_with_noise(tmp_path: Path) -> None:
    encoder = Encoder.load("tiny", tiny_encoder(tmp_path / "tiny_encoder.pth", "deep", 4))
    portfolio = [KINDS["painting"](160, 128, seed) for seed in range(4)]
    for features in (gabor, taps(encoder)):
        style = Style(features, portfolio)
        own = style.distance(KINDS["painting"](160, 128, 9))
        assert own < style.distance(KINDS["cel"](160, 128, 9))
        assert own == pytest.approx(np.mean(style.among()), rel=0.6)
        rgb = portfolio[0]
        noise = np.random.default_rng(1).normal(0, 40, rgb.shape)
        assert style.distance(np.clip(rgb + noise, 0, 255).astype(np.uint8)) > 1.3 * style.distance(rgb)


def test_a_style_distance_is_the_relative_distance_of_gram_matrices_with_channels_equally_loud() -> None:
    random = np.random.default_rng(4)
    pictures = [random.integers(0, 256, (8, 9, 3), dtype=np.uint8) // np.array([1, 2, 8], np.uint8) for _ in range(3)]

    def features(rgb: NDArray[np.uint8]) -> list[F]:
        flat = rgb.reshape(-1, 3).T.astype(np.float32)
        return [flat, flat[:2] ** 2]

    first, second = np.concatenate([features(rgb)[0] for rgb in pictures[:2]], 1).astype(np.float64), features(pictures[2])[0]
    loud = np.sqrt(np.square(first).mean(1, keepdims=True))
    wanted, found = (plane @ plane.T / plane.shape[1] for plane in (first / loud, second / loud))
    assert Style(lambda rgb: features(rgb)[:1], pictures[:2]).distance(pictures[2]) == pytest.approx(
        np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    )
    style = Style(features, pictures[:2])
    assert Style(features, pictures[:1]).distance(pictures[0]) == pytest.approx(0, abs=1e-6)
    each = [
        Style(one, pictures[:2]).distance(pictures[2]) for one in (lambda rgb: features(rgb)[:1], lambda rgb: features(rgb)[1:])
    ]
    assert style.distance(pictures[2]) == pytest.approx(np.mean(each))


@pytest.mark.parametrize("kind", ["noise", "blocks"])
def test_noise_is_at_least_as_visible_as_wanted_and_hardly_more(kind: str) -> None:
    rgb = KINDS["painting"](160, 128, 1)
    seen = float(prepare(rgb, NEAR).flip(with_noise(kind, rgb, 0.04, 3)).mean())
    assert 0.04 <= seen < 0.0405
