"""Full encoders without torch: what the catalogue says of them, their files, and what a person is told who lacks torch."""

from __future__ import annotations

import hashlib
import re
import struct
import sys
import tracemalloc
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from fediart.config import Config
from fediart.errors import BadEncoder, CloakFailed
from fediart.media.child import CPU_SECONDS, FULL_CPU_SECONDS
from fediart.media.cloak.architectures import Shape, architecture_of
from fediart.media.cloak.catalogue import CATALOGUE
from fediart.media.cloak.encoder_files import MAX_BYTES
from fediart.media.cloak.encoders import F, load_encoder
from fediart.media.cloak.optimise import Plan, planned
from fediart.media.cloak.shelf import Shelf
from fediart.media.cloak.steered import PLANS
from fediart.media.cloak.weights import FullFile
from fediart.media.pipeline import RenderRequest, order_of
from tests.commands import run_commands
from tests.full_encoder import FLUX_2, STABLE_DIFFUSION, WAN, empty_full_encoder, header

FULL = {name: encoder for name, encoder in CATALOGUE.items() if encoder.is_full}
OF = {"sd15": STABLE_DIFFUSION, "sdxl": STABLE_DIFFUSION, "flux2": FLUX_2, "qwen_image": WAN}

# ------------------------------------------------------------------------------------------------------ the catalogue


def test_full_encoders_are_in_the_catalogue_and_nobody_gets_one_without_asking() -> None:
    assert set(FULL) == set(OF)
    for name, encoder in FULL.items():
        assert re.fullmatch(
            r"https://huggingface\.co/[\w.-]+/[\w.-]+/resolve/(main|[0-9a-f]{40})/[\w./-]+\.safetensors", encoder.address
        )
        assert re.fullmatch(r"[0-9a-f]{64}", encoder.sha256)
        assert encoder.licence in ("MIT", "Apache-2.0")
        assert encoder.most_bytes == encoder.size
        assert (encoder.downscale, encoder.channels) == (OF[name].downscale, OF[name].latent)
    assert not set(FULL) & set(Config().cloak.encoders)


