"""Old works are cloaked again: told once to those who follow, whole whatever happens meanwhile, and behind new works.

The older method is a cloak of its own, an installed package, which the settings named before.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from PIL import Image
from sqlalchemy import Connection, create_engine, inspect, select, update

from fediart.cli.redo import ended, plan
from fediart.domain.cloaks import CloakMethod, Outlook, Redo, RedoState, in_words, seconds_per_megapixel
from fediart.domain.images import ShownImage
from fediart.errors import CloakFailed
from fediart.instance import Instance
from fediart.jobs.runner import running_jobs
from fediart.media.cloak.steered import SteeredCloak
from fediart.media.cloak.texture import TextureCloak
from fediart.media.sample import draw_sample
from fediart.office.prune import discard_retired
from fediart.storage import files, images, migrate, redos
from fediart.storage.engine import database_url
from fediart.storage.tables import activities, renditions
from fediart.storage.tables import images as image_table
from fediart.studio import redo_cloaks
from fediart.studio.edit_work import edit_work
from fediart.studio.publish_work import Draft
from fediart.studio.redo_cloaks import give_up_step, look_ahead, redo_step, start_redo, stop_redo
from fediart.studio.withdraw_work import withdraw_work
from tests.commands import run_command, run_commands
from tests.far_hosts import far_hosts
from tests.far_server import a_far_server, artist_uri, settled
from tests.people import people_of
from tests.postgres import Postgres
from tests.servers import Keeper, running, wait_for
from tests.tiny_encoder import tiny_encoder
from tests.waiting import until
from tests.world import World, a_world

LONG = os.environ.get("FEDIART_LONG") == "1"
SEED = int(os.environ.get("FEDIART_SEED") or time.time_ns() % 1_000_000)
OLD: dict[str, Any] = {"cloak.backend": "older"}
OLDER = '''
from dataclasses import replace

from fediart.media.cloak.texture import TextureCloak


class Older:
    """Lighter than the one that came after it."""

    name, version = "older", 1

    def cloak(self, pictures, order):
        made, report = TextureCloak().cloak(pictures, replace(order, strength="light"))
        return made, replace(report, backend=self.name, version=self.version, strength=order.strength)
'''
PRESENT = f"texture {TextureCloak.version} standard"
ORIGINALS = [draw_sample(96, 64, seed=seed) for seed in range(4)]


@dataclass(frozen=True)
class Past:
    """A world's folder from when cloaks were older: an open work of two pictures, one for followers, one without a cloak."""

    folder: Path
    open: int
    private: int
    bare: int


@pytest.fixture(scope="module", autouse=True)
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    package = tmp_path_factory.mktemp("older")
    about = package / "older_cloak-1.dist-info"
    about.mkdir()
    (package / "older_cloak.py").write_text(OLDER)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: older-cloak\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[fediart.cloaks]\nolder = older_cloak:Older\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(package))
        yield


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    folder = tmp_path_factory.mktemp("past") / "data"

    async def make() -> Past:
        async with a_world(folder, **OLD) as world:

            async def publish(text: str, *pictures: int, **more: str) -> int:
                ids = [(await world.upload(ORIGINALS[number]))["id"] for number in pictures]
                said = {"status": text, "media_ids": ids, **more}
                return int((await world.client.post("/api/v1/statuses", json=said)).json()["id"])

            bare = await publish("without", 3)
            await settled(world)
            await world.instance.storage.write(_uncloak, bare)
            made = Past(folder, await publish("open", 0, 1), await publish("private", 2, visibility="private"), bare)
            await settled(world)
        return made

    return asyncio.run(make())


def _uncloak(db: Connection, work_id: int) -> None:
    """As if its artist had said so while it was a draft."""
    none = {"cloak": False, "cloak_report": None, "cloak_method": None}
    db.execute(update(image_table).where(image_table.c.work_id == work_id).values(**none))


@pytest.fixture
def folder(past: Past, tmp_path: Path) -> Path:
    return Path(shutil.copytree(past.folder, tmp_path / "data"))


async def pictures(instance: Instance, work_id: int) -> list[ShownImage]:
    return (await instance.storage.read(images.images_of_works, [work_id])).get(work_id, [])


async def names(instance: Instance, work_id: int) -> list[str]:
    """The files that a work shows."""
    return [item.name for shown in await pictures(instance, work_id) for item in shown.renditions]


async def status(world: World, name: str, **headers: str) -> int:
    return (await world.stranger.get(f"/media/{name}", headers=headers)).status_code


async def started(instance: Instance, actor_id: int | None = None, *, every: bool = False) -> Redo:
    redo = await start_redo(instance, actor_id, every=every)
    assert redo is not None
    return redo


async def now_of(instance: Instance, redo: Redo) -> Redo:
    found = await instance.storage.read(redos.redo_by_id, redo.id)
    assert found is not None
    return found


