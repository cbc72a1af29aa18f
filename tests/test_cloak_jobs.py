"""The cloak as its artist meets it: chosen, seen before anything goes out, waited for, paused, cancelled, recorded."""

from __future__ import annotations

import io
import os
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy import Connection, select

from fediart.domain.cloaks import CloakStrength, left_in_words, seconds_for
from fediart.domain.images import Image as Picture
from fediart.domain.images import ImageState
from fediart.domain.works import Work, WorkState
from fediart.errors import BadPicture
from fediart.instance import Instance, sweep_unfinished
from fediart.jobs.kinds import KINDS
from fediart.jobs.runner import running_jobs
from fediart.media.cloak.strengths import STRENGTHS
from fediart.media.pipeline import RenderRequest, RenderResult, render
from fediart.media.sample import draw_sample
from fediart.storage import images, jobs, leases, tables, works
from fediart.studio import estimate_cloak
from fediart.studio.estimate_cloak import calibrate, learn, time_left
from fediart.studio.release_work import ASKS_WEAK
from fediart.web.pages.record import in_words
from tests.patient_cloak import NAME, Patient, install_patient_cloak
from tests.people import Person, people_of
from tests.pictures import KINDS as DRAWN
from tests.test_child import children
from tests.waiting import until
from tests.world import a_world

PATIENT: dict[str, Any] = {"cloak.backend": NAME}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, prepared: Path) -> Path:
    """A world's data folder."""
    return Path(shutil.copytree(prepared, tmp_path / "data"))


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    return install_patient_cloak(tmp_path, monkeypatch)


def a_jpeg(width: int = 96) -> bytes:
    return draw_sample(width, 64)


async def picture_of(instance: Instance, image_id: int) -> Picture:
    found = await instance.storage.read(images.image_by_id, image_id)
    assert found is not None
    return found


async def work_of(instance: Instance, work_id: int) -> Work:
    found = await instance.storage.read(works.work_by_id, work_id)
    assert found is not None
    return found


async def reaches(instance: Instance, image_id: int, *states: ImageState) -> None:
    async def there() -> bool:
        return (await picture_of(instance, image_id)).state in states

    await until(there)


async def is_out(instance: Instance, work_id: int) -> None:
    async def out() -> bool:
        return (await work_of(instance, work_id)).state == WorkState.PUBLISHED

    await until(out)


async def draft_with(who: Person, *files: bytes) -> tuple[str, list[int]]:
    """(its composer's path, its pictures)."""
    page = (await who.browser.send("/compose")).headers["location"]
    upload = [("pictures", (f"{n}.jpg", data)) for n, data in enumerate(files)]
    assert (await who.browser.send(page, {"text": "my words", "action": "add"}, files=upload, page=page)).status_code == 303
    return page, [int(number) for number in re.findall(r'data-image="(\d+)"', (await who.browser.get(page)).text)]


async def press(who: Person, page: str, action: str, **fields: str) -> httpx.Response:
    return await who.browser.send(page, {"text": "my words", "action": action, **fields}, page=page)


async def published(who: Person, page: str, **fields: str) -> int:
    sent = await press(who, page, "publish", **fields)
    assert sent.status_code == 303, sent.text
    return int(sent.headers["location"].rpartition("/")[2])


def report_of(picture: Picture) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(picture.cloak_report or "{}")
    return found


# ------------------------------------------------------------------------------------------------------ strength


