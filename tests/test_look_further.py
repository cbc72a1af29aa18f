"""No lonely instance: older works, the talk around a work, and addresses that somebody pastes, from real and hostile servers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from fediart.activitypub.parsers.html_link import alternate_of
from fediart.activitypub.vocabulary import AS, AS_PUBLIC
from fediart.inbox.backfill import MAX_REQUESTS
from tests.far_server import AP, FarActor, Served, artist_uri, follow, home, settled
from tests.scene import Scene, a_scene

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        opened.world.instance.pause_s = 0
        yield opened


def shows(actor: FarActor, **changes: Any) -> None:
    actor.shows(featured=f"{actor.uri}/featured", **changes)


def path_of(actor: FarActor, uri: str) -> str:
    return uri.removeprefix(actor.server.url)


def collection(actor: FarActor, name: str, *pages: list[Any], inline: bool = False) -> None:
    """An ordered collection of pages, the first of them inline or not."""
    uri = f"{actor.uri}/{name}"
    told = []
    for number, items in enumerate(pages):
        page = {"@context": AS, "id": f"{uri}/page{number}", "type": "OrderedCollectionPage", "orderedItems": items}
        if number + 1 < len(pages):
            page["next"] = f"{uri}/page{number + 1}"
        actor.server.serve(path_of(actor, page["id"]), page)  # type: ignore[arg-type]
        told.append(page)
    head = {"@context": AS, "id": uri, "type": "OrderedCollection", "totalItems": sum(len(page) for page in pages)}
    head["first"] = (told[0] if inline else told[0]["id"]) if told else None
    actor.server.serve(path_of(actor, uri), head)


def notes(actor: FarActor, count: int, **more: Any) -> list[dict[str, Any]]:
    return [actor.note(f"<p>number {number}</p>", **more) for number in range(count)]


async def shown(scene: Scene, actor: FarActor, **query: str) -> list[str]:
    """What mira sees when she looks at an actor, once everything has come."""
    found = await scene.world.client.get("/api/v2/search", params={"q": actor.uri, "resolve": "true"})
    account = found.json()["accounts"][0]["id"]
    assert await settled(scene.world) == []
    listed = await scene.world.client.get(f"/api/v1/accounts/{account}/statuses", params={"limit": "40", **query})
    return [status["uri"] for status in listed.json()]


async def notices(scene: Scene) -> list[Any]:
    found: list[Any] = (await scene.world.client.get("/api/v1/notifications")).json()
    return found


# -------------------------------------------------------------------------------------------------------- older works


async def test_what_an_artist_published_before_anybody_followed_is_shown_and_nobody_is_notified(scene: Scene) -> None:
    ana = scene.ana
    mira = scene.world.instance.identifiers.actor_uri("mira")
    shows(ana)
    pinned, first, second = ana.note("<p>pinned</p>"), ana.note("<p>first</p>"), ana.note("<p>second</p>")
    named = ana.note("<p>for mira</p>", cc=[mira], tag=[{"type": "Mention", "href": mira, "name": "@mira"}])
    by_address = ana.note("<p>by address</p>")
    ana.server.holds(by_address)
    collection(ana, "featured", [pinned], inline=True)
    collection(
        ana, "outbox", [ana.create(second), ana.create(named)], [ana.create(first), ana.activity("Create", by_address["id"])]
    )
    uris = await shown(scene, ana)
    assert set(uris) == {note["id"] for note in (pinned, first, second, named, by_address)}
    assert await notices(scene) == []
    assert all("signature" in asked.headers for asked in scene.far.asked if asked.target.startswith("/users/ana/"))


async def test_on_a_follow_older_works_come_into_the_home(scene: Scene) -> None:
    ana = scene.ana
    older = ana.note("<p>years ago</p>", published="2020-05-05T10:00:00Z")
    collection(ana, "outbox", [ana.create(older)])
    await follow(scene.world, ana)
    await settled(scene.world)
    (entry,) = await home(scene.world)
    assert entry["uri"] == older["id"]
    assert entry["created_at"].startswith("2020-05-05")


async def test_only_open_works_of_the_actors_own_that_answer_nobody_are_kept(scene: Scene) -> None:
    ana, eve = scene.ana, scene.eve
    shows(ana)
    good = ana.note("<p>good</p>")
    unlisted = ana.note("<p>unlisted</p>", to=[ana.followers], cc=[AS_PUBLIC])
    bad = [
        ana.create(ana.note("<p>for followers</p>", to=[ana.followers], cc=[])),
        ana.create(ana.note("<p>for one</p>", to=[eve.uri], cc=[])),
        ana.create(ana.note("<p>an answer</p>", inReplyTo=good["id"])),
        ana.create(eve.note("<p>eve's, put into ana's mouth</p>")),
        ana.create(scene.bo.note("<p>bo's, of the same server</p>")),
        ana.create(ana.note("<p>whose?</p>", attributedTo=eve.uri)),
        ana.create(ana.note("<p>ours</p>", id=scene.world.instance.identifiers.work_uri("mira", 1))),
        ana.activity("Announce", eve.note()["id"]),
        eve.note()["id"],
        17,
        None,
        {"type": "Create"},
        {"type": "Note"},
        ["x"],
    ]
    collection(ana, "outbox", [*bad, ana.create(good), ana.create(unlisted)])
    assert set(await shown(scene, ana)) == {good["id"], unlisted["id"]}
    assert [asked for asked in scene.other.asked if asked.method == "GET"] == [], "nobody else is asked"


async def test_an_outbox_without_an_id_is_read_where_it_stands_and_not_from_elsewhere(scene: Scene) -> None:
    """Takahē's has none."""
    ana, eve = scene.ana, scene.eve
    note, forged = ana.note("<p>good</p>"), eve.note("<p>never said</p>")
    scene.far.serve("/users/ana/outbox", {"@context": AS, "type": "OrderedCollection", "totalItems": 1, "orderedItems": [note]})
    assert await shown(scene, ana) == [note["id"]]
    scene.far.serve("/forged", {"@context": AS, "type": "OrderedCollection", "orderedItems": [forged]})
    scene.other.redirect("/users/eve/outbox", f"{scene.far.url}/forged")
    assert await shown(scene, eve) == []
    assert scene.far.times_asked("/forged") == 1, "or this proves nothing"


