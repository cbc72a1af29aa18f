"""Whoever puts the id of another's thing into an address finds nothing there, and changes nothing (CVE-2026-22246)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, insert

from fediart.domain.reviews import ReviewKind
from fediart.domain.works import WorkState
from fediart.ids import new_id
from fediart.media.sample import draw_sample
from fediart.media.targets import PLATFORMS
from fediart.storage.reviews import open_review
from fediart.storage.tables import review_files
from fediart.studio.edit_profile import edit_profile
from fediart.web.pages.resumable import BODY_TYPE
from tests.addresses import filled, parameters, route_table
from tests.judged import work_of
from tests.people import People, Person, people_of
from tests.snapshot import everything
from tests.waiting import until
from tests.world import World, a_world

pytestmark = [pytest.mark.anyio, pytest.mark.row(43)]

OPEN = "said to everybody, of what is open; test_visibility has who sees which work"
PEOPLE = "done in one's own name, to whomever; test_block_matrix has who may"

WHOSE = {
    "/media/{name:path}": OPEN, "/static/{name}": OPEN, "/labels/{name}": OPEN, "/tags/{tag}": OPEN, "/nodeinfo/{version}": OPEN,
    "/ai-policy/revisions/{number}": OPEN, "/@{name}": OPEN, "/@{name}/feed.atom": OPEN, "/@{name}/rights": OPEN,
    "/@{name}/{work_id}": OPEN, "/api/v1/timelines/tag/{tag}": OPEN, "/api/v1/accounts/{id}": OPEN,
    "/api/v1/accounts/{id}/statuses": OPEN, "/api/v1/accounts/{id}/followers": OPEN, "/api/v1/accounts/{id}/following": OPEN,
    "/follow/{id}": PEOPLE, "/people/{id}/{verb}": PEOPLE, "/report/{id}": PEOPLE, "/announcements/{number}/dismiss": PEOPLE,
    "/api/v1/announcements/{id}/dismiss": PEOPLE, "/api/v1/accounts/{id}/follow": PEOPLE,
    "/api/v1/accounts/{id}/unfollow": PEOPLE,
    "/api/v1/accounts/{id}/block": PEOPLE, "/api/v1/accounts/{id}/unblock": PEOPLE, "/api/v1/accounts/{id}/mute": PEOPLE,
    "/api/v1/accounts/{id}/unmute": PEOPLE, "/api/v1/accounts/{id}/remove_from_followers": PEOPLE,
    "/originals/{image_id}": "picture", "/pictures/{id}": "picture", "/pictures/{id}/original": "picture",
    "/pictures/{id}/cloaked": "picture",
    "/pictures/{id}/difference": "picture", "/api/v1/media/{id}": "loose picture", "/compose/{id}": "draft",
    "/compose/{id}/progress": "draft", "/compose/{id}/uploads": "draft", "/uploads/{id}": "upload", "/copies/{id}": "copy",
    "/works/{id}": "work", "/works/{id}/copies": "work", "/works/{id}/edit": "work", "/works/{id}/{verb}": "work",
    "/decisions/{id}": "review", "/decisions/{id}/files/{file_id}": "review", "/follow-requests/{id}": "request",
    "/admin/review/{id}": "review", "/admin/review/{id}/pictures/{image_id}": "review",
    "/api/v1/statuses/{id}": "work", "/api/v1/statuses/{id}/interaction_policy": "work", "/api/v1/statuses/{id}/quotes": "work",
    "/api/v1/statuses/{id}/quotes/{quoting_id}/revoke": "work", "/api/v1/statuses/{id}/context": "work",
    "/api/v1/statuses/{id}/favourited_by": "work", "/api/v1/statuses/{id}/reblogged_by": "work",
    "/api/v1/statuses/{id}/favourite": "work", "/api/v1/statuses/{id}/unfavourite": "work",
    "/api/v1/statuses/{id}/reblog": "work",
    "/api/v1/statuses/{id}/unreblog": "work", "/api/v2/filters/{id}": "filter",
    "/api/v1/follow_requests/{id}/authorize": "request", "/api/v1/follow_requests/{id}/reject": "request",
}  # fmt: skip
"""Address → whose it is: OPEN, PEOPLE, or which of mira's things is put into it. Documents under /users/ are open."""

NOT_HERS = ("/admin/review/{id}", "/admin/review/{id}/pictures/{image_id}")
"""She does not look after the server either."""

VERBS = ["like", "unlike", "boost", "unboost", "reply", "copy", "delete"]


@dataclass(frozen=True, slots=True)
class Hers:
    """mira's things, by name; and what else stands in the addresses of one."""

    ids: dict[str, str]
    more: dict[str, list[str]]