async def work_off(instance: Instance, redo: Redo) -> Redo:
    """Every step that is left, by hand."""
    while (await now_of(instance, redo)).state == RedoState.RUNNING:
        await redo_step(instance, redo.id)
    return await now_of(instance, redo)


async def said(instance: Instance, kind: str) -> list[dict[str, Any]]:
    """Activities of one kind, oldest first."""
    bodies = await instance.storage.read(
        lambda db: list(db.execute(select(activities.c.body).order_by(activities.c.id)).scalars())
    )
    return [document for body in bodies if (document := json.loads(body))["type"] == kind]


async def assert_files_are_those_of_rows(instance: Instance) -> None:
    """Nothing is missing in the public store, and nothing lies about."""
    held = await instance.storage.read(lambda db: db.execute(select(renditions.c.kind, renditions.c.name)).all())
    root = instance.data / "media"
    assert {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} == {name for _, name in held}
    assert {kind for kind, _ in held} <= {"public", "large", "preview"}, "what was staged is shown, or gone"


# ------------------------------------------------------------------------------------------------------ a whole run


@pytest.mark.anyio
async def test_a_follower_hears_once_of_the_new_addresses_and_the_old_ones_answer_that_they_are_gone(
    past: Past, folder: Path
) -> None:
    async with a_far_server() as far, a_world(folder) as world:
        ana, instance = far.actor(), world.instance
        await ana.says(world, ana.activity("Follow", artist_uri(world)))
        await until(lambda: far.received("Accept"))
        old = await names(instance, past.open)
        bare, private = await names(instance, past.bare), await names(instance, past.private)
        assert [await status(world, name) for name in old] == [200] * 4
        etag = (await world.stranger.get(f"/media/{old[0]}")).headers["etag"]

        redo = await started(instance)
        assert await settled(world) == []
        redo = await now_of(instance, redo)
        assert (redo.state, redo.pictures, redo.redone, redo.failed) == (RedoState.DONE, 3, 3, 0)

        new = await names(instance, past.open)
        assert set(new).isdisjoint(old)
        assert [await status(world, name) for name in old] == [410] * 4
        assert await status(world, old[0], **{"if-none-match": etag}) == 410
        assert [await status(world, name) for name in new] == [200] * 4
        told = {update["object"]["url"]: update["object"] for update in far.received("Update")}
        assert len(far.received("Update")) == len(told) == 2, "one for each work, not one for each picture"
        (work,) = [note for note in told.values() if len(note["attachment"]) == 2]
        base = world.instance.identifiers.base_url
        assert [item["url"] for item in work["attachment"]] == [f"{base}/media/{name}" for name in (new[0], new[2])]
        assert work["updated"] > work["published"]

        assert await names(instance, past.bare) == bare, "its artist wants no cloak"
        after = await names(instance, past.private)
        assert set(after).isdisjoint(private)
        assert all(re.fullmatch(r"p/[0-9a-f]{2}/[0-9a-f]{32}\.jpg", name) for name in after)
        assert [await status(world, name) for name in after] == [200] * 2
        assert [await status(world, name) for name in private] == [404] * 2, "that there was something is nobody's business"
        await discard_retired(instance)
        assert not [name for name in private if await instance.storage.read(files.is_retired, name)]
        assert [await status(world, name) for name in (*private, *old)] == [404] * 2 + [410] * 4
        await assert_files_are_those_of_rows(instance)


@pytest.mark.anyio
async def test_what_is_served_afterwards_is_cloaked_by_the_present_method_and_its_record_says_so(
    past: Past, folder: Path
) -> None:
    async with a_world(folder) as world:
        before = [await world.stranger.get(f"/media/{name}") for name in await names(world.instance, past.open)]
        await started(world.instance)
        await settled(world)
        for number, shown in enumerate(await pictures(world.instance, past.open)):
            assert shown.public is not None
            report = json.loads(shown.image.cloak_report or "")
            assert shown.image.cloak_method == PRESENT
            assert str(CloakMethod(report["backend"], report["version"], report["strength"])) == PRESENT
            served = (await world.stranger.get(f"/media/{shown.public.name}")).content
            original, older, newer = (
                np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)
                for data in (ORIGINALS[number], before[2 * number].content, served)
            )
            assert np.abs(newer - original).mean() > np.abs(older - original).mean() > 0.3, "the older one is lighter"
            assert np.abs(newer - original).mean() < 8, "and still the picture"


