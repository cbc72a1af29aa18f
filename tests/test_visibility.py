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

import httpx
import pytest
from sqlalchemy import Connection, select

from fediart.domain.origin import Level
from fediart.domain.works import Visibility, WorkState
from fediart.ids import new_id
from fediart.jobs.runner import running_jobs
from fediart.media.sample import draw_sample
from fediart.storage import images, tables
from fediart.storage import works as rows
from fediart.studio.attach_images import attach_images
from fediart.studio.edit_profile import edit_profile
from fediart.studio.follow_actor import follow
from fediart.studio.publish_work import Draft, publish_work, start_draft
from fediart.studio.withdraw_work import withdraw_work
from tests.addresses import filled, page_paths, parameters, route_table
from tests.judged import a_file, work_of
from tests.people import People, Person, people_of
from tests.snapshot import everything
from tests.waiting import until
from tests.world import a_world

KINDS = ("public", "unlisted", "followers", "mentioned", "draft", "held", "waiting", "deleted", "deleted_followers")
VIEWERS = ("stranger", "other", "follower", "requested", "named", "owner", "narrow")
"""`named`: whom every work names. `requested`: asked to follow, not accepted. `narrow`: the owner's token, without read."""

EVERYBODY = frozenset(VIEWERS)
OWNER = frozenset({"owner"})
NOBODY: frozenset[str] = frozenset()
WITH_A_HOME = EVERYBODY - {"stranger", "narrow"}

SEES: dict[str, frozenset[str]] = {
    "public": EVERYBODY,
    "unlisted": EVERYBODY,
    "followers": frozenset({"follower", "named", "owner"}),
    "mentioned": frozenset({"named", "owner"}),
    "draft": OWNER,
    "held": OWNER,
    "waiting": OWNER,
    "deleted": NOBODY,
    "deleted_followers": NOBODY,
}
"""Who may see a work at all. Everything else in this file is a smaller circle."""

PUBLISHED = ("public", "unlisted", "followers", "mentioned")


def shown_in(surface: str, kind: str, viewer: str) -> bool:
    """The whole table."""
    if surface in ("page", "works page", "api show", "api context", "api quotes"):
        return viewer in SEES[kind]
    if surface in ("profile", "api account statuses"):
        return viewer in SEES[kind] and kind in PUBLISHED
    if surface in ("ap document", "ap activity", "ap replies", "ap context", "outbox", "feed"):
        return kind in ("public", "unlisted")
    if surface in ("tag page", "api tag", "api public timeline"):
        return kind == "public"
    if surface in ("home", "api home"):
        followers_see = ("public", "unlisted", "followers")
        return kind in {"owner": PUBLISHED, "follower": followers_see}.get(viewer, ())
    assert surface in ("notifications", "api notifications"), surface
    return viewer == "named" and kind in PUBLISHED


SINGLE = (
    *("page", "works page", "ap document", "ap activity", "ap replies", "ap context"),
    *("api show", "api context", "api quotes"),
)
LISTS = (
    "profile", "outbox", "feed", "tag page", "home", "notifications",
    "api account statuses", "api tag", "api public timeline", "api home", "api notifications",
)  # fmt: skip
PRIVATE = ("home", "notifications", "api home", "api notifications")


@dataclass(frozen=True, slots=True)
class Scene:
    people: People
    works: dict[str, int]
    pages: dict[str, httpx.AsyncClient]
    apis: dict[str, httpx.AsyncClient]
    mira: Person
    other: Person


@contextlib.asynccontextmanager
async def a_scene(folder: Path) -> AsyncIterator[Scene]:
    async with a_world(folder, jobs=False) as world, people_of(world.instance) as people:
        instance = world.instance
        mira = await people.person("mira")
        others = {name: await people.person(name) for name in ("other", "follower", "requested", "named")}
        await follow(instance, others["follower"].account, mira.account.actor_id)
        await edit_profile(instance, mira.account, name="Mira", bio="", fields=[], locked=True)
        await follow(instance, others["requested"].account, mira.account.actor_id)
        made: dict[str, int] = {}

        async def start(kind: str) -> int:
            visibility = Visibility(kind) if kind in PUBLISHED else Visibility.PUBLIC
            visibility = Visibility.FOLLOWERS if kind == "deleted_followers" else visibility
            return await start_draft(instance, mira.account, Draft(f"{kind} work for @named #oil", visibility=visibility))

        async with running_jobs(instance):
            for kind in (*PUBLISHED, "deleted", "deleted_followers"):
                made[kind] = await publish_work(instance, mira.account, await start(kind))
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
        narrow = await people.person("mira", "write follow")
        stranger = await people.client()
        everybody = {**others, "owner": mira}
        yield Scene(
            people,
            made,
            {"stranger": stranger, "narrow": narrow.api} | {name: person.browser.http for name, person in everybody.items()},
            {"stranger": stranger, "narrow": narrow.api} | {name: person.api for name, person in everybody.items()},
            mira,
            others["other"],
        )


def _is_published(db: Connection, ids: list[int]) -> bool:
    query = select(tables.works.c.id).where(tables.works.c.id.in_(ids), tables.works.c.state != WorkState.PUBLISHED)
    return db.execute(query).first() is None