async def test_a_create_that_is_had_from_another_host_is_not_believed(scene: Scene) -> None:
    """Otherwise a redirect would let one host say what an actor of another published."""
    ana, eve = scene.ana, scene.eve
    forged = ana.note("<p>never said</p>")
    create = {**eve.create(forged), "id": f"{scene.other.url}/lie"}
    scene.other.serve("/lie", {"@context": AS, **create})
    scene.far.redirect("/go", f"{scene.other.url}/lie")
    collection(ana, "outbox", [f"{scene.far.url}/go"])
    assert await shown(scene, ana) == []
    assert scene.other.times_asked("/lie") == 1, "or this proves nothing"


@pytest.mark.parametrize("shape", ["endless", "cycle", "self", "elsewhere", "addresses"])
@pytest.mark.row(26)
async def test_a_hostile_outbox_costs_a_bounded_number_of_questions(scene: Scene, shape: str) -> None:
    ana = scene.ana
    uri = f"{ana.uri}/outbox"

    async def page(request: Request) -> Response:
        number = int(request.query_params.get("page", "0"))
        items: list[Any] = [ana.create(ana.note(f"<p>{number}</p>", to=[ana.followers], cc=[]))]
        following = f"{uri}?page={number + 1}"
        if shape == "cycle":
            following = f"{uri}?page={(number + 1) % 2}"
        elif shape == "self":
            following = f"{uri}?page={number}" if number else uri
        elif shape == "elsewhere":
            following = f"{scene.other.url}/outbox"
        elif shape == "addresses":
            items = [f"{scene.far.url}/nothing/{number}-{n}" for n in range(5_000)]
        asked = uri + (f"?{request.url.query}" if request.url.query else "")
        kind = "OrderedCollectionPage" if number else "OrderedCollection"
        document = {"@context": AS, "id": asked, "type": kind, "orderedItems": items, "next": following, "totalItems": 10**9}
        return Response(json.dumps(document), headers={"content-type": AP})

    scene.far.answers[path_of(ana, uri)] = page
    assert await shown(scene, ana) == []
    asked = [one.target for one in scene.far.asked if one.method == "GET" and one.target != "/users/ana"]
    assert len(asked) == {"endless": 4, "cycle": 3, "self": 1, "elsewhere": 1, "addresses": MAX_REQUESTS}[shape]
    assert scene.other.asked == []