@pytest.mark.anyio
async def test_a_second_run_finds_nothing_to_do_and_one_over_everything_tells_nobody_what_did_not_change(
    past: Past, folder: Path
) -> None:
    async with a_world(folder) as world:
        first = await started(world.instance)
        await settled(world)
        held, updates = await names(world.instance, past.open), len(await said(world.instance, "Update"))
        assert await start_redo(world.instance, None) is None
        told = plan(await look_ahead(world.instance, None))
        assert told == [f"Nothing to do. Present method: {PRESENT}; 3 pictures carrying it."]
        last = await world.instance.storage.read(redos.last_redo, None)
        assert last == await now_of(world.instance, first)
        assert ended(last) == "The last run ended: 3 of 3 pictures were cloaked again."

        again = await started(world.instance, every=True)
        await settled(world)
        assert (await now_of(world.instance, again)).redone == 3
        assert await names(world.instance, past.open) == held, "the same picture, secret and method give the same bytes"
        assert len(await said(world.instance, "Update")) == updates
        await assert_files_are_those_of_rows(world.instance)


@pytest.mark.anyio
async def test_a_run_over_one_artist_leaves_the_others_alone_and_one_over_all_takes_it_over(past: Past, folder: Path) -> None:
    async with a_world(folder, jobs=False) as world, people_of(world.instance) as people:
        noor = (await people.person("noor")).account
        assert await start_redo(world.instance, noor.actor_id) is None
        assert (await look_ahead(world.instance, noor.actor_id)).behind == 0
        mine = await started(world.instance, world.artist.actor_id)
        assert await started(world.instance, world.artist.actor_id) == mine, "there is one already"
        await redo_step(world.instance, mine.id)
        everybodys = await started(world.instance)
        assert (await now_of(world.instance, mine)).state == RedoState.STOPPED
        assert await started(world.instance, world.artist.actor_id) == everybodys
        assert (await work_off(world.instance, everybodys)).redone == 3
        await redo_step(world.instance, mine.id)
        await assert_files_are_those_of_rows(world.instance)


@pytest.mark.anyio
async def test_a_run_goes_the_same_way_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    at: dict[str, Any] = {"storage.database": postgres.new_database()}
    async with a_world(tmp_path, **OLD, **at) as world:
        media = await world.upload(ORIGINALS[0])
        work = (await world.client.post("/api/v1/statuses", json={"status": "open", "media_ids": [media["id"]]})).json()
        await settled(world)
        old = await names(world.instance, int(work["id"]))
    async with a_world(tmp_path, **at) as world:
        redo = await started(world.instance, world.artist.actor_id)
        await settled(world)
        assert (await now_of(world.instance, redo)).redone == 1
        assert [await status(world, name) for name in old] == [410] * 2
        assert await start_redo(world.instance, None) is None
        everybodys = await started(world.instance, every=True)
        assert await stop_redo(world.instance, everybodys.id)
        await settled(world)
        await assert_files_are_those_of_rows(world.instance)


@pytest.mark.anyio
async def test_a_picture_in_three_sizes_is_replaced_in_all_of_them(folder: Path) -> None:
    async def kinds(world: World, image_id: int) -> set[str]:
        query = select(renditions.c.kind).where(renditions.c.image_id == image_id)
        return await world.instance.storage.read(lambda db: set(db.execute(query).scalars()))

    async with a_world(folder, **OLD) as world:
        media = await world.upload(draw_sample(1_300, 20))
        work = (await world.client.post("/api/v1/statuses", json={"status": "wide", "media_ids": [media["id"]]})).json()
        await settled(world)
    work_id, image_id = int(work["id"]), int(media["id"])
    async with a_world(folder, jobs=False) as world:
        instance = world.instance
        old = await names(instance, work_id)
        redo = await started(instance)
        await redo_step(instance, redo.id)  # the newest work comes first
        assert await kinds(world, image_id) == {
            f"{shown}{kind}" for shown in ("", "next ") for kind in ("public", "large", "preview")
        }
        await redo_step(instance, redo.id)
        assert await kinds(world, image_id) == {"public", "large", "preview"}
        new = await names(instance, work_id)
        assert len(new) == 3
        assert [await status(world, name) for name in (*old, *new)] == [410] * 3 + [200] * 3
        await stop_redo(instance, redo.id)

        def lose(db: Connection) -> None:
            mine = (renditions.c.image_id == image_id, renditions.c.kind == "large")
            db.execute(update(renditions).where(*mine).values(sha256="0" * 64))

        for change, updates in ((None, 1), (lose, 2)):
            if change is not None:
                await instance.storage.write(change)
            again = await started(instance, every=True)
            await redo_step(instance, again.id)
            await redo_step(instance, again.id)
            await stop_redo(instance, again.id)
            assert len(await said(instance, "Update")) == updates, "told where one size is another, and not else"
        await assert_files_are_those_of_rows(instance)


