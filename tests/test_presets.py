"""One test for each preset: its row, walked over HTTP from the composer to what other servers are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fediart.domain.origin import Level
from fediart.domain.policy import Preset
from tests.far_server import follow, settled
from tests.judged import a_file, adopt, becomes, drafted, press, words_of
from tests.people import Person, people_of
from tests.scene import Scene, a_scene

pytestmark = pytest.mark.anyio

AI_LABEL = {"type": "Label", "href": "https://far.example/labels/ai-generated", "name": "Made with AI"}
HASHTAG = {"type": "Hashtag", "href": "https://far.example/tags/aiart", "name": "#aiart"}
AS_ACTIVITY = {"accept": "application/activity+json"}


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


async def _composer(mira: Person) -> str:
    page = (await mira.browser.send("/compose")).headers["location"]
    return words_of(await mira.browser.get(page))


async def _publishes(scene: Scene, mira: Person, level: Level) -> tuple[int, str, list[str]]:
    """(status, what a stranger then reads, the labels that other servers are told) of an upload with such a file."""
    page, _ = await drafted(mira, a_file(level, seed=len(level)))
    sent = await press(mira, page)
    if sent.status_code != 303:
        return sent.status_code, words_of(sent), []
    work_id = int(sent.headers["location"].rpartition("/")[2])
    if (await scene.world.stranger.get(f"/@mira/{work_id}")).status_code == 404:
        await settled(scene.world)
    public = await scene.world.stranger.get(f"/@mira/{work_id}")
    if public.status_code == 404:
        return 404, words_of(await mira.browser.get(f"/@mira/{work_id}")), []
    await becomes(scene.world.instance, work_id, "published")
    document = (await scene.world.stranger.get(f"/users/mira/statuses/{work_id}", headers=AS_ACTIVITY)).json()
    return 200, words_of(public), [tag["name"] for tag in document["tag"] if tag["type"] == "Label"]


async def _arrives(scene: Scene, noor: Person, *tags: dict[str, str]) -> tuple[bool, bool, str]:
    """(is it in a follower's home, in a list that noor reads, the line under it) of a post of ana's with these tags."""
    note = scene.ana.note(tag=[*tags, {"type": "Hashtag", "href": "https://far.example/tags/oil", "name": "#oil"}])
    await scene.heard(scene.ana, scene.ana.create(note))
    entries = (await scene.world.client.get("/api/v1/timelines/home")).json()
    home = [entry for entry in entries if entry["uri"] == note["id"]]
    public = (await noor.api.get("/api/v1/timelines/tag/oil", params={"limit": 40})).json()
    label = home[0]["fediart"]["label"]["text"] if home and home[0]["fediart"].get("label") else ""
    return bool(home), any(entry["uri"] == note["id"] for entry in public), label


async def _nodeinfo(scene: Scene) -> str:
    found: str = (await scene.world.stranger.get("/nodeinfo/2.1")).json()["metadata"]["aiPolicy"]["preset"]
    return found


async def _statement(scene: Scene) -> str:
    return words_of(await scene.world.stranger.get("/ai-policy"))


async def test_human_art(scene: Scene) -> None:
    async with people_of(scene.world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        await follow(scene.world, scene.ana)
        assert "This server shows art made by people" in await _composer(mira)
        status, told, _ = await _publishes(scene, mira, Level.DECLARED)
        assert (status, "ask a moderator" in told) == (422, True)
        status, told, _ = await _publishes(scene, mira, Level.GENERATOR)
        assert (status, "A moderator looks at it first" in told) == (404, True)
        status, told, _ = await _publishes(scene, mira, Level.ASSISTED)
        assert (status, "Please say how it was made" in told) == (422, True)
        status, told, labels = await _publishes(scene, mira, Level.HINT)
        assert (status, "Made with AI" in told, labels) == (200, False, [])
        in_home, in_public, label = await _arrives(scene, noor, AI_LABEL)
        assert (in_home, in_public) == (True, False)
        assert "Made with AI" in label or "made with AI" in label
        in_home, in_public, label = await _arrives(scene, noor, HASHTAG)
        assert (in_home, in_public, "#aiart" in label) == (True, True, True)
        assert await _nodeinfo(scene) == "human-art"
        assert "made by people" in await _statement(scene)


async def test_label_only(scene: Scene) -> None:
    async with people_of(scene.world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        await follow(scene.world, scene.ana)
        await adopt(scene.world.instance, Preset.LABEL_ONLY)
        assert "It will carry the label “Made with AI”" in await _composer(mira)
        for level, words in (
            (Level.DECLARED, "Made with AI"),
            (Level.GENERATOR, "Made with AI"),
            (Level.ASSISTED, "Parts made with AI"),
        ):
            status, told, labels = await _publishes(scene, mira, level)
            assert (status, words in told, labels) == (200, True, [words]), level
        assert (await _publishes(scene, mira, Level.HINT))[2] == []
        in_home, in_public, label = await _arrives(scene, noor, AI_LABEL)
        assert (in_home, in_public, "ade with AI" in label) == (True, True, True)
        in_home, in_public, label = await _arrives(scene, noor, HASHTAG)
        assert (in_home, in_public, "#aiart" in label) == (True, True, True)
        assert await _nodeinfo(scene) == "label-only"
        assert "label" in await _statement(scene)


async def test_open(scene: Scene) -> None:
    async with people_of(scene.world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        await follow(scene.world, scene.ana)
        await adopt(scene.world.instance, Preset.OPEN)
        assert "This server shows art made by people" not in await _composer(mira)
        status, told, labels = await _publishes(scene, mira, Level.DECLARED)
        assert (status, "Made with AI" in told, labels) == (200, True, ["Made with AI"])
        for level in (Level.GENERATOR, Level.ASSISTED, Level.HINT):
            status, told, labels = await _publishes(scene, mira, level)
            assert (status, "ade with AI" in told, labels) == (200, False, []), level
        in_home, in_public, label = await _arrives(scene, noor, AI_LABEL)
        assert (in_home, in_public, "ade with AI" in label) == (True, True, True)
        in_home, in_public, label = await _arrives(scene, noor, HASHTAG)
        assert (in_home, in_public, label) == (True, True, "")
        assert await _nodeinfo(scene) == "open"
        signed = await (await people.browser()).sign_in("noor")
        assert "/settings/rights/first" in signed.headers["location"], "each artist is asked"