def _address(scene: Scene, surface: str, work_id: int) -> str:
    mira = scene.mira.account.actor_id
    return {
        "page": f"/@mira/{work_id}",
        "works page": f"/works/{work_id}",
        "ap document": f"/users/mira/statuses/{work_id}",
        "ap activity": f"/users/mira/statuses/{work_id}/activity",
        "ap replies": f"/users/mira/statuses/{work_id}/replies?page=true",
        "ap context": f"/users/mira/statuses/{work_id}/context?page=true",
        "api quotes": f"/api/v1/statuses/{work_id}/quotes",
        "api show": f"/api/v1/statuses/{work_id}",
        "api context": f"/api/v1/statuses/{work_id}/context",
        "profile": "/@mira",
        "outbox": "/users/mira/outbox?page=true",
        "feed": "/@mira/feed.atom",
        "tag page": "/tags/oil",
        "home": "/home",
        "notifications": "/notifications",
        "api account statuses": f"/api/v1/accounts/{mira}/statuses",
        "api tag": "/api/v1/timelines/tag/oil",
        "api public timeline": "/api/v1/timelines/public",
        "api home": "/api/v1/timelines/home",
        "api notifications": "/api/v1/notifications",
    }[surface]


async def _ask(scene: Scene, surface: str, viewer: str, work_id: int) -> httpx.Response:
    client = (scene.apis if surface.startswith("api") else scene.pages)[viewer]
    accept = "application/activity+json" if surface.startswith("ap ") or surface == "outbox" else "*/*"
    return await client.get(_address(scene, surface, work_id), headers={"accept": accept})


@pytest.mark.anyio
async def test_every_work_is_seen_by_those_it_is_for_and_by_nobody_else(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        wrong: dict[tuple[str, str, str], Any] = {}
        cells = 0
        for viewer in VIEWERS:
            for surface in SINGLE:
                for kind, work_id in scene.works.items():
                    answer = await _ask(scene, surface, viewer, work_id)
                    absent = 410 if kind == "deleted" and not surface.startswith(("api", "works")) else 404
                    expected = (200, 303) if shown_in(surface, kind, viewer) else (absent,)
                    cells += 1
                    if answer.status_code not in expected:
                        wrong[surface, kind, viewer] = answer.status_code
            for surface in LISTS:
                answer = await _ask(scene, surface, viewer, 0)
                if surface in PRIVATE and viewer not in WITH_A_HOME:
                    wanted = 403 if viewer == "narrow" and surface.startswith("api") else 401
                    assert answer.status_code == wanted, (surface, viewer)
                else:
                    assert answer.status_code == 200, (surface, viewer)
                for kind, work_id in scene.works.items():
                    cells += 1
                    if (str(work_id) in answer.text) != shown_in(surface, kind, viewer):
                        wrong[surface, kind, viewer] = answer.status_code
                    if (f"{kind} work for" in answer.text) and not shown_in(surface, kind, viewer):
                        wrong[surface, kind, viewer] = "its words are told"
        assert wrong == {}
        assert cells == len(VIEWERS) * len(KINDS) * (len(SINGLE) + len(LISTS))


@pytest.mark.anyio
async def test_what_is_not_for_you_and_what_is_not_there_are_the_same_answer(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        nothing = new_id(scene.people.instance.clock())
        different = []
        for viewer in VIEWERS:
            for surface in SINGLE:
                absent = await _ask(scene, surface, viewer, nothing)
                assert absent.status_code == 404
                for kind, work_id in scene.works.items():
                    if shown_in(surface, kind, viewer) or kind == "deleted":
                        continue
                    answer = await _ask(scene, surface, viewer, work_id)
                    if _plain(answer, work_id) != _plain(absent, nothing):
                        different.append((surface, kind, viewer, answer.status_code))
        assert different == []


def _plain(answer: httpx.Response, work_id: int) -> tuple[int, str, dict[str, str]]:
    """An answer without what names its own address, request or browser."""
    body = answer.text.replace(str(work_id), "ID")
    body = re.sub(r'name="form_token" value="[0-9a-f]*"', "", body)
    ignored = {"x-request-id", "set-cookie", "content-length"}
    return answer.status_code, body, {name: value for name, value in answer.headers.items() if name not in ignored}


@pytest.mark.anyio
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
        assert len(routes) == 22
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
                        got = await client.request(method, path, data=said)
                        absent = await client.request(method, absent_path, data=said)
                        assert got.status_code == 404, (method, path)
                        assert _plain(got, int(id_)) == _plain(absent, int(nothing))
                        asked += 1
                    if "{verb}" not in route.path:
                        break
        assert asked > 50
        assert await instance.storage.read(everything) == before


@pytest.mark.anyio
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
async def test_pages_and_documents_tell_caches_for_whom_they_are(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        public = scene.works["public"]
        for viewer in VIEWERS:
            for surface in (*SINGLE, *LISTS):
                answer = await _ask(scene, surface, viewer, public)
                cache, vary = answer.headers.get("cache-control", ""), answer.headers.get("vary", "")
                if answer.status_code != 200:
                    continue
                if surface.startswith("ap ") or surface == "outbox":
                    assert cache == "public, max-age=60"
                    assert vary == "Accept, Signature"
                elif surface == "feed":
                    assert cache == "public, max-age=300"
                else:
                    assert cache == "private, no-store", surface
                    assert surface.startswith("api") or vary == "Accept, Cookie"


@pytest.mark.anyio
async def test_a_reply_for_followers_stays_hidden_in_the_thread_of_an_open_work(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        instance, public = scene.people.instance, scene.works["public"]
        draft = Draft("a quiet answer", visibility=Visibility.FOLLOWERS, in_reply_to_id=public)
        async with running_jobs(instance):
            reply = await publish_work(instance, scene.mira.account, await start_draft(instance, scene.mira.account, draft))
            await until(lambda: instance.storage.read(_is_published, [reply]))
        for viewer in VIEWERS:
            page = await _ask(scene, "page", viewer, public)
            context = await _ask(scene, "api context", viewer, public)
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