async def test_at_most_forty_works_are_kept_and_twenty_pictures_fetched(scene: Scene) -> None:
    ana = scene.ana
    told = []
    for note in notes(ana, 45):
        urls = [f"{scene.far.url}/p.jpg?{note['id']}-{number}" for number in range(2)]
        note["attachment"] = [{"type": "Image", "mediaType": "image/jpeg", "url": url} for url in urls]
        told.append(ana.create(note))
    collection(ana, "outbox", told)
    await scene.world.client.get("/api/v2/search", params={"q": ana.uri, "resolve": "true"})
    assert await settled(scene.world) == []
    assert scene.far.times_asked("/p.jpg") == 20
    account = await _id(scene, "ana")
    first = await works_of(scene, account)
    assert len(first) == 40
    assert await works_of(scene, account, max_id=first[-1]) == []


async def works_of(scene: Scene, account: str, **query: str) -> list[str]:
    listed = await scene.world.stranger.get(f"/api/v1/accounts/{account}/statuses", params={"limit": "40", **query})
    return [status["id"] for status in listed.json()]


async def test_a_picture_that_was_not_fetched_comes_when_somebody_looks(scene: Scene) -> None:
    ana = scene.ana
    told = []
    for note in notes(ana, 3):
        urls = [f"{scene.far.url}/p.jpg?{note['id']}-{number}" for number in range(8)]
        note["attachment"] = [{"type": "Image", "mediaType": "image/jpeg", "url": url} for url in urls]
        told.append(ana.create(note))
    collection(ana, "outbox", told)
    await scene.world.client.get("/api/v2/search", params={"q": ana.uri, "resolve": "true"})
    assert await settled(scene.world) == []
    assert scene.far.times_asked("/p.jpg") == 20
    assert len(await shown(scene, ana)) == 3
    assert await settled(scene.world) == []
    assert scene.far.times_asked("/p.jpg") == 24


async def test_an_actor_is_not_looked_into_twice_in_a_day_and_never_for_strangers(scene: Scene) -> None:
    ana = scene.ana
    collection(ana, "outbox", [])
    for _ in range(3):
        await shown(scene, ana)
    assert scene.far.times_asked("/users/ana/outbox") == 1
    await scene.world.stranger.get(f"/@{ana.acct}")
    clock = scene.world.instance.clock
    scene.world.instance.clock = lambda: clock() + 25 * 3600 * 1000
    await scene.world.stranger.get(f"/@{ana.acct}")
    assert scene.far.times_asked("/users/ana/outbox") == 1
    await shown(scene, ana)
    assert scene.far.times_asked("/users/ana/outbox") == 2


async def test_a_server_that_asks_for_quiet_is_asked_later(scene: Scene) -> None:
    ana = scene.ana
    scene.far.serve("/users/ana/outbox", {}, status=429, retry_after="600")
    found = await scene.world.client.get("/api/v2/search", params={"q": ana.uri, "resolve": "true"})
    assert found.json()["accounts"]
    assert await settled(scene.world) == [""], "one job waits, without having failed"
    note = ana.note()
    collection(ana, "outbox", [ana.create(note)])
    clock = scene.world.instance.clock
    scene.world.instance.clock = lambda: clock() + 601_000
    scene.world.instance.wake("backfill")
    assert await shown(scene, ana) == [note["id"]]


