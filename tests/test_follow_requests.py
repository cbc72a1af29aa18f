"""An artist who decides on each follower: asked, told, answered on pages and by programs, here and elsewhere."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fediart.media.sample import draw_sample
from tests.far_server import FarActor, artist_uri, settled
from tests.people import people_of
from tests.scene import Scene, a_scene
from tests.waiting import until

pytestmark = pytest.mark.anyio
UPDATE = "/api/v1/accounts/update_credentials"
REQUESTS = "/api/v1/follow_requests"


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        changed = (await opened.world.client.patch(UPDATE, data={"locked": "true"})).json()
        assert changed["locked"] is True
        yield opened


async def _asks(scene: Scene, actor: FarActor) -> dict[str, Any]:
    asked = actor.activity("Follow", artist_uri(scene.world))
    await scene.heard(actor, asked)
    return asked


async def _asking(scene: Scene) -> list[str]:
    """Who waits, as the artist's program is told."""
    listed = (await scene.world.client.get(REQUESTS)).json()
    assert (await scene.mira())["source"]["follow_requests_count"] == len(listed)
    return [account["acct"] for account in listed]


async def _id_of(scene: Scene, acct: str) -> str:
    found = [account for account in (await scene.world.client.get(REQUESTS)).json() if account["acct"] == acct]
    return str(found[0]["id"])


async def test_who_asks_is_listed_and_follows_once_accepted_and_not_when_rejected(scene: Scene) -> None:
    client = scene.world.client
    document = await scene.world.stranger.get(artist_uri(scene.world), headers={"accept": "application/activity+json"})
    assert document.json()["manuallyApprovesFollowers"] is True
    asked = {actor.name: await _asks(scene, actor) for actor in (scene.ana, scene.bo, scene.eve)}
    assert await _asking(scene) == [scene.eve.acct, scene.bo.acct, scene.ana.acct], "the newest first"
    page = await client.get(REQUESTS, params={"limit": 2})
    rest = await client.get(page.links["next"]["url"])
    assert [item["acct"] for item in page.json() + rest.json()] == [scene.eve.acct, scene.bo.acct, scene.ana.acct]
    assert {kind for kind, _ in await scene.notices()} == {"follow_request"}
    assert (await scene.mira())["followers_count"] == 0
    assert scene.far.received("Accept") == []
    ana, bo = await _id_of(scene, scene.ana.acct), await _id_of(scene, scene.bo.acct)
    held = (await client.get("/api/v1/accounts/relationships", params={"id[]": ana})).json()[0]
    assert (held["requested_by"], held["followed_by"]) == (True, False)
    held = (await client.post(f"{REQUESTS}/{ana}/authorize")).json()
    assert (held["requested_by"], held["followed_by"]) == (False, True)
    held = (await client.post(f"{REQUESTS}/{bo}/reject")).json()
    assert (held["requested_by"], held["followed_by"]) == (False, False)
    await settled(scene.world)
    (accept,), (reject,) = scene.far.received("Accept"), scene.far.received("Reject")
    for answer, follow in ((accept, asked["ana"]), (reject, asked["bo"])):
        assert answer["object"] == {name: follow[name] for name in ("id", "type", "actor", "object")}
    assert await _asking(scene) == [scene.eve.acct]
    assert sorted(await scene.notices()) == [("follow", scene.ana.acct), ("follow_request", scene.eve.acct)]
    assert (await scene.mira())["followers_count"] == 1
    for nobody in (ana, bo, "1"):
        assert (await client.post(f"{REQUESTS}/{nobody}/authorize")).status_code == 404, "nothing to answer (any more)"
    assert (await scene.mira())["followers_count"] == 1
    quiet = await scene.post("for followers", visibility="private")
    await until(lambda: [c for c in scene.far.received("Create") if c["object"]["id"] == quiet["uri"]])
    await settled(scene.world)
    assert scene.other.received("Create") == [], "who only asked is told nothing"


async def test_who_takes_the_request_back_does_not_wait_any_more(scene: Scene) -> None:
    asked = await _asks(scene, scene.ana)
    await scene.heard(scene.ana, scene.ana.activity("Undo", asked))
    assert await _asking(scene) == []
    assert await scene.notices() == []


async def test_who_opens_the_door_lets_in_those_who_wait(scene: Scene) -> None:
    for actor in (scene.ana, scene.eve):
        await _asks(scene, actor)
    async with people_of(scene.world.instance) as people:
        noor = await people.person("noor")
        mira = (await scene.mira())["id"]
        assert (await noor.api.post(f"/api/v1/accounts/{mira}/follow")).json()["requested"] is True
        work = await scene.post("an evening")
        assert (await noor.api.get("/api/v1/timelines/home")).json() == []
        assert (await scene.world.client.patch(UPDATE, json={"note": "more of me"})).json()["locked"] is True
        assert len(await _asking(scene)) == 3, "what is not named stays as it is"
        assert (await scene.world.client.patch(UPDATE, json={"locked": False})).json()["locked"] is False
        assert await _asking(scene) == []
        assert (await scene.mira())["followers_count"] == 3
        await settled(scene.world)
        assert len(scene.far.received("Accept")) == len(scene.other.received("Accept")) == 1
        assert [item["id"] for item in (await noor.api.get("/api/v1/timelines/home")).json()] == [work["id"]]


