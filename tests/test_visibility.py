"""Who sees what: every audience and state × every viewer × every place where a work could appear, from one table.

What is not for somebody and what is not there at all are the same answer.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import Connection, select

from fediart.activitypub.signatures.sign import sign_request
from fediart.activitypub.vocabulary import AP_TYPE, AS_PUBLIC
from fediart.clock import system_clock
from fediart.domain.images import is_secret_name
from fediart.domain.moderation import HostAction
from fediart.domain.origin import Level
from fediart.domain.works import Visibility, WorkState
from fediart.ids import new_id
from fediart.instance import Instance
from fediart.jobs.runner import running_jobs
from fediart.media.sample import draw_sample
from fediart.office.limit_host import put_host_rule
from fediart.storage import images, tables
from fediart.storage import works as rows
from fediart.studio.attach_images import attach_images
from fediart.studio.block_actor import block as block_actor
from fediart.studio.edit_profile import edit_profile
from fediart.studio.follow_actor import follow
from fediart.studio.publish_work import Draft, publish_work, start_draft
from fediart.studio.withdraw_work import withdraw_work
from fediart.web.pages.resumable import BODY_TYPE
from tests.addresses import filled, page_paths, parameters, route_table
from tests.far_server import FarActor, a_far_server, artist_uri, key_pair, settled
from tests.judged import a_file, work_of
from tests.people import People, Person, people_of
from tests.scene import a_scene as a_far_scene
from tests.snapshot import everything
from tests.waiting import until
from tests.world import a_world

KINDS = {
    "p": "public", "u": "unlisted", "f": "followers", "m": "mentioned", "d": "draft", "h": "held", "w": "waiting",
    "x": "deleted", "y": "deleted_followers",
}  # fmt: skip
PUBLISHED = ("public", "unlisted", "followers", "mentioned")

TABLE = """
                     stranger other follower requested named blocked owner  narrow | unsigned follows named elsewhere blocked_host
page                    pu     pu    puf      pu       pufm     .    pufmdhw  pu   |    -       -       -       -         -
works_page              pu     pu    puf      pu       pufm     .    pufmdhw  pu   |    -       -       -       -         -
preview                 pu     pu    pu       pu       pu       .    pu       pu   |    -       -       -       -         -
search_page             -      pu    puf      pu       pufm     .    pufmdhw  -    |    -       -       -       -         -
profile                 pu     pu    puf      pu       pufm     .    pufm     pu   |    -       -       -       -         -
feed                    pu     pu    pu       pu       pu       .    pu       pu   |    -       -       -       -         -
tag_page                p      p     p        p        p        .    p        p    |    -       -       -       -         -
home                    -      .     puf      .        .        .    pufm     -    |    -       -       -       -         -
notifications           -      .     .        .        pufm     .    .        -    |    -       -       -       -         -
api_show                pu     pu    puf      pu       pufm     .    pufmdhw  pu   |    -       -       -       -         -
api_context             pu     pu    puf      pu       pufm     .    pufmdhw  pu   |    -       -       -       -         -
api_quotes              pu     pu    puf      pu       pufm     .    pufmdhw  pu   |    -       -       -       -         -
api_search              -      pu    puf      pu       pufm     .    pufmdhw  -    |    -       -       -       -         -
api_account_statuses    pu     pu    puf      pu       pufm     .    pufm     pu   |    -       -       -       -         -
api_tag                 p      p     p        p        p        .    p        p    |    -       -       -       -         -
api_public_timeline     p      p     p        p        p        .    p        p    |    -       -       -       -         -
api_home                -      .     puf      .        .        .    pufm     -    |    -       -       -       -         -
api_notifications       -      .     .        .        pufm     .    .        -    |    -       -       -       -         -
boost                   -      pu    pu       pu       pu       .    pu       -    |    -       -       -       -         -
documents               pu     -     -        -        -        -    -        -    |    pu      puf     pufm    pu        .
outbox                  pu     -     -        -        -        -    -        -    |    pu      pu      pu      pu        .
collections             .      -     -        -        -        -    -        -    |    .       .       .       .         .
robots                  .      .     .        .        .        .    .        .    |    -       -       -       -         -
"""
"""Surface × who asks → the kinds of works that are there, by their letters. `-`: it is not theirs to ask.