async def test_of_one_host_one_question_is_asked_at_a_time(scene: Scene) -> None:
    for name in ("ana", "bo", "cy", "di"):
        collection(scene.far.actor(name), "outbox", [scene.far.actor(name).create(scene.far.actor(name).note())])
        await scene.world.client.get("/api/v2/search", params={"q": scene.far.actor(name).uri, "resolve": "true"})
    await settled(scene.world)
    scene.far.hold_s, scene.far.most_at_once = 0.02, 0
    clock = scene.world.instance.clock
    scene.world.instance.clock = lambda: clock() + 25 * 3600 * 1000
    for name in ("ana", "bo", "cy", "di"):
        await scene.world.client.get(f"/api/v1/accounts/{await _id(scene, name)}/statuses")
    await settled(scene.world)
    assert scene.far.times_asked("/users/di/outbox") == 2
    assert scene.far.most_at_once == 1


async def _id(scene: Scene, name: str) -> str:
    found = await scene.world.client.get("/api/v1/accounts/lookup", params={"acct": f"{name}@{scene.far.host}"})
    return str(found.json()["id"])


# ------------------------------------------------------------------------------------------- the talk around a work


def answers(actor: FarActor, note: dict[str, Any], *items: Any, inline: bool = True) -> None:
    """The note is served with a list of answers to it."""
    uri = f"{note['id']}/replies"
    page = {"id": f"{uri}?page=1", "type": "CollectionPage", "partOf": uri, "items": list(items)}
    if inline:
        note["replies"] = {"id": uri, "type": "Collection", "first": page}
    else:
        note["replies"] = uri
        actor.server.serve(path_of(actor, uri), {"@context": AS, "id": uri, "type": "Collection", "items": list(items)})
    actor.server.holds(note)


async def talk(scene: Scene, uri: str) -> tuple[list[str], list[str]]:
    """(what a work answers, what answers it), as mira sees it once everything has come."""
    found = await scene.world.client.get("/api/v2/search", params={"q": uri, "resolve": "true", "type": "statuses"})
    (status,) = found.json()["statuses"]
    path = f"/api/v1/statuses/{status['id']}/context"
    await scene.world.client.get(path)
    assert await settled(scene.world) == []
    around = (await scene.world.client.get(path)).json()
    return [item["uri"] for item in around["ancestors"]], [item["uri"] for item in around["descendants"]]


async def test_what_a_work_answers_and_what_answers_it_come_from_their_own_servers(scene: Scene) -> None:
    ana, bo, eve = scene.ana, scene.bo, scene.eve
    root = eve.note("<p>the first word</p>")
    middle = bo.note("<p>the second</p>", inReplyTo=root["id"])
    work = ana.note("<p>the work</p>", inReplyTo=middle["id"])
    near = ana.note("<p>inline, of the same server</p>", inReplyTo=work["id"])
    far = eve.note("<p>elsewhere</p>", inReplyTo=work["id"])
    deeper = bo.note("<p>an answer to an answer</p>", inReplyTo=far["id"])
    bo.server.holds(deeper)
    answers(eve, far, deeper["id"], inline=False)
    scene.other.holds(root)
    bo.server.holds(middle)
    answers(ana, work, near, far["id"])
    above, below = await talk(scene, work["id"])
    assert above == [root["id"], middle["id"]]
    assert set(below) == {near["id"], far["id"], deeper["id"]}
    assert await notices(scene) == []


async def test_a_work_is_asked_about_once_an_hour(scene: Scene) -> None:
    work = scene.ana.note()
    answers(scene.ana, work)
    path = path_of(scene.ana, work["id"])
    for _ in range(3):
        await talk(scene, work["id"])
    assert scene.far.times_asked(path) == 2, "once to find it, once for its answers"
    clock = scene.world.instance.clock
    scene.world.instance.clock = lambda: clock() + 3_601_000
    await talk(scene, work["id"])
    assert scene.far.times_asked(path) == 3


