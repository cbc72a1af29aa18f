"""A kill between a file and its row leaves a file that nobody names: it goes after a day, and nothing else does."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fediart.instance import Instance
from fediart.media.disk import discard_old
from fediart.media.sample import draw_sample
from fediart.office import sweep_files as sweep
from fediart.office.prune import prune
from fediart.storage.tables import images, renditions
from tests.far_server import follow, settled
from tests.people import people_of
from tests.scene import a_scene
from tests.waiting import until
from tests.world import World, a_world

pytestmark = pytest.mark.anyio
HOUR = 3600
PART = ".0123456789abcdef.part"


def _files(data: Path) -> set[Path]:
    return {path for store in ("originals", "media") for path in (data / store).rglob("*") if path.is_file()}


def _age(paths: Iterable[Path], hours: float, instance: Instance) -> None:
    then = instance.clock() / 1000 - hours * HOUR
    for path in paths:
        os.utime(path, (then, then))


def _left_by_a_kill(instance: Instance, mark: bytes) -> set[Path]:
    """Whatever can lie in the stores without a row."""
    left = {instance.vault.path(instance.vault.put(mark))}
    left |= {instance.files.path(instance.files.put(mark, "jpg", secret=secret)) for secret in (True, False)}
    for path in list(left):
        aside = path.with_name(PART.replace("0", mark.hex()[0]))
        aside.write_bytes(mark)
        left.add(aside)
    assert len(left) == 6
    return left


async def _named(instance: Instance) -> set[Path]:
    def ask(db: Any) -> set[Path]:
        keys = [key for key in db.execute(select(images.c.vault_key)).scalars() if key]
        names = set(db.execute(select(renditions.c.name)).scalars())
        return {instance.vault.path(key) for key in keys} | {instance.files.path(name) for name in names}

    return await instance.storage.read(ask)


async def test_what_no_row_names_goes_after_a_day_and_everything_else_stays(prepared: Path, tmp_path: Path) -> None:
    async with a_scene(prepared, tmp_path) as scene, people_of(scene.world.instance) as people:
        world, instance = scene.world, scene.world.instance
        mira = await people.person("mira")
        for purpose in ("avatar", "header"):
            upload = {purpose: ("a.jpg", draw_sample(96, 96))}
            assert (await mira.browser.send("/settings/profile", {"name": "Mira"}, files=upload)).status_code == 303
        for visibility in ("public", "private"):
            media = await world.upload(draw_sample(96, 64))
            await scene.post("a work", visibility=visibility, **{"media_ids[]": media["id"]})
        draft = await world.upload(draw_sample(64, 96))
        await follow(world, scene.ana)
        scene.far.serve("/evening.jpg", draw_sample(160, 120), content_type="image/jpeg")
        audiences: tuple[dict[str, Any], ...] = ({}, {"to": [scene.ana.followers], "cc": []})
        for audience in audiences:
            picture = {"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/evening.jpg"}
            await scene.heard(scene.ana, scene.ana.create(scene.ana.note(attachment=[picture], **audience)))
        await until(lambda: _are_ready(world))
        assert await settled(world) == []
        named = await _named(instance)
        assert named == _files(instance.data), "nothing but what rows name lies there"
        assert len(named) > 15
        foreign = instance.data / "originals" / "ab" / "notes.txt"
        foreign.parent.mkdir(exist_ok=True)
        foreign.write_text("the admin's")
        old, young = _left_by_a_kill(instance, b"old"), _left_by_a_kill(instance, b"young")
        _age([*named, foreign, *old], 24.1, instance)
        _age(young, 23.9, instance)
        await prune(instance)
        assert _files(instance.data) == named | young | {foreign}
        _age(young, 24.1, instance)
        await prune(instance)
        assert _files(instance.data) == named | {foreign}
        assert (await world.client.get(f"/originals/{draft['id']}")).status_code == 200


async def _are_ready(world: World) -> bool:
    states = select(images.c.state)
    found = await world.instance.storage.read(lambda db: list(db.execute(states).scalars()))
    return len(found) == 7 and set(found) == {"ready"}


async def test_a_large_store_is_walked_in_portions_to_its_end_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "PORTION", 2)
    async with a_world(tmp_path, jobs=False) as world:
        instance = world.instance
        for _ in range(2):
            folders = []
            for number in range(8):
                aside = tmp_path / ("originals" if number % 2 else "media/p") / f"{number}f" / PART
                aside.parent.mkdir(parents=True, exist_ok=True)
                aside.write_bytes(b"cut off")
                folders.append(aside)
            _age(folders, 25, instance)
            left = []
            for _ in range(4):
                await sweep.sweep_files(instance)
                left.append(len(_files(tmp_path)))
            assert left == [6, 4, 2, 0]


async def test_a_store_that_the_database_hardly_knows_is_left_alone(tmp_path: Path) -> None:
    """Whoever starts the server with another database beside its files loses none of them."""
    async with a_world(tmp_path, jobs=False) as world:
        await world.upload()
        known = _files(tmp_path)
        unknown = {world.instance.vault.path(world.instance.vault.put(b"an original")) for _ in range(2)}
        _age(known | unknown, 25, world.instance)
        await sweep.sweep_files(world.instance)
        assert _files(tmp_path) == known | unknown


async def test_a_file_that_is_put_again_while_it_is_swept_stays(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world:
        instance, before = world.instance, world.instance.clock() - 24 * HOUR * 1000
        path = instance.files.path(instance.files.put(b"twice", "jpg", secret=False))
        _age([path], 25, instance)
        _, (found,) = instance.files.old(path.parent.name, before)
        assert found.path == path
        assert instance.files.put(b"twice", "jpg", secret=False) == found.name
        discard_old(found.path, before)
        assert path.read_bytes() == b"twice"
        _age([path], 25, instance)
        discard_old(found.path, before)
        assert _files(tmp_path) == set()
        discard_old(found.path, before)