@pytest.mark.anyio
async def test_pictures_are_behind_when_other_encoders_are_here_than_they_were_cloaked_against(
    past: Past, folder: Path, tmp_path: Path
) -> None:
    """And by another backend or version; those of an installed package are asked in a process of its own."""
    tiny_encoder(tmp_path / "tiny.pth")

    async def outlook(world: World) -> tuple[str, int]:
        found = await look_ahead(world.instance, world.artist.actor_id)
        return found.method, found.behind

    async with a_world(folder, jobs=False, **OLD) as world:
        assert await outlook(world) == ("older 1 standard", 0)
    async with a_world(folder, jobs=False, **{"cloak.backend": "mirage"}) as world:
        with pytest.raises(CloakFailed, match="not installed: mirage"):
            await outlook(world)
    async with a_world(folder, jobs=False) as world:
        assert await outlook(world) == (PRESENT, 3)
        name = world.instance.shelf.add(tmp_path / "tiny.pth").name
        steered = f"encoders {SteeredCloak.version} standard +{name}"
        assert await outlook(world) == (steered, 3)
        await work_off(world.instance, await started(world.instance))
        assert await outlook(world) == (steered, 0)
        (shown,) = await pictures(world.instance, past.private)
        assert shown.image.cloak_method == steered
        assert json.loads(shown.image.cloak_report or "")["encoders"] == [name]
        world.instance.shelf.remove(name)
        assert await outlook(world) == (PRESENT, 3)


# -------------------------------------------------------------------------------------------- what may come in between


@pytest.mark.anyio
async def test_while_a_work_has_pictures_left_its_old_ones_are_shown_and_a_stop_leaves_them(past: Past, folder: Path) -> None:
    async with a_world(folder, jobs=False) as world:
        instance = world.instance
        redo = await started(instance)
        old = {work: await names(instance, work) for work in (past.open, past.private)}
        await redo_step(instance, redo.id)  # the newest work: for followers, of one picture
        await redo_step(instance, redo.id)  # its swap
        await redo_step(instance, redo.id)  # the first of two
        assert set(await names(instance, past.private)).isdisjoint(old[past.private])
        assert await names(instance, past.open) == old[past.open]
        assert [await status(world, name) for name in old[past.open]] == [200] * 4
        assert len(await said(instance, "Update")) == 1

        assert await stop_redo(instance, redo.id)
        assert not await stop_redo(instance, redo.id)
        await redo_step(instance, redo.id)
        held = await now_of(instance, redo)
        assert (held.state, held.redone, held.finished) == (RedoState.STOPPED, 1, 1)
        assert await names(instance, past.open) == old[past.open]
        assert len(await said(instance, "Update")) == 1
        await assert_files_are_those_of_rows(instance)
        assert (await look_ahead(instance, None)).behind == 2, "another run does the rest"


def niceness() -> list[int]:
    """Of processes that this one has started to render a picture."""
    table = subprocess.run(["ps", "-A", "-o", "ppid=,nice=,args="], capture_output=True, text=True, check=True).stdout
    lines = [line.split(None, 2) for line in table.splitlines()]
    return [int(nice) for parent, nice, *args in lines if int(parent) == os.getpid() and "fediart.media.child" in "".join(args)]


@pytest.mark.anyio
async def test_a_picture_in_hand_has_the_lowest_priority_and_is_let_go_when_its_run_is_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redo_cloaks, "LOOK_S", 0.01)
    monkeypatch.setattr(redo_cloaks, "_stage", None)  # nothing comes of it, so that none is asked to keep it
    async with a_world(folder) as world:
        redo = await started(world.instance)
        await until(lambda: 19 in niceness())
        assert await stop_redo(world.instance, redo.id)
        assert await settled(world) == []
        assert (await now_of(world.instance, redo)).redone == 0
        assert await said(world.instance, "Update") == []
        assert list(world.instance.unfinished.iterdir()) == []
        await assert_files_are_those_of_rows(world.instance)


@pytest.mark.anyio
async def test_a_work_that_is_withdrawn_meanwhile_stays_away_and_leaves_no_file(past: Past, folder: Path) -> None:
    async with a_world(folder, jobs=False) as world:
        instance = world.instance
        old = await names(instance, past.open)
        redo = await started(instance)
        for _ in range(3):
            await redo_step(instance, redo.id)
        assert len(await instance.storage.read(redos.staged, redo.id)) == 1
        in_hand = asyncio.create_task(redo_step(instance, redo.id))
        await until(lambda: list(instance.unfinished.iterdir()))
        await withdraw_work(instance, world.artist, past.open)
        await in_hand
        redo = await work_off(instance, redo)
        assert (redo.state, redo.redone, redo.dropped) == (RedoState.DONE, 1, 2)
        assert [note["object"]["url"].endswith(str(past.private)) for note in await said(instance, "Update")] == [True]
        assert len(await said(instance, "Delete")) == 1
        assert [await status(world, name) for name in old] == [410] * 4
        await assert_files_are_those_of_rows(instance)