async def test_answers_that_are_none_or_not_for_everybody_are_left_out(scene: Scene) -> None:
    ana, eve = scene.ana, scene.eve
    work = ana.note()
    private = eve.note("<p>for one</p>", inReplyTo=work["id"], to=[ana.uri], cc=[])
    unrelated = eve.note("<p>an advertisement</p>")
    moved = eve.note("<p>another's</p>", inReplyTo=work["id"], attributedTo=ana.uri)
    for note in (private, unrelated, moved):
        scene.other.holds(note)
    put_in_mouth = eve.note("<p>inline, but of another server</p>", inReplyTo=work["id"])
    ours = scene.world.instance.identifiers.work_uri("mira", 77)
    answers(ana, work, private["id"], unrelated["id"], moved["id"], put_in_mouth, ours, 5, None, {"type": "Note"})
    assert await talk(scene, work["id"]) == ([], [])
    for note in (private, unrelated, moved, put_in_mouth):
        kept = await scene.world.client.get("/api/v2/search", params={"q": note["id"]})
        assert kept.json()["statuses"] == [], note["content"]
    assert scene.other.times_asked(path_of(eve, put_in_mouth["id"])) == 1, "it is asked of its own server, which does not know it"


async def test_two_talks_ask_the_same_host_one_question_at_a_time(scene: Scene) -> None:
    eve = scene.eve
    works = [scene.ana.note(), eve.note()]
    for work, author in zip(works, (scene.ana, eve), strict=True):
        below = [eve.note(f"<p>{number}</p>", inReplyTo=work["id"]) for number in range(5)]
        for note in below:
            scene.other.holds(note)
        answers(author, work, *(note["id"] for note in below))
        await found(scene, work["id"])
    statuses = [
        (await scene.world.client.get("/api/v2/search", params={"q": work["id"]})).json()["statuses"][0]["id"] for work in works
    ]
    await settled(scene.world)
    scene.other.hold_s, scene.other.most_at_once = 0.03, 0
    for status in statuses:
        await scene.world.client.get(f"/api/v1/statuses/{status}/context")
    assert await settled(scene.world) == []
    for status in statuses:
        around = (await scene.world.client.get(f"/api/v1/statuses/{status}/context")).json()
        assert len(around["descendants"]) == 5
    assert scene.other.most_at_once == 1


async def test_a_talk_whose_owner_lists_it_is_read_from_the_list(scene: Scene) -> None:
    """Only what answers something that is here, and only where the list is the work's own server's."""
    ana, eve = scene.ana, scene.eve
    work = ana.note("<p>the work</p>", context=f"{scene.far.url}/contexts/1")
    first = eve.note("<p>an answer</p>", inReplyTo=work["id"])
    second = ana.note("<p>an answer to it</p>", inReplyTo=first["id"])
    stray = eve.note("<p>of another talk</p>", inReplyTo=f"{scene.other.url}/notes/none")
    for note in (first, stray):
        scene.other.holds(note)
    listed = [work["id"], first["id"], second, stray["id"], f"{artist_uri(scene.world)}/statuses/1"]
    document = {"@context": AS, "id": work["context"], "type": "OrderedCollection", "orderedItems": listed}
    scene.far.serve("/contexts/1", document)
    answers(ana, work, stray["id"])
    _, below = await talk(scene, work["id"])
    assert set(below) == {first["id"], second["id"]}
    # One that cannot be had, or is somebody else's, costs nothing but a question.
    for context in (f"{scene.far.url}/contexts/none", f"{scene.other.url}/contexts/1", "tag:x"):
        other = ana.note("<p>another</p>", context=context)
        reply = ana.note("<p>well</p>", inReplyTo=other["id"])
        answers(ana, other, reply)
        assert (await talk(scene, other["id"]))[1] == [reply["id"]]


