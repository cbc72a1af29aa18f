"""The disk is nearly full: no pictures are taken or fetched, everything else goes on, and whoever runs the server is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from fediart.domain.actors import Role
from fediart.media.disk import NEARLY_FULL
from fediart.media.sample import draw_sample
from fediart.storage.tables import accounts, images, jobs
from tests.far_server import follow, settled
from tests.people import people_of
from tests.scene import Scene, a_scene
from tests.small_disk import SmallDisk, a_small_disk
from tests.waiting import until

pytestmark = pytest.mark.anyio
SIZE = 64
"""Megabytes: a tenth of it is the reserve."""


def _make_owner(db: Connection) -> None:
    db.execute(update(accounts).values(role=Role.OWNER))


def _problems(db: Connection) -> list[str]:
    return list(db.execute(select(jobs.c.problem).where(jobs.c.kind == "bring_image")).scalars())


async def test_pictures_wait_and_everything_else_goes_on(prepared: Path, tmp_path: Path) -> None:
    with a_small_disk(tmp_path / "disk", SIZE) as disk:
        async with a_scene(prepared, disk.folder) as scene, people_of(scene.world.instance) as people:
            await scene.world.instance.storage.write(_make_owner)
            mira = await people.person("mira")
            await follow(scene.world, scene.ana)
            before = await scene.post("before")
            kept = await scene.world.upload()
            await until(lambda: _is_ready(scene, kept["id"]))
            assert "The disk is nearly full" not in (await mira.browser.get("/home")).text

            disk.leave(4 << 20)
            await _nothing_comes_in(scene, mira.browser)
            await _all_else_goes_on(scene, disk, str(before["id"]))
            page = (await mira.browser.get("/admin/server")).text
            assert "The disk is nearly full" in page
            assert "pictures are neither taken nor fetched" in page
            assert "The disk is nearly full" in (await mira.browser.get("/home")).text
            assert "The disk is nearly full" not in (await scene.world.stranger.get("/@mira")).text
            assert (await scene.world.stranger.get("/healthz")).json()["disk"] == "low"

            disk.empty()
            assert (await scene.world.stranger.get("/healthz")).json()["disk"] == "ok"
            assert (await scene.world.client.post("/api/v2/media", files=_picture())).status_code in (200, 202)
            await scene.world.instance.storage.write(lambda db: db.execute(update(jobs).values(run_at=0)))
            scene.world.instance.wake("bring_image")
            await until(lambda: _are_brought(scene))
            assert scene.world.instance.metrics.refusals.held("no_room") == 1


def _picture() -> dict[str, tuple[str, bytes, str]]:
    return {"file": ("evening.jpg", draw_sample(320, 240), "image/jpeg")}


async def _is_ready(scene: Scene, image_id: str) -> bool:
    return bool((await scene.world.client.get(f"/api/v1/media/{image_id}")).json()["url"])


async def _are_brought(scene: Scene) -> bool:
    def brought(db: Connection) -> list[str]:
        return list(db.execute(select(images.c.state).where(images.c.purpose == "remote")).scalars())

    return await scene.world.instance.storage.read(brought) == ["ready"]


async def _nothing_comes_in(scene: Scene, browser: object) -> None:
    refused = await scene.world.client.post("/api/v2/media", files=_picture())
    assert refused.status_code == 507
    assert refused.json() == {"error": NEARLY_FULL}
    assert refused.headers["retry-after"] == "600"
    scene.far.serve("/evening.jpg", draw_sample(200, 150), content_type="image/jpeg")
    picture = {"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/evening.jpg"}
    note = scene.ana.note(attachment=[picture])
    await scene.ana.says(scene.world, scene.ana.create(note))
    await until(lambda: scene.world.instance.storage.read(_problems))
    await until(lambda: _has_waited(scene))
    assert scene.far.times_asked("/evening.jpg") == 0
    assert note["id"] in await scene.uris()


async def _has_waited(scene: Scene) -> bool:
    return await scene.world.instance.storage.read(_problems) == [NEARLY_FULL]


async def _all_else_goes_on(scene: Scene, disk: SmallDisk, before: str) -> None:
    for path in ("/@mira", f"/@mira/{before}", "/about", "/@mira/feed.atom", "/api/v1/accounts/lookup?acct=mira"):
        assert (await scene.world.stranger.get(path)).status_code == 200, path
    document = await scene.world.stranger.get("/users/mira", headers={"accept": "application/activity+json"})
    assert document.json()["type"] == "Person"
    work = await scene.post("words need no room")
    assert work["content"]
    assert (await scene.ana.says(scene.world, scene.ana.activity("Like", work["uri"]))).status_code == 202
    assert await settled(scene.world) == [NEARLY_FULL]
    assert (await scene.work(work["id"]))["favourites_count"] == 1
    assert shutil.disk_usage(disk.folder).free < (SIZE << 20) / 10


async def test_the_cache_of_others_pictures_makes_room_first(prepared: Path, tmp_path: Path) -> None:
    with a_small_disk(tmp_path / "disk", SIZE) as disk:
        async with a_scene(prepared, disk.folder) as scene:
            await follow(scene.world, scene.ana)
            for number in range(3):
                scene.far.serve(f"/{number}.png", _noise(number), content_type="image/png")
                picture = {"type": "Image", "mediaType": "image/png", "url": f"{scene.far.url}/{number}.png"}
                await scene.heard(scene.ana, scene.ana.create(scene.ana.note(attachment=[picture])))
            disk.leave(5 << 20)
            scene.far.serve("/last.jpg", draw_sample(200, 150), content_type="image/jpeg")
            picture = {"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/last.jpg"}
            await scene.heard(scene.ana, scene.ana.create(scene.ana.note(attachment=[picture])))

            def states(db: Connection) -> list[str]:
                return list(db.execute(select(images.c.state).order_by(images.c.id)).scalars())

            found = await scene.world.instance.storage.read(states)
            assert found[0] == "evicted"
            assert found[-1] == "ready"
            assert not scene.world.instance.reserve.is_low()


def _noise(number: int) -> bytes:
    """A PNG of some 2.5 MB."""
    import io
    import random

    from PIL import Image

    out = io.BytesIO()
    Image.frombytes("RGB", (1000, 850), random.Random(number).randbytes(1000 * 850 * 3)).save(out, "PNG")
    return out.getvalue()