@pytest.mark.anyio
async def test_an_edit_meanwhile_is_kept_and_told_with_the_new_pictures(past: Past, folder: Path) -> None:
    async with a_world(folder, jobs=False) as world:
        instance = world.instance
        redo = await started(instance)
        for _ in range(3):
            await redo_step(instance, redo.id)
        await edit_work(instance, world.artist, past.open, Draft(text="better words"))
        before = await names(instance, past.open)
        await work_off(instance, redo)
        edit, swap = [u["object"] for u in await said(instance, "Update") if u["object"]["url"].endswith(str(past.open))]
        assert "better words" in edit["content"]
        assert "better words" in swap["content"]
        assert swap["updated"] > edit["updated"], "or servers that have seen the edit would not look"
        assert before[0] in edit["attachment"][0]["url"]
        assert (await names(instance, past.open))[0] in swap["attachment"][0]["url"]


@pytest.mark.anyio
async def test_a_new_work_goes_out_before_old_ones_are_cloaked_again(past: Past, folder: Path) -> None:
    async with a_world(folder, jobs=False) as world:
        await started(world.instance)
        media = await world.upload(draw_sample(600, 450))  # takes many times as long as the old ones
        await world.client.post("/api/v1/statuses", json={"status": "new", "media_ids": [media["id"]]})
        async with running_jobs(world.instance):
            await settled(world)
        kinds = [json.loads(body)["type"] for body in await world.instance.storage.read(_bodies)]
        assert kinds[-3:] == ["Create", "Update", "Update"]


def _bodies(db: Connection) -> list[bytes]:
    return list(db.execute(select(activities.c.body).order_by(activities.c.id)).scalars())


@pytest.mark.anyio
async def test_a_picture_without_its_original_or_with_a_broken_one_keeps_its_cloak_and_is_told_of(
    past: Past, folder: Path
) -> None:
    async with a_world(folder, jobs=False) as world:
        instance = world.instance
        first, _ = [shown.image for shown in await pictures(instance, past.open)]
        (third,) = [shown.image for shown in await pictures(instance, past.private)]
        old = await names(instance, past.open)
        instance.vault.path(first.vault_key or "").unlink()
        instance.vault.path(third.vault_key or "").write_bytes(b"no picture any more")
        outlook = await look_ahead(instance, None)
        assert (outlook.behind, outlook.lost, outlook.doable) == (3, 1, 2)
        redo = await work_off(instance, await started(instance))
        assert (redo.redone, redo.lost, redo.failed, redo.finished) == (1, 1, 1, 3)
        new = await names(instance, past.open)
        assert new[:2] == old[:2]
        assert set(new[2:]).isdisjoint(old)
        told = await instance.storage.read(redos.troubles, redo.id)
        assert [work for work, _, _ in told] == [past.open, past.private]
        assert "not in this server's vault" in told[0][2]
        assert "damaged" in told[1][2]
        instance.vault.path(third.vault_key or "").unlink()
        assert await start_redo(instance, None) is None, "nothing that could be done"
        told_last = plan(await look_ahead(instance, None))[-1]
        assert told_last == "2 pictures cannot be cloaked again: no original of them is in the vault."


@pytest.mark.anyio
async def test_a_step_that_never_succeeds_is_given_up_and_the_run_goes_on(past: Past, folder: Path) -> None:
    async with a_world(folder, jobs=False) as world:
        instance = world.instance
        old = await names(instance, past.private)
        redo = await started(instance)
        await redo_step(instance, redo.id)
        await give_up_step(instance, redo.id)  # the swap of what is staged
        await give_up_step(instance, redo.id)  # the first picture of the next work
        redo = await work_off(instance, redo)
        assert (redo.state, redo.redone, redo.failed) == (RedoState.DONE, 1, 2)
        assert await names(instance, past.private) == old
        await give_up_step(instance, redo.id)
        await assert_files_are_those_of_rows(instance)


# ---------------------------------------------------------------------------------------------------- files that are gone


@pytest.mark.anyio
async def test_files_of_a_withdrawn_open_work_answer_410_until_the_same_content_is_shown_again(past: Past, folder: Path) -> None:
    async with a_world(folder, **OLD) as world:
        old, private = await names(world.instance, past.open), await names(world.instance, past.private)
        await withdraw_work(world.instance, world.artist, past.open)
        await withdraw_work(world.instance, world.artist, past.private)
        assert [await status(world, name) for name in (*old, *private)] == [410] * 4 + [404] * 2
        assert await status(world, "ab/" + "ab" * 32 + ".jpg") == 404
        media = await world.upload(ORIGINALS[0])
        await world.client.post("/api/v1/statuses", json={"status": "again", "media_ids": [media["id"]]})
        await settled(world)
        await discard_retired(world.instance)
        assert [await status(world, name) for name in old] == [200] * 2 + [410] * 2
        assert [await world.instance.storage.read(files.is_retired, name) for name in old] == [False] * 2 + [True] * 2
        await assert_files_are_those_of_rows(world.instance)