@pytest.mark.parametrize("shape", ["wide", "deep", "circle"])
@pytest.mark.row(26)
async def test_a_hostile_talk_costs_at_most_thirty_questions(scene: Scene, shape: str) -> None:
    ana = scene.ana
    work = ana.note("<p>bait</p>", id=f"{scene.far.url}/t/0")

    async def answer(request: Request) -> Response:
        number = int(request.url.path.rpartition("/")[2])
        parent = f"{scene.far.url}/t/{number - 1}" if number else f"{scene.far.url}/up/0"
        below = [f"{scene.far.url}/t/{number + n}" for n in range(1, 400 if shape == "wide" else 2)]
        if shape == "circle":
            below = [f"{scene.far.url}/t/0", f"{scene.far.url}/t/1"]
        if shape == "wide":
            parent = f"{scene.far.url}/t/0" if number else parent
        note = {
            **work,
            "id": f"{scene.far.url}/t/{number}",
            "inReplyTo": parent,
            "replies": {"type": "Collection", "items": below},
        }
        return Response(json.dumps({"@context": AS, **note}), headers={"content-type": AP})

    async def up(request: Request) -> Response:
        number = int(request.url.path.rpartition("/")[2])
        parent = f"{scene.far.url}/up/{(number + 1) % (3 if shape == 'circle' else 10**6)}"
        note = {**work, "id": f"{scene.far.url}/up/{number}", "inReplyTo": parent}
        return Response(json.dumps({"@context": AS, **note}), headers={"content-type": AP})

    for number in range(500):
        scene.far.answers[f"/t/{number}"] = answer
        scene.far.answers[f"/up/{number}"] = up
    await talk(scene, work["id"])
    asked = [one.target for one in scene.far.asked if one.method == "GET" and one.target.startswith(("/t/", "/up/"))]
    assert 3 < len(asked) <= 31, "one to find the work and thirty to look further"
    if shape == "wide":
        assert len(asked) == 31, "or nothing was hostile"


# ------------------------------------------------------------------------------------- what is pasted into the search


def page_for(scene: Scene, path: str, target: str, *, header: bool = False) -> str:
    """A page for people, which names its document; served to everybody whatever they accept."""
    link = f'<{target}>; rel="alternate"; type="application/activity+json"'
    element = f'<LINK rel="alternate" type="application/activity+json" href="{target}">'
    page = f'<!doctype html><html><head><link href="/x.css" rel="stylesheet">{"" if header else element}'
    served = Served(page.encode(), "text/html; charset=utf-8", headers={"link": link} if header else {})
    scene.far.answers[path] = served
    return scene.far.url + path


async def found(scene: Scene, words: str) -> tuple[list[str], list[str]]:
    answer = (await scene.world.client.get("/api/v2/search", params={"q": words, "resolve": "true"})).json()
    return [account["acct"] for account in answer["accounts"]], [status["uri"] for status in answer["statuses"]]


@pytest.mark.parametrize("header", [True, False])
async def test_every_address_of_a_profile_or_work_leads_to_it(scene: Scene, header: bool) -> None:
    ana = scene.ana
    work = ana.note()
    scene.far.holds(work)
    profile = page_for(scene, "/@ana", ana.uri, header=header)
    page = page_for(scene, "/@ana/1", work["id"] if header else path_of(ana, work["id"]), header=header)
    for words in (ana.acct, f"@{ana.acct}", ana.uri, profile):
        assert await found(scene, words) == ([ana.acct], []), words
    for words in (work["id"], page):
        assert await found(scene, words) == ([], [work["id"]]), words
    assert await notices(scene) == []


