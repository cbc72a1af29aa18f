"""An artist deletes her account: every server is told, nothing of hers stays, her name stays hers. And others leave theirs."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, func, or_, select

from fediart.domain.actors import Role
from fediart.errors import Conflict
from fediart.media.sample import draw_sample
from fediart.office.prune import prune
from fediart.outbox.deliver import try_now
from fediart.storage import accounts, actors, departures, tables
from fediart.studio.open_account import open_account
from tests.commands import run_command
from tests.far_hosts import far_hosts
from tests.far_server import artist_uri, find, follow, settled
from tests.people import PASSWORD, people_of
from tests.scene import Scene, a_scene
from tests.servers import Keeper, running, wait_for
from tests.waiting import until

pytestmark = pytest.mark.anyio
AP = {"accept": "application/activity+json"}


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path, **{"cloak.backend": "texture"}) as opened:
        yield opened


_STAYS = {"actors", "audit", "reports"}


def _left_of(db: Connection, actor_id: int) -> dict[str, int]:
    """Rows of any table that name the actor."""
    found: dict[str, int] = {}
    for table in tables.metadata.sorted_tables:
        named = [
            table.c[name]
            for name in ("actor_id", "from_actor_id", "follower_id", "followee_id", "target_id", "booster_id")
            if name in table.c
        ]
        if named and table.name not in _STAYS:
            count = db.execute(select(func.count()).where(or_(*[column == actor_id for column in named]))).scalar_one()
            found |= {table.name: count} if count else {}
    return found


async def test_an_artist_deletes_her_account(scene: Scene) -> None:
    world, ana, eve = scene.world, scene.ana, scene.eve
    instance = world.instance
    mine = artist_uri(world)
    await scene.heard(ana, ana.activity("Follow", mine))
    await find(world, eve)  # met once, and follows nobody
    note = ana.note(to=[mine], cc=[])
    await scene.heard(ana, ana.create(note))
    picture = await world.upload()
    work = await scene.post("an evening", **{"media_ids[]": picture["id"]})
    await until(lambda: scene.far.received("Create"))
    file = (await scene.work(work["id"]))["media_attachments"][0]["url"]
    await world.upload(draw_sample(200, 160))  # of no work yet
    await settled(world)
    vault = instance.data / "originals"
    assert len([path for path in vault.rglob("*") if path.is_file()]) == 2
    async with people_of(instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        await noor.api.post(f"/api/v1/accounts/{mira.account.actor_id}/follow")
        theirs = (await noor.api.post("/api/v1/statuses", data={"status": "by noor"})).json()
        for verb in ("favourite", "reblog"):
            assert (await mira.api.post(f"/api/v1/statuses/{theirs['id']}/{verb}")).status_code == 200
            assert (await noor.api.post(f"/api/v1/statuses/{work['id']}/{verb}")).status_code == 200
        answer = {"status": "an answer", "in_reply_to_id": work["id"]}
        reply = (await noor.api.post("/api/v1/statuses", data=answer)).json()
        await instance.storage.write(accounts.put_role, mira.account.id, Role.OWNER)
        assert "only owner" in (await mira.browser.get("/settings/delete")).text
        sure = {"name": "mira", "password": PASSWORD}
        assert (await mira.browser.send("/settings/delete", sure)).status_code == 409
        await instance.storage.write(accounts.put_role, noor.account.id, Role.OWNER)
        assert "cannot be taken back" in (await mira.browser.get("/settings/delete")).text
        for wrong in ({"name": "noor"}, {"password": "another one"}):
            assert (await mira.browser.send("/settings/delete", {**sure, **wrong}, page="/settings/delete")).status_code == 422
        assert (await world.stranger.get("/@mira")).status_code == 200

        scene.other.inbox_status = 503
        gone = await mira.browser.send("/settings/delete", sure, page="/settings/delete")
        assert (gone.status_code, "Your account is deleted" in gone.text) == (200, True)
        assert not await mira.browser.is_signed_in()
        assert (await mira.api.get("/api/v1/accounts/verify_credentials")).status_code == 401
        (told,) = await until(lambda: scene.far.received("Delete"))
        assert (told["actor"], told["object"]) == (mine, mine)
        signed = next(asked for asked in scene.far.asked if asked.method == "POST" and asked.document["type"] == "Delete")
        assert f'keyId="{mine}#main-key"' in signed.headers["signature"]
        assert signed.target == "/inbox"
        await until(lambda: scene.other.received("Delete"))
        assert await settled(world) != [], "the other server has not taken it yet"

        # One server does not know yet: her key can be asked for, and nothing else of hers.
        await prune(instance)
        last = await world.stranger.get("/users/mira", headers=AP)
        assert (last.status_code, last.json()["publicKey"]["id"]) == (200, f"{mine}#main-key")
        assert (last.json()["name"], last.json()["summary"]) == ("mira", "")
        paths = (
            "/@mira",
            f"/@mira/{work['id']}",
            "/@mira/feed.atom",
            "/@mira/rights",
            "/users/mira/outbox",
            "/users/mira/followers",
        )
        acct = f"/.well-known/webfinger?resource=acct:mira@{instance.identifiers.account_domain}"
        for path in (*paths, work["uri"].removeprefix(instance.identifiers.base_url), acct, httpx.URL(file).path):
            assert (await world.stranger.get(path)).status_code == 410, path
        assert (await world.stranger.get("/users/mira")).status_code == 410

        scene.other.inbox_status = 202
        await try_now(instance, scene.other.host)
        assert await settled(world) == []
        await prune(instance)
        assert (await world.stranger.get("/users/mira", headers=AP)).status_code == 410
        left = await instance.storage.read(_left_of, mira.account.actor_id)
        assert left == {}
        assert await instance.storage.read(actors.signing_key, mira.account.actor_id) is None
        assert await instance.storage.read(actors.proof_key, mira.account.actor_id) is None
        assert [path for path in vault.rglob("*") if path.is_file()] == []
        assert [path for path in (instance.data / "media").rglob("*") if path.is_file()] == []
        # What others made stays, without her.
        held = (await noor.api.get(f"/api/v1/statuses/{theirs['id']}")).json()
        assert (held["favourites_count"], held["reblogs_count"]) == (0, 0)
        assert (await noor.api.get(f"/api/v1/statuses/{reply['id']}")).json()["in_reply_to_id"] is None
        with pytest.raises(Conflict, match="taken"):
            await open_account(instance, "mira", PASSWORD)
        # Whoever still follows by an old address hears nothing.
        await scene.heard(eve, eve.activity("Follow", mine))
        assert await instance.storage.read(_left_of, mira.account.actor_id) == {}


async def test_all_that_is_theirs_goes_with_an_actor_of_another_server(scene: Scene) -> None:
    world, ana = scene.world, scene.ana
    account_id = await follow(world, ana)
    posted = await scene.post()
    ana.shows(icon={"type": "Image", "url": f"{scene.far.url}/face.jpg"}, summary="<p>of ana</p>")
    scene.far.serve("/face.jpg", draw_sample(64, 64), content_type="image/jpeg")
    scene.far.serve("/evening.jpg", draw_sample(320, 240), content_type="image/jpeg")
    await scene.heard(ana, ana.activity("Update", ana.document()))
    pictures = [{"type": "Image", "url": f"{scene.far.url}/evening.jpg"}]
    await scene.heard(ana, ana.create(ana.note(attachment=pictures)))
    for verb in ("Like", "Announce"):
        await scene.heard(ana, ana.activity(verb, posted["uri"]))
    media = world.instance.data / "media"
    await until(lambda: len([path for path in media.rglob("*") if path.is_file()]) >= 4)
    held = await scene.work(posted["id"])
    assert (held["favourites_count"], held["reblogs_count"]) == (1, 1)
    await scene.heard(ana, ana.activity("Delete", ana.uri))
    held = await scene.work(posted["id"])
    assert (held["favourites_count"], held["reblogs_count"]) == (0, 0)
    assert await world.instance.storage.read(_left_of, int(account_id)) == {}
    assert [path for path in media.rglob("*") if path.is_file()] == []
    assert await scene.notices() == []
    assert (await world.client.get(f"/api/v1/accounts/{account_id}")).status_code == 404
    assert (await world.client.get("/api/v2/search", params={"q": ana.uri})).json()["accounts"] == []
    # A kill between two parts leaves some: the Delete, which is still there, is gone on with.
    bo_id = await follow(world, scene.bo)
    await scene.heard(scene.bo, scene.bo.create(scene.bo.note()))
    await world.instance.storage.write(departures.mark_gone, int(bo_id))
    await scene.heard(scene.bo, scene.bo.activity("Delete", scene.bo.uri))
    assert await world.instance.storage.read(_left_of, int(bo_id)) == {}
    # A Create that was overtaken comes too late.
    await scene.heard(ana, ana.create(ana.note("<p>late</p>")))
    assert await scene.uris() == [posted["uri"]]


async def test_a_delete_of_somebody_never_met_asks_for_no_key(scene: Scene) -> None:
    stranger = scene.far.actor("stranger")
    assert (await stranger.says(scene.world, stranger.activity("Delete", stranger.uri))).status_code == 202
    assert [asked for asked in scene.far.asked if asked.method == "GET"] == []


def _rows(keeper: Keeper, sql: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{keeper.side.data / 'fediart.sqlite'}?mode=ro", uri=True, timeout=20)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.mark.of_the_file
def test_a_deletion_by_the_shell_survives_kills(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "ours")
    with running(keeper), far_hosts(6) as far, httpx.Client(trust_env=False) as client:
        for uri in far.actors(1):
            document = {
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": f"{uri}/follow",
                "type": "Follow",
                "actor": uri,
                "object": keeper.uri,
            }
            assert far.says(client, f"{keeper.uri}/inbox", document) == 202
        wait_for("six hosts follow", lambda: _rows(keeper, "SELECT count(*) FROM follows WHERE state = 'accepted'") == [(6,)])
        for number in range(90):
            keeper.post(f"work {number}")
        ran = run_command("account", "delete", "mira", "--yes", "--data", str(keeper.side.data))
        assert ran.status == 0, ran.told
        keeper.kill_and_start()
        keeper.kill_and_start()

        def told() -> bool:
            return {one.inbox for one in far.received if one.document["type"] == "Delete"} == {
                f"{uri}/inbox" for uri in far.actors(1)
            }

        wait_for("every host was told", told)
        wait_for("nothing is left", lambda: _rows(keeper, "SELECT count(*) FROM works") == [(0,)])
        assert keeper.client.get("/@mira").status_code == 410
        last = {one.inbox: one.document["type"] for one in far.received}
        assert set(last.values()) == {"Delete"}, "nothing of hers is told after that"