@pytest.mark.anyio
async def test_a_picture_is_cloaked_as_its_artist_chose_else_as_she_always_does_else_as_the_server_does(
    tmp_path: Path, patient: Patient
) -> None:
    patient.say("go")
    options: dict[str, Any] = {"cloak.backend": NAME, "cloak.strength": "strong", "cloak.threads": 3}
    async with a_world(tmp_path / "data", **options) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        _, first = await draft_with(mira, a_jpeg(96))
        await reaches(world.instance, first[0], ImageState.READY)
        said = {"strength": "light", "ask": "1"}
        kept = await mira.browser.send("/settings/cloak", said, page="/settings/cloak")
        assert 'value="light" checked' in kept.text
        page, second = await draft_with(mira, a_jpeg(97))
        await reaches(world.instance, second[0], ImageState.READY)
        assert 'value="light" selected' in (await mira.browser.get(page)).text
        await press(mira, page, "save", **{f"cloak-{second[0]}": "standard"})
        await reaches(world.instance, second[0], ImageState.READY)
        assert patient.begun == [(96, "strong", "3"), (97, "light", "3"), (97, "standard", "3")]
        await press(mira, page, "save", **{f"cloak-{second[0]}": "standard"})
        await press(mira, page, "save", **{f"cloak-{second[0]}": "invisible"})
        assert (await picture_of(world.instance, second[0])).state == ImageState.READY, "what is chosen already changes nothing"
        await press(mira, page, "save", **{f"cloak-{second[0]}": "none"})
        await reaches(world.instance, second[0], ImageState.READY)
        bare = await picture_of(world.instance, second[0])
        assert (bare.cloak, bare.cloak_report) == (False, None)
        await mira.browser.send("/settings/cloak", {"strength": "none"}, page="/settings/cloak")
        _, third = await draft_with(mira, a_jpeg(98))
        assert not (await picture_of(world.instance, third[0])).cloak
        assert len(patient.begun) == 3


def test_the_strengths_to_choose_from_are_those_that_the_cloak_knows() -> None:
    assert [strength.value for strength in CloakStrength] == [*STRENGTHS, "none"]


@pytest.mark.anyio
async def test_another_strength_while_it_is_cloaked_ends_that_and_begins_anew(tmp_path: Path, patient: Patient) -> None:
    async with a_world(tmp_path / "data", **PATIENT) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page, (image_id,) = await draft_with(mira, a_jpeg())
        await until(lambda: patient.begun)
        await press(mira, page, "save", **{f"cloak-{image_id}": "strong"})
        await until(lambda: len(patient.begun) == 2)
        assert len(children()) == 1, "the first one is gone"
        patient.say("go")
        await reaches(world.instance, image_id, ImageState.READY)
        assert report_of(await picture_of(world.instance, image_id))["strength"] == "strong"
        await until(lambda: not list(world.instance.unfinished.iterdir()))
        await nothing_left_to_do(world.instance)


# ----------------------------------------------------------------------------------------------------- weak cloaks


@pytest.mark.anyio
async def test_a_picture_that_takes_only_a_weak_cloak_is_asked_about_before_it_goes_out(tmp_path: Path) -> None:
    """White paper, the real cloak: the page says so by itself, and pressing the button all the same loses nothing."""
    flat = io.BytesIO()
    Image.new("RGB", (200, 160), "white").save(flat, "PNG")
    painted = io.BytesIO()
    Image.fromarray(DRAWN["painting"](240, 180, 1)).save(painted, "PNG")
    async with a_world(tmp_path / "data") as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page, (plain, dense) = await draft_with(mira, flat.getvalue(), painted.getvalue())
        for image_id in (plain, dense):
            await reaches(world.instance, image_id, ImageState.READY)
        shown = (await mira.browser.get(page)).text
        assert f'value="keep-{plain}"' in shown
        assert f'value="more-{plain}"' in shown
        assert f'value="bare-{plain}"' in shown
        assert f'value="keep-{dense}"' not in shown, "a painting takes a cloak, so nothing is asked"
        assert "Publish anyway" in shown
        held = await press(mira, page, "publish")
        assert held.status_code == 422
        assert ASKS_WEAK in held.text
        assert "my words" in held.text
        sent = await press(mira, page, "publish-anyway")
        final = int(sent.headers["location"].rpartition("/")[2])
        await is_out(world.instance, final)
        assert (await picture_of(world.instance, plain)).is_weak


