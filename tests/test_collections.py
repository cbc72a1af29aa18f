"""Collections: the answers to a work, its conversation, the followers that one host has here; each only for whom it is for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fediart.activitypub.vocabulary import AS_PUBLIC
from tests.far_server import FarActor, artist_uri, find
from tests.scene import Scene, a_scene
from tests.test_discovery import ask, document

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


async def items(scene: Scene, uri: str) -> list[str]:
    """All of a collection, page by page; that it counts as many."""
    whole = await document(scene.world, uri)
    assert whole["id"] == uri
    found: list[str] = []
    page_uri: str | None = whole["first"]
    while page_uri is not None:
        page = await document(scene.world, page_uri)
        assert (page["id"], page["partOf"]) == (page_uri, uri)
        on_page = page["orderedItems" if whole["type"] == "OrderedCollection" else "items"]
        assert 0 < len(on_page) <= 20 or not found
        found += on_page
        page_uri = page.get("next")
    assert whole["totalItems"] == len(found) == len(set(found))
    return found


async def answer(scene: Scene, actor: FarActor, of: str, **more: Any) -> str:
    """Told and kept. Returns its id."""
    note = actor.note("<p>well</p>", inReplyTo=of, **more)
    await scene.heard(actor, actor.create(note))
    uri: str = note["id"]
    return uri


async def test_answers_and_conversation_are_told_page_by_page_with_totals(scene: Scene) -> None:
    work = await scene.post()
    uri = work["uri"]
    shown = await document(scene.world, uri)
    assert shown["context"] == uri + "/context"
    assert await items(scene, uri + "/context") == [uri]
    assert await items(scene, uri + "/replies") == []
    direct = [await answer(scene, (scene.ana, scene.eve)[number % 2], uri) for number in range(21)]
    mine = await scene.post("thank you", in_reply_to_id=work["id"])
    below = await answer(scene, scene.bo, direct[3])
    assert await items(scene, uri + "/replies") == [*direct, mine["uri"]]
    assert await items(scene, mine["uri"] + "/replies") == []
    assert await items(scene, uri + "/context") == [uri, *direct, mine["uri"], below]
    shown = await document(scene.world, uri)
    served = await document(scene.world, shown["replies"]["id"])
    assert {name: value for name, value in served.items() if name != "@context"} == shown["replies"]
    assert shown["replies"]["totalItems"] == 22
    assert (await document(scene.world, mine["uri"]))["context"] == uri + "/context", "an answer belongs to where it began"
    assert (await ask(scene.world, mine["uri"] + "/context")).status_code == 404
    for junk in ("min_id=x", "min_id=-1", "min_id=99999999999999999999"):
        for name in ("replies", "context"):
            assert (await ask(scene.world, f"{uri}/{name}?page=true&{junk}")).status_code == 200


async def test_what_is_not_for_everybody_is_in_no_collection(scene: Scene) -> None:
    """Nor what answers it; nor who is blocked by whom they answer. Of a work that is not open there are none at all."""
    work = await scene.post()
    uri = work["uri"]
    hidden = await answer(scene, scene.ana, uri, to=[artist_uri(scene.world)], cc=[])
    await answer(scene, scene.eve, hidden)
    kept = await answer(scene, scene.bo, uri)
    later_blocked = await answer(scene, scene.eve, uri)
    assert await items(scene, uri + "/replies") == [kept, later_blocked]
    await scene.world.client.post(f"/api/v1/accounts/{await find(scene.world, scene.eve)}/block")
    assert await items(scene, uri + "/replies") == [kept]
    assert await items(scene, uri + "/context") == [uri, kept]
    private = await scene.post("for few", visibility="private")
    for name in ("replies", "context", "likes", "shares", "quotes/1"):
        assert (await ask(scene.world, f"{private['uri']}/{name}")).status_code == 404
    answered = await scene.post("to few", in_reply_to_id=private["id"])
    assert "context" not in await document(scene.world, answered["uri"])
    # A conversation that began elsewhere is told of by whoever owns it.
    note = scene.ana.note("<p>hello</p>", to=[AS_PUBLIC, artist_uri(scene.world)], tag=[])
    await scene.heard(scene.ana, scene.ana.create(note))
    found = await scene.world.client.get("/api/v2/search", params={"q": note["id"], "type": "statuses", "resolve": "true"})
    reply = await scene.post("hello back", in_reply_to_id=found.json()["statuses"][0]["id"])
    assert "context" not in await document(scene.world, reply["uri"])
