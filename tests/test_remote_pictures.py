"""Other servers' pictures are kept under a quota: what nobody looks at makes room, and comes back when somebody does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from fediart.domain.origin import Level, Origin
from fediart.media.files import Files
from fediart.media.sample import draw_sample
from fediart.storage import accounts
from fediart.storage import images as rows
from fediart.storage.tables import images
from tests.far_server import follow, home, settled
from tests.origin_samples import ai_xmp, jpeg
from tests.people import people_of
from tests.scene import Scene, a_scene

pytestmark = pytest.mark.anyio
DAYS_AGO = 3 * 24 * 3600 * 1000


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        await follow(opened.world, opened.ana)
        yield opened


async def _shows(scene: Scene, number: int, data: bytes | None = None) -> str:
    """Ana posts a picture; returns its address on her server."""
    url = f"{scene.far.url}/{number}.jpg"
    scene.far.serve(f"/{number}.jpg", data or draw_sample(320, 240, seed=number), content_type="image/jpeg")
    picture = {"type": "Image", "mediaType": "image/jpeg", "url": url}
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note(attachment=[picture])))
    return url


async def _room_for(scene: Scene, pictures: float) -> None:
    """Set the quota, after what the first picture took."""
    config = scene.world.instance.config
    took = await scene.world.instance.storage.read(rows.remote_cache)
    media = msgspec.structs.replace(config.media, remote_cache_bytes=int(took * pictures))
    scene.world.instance.config = msgspec.structs.replace(config, media=media)


async def _states(scene: Scene) -> dict[str, str]:
    """number of the picture → its state."""
    query = select(images.c.remote_url, images.c.state).where(images.c.remote_url.is_not(None))
    found = await scene.world.instance.storage.read(lambda db: db.execute(query).all())
    return {row[0].rpartition("/")[2].removesuffix(".jpg"): row[1] for row in found}


async def _were_used_days_ago(scene: Scene) -> None:
    def act(db: Any) -> None:
        db.execute(update(images).values(used_at=images.c.used_at - DAYS_AGO))

    await scene.world.instance.storage.write(act)


async def test_what_is_over_the_quota_makes_room_and_comes_back_when_somebody_here_looks(scene: Scene) -> None:
    world, instance = scene.world, scene.world.instance
    first = await _shows(scene, 1)
    (entry,) = await home(world)
    kept = entry["media_attachments"][0]["url"]
    assert (await world.stranger.get(kept)).status_code == 200
    await _room_for(scene, 2.5)
    quota = instance.config.media.remote_cache_bytes
    for number in (2, 3):
        await _shows(scene, number)
    assert await _states(scene) == {"1": "evicted", "2": "ready", "3": "ready"}
    assert await instance.storage.read(rows.remote_cache) <= quota
    assert (await world.stranger.get(kept)).status_code == 404, "its files are gone"
    work_id = entry["id"]
    asked = len(scene.far.asked)
    for path in (f"/api/v1/statuses/{work_id}", f"/api/v1/accounts/{entry['account']['id']}/statuses"):
        told = (await world.stranger.get(path)).text
        assert first in told, "where it can be had meanwhile"
    await settled(world)
    assert len(scene.far.asked) == asked, "a stranger makes nobody fetch anything"
    for _ in range(2):
        assert first in (await world.client.get(f"/api/v1/statuses/{work_id}")).text
    await settled(world)
    assert len(scene.far.asked) == asked + 1, "fetched once, however many ask"
    states = await _states(scene)
    assert states["1"] == "ready"
    assert sorted(states.values()) == ["evicted", "ready", "ready"]
    assert await instance.storage.read(rows.remote_cache) <= quota
    seen = (await world.client.get(f"/api/v1/statuses/{work_id}")).json()
    assert (await world.stranger.get(seen["media_attachments"][0]["url"])).status_code == 200


async def test_what_a_fetched_picture_declares_is_kept_with_it(scene: Scene) -> None:
    await _shows(scene, 1, jpeg(xmp=ai_xmp()))
    await _shows(scene, 2)
    await settled(scene.world)
    query = select(images.c.origin).where(images.c.remote_url.endswith(".jpg")).order_by(images.c.remote_url)
    found = await scene.world.instance.storage.read(lambda db: db.execute(query).scalars().all())
    told = [msgspec.json.decode(origin, type=Origin) for origin in found]
    assert [(origin.level, origin.c2pa) for origin in told] == [(Level.DECLARED, "absent"), (None, "absent")]


@pytest.mark.parametrize("where", ["home", "works", "profile", "api home", "api account", "api context", "api tag", "tag"])
async def test_what_is_looked_at_makes_room_last(scene: Scene, where: str) -> None:
    world = scene.world
    await _shows(scene, 1)
    (first,) = await home(world)
    await _room_for(scene, 2.5)
    await _shows(scene, 2)
    tags = [{"type": "Hashtag", "name": "#light", "href": f"{scene.far.url}/tags/light"}]
    answer = scene.ana.note("<p>more</p>", inReplyTo=first["uri"])
    await scene.heard(scene.ana, scene.ana.create(answer))
    edited = {**scene.ana.note(), "id": first["uri"], "tag": tags}
    edited["attachment"] = [{"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/1.jpg"}]
    await scene.heard(scene.ana, scene.ana.activity("Update", edited))
    await _were_used_days_ago(scene)
    account = first["account"]["id"]
    reply = (await world.client.get(f"/api/v1/statuses/{first['id']}/context")).json()["descendants"][0]["id"]
    await _were_used_days_ago(scene)
    async with people_of(world.instance) as people:
        mira = await people.person("mira")
        path = {
            "home": f"/home?max_id={int(first['id']) + 1}",
            "works": f"/works/{first['id']}",
            "profile": f"/@{scene.ana.acct}?max_id={int(first['id']) + 1}",
            "tag": "/tags/light",
            "api home": f"/api/v1/timelines/home?max_id={int(first['id']) + 1}",
            "api account": f"/api/v1/accounts/{account}/statuses?max_id={int(first['id']) + 1}",
            "api context": f"/api/v1/statuses/{reply}/context",
            "api tag": "/api/v1/timelines/tag/light",
        }[where]
        client = world.client if where.startswith("api") else mira.browser.http
        assert (await client.get(path)).status_code == 200
    await _shows(scene, 3)
    assert await _states(scene) == {"1": "ready", "2": "evicted", "3": "ready"}


@pytest.mark.row(64)
async def test_however_many_pictures_are_offered_at_once_the_cache_never_has_more_than_its_quota_and_one_file(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at whenever a file has been put on the disk. What an artist here shows stays, and what went is fetched again."""
    world, instance = scene.world, scene.world.instance
    await instance.storage.write(accounts.put_cloak_defaults, world.artist.id, cloak=False, strength="none", ask_if_weak=False)
    files = {"file": ("evening.jpg", draw_sample(160, 120, seed=50), "image/jpeg")}
    uploaded = (await world.client.post("/api/v2/media", files=files)).json()["id"]
    assert (await world.client.post("/api/v1/statuses", json={"status": "mine", "media_ids": [uploaded]})).status_code == 200
    await settled(world)
    root = instance.files.root
    local = {path: path.read_bytes() for path in root.rglob("*.*")}
    assert local
    await _shows(scene, 0, draw_sample(160, 120, seed=0))
    await _room_for(scene, 2.5)
    quota = instance.config.media.remote_cache_bytes
    most, largest = 0, 0
    put = Files.put

    def noted(store: Files, data: bytes, suffix: str, *, secret: bool) -> str:
        nonlocal most, largest
        name = put(store, data, suffix, secret=secret)
        largest = max(largest, len(data))
        most = max(most, sum(path.stat().st_size for path in root.rglob("*.*") if path not in local and path.exists()))
        return name

    monkeypatch.setattr(Files, "put", noted)
    numbers = range(1, 11)
    for number in numbers:
        scene.far.serve(f"/{number}.jpg", draw_sample(160, 120, seed=number), content_type="image/jpeg")
    pictures = [{"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/{number}.jpg"} for number in numbers]
    for offered in (pictures[:5], pictures[5:]):
        await scene.heard(scene.ana, scene.ana.create(scene.ana.note(attachment=offered)))
    states = await _states(scene)
    assert {number for number, state in states.items() if state in ("ready", "evicted")} >= {str(number) for number in numbers}
    assert 0 < most <= quota + largest
    assert await instance.storage.read(rows.remote_cache) <= quota
    assert {path: path.read_bytes() for path in local} == local
    gone = next(number for number in numbers if states[str(number)] == "evicted")
    entry = next(entry for entry in await home(world) if any(f"/{gone}.jpg" in str(one) for one in entry["media_attachments"]))
    await world.client.get(f"/api/v1/statuses/{entry['id']}")
    await settled(world)
    assert [asked.target for asked in scene.far.asked].count(f"/{gone}.jpg") == 2, "fetched again"
    assert most <= quota + largest