@pytest.mark.anyio
@pytest.mark.parametrize("answer", ["keep", "more", "bare"])
async def test_a_waiting_work_is_held_with_the_question_once_and_one_click_goes_on(
    tmp_path: Path, patient: Patient, answer: str
) -> None:
    patient.say("weak")
    async with a_world(tmp_path / "data", **PATIENT) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page, (image_id,) = await draft_with(mira, a_jpeg())
        final = await published(mira, page)
        patient.say("go")

        async def is_held() -> bool:
            return (await work_of(world.instance, final)).state == WorkState.DRAFT

        await until(is_held)
        assert (await world.stranger.get(f"/@mira/{final}")).status_code == 404
        page = (await mira.browser.get(f"/@mira/{final}")).headers["location"]
        shown = (await mira.browser.get(page)).text
        assert ASKS_WEAK in shown
        assert "my words" in shown
        sent = await press(mira, page, f"{answer}-{image_id}")
        assert re.fullmatch(r"/works/\d+", sent.headers["location"])
        last = int(sent.headers["location"].rpartition("/")[2])
        await is_out(world.instance, last)
        picture = await picture_of(world.instance, image_id)
        assert picture.cloak == (answer != "bare")
        if picture.cloak:
            assert picture.is_weak, "weak again, and not asked again"
            assert report_of(picture)["strength"] == ("strong" if answer == "more" else "standard")


@pytest.mark.anyio
async def test_who_does_not_want_to_be_asked_and_who_posts_by_a_program_is_not(tmp_path: Path, patient: Patient) -> None:
    patient.say("weak")
    patient.say("go")
    async with a_world(tmp_path / "data", **PATIENT) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        media = await world.upload(a_jpeg())
        await reaches(world.instance, int(media["id"]), ImageState.READY)
        told = (await world.client.get(f"/api/v1/media/{media['id']}")).json()["fediart"]
        assert (told["weak"], told["cloaked"]) == (True, True), "a program can tell, and ask by itself"
        said = {"status": "by a program", "media_ids": [media["id"]]}
        work = (await world.client.post("/api/v1/statuses", json=said)).json()["id"]
        await is_out(world.instance, int(work))
        await mira.browser.send("/settings/cloak", {"strength": ""}, page="/settings/cloak")
        page, (image_id,) = await draft_with(mira, a_jpeg())
        await reaches(world.instance, image_id, ImageState.READY)
        assert "Publish anyway" not in (await mira.browser.get(page)).text
        await is_out(world.instance, await published(mira, page))


# ---------------------------------------------------------------------------------------------- preview and record


@pytest.mark.anyio
async def test_before_after_and_difference_are_shown_to_the_artist_alone(tmp_path: Path) -> None:
    async with a_world(tmp_path / "data") as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        painted = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(DRAWN["painting"](320, 200, 1)).save(painted, "JPEG", quality=95, exif=exif)
        page, (image_id,) = await draft_with(mira, painted.getvalue())
        path = f"/pictures/{image_id}"
        assert "not ready" in (await mira.browser.get(path)).text
        await reaches(world.instance, image_id, ImageState.READY)
        assert path in (await mira.browser.get(page)).text, "the draft leads to it"
        seen = {}
        for kind in ("original", "cloaked", "difference"):
            answer = await mira.browser.get(f"{path}/{kind}")
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"
            seen[kind] = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)
            assert seen[kind].shape == (320, 200, 3), "upright"
            assert answer.content != painted.getvalue()
            assert b"Exif" not in answer.content
            for who in (world.stranger, noor.browser.http, noor.api, mira.api):
                refused = await who.get(f"{path}/{kind}")
                assert refused.status_code in (401, 404), kind
                assert not refused.headers["content-type"].startswith("image/")
        expected = np.clip(128 + 8 * (seen["cloaked"] - seen["original"]), 0, 255)
        assert np.abs(seen["difference"] - expected).mean() < 4, "but for what JPEG does to it"
        assert np.abs(seen["difference"] - 128).mean() > 8, "there is something to be seen"
        shown = (await mira.browser.get(path)).text
        for words in ("Before", "Cloaked", "Difference", "PSNR", "texture 2, strength “standard”"):
            assert words in shown
        for who in (world.stranger, noor.browser.http):
            assert (await who.get(path)).status_code in (303, 401, 404)
        assert list(world.instance.unfinished.glob("compared-*"))
        await press(mira, page, "discard")
        assert list(world.instance.unfinished.iterdir()) == []
        assert (await mira.browser.get(f"{path}/original")).status_code == 404