async def _hers(world: World, people: People, mira: Person, noor: Person) -> Hers:
    instance = world.instance
    picture, loose = [(await world.upload(draw_sample(96, 64, seed)))["id"] for seed in (1, 2)]
    said = {"status": "for a few", "media_ids": [picture], "visibility": "private"}
    work = (await mira.api.post("/api/v1/statuses", json=said)).json()["id"]

    async def is_quiet() -> bool:
        is_ready = (await mira.api.get(f"/api/v1/media/{loose}")).status_code == 200
        return is_ready and (await work_of(instance, int(work))).state == WorkState.PUBLISHED

    await until(is_quiet)
    await edit_profile(instance, mira.account, name="Mira", bio="", fields=[], locked=True)
    await noor.api.post(f"/api/v1/accounts/{mira.account.actor_id}/follow")
    form = {"image": picture, "platform": next(iter(PLATFORMS))}
    assert (await mira.browser.send(f"/works/{work}/copy", form)).status_code == 303

    async def copied() -> str | None:
        (told,) = (await mira.browser.get(f"/works/{work}/copies")).json()["copies"]
        return told["id"] if told["state"] == "ready" else None

    copy = await until(copied)
    draft = (await mira.browser.send("/compose")).headers["location"]
    token = await mira.browser.form_token("/search")
    begun = await mira.browser.http.post(
        f"{draft}/uploads", headers={"tus-resumable": "1.0.0", "upload-length": "100", "x-form-token": token}
    )
    words = {"title": "t", "context": ["home"], "keywords_attributes": [{"keyword": "secret"}]}
    held = (await mira.api.post("/api/v2/filters", json=words)).json()["id"]
    review, file = new_id(instance.clock()), new_id(instance.clock())

    def review_with_a_file(db: Connection) -> int:
        now = instance.clock()
        made = open_review(db, ReviewKind.HELD, actor_id=mira.account.actor_id, work_id=int(work), now=now)
        shown = {"vault_key": instance.vault.put(b"x"), "name": "x.png", "media_type": "image/png", "bytes": 1, "added_at": now}
        db.execute(insert(review_files).values(id=file, review_id=made, **shown))
        return made

    review = await instance.storage.write(review_with_a_file)
    ids = {
        "picture": picture, "loose picture": loose, "work": work, "copy": copy, "draft": draft.rpartition("/")[2],
        "upload": begun.headers["location"].rpartition("/")[2], "filter": held, "review": str(review),
        "request": str(noor.account.actor_id),
    }  # fmt: skip
    return Hers(ids, {"file_id": [str(file)], "image_id": [picture], "verb": VERBS, "quoting_id": [work]})


def _methods(methods: set[str] | None) -> list[str]:
    return sorted((methods or set()) - ({"HEAD"} if "GET" in (methods or ()) else set()))


async def test_by_no_route_is_anything_of_hers_seen_or_changed_and_every_route_is_listed(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira, noor, other = [await people.person(name) for name in ("mira", "noor", "other")]
        routes = [route for route in route_table(people.app) if parameters(route.path) and not route.path.startswith("/users/")]
        assert {route.path for route in routes} == set(WHOSE), "say whose a new route's ids are"
        hers = await _hers(world, people, mira, noor)
        nothing = str(new_id(world.instance.clock()))
        stranger = await people.client()
        tokens = {person.name: await person.browser.form_token("/search") for person in (mira, other)}
        before = await world.instance.storage.read(everything)
        wrong: list[tuple[str, str, str, int]] = []
        for route in routes:
            whose = WHOSE[route.path]
            if whose in (OPEN, PEOPLE):
                continue
            paths = filled(route.path, {"id": [hers.ids[whose]], **hers.more})
            absent = filled(route.path, {"id": [nothing], **hers.more, "image_id": [nothing]})
            is_api = route.path.startswith("/api/")
            theirs = other.api if is_api else other.browser.http
            for method in _methods(route.methods):
                for path, empty in zip(paths, absent, strict=True):
                    got, same = [await _asked(theirs, method, each, tokens["other"]) for each in (path, empty)]
                    if got.status_code != 404 or _plain(got) != _plain(same):
                        wrong.append((method, path, "another", got.status_code))
                    refused = await _asked(stranger, method, path, "")
                    if refused.status_code not in (401, 403, 404):
                        wrong.append((method, path, "a stranger", refused.status_code))
                if method == "GET" and route.path not in NOT_HERS:
                    seen = await _asked(mira.api if is_api else mira.browser.http, "GET", paths[0], tokens["mira"])
                    if seen.status_code not in (200, 303):
                        wrong.append(("GET", paths[0], "hers", seen.status_code))
        assert wrong == []
        assert await world.instance.storage.read(everything) == before


async def _asked(who: httpx.AsyncClient, method: str, path: str, token: str) -> httpx.Response:
    headers = {"x-form-token": token, "tus-resumable": "1.0.0", "upload-length": "100", "upload-offset": "0"}
    said: dict[str, Any] = {
        "form_token": token,
        "text": "mine now",
        "status": "mine now",
        "action": "discard",
        "title": "mine now",
    }
    if method in ("GET", "HEAD"):
        return await who.request(method, path, headers=headers)
    if "/uploads/" in path and method == "PATCH":
        headers["content-type"] = BODY_TYPE
    return await who.request(method, path, data=said, headers=headers)


def _plain(answer: httpx.Response) -> tuple[int, str]:
    body = re.sub(r"[0-9]{10,20}", "ID", answer.text)
    return answer.status_code, re.sub(r'name="form_token" value="[0-9a-f]*"', "", body)