@pytest.mark.anyio
async def test_an_avatar_is_cloaked_a_broken_one_is_told_of_and_one_that_was_replaced_answers_410(folder: Path) -> None:
    """A run over old works leaves it: it has the cloak of when it was put up."""
    whole = [draw_sample(96, 96, seed=seed) for seed in (5, 6)]

    def portraits(db: Connection) -> list[tuple[str, str | None]]:
        query = select(image_table.c.state, image_table.c.cloak_method).where(image_table.c.purpose == "avatar")
        return [(row[0], row[1]) for row in db.execute(query)]

    async with a_world(folder) as world, people_of(world.instance) as people:
        mira, page, shown = await people.person("mira"), "/settings/profile", []
        for data in (whole[0], whole[0][:900], whole[1]):
            sent = {"avatar": ("a.jpg", data)}
            await mira.browser.send(page, {"name": "Mira"}, files=sent, page=page)
            await settled(world)
            told = (await mira.browser.get(page)).text
            assert ("Your new avatar: This picture is damaged" in told) is (len(data) == 900)
            shown.append((await mira.api.get("/api/v1/accounts/verify_credentials")).json()["avatar"].partition("/media/")[2])
        assert shown[0] == shown[1], "the old one is shown on"
        assert [await status(world, name) for name in shown[1:]] == [410, 200]
        assert await world.instance.storage.read(portraits) == [("ready", PRESENT)], "nothing is left of the broken one"
        assert (await look_ahead(world.instance, None)).behind == 3


@pytest.mark.anyio
async def test_a_file_that_a_killed_process_did_not_come_to_remove_goes_at_the_next_start(past: Past, folder: Path) -> None:
    async with a_world(folder, jobs=False) as world:
        instance = world.instance
        old = await names(instance, past.private) + await names(instance, past.open)
        redo = await started(instance)
        while (found := await instance.storage.read(redo_cloaks._next, redo.id)) and (found[1] or found[2]):
            if found[1] is not None:  # the transaction, and nothing after it
                await instance.storage.write(redo_cloaks._swap, instance, redo.id, found[1], instance.clock())
            else:
                await redo_step(instance, redo.id)
        assert [await status(world, name) for name in old] == [200] * 6
    async with a_world(folder) as world:
        assert [await status(world, name) for name in old] == [404] * 2 + [410] * 4
        await assert_files_are_those_of_rows(world.instance)


# --------------------------------------------------------------------------------------------------- commands and pages


def dump(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "fediart.sqlite") as db:
        return list(db.iterdump())


@pytest.mark.of_the_file
def test_a_dry_run_tells_pictures_megapixels_and_time_and_changes_nothing(past: Past, folder: Path) -> None:
    dry = ["cloak", "redo", "--dry-run", "--data", str(folder)]
    before = dump(folder)
    ran, everything, nobody = run_commands([dry, [*dry, "--all", "--artist", "mira"], [*dry, "--artist", "nobody"]])
    assert ran.status == 0
    assert ran.told.splitlines() == [
        f"To be cloaked again, by {PRESENT}: 3 pictures, 0.0 megapixels.",
        "That takes less than a minute, going by 3 pictures cloaked by other methods; this one may take more or less.",
        "Copies that other servers, or anyone else, already hold stay as they were.",
        "Nothing was changed.",
    ]
    assert "3 pictures" in everything.told
    assert (nobody.status, nobody.told) == (1, "There is no account nobody here.")
    assert dump(folder) == before
    with sqlite3.connect(folder / "fediart.sqlite") as db:
        db.execute("UPDATE images SET cloak_report = NULL")
    assert "How long that takes is not known: no picture was measured here yet." in run_command(*dry).told


@pytest.mark.anyio
async def test_a_run_is_left_by_a_command_and_worked_off_by_the_next_server_and_another_command_stops_it(
    past: Past, folder: Path
) -> None:
    redo = ["cloak", "redo", "--data", str(folder)]
    stop = [*redo, "--stop"]
    told = [ran.told for ran in run_commands([stop, redo, redo, stop, [*redo, "--artist", "@Mira"]])]
    assert told[0] == "There is no run to stop.\n"
    assert "a running one begins within seconds, else the next start does" in told[1]
    assert "0 of 3 have had their turn" in told[2]
    assert "0 of 3 pictures had had their turn" in told[3]
    assert "To be cloaked again" in told[4]
    async with a_world(folder) as world:
        await settled(world)
        assert len(await said(world.instance, "Update")) == 2
        stopped = await world.instance.storage.read(redos.last_redo, None)
        assert stopped is not None
        assert (stopped.state, stopped.finished) == (RedoState.STOPPED, 0), "the first one was everybody's, and stays stopped"
        assert (await look_ahead(world.instance, None)).behind == 0
    last = run_command(*redo).told
    assert last.startswith(f"Nothing to do. Present method: {PRESENT}; 3 pictures carrying it.\n")
    assert "The last run was stopped: 0 of 3 pictures were cloaked again" in last, "the last one over everybody's"