@pytest.mark.anyio
async def test_a_comparison_is_thrown_away_after_an_hour_and_made_anew_when_the_cloak_changes(
    tmp_path: Path, patient: Patient
) -> None:
    patient.say("go")
    async with a_world(tmp_path / "data", **PATIENT) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page, (image_id,) = await draft_with(mira, a_jpeg())
        await reaches(world.instance, image_id, ImageState.READY)
        assert (await mira.browser.get(f"/pictures/{image_id}/difference")).status_code == 200
        (folder,) = world.instance.unfinished.glob("compared-*")
        await sweep_unfinished(world.instance)
        assert folder.exists()
        os.utime(folder, (1_000_000, 1_000_000))
        await sweep_unfinished(world.instance)
        assert not folder.exists()
        await press(mira, page, "save", **{f"cloak-{image_id}": "none"})
        await reaches(world.instance, image_id, ImageState.READY)
        difference = await mira.browser.get(f"/pictures/{image_id}/difference")
        assert np.abs(np.asarray(Image.open(io.BytesIO(difference.content))).astype(int) - 128).max() <= 2


WHOLE = {
    "backend": "encoders", "version": 3, "strength": "strong", "encoders": ["taesdxl", "taef2"], "flip": 0.0612,
    "flip_far": 0.031, "psnr": 36.02, "ssim": 0.9514, "worst_patch": 0.21, "seconds": 12.34, "cpu_seconds": 11.9,
    "shifts": {"taesdxl": {"clean": 0.4, "jpeg": 0.312, "half": 0.21}, "taef2": {"jpeg": 0.2}}, "weak": False,
    "amplitude": 9.5, "flat_cap": 3.0,
}  # fmt: skip


def test_a_record_says_every_figure_in_words_and_leaves_out_what_is_not_there() -> None:
    told = dict(in_words(WHOLE))
    assert told["Made by"] == "encoders 3, strength “strong”"
    assert told["Aimed at these encoders"] == "taesdxl, taef2"
    assert told["Moves what taesdxl reads by"] == "0.40 as it is, 0.31 after JPEG, 0.21 at half its size"
    assert told["Moves what taef2 reads by"] == "0.20 after JPEG"
    figures = " ".join(told.values())
    for figure in ("0.061", "0.031", "36.0 dB", "0.951", "0.210", "12.3 s", "11.9 s", "9.5", "3.0"):
        assert figure in figures
    for key in WHOLE:
        fewer = {name: value for name, value in WHOLE.items() if name != key}
        assert len(in_words(fewer)) <= len(in_words(WHOLE))
    assert in_words({}) == []
    assert in_words({"later": 1, "flip": None, "psnr": float("inf"), "ssim": "x", "shifts": {"a": 3}, "encoders": "b"}) == []


def test_a_record_never_says_more_than_was_measured() -> None:
    words = " ".join(label for label, _ in in_words(WHOLE)).lower()
    for word in ("protect", "immune", "poison", "safe", "prevent"):
        assert word not in words


@pytest.mark.anyio
async def test_the_public_hears_yes_or_no_and_the_page_about_cloaks_promises_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path / "data", jobs=False) as world:
        about = (await world.stranger.get("/about/cloak")).text
        main = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", about[about.index("<main") : about.index("</main>")])).lower()
        for words in ("friction", "denoising removes most of it", "noisy upscaling", "purification", "nobody has shown"):
            assert words in main
        for word in ("protect", "immune", "poison"):
            assert word not in main
        assert not re.search(r"\d", main), "figures come from a table that is measured, not from here"