async def test_the_page_of_the_search_leads_on_or_says_why_not(scene: Scene) -> None:
    browser = scene.world.client
    await _sign_in(scene)
    work = scene.ana.note()
    scene.far.holds(work)
    led = await browser.get("/search", params={"q": work["id"]})
    assert led.status_code == 303
    assert (await browser.get(led.headers["location"])).status_code == 200
    led = await browser.get("/search", params={"q": scene.ana.uri})
    assert led.headers["location"] == f"/@{scene.ana.acct}"
    profile = await browser.get(led.headers["location"])
    assert "Older works are being fetched" in profile.text
    for words, why in (
        (page_for(scene, "/plain", "javascript:alert(1)"), "does not say where"),
        (f"{scene.far.url}/nothing", "does not have this"),
        (scene.far.url + "/i.png", "neither a profile nor a work"),
    ):
        scene.far.serve("/i.png", b"x", content_type="image/png")
        answer = await browser.get("/search", params={"q": words})
        assert (answer.status_code, why in answer.text) == (200, True), words
    assert await settled(scene.world) == []


async def _sign_in(scene: Scene) -> None:
    browser = scene.world.client
    del browser.headers["authorization"]
    page = await browser.get("/sign-in")
    token = page.text.partition('name="form_token" value="')[2].partition('"')[0]
    form = {"form_token": token, "username": "mira", "password": "a password to test with"}
    assert (await browser.post("/sign-in", data=form)).status_code == 303


async def test_a_page_leads_one_hop_and_its_document_must_be_its_own(scene: Scene) -> None:
    work = scene.eve.note()
    scene.other.holds(work)
    assert await found(scene, page_for(scene, "/there", work["id"])) == ([], [work["id"]]), "of another host: asked there"
    second = page_for(scene, "/second", scene.ana.uri)
    assert await found(scene, page_for(scene, "/first", second)) == ([], [])
    lie = scene.eve.note()
    scene.far.serve("/lie", {"@context": AS, **lie})
    assert await found(scene, page_for(scene, "/liar", f"{scene.far.url}/lie")) == ([], [])
    assert await found(scene, page_for(scene, "/ours", scene.world.instance.identifiers.work_uri("mira", 5))) == ([], [])
    private = scene.ana.note(to=[scene.ana.followers], cc=[])
    scene.far.holds(private)
    assert await found(scene, private["id"]) == ([], [])


@pytest.mark.parametrize(
    ("page", "header", "leads_to"),
    [
        (b'<link rel="alternate" type="application/activity+json" href="/a?x=1&amp;y=2">', "", "https://far.example/a?x=1&y=2"),
        (b"<LINK HREF=/B TYPE=application/activity+json REL=alternate>", "", "https://far.example/B"),
        (
            b"<link href='https://o.example/c' rel='me alternate' type='application/activity+json; charset=utf-8'/>",
            "",
            "https://o.example/c",
        ),
        (b"", '</d>; rel=alternate; type="application/activity+json"', "https://far.example/d"),
        (b"", '</e>; rel="next", </d>; type="application/activity+json"; rel="alternate"', "https://far.example/d"),
        (b'<link rel="stylesheet" type="application/activity+json" href="/a">', "", None),
        (b'<link rel="alternate" type="application/atom+xml" href="/a">', "", None),
        (b'<link rel="alternate" type="application/activity+json">', "", None),
        (b'<link rel="alternate" type="application/activity+json" href="data:x">', "", None),
        (b'<link rel="alternate" type="application/activity+json" href="http://[::1">', "", None),
        (b"", "", None),
    ],
)
def test_a_page_names_its_document_in_its_head_or_its_header(page: bytes, header: str, leads_to: str | None) -> None:
    assert alternate_of(page, header, "https://far.example/@ana") == leads_to


@pytest.mark.parametrize(
    "pattern", [b"<link ", b"<link>", b'<link rel="', b"<", b"a=", b'<link a="b" ', "İ<link ".encode(), b"<link\x00"]
)
@pytest.mark.row(23)
def test_a_megabyte_of_one_pattern_leads_nowhere(pattern: bytes) -> None:
    page = pattern * (1_000_000 // len(pattern))
    assert alternate_of(page, pattern.decode() * 1_000, "https://far.example/") is None
