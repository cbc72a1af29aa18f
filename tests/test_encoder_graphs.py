"""The graphs that we write for encoders: what they read, and which way is away."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from benchmarks.encoders import encoder as reference
from fediart.media.cloak.encoders import Encoder, graphs_of
from fediart.media.cloak.layers import layers_of
from fediart.media.cloak.optimise import Plan, _spans, away_from, planned, tiles_of
from fediart.media.cloak.textures import texture
from fediart.media.cloak.weights import read_weights
from tests.pictures import KINDS
from tests.tiny_encoder import KINDS as ENCODERS
from tests.tiny_encoder import tiny_encoder

F = NDArray[np.float32]


@pytest.fixture(params=ENCODERS)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.pth"
    tiny_encoder(path, request.param, 3)
    return path


def _picture(height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    return KINDS["painting"](width, height, 2)


def _shares(rgb: NDArray[np.uint8]) -> F:
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)


def test_a_graph_reads_what_plain_arithmetic_reads(file: Path) -> None:
    rgb = _picture()
    read = Encoder.load("tiny", file).encode(_shares(rgb))[-1]
    np.testing.assert_allclose(read, reference(file)(rgb), atol=2e-5)


def test_a_gradient_is_what_finite_differences_say(file: Path) -> None:
    """Along itself, where the loss bends least, and along a random way."""
    encoder = Encoder.load("tiny", file)
    x, random = _shares(_picture()), np.random.default_rng(1)
    aims = [tap + 0.5 * random.standard_normal(tap.shape).astype(np.float32) for tap in encoder.encode(x)]
    weights = [0.5 + at for at in range(len(aims))]

    def loss(picture: F) -> float:
        pairs = zip(weights, encoder.encode(picture), aims, strict=True)
        return sum(weight * float(np.mean(np.square(tap - aim, dtype=np.float64))) for weight, tap, aim in pairs)

    told, gradient = encoder.gradient(x, aims, weights)
    assert told == pytest.approx(loss(x), rel=1e-4)
    noise = random.standard_normal(x.shape).astype(np.float32)
    for way, exactness in ((gradient, 0.02), (gradient + noise * np.float32(gradient.std()), 0.03)):
        along = way / np.linalg.norm(way)
        step = np.float32(0.05)
        slope = (loss(x + step * along) - loss(x - step * along)) / (2 * float(step))
        assert slope == pytest.approx(float((gradient * along).sum()), rel=exactness)


def test_the_graphs_are_valid_onnx(file: Path) -> None:
    graphs = graphs_of(layers_of(read_weights(file)))
    for model in (graphs.forward, graphs.gradient):
        onnx.checker.check_model(onnx.load_from_string(model), full_check=True)


def test_steps_lead_away_further_than_the_texture_that_they_start_from(file: Path) -> None:
    rgb = _picture(128, 160)
    encoder = Encoder.load("tiny", file)
    start = texture(128, 160, bytes(32))
    start /= start.std()
    limit = np.full((128, 160), 10, np.float32)
    steps = planned([encoder], 128, 160, Plan(8, 1e9))
    heard: list[float] = []
    direction = away_from(rgb, steps, start, limit, 2.5, heard.append)
    assert heard[-1] == 1
    assert float(np.sqrt(np.mean(direction**2))) == pytest.approx(1, rel=1e-3)

    def moved(plane: F) -> float:
        still = encoder.encode(_shares(rgb))[-1]
        return float(np.linalg.norm(encoder.encode(_shares(rgb) + np.float32(2.5 / 255) * plane)[-1] - still))

    assert moved(direction) > 1.5 * moved(start)
    assert moved(direction) > 1.5 * moved(np.random.default_rng(1).standard_normal((128, 160)).astype(np.float32))


def test_steps_go_on_where_they_were_ended_and_give_the_same(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "e.pth", "plain", 3)
    encoder = Encoder.load("tiny", tmp_path / "e.pth")
    rgb = _picture()
    start, limit = np.random.default_rng(1).standard_normal((96, 128)).astype(np.float32), np.full((96, 128), 9, np.float32)
    steps = planned([encoder], 96, 128, Plan(6, 1e9))
    whole = away_from(rgb, steps, start, limit, 2.5, lambda _: None)
    saved = tmp_path / "direction.npz"

    class Killed(Exception):
        pass

    def end(share: float) -> None:
        if share >= 0.5:
            raise Killed

    with pytest.raises(Killed):
        away_from(rgb, steps, start, limit, 2.5, end, saved)
    heard: list[float] = []
    again = away_from(rgb, steps, start, limit, 2.5, heard.append, saved)
    assert len(heard) == 3
    np.testing.assert_array_equal(again, whole)
    # What a kill left half written is no use and does no harm.
    saved.write_bytes(saved.read_bytes()[:100])
    np.testing.assert_array_equal(away_from(rgb, steps, start, limit, 2.5, lambda _: None, saved), whole)


@pytest.mark.parametrize(
    ("length", "side", "multiple"), [(64, 640, 8), (1024, 320, 32), (768, 320, 8), (672, 640, 32), (352, 320, 8)]
)
def test_tiles_cover_a_side_overlap_and_fit(length: int, side: int, multiple: int) -> None:
    spans = _spans(length, side, multiple)
    assert spans[0].start == 0
    assert spans[-1].stop == length
    for span in spans:
        assert span.start % multiple == 0
        assert (span.stop - span.start) % multiple == 0
        assert span.stop - span.start <= side + multiple
    for one, other in itertools.pairwise(spans):
        assert other.start < one.stop
    assert len(list(tiles_of(length, length, side, multiple))) == len(spans) ** 2


def test_a_plan_keeps_to_its_budget_and_gives_each_encoder_turns(tmp_path: Path) -> None:
    encoders = []
    for number in range(3):
        tiny_encoder(tmp_path / f"{number}.pth", "plain", number)
        encoders.append(Encoder.load(str(number), tmp_path / f"{number}.pth"))
        encoders[-1].cost = 470.0
    tiny_encoder(tmp_path / "light.pth", "deep", 1)
    light = Encoder.load("light", tmp_path / "light.pth")
    for height, width in ((288, 384), (768, 1024), (1024, 16)):
        steps = planned([*encoders, light], height, width, Plan(8, 300))
        spent = sum(look.encoder.cost * look.scale**2 * height * width / 1e6 for looks in steps for look in looks)
        assert spent <= 300 * 1.1
        assert all(any(look.encoder is light for look in looks) for looks in steps)
        assert len({look.encoder.name for looks in steps for look in looks if look.encoder is not light}) == 3
