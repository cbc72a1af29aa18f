"""The policy at the moment of publishing: allowed, labelled, asked, held, refused. Nothing leaves before it may."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from fediart.domain.images import is_secret_name
from fediart.domain.origin import Level
from fediart.domain.policy import Preset
from fediart.domain.works import WorkState
from fediart.storage import tables
from tests.commands import run_commands
from tests.far_server import a_far_server, artist_uri, settled
from tests.judged import (
    a_file,
    a_moderator,
    adopt,
    becomes,
    decide,
    drafted,
    pictures_ready,
    press,
    said_to_others,
    sent_out,
    waiting,
    words_of,
    work_of,
)
from tests.people import people_of
from tests.servers import Keeper, running, wait_for
from tests.test_kill import rows
from tests.waiting import until
from tests.world import a_world

LEVELS = (Level.DECLARED, Level.GENERATOR, Level.ASSISTED, Level.HINT)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("preset", "row"),
    [
        (Preset.HUMAN_ART, "reject hold ask allow"),
        (Preset.LABEL_ONLY, "label label label allow"),
        (Preset.OPEN, "label allow allow allow"),
    ],
)
async def test_what_a_file_says_is_acted_on_by_each_presets_row(tmp_path: Path, preset: Preset, row: str) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        await adopt(world.instance, preset)
        mira = await people.person("mira")
        for number, (level, action) in enumerate(zip(LEVELS, row.split(), strict=True)):
            page, _ = await drafted(mira, a_file(level, number))
            sent = await press(mira, page)
            told = words_of(sent)
            if action in ("reject", "ask"):
                assert sent.status_code == 422
                assert "nothing is lost" in told
                assert "The IPTC field “Digital Source Type” of this file says" in told
                assert ("ask a moderator" in told) == (action == "reject")
                assert "my words" in sent.text
                continue
            work_id = int(sent.headers["location"].rpartition("/")[2])
            if action == "hold":
                assert (await work_of(world.instance, work_id)).state == WorkState.HELD
                shown = words_of(await mira.browser.get(f"/@mira/{work_id}"))
                assert "A moderator looks at it first. The text field “parameters” holds settings of" in shown
                continue
            work = await becomes(world.instance, work_id, "published")
            label = {Level.DECLARED: "ai-generated", Level.GENERATOR: "ai-generated", Level.ASSISTED: "ai-assisted"}
            assert work.self_label == (label[level] if action == "label" else "")
            public = words_of(await world.stranger.get(f"/@mira/{work_id}"))
            assert ("Made with AI" in public or "Parts made with AI" in public) == (action == "label")
            assert "Its artist says" not in public, "she said nothing"
            asked = await world.stranger.get(f"/@mira/{work_id}", headers={"accept": "application/activity+json"})
            labels = [tag["href"].rpartition("/")[2] for tag in asked.json()["tag"] if tag["type"] == "Label"]
            assert labels == ([label[level]] if action == "label" else []), "what other servers are told"


@pytest.mark.anyio
async def test_a_question_is_answered_by_saying_how_it_was_made(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page, _ = await drafted(mira, a_file(Level.ASSISTED), a_file(None))
        asked = await press(mira, page)
        assert asked.status_code == 422
        assert "0.png: The IPTC field" in words_of(asked), "which of the pictures it is"
        assert "Please say how it was made, then publish again." in words_of(asked)
        sent = await press(mira, page, declaration="digital")
        work = await becomes(world.instance, int(sent.headers["location"].rpartition("/")[2]), "published")
        assert (work.declaration, work.self_label) == ("digital", "")


@pytest.mark.anyio
async def test_nothing_of_a_held_work_leaves_and_all_of_it_once_it_is_cleared(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people, a_far_server() as far:
        instance, mira, noor = world.instance, await people.person("mira"), await people.person("noor")
        mod = await a_moderator(people, "vera")
        ana = far.actor("ana")
        assert (await ana.says(world, ana.activity("Follow", artist_uri(world)))).status_code == 202
        await until(lambda: far.received("Accept"))
        assert await settled(world) == []
        before = await said_to_others(instance)
        page, ids = await drafted(mira, a_file(Level.GENERATOR))
        work_id = int((await press(mira, page)).headers["location"].rpartition("/")[2])
        await pictures_ready(instance, ids)
        assert await settled(world) == []
        assert await said_to_others(instance) == before
        names = [path.relative_to(instance.data / "media").as_posix() for path in (instance.data / "media").rglob("*.*")]
        assert names
        assert all(is_secret_name(name) for name in names)
        for client in (world.stranger, noor.browser.http):
            for path in (f"/@mira/{work_id}", f"/works/{work_id}", f"/admin/review/{(await waiting(instance))[0].id}"):
                assert (await client.get(path)).status_code in (303, 401, 404), path
            for path in ("/", "/@mira", "/@mira/feed.atom", "/api/v1/timelines/public", "/users/mira/outbox?page=true"):
                assert str(work_id) not in (await client.get(path)).text, path
        asked = await world.stranger.get(f"/users/mira/statuses/{work_id}", headers={"accept": "application/activity+json"})
        assert asked.status_code == 404
        shown = (await mira.api.get(f"/api/v1/statuses/{work_id}")).json()
        assert shown["fediart"]["state"] == "held"
        assert (await noor.api.get(f"/api/v1/statuses/{work_id}")).status_code == 404
        assert "waits for a moderator" in (await mira.browser.get("/drafts")).text
        assert far.received("Create") == []
        await decide(mod, (await waiting(instance))[0].id, "clear")
        await becomes(instance, work_id, "published")
        assert (await until(lambda: far.received("Create")))[0]["object"]["id"].endswith(str(work_id))
        assert (await world.stranger.get(f"/@mira/{work_id}")).status_code == 200


@pytest.mark.anyio
async def test_a_held_work_can_be_taken_back_and_is_held_again_when_it_is_published_again(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        work_id = await sent_out(mira, a_file(Level.GENERATOR))
        shown = f"/@mira/{work_id}"
        taken = await mira.browser.send(f"/works/{work_id}/take-back", page=shown)
        assert taken.headers["location"] == f"/compose/{work_id}"
        assert await waiting(world.instance) == []
        assert (await mira.browser.get("/decisions")).text.count('class="card"') == 0
        again = await press(mira, f"/compose/{work_id}")
        (review,) = await waiting(world.instance)
        assert review.work_id == int(again.headers["location"].rpartition("/")[2]) != work_id
        assert (await mira.browser.send(f"/works/{review.work_id}/delete", page="/search")).status_code == 303
        assert await waiting(world.instance) == []


@pytest.mark.anyio
async def test_a_waiting_work_is_judged_once_more_by_the_policy_of_the_moment_it_would_go_out(tmp_path: Path) -> None:
    """Meanwhile the policy became stricter; and one picture is of a time when files were not read."""
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        await adopt(world.instance, Preset.OPEN)
        mira = await people.person("mira")
        made = {level: await sent_out(mira, a_file(level, 3)) for level in (Level.GENERATOR, Level.DECLARED, None)}
        assert {(await work_of(world.instance, work_id)).state for work_id in made.values()} == {WorkState.WAITING}

        def forget(db: Connection) -> None:
            db.execute(update(tables.images).values(origin=None))

        await world.instance.storage.write(forget)
        await adopt(world.instance, Preset.HUMAN_ART)
        before = await said_to_others(world.instance)
    async with a_world(tmp_path) as world:
        await becomes(world.instance, made[None], "published")
        await becomes(world.instance, made[Level.GENERATOR], "held")
        back = await becomes(world.instance, made[Level.DECLARED], "draft")
        assert back.problem.startswith("Not published, and nothing is lost. The IPTC field")
        assert (await said_to_others(world.instance))[0] == before[0] + 1, "of the one that may be shown"


@pytest.mark.anyio
async def test_a_work_whose_file_cannot_be_read_now_does_not_go_out(tmp_path: Path) -> None:
    """Cloaked, and its origin unknown: without its original nobody can say."""
    from fediart.studio.hold_work import keep_back

    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        work_id = await sent_out(await people.person("mira"), a_file(None))

        def forget(db: Connection) -> None:
            db.execute(update(tables.images).values(origin=None))

        await world.instance.storage.write(forget)
        assert await world.instance.storage.write(keep_back, world.instance.policy, work_id, world.instance.clock())
        assert (await work_of(world.instance, work_id)).state == WorkState.WAITING


@pytest.mark.anyio
async def test_what_is_hidden_in_the_pixels_is_found_before_it_goes_out(tmp_path: Path) -> None:
    """The quick look at upload does not decode; the process that prepares the picture does."""
    from tests.origin_samples import stealthy

    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page, _ = await drafted(mira, stealthy("PNG"))
        work_id = int((await press(mira, page)).headers["location"].rpartition("/")[2])
        work = await becomes(world.instance, work_id, "held")
        assert work.published_at
        assert "hides settings of an image generator" in (await waiting(world.instance))[0].evidence


@pytest.mark.anyio
async def test_a_client_program_hears_why_and_can_send_the_same_pictures_again(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world:
        media = (await world.upload(a_file(Level.DECLARED)))["id"]
        refused = await world.client.post("/api/v1/statuses", json={"status": "so", "media_ids": [media]})
        assert refused.status_code == 422
        assert refused.json()["error"].startswith("Not published, and nothing is lost. The IPTC field")
        await adopt(world.instance, Preset.OPEN)
        sent = await world.client.post("/api/v1/statuses", json={"status": "so", "media_ids": [media]})
        assert sent.status_code == 200
        await adopt(world.instance, Preset.HUMAN_ART)
        held = (await world.upload(a_file(Level.GENERATOR)))["id"]
        answer = await world.client.post("/api/v1/statuses", json={"status": "so", "media_ids": [held]})
        assert (answer.status_code, answer.json()["fediart"]["state"]) == (200, "held")


@pytest.mark.of_the_file
def test_a_held_work_stays_held_over_a_kill_and_a_cleared_one_goes_out_once(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "ours")
    with running(keeper):
        held = keeper.post("so", keeper.upload(a_file(Level.GENERATOR)))
        assert held["fediart"]["state"] == "held"
        keeper.kill_and_start()
        wait_for("the picture", lambda: keeper.ask("GET", f"/api/v1/statuses/{held['id']}")["media_attachments"][0]["url"])
        assert keeper.ask("GET", f"/api/v1/statuses/{held['id']}")["fediart"]["state"] == "held"
        (review_id,) = rows(keeper, "SELECT id FROM reviews")
        assert keeper.server is not None
        keeper.server.kill()
        settings = ("--data", str(keeper.side.data), "--config", str(keeper.side.data / "config.toml"))
        (done,) = run_commands([("reviews", "decide", str(review_id), "clear", *settings)])
        assert done.status == 0, done.told
        keeper.start()
        wait_for("it is out", lambda: not keeper.ask("GET", f"/api/v1/statuses/{held['id']}")["fediart"])
        public = keeper.ask("GET", "/api/v1/timelines/public")
        assert [item["id"] for item in public] == [held["id"]]
