"""Pictures on their way to other servers: whole, in their artist's order, in sizes that every server read keeps as they are."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from fediart.media.child import MAX_BYTES, MAX_PIXELS, MAX_SIDE
from fediart.storage import accounts
from tests.far_server import artist_uri, settled
from tests.scene import Scene, a_scene
from tests.waiting import until

pytestmark = pytest.mark.anyio
AP = {"accept": "application/activity+json"}


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    """Uncloaked: what is looked at here are sizes and words, and cloaking takes its time."""
    async with a_scene(prepared, tmp_path) as opened:
        world = opened.world
        await world.instance.storage.write(
            accounts.put_cloak_defaults, world.artist.id, cloak=False, strength="none", ask_if_weak=False
        )
        yield opened


def _picture(width: int, height: int, shade: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), shade, dtype=np.uint8)).save(out, "PNG", compress_level=1)
    return out.getvalue()


async def _notes(scene: Scene, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = (await until(lambda: scene.far.received(kind)))[-1]["object"]
    return found


async def test_seven_pictures_go_out_in_their_order_and_a_link_leads_to_all_of_them(scene: Scene) -> None:
    world = scene.world
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(world)))
    # The first is too wide for others, the second has too many pixels.
    sizes = [(6_000, 900), (3_600, 2_600), *[(120 + 10 * number, 90) for number in range(5)]]
    media = [
        await world.upload(_picture(*size, 40 + 20 * number), description=f"picture {number}", focus=f"0.{number},-0.5")
        for number, size in enumerate(sizes)
    ]
    order = [media[number]["id"] for number in (0, 1, 6, 2, 3, 4, 5)]
    posted = await scene.post("An evening", **{"media_ids[]": order})  # type: ignore[arg-type]
    note = await _notes(scene, "Create")
    assert [item["name"] for item in note["attachment"]] == [f"picture {number}" for number in (0, 1, 6, 2, 3, 4, 5)]
    for number, item in zip((0, 1, 6, 2, 3, 4, 5), note["attachment"], strict=True):
        assert (item["type"], item["mediaType"]) == ("Image", "image/jpeg")
        assert item["focalPoint"] == [number / 10, -0.5]
        assert re.fullmatch(r"[0-9A-Za-z#$%*+,\-.:;=?@\[\]^_{|}~]{6,164}", item["blurhash"])
        file = (await world.stranger.get(httpx.URL(item["url"]).path)).content
        shown = Image.open(io.BytesIO(file))
        assert (shown.format, shown.size) == ("JPEG", (item["width"], item["height"]))
        assert max(shown.size) <= MAX_SIDE == 5_000
        assert shown.width * shown.height <= MAX_PIXELS == 8_294_400
        assert len(file) <= MAX_BYTES == 16_000_000
    assert note["attachment"][0]["width"] == 5_000
    assert note["attachment"][1]["width"] * note["attachment"][1]["height"] > 8_200_000, "no smaller than it must be"

    line = f'<p>All 7 pictures: <a href="{note["url"]}">{note["url"].split("://")[1]}</a></p>'
    assert note["content"] == f"<p>An evening</p>{line}"
    served = (await world.stranger.get(httpx.URL(posted["uri"]).path, headers=AP)).json()
    assert served["content"] == note["content"]
    assert "All 7 pictures" not in (await scene.work(posted["id"]))["content"]
    assert "All 7 pictures" not in (await world.stranger.get(f"/@mira/{posted['id']}")).text
    answer = await world.client.put(f"/api/v1/statuses/{posted['id']}", data={"status": "Another evening", "language": "en"})
    assert answer.status_code == 200, answer.text
    assert (await _notes(scene, "Update"))["content"] == f"<p>Another evening</p>{line}"

    few = await scene.post("Four", **{"media_ids[]": [(await world.upload(_picture(64, 64, n)))["id"] for n in range(4)]})  # type: ignore[arg-type]
    await settled(world)
    note = (await world.stranger.get(httpx.URL(few["uri"]).path, headers=AP)).json()
    assert (len(note["attachment"]), note["content"]) == (4, "<p>Four</p>")