# -------------------------------------------------------------------------------------------------- the time left

PICTURES = st.tuples(st.floats(0.01, 9), st.floats(0.01, 600))


@given(st.lists(PICTURES, min_size=1, max_size=9), st.floats(0.01, 9), st.floats(0.01, 9))
def test_a_larger_picture_is_never_said_to_take_less(took: list[tuple[float, float]], one: float, other: float) -> None:
    small, large = sorted([one, other])
    first, second = seconds_for(small, took), seconds_for(large, took)
    assert first is not None
    assert second is not None
    assert 0 <= first <= second + 1e-9


@given(st.floats(0, 3), st.floats(0.1, 20), st.lists(st.floats(0.1, 9), min_size=4, max_size=8, unique=True))
def test_pictures_that_take_a_start_and_so_much_a_pixel_are_foretold_exactly(
    start: float, pace: float, sizes: list[float]
) -> None:
    took = [(size, start + pace * size) for size in sizes]
    if max(sizes) > 1.3 * min(sizes):
        assert seconds_for(8.0, took) == pytest.approx(start + 8 * pace, rel=1e-6, abs=1e-6)


def test_one_picture_during_which_the_machine_slept_changes_little() -> None:
    usual = [(0.2, 0.7), (1.0, 1.5), (2.0, 2.5), (1.5, 2.0), (4.0, 4.5)]
    assert seconds_for(3.0, usual) == pytest.approx(3.5)
    disturbed = seconds_for(3.0, [*usual, (2.0, 7000.0)])
    assert disturbed is not None
    assert disturbed < 5
    assert seconds_for(1.0, []) is None
    assert seconds_for(2.0, [(1.0, 3.0), (1.1, 3.3)]) == pytest.approx(6.0)


def test_a_time_is_told_no_more_exactly_than_it_is_known() -> None:
    told = {1.2: "a few seconds left", 11: "about 10 s left", 42: "about 40 s left", 130: "about 2 min left"}
    assert {seconds: left_in_words(seconds) for seconds in told} == told
    assert left_in_words(9_000) == "about 2 h left"
    assert left_in_words(None) == ""


@pytest.mark.anyio
async def test_the_time_left_counts_what_comes_before_and_is_told_on_pages_and_to_programs(tmp_path: Path) -> None:
    async with a_world(tmp_path / "data", jobs=False) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        pages = [
            await draft_with(mira, draw_sample(1000, 1000), draw_sample(500, 500)),
            await draft_with(noor, draw_sample(1000, 500)),
        ]
        (_, (first, second)), (page, (other,)) = pages
        assert await time_left(world.instance, [first]) is None, "nobody knows yet"
        assert "left" not in (await mira.browser.get(f"{pages[0][0]}/progress")).text
        for size in (0.5, 1.0, 2.0):
            await learn(world.instance, CloakStrength.STANDARD, size, 10 + 20 * size)
        # In turns: Mira's first, Noor's, Mira's second.
        assert await time_left(world.instance, [first]) == pytest.approx(30)
        assert await time_left(world.instance, [other]) == pytest.approx(30 + 20)
        assert await time_left(world.instance, [first, second]) == pytest.approx(30 + 20 + 15)
        await world.instance.storage.write(images.change_image, first, state=ImageState.CLOAKING, progress=0.5)
        assert await time_left(world.instance, [first, second]) == pytest.approx(15 + 20 + 15)
        assert "Waiting, about 35 s left" in (await noor.browser.get(page)).text
        answer = (await noor.api.get(f"/api/v1/media/{other}")).json()["fediart"]
        assert answer == {
            "state": "waiting", "progress": 0.0, "seconds_left": 35, "time_left": "about 35 s left",
            "cloaked": True, "weak": False, "problem": None,
        }  # fmt: skip
        final = await published(mira, pages[0][0])
        assert "Cloaking 25 %, about 50 s left." in (await mira.browser.get(f"/@mira/{final}")).text
        told = (await mira.browser.get(f"/compose/{final}/progress")).json()["told"]
        assert told == "Cloaking 25 %, about 50 s left. The work goes out as soon as its pictures are ready."
        status = (await mira.api.get(f"/api/v1/statuses/{final}")).json()
        assert status["fediart"]["seconds_left"] == 50