`named`: whom every work names, here or elsewhere. `requested`: asked to follow, not accepted. `blocked` followed before.
`narrow`: the owner's token, without read. Behind the bar other servers ask, by their own actors: `follows` has a follower,
`named` somebody named. `documents`: every address under a work's id; `collections`: all of an artist's but the outbox;
`preview`: the picture for link previews in a page. In every answer neither words nor names of files of any other work are told.
"""


def read_table(text: str) -> tuple[dict[tuple[str, str], str], list[str], list[str]]:
    """((surface, who) → cell, who asks here, which servers ask)."""
    header, *rows = [line.split("|") for line in text.strip("\n").splitlines()]
    here, far = header[0].split(), [f"far_{name}" for name in header[1].split()]
    cells: dict[tuple[str, str], str] = {}
    for left, right in rows:
        surface, *marks = [*left.split(), *right.split()]
        assert len(marks) == len(here) + len(far), surface
        cells |= {(surface, who): mark for who, mark in zip([*here, *far], marks, strict=True)}
    return cells, here, far


CELLS, VIEWERS, SERVERS = read_table(TABLE)
SURFACES = list(dict.fromkeys(surface for surface, _ in CELLS))
SINGLE = (
    "page", "works_page", "preview", "search_page", "api_show", "api_context", "api_quotes", "api_search", "boost", "documents",
)  # fmt: skip
"""Asked about one work; the others are lists."""

PRIVATE = ("home", "notifications", "api_home", "api_notifications")


def shown_in(surface: str, kind: str, viewer: str) -> bool:
    letter = next(letter for letter, name in KINDS.items() if name == kind)
    return letter in CELLS[surface, viewer]


@dataclass(frozen=True, slots=True)
class Scene:
    people: People
    works: dict[str, int]
    pages: dict[str, httpx.AsyncClient]
    apis: dict[str, httpx.AsyncClient]
    mira: Person
    other: Person
    far: dict[str, FarActor]
    files: dict[str, list[str]]
    """Kind → names of its files."""


@contextlib.asynccontextmanager
async def a_scene(folder: Path, *, far: bool = False) -> AsyncIterator[Scene]:
    """`far`: with four other servers, and a picture in every published work."""
    async with contextlib.AsyncExitStack() as stack:
        world = await stack.enter_async_context(a_world(folder, jobs=False))
        people = await stack.enter_async_context(people_of(world.instance))
        names = ("follows", "named", "elsewhere", "blocked_host") if far else ()
        servers = {name: (await stack.enter_async_context(a_far_server())).actor("itself") for name in names}
        instance = world.instance
        mira = await people.person("mira")
        others = {name: await people.person(name) for name in ("other", "follower", "requested", "named", "blocked")}
        for name in ("follower", "blocked"):
            await follow(instance, others[name].account, mira.account.actor_id)
        await edit_profile(instance, mira.account, name="Mira", bio="", fields=[], locked=not far)
        if far:
            ana, host = servers["follows"].server.actor("ana"), servers["blocked_host"].server.actor("bad")
            async with running_jobs(instance):
                for actor in (ana, host):
                    await actor.says(world, actor.activity("Follow", artist_uri(world)))
                assert await settled(world) == []
            await put_host_rule(instance, host.server.host, HostAction.BLOCK, account_id=None)
            await edit_profile(instance, mira.account, name="Mira", bio="", fields=[], locked=True)
        await follow(instance, others["requested"].account, mira.account.actor_id)
        also = f" and @{servers['named'].server.actor('bo').acct}" if far else ""
        made: dict[str, int] = {}

        async def start(kind: str) -> int:
            visibility = Visibility(kind) if kind in PUBLISHED else Visibility.PUBLIC
            visibility = Visibility.FOLLOWERS if kind == "deleted_followers" else visibility
            words = f"{kind} work for @named{also} #oil"
            return await start_draft(instance, mira.account, Draft(words, visibility=visibility))

        async with running_jobs(instance):
            for kind in (*PUBLISHED, "deleted", "deleted_followers"):
                draft = await start(kind)
                if far and kind in PUBLISHED:
                    picture = draw_sample(64 + len(made), 48)
                    answer = await mira.api.post("/api/v2/media", files={"file": (f"{kind}.jpg", picture)})
                    await attach_images(instance, mira.account, draft, [int(answer.json()["id"])])
                made[kind] = await publish_work(instance, mira.account, draft)
            await until(lambda: instance.storage.read(_is_published, list(made.values())))
        for kind in ("deleted", "deleted_followers"):
            await withdraw_work(instance, mira.account, made[kind])
        made["draft"] = await start("draft")
        made["waiting"] = await start("waiting")
        answer = await mira.api.post("/api/v2/media", files={"file": ("a.jpg", draw_sample(64, 48))})
        await attach_images(instance, mira.account, made["waiting"], [int(answer.json()["id"])])  # nobody cloaks it here
        made["waiting"] = await publish_work(instance, mira.account, made["waiting"])
        answer = await mira.api.post("/api/v2/media", files={"file": ("a.png", a_file(Level.GENERATOR))})
        made["held"] = await start("held")
        await attach_images(instance, mira.account, made["held"], [int(answer.json()["id"])])
        made["held"] = await publish_work(instance, mira.account, made["held"])
        assert (await work_of(instance, made["held"])).state == WorkState.HELD
        await block_actor(instance, mira.account, others["blocked"].account.actor_id)
        narrow = await people.person("mira", "write follow")
        stranger = await people.client()
        everybody = {**others, "owner": mira}
        shown = await instance.storage.read(images.images_of_works, [made[kind] for kind in PUBLISHED])
        files = {kind: [r.name for it in shown.get(made[kind], []) for r in it.renditions] for kind in PUBLISHED}
        yield Scene(
            people,
            made,
            {"stranger": stranger, "narrow": narrow.api} | {name: person.browser.http for name, person in everybody.items()},
            {"stranger": stranger, "narrow": narrow.api} | {name: person.api for name, person in everybody.items()},
            mira,
            others["other"],
            {f"far_{name}": actor for name, actor in servers.items()},
            files,
        )


def _is_published(db: Connection, ids: list[int]) -> bool:
    query = select(tables.works.c.id).where(tables.works.c.id.in_(ids), tables.works.c.state != WorkState.PUBLISHED)
    return db.execute(query).first() is None


def _addresses(scene: Scene, surface: str, work_id: int) -> list[str]:
    mira = scene.mira.account.actor_id
    if surface in ("documents", "collections"):
        beginning = "/users/{username}/statuses/{work_id}" if surface == "documents" else "/users/{username}/"
        found = [
            path
            for route in route_table(scene.people.app)
            if route.path.startswith(beginning) and set(parameters(route.path)) <= {"username", "work_id"}
            if surface == "documents" or "work_id" not in parameters(route.path)
            for path in filled(route.path, {"username": ["mira"], "work_id": [str(work_id)]})
        ]
        assert len(found) >= 4
        # Of its followers a server hears its own part only: kept by no cache, whoever asks (test_collections).
        return [path for path in found if not path.endswith(("/outbox", "/followers_synchronization"))]
    uri = quote(scene.people.instance.identifiers.work_uri("mira", work_id), safe="")
    return [
        {
            "page": f"/@mira/{work_id}",
            "works_page": f"/works/{work_id}",
            "preview": f"/@mira/{work_id}",
            "search_page": f"/search?q={uri}",
            "profile": "/@mira",
            "feed": "/@mira/feed.atom",
            "tag_page": "/tags/oil",
            "home": "/home",
            "notifications": "/notifications",
            "api_show": f"/api/v1/statuses/{work_id}",
            "api_context": f"/api/v1/statuses/{work_id}/context",
            "api_quotes": f"/api/v1/statuses/{work_id}/quotes",
            "api_search": f"/api/v2/search?q={uri}&resolve=true",
            "api_account_statuses": f"/api/v1/accounts/{mira}/statuses",
            "api_tag": "/api/v1/timelines/tag/oil",
            "api_public_timeline": "/api/v1/timelines/public",
            "api_home": "/api/v1/timelines/home",
            "api_notifications": "/api/v1/notifications",
            "boost": f"/api/v1/statuses/{work_id}/reblog",
            "outbox": "/users/mira/outbox?page=true",
            "robots": "/robots.txt",
        }[surface]
    ]


async def _ask(scene: Scene, surface: str, viewer: str, work_id: int) -> list[httpx.Response]:
    base = scene.people.instance.config.base_url
    answers = []
    for path in _addresses(scene, surface, work_id):
        headers = {"accept": AP_TYPE if surface in ("documents", "outbox", "collections") else "*/*"}
        if viewer in scene.far:
            actor = scene.far[viewer]
            headers |= sign_request("GET", base + path, None, actor.key_id, key_pair(actor.number)[0], system_clock())
        client = (scene.apis if surface.startswith("api") or surface == "boost" else scene.pages).get(viewer)
        client = client or scene.pages["stranger"]
        answers.append(await client.request("POST" if surface == "boost" else "GET", path, headers=headers))
    return answers


def _is_there(surface: str, answer: httpx.Response, work_id: int) -> bool:
    match surface:
        case "preview":
            return "og:image" in answer.text
        case "search_page":
            return answer.status_code == 303
        case "api_search":
            return f'"id":"{work_id}"' in answer.text
        case _ if surface in SINGLE:
            return answer.status_code in (200, 303)
        case _:
            return str(work_id) in answer.text


def _is_wrong_for_caches(surface: str, kind: str, answer: httpx.Response) -> bool:
    cache, vary = answer.headers.get("cache-control", ""), answer.headers.get("vary", "")
    if answer.status_code not in (200, 303, 404):
        return False
    if surface in ("documents", "outbox", "collections"):
        is_open = answer.status_code == 200 and kind in ("public", "unlisted", "")
        wanted = ("public, max-age=60",) if is_open else ("private, no-store", "no-store")
        return cache not in wanted or vary != "Accept, Signature"
    if surface in ("feed", "robots"):
        return answer.status_code == 200 and "public" not in cache
    if answer.status_code != 200:
        return bool(cache.startswith("public"))
    varies = surface.startswith("api") or surface == "boost" or vary == "Accept, Cookie"
    return cache != "private, no-store" or not varies


@pytest.mark.anyio
@pytest.mark.row(40)
@pytest.mark.row(41)
async def test_every_work_is_seen_by_those_it_is_for_and_by_nobody_else(tmp_path: Path) -> None:
    async with a_scene(tmp_path, far=True) as scene:
        wrong: dict[tuple[str, str, str], Any] = {}
        cells = 0
        nothing = new_id(scene.people.instance.clock())
        for (surface, viewer), cell in CELLS.items():
            if cell == "-":
                if surface in PRIVATE and viewer in ("stranger", "narrow"):
                    (answer,) = await _ask(scene, surface, viewer, 0)
                    assert answer.status_code == (403 if viewer == "narrow" and surface.startswith("api") else 401)
                continue
            absent = await _ask(scene, surface, viewer, nothing) if surface in SINGLE else []
            listed = await _ask(scene, surface, viewer, 0) if surface not in SINGLE else []
            for kind, work_id in scene.works.items():
                if surface == "preview" and kind not in PUBLISHED:
                    continue
                is_shown = shown_in(surface, kind, viewer)
                for number, answer in enumerate(listed or await _ask(scene, surface, viewer, work_id)):
                    cells += 1
                    key = (surface, kind, viewer)
                    if _is_there(surface, answer, work_id) != is_shown:
                        wrong[key] = answer.status_code
                    if not shown_in("page" if surface == "preview" else surface, kind, viewer):
                        told = [name for name in scene.files.get(kind, []) if name in answer.text]
                        if f"{kind} work for" in answer.text or told:
                            wrong[key] = "its words or files are told"
                    if _is_wrong_for_caches(surface, kind if surface in SINGLE else "", answer):
                        wrong[key] = dict(answer.headers)
                    is_same = surface not in SINGLE or _plain(answer, work_id) == _plain(absent[number], nothing)
                    if not (is_same or is_shown or kind == "deleted" or surface in ("preview", "boost")):
                        wrong[key] = (answer.text, absent[number].text)
                    if kind == "deleted" and surface in ("page", "documents") and viewer not in ("blocked", "far_blocked_host"):
                        assert answer.status_code == 410, key
        assert {key: str(value)[:60] for key, value in wrong.items()} == {}
        assert cells > 1_500
        assert (await scene.pages["stranger"].get("/sitemap.xml")).status_code == 404


def _plain(answer: httpx.Response, work_id: int) -> tuple[int, str, dict[str, str]]:
    """An answer without what names its own address, request or browser."""
    body = answer.text.replace(str(work_id), "ID")
    body = re.sub(r'name="form_token" value="[0-9a-f]*"', "", body)
    ignored = {"x-request-id", "set-cookie", "content-length"}
    return answer.status_code, body, {name: value for name, value in answer.headers.items() if name not in ignored}


@pytest.mark.anyio
@pytest.mark.row(43)
async def test_no_route_does_anything_to_what_is_not_yours(tmp_path: Path) -> None:
    """Every route that changes something and has an id in its address, asked by another account (CVE-2026-22246)."""
    async with a_scene(tmp_path) as scene:
        instance = scene.people.instance
        answer = await scene.mira.api.post("/api/v2/media", files={"file": ("a.jpg", draw_sample(64, 48))})
        image_id = answer.json()["id"]
        before = await instance.storage.read(everything)
        nothing = str(new_id(instance.clock()))
        private = [str(scene.works[kind]) for kind in ("followers", "mentioned", "draft", "held", "waiting")]
        routes = [
            route
            for route in route_table(scene.people.app)
            if (route.methods or set()) - {"GET", "HEAD"} and parameters(route.path) and "follow" not in route.path
        ]
        assert len(routes) == 26
        verbs = ["like", "unlike", "boost", "unboost", "reply", "copy", "delete", "block", "mute"]
        token = await scene.other.browser.form_token("/search")
        asked = 0
        for route in routes:
            client = scene.other.browser.http if route.path in page_paths() else scene.other.api
            ids = [image_id] if "/media/" in route.path else private
            for method in (route.methods or set()) - {"GET", "HEAD"}:
                for verb in verbs:
                    for id_ in ids:
                        more = {"verb": [verb], "quoting_id": [nothing]}
                        (path,) = filled(route.path, {"id": [id_], "number": [id_], **more})
                        (absent_path,) = filled(route.path, {"id": [nothing], "number": [nothing], **more})
                        said = {"form_token": token, "text": "mine now", "status": "mine now", "action": "discard"}
                        headers = {"x-form-token": token, "tus-resumable": "1.0.0", "upload-length": "100", "upload-offset": "0"}
                        headers |= {"content-type": BODY_TYPE} if method == "PATCH" and "/uploads/" in path else {}
                        got = await client.request(method, path, data=said, headers=headers)
                        absent = await client.request(method, absent_path, data=said, headers=headers)
                        assert got.status_code == 404, (method, path)
                        assert _plain(got, int(id_)) == _plain(absent, int(nothing))
                        asked += 1
                    if "{verb}" not in route.path:
                        break
        assert asked > 50
        assert await instance.storage.read(everything) == before


@pytest.mark.anyio
@pytest.mark.row(44)
async def test_files_of_a_work_that_is_not_open_have_secret_names_and_no_cache_keeps_them(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        instance = world.instance
        ids = {}
        for visibility in ("public", "unlisted", "private", "direct"):
            media = await world.upload(draw_sample(96, 64))
            said = {"status": visibility, "media_ids": [media["id"]], "visibility": visibility}
            ids[visibility] = int((await world.client.post("/api/v1/statuses", json=said)).json()["id"])
        draft = await world.upload(draw_sample(96, 64))
        await until(lambda: _is_ready(world.client, draft["id"]))
        await until(lambda: instance.storage.read(_is_published, list(ids.values())))
        shown = await instance.storage.read(images.images_of_works, list(ids.values()))
        held = {visibility: shown[work_id][0] for visibility, work_id in ids.items()}
        held["unattached"] = (await instance.storage.read(images.shown_images, [int(draft["id"])]))[int(draft["id"])]
        secret: list[str] = []
        for visibility, picture in held.items():
            for rendition in (picture.public, picture.preview):
                assert rendition is not None
                answer = await world.stranger.get(f"/media/{rendition.name}")
                assert answer.status_code == 200
                if visibility in ("public", "unlisted"):
                    assert rendition.sha256 in rendition.name
                    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
                else:
                    assert re.fullmatch(r"p/[0-9a-f]{2}/[0-9a-f]{32}\.jpg", rendition.name)
                    assert answer.headers["cache-control"] == "private, no-store"
                    assert "etag" not in answer.headers
                    assert rendition.sha256[:32] not in rendition.name
                    secret.append(rendition.name)
                    by_content = f"/media/{rendition.sha256[:2]}/{rendition.sha256}.jpg"
                    # The same picture was published openly too, so that its content's name is an open one.
                    assert (await world.stranger.get(by_content)).headers["cache-control"].startswith("public")
        assert len(set(secret)) == len(secret) == 6
        # Deleted: the files go, whether they had a secret name or not; what another work shows stays.
        mira = world.artist
        await withdraw_work(instance, mira, ids["private"])
        await withdraw_work(instance, mira, ids["public"])
        gone, stays = held["private"].public, held["unlisted"].public
        assert gone is not None
        assert stays is not None
        assert (await world.stranger.get(f"/media/{gone.name}")).status_code == 404
        assert (await world.stranger.get(f"/media/{stays.name}")).status_code == 200


async def _is_ready(client: httpx.AsyncClient, media_id: str) -> bool:
    return (await client.get(f"/api/v1/media/{media_id}")).status_code == 200


@pytest.mark.anyio
async def test_a_reply_for_followers_stays_hidden_in_the_thread_of_an_open_work(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        instance, public = scene.people.instance, scene.works["public"]
        draft = Draft("a quiet answer", visibility=Visibility.FOLLOWERS, in_reply_to_id=public)
        async with running_jobs(instance):
            reply = await publish_work(instance, scene.mira.account, await start_draft(instance, scene.mira.account, draft))
            await until(lambda: instance.storage.read(_is_published, [reply]))
        for viewer in VIEWERS:
            (page,) = await _ask(scene, "page", viewer, public)
            (context,) = await _ask(scene, "api_context", viewer, public)
            expected = viewer in ("follower", "owner")
            assert ("a quiet answer" in page.text) == expected, viewer
            assert ("a quiet answer" in context.text) == expected, viewer


@pytest.mark.anyio
async def test_a_document_of_a_deleted_private_work_tells_no_stranger_that_there_was_one(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        ids = scene.people.instance.identifiers
        for kind, expected in (("deleted", True), ("deleted_followers", False)):
            uri = ids.work_uri("mira", scene.works[kind])
            assert await scene.people.instance.storage.read(rows.has_tombstone, uri) is expected


# ------------------------------------------------------------------------------------------- fewer people, afterwards


@pytest.mark.anyio
@pytest.mark.row(44)
async def test_a_work_that_is_for_fewer_people_loses_its_addresses_and_is_deleted_elsewhere(
    prepared: Path, tmp_path: Path
) -> None:
    async with a_far_scene(prepared, tmp_path) as scene, people_of(scene.world.instance) as people:
        world, instance = scene.world, scene.world.instance
        mira, friend, stranger = await people.person("mira"), await people.person("friend"), await people.person("someone")
        await follow(instance, friend.account, mira.account.actor_id)
        await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(world)))
        media = await world.upload(draw_sample(96, 64))
        work = await scene.post(f"an evening @{scene.eve.acct} #oil", media_ids=[media["id"]])  # type: ignore[arg-type]
        id_, page, edit = int(work["id"]), f"/@mira/{work['id']}", f"/works/{work['id']}/edit"
        await until(lambda: scene.far.received("Create"))
        await stranger.api.post(f"/api/v1/statuses/{id_}/reblog")
        old = await _names(instance, id_)
        assert not any(is_secret_name(name) for name in old)
        # Unlisted: nothing but lists and addresses change.
        said = {"text": f"an evening @{scene.eve.acct} #oil", "visibility": "unlisted"}
        assert (await mira.browser.send(edit, said, page=edit)).status_code == 303
        await until(lambda: scene.far.received("Update"))
        assert AS_PUBLIC in scene.far.received("Update")[-1]["object"]["cc"]
        assert await _names(instance, id_) == old
        assert str(id_) not in (await world.stranger.get("/api/v1/timelines/public")).text
        # For followers: other servers lose it, and so do all addresses.
        shown = (await mira.browser.get(edit)).text
        assert "no lock" in shown
        assert 'value="public"' not in shown
        updates = len(scene.far.received("Update"))
        words = "only for friends"
        assert (await mira.browser.send(edit, {"text": words, "visibility": "followers"}, page=edit)).status_code == 303
        assert await settled(world) == []
        for server in (scene.far, scene.other):
            (deleted,) = server.received("Delete")
            assert (deleted["object"]["id"], AS_PUBLIC in deleted["cc"]) == (work["uri"], True)
        assert [said for said in scene.far.received("Update")[updates:] if AS_PUBLIC in str(said)] == []
        new = await _names(instance, id_)
        assert all(is_secret_name(name) for name in new)
        assert len(new) == len(old)
        for name in old:
            gone = await world.stranger.get(f"/media/{name}")
            assert (gone.status_code, instance.files.path(name).exists()) == (410, False)
        for name in new:
            answer = await world.stranger.get(f"/media/{name}")
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-store")
        nothing = new_id(instance.clock())
        for client, sees in ((world.stranger, False), (stranger.browser.http, False), (friend.browser.http, True)):
            answer = await client.get(page)
            assert answer.status_code == (200 if sees else 404)
            assert (words in answer.text) == sees
            if not sees:
                assert _plain(answer, id_) == _plain(await client.get(f"/@mira/{nothing}"), nothing)
        for path in ("/@mira", "/@mira/feed.atom", "/tags/oil", "/users/mira/outbox?page=true"):
            assert (
                str(id_) not in (await world.stranger.get(path, headers={"accept": AP_TYPE if "users" in path else "*/*"})).text
            )
        assert str(id_) not in (await stranger.api.get("/api/v1/timelines/home")).text
        assert (await mira.browser.get(page)).text.count(words) >= 1
        # Wider again: no.
        refused = await mira.browser.send(edit, {"text": words, "visibility": "public"}, page=edit)
        assert refused.status_code == 422
        assert "not to more" in refused.text
        assert await _names(instance, id_) == new


async def _names(instance: Instance, work_id: int) -> set[str]:
    (shown,) = (await instance.storage.read(images.images_of_works, [work_id]))[work_id]
    return {rendition.name for rendition in shown.renditions}