async def test_the_same_by_forms_without_a_script(scene: Scene) -> None:
    async with people_of(scene.world.instance) as people:
        mira, noor, sol = [await people.person(name) for name in ("mira", "noor", "sol")]
        page = "/settings/profile"
        box = re.compile(r'<input type="checkbox" name="locked" value="1"( checked)?>')
        for locked in (False, True):
            sent = await mira.browser.send(page, {"name": "Mira", **({"locked": "1"} if locked else {})}, page=page)
            assert sent.status_code == 303
            (checked,) = box.findall((await mira.browser.get(page)).text)
            assert bool(checked) == locked
        for person in (noor, sol):
            await person.browser.send(f"/follow/{mira.account.actor_id}", {"action": "follow"})
            assert "Asked to follow" in (await person.browser.get("/@mira")).text
        await _asks(scene, scene.ana)
        news = (await mira.browser.get("/notifications")).text
        assert "3 ask to follow you" in news
        assert news.count("asks to follow you") == 3
        listed = (await mira.browser.get("/follow-requests")).text
        assert all(f"@{name}" in listed for name in ("noor@localhost:8000", "sol@localhost:8000", scene.ana.acct))
        for person, action in ((noor, "accept"), (sol, "reject")):
            path = f"/follow-requests/{person.account.actor_id}"
            assert (await mira.browser.send(path, {"action": "sing"}, page="/follow-requests")).status_code == 404
            sent = await mira.browser.send(path, {"action": action}, page="/follow-requests")
            assert (sent.status_code, sent.headers["location"]) == (303, "/follow-requests")
        assert "Following" in (await noor.browser.get("/@mira")).text
        assert 'value="follow">Follow<' in (await sol.browser.get("/@mira")).text
        assert await _asking(scene) == [scene.ana.acct]
        assert "1 asks to follow you" in (await mira.browser.get("/notifications")).text
        assert "Nobody waits" in (await noor.browser.get("/follow-requests")).text, "each sees their own"
        assert (await scene.world.stranger.get("/follow-requests")).status_code == 401
        ana = await _id_of(scene, scene.ana.acct)
        stolen = await noor.browser.send(f"/follow-requests/{ana}", {"action": "accept"})
        assert stolen.status_code == 404
        assert await _asking(scene) == [scene.ana.acct]


@pytest.mark.parametrize("how", ["form", "multipart", "json list", "json object"])
async def test_a_program_changes_the_parts_of_a_profile_that_it_names(scene: Scene, how: str) -> None:
    client, pairs = scene.world.client, [("site", "https://mira.example"), ("ink", "black")]
    keyed: list[dict[str, str]] = [dict(zip(("name", "value"), pair, strict=True)) for pair in pairs]
    flat = {f"fields_attributes[{n}][{key}]": text for n, field in enumerate(keyed) for key, text in field.items()}
    said: dict[str, Any] = {"display_name": "Mira M.", "note": "I paint."}
    if how == "form":
        changed = await client.patch(UPDATE, data={**said, **flat})
    elif how == "multipart":
        changed = await client.patch(UPDATE, data={**said, **flat}, files={"avatar": ("a.png", draw_sample(96, 96))})
    else:
        fields: Any = keyed if how == "json list" else {str(n): field for n, field in enumerate(keyed)}
        changed = await client.patch(UPDATE, json={**said, "fields_attributes": fields})
    assert changed.status_code == 200, changed.text
    me = changed.json()
    assert (me["display_name"], me["source"]["note"], me["locked"]) == ("Mira M.", "I paint.", True)
    assert [(field["name"], field["value"]) for field in me["source"]["fields"]] == pairs
    assert '<a href="https://mira.example"' in me["fields"][0]["value"]
    if how == "multipart":
        await until(lambda: _has_avatar(scene))
    for wrong in ({"fields_attributes": "x"}, {"fields_attributes": [1]}, {"display_name": "x" * 101}):
        refused = await client.patch(UPDATE, json=wrong)
        assert (refused.status_code, list(refused.json())) == (422, ["error"])
    not_a_picture = await client.patch(UPDATE, files={"avatar": ("a.png", b"no picture")})
    assert not_a_picture.status_code == 422
    again = await scene.mira()
    assert {name: again[name] for name in ("display_name", "note", "fields")} == {
        name: me[name] for name in ("display_name", "note", "fields")
    }


async def _has_avatar(scene: Scene) -> bool:
    return "/media/" in (await scene.mira())["avatar"]