@pytest.mark.anyio
async def test_a_sample_is_measured_once_for_each_strength_and_again_when_the_threads_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patient: Patient
) -> None:
    patient.say("go")

    async def measured(*sizes: int, **more: Any) -> list[tuple[int, str, str]]:
        before = len(patient.begun)
        monkeypatch.setattr(estimate_cloak, "SAMPLES", tuple((size, 48) for size in sizes))
        async with a_world(tmp_path / "data", jobs=False, **{"cloak.backend": NAME, **more}) as world:
            await calibrate(world.instance)
            assert list(world.instance.unfinished.iterdir()) == []
        return patient.begun[before:]

    strengths = ("strong", "light", "standard")
    assert await measured(64, 128, **{"cloak.strength": "strong"}) == [(size, s, "1") for s in strengths for size in (64, 128)]
    assert await measured(64, 128, **{"cloak.strength": "strong"}) == []
    assert {threads for _, _, threads in await measured(64, **{"cloak.threads": 2})} == {"2"}


def all_times(db: Connection) -> dict[str, str]:
    rows = db.execute(select(tables.settings.c.key, tables.settings.c.value)).all()
    return {row[0]: row[1] for row in rows if row[0].startswith("cloak_took")}


@pytest.mark.anyio
async def test_every_picture_that_is_done_corrects_what_is_known(tmp_path: Path, patient: Patient) -> None:
    patient.say("go")
    async with a_world(tmp_path / "data", **PATIENT) as world:
        for n in range(9):
            await learn(world.instance, CloakStrength.STANDARD, 1.0, 500.0 + n)
        media = await world.upload(a_jpeg())
        await reaches(world.instance, int(media["id"]), ImageState.READY)

        async def learnt() -> bool:
            kept = (await world.instance.storage.read(all_times))[f"cloak_took {NAME}  standard 1"]
            size, seconds = msgspec.json.decode(kept)[-1]
            assert len(msgspec.json.decode(kept)) == 9
            return bool(size == pytest.approx(96 * 64 / 1e6, abs=1e-4) and 0 < seconds < 500)

        await until(learnt)


@pytest.mark.anyio
async def test_a_mistake_in_an_installed_cloak_is_not_laid_on_the_picture(tmp_path: Path, patient: Patient) -> None:
    patient.say("broken")
    async with a_world(tmp_path / "data", **PATIENT) as world:
        media = await world.upload(a_jpeg())
        await reaches(world.instance, int(media["id"]), ImageState.FAILED)
        image = await picture_of(world.instance, int(media["id"]))
        assert image.problem == "The cloak failed at this picture. The server's log says why."


# ------------------------------------------------------------------------------------------------------- the queue


def all_jobs(db: Connection) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in db.execute(select(tables.jobs.c.kind, tables.jobs.c.run_at))]


async def nothing_left_to_do(instance: Instance) -> None:
    async def idle() -> bool:
        return not await instance.storage.read(all_jobs)

    await until(idle)