def _stable_diffusion_decoder(latent: int, quant: str) -> dict[str, Shape]:
    """The other half of the file, of which nothing is read: only its size matters here."""
    found: dict[str, Shape] = {}

    def layer(name: str, outs: int, *rest: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = (outs, *rest), (outs,)

    def block(at: str, ins: int, outs: int) -> None:
        layer(f"{at}.norm1", ins)
        layer(f"{at}.conv1", outs, ins, 3, 3)
        layer(f"{at}.norm2", outs)
        layer(f"{at}.conv2", outs, outs, 3, 3)
        if ins != outs:
            layer(f"{at}.nin_shortcut", outs, ins, 1, 1)

    layer("decoder.conv_in", 512, latent, 3, 3)
    block("decoder.mid.block_1", 512, 512)
    block("decoder.mid.block_2", 512, 512)
    layer("decoder.mid.attn_1.norm", 512)
    for one in ("q", "k", "v", "proj_out"):
        layer(f"decoder.mid.attn_1.{one}", 512, 512, 1, 1)
    ins = 512
    for size, outs in ((3, 512), (2, 512), (1, 256), (0, 128)):
        for number in range(3):
            block(f"decoder.up.{size}.block.{number}", ins, outs)
            ins = outs
        if size:
            layer(f"decoder.up.{size}.upsample.conv", outs, outs, 3, 3)
    layer("decoder.norm_out", 128)
    layer("decoder.conv_out", 3, 128, 3, 3)
    layer(quant, latent, latent, 1, 1)
    return found


def _wan_rest() -> dict[str, Shape]:
    """The decoder, and the two convolutions over frames that a picture does not meet."""
    found: dict[str, Shape] = {}

    def layer(name: str, outs: int, *rest: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = (outs, *rest), (outs,)

    def block(at: str, ins: int, outs: int) -> None:
        found[f"{at}.residual.0.gamma"], found[f"{at}.residual.3.gamma"] = (ins, 1, 1, 1), (outs, 1, 1, 1)
        layer(f"{at}.residual.2", outs, ins, 3, 3, 3)
        layer(f"{at}.residual.6", outs, outs, 3, 3, 3)
        if ins != outs:
            layer(f"{at}.shortcut", outs, ins, 1, 1, 1)

    layer("encoder.downsamples.5.time_conv", 192, 192, 3, 1, 1)
    layer("encoder.downsamples.8.time_conv", 384, 384, 3, 1, 1)
    layer("decoder.conv1", 384, 16, 3, 3, 3)
    block("decoder.middle.0", 384, 384)
    found["decoder.middle.1.norm.gamma"] = (384, 1, 1)
    layer("decoder.middle.1.to_qkv", 1152, 384, 1, 1)
    layer("decoder.middle.1.proj", 384, 384, 1, 1)
    block("decoder.middle.2", 384, 384)
    number = 0
    for ins, outs, frames in ((384, 384, 2), (192, 384, 2), (192, 192, 1), (96, 96, 0)):
        for at in range(3):
            block(f"decoder.upsamples.{number}", outs if at else ins, outs)
            number += 1
        if frames:
            layer(f"decoder.upsamples.{number}.resample.1", outs // 2, outs, 3, 3)
            if frames == 2:
                layer(f"decoder.upsamples.{number}.time_conv", 2 * outs, outs, 3, 1, 1)
            number += 1
    found["decoder.head.0.gamma"] = (96, 1, 1, 1)
    layer("decoder.head.2", 3, 96, 3, 3, 3)
    layer("conv2", 16, 16, 1, 1, 1)
    return found


def _whole(name: str) -> tuple[dict[str, tuple[str, Shape]], dict[str, str] | None, int]:
    """Every tensor of a published file, its metadata, and to a multiple of how many bytes its header is filled up."""
    tensors = OF[name].tensors()
    if name == "qwen_image":
        return {one: ("BF16", shape) for one, shape in (tensors | _wan_rest()).items()}, None, 8
    if name == "flux2":
        statistics: dict[str, tuple[str, Shape]] = {"bn.num_batches_tracked": ("I64", ())}
        statistics |= {f"bn.running_{one}": ("F32", (128,)) for one in ("mean", "var")}
        tensors |= _stable_diffusion_decoder(32, "decoder.post_quant_conv")
        return {one: ("F32", shape) for one, shape in tensors.items()} | statistics, None, 8
    average: dict[str, tuple[str, Shape]] = {"model_ema.decay": ("F32", ()), "model_ema.num_updates": ("I32", ())}
    tensors |= _stable_diffusion_decoder(4, "post_quant_conv")
    whole = {one: ("F32", shape) for one, shape in tensors.items()} | average
    return whole, {"format": "pt"} if name == "sd15" else None, 1 if name == "sd15" else 8


@pytest.mark.parametrize("name", OF)
def test_the_names_and_shapes_give_the_published_files_size_to_the_byte(name: str) -> None:
    """Names stand in the header: one that were spelt otherwise would make the file longer or shorter."""
    tensors, metadata, multiple = _whole(name)
    start, size = header(tensors, metadata)
    assert len(start) + -len(start) % multiple + size == FULL[name].size


def test_stable_diffusions_encoder_has_the_published_number_of_parameters() -> None:
    quant = 8 * 8 + 8
    assert STABLE_DIFFUSION.parameters() - quant == 34_163_592


# ---------------------------------------------------------------------------------------------------------- the files


def test_a_full_encoders_file_is_read_tensor_by_tensor_and_known_by_its_names(tmp_path: Path) -> None:
    for architecture in (STABLE_DIFFUSION, FLUX_2, WAN):
        path = empty_full_encoder(tmp_path / "e.safetensors", architecture)
        assert path.stat().st_size > MAX_BYTES
        tracemalloc.start()
        file = FullFile(path)
        assert architecture_of(file.shapes) is architecture
        name, shape = max(architecture.tensors().items(), key=lambda one: len(one[1]))
        assert file.tensor(name).shape == shape
        file.close()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40 << 20


def _broken(path: Path, how: str) -> Path:
    empty_full_encoder(path, STABLE_DIFFUSION)
    data = path.stat().st_size
    with path.open("r+b") as file:
        if how == "cut":
            file.truncate(data - 1)
        elif how == "a header larger than the file":
            file.write(struct.pack("<Q", 1 << 40))
        elif how == "no header":
            file.write(struct.pack("<Q", 40) + b"{" * 40)
        elif how == "a zip":
            file.write(b"PK\x03\x04" + b"\0" * 20)
        elif how == "huge":
            file.truncate(1 << 30)
    return path


@pytest.mark.parametrize("how", ["a header larger than the file", "no header", "a zip", "huge"])
def test_what_is_no_file_of_a_full_encoder_is_refused_in_words(tmp_path: Path, how: str) -> None:
    with pytest.raises(BadEncoder, match=r"^[A-Z0-9a-z].*\.$"):
        Shelf(tmp_path / "shelf").add(_broken(tmp_path / "mine.safetensors", how))
    assert not (tmp_path / "shelf").exists()


def test_a_tensor_beyond_the_files_end_is_refused(tmp_path: Path) -> None:
    file = FullFile(_broken(tmp_path / "e.safetensors", "cut"))
    *whole, last = file.shapes
    assert file.tensor(whole[0]).size
    with pytest.raises(BadEncoder, match="not whole"):
        file.tensor(last)
    file.close()


def test_a_tampered_file_of_a_full_encoder_is_not_taken_and_not_used(tmp_path: Path) -> None:
    source = empty_full_encoder(tmp_path / "one.safetensors", STABLE_DIFFUSION)
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    known = replace(FULL["sd15"], name="one", sha256=sha256, size=source.stat().st_size)
    shelf = Shelf(tmp_path / "shelf", {"one": known})
    held = shelf.add(source)
    assert (held.name, held.sha256, held.is_full) == ("one", sha256, True)
    assert [found.name for found in shelf.held()] == ["one"]
    for path in (source, held.path):
        with path.open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"\1")
    with pytest.raises(BadEncoder, match="its sha256 is another"):
        shelf.add(source)
    assert shelf.held() == []
    with pytest.raises(BadEncoder, match="not used"):
        shelf.path("one")


def test_a_full_encoder_that_the_catalogue_does_not_know_is_named_by_its_hash(tmp_path: Path) -> None:
    held = Shelf(tmp_path / "shelf").add(empty_full_encoder(tmp_path / "mine.safetensors", WAN))
    assert held.name == held.sha256[:12]
    assert held.path.name == f"{held.name}.safetensors"
    assert held.is_full


def test_a_large_file_of_something_else_is_refused(tmp_path: Path) -> None:
    start, size = header({"a.weight": ("F32", (4096, 4097))})
    path = tmp_path / "other.safetensors"
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + size)
    with pytest.raises(BadEncoder, match="no full encoder that is known here"):
        Shelf(tmp_path / "shelf").add(path)


# ------------------------------------------------------------------------------------------------------ without torch


@pytest.fixture
def _no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without it, whatever this one has."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "fediart.media.cloak.full_encoders", raising=False)


@pytest.mark.usefixtures("_no_torch")
def test_without_torch_a_full_encoder_says_what_to_install(tmp_path: Path) -> None:
    path = empty_full_encoder(tmp_path / "e.safetensors", STABLE_DIFFUSION)
    with pytest.raises(
        BadEncoder, match=r"^The encoder e is a full one, which needs torch\. pip install 'fediart\[vae\]' brings it"
    ):
        load_encoder("e", path)


@pytest.mark.usefixtures("_no_torch")
def test_a_cloak_that_has_only_full_encoders_and_no_torch_says_what_to_install(tmp_path: Path) -> None:
    from fediart.media.cloak.backend import CloakOrder
    from fediart.media.cloak.steered import SteeredCloak
    from tests.pictures import painting

    path = empty_full_encoder(tmp_path / "e.safetensors", STABLE_DIFFUSION)
    with pytest.raises(CloakFailed, match=r"needs torch\. pip install 'fediart\[vae\]'"):
        SteeredCloak().cloak([painting(64, 64, 1)], CloakOrder(bytes(32), "standard", (("e", path),)))


def test_only_one_module_imports_torch() -> None:
    """And that one is imported where a full encoder is asked for: a server does without both."""
    root = Path(__file__).parents[1] / "fediart"
    found = {path.name for path in root.rglob("*.py") if re.search(r"^\s*(import|from) torch\b", path.read_text(), re.M)}
    assert found == {"full_encoders.py"}
    told = {path.name for path in root.rglob("*.py") if re.search(r"^(import|from) .*full_encoders", path.read_text(), re.M)}
    assert told == set()


def test_the_list_of_encoders_shows_the_full_ones_and_what_they_want(tmp_path: Path) -> None:
    shelf = tmp_path / "data" / "encoders"
    held = Shelf(shelf).add(empty_full_encoder(tmp_path / "mine.safetensors", STABLE_DIFFUSION))
    (ran,) = run_commands([["cloak", "encoders", "list", "--data", str(tmp_path / "data")]])
    assert ran.status == 0, ran.told
    for name, encoder in FULL.items():
        assert encoder.size is not None
        assert re.search(rf"^ +{name} +{re.escape(encoder.mirrors)} +{encoder.size / 1e6:.1f} MB +missing", ran.told, re.M)
    told = f"Not used yet: {held.name}. Full encoders need torch. pip install 'fediart[vae]' brings it"
    assert (told in ran.told) == (find_spec("torch") is None)


# ------------------------------------------------------------------------------------------------------------ the plan


@dataclass
class Planned:
    """An encoder of which only the plan is asked."""

    name: str
    is_full: bool
    cost: float
    multiple: int = 8
    pools: bool = True

    def rest(self) -> None: ...

    def encode(self, picture: F) -> list[F]:
        raise AssertionError

    def gradient(self, picture: F, aims: object, weights: object) -> tuple[float, F]:
        raise AssertionError


def test_full_encoders_look_in_every_step_at_no_less_than_trainers_show_them() -> None:
    full = [Planned(name, True, 5000) for name in ("one", "two")]
    small = [Planned("light", False, 50), Planned("heavy", False, 900)]
    for strength, plan in PLANS.items():
        steps = planned([*full, *small], 1024, 768, plan)
        assert len(steps) == plan.full_looks
        looks = [look for step in steps for look in step if look.encoder.is_full]
        assert len(looks) == plan.full_looks
        assert {look.encoder.name for look in looks} == {"one", "two"}
        sides = {round((1024 * 768) ** 0.5 * look.scale) for look in looks if look.encoder.name == "one"}
        assert sides == {512, 384}
        assert {look.encoder.name for step in steps for look in step} == {"one", "two", "light", "heavy"}, strength
        # Without them nothing is as it was not before.
        alone = planned(small, 1024, 768, replace(plan, full_looks=0))
        assert alone == planned(small, 1024, 768, plan)


def test_full_encoders_alone_make_a_plan_too() -> None:
    steps = planned([Planned("one", True, 5000)], 300, 200, Plan(4, 300, 6))
    assert [[look.encoder.name for look in step] for step in steps] == [["one"]] * 6
    assert all(look.scale == 1.0 for step in steps for look in step)


def test_a_picture_with_full_encoders_may_take_the_night(tmp_path: Path) -> None:
    large = empty_full_encoder(tmp_path / "e.safetensors", STABLE_DIFFUSION)

    def order(encoders: tuple[tuple[str, Path], ...]) -> bool:
        request = RenderRequest(tmp_path / "p", "work", True, bytes(32), "standard", "auto", tmp_path, encoders=encoders)
        return bool(order_of(request)["is_full"])

    assert order((("e", large),))
    assert order((("sdxl", tmp_path / "sdxl.safetensors"),))
    assert not order((("taef2", tmp_path / "taef2.pth"),))
    assert FULL_CPU_SECONDS > 10 * CPU_SECONDS
