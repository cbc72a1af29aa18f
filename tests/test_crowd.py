"""A post that many servers and people ask for at once: each costs a few statements, all hear the same, and caches may keep it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from tests.far_server import AP, artist_uri
from tests.people import people_of
from tests.scene import a_scene

pytestmark = [pytest.mark.anyio, pytest.mark.row(30)]

MANY = 200
MOST_STATEMENTS = {"document": 12, "activity": 12, "actor": 6, "webfinger": 5, "api": 12, "page": 16}
"""Of one answer, however many like or answer the work. Nothing is kept in memory: who is blocked, what was edited or deleted
counts from the next request on; whoever puts a cache before the server may keep documents for a minute."""


async def test_a_crowd_costs_few_statements_each_and_hears_the_same(prepared: Path, tmp_path: Path) -> None:
    async with a_scene(prepared, tmp_path, **{"log.slow_request_ms": 0}) as scene, people_of(scene.world.instance) as people:
        world = scene.world
        for actor in (scene.ana, scene.bo, scene.eve):
            await scene.heard(actor, actor.activity("Follow", artist_uri(world)))
        work = await scene.post(f"an evening #oil for @{scene.bo.acct}")
        for actor in (scene.ana, scene.bo):
            await scene.heard(actor, actor.activity("Like", work["uri"]))
            await scene.heard(actor, actor.create(actor.note("<p>calm</p>", inReplyTo=work["uri"])))
        stranger = await people.client()
        asked = {
            "document": (work["uri"], AP),
            "activity": (f"{work['uri']}/activity", AP),
            "actor": (artist_uri(world), AP),
            "webfinger": ("/.well-known/webfinger?resource=acct:mira@localhost:8000", "*/*"),
            "api": (f"/api/v1/statuses/{work['id']}", "application/json"),
            "page": (f"/@mira/{work['id']}", "text/html"),
        }
        most: dict[str, int] = {}
        for name, (path, accept) in asked.items():
            with structlog.testing.capture_logs() as told:
                answers = await asyncio.gather(*(stranger.get(path, headers={"accept": accept}) for _ in range(MANY)))
            assert {answer.status_code for answer in answers} == {200}, name
            if name != "page":  # a page has a form of its own for each browser
                assert len({answer.content for answer in answers}) == 1, name
            statements = [line["statements"] for line in told if line["event"] == "request.slow"]
            assert len(statements) == MANY, name
            most[name] = max(statements)
            if accept == AP:
                assert {answer.headers["cache-control"] for answer in answers} == {"public, max-age=60"}
                assert {answer.headers["vary"] for answer in answers} == {"Accept, Signature"}
        assert {name: count for name, count in most.items() if count > MOST_STATEMENTS[name]} == {}
        assert [asked for asked in scene.far.asked if asked.method == "GET" and "/users/" not in asked.target] == []