@pytest.mark.anyio
async def test_a_hundred_pictures_of_one_artist_do_not_hold_the_one_of_another(tmp_path: Path) -> None:
    assert KINDS["cloak"].in_turn
    async with a_world(tmp_path / "data", jobs=False) as world:
        now = world.instance.clock()

        def act(db: Connection) -> list[int]:
            order = []
            for n in range(100):
                jobs.add_job(db, "cloak", {"image_id": n}, now=now, owner=1)
            for turn in range(110):
                if turn == 40:
                    for n in range(3):
                        jobs.add_job(db, "cloak", {"image_id": 1000 + n}, now=now, owner=2)
                if turn == 44:
                    jobs.add_job(db, "cloak", {"image_id": 2000}, now=now, owner=3)
                foreseen = jobs.queue_of(db, "cloak", now)
                taken = leases.claim(db, tables.jobs, now=now, lease="x", lease_ms=9, limit=1, kinds=("cloak",), in_turn=True)
                for row in taken:
                    order.append(msgspec.json.decode(row.payload)["image_id"])
                    assert foreseen[0]["image_id"] == order[-1], "what is told of the queue is what happens"
                leases.finish(db, tables.jobs, [row.id for row in taken], lease="x")
            return order

        order = await world.instance.storage.write(act)
        assert sorted(order) == [*range(100), 1000, 1001, 1002, 2000]
        assert [n for n in order if n < 100] == list(range(100)), "and each artist's own stay in order"
        places = {n: order.index(n) for n in (1000, 1001, 1002, 2000)}
        assert places[1000] <= 41
        assert places[1001] <= 43
        assert places[1002] <= 45
        assert places[2000] <= 47


@pytest.mark.anyio
async def test_artists_are_served_in_turn_by_the_running_server(tmp_path: Path, patient: Patient) -> None:
    patient.say("go")
    async with a_world(tmp_path / "data", jobs=False, **PATIENT) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        await draft_with(mira, *(a_jpeg(width) for width in (101, 102, 103, 104)))
        await draft_with(noor, a_jpeg(201), a_jpeg(202))
        async with running_jobs(world.instance):
            await until(lambda: len(patient.begun) == 6)
    assert [width for width, *_ in patient.begun] == [101, 201, 102, 202, 103, 104]


@pytest.mark.anyio
async def test_a_paused_work_stays_so_over_a_restart_and_then_goes_on(tmp_path: Path, patient: Patient) -> None:
    data = tmp_path / "data"
    async with a_world(data, **PATIENT) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page, (first, second) = await draft_with(mira, a_jpeg(101), a_jpeg(102))
        final = await published(mira, page)
        await until(lambda: patient.begun)
        own = f"/@mira/{final}"
        sent = await mira.browser.send(f"/works/{final}/pause", {"back": own}, page=own)
        assert sent.headers["location"] == own
        assert children() == set(), "what ran is ended"
        for image_id in (first, second):
            assert (await picture_of(world.instance, image_id)).state == ImageState.PAUSED
        assert len(await world.instance.storage.read(all_jobs)) == 2, "the jobs stay"
        shown = (await mira.browser.get(own)).text
        assert "Paused" in shown
        assert f'action="/works/{final}/go-on"' in shown
        assert [path.name for path in world.instance.unfinished.iterdir()] == [f"cloak-{first}"], "what was begun is kept"
        (world.instance.unfinished / f"cloak-{first}" / "half").touch()
        # Another artist's picture passes by.
        noor = await people.person("noor")
        _, (others,) = await draft_with(noor, a_jpeg(201))
        await until(lambda: len(patient.begun) == 2)
        patient.say("go")
        await reaches(world.instance, others, ImageState.READY)
        patient.say("go", False)
    async with a_world(data, **PATIENT) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        assert (world.instance.unfinished / f"cloak-{first}" / "half").exists()
        assert (await picture_of(world.instance, first)).state == ImageState.PAUSED
        assert len(patient.begun) == 2
        await mira.browser.send(f"/works/{final}/go-on", {}, page="/settings/cloak")
        await until(lambda: len(patient.begun) == 3)
        assert (world.instance.unfinished / f"cloak-{first}" / "half").exists(), "it is gone on with, not begun anew"
        patient.say("go")
        await is_out(world.instance, final)
        await until(lambda: not list(world.instance.unfinished.iterdir()))
        await nothing_left_to_do(world.instance)


