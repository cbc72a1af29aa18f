"""Where keeping people away and reviewing works meet: reports in the queue, and who is suspended or blocked in the meantime."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fediart.domain import signals
from fediart.domain.moderation import Report, Standing
from fediart.domain.origin import Level
from fediart.office.judge_actor import judge_actor
from fediart.storage import reports, works
from tests.far_server import settled
from tests.judged import a_file, a_moderator, becomes, decide, press, sent_out, waiting, words_of, work_of
from tests.people import Person, people_of
from tests.scene import Scene, a_scene

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class House:
    """Mira and noor are artists here, vera and omar moderators."""

    scene: Scene
    mira: Person
    noor: Person
    vera: Person
    omar: Person

    async def open_reports(self) -> int:
        return await self.scene.world.instance.storage.read(reports.count_open)

    async def judge(self, who: Person, standing: Standing) -> None:
        await judge_actor(self.scene.world.instance, who.account.actor_id, standing, by=None, reason="")


@pytest.fixture
async def house(prepared: Path, tmp_path: Path) -> AsyncIterator[House]:
    async with contextlib.AsyncExitStack() as stack:
        scene = await stack.enter_async_context(a_scene(prepared, tmp_path))
        people = await stack.enter_async_context(people_of(scene.world.instance))
        mira, noor = await people.person("mira"), await people.person("noor")
        yield House(scene, mira, noor, await a_moderator(people, "vera"), await a_moderator(people, "omar"))


async def test_reports_by_the_page_and_by_another_server_wait_for_moderators_and_a_decision_closes_them(house: House) -> None:
    scene, mira, noor, vera = house.scene, house.mira, house.noor, house.vera
    work_id = await sent_out(noor, a_file(None))
    work = await becomes(scene.world.instance, work_id, "published")
    path = f"/report/{noor.account.actor_id}?work={work_id}"
    await mira.browser.send(path, {"category": "ai-made", "comment": "six fingers"}, page=path)
    await scene.heard(scene.ana, scene.ana.activity("Flag", [work.uri], content="seen from far"))
    await mira.browser.send(path.partition("?")[0], {"category": "spam", "comment": "too often"}, page=path)
    assert "3 wait for a moderator" in words_of(await vera.browser.get("/admin"))
    queue = words_of(await vera.browser.get("/admin/review"))
    for words in ("AI-made, and not said to be : six fingers", "Something else : seen from far", "Spam : too often"):
        assert words.replace(" :", ":") in queue.replace(" :", ":"), words
    assert (await noor.browser.get("/admin/review")).status_code == 404
    by_work = [review for review in await waiting(scene.world.instance) if review.work_id == work_id]
    assert len(by_work) == 2
    page = words_of(await vera.browser.get(f"/admin/review/{by_work[0].id}"))
    assert scene.ana.acct in page, "moderators are told who reported"

    await decide(vera, by_work[1].id, "remove", "Not here.")
    assert await house.open_reports() == 1, "one decision on a work answers all that was said of it"
    (about_her,) = await waiting(scene.world.instance)
    assert "This is about a person" in words_of(await vera.browser.get(f"/admin/review/{about_her.id}"))
    assert (await scene.world.stranger.get(f"/@noor/{work_id}")).status_code == 410
    told = words_of(await noor.browser.get(f"/decisions/{by_work[1].id}"))
    assert "Not here." in told
    assert "mira" not in told.lower()
    await decide(vera, about_her.id, "clear")
    assert await house.open_reports() == 0
    (closed,) = [held for held in await _reports(house, "closed") if held.category == "spam"]
    assert closed.closed_by == vera.account.id
    assert "nothing waits for a moderator" in words_of(await vera.browser.get("/admin"))
    await mira.browser.send(path.partition("?")[0], {"category": "spam", "comment": "too often"}, page="/search")
    assert await house.open_reports() == 1, "what was decided may be reported again"


async def _reports(house: House, state: str) -> list[Report]:
    return await house.scene.world.instance.storage.read(reports.reports_in, state)


async def test_a_held_work_is_not_to_be_reported_nor_flagged_nor_answered(house: House) -> None:
    scene, mira, noor = house.scene, house.mira, house.noor
    held = await sent_out(noor, a_file(Level.GENERATOR))
    work = await work_of(scene.world.instance, held)
    assert work.state == "held"
    said = {"account_id": str(noor.account.actor_id), "status_ids": [str(held)], "comment": "x"}
    assert (await mira.api.post("/api/v1/reports", json=said)).json()["status_ids"] == []
    await scene.heard(scene.ana, scene.ana.activity("Flag", [noor_uri(house), work.uri], content="y"))
    for report in await _reports(house, "open"):
        assert await scene.world.instance.storage.read(reports.works_of_report, report.id) == []
    assert (await mira.api.post("/api/v1/statuses", data={"status": "z", "in_reply_to_id": str(held)})).status_code == 404
    for path in (f"/@noor/{held}", f"/works/{held}", f"/api/v1/statuses/{held}"):
        for client in (mira.browser.http, mira.api, house.vera.browser.http):
            assert (await client.get(path)).status_code in (401, 404), path


def noor_uri(house: House) -> str:
    return house.scene.world.instance.identifiers.actor_uri("noor")


async def test_of_whom_is_suspended_no_rights_are_stated_and_nothing_new_is_said_of_their_works(house: House) -> None:
    scene, noor, stranger = house.scene, house.noor, house.scene.world.stranger
    await scene.heard(scene.ana, scene.ana.activity("Follow", noor_uri(house)))
    work_id = await sent_out(noor, a_file(None))
    await becomes(scene.world.instance, work_id, "published")
    chosen = {"reserve": "own", "training": "1", "ai_input": "1", "search": "1", "licence": "cc-by", "tell_cloaked": "1"}
    await noor.browser.send("/settings/rights", chosen, page="/settings/rights")
    path = f"/report/{noor.account.actor_id}?work={work_id}"
    await house.mira.browser.send(path, {"category": "ai-made"}, page=path)
    await house.vera.browser.get("/admin/review")
    (review,) = await waiting(scene.world.instance)
    assert await settled(scene.world) == []
    statements = (signals.TDM_RULES, signals.RSL)
    assert ["/@noor" in (await stranger.get(at)).text for at in statements] == [True, True]
    assert (await stranger.get("/@noor/rights")).status_code == 200
    await house.judge(noor, Standing.SUSPENDED)
    assert ["/@noor" in (await stranger.get(at)).text for at in statements] == [False, False]
    assert (await stranger.get("/@noor/rights")).status_code == 404
    updates = len(scene.far.received("Update"))
    await decide(house.vera, review.id, "label")
    assert (await work_of(scene.world.instance, work_id)).self_label == "ai-generated"
    assert await settled(scene.world) == []
    assert len(scene.far.received("Update")) == updates
    assert updates > 0, "of her choice others heard"


async def test_an_artists_rights_are_not_for_whom_she_blocks(house: House) -> None:
    assert (await house.noor.browser.get("/@mira/rights")).status_code == 200
    await house.mira.api.post(f"/api/v1/accounts/{house.noor.account.actor_id}/block")
    assert (await house.noor.browser.get("/@mira/rights")).status_code == 404
    assert (await house.scene.world.stranger.get("/@mira/rights")).status_code == 200


async def test_a_held_work_of_whom_is_suspended_meanwhile_does_not_go_out(house: House) -> None:
    scene, noor = house.scene, house.noor
    work_id = await sent_out(noor, a_file(Level.GENERATOR))
    (review,) = await waiting(scene.world.instance)
    await house.judge(noor, Standing.SUSPENDED)
    await decide(house.vera, review.id, "clear")
    work = await becomes(scene.world.instance, work_id, "draft")
    assert work.problem == "Not published: this account is suspended."


async def test_a_held_reply_does_not_stand_under_the_work_of_who_blocks_its_artist_meanwhile(house: House) -> None:
    scene, mira, noor = house.scene, house.mira, house.noor
    parent = await scene.post("a work of mira's")
    draft = await noor.browser.send(f"/works/{parent['id']}/reply", {"text": ""}, page="/search")
    page = draft.headers["location"]
    assert page.startswith("/compose/"), "an empty reply is a draft"
    upload = [("pictures", ("a.png", a_file(Level.GENERATOR)))]
    await noor.browser.send(page, {"text": "my answer", "action": "add"}, files=upload, page=page)
    sent = await press(noor, page, text="my answer")
    work_id = int(sent.headers["location"].rpartition("/")[2])
    (review,) = await waiting(scene.world.instance)
    await mira.api.post(f"/api/v1/accounts/{noor.account.actor_id}/block")
    await decide(house.vera, review.id, "clear")
    work = await becomes(scene.world.instance, work_id, "draft")
    assert work.problem.startswith("Not published: the artist of the work that it answers")
    assert await scene.notices() == []
    assert (await scene.work(parent["id"]))["replies_count"] == 0
    assert "my answer" in (await noor.browser.get(f"/compose/{work_id}")).text, "nothing is lost"


async def test_a_removed_work_keeps_who_may_answer(house: House) -> None:
    scene, noor = house.scene, house.noor
    work_id = await sent_out(noor, a_file(None), replies="nobody")
    await becomes(scene.world.instance, work_id, "published")
    path = f"/report/{noor.account.actor_id}?work={work_id}"
    await house.mira.browser.send(path, {"category": "violation"}, page=path)
    await house.vera.browser.get("/admin/review")
    (review,) = await waiting(scene.world.instance)
    await decide(house.vera, review.id, "remove")
    (gone,) = await scene.world.instance.storage.read(works.drafts_of, noor.account.actor_id)
    assert gone.work.reply_policy == "nobody"


async def test_a_moderator_who_is_suspended_is_no_other_moderator(house: House) -> None:
    scene = house.scene
    work_id = await sent_out(house.vera, a_file(Level.GENERATOR))
    (review,) = await waiting(scene.world.instance)
    assert (await decide(house.vera, review.id, "clear")).status_code == 403, "omar is there to decide"
    await house.judge(house.omar, Standing.SUSPENDED)
    assert (await house.omar.browser.get("/admin/review")).status_code == 401
    assert (await work_of(scene.world.instance, work_id)).state == "held"
    await decide(house.vera, review.id, "clear")
    await becomes(scene.world.instance, work_id, "published")


async def test_the_server_itself_cannot_be_kept_away_for_its_moderators_speak_in_its_name(house: House) -> None:
    server = house.scene.world.instance.instance_actor.id
    for deed in ("block", "mute"):
        assert (await house.noor.api.post(f"/api/v1/accounts/{server}/{deed}")).status_code == 404
