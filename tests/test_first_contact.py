"""The first words of an actor whom this server has never met: all are believed, its server is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.far_server import artist_uri, settled
from tests.scene import Scene, a_scene

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


async def test_twenty_first_notes_at_once_are_all_taken_with_one_key_fetch(scene: Scene) -> None:
    said = [scene.ana.create(scene.ana.note(f"<p>{number}</p>", cc=[artist_uri(scene.world)])) for number in range(20)]
    answers = await asyncio.gather(*(scene.ana.says(scene.world, activity) for activity in said))
    assert [answer.status_code for answer in answers] == [202] * 20
    assert scene.far.times_asked("/users/ana") <= 2
    await settled(scene.world)
    found = (await scene.world.client.get("/api/v1/accounts/lookup", params={"acct": scene.ana.acct})).json()
    shown = (await scene.world.client.get(f"/api/v1/accounts/{found['id']}/statuses", params={"limit": 40})).json()
    assert len(shown) == 20


async def test_a_forged_first_word_does_not_shut_out_the_real_one(scene: Scene) -> None:
    """Otherwise anybody could silence an artist here for ten minutes by a bad signature in their name."""
    posted = await scene.post()
    forged = await scene.eve.says(scene.world, scene.ana.activity("Like", posted["uri"]), key_id=scene.ana.key_id)
    assert forged.status_code == 401
    await scene.heard(scene.ana, scene.ana.activity("Like", posted["uri"]))
    assert (await scene.work(posted["id"]))["favourites_count"] == 1


async def test_a_forgery_among_true_words_is_refused_alone(scene: Scene) -> None:
    posted = await scene.post()
    forger = replace(scene.ana, number=scene.eve.number)
    speakers = [forger if number % 3 == 0 else scene.ana for number in range(12)]
    said = [scene.ana.activity("Like", posted["uri"]) for _ in speakers]
    answers = await asyncio.gather(*(who.says(scene.world, what) for who, what in zip(speakers, said, strict=True)))
    assert [answer.status_code for answer in answers] == [401 if who is forger else 202 for who in speakers]
    assert scene.far.times_asked("/users/ana") <= 2


async def test_a_server_that_was_down_for_a_moment_is_not_shut_out_for_long(scene: Scene) -> None:
    """Its sender tries again; ten minutes later at the latest it is heard."""
    scene.far.serve("/users/ana", {}, status=503)
    posted = await scene.post()
    assert (await scene.ana.says(scene.world, scene.ana.activity("Like", posted["uri"]))).status_code == 401
    scene.ana.shows()
    assert (await scene.ana.says(scene.world, scene.ana.activity("Like", posted["uri"]))).status_code == 401
    scene.world.instance.clock = lambda real=scene.world.instance.clock: real() + 601_000  # type: ignore[misc]
    await scene.heard(scene.ana, scene.ana.activity("Like", posted["uri"]), at=scene.world.instance.clock())
    assert (await scene.work(posted["id"]))["favourites_count"] == 1