@pytest.mark.anyio
async def test_an_artist_sees_on_a_page_how_their_pictures_are_cloaked_and_has_them_cloaked_again(
    past: Past, folder: Path
) -> None:
    async with a_world(folder, jobs=False) as world, people_of(world.instance) as people:
        mira, noor, page = await people.person("mira"), await people.person("noor"), "/settings/cloaks"
        assert page in (await mira.browser.get("/settings/profile")).text
        seen = (await mira.browser.get(page)).text
        assert "0 pictures in your works carry the present cloak" in seen
        assert "3 an older one" in seen
        assert "less than a minute" in seen
        assert "Copies that other servers, or anyone else, already hold stay as they were" in seen
        assert "No work of yours" in (await noor.browser.get(page)).text
        assert (await mira.browser.http.post(page, data={"action": "start"})).status_code == 403, "no page of ours asked for it"
        assert await world.instance.storage.read(redos.running_redos) == []

        assert (await mira.browser.send(page, {"action": "start"}, page=page)).status_code == 303
        (redo,) = await world.instance.storage.read(redos.running_redos)
        assert redo.actor_id == mira.account.actor_id
        await redo_step(world.instance, redo.id)
        await redo_step(world.instance, redo.id)
        seen = (await mira.browser.get(page)).text
        assert "1 of 3 have had their turn" in seen
        assert "1 picture in your works carries the present cloak" in seen
        await noor.browser.send(page, {"action": "stop"})
        assert (await now_of(world.instance, redo)).state == RedoState.RUNNING, "it is not Noor's"
        await mira.browser.send(page, {"action": "stop"}, page=page)
        assert (await now_of(world.instance, redo)).state == RedoState.STOPPED
        assert "Stopped on" in (await mira.browser.get(page)).text

        await mira.browser.send(page, {"action": "start"}, page=page)
        (redo,) = await world.instance.storage.read(redos.running_redos)
        await work_off(world.instance, redo)
        seen = (await mira.browser.get(page)).text
        assert "There is nothing to do." in seen
        assert "2 pictures of 2 cloaked again" in seen

        everybodys = await started(world.instance, every=True)
        seen = (await mira.browser.get(page)).text
        assert "All pictures of this server are being cloaked again: 0 of 3" in seen
        await mira.browser.send(page, {"action": "stop"})
        assert (await now_of(world.instance, everybodys)).state == RedoState.RUNNING


def test_an_estimate_goes_by_megapixels_and_has_no_more_digits_than_it_deserves() -> None:
    assert seconds_per_megapixel([]) is None
    assert seconds_per_megapixel([(3.0, 0.0)]) is None
    assert seconds_per_megapixel([(3.0, 1.0), (3.0, 2.0)]) == 2.0
    words = {3: "less than a minute", 50: "about a minute", 130: "about 2 minutes", 5_000: "about 83 minutes"}
    words |= {20_000: "about 6 hours", 200_000: "about 2 days"}
    assert {seconds: in_words(seconds) for seconds in words} == words


@pytest.mark.anyio
async def test_an_estimate_is_made_of_what_the_present_method_took_here_where_there_is_any(past: Past, folder: Path) -> None:
    def put(db: Connection, work_id: int, method: str, seconds: float) -> None:
        size = {"width": 2000, "height": 1000, "cloak_method": method, "cloak_report": json.dumps({"seconds": seconds})}
        db.execute(update(image_table).where(image_table.c.work_id == work_id).values(**size))

    async with a_world(folder, jobs=False) as world:
        await world.instance.storage.write(put, past.open, "an older one", 1.0)
        await world.instance.storage.write(put, past.private, PRESENT, 240.0)
        outlook = await look_ahead(world.instance, world.artist.actor_id)
        assert outlook == Outlook(PRESENT, 1, 2, 0, 4.0, 480.0, 1, True)


def rewind(db: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Take away what came after these migrations, of which the last one is then the database's."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        for name in migrations:
            import_module(f"fediart.storage.migrations.versions.{name}").upgrade()
        old = inspect(connection)
        columns = {table: {column["name"] for column in old.get_columns(table)} for table in old.get_table_names()}
        indexes = {str(index["name"]) for table in columns for index in old.get_indexes(table)}
    held = db.execute("SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'").fetchall()
    for index in [name for kind, name in held if kind == "index" and name not in indexes]:
        db.execute(f"DROP INDEX {index}")
    for table in [name for kind, name in held if kind == "table"]:
        if table not in columns:
            db.execute(f"DROP TABLE {table}")
            continue
        for column in [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] not in columns[table]]:
            db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    db.execute("UPDATE alembic_version SET version_num = ?", (migrations[-1][:4],))


