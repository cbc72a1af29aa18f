"""Who gets documents: with `federation.authorized_fetch` only who signs, and in any case nobody who is blocked.

Other servers are real ones on real sockets, and their keys are fetched from them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from fediart.activitypub.signatures.sign import sign_request, sign_request_rfc9421
from fediart.activitypub.vocabulary import AP_TYPE
from fediart.cli.demo import free_port
from fediart.clock import system_clock
from fediart.domain.moderation import HostAction
from fediart.media.sample import draw_sample
from fediart.office.limit_host import put_host_rule
from fediart.web.activitypub.asker import KEYS_OF_A_HOST, NEEDS_SIGNATURE
from fediart.web.app import create_app
from tests.addresses import filled, route_table
from tests.far_server import AP, FarActor, QuietServer, artist_uri, find, home, key_pair, relationship
from tests.scene import Scene, a_scene
from tests.waiting import until
from tests.world import World, a_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def strict(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path, **{"federation.authorized_fetch": True}) as scene:
        yield scene


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as scene:
        yield scene


async def fetched(scene: Scene, path: str, by: FarActor | None = None, **how: Any) -> httpx.Response:
    """A GET as another server sends it. `new`: signed after RFC 9421; `key`: with another key; `key_id`: under another name."""
    url = path if path.startswith("http") else scene.world.instance.config.base_url + path
    signed = {}
    if by is not None:
        sign = sign_request_rfc9421 if how.get("new") else sign_request
        pem = key_pair(how.get("key", by.number))[0]
        signed = sign("GET", how.get("signed_for", url), None, how.get("key_id", by.key_id), pem, how.get("at", system_clock()))
    return await scene.world.stranger.get(url, headers={"accept": AP, **signed})


def documents(scene: Scene, work_id: str) -> list[str]:
    """Every address under which ActivityPub documents are served, from the table of routes."""
    app = create_app(scene.world.instance)
    paths = [route.path for route in route_table(app) if route.path.startswith(("/users/", "/@{name}"))]
    told = {"username": ["mira"], "name": ["mira"], "work_id": [work_id], "quote_id": ["1"]}
    found = [path for route in paths for path in filled(route, told)]
    assert f"/users/mira/statuses/{work_id}/activity" in found
    return [path for path in found if not path.endswith(("/feed.atom", "/rights", "/inbox"))]


@pytest.mark.row(40)
async def test_without_a_signature_nobody_gets_a_document_and_keys_and_pages_stay(strict: Scene) -> None:
    work = await strict.post("an evening")
    open_to_all = ("/users/mira", "/@mira")
    paths = documents(strict, work["id"])
    assert len(paths) >= 9
    for path in paths:
        unsigned = await fetched(strict, path)
        assert unsigned.headers["cache-control"] == "private, no-store", path
        if path in open_to_all:
            assert unsigned.json()["publicKey"]["id"] == f"{artist_uri(strict.world)}#main-key"
            assert not {"name", "summary", "icon", "attachment", "followers", "published"} & set(unsigned.json())
        else:
            assert (unsigned.status_code, unsigned.json()) == (401, {"error": NEEDS_SIGNATURE}), path
            assert unsigned.headers["www-authenticate"].startswith("Signature")
            assert unsigned.headers["vary"] == "Accept, Signature"
        for new in (False, True):
            signed = await fetched(strict, path, strict.eve, new=new)
            assert signed.status_code == (404 if "/quotes/" in path else 200), path
            assert signed.headers["cache-control"] == "private, no-store"
            assert signed.headers["content-type"] == (AP_TYPE if signed.status_code == 200 else "application/json")
    assert (await fetched(strict, "/users/mira", strict.eve)).json()["name"] == "mira"
    # The instance's own actor is open, or two such servers would wait for each other's key for ever.
    for path in ("/actor", "/actor/outbox", "/.well-known/webfinger?resource=acct:mira@localhost:8000", "/nodeinfo/2.1"):
        assert (await fetched(strict, path)).status_code == 200, path
    # Pages are for people, and a browser is led to them.
    for path in ("/@mira", f"/@mira/{work['id']}", f"/users/mira/statuses/{work['id']}", "/users/mira", "/@mira/feed.atom"):
        page = await strict.world.stranger.get(path, headers={"accept": "text/html"}, follow_redirects=True)
        assert page.status_code == 200, path


async def test_a_signature_that_is_not_right_is_none(strict: Scene) -> None:
    work = await strict.post("an evening")
    path = f"/users/mira/statuses/{work['id']}"
    other = f"{strict.world.instance.config.base_url}/users/mira/outbox"
    wrong: dict[str, dict[str, Any]] = {
        "another's key": {"key": strict.ana.number},
        "another's name": {"key_id": strict.ana.key_id},
        "a key that is not there": {"key_id": f"{strict.other.url}/users/nobody#main-key"},
        "for another address": {"signed_for": other},
        "of yesterday": {"at": system_clock() - 86_400_000},
        "our own key": {"key_id": f"{artist_uri(strict.world)}#main-key"},
        "the instance's key": {"key_id": strict.world.instance.instance_actor.public_key_id},
    }
    for new in (False, True):
        for name, how in wrong.items():
            assert (await fetched(strict, path, strict.eve, new=new, **how)).status_code == 401, name
    twice = [("accept", AP), ("signature", "a"), ("signature", 'keyId="https://x.example/#k",signature="AA=="')]
    assert (await strict.world.stranger.get(path, headers=twice)).status_code == 401
    assert (await fetched(strict, path, strict.eve)).status_code == 200
    # What is not there is not told apart for whoever did not sign.
    assert (await fetched(strict, "/users/nobody/outbox")).status_code == 401


@pytest.mark.parametrize("mode", [True, False], ids=["strict", "open"])
@pytest.mark.row(13)
async def test_blocked_hosts_and_actors_are_refused_in_both_modes(mode: bool, prepared: Path, tmp_path: Path) -> None:
    async with a_scene(prepared, tmp_path, **{"federation.authorized_fetch": mode}) as scene:
        work = await scene.post("an evening")
        paths = ["/users/mira", f"/users/mira/statuses/{work['id']}", "/users/mira/outbox?page=true"]
        for path in paths:
            for who in (scene.ana, scene.bo, scene.eve):
                assert (await fetched(scene, path, who)).status_code == 200
        await scene.world.client.post(f"/api/v1/accounts/{await find(scene.world, scene.ana)}/block")
        await put_host_rule(scene.world.instance, scene.eve.server.host, HostAction.BLOCK, account_id=None)
        asked = len(scene.other.asked)
        for path in paths:
            for new in (False, True):
                assert (await fetched(scene, path, scene.ana, new=new)).status_code == 404
                assert (await fetched(scene, path, scene.bo, new=new)).status_code == 200, "another of that server"
                assert (await fetched(scene, path, scene.eve, new=new)).status_code == 403
        assert len(scene.other.asked) == asked, "a blocked server is not even asked for its key"
        # A new key at a new address is no way round.
        scene.ana.shows(publicKey={"id": f"{scene.ana.uri}/key", "owner": scene.ana.uri, "publicKeyPem": key_pair(77)[1]})
        scene.far.serve("/users/ana/key", {"id": f"{scene.ana.uri}/key", "owner": scene.ana.uri})
        answers = [await fetched(scene, path, scene.ana, key=77, key_id=f"{scene.ana.uri}/key") for path in paths]
        if mode:
            assert [answer.status_code for answer in answers] == [404, 404, 404]


@pytest.mark.row(40)
async def test_what_is_for_followers_is_given_to_their_servers_and_to_nobody_else(scene: Scene) -> None:
    """A server asks as itself: its own actor signs, which follows nobody."""
    far_itself, other_itself = scene.far.actor("instance.actor"), scene.other.actor("instance.actor")
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    await find(scene.world, scene.eve)
    followers = await scene.post("for followers", visibility="private")
    named = await scene.post(f"for @{scene.eve.acct}", visibility="direct")
    nothing = f"{artist_uri(scene.world)}/statuses/{int(named['id']) + 1}"
    table = [(followers["uri"], far_itself, 200), (followers["uri"], other_itself, 404), (followers["uri"], scene.bo, 200)]
    table += [(named["uri"], far_itself, 404), (named["uri"], other_itself, 200), (named["uri"], scene.ana, 404)]
    for uri, who, status in table:
        for part in ("", "/activity", "/likes", "/shares"):
            for new in (False, True):
                answer = await fetched(scene, uri + part, who, new=new)
                assert answer.status_code == status, (uri, who.acct, part)
                assert "no-store" in answer.headers["cache-control"]
                if status == 404:
                    absent = await fetched(scene, nothing + part, who, new=new)
                    assert (answer.status_code, answer.content) == (absent.status_code, absent.content)
                    ours = {"x-request-id"}
                    assert {k: v for k, v in answer.headers.items() if k not in ours} == {
                        k: v for k, v in absent.headers.items() if k not in ours
                    }
        assert (await fetched(scene, uri)).status_code == 404
    assert "for followers" in (await fetched(scene, followers["uri"], far_itself)).text
    # What was never there makes this server ask for the key just as well: that it does tells nobody anything.
    asked = scene.other.actor("asked.first")
    assert (await fetched(scene, nothing, asked)).status_code == 404
    assert scene.other.times_asked("/users/asked.first") == 1
    # Who follows no more, and whom she blocks, count no more.
    await scene.heard(scene.ana, scene.ana.activity("Undo", scene.ana.activity("Follow", artist_uri(scene.world))))
    assert (await fetched(scene, followers["uri"], far_itself)).status_code == 404
    await scene.world.client.post(f"/api/v1/accounts/{await find(scene.world, scene.eve)}/block")
    assert (await fetched(scene, named["uri"], other_itself)).status_code == 404


@pytest.mark.row(27)
async def test_for_documents_few_keys_of_one_host_are_fetched(scene: Scene) -> None:
    uri = f"{artist_uri(scene.world)}/statuses/1"
    for number in range(KEYS_OF_A_HOST + 5):
        key_id = f"{scene.other.url}/users/made-up-{number}#main-key"
        assert (await fetched(scene, uri, scene.eve, key_id=key_id)).status_code == 404
    assert len(scene.other.asked) == KEYS_OF_A_HOST
    # A document that is for everybody asks nobody for a key.
    before = len(scene.far.asked)
    posted = await scene.post("open")
    assert (await fetched(scene, posted["uri"], scene.bo)).status_code == 200
    assert len(scene.far.asked) == before


@contextlib.asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[World]:
    """A world that wants signatures, on a real socket."""
    port = free_port()
    settings: dict[str, Any] = {"server.port": port, "federation.authorized_fetch": True}
    async with a_world(folder, **settings) as world:
        config = uvicorn.Config(create_app(world.instance), port=port, lifespan="off", log_level="critical", access_log=False)
        server = QuietServer(config)
        running = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        try:
            yield world
        finally:
            server.should_exit = server.force_exit = True
            await running


async def test_two_servers_that_both_want_signatures_federate_and_fetch_files_unsigned(tmp_path: Path) -> None:
    """Each asks for the other's key while the other asks for its own."""
    async with listening(tmp_path / "a") as artist, listening(tmp_path / "b") as follower:
        uri = artist_uri(artist)
        assert (await follower.client.get(uri, headers={"accept": AP})).status_code == 421, "each has its own name"
        found = await follower.client.get("/api/v2/search", params={"q": uri, "resolve": "true"})
        (account,) = found.json()["accounts"]
        await follower.client.post(f"/api/v1/accounts/{account['id']}/follow")
        await until(lambda: _is_followed(follower, account["id"]))
        media = await artist.upload(draw_sample(96, 64))
        said = {"status": "for followers", "media_ids": [media["id"]], "visibility": "private"}
        work = (await artist.client.post("/api/v1/statuses", json=said)).json()
        (shown,) = await until(lambda: home(follower))
        assert (shown["uri"], shown["visibility"]) == (work["uri"], "private")
        (picture,) = shown["media_attachments"]
        assert "/media/p/" in picture["remote_url"]
        await until(lambda: _is_fetched(follower))


async def _is_followed(world: World, account_id: str) -> bool:
    return bool((await relationship(world, account_id))["following"])


async def _is_fetched(world: World) -> bool:
    (shown,) = await home(world)
    return str(shown["media_attachments"][0]["url"]).startswith(world.instance.config.base_url)
