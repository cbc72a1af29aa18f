"""What an uploaded file says of how it was made is read, kept and told in plain words; what people made is not accused."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from fediart.domain.images import ImageState
from fediart.domain.origin import Level, Origin
from fediart.media.origin.read import read_origin
from fediart.media.sample import draw_sample
from fediart.storage import images
from tests.origin_samples import A1111_TEXT, HIDDEN, ai_xmp, generated, human, jpeg, png, stealthy
from tests.test_child import asked, rendered
from tests.world import World, a_world

pytestmark = pytest.mark.anyio


async def uploaded(world: World, data: bytes) -> int:
    answer = await world.client.post("/api/v2/media", files={"file": ("picture", data, "image/jpeg")})
    assert answer.status_code in (200, 202), answer.text
    return int(answer.json()["id"])


async def kept(world: World, image_id: int) -> Origin:
    image = await world.instance.storage.read(images.image_by_id, image_id)
    assert image is not None
    assert image.origin is not None
    return msgspec.json.decode(image.origin, type=Origin)


async def is_ready(world: World, image_id: int) -> bool:
    image = await world.instance.storage.read(images.image_by_id, image_id)
    return image is not None and image.state == ImageState.READY


async def test_what_an_upload_declares_is_known_at_once_and_still_when_it_is_ready(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world:
        declared = await uploaded(world, jpeg(xmp=ai_xmp()))
        generator = await uploaded(world, png({"parameters": A1111_TEXT}))
        silent = await uploaded(world, draw_sample(96, 64))
        assert (await kept(world, declared)).level == Level.DECLARED
        found = await kept(world, generator)
        assert (found.level, found.signals[0].source) == (Level.GENERATOR, "a1111")
        assert "parameters" in found.signals[0].evidence
        assert "castle" not in str(found), "the prompt is its writer's"
        assert (await kept(world, silent)).signals == ()


def read(data: bytes, tmp_path: Path) -> Origin:
    path = tmp_path / "picture"
    path.write_bytes(data)
    return read_origin(path)


def test_every_generator_s_file_is_found_at_its_level(tmp_path: Path) -> None:
    samples = generated()
    assert len(samples) >= 29
    for name, (data, level, source) in samples.items():
        Image.open(io.BytesIO(data)).load()
        origin = read(data, tmp_path)
        assert (origin.level, origin.signals[0].source if origin.signals else "") == (level, source), (name, origin)
        assert origin.sha256 == hashlib.sha256(data).hexdigest()
        assert origin.c2pa == "absent"
        assert not re.search("castle|Imager|blurry|somebody|0f1b2c3d", str(origin.signals)), name
        assert all(re.fullmatch(r"The .+\.", signal.evidence) for signal in origin.signals), (name, origin)


def test_no_work_of_people_s_hands_is_above_a_hint(tmp_path: Path) -> None:
    samples = human()
    assert len(samples) >= 12
    for name, (data, level) in samples.items():
        Image.open(io.BytesIO(data)).load()
        origin = read(data, tmp_path)
        assert origin.level == level, (name, origin)
        assert origin.level in (None, Level.INFO, Level.HINT), name


@pytest.mark.parametrize("kind", HIDDEN)
async def test_settings_hidden_in_alpha_are_found_where_the_picture_is_decoded(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(stealthy(kind, **HIDDEN[kind]))
    assert read_origin(path).signals == ()
    result = await rendered(asked(path, tmp_path / "out", cloak=False, reads_origin=True))
    assert result.origin is not None
    assert [(signal.level, signal.source) for signal in result.origin.signals] == [(Level.GENERATOR, "stealth")]
    unasked = await rendered(asked(path, tmp_path / "out2", cloak=False))
    assert unasked.origin is None