@pytest.mark.anyio
async def test_a_cancelled_work_is_a_draft_again_with_its_words_and_can_go_out_later(tmp_path: Path, patient: Patient) -> None:
    async with a_world(tmp_path / "data", **PATIENT) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        page, (first, second) = await draft_with(mira, a_jpeg(101), a_jpeg(102))
        final = await published(mira, page)
        await until(lambda: patient.begun)
        for verb in ("pause", "go-on", "cancel"):
            refused = await noor.browser.send(f"/works/{final}/{verb}", {}, page="/settings/cloak")
            assert refused.status_code == 404, verb
        assert len(children()) == 1
        sent = await mira.browser.send(f"/works/{final}/cancel", {}, page=f"/@mira/{final}")
        assert sent.headers["location"] == f"/compose/{final}"
        assert children() == set()
        assert list(world.instance.unfinished.iterdir()) == []
        assert "cloak" not in {kind for kind, _ in await world.instance.storage.read(all_jobs)}
        assert (await work_of(world.instance, final)).state == WorkState.DRAFT
        shown = (await mira.browser.get(f"/compose/{final}")).text
        assert "my words" in shown
        assert "Go on cloaking" in shown
        again = await mira.browser.send(f"/works/{final}/cancel", {}, page="/settings/cloak")
        assert again.status_code == 422
        await press(mira, f"/compose/{final}", "go-on")
        await until(lambda: len(patient.begun) == 2)
        await press(mira, f"/compose/{final}", "pause")
        assert children() == set()
        patient.say("go")
        last = await published(mira, f"/compose/{final}")
        await is_out(world.instance, last)
        for image_id in (first, second):
            assert (await picture_of(world.instance, image_id)).state == ImageState.READY


@pytest.mark.anyio
async def test_what_was_begun_outlives_a_kill_but_not_another_choice_and_not_its_picture(
    tmp_path: Path, patient: Patient
) -> None:
    data = tmp_path / "data"
    async with a_world(data, **PATIENT) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page, (image_id,) = await draft_with(mira, a_jpeg(101))
        await until(lambda: patient.begun)
    folder = data / "unfinished" / f"cloak-{image_id}"
    (folder / "half").touch()
    (data / "unfinished" / "cloak-12345").mkdir()
    (data / "unfinished" / "upload-1").touch()
    async with a_world(data, **PATIENT) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        await until(lambda: len(patient.begun) == 2)
        assert (folder / "half").exists()
        assert [path.name for path in (data / "unfinished").iterdir()] == [f"cloak-{image_id}"]
        await press(mira, page, "save", **{f"cloak-{image_id}": "light"})
        await until(lambda: len(patient.begun) == 3)
        assert folder.exists()
        assert not (folder / "half").exists(), "half a standard cloak is no beginning of a light one"
        await press(mira, page, f"remove-{image_id}")
        assert children() == set()
        await until(lambda: not folder.exists())


@pytest.mark.anyio
async def test_times_of_pictures_that_were_gone_on_with_teach_nothing(tmp_path: Path, patient: Patient) -> None:
    patient.say("go")
    async with a_world(tmp_path / "data", jobs=False, **PATIENT) as world:
        media = await world.upload(a_jpeg())
        folder = world.instance.scratch(int(media["id"]))
        folder.mkdir()
        (folder / "made-for").write_text(f"{NAME} standard ")
        before = await world.instance.storage.read(all_times)
        await KINDS["cloak"].act(world.instance, {"image_id": int(media["id"])})
        assert (await picture_of(world.instance, int(media["id"]))).state == ImageState.READY
        assert await world.instance.storage.read(all_times) == before == {}


@pytest.mark.anyio
async def test_the_process_gets_the_memory_that_the_settings_say(tmp_path: Path) -> None:
    original = tmp_path / "large"
    Image.new("RGB", (4000, 3000), "teal").save(original, "PNG", compress_level=1)
    out = tmp_path / "out"
    out.mkdir()

    async def rendered(memory_mb: int) -> RenderResult:
        return await render(RenderRequest(original, "work", False, b"", "", "", out, memory_mb=memory_mb), lambda _: None)

    with pytest.raises(BadPicture, match="more memory"):
        await rendered(100)
    assert (await rendered(1024)).width > 3000