@pytest.mark.of_the_file
@pytest.mark.anyio
async def test_pictures_from_before_there_was_a_record_of_methods_get_it_from_their_reports(past: Past, folder: Path) -> None:
    with sqlite3.connect(folder / "fediart.sqlite") as db:
        before = db.execute("SELECT id, cloak_method FROM images ORDER BY id").fetchall()
        rewind(db, ("0001_first", "0002_indexes", "0003_cloak_choices"))
    db.close()  # an upgrade wants the file for itself
    assert await migrate.migrate(database_url("", folder))
    with sqlite3.connect(folder / "fediart.sqlite") as db:
        assert db.execute("SELECT id, cloak_method FROM images ORDER BY id").fetchall() == before
    assert Counter(method for _, method in before) == {"older 1 standard": 3, None: 1}


# -------------------------------------------------------------------------------------------------------------- killed


@pytest.fixture
def artist(tmp_path: Path) -> Iterator[Keeper]:
    """Somebody whose server cloaks as it did before."""
    keeper = Keeper(tmp_path / "ours")
    with (keeper.side.data / "config.toml").open("a") as settings:
        settings.write('cloak.backend = "older"\n')
    with running(keeper):
        yield keeper


def asked(keeper: Keeper, sql: str) -> list[Any]:
    db = sqlite3.connect(f"file:{keeper.side.data / 'fediart.sqlite'}?mode=ro", uri=True, timeout=20)
    try:
        return [row[0] for row in db.execute(sql).fetchall()]
    finally:
        db.close()


@pytest.mark.of_the_file
def test_a_run_that_is_killed_again_and_again_goes_on_and_ends_whole(artist: Keeper) -> None:
    print(f"FEDIART_SEED={SEED}")
    dice, count = random.Random(SEED), 12 if LONG else 1

    def is_idle() -> bool:
        health = artist.ask("GET", "/healthz")
        return bool(health["jobs"]["waiting"] == health["deliveries"]["waiting"] == 0)

    def on_disk() -> set[str]:
        root = artist.side.data / "media"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    with far_hosts(1) as far:
        [vera] = far.actors(1)
        follow = {"@context": [], "id": f"{vera}#follow", "type": "Follow", "actor": vera, "object": artist.uri}
        assert far.says(artist.client, f"{artist.side.url}/inbox", follow) == 202
        for number in range(count):
            pair = [artist.upload(draw_sample(320, 240, seed=2 * number + side)) for side in (0, 1)]
            artist.post(f"number {number}", *pair)
        wait_for("all is published and told", is_idle, seconds=120)
        old = set(asked(artist, "SELECT name FROM renditions"))
        assert on_disk() == old
        assert len(old) == 4 * count
        artist.stop()
        settings = artist.side.data / "config.toml"
        settings.write_text(settings.read_text().replace('"older"', '"texture"'))
        assert "To be cloaked again" in run_command("cloak", "redo", "--data", str(artist.side.data)).told
        far.received.clear()
        artist.start()

        hits = 0
        turns = range(2 * count) if LONG else (0, 2 * count - 1)
        for turn in turns:
            waiting = f"SELECT count(*) FROM redo_turns WHERE state = 'waiting' HAVING count(*) <= {2 * count - turn}"
            wait_for("it is the next picture's turn", lambda sql=waiting: asked(artist, sql), every=0.005)  # type: ignore[misc]
            time.sleep(dice.random() * 0.8)
            hits += bool(asked(artist, "SELECT id FROM redos WHERE state = 'running'"))
            artist.kill_and_start()
            shown = set(asked(artist, "SELECT name FROM renditions WHERE kind NOT LIKE 'next %'"))
            assert shown <= on_disk(), "either the old picture or the new one, never neither"
        assert 2 * hits >= len(turns), "hardly any kill hit the run: this proves nothing"
        wait_for("the run is done and told", is_idle, seconds=120)

        new = set(asked(artist, "SELECT name FROM renditions"))
        assert new.isdisjoint(old)
        assert on_disk() == new
        assert set(asked(artist, "SELECT cloak_method FROM images")) == {PRESENT}
        assert asked(artist, "SELECT state || redone FROM redos") == [f"done{2 * count}"]
        assert set(asked(artist, "SELECT name FROM retired_files")) == old
        told = [item.document for item in far.received]
        assert {document["type"] for document in told} == {"Update"}
        assert len({document["id"] for document in told}) == count, "one for each work"
        assert len({item.body for item in far.received}) == count, "where one came twice, it was the same"
    for name in sorted(old)[:3]:
        assert artist.client.get(f"/media/{name}").status_code == 410
    # How long a cloak takes here is measured after each start: that has a folder of its own, for a moment.
    wait_for("nothing in the making", lambda: not list((artist.side.data / "unfinished").iterdir()))
    assert asked(artist, "PRAGMA integrity_check") == ["ok"]
