"""Moves between addresses: to an artist here, and away from her. Both sides say so, or nobody is sent on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from fediart.activitypub.parsers.actor import parse_actor
from fediart.activitypub.parsers.fields import MAX_ADDRESSES
from fediart.storage import tables
from fediart.studio.move_account import MAX_ALIASES, PAUSE_MS
from tests.commands import run_commands
from tests.far_server import FarActor, artist_uri, follow, settled
from tests.people import PASSWORD, Person, people_of
from tests.scene import Scene, a_scene
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]
AP = {"accept": "application/activity+json"}


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


async def _document(scene: Scene) -> dict[str, Any]:
    found: dict[str, Any] = (await scene.world.stranger.get("/users/mira", headers=AP)).json()
    return found


async def _press(person: Person, action: str, **more: str) -> Any:
    return await person.browser.send("/settings/moving", {"action": action, **more}, page="/settings/moving")


async def _follows(person: Person, target: str) -> bool:
    held = (await person.api.get("/api/v1/accounts/relationships", params={"id": target})).json()[0]
    return bool(held["following"])


async def test_an_artist_here_takes_over_the_followers_of_an_account_that_she_named(scene: Scene) -> None:
    ana, world = scene.ana, scene.world
    async with people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        found = await noor.api.get("/api/v2/search", params={"q": ana.uri, "resolve": "true", "type": "accounts"})
        ana_id = found.json()["accounts"][0]["id"]
        await noor.api.post(f"/api/v1/accounts/{ana_id}/follow")
        (asked,) = await until(lambda: scene.far.received("Follow"))
        await scene.heard(ana, ana.activity("Accept", asked))
        # Without her word nobody can send followers to her.
        await scene.heard(ana, ana.activity("Move", ana.uri, target=artist_uri(world)))
        assert await _follows(noor, ana_id)
        assert (await _document(scene))["alsoKnownAs"] == []
        assert (await _press(mira, "alias", words="@nobody@127.0.0.1:1")).status_code == 502
        assert "very account" in (await _press(mira, "alias", words="mira")).text
        assert (await _press(mira, "alias", words=f"@{ana.acct}")).status_code == 303
        assert ana.acct in (await mira.browser.get("/settings/moving")).text
        assert (await _document(scene))["alsoKnownAs"] == [ana.uri]
        mira_id = str(mira.account.actor_id)
        assert (await noor.api.post("/api/v1/statuses", data={"status": "before"})).status_code == 200
        assert (await mira.api.post("/api/v1/statuses", data={"status": "what mira made"})).status_code == 200
        await scene.heard(ana, ana.activity("Move", ana.uri, target=artist_uri(world)))
        assert await _follows(noor, mira_id)
        assert not await _follows(noor, ana_id)
        assert [undo["object"]["object"] for undo in await until(lambda: scene.far.received("Undo"))] == [ana.uri]
        assert ("follow", "noor") in await scene.notices()
        home = (await noor.api.get("/api/v1/timelines/home")).json()
        assert any("what mira made" in entry["content"] for entry in home)
        moved = (await noor.api.get(f"/api/v1/accounts/{ana_id}")).json()["moved"]
        assert moved["acct"] == "mira"
        assert (await _press(mira, "drop", uri=ana.uri)).status_code == 303
        assert (await _document(scene))["alsoKnownAs"] == []
        for number in range(MAX_ALIASES):
            assert (await _press(mira, "alias", words=scene.far.actor(f"old{number}").uri)).status_code == 303
        full = await _press(mira, "alias", words=scene.bo.uri)
        assert (full.status_code, "At most 10" in full.text) == (422, True)


def _follow_of(actor: FarActor, target: str) -> dict[str, Any]:
    return actor.activity("Follow", target)


async def test_an_artist_moves_away_and_comes_back(scene: Scene) -> None:
    world, eve, bo = scene.world, scene.eve, scene.bo
    await scene.heard(eve, _follow_of(eve, artist_uri(world)))
    async with people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        mira_id = str(mira.account.actor_id)
        await noor.api.post(f"/api/v1/accounts/{mira_id}/follow")
        target = {"words": f"@{bo.acct}", "password": PASSWORD}
        bo.shows(alsoKnownAs=[eve.uri])
        unnamed = await _press(mira, "move", **target)
        assert (unnamed.status_code, "does not say yet that it is you" in unnamed.text) == (422, True)
        bo.shows(alsoKnownAs=[artist_uri(world)], movedTo=eve.uri)
        assert "has moved on itself" in (await _press(mira, "move", **target)).text
        bo.shows(alsoKnownAs=[artist_uri(world)])
        assert "password is not right" in (await _press(mira, "move", **{**target, "password": "another one"})).text
        assert scene.other.received("Move") == scene.far.received("Follow") == []

        assert (await _press(mira, "move", **target)).status_code == 303
        await settled(world)
        said = [document for document in scene.other.received() if document["type"] in ("Update", "Move")]
        assert [document["type"] for document in said] == ["Update", "Move"]
        assert said[0]["object"]["movedTo"] == bo.uri
        mine = artist_uri(world)
        assert (said[1]["actor"], said[1]["object"], said[1]["target"]) == (mine, mine, bo.uri)
        assert said[1]["to"] == [f"{mine}/followers"]
        assert (await _document(scene))["movedTo"] == bo.uri
        (asked,) = scene.far.received("Follow")
        assert (asked["actor"], asked["object"]) == (world.instance.identifiers.actor_uri("noor"), bo.uri)
        assert not await _follows(noor, mira_id)

        # She is not here any more: nothing new, nobody follows her, she follows nobody.
        refused = await mira.api.post("/api/v1/statuses", data={"status": "a new one"})
        assert (refused.status_code, "has moved" in refused.json()["error"]) == (403, True)
        assert (await mira.api.post(f"/api/v1/accounts/{noor.account.actor_id}/follow")).status_code == 403
        assert (await noor.api.post(f"/api/v1/accounts/{mira_id}/follow")).status_code == 409
        await scene.heard(scene.ana, _follow_of(scene.ana, mine))
        assert [answer["type"] for answer in scene.far.received() if answer["type"] in ("Accept", "Reject")] == ["Reject"]
        assert (await mira.api.get("/api/v1/accounts/verify_credentials")).json()["moved"]["acct"] == bo.acct
        for page in (await world.stranger.get("/@mira"), await noor.browser.get("/@mira"), await mira.browser.get("/@mira")):
            assert "moved, and go" in page.text
        assert (await _press(mira, "move", **target)).status_code == 409

        assert (await _press(mira, "return")).status_code == 303
        await settled(world)
        assert "movedTo" not in await _document(scene)
        assert "movedTo" not in scene.other.received("Update")[-1]["object"]
        assert (await mira.api.post("/api/v1/statuses", data={"status": "here again"})).status_code == 200
        soon = await _press(mira, "move", **target)
        assert (soon.status_code, "You can move again from" in soon.text) == (409, True)

        def a_month_ago(db: Connection) -> None:
            db.execute(
                update(tables.actors).where(tables.actors.c.uri == mine).values(moved_at=tables.actors.c.moved_at - PAUSE_MS)
            )

        await world.instance.storage.write(a_month_ago)
        assert (await _press(mira, "move", **target)).status_code == 303


async def test_a_move_between_two_artists_of_one_server_and_by_the_shell(scene: Scene, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    world = scene.world
    config = tmp_path / "trial.toml"
    config.write_text('[federation]\nallow_networks = ["127.0.0.0/8"]\nallow_http = true\n')
    async with people_of(world.instance) as people:
        mira, noor, ida = [await people.person(name) for name in ("mira", "noor", "ida")]
        await ida.api.post(f"/api/v1/accounts/{mira.account.actor_id}/follow")
        ran = run_commands(
            [
                ["account", *words.split(), "--data", data, "--config", str(config)]
                for words in (
                    "move mira noor --yes", "alias noor mira", "alias noor", "move mira noor --yes", "return mira", "return ada",
                    "alias noor mira --remove",
                )
            ]
        )  # fmt: skip
        assert [one.status for one in ran] == [1, 0, 0, 0, 0, 1, 0]
        assert "does not say yet" in ran[0].told
        assert ran[1].told == ran[2].told == f"{artist_uri(world)}\n"
        assert "goes on here" in ran[4].told
        assert ran[6].told == "noor names no other account.\n"
        assert await _follows(ida, str(noor.account.actor_id))
        assert not await _follows(ida, str(mira.account.actor_id))


async def test_who_took_a_move_back_is_shown_so_and_aliases_are_bounded(scene: Scene) -> None:
    ana, new = scene.ana, scene.other.actor("ana")
    account_id = await follow(scene.world, ana)
    new.shows(alsoKnownAs=[ana.uri])
    await scene.heard(ana, ana.activity("Move", ana.uri, target=new.uri))
    shown = (await scene.world.client.get(f"/api/v1/accounts/{account_id}")).json()
    assert shown["moved"]["acct"] == new.acct
    await scene.heard(ana, ana.activity("Update", ana.document()))
    assert "moved" not in (await scene.world.client.get(f"/api/v1/accounts/{account_id}")).json()
    many = [f"https://far.example/users/{number}" for number in range(MAX_ADDRESSES + 44)]
    assert parse_actor(ana.document(alsoKnownAs=many)).also_known_as == tuple(many[:MAX_ADDRESSES])
    # What stands behind the bound counts for nothing.
    bo = scene.bo
    bo_id = await follow(scene.world, bo)
    new.shows(alsoKnownAs=[*many[:MAX_ADDRESSES], bo.uri])
    await scene.heard(bo, bo.activity("Move", bo.uri, target=new.uri))
    held = (await scene.world.client.get("/api/v1/accounts/relationships", params={"id": bo_id})).json()[0]
    assert held["following"]
