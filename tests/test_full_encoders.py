"""Full encoders at work, with random weights of the true architectures. Collected by `python3 run.py test --long` only."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fediart.errors import BadEncoder
from fediart.media.cloak import encoders as at_work
from fediart.media.cloak.architectures import ARCHITECTURES, Architecture
from fediart.media.cloak.backend import CloakOrder
from fediart.media.cloak.catalogue import CATALOGUE
from fediart.media.cloak.full_encoders import FullEncoder
from fediart.media.cloak.steered import PLANS, SteeredCloak
from tests.full_encoder import STABLE_DIFFUSION, F, full_encoder, full_weight
from tests.pictures import painting
from tests.plain_full_encoder import gradient, readings

Read = Callable[[str], F]
NAMES = [architecture.name for architecture in ARCHITECTURES]


@functools.lru_cache(1)
def _weights(architecture: Architecture) -> dict[str, F]:
    return {name: full_weight(architecture, name) for name in architecture.tensors()}


def _read(architecture: Architecture) -> Read:
    return _weights(architecture).__getitem__


def _picture(height: int, width: int) -> Any:
    """`(3, height, width)` of 0..1, in float64."""
    return np.random.default_rng(3).random((3, height, width))


def _aims(architecture: Architecture, picture: Any) -> list[Any]:
    """Readings of another picture, in float64."""
    encoder = FullEncoder("plain", architecture, _read(architecture), 2, kind=torch.float64)
    return encoder.encode(np.ascontiguousarray(picture[:, ::-1]))


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=NAMES)
def test_strips_and_what_is_computed_again_change_neither_readings_nor_gradient(architecture: Architecture) -> None:
    """Held against torch's own layers and tape over the whole picture, in float64: what is left is the order of sums."""
    picture, parts = _picture(32, 48), [0.3, 1.0]
    aims = _aims(architecture, picture)
    weights = {name: torch.from_numpy(values).double() for name, values in _weights(architecture).items()}
    whole = torch.from_numpy(picture)[None]

    def loss(found: list[torch.Tensor]) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for tap, aim, part in zip(found, aims, parts, strict=True):
            total = total + part * (tap[0] - torch.from_numpy(aim)).square().mean()
        return total

    wanted, at_picture = gradient(architecture, weights, whole, loss)
    seen = [tap[0].numpy() for tap in readings(architecture, weights, whole)]
    for strip, room in ((48 * 3, 0), (48 * 7, 1 << 40)):
        encoder = FullEncoder("strips", architecture, _read(architecture), 2, kind=torch.float64, strip=strip, room=room)
        for ours, plain in zip(encoder.encode(picture), seen, strict=True):
            assert np.abs(ours - plain).max() < 1e-10 * np.abs(plain).max()
        value, found = encoder.gradient(picture, aims, parts)
        assert value == pytest.approx(wanted, rel=1e-10)
        assert np.linalg.norm(found - at_picture[0].numpy()) < 1e-10 * np.linalg.norm(found)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=NAMES)
def test_the_gradient_is_that_of_finite_differences(architecture: Architecture) -> None:
    picture, random = _picture(24, 16), np.random.default_rng(5)
    aims = _aims(architecture, picture)
    encoder = FullEncoder("small", architecture, _read(architecture), 2, kind=torch.float64, strip=16 * 5)
    value, found = encoder.gradient(picture, aims, [0.3, 1.0])

    def loss(picture: Any) -> float:
        middle, latent = (np.square(tap - aim).mean() for tap, aim in zip(encoder.encode(picture), aims, strict=True))
        return float(0.3 * middle + latent)

    assert value == pytest.approx(loss(picture), rel=1e-10)
    for _ in range(2):
        way = random.standard_normal(picture.shape)
        ahead, behind = (loss(picture + step * way) for step in (1e-5, -1e-5))
        assert float((found * way).sum()) == pytest.approx((ahead - behind) / 2e-5, rel=1e-6)


def test_one_place_far_away_is_seen_by_every_other() -> None:
    """Norms and attention look over the whole picture: nothing here is a tile of its own."""
    picture = _picture(64, 48).astype(np.float32)
    encoder = FullEncoder("one", STABLE_DIFFUSION, _read(STABLE_DIFFUSION), 2, strip=48 * 4)
    other = picture.copy()
    other[:, 60:, 40:] = 0
    _, before = encoder.encode(picture)
    _, after = encoder.encode(other)
    assert (np.abs(after - before)[:, :2, :2] > 0).all()


