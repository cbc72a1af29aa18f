"""Collections: the answers to a work, its conversation, the followers that one host has here; each only for whom it is for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fediart.activitypub.signatures.sign import sign_request
from fediart.activitypub.synchronisation import Synchronisation, build_header, digest_of, parse_header
from fediart.activitypub.vocabulary import AS, AS_PUBLIC
from fediart.clock import system_clock
from tests.far_server import FarActor, artist_uri, ask_to_follow, find, follow, key_pair, relationship, settled
from tests.scene import Scene, a_scene
from tests.test_discovery import ask, document
from tests.waiting import until

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


# ----------------------------------------------------------------------------------------- whose followers are where (8fcf)


def test_the_digest_is_that_of_the_specification() -> None:
    people = ["https://testing.example.org/users/1", "https://testing.example.org/users/2"]
    expected = "c33f48cd341ef046a206b8a72ec97af65079f9a3a9b90eef79c5920dce45c61f"
    assert digest_of(people) == digest_of(reversed(people)) == digest_of([*people, people[0]]) == expected
    assert digest_of([]) == "0" * 64
    said = Synchronisation("https://a.example/f", "https://a.example/s", expected)
    assert parse_header(build_header(said)) == said
    for junk in (
        "",
        "x",
        'url="https://a.example/"',
        build_header(said) + ', digest="1"',
        build_header(said).replace(expected, "zz"),
    ):
        assert parse_header(junk) is None


async def get_signed(scene: Scene, actor: FarActor, url: str) -> httpx.Response:
    headers = sign_request("GET", url, None, actor.key_id, key_pair(actor.number)[0], system_clock())
    return await scene.world.stranger.get(url, headers={**headers, "accept": "application/activity+json"})


async def test_each_server_hears_which_followers_it_has_and_no_other_does(scene: Scene) -> None:
    for actor in (scene.ana, scene.bo, scene.eve):
        await scene.heard(actor, actor.activity("Follow", artist_uri(scene.world)))
    url = artist_uri(scene.world) + "/followers_synchronization"
    for actor, people in ((scene.ana, [scene.ana.uri, scene.bo.uri]), (scene.eve, [scene.eve.uri])):
        answer = await get_signed(scene, actor, url)
        assert answer.status_code == 200
        assert sorted(answer.json()["orderedItems"]) == people
        assert "no-store" in answer.headers["cache-control"]
    for answer in (await ask(scene.world, url), await ask(scene.world, url, signature='keyId="x",signature="AAAA"')):
        assert answer.status_code == 401
    await scene.post("to everybody")
    await scene.post("to followers", visibility="private")
    assert await settled(scene.world) == []
    for server, people in ((scene.far, [scene.ana.uri, scene.bo.uri]), (scene.other, [scene.eve.uri])):
        told = [one for one in server.asked if one.method == "POST" and one.document["type"] == "Create"]
        public, private = sorted(told, key=lambda one: AS_PUBLIC not in one.document["to"])
        assert "collection-synchronization" not in public.headers
        said = parse_header(private.headers["collection-synchronization"])
        assert said == Synchronisation(artist_uri(scene.world) + "/followers", url, digest_of(people))
        assert "collection-synchronization" in private.headers["signature"], "it is signed"


async def test_what_another_server_says_of_its_followers_here_is_kept_to(scene: Scene) -> None:
    """Only where it is signed, its own, and the list is the one that was said."""
    world, ana, eve = scene.world, scene.ana, scene.eve
    ana_id = await follow(world, ana)
    kept_id = await follow(world, eve)
    url = f"{ana.uri}/followers_synchronization"
    path = url.removeprefix(scene.far.url)

    async def tell(digest: str, *, signed: bool = True, new: bool = False, **changes: str) -> None:
        parts = {"collection": ana.followers, "url": url, **changes}
        header = {"collection-synchronization": build_header(Synchronisation(digest=digest, **parts))}
        activity = ana.create(ana.note())
        body = httpx.Request("POST", "http://x", json=activity).content
        inbox = world.instance.identifiers.shared_inbox
        at = world.instance.clock()
        covered = ana.signed(inbox, body, at=at, also=header, new=new)
        headers = covered if signed else {**ana.signed(inbox, body, at=at, new=new), **header}
        assert (await world.stranger.post(inbox, content=body, headers=headers)).status_code == 202
        await settled(world)

    async def follows_ana() -> bool:
        return bool((await relationship(world, ana_id))["following"])

    def lists(*people: str, **more: Any) -> None:
        scene.far.serve(path, {"@context": AS, "id": url, "type": "OrderedCollection", "orderedItems": list(people), **more})

    clock = world.instance.clock
    hours = 0

    def later() -> None:
        nonlocal hours
        hours += 2
        now = clock() + hours * 3600 * 1000
        world.instance.clock = lambda: now

    lists()
    mine = artist_uri(world)
    await tell(digest_of([mine]))
    await tell(digest_of([]), signed=False)
    await tell(digest_of([]), signed=False, new=True)
    await tell(digest_of([]), collection=eve.followers)
    await tell(digest_of([]), url=f"{scene.other.url}/list")
    assert scene.far.times_asked(path) == scene.other.times_asked("/list") == 0
    # The list is another one than was said; is not there; or cannot be read: nobody's follow ends by that.
    lists(mine)
    await tell(digest_of([]))
    assert scene.far.times_asked(path) == 1
    await tell(digest_of([]))
    assert scene.far.times_asked(path) == 1, "once an hour"
    for wrong in ({"orderedItems": None}, {"orderedItems": None, "first": f"{url}/none"}, {"type": "Note"}):
        later()
        lists(**wrong)
        await tell(digest_of([]))
        assert await follows_ana()
    later()
    lists()
    await tell(digest_of([]), new=True)
    assert not await follows_ana()
    assert (await relationship(world, kept_id))["following"]
    assert scene.far.received("Undo") == []
    # Who is listed and not known here as a follower is told apart; who asked, and is listed, was accepted.
    later()
    lists(mine)
    await tell(digest_of([mine]))
    assert (await until(lambda: scene.far.received("Undo")))[0]["object"]["object"] == ana.uri
    later()
    await ask_to_follow(world, ana)
    await tell(digest_of([mine]))
    assert await follows_ana()