def test_bfloat16_points_the_same_way() -> None:
    picture, parts = _picture(128, 128).astype(np.float32), [0.3, 1.0]
    aims = [aim.astype(np.float32) for aim in _aims(STABLE_DIFFUSION, picture.astype(np.float64))]
    fine, coarse = (
        FullEncoder("one", STABLE_DIFFUSION, _read(STABLE_DIFFUSION), 2, kind=kind).gradient(picture, aims, parts)[1]
        for kind in (torch.float32, torch.bfloat16)
    )
    assert float((fine * coarse).sum()) > 0.99 * float(np.linalg.norm(fine) * np.linalg.norm(coarse))


# ----------------------------------------------------------------------------------------------------------- the file


def test_what_is_read_from_a_file_is_what_was_written(tmp_path: Path) -> None:
    for architecture in ARCHITECTURES:
        path = full_encoder(tmp_path / "e.safetensors", architecture)
        encoder = at_work.load_encoder("e", path, 2)
        assert encoder.is_full
        picture = _picture(32, 32).astype(np.float32)

        def rounded(name: str, architecture: Architecture = architecture) -> F:
            return full_weight(architecture, name).astype(np.float16).astype(np.float32)

        plain = FullEncoder("plain", architecture, rounded, 2)
        for found, wanted in zip(encoder.encode(picture), plain.encode(picture), strict=True):
            assert np.array_equal(found, wanted)
        encoder.rest()
        # Another file in its place is not read after a rest.
        path.unlink()
        path.write_bytes(b"another")
        assert np.array_equal(encoder.encode(picture)[-1], plain.encode(picture)[-1])


def test_a_file_with_one_changed_byte_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = full_encoder(tmp_path / "sd15.safetensors", STABLE_DIFFUSION)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(CATALOGUE, "sd15", replace(CATALOGUE["sd15"], sha256=sha256))
    assert at_work.load_encoder("sd15", path).name == "sd15"
    with path.open("r+b") as file:
        file.seek(-2, 2)
        file.write(b"\x01")
    with pytest.raises(BadEncoder, match="its sha256 is another"):
        at_work.load_encoder("sd15", path)


# --------------------------------------------------------------------------------------------------------- its bounds


_MEASURED = """
import json, resource, sys, time
from pathlib import Path
import numpy as np, torch
from fediart.media.cloak.full_encoders import FullEncoder
path, side, kind = sys.argv[1], int(sys.argv[2]), getattr(torch, sys.argv[3])
encoder = FullEncoder.load("e", Path(path), 2, kind=kind)
picture = np.random.default_rng(1).random((3, side, side), dtype=np.float32)
aims = [np.zeros_like(tap) for tap in encoder.encode(picture)]
began = time.process_time()
encoder.gradient(picture, aims, [0.3, 1.0])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
print(json.dumps({"cpu": round(time.process_time() - began, 1), "peak_mb": peak}))
"""


@pytest.mark.parametrize(("side", "kind", "most_mb"), [(512, "float32", 2000), (512, "bfloat16", 1600), (1024, "bfloat16", 3200)])
def test_memory_is_bounded(tmp_path: Path, side: int, kind: str, most_mb: int) -> None:
    path = full_encoder(tmp_path / "e.safetensors", STABLE_DIFFUSION)
    done = subprocess.run([sys.executable, "-c", _MEASURED, path, str(side), kind], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    print(side, kind, told)
    assert told["peak_mb"] < most_mb


def test_a_cloak_is_steered_by_a_full_encoder_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Further than the texture alone moves it."""
    monkeypatch.setitem(PLANS, "standard", replace(PLANS["standard"], full_looks=4))
    path = full_encoder(tmp_path / "e.safetensors", STABLE_DIFFUSION)
    picture = painting(128, 96, 1)
    made, report = SteeredCloak().cloak([picture], CloakOrder(bytes(32), "standard", (("e", path),), threads=2))
    monkeypatch.setitem(PLANS, "standard", replace(PLANS["standard"], full_looks=0, steps=0))
    assert report.encoders == ["e"]
    assert (made[0] != picture).any()
    _, started = SteeredCloak().cloak([picture], CloakOrder(bytes(32), "standard", (("e", path),), threads=2))
    assert report.shifts["e"]["half"] > 1.1 * started.shifts["e"]["half"]
