"""The client API as Mastodon's clients use it: shapes, the upload's way, paging, scopes, errors."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, func, select

from fediart.clock import system_clock
from fediart.config import load_config
from fediart.domain.actors import Account
from fediart.errors import BadInput
from fediart.ids import new_id
from fediart.instance import open_instance
from fediart.jobs.runner import running_jobs
from fediart.media.sample import draw_sample
from fediart.storage import tables
from fediart.studio.open_account import open_account
from fediart.studio.publish_work import start_draft
from fediart.studio.sign_in import SCOPES, grant_token
from tests.addresses import filled, route_table
from tests.people import people_of
from tests.waiting import until
from tests.world import LOOPBACK, a_world

ACCOUNT = {
    "id", "username", "acct", "uri", "url", "display_name", "note", "avatar", "avatar_static", "header", "header_static",
    "locked", "bot", "group", "discoverable", "created_at", "last_status_at", "statuses_count", "followers_count",
    "following_count", "fields", "emojis",
}  # fmt: skip
STATUS = {
    "id", "uri", "url", "created_at", "edited_at", "account", "content", "visibility", "sensitive", "spoiler_text",
    "media_attachments", "mentions", "tags", "emojis", "reblogs_count", "favourites_count", "replies_count",
    "in_reply_to_id", "in_reply_to_account_id", "language", "reblog", "poll", "card", "favourited", "reblogged", "muted",
    "bookmarked", "pinned", "filtered",
}  # fmt: skip
ATTACHMENT = {"id", "type", "url", "preview_url", "remote_url", "meta", "description", "blurhash"}
RELATIONSHIP = {
    "id", "following", "requested", "followed_by", "showing_reblogs", "notifying", "languages", "blocking", "blocked_by",
    "muting", "muting_notifications", "requested_by", "domain_blocking", "endorsed", "note",
}  # fmt: skip

NEEDS: dict[tuple[str, str], str | None] = {
    ("GET", "/api/v1/instance"): None,
    ("GET", "/api/v2/instance"): None,
    ("GET", "/api/v1/accounts/verify_credentials"): "read:accounts",
    ("PATCH", "/api/v1/accounts/update_credentials"): "write:accounts",
    ("GET", "/api/v1/accounts/lookup"): None,
    ("GET", "/api/v1/accounts/relationships"): "read:follows",
    ("GET", "/api/v1/accounts/{id}"): None,
    ("GET", "/api/v1/accounts/{id}/statuses"): None,
    ("GET", "/api/v1/accounts/{id}/followers"): "read:accounts",
    ("GET", "/api/v1/accounts/{id}/following"): "read:accounts",
    ("POST", "/api/v1/accounts/{id}/follow"): "write:follows",
    ("POST", "/api/v1/accounts/{id}/unfollow"): "write:follows",
    ("POST", "/api/v1/accounts/{id}/remove_from_followers"): "write:follows",
    ("POST", "/api/v1/accounts/{id}/block"): "write:blocks",
    ("POST", "/api/v1/accounts/{id}/unblock"): "write:blocks",
    ("POST", "/api/v1/accounts/{id}/mute"): "write:mutes",
    ("POST", "/api/v1/accounts/{id}/unmute"): "write:mutes",
    ("GET", "/api/v1/blocks"): "read:blocks",
    ("GET", "/api/v1/mutes"): "read:mutes",
    ("GET", "/api/v1/domain_blocks"): "read:blocks",
    ("POST", "/api/v1/domain_blocks"): "write:blocks",
    ("DELETE", "/api/v1/domain_blocks"): "write:blocks",
    ("POST", "/api/v1/reports"): "write:reports",
    ("GET", "/api/v2/filters"): "read:filters",
    ("POST", "/api/v2/filters"): "write:filters",
    ("GET", "/api/v2/filters/{id}"): "read:filters",
    ("PUT", "/api/v2/filters/{id}"): "write:filters",
    ("DELETE", "/api/v2/filters/{id}"): "write:filters",
    ("GET", "/api/v1/follow_requests"): "read:follows",
    ("GET", "/api/v1/announcements"): "read:accounts",
    ("POST", "/api/v1/announcements/{id}/dismiss"): "write:accounts",
    ("POST", "/api/v1/follow_requests/{id}/authorize"): "write:follows",
    ("POST", "/api/v1/follow_requests/{id}/reject"): "write:follows",
    ("GET", "/api/v2/search"): "read:search",
    ("POST", "/api/v1/media"): "write:media",
    ("POST", "/api/v2/media"): "write:media",
    ("GET", "/api/v1/media/{id}"): "write:media",
    ("PUT", "/api/v1/media/{id}"): "write:media",
    ("POST", "/api/v1/statuses"): "write:statuses",
    ("GET", "/api/v1/statuses/{id}"): None,
    ("DELETE", "/api/v1/statuses/{id}"): "write:statuses",
    ("PUT", "/api/v1/statuses/{id}"): "write:statuses",
    ("GET", "/api/v1/statuses/{id}/context"): None,
    ("PUT", "/api/v1/statuses/{id}/interaction_policy"): "write:statuses",
    ("GET", "/api/v1/statuses/{id}/quotes"): None,
    ("POST", "/api/v1/statuses/{id}/quotes/{quoting_id}/revoke"): "write:statuses",
    ("GET", "/api/v1/statuses/{id}/favourited_by"): None,
    ("GET", "/api/v1/statuses/{id}/reblogged_by"): None,
    ("POST", "/api/v1/statuses/{id}/favourite"): "write:favourites",
    ("POST", "/api/v1/statuses/{id}/unfavourite"): "write:favourites",
    ("POST", "/api/v1/statuses/{id}/reblog"): "write:statuses",
    ("POST", "/api/v1/statuses/{id}/unreblog"): "write:statuses",
    ("GET", "/api/v1/timelines/home"): "read:statuses",
    ("GET", "/api/v1/timelines/public"): None,
    ("GET", "/api/v1/timelines/tag/{tag}"): None,
    ("GET", "/api/v1/notifications"): "read:notifications",
}
"""What Mastodon's documentation asks of a token, for every route of ours. None: open to all."""

ALSO = {f"{whole}:{part}": {whole, "follow"} for whole in ("read", "write") for part in ("blocks", "follows", "mutes")}
"""Scopes that cover another, besides its own first half."""


def _ids_are_strings(value: Any) -> bool:
    if isinstance(value, dict):
        for key, inner in value.items():
            if (key == "id" or key.endswith("_id")) and inner is not None and not isinstance(inner, str):
                return False
            if not _ids_are_strings(inner):
                return False
    return all(_ids_are_strings(inner) for inner in value) if isinstance(value, list) else True


async def _published(world: Any, *texts: str, **more: Any) -> list[str]:
    """Works by the API, each out before the next; their ids, oldest first."""
    made: list[str] = []
    for text in texts:
        answer = await world.client.post("/api/v1/statuses", json={"status": text, **more})
        assert answer.status_code == 200, answer.text
        made.append(answer.json()["id"])
        await until(lambda: _is_out(world, made[-1]))
    return made


async def _is_out(world: Any, work_id: str) -> bool:
    query = select(tables.works.c.state).where(tables.works.c.id == int(work_id))
    state = await world.instance.storage.read(lambda db: db.execute(query).scalar())
    return bool(state == "published")


async def _until_ready(client: httpx.AsyncClient, media_id: str) -> list[int]:
    """The statuses a client sees while it asks, as runs."""
    seen: list[int] = []

    async def asked() -> bool:
        answer = await client.get(f"/api/v1/media/{media_id}")
        if answer.status_code == 206:
            assert answer.json()["url"] is None
            assert answer.json()["preview_url"] is None
        seen.append(answer.status_code)
        return answer.status_code != 206

    await until(asked)
    return list(dict.fromkeys(seen))


@pytest.mark.anyio
async def test_a_client_learns_who_it_is_and_where(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world:
        me = (await world.client.get("/api/v1/accounts/verify_credentials")).json()
        assert set(me) >= ACCOUNT | {"source"}
        assert me["acct"] == me["username"] == "mira"
        assert me["id"] == str(world.artist.actor_id)
        assert me["url"] == "http://localhost:8000/@mira"
        assert me["avatar"].startswith("http://localhost:8000/")
        assert set(me["source"]) >= {"note", "fields", "privacy", "sensitive", "language", "follow_requests_count"}
        assert (await world.client.get(f"/api/v1/accounts/{me['id']}")).json().items() <= me.items()
        v2 = (await world.stranger.get("/api/v2/instance")).json()
        assert v2["domain"] == "localhost:8000"
        assert v2["registrations"]["enabled"] is False
        assert v2["configuration"]["statuses"]["max_media_attachments"] == 12
        assert "image/webp" in v2["configuration"]["media_attachments"]["supported_mime_types"]
        assert (await world.stranger.get("/api/v1/instance")).json()["uri"] == "localhost:8000"


@pytest.mark.anyio
async def test_a_picture_goes_up_at_once_is_cloaked_and_only_then_has_an_address(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world:
        sent = await world.client.post(
            "/api/v2/media",
            files={"file": ("evening.jpg", draw_sample(320, 240), "image/jpeg")},
            data={"description": "A low sun", "focus": "0.5,-0.25"},
        )
        assert sent.status_code == 202
        first = sent.json()
        assert set(first) >= ATTACHMENT
        assert (first["type"], first["url"], first["preview_url"], first["description"]) == ("image", None, None, "A low sun")
        asked = await world.client.get(f"/api/v1/media/{first['id']}")
        assert asked.status_code == 206
        changed = await world.client.put(f"/api/v1/media/{first['id']}", json={"description": "A lower sun"})
        assert changed.json()["description"] == "A lower sun"
        # Posted while it waits: the answer has the work's final id; strangers see nothing yet.
        said = {"status": "An evening #oil", "media_ids": [first["id"]], "sensitive": True, "spoiler_text": "sun"}
        posted = await world.client.post("/api/v1/statuses", json=said)
        assert posted.status_code == 200
        status = posted.json()
        assert set(status) >= STATUS
        assert status["media_attachments"][0]["url"] is None
        assert (await world.stranger.get(f"/api/v1/statuses/{status['id']}")).status_code == 404
        async with running_jobs(world.instance):
            assert await _until_ready(world.client, first["id"]) in ([200], [206, 200])
            await until(lambda: _is_out(world, status["id"]))
        seen = (await world.stranger.get(f"/api/v1/statuses/{status['id']}")).json()
        assert (seen["visibility"], seen["sensitive"], seen["spoiler_text"], seen["language"]) == ("public", True, "sun", None)
        assert seen["tags"] == [{"name": "oil", "url": "http://localhost:8000/tags/oil"}]
        (picture,) = seen["media_attachments"]
        assert picture["description"] == "A lower sun"
        assert picture["meta"]["focus"] == {"x": 0.5, "y": -0.25}
        assert picture["meta"]["original"]["size"] == "320x240"
        assert len(picture["blurhash"]) > 20
        assert (await world.stranger.get(picture["url"])).headers["content-type"] == "image/jpeg"
        assert (await world.stranger.get(picture["preview_url"])).status_code == 200
        assert _ids_are_strings(seen)
        assert (await world.stranger.get(f"/api/v1/media/{first['id']}")).status_code == 401


@pytest.mark.anyio
async def test_a_post_with_ready_pictures_is_out_with_its_answer_and_its_addresses_last(tmp_path: Path) -> None:
    """A client shows the answer as it is: an address in it that is gone a moment later would be a broken picture."""
    async with a_world(tmp_path) as world:
        media = await world.upload(draw_sample(96, 64))
        assert (await _until_ready(world.client, media["id"]))[-1] == 200
        posted = (await world.client.post("/api/v1/statuses", json={"status": "x", "media_ids": [media["id"]]})).json()
        seen = await world.stranger.get(f"/api/v1/statuses/{posted['id']}")
        assert seen.status_code == 200
        assert seen.json()["media_attachments"] == posted["media_attachments"]
        await until(lambda: world.instance.storage.read(_no_jobs))
        for name in ("url", "preview_url"):
            answer = await world.stranger.get(posted["media_attachments"][0][name])
            assert (answer.status_code, answer.headers["cache-control"][:6]) == (200, "public")
        assert not list((tmp_path / "media" / "p").rglob("*.jpg")), "what had a secret name is gone"


def _no_jobs(db: Connection) -> bool:
    return db.execute(select(tables.jobs.c.id)).first() is None


@pytest.mark.anyio
async def test_a_picture_that_cannot_be_opened_is_told_as_422_and_its_post_as_well(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        refused = await world.client.post("/api/v2/media", files={"file": ("a.jpg", b"not a picture")})
        assert refused.status_code == 422
        assert "not a JPEG, PNG, WebP, GIF or AVIF" in refused.json()["error"]
        assert (await world.client.post("/api/v2/media", data={"description": "x"})).status_code == 422
        # The header is good, the rest is cut off: that is seen when it is decoded.
        media = await world.upload(draw_sample(320, 240)[:4_000])
        seen = await _until_ready(world.client, media["id"])
        if seen[-1] == 422:
            answer = await world.client.get(f"/api/v1/media/{media['id']}")
            assert "error" in answer.json()
            assert (
                await world.client.post("/api/v1/statuses", json={"status": "x", "media_ids": [media["id"]]})
            ).status_code == 422
            assert await _drafts(world) == 0
        assert seen[-1] == 422


async def _drafts(world: Any) -> int:
    query = select(func.count()).select_from(tables.works).where(tables.works.c.state == "draft")
    return int(await world.instance.storage.read(lambda db: db.execute(query).scalar_one()))


@pytest.mark.anyio
async def test_what_cannot_be_posted_leaves_no_draft_and_takes_no_picture_from_another(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        draft = await start_draft(world.instance, world.artist)
        page = f"/compose/{draft}"
        await mira.browser.send(page, {"action": "add"}, files={"pictures": ("a.jpg", draw_sample(64, 48))}, page=page)
        held = await world.instance.storage.read(_images_of, draft)
        assert len(held) == 1
        mine = await world.upload(draw_sample(64, 48))
        for said in (
            {"status": ""},
            {"status": "x" * 5_001},
            {"status": "x", "visibility": "everyone"},
            {"status": "x", "in_reply_to_id": str(new_id(world.instance.clock()))},
            {"status": "x", "media_ids": [mine["id"], str(held[0])]},
            {"status": "x", "media_ids": ["1"]},
            {"status": "x", "media_ids": [str(n + 1) for n in range(13)]},
        ):
            answer = await world.client.post("/api/v1/statuses", json=said)
            assert answer.status_code in (404, 422), said
            assert answer.json()["error"]
        assert await _drafts(world) == 1, "the one in the composer"
        assert await world.instance.storage.read(_images_of, draft) == held, "the composer's picture stayed where it was"
        ok = await world.client.post("/api/v1/statuses", json={"status": "x", "media_ids": [mine["id"]]})
        assert ok.status_code == 200, "a picture of a post that failed can be posted"


def _images_of(db: Connection, work_id: int) -> list[int]:
    return list(db.execute(select(tables.images.c.id).where(tables.images.c.work_id == work_id)).scalars())


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["json", "form", "multipart", "query"])
async def test_a_client_may_say_it_as_json_as_a_form_or_in_the_query(tmp_path: Path, how: str) -> None:
    async with a_world(tmp_path, jobs=False) as world:
        first, second = await world.upload(draw_sample(64, 48)), await world.upload(draw_sample(48, 64))
        ids = [second["id"], first["id"]]
        said: dict[str, Any] = {"status": "words", "visibility": "private"}
        if how == "json":
            answer = await world.client.post("/api/v1/statuses", json={**said, "media_ids": ids})
        elif how == "form":
            answer = await world.client.post("/api/v1/statuses", data={**said, "media_ids[]": ids})
        elif how == "multipart":
            parts: list[Any] = [(name, (None, value)) for name, value in said.items()]
            answer = await world.client.post("/api/v1/statuses", files=[*parts, *(("media_ids[]", (None, id_)) for id_ in ids)])
        else:
            answer = await world.client.post("/api/v1/statuses", params={**said, "media_ids[]": ids})
        assert answer.status_code == 200, answer.text
        assert answer.json()["visibility"] == "private"
        assert [item["id"] for item in answer.json()["media_attachments"]] == ids


@pytest.mark.anyio
async def test_asking_again_with_the_same_key_within_an_hour_publishes_once(tmp_path: Path) -> None:
    now = system_clock()

    def clock() -> int:
        return now

    async with open_instance(load_config(None, {}, LOOPBACK), tmp_path, clock=clock) as instance, people_of(instance) as people:
        account = await open_account(instance, "mira", "a password to test with")
        one = await people.client(await grant_token(instance, "mira", "write", "one"))
        two = await people.client(await grant_token(instance, "mira", "write", "two"))

        async def post(client: httpx.AsyncClient, key: str, text: str = "once") -> str:
            answer = await client.post("/api/v1/statuses", json={"status": text}, headers={"idempotency-key": key})
            assert answer.status_code == 200, answer.text
            return str(answer.json()["id"])

        at_once = await asyncio.gather(*(post(one, "a") for _ in range(5)))
        assert len(set(at_once)) == 1
        assert await post(one, "b") != at_once[0]
        assert await post(two, "a") != at_once[0], "another client's key is another key"
        # What failed may be tried again under the same key.
        failed = await one.post("/api/v1/statuses", json={"status": ""}, headers={"idempotency-key": "c"})
        assert failed.status_code == 422
        assert await post(one, "c")
        now += 59 * 60_000
        assert await post(one, "a") == at_once[0]
        now += 2 * 60_000
        assert await post(one, "a") != at_once[0]
        assert await instance.storage.read(_count_of, account) == 5


def _count_of(db: Connection, account: Account) -> int:
    return db.execute(select(func.count()).where(tables.works.c.actor_id == account.actor_id)).scalar_one()


@pytest.mark.anyio
async def test_timelines_are_paged_by_their_link_headers(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        made = await _published(world, *(f"number {n} #oil" for n in range(7)))
        newest_first = made[::-1]
        me = world.artist.actor_id
        for path in (
            "/api/v1/timelines/home",
            f"/api/v1/accounts/{me}/statuses",
            "/api/v1/timelines/public",
            "/api/v1/timelines/tag/oil",
        ):
            address: str | None = f"{path}?limit=3"
            pages = []
            while address:
                answer = await world.client.get(address)
                assert answer.status_code == 200
                pages.append([item["id"] for item in answer.json()])
                links: Any = answer.links
                assert not pages[-1] or set(links) == {"next", "prev"}
                address = links["next"]["url"] if pages[-1] else None
                assert address is None or ("limit=3" in address and address.startswith("http://localhost:8000/api/"))
            assert pages == [newest_first[:3], newest_first[3:6], newest_first[6:], []], path
            # Upwards: `min_id` gives what comes right after, `since_id` the newest.
            up = await world.client.get(f"{path}?limit=2&min_id={made[0]}")
            assert [item["id"] for item in up.json()] == [made[2], made[1]]
            since = await world.client.get(f"{path}?limit=2&since_id={made[0]}")
            assert [item["id"] for item in since.json()] == newest_first[:2]
            prev = (await world.client.get(f"{path}?limit=3")).links["prev"]["url"]
            assert (await world.client.get(prev)).json() == []
            for odd in ("limit=0", "limit=999", "limit=x", "max_id=x", "max_id=99999999999999999999", "max_id=-1", "min_id=²"):
                assert (await world.client.get(f"{path}?{odd}")).status_code == 200


@pytest.mark.anyio
async def test_deleting_gives_the_words_back_and_what_is_gone_is_gone(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        (work_id,) = await _published(world, "to be deleted & redrafted")
        answer = await world.client.delete(f"/api/v1/statuses/{work_id}")
        assert answer.status_code == 200
        assert answer.json()["text"] == "to be deleted & redrafted"
        assert answer.json()["id"] == work_id
        for path in (f"/api/v1/statuses/{work_id}", f"/api/v1/statuses/{work_id}/context"):
            gone = await world.client.get(path)
            assert (gone.status_code, gone.json()) == (404, {"error": "Record not found"})
        assert (await world.client.delete(f"/api/v1/statuses/{work_id}")).status_code == 404
        assert (await world.client.get("/api/v1/timelines/home")).json() == []
        assert (await world.stranger.get(f"/users/mira/statuses/{work_id}")).status_code == 410


@pytest.mark.anyio
async def test_an_edit_changes_words_and_says_so(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        (work_id,) = await _published(world, "frist")
        answer = await world.client.put(f"/api/v1/statuses/{work_id}", json={"status": "first", "spoiler_text": "typo"})
        assert answer.status_code == 200
        assert answer.json()["content"] == "<p>first</p>"
        assert answer.json()["edited_at"] is not None
        seen = (await world.stranger.get(f"/api/v1/statuses/{work_id}")).json()
        assert (seen["content"], seen["spoiler_text"], seen["sensitive"]) == ("<p>first</p>", "typo", True)
        assert (await world.client.put(f"/api/v1/statuses/{work_id}", json={"status": "x" * 5_001})).status_code == 422


@pytest.mark.anyio
async def test_likes_boosts_replies_and_what_their_artist_hears(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        noor = await people.person("noor")
        await noor.api.post(f"/api/v1/accounts/{world.artist.actor_id}/follow")
        (work_id,) = await _published(world, "a work")
        liked = (await noor.api.post(f"/api/v1/statuses/{work_id}/favourite")).json()
        assert (liked["id"], liked["favourited"], liked["favourites_count"]) == (work_id, True, 1)
        assert (await noor.api.post(f"/api/v1/statuses/{work_id}/favourite")).json()["favourites_count"] == 1
        boost = (await noor.api.post(f"/api/v1/statuses/{work_id}/reblog")).json()
        assert boost["id"] != work_id
        assert boost["account"]["acct"] == "noor"
        assert (boost["reblog"]["id"], boost["reblog"]["reblogged"], boost["reblog"]["reblogs_count"]) == (work_id, True, 1)
        assert boost["reblog"]["account"]["acct"] == "mira"
        again = (await noor.api.post(f"/api/v1/statuses/{work_id}/reblog")).json()
        assert (again["id"], again["reblog"]["reblogs_count"]) == (boost["id"], 1)
        reply = (await noor.api.post("/api/v1/statuses", json={"status": "nice", "in_reply_to_id": work_id})).json()
        assert reply["in_reply_to_id"] == work_id
        await until(lambda: _is_out(world, reply["id"]))
        context = (await world.stranger.get(f"/api/v1/statuses/{work_id}/context")).json()
        assert [item["id"] for item in context["descendants"]] == [reply["id"]]
        context = (await world.stranger.get(f"/api/v1/statuses/{reply['id']}/context")).json()
        assert [item["id"] for item in context["ancestors"]] == [work_id]
        for whose in ("favourited_by", "reblogged_by"):
            path = f"/api/v1/statuses/{work_id}/{whose}"
            assert [item["acct"] for item in (await world.client.get(path)).json()] == ["noor"]
            assert (await noor.api.get(path)).json() == (await world.stranger.get(path)).json() == []
        told = (await world.client.get("/api/v1/notifications")).json()
        assert [item["type"] for item in told] == ["mention", "reblog", "favourite", "follow"]
        assert {item["account"]["acct"] for item in told} == {"noor"}
        assert ["status" in item and item["status"]["id"] for item in told] == [reply["id"], work_id, work_id, False]
        assert set(told[0]) >= {"id", "type", "created_at", "account"}
        assert _ids_are_strings(told)
        assert (await noor.api.post(f"/api/v1/statuses/{work_id}/unfavourite")).json()["favourites_count"] == 0
        undone = (await noor.api.post(f"/api/v1/statuses/{work_id}/unreblog")).json()
        assert (undone["id"], undone["reblogged"], undone["reblogs_count"]) == (work_id, False, 0)
        (private,) = await _published(world, "quiet", visibility="private")
        assert (await noor.api.post(f"/api/v1/statuses/{private}/reblog")).status_code == 422
        assert (await world.stranger.get(f"/api/v1/statuses/{private}/favourited_by")).status_code == 404


@pytest.mark.anyio
async def test_whom_a_work_mentions_and_answers_is_told_by_ids_under_which_they_are_found(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        noor = await people.person("noor")
        (work_id,) = await _published(world, "for @noor and @nobody@elsewhere.example")
        seen = (await world.stranger.get(f"/api/v1/statuses/{work_id}")).json()
        assert seen["in_reply_to_account_id"] is None
        (mention,) = seen["mentions"]
        told = (await world.stranger.get(f"/api/v1/accounts/{mention['id']}")).json()
        assert mention == {name: told[name] for name in ("id", "username", "acct", "url")}
        assert mention["id"] == str(noor.account.actor_id)
        said = {"status": "nice", "in_reply_to_id": work_id}
        reply = (await noor.api.post("/api/v1/statuses", json=said)).json()
        assert (reply["in_reply_to_id"], reply["in_reply_to_account_id"]) == (work_id, seen["account"]["id"])


@pytest.mark.anyio
async def test_following_and_finding_people_of_this_server(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        noor = await people.person("noor")
        me = str(world.artist.actor_id)
        for words in ("mira", "@mira", "@mira@localhost:8000", "http://localhost:8000/@mira", "http://localhost:8000/users/mira"):
            for resolve in ("true", "false"):
                found = (await noor.api.get("/api/v2/search", params={"q": words, "resolve": resolve})).json()
                assert set(found) == {"accounts", "statuses", "hashtags"}
                if resolve == "true" or not words.startswith("http"):
                    assert [item["id"] for item in found["accounts"]] == [me], words
        nobody = (await noor.api.get("/api/v2/search", params={"q": "nobody at all", "resolve": "true"})).json()
        assert nobody == {"accounts": [], "statuses": [], "hashtags": []}
        followed = await noor.api.post(f"/api/v1/accounts/{me}/follow", json={"reblogs": False})
        assert set(followed.json()) >= RELATIONSHIP
        assert (followed.json()["following"], followed.json()["showing_reblogs"]) == (True, False)
        asked = await world.client.get(f"/api/v1/accounts/relationships?id[]={noor.account.actor_id}&id[]={me}")
        assert [item["id"] for item in asked.json()] == [str(noor.account.actor_id), me]
        assert (asked.json()[0]["followed_by"], asked.json()[0]["following"]) == (True, False)
        ola = await people.person("ola")
        await ola.api.post(f"/api/v1/accounts/{me}/follow")
        path = f"/api/v1/accounts/{me}/followers"
        first = await world.client.get(path, params={"limit": 1})
        assert [item["acct"] for item in first.json()] == ["ola"], "the newest first"
        rest = await world.client.get(first.links["next"]["url"])
        assert [item["acct"] for item in rest.json()] == ["noor"]
        assert (await world.client.get(rest.links["next"]["url"])).json() == []
        assert [item["id"] for item in (await ola.api.get(f"/api/v1/accounts/{ola.account.actor_id}/following")).json()] == [me]
        assert (await ola.api.get(path)).json() == [], "whom an artist knows is not given away"
        ended = await noor.api.post(f"/api/v1/accounts/{me}/unfollow")
        assert ended.json()["following"] is False
        looked_up = await world.stranger.get("/api/v1/accounts/lookup?acct=@noor@localhost:8000")
        assert looked_up.json()["id"] == str(noor.account.actor_id)
        assert (await world.client.post(f"/api/v1/accounts/{me}/follow")).status_code == 422


@pytest.mark.anyio
async def test_a_works_address_is_found_by_search(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        noor = await people.person("noor")
        (open_id,) = await _published(world, "open")
        (quiet_id,) = await _published(world, "quiet", visibility="private")
        for who, work_id, expected in ((noor.api, open_id, 1), (noor.api, quiet_id, 0), (world.client, quiet_id, 1)):
            for address in (f"http://localhost:8000/users/mira/statuses/{work_id}", f"http://localhost:8000/@mira/{work_id}"):
                found = (await who.get("/api/v2/search", params={"q": address, "resolve": "true", "type": "statuses"})).json()
                assert len(found["statuses"]) == expected, address


# ------------------------------------------------------------------------------------------------ scopes and errors


@pytest.mark.anyio
async def test_every_route_takes_the_scopes_that_are_documented_and_no_other(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        routes = {
            (method, route.path)
            for route in route_table(people.app)
            if route.path.startswith(("/api/", "/oauth/"))
            for method in (route.methods or set()) - {"HEAD"}
        }
        assert routes == set(NEEDS), "a route whose scope is not documented here"
        scopes = [*SCOPES, *(f"{whole}:{part}" for whole, parts in SCOPES.items() for part in parts)]
        nothing = str(new_id(world.instance.clock()))
        wrong = []
        for scope in scopes:
            client = await people.client(await grant_token(world.instance, "mira", scope, "tests"))
            for (method, path), needed in NEEDS.items():
                (address,) = filled(path, {"id": [nothing], "quoting_id": [nothing], "tag": ["oil"]})
                answer = await client.request(method, address)
                allowed = needed is None or scope in {needed, needed.split(":")[0], *ALSO.get(needed, set())}
                if (answer.status_code not in (401, 403)) != allowed or answer.status_code >= 500:
                    wrong.append((method, path, scope, answer.status_code))
                if not allowed:
                    assert answer.json() == {"error": "This action is outside the authorized scopes"}
        assert wrong == []
        for (method, path), needed in NEEDS.items():
            (address,) = filled(path, {"id": [nothing], "quoting_id": [nothing], "tag": ["oil"]})
            for client, refusal in ((world.stranger, needed is not None), (await people.client("made up"), True)):
                answer = await client.request(method, address)
                if refusal and (needed is not None):
                    assert answer.status_code == 401, (method, path)
                    assert list(answer.json()) == ["error"]


@pytest.mark.anyio
async def test_a_token_for_reading_works_sees_what_its_account_may_see(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        (quiet,) = await _published(world, "quiet", visibility="private")
        for scopes, status in (("read:statuses", 200), ("read", 200), ("read:accounts", 404), ("write", 404)):
            client = await people.client(await grant_token(world.instance, "mira", scopes, "tests"))
            assert (await client.get(f"/api/v1/statuses/{quiet}")).status_code == status, scopes


@pytest.mark.anyio
async def test_only_known_scopes_are_granted(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world:
        for scopes in ("", "admin", "read:everything", "follow:me", "read write admin:write", "read,write"):
            with pytest.raises(BadInput, match="Unknown scope"):
                await grant_token(world.instance, "mira", scopes, "tests")
        assert await grant_token(world.instance, "@Mira", "read:statuses write:media", "tests")


@pytest.mark.anyio
async def test_errors_are_json_with_a_sentence_and_open_to_every_origin(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world:
        as_json = {"content-type": "application/json"}
        cases: list[tuple[str, str, dict[str, Any], int]] = [
            ("GET", "/api/v1/nothing", {}, 404),
            ("GET", "/api/v1/statuses/x", {}, 404),
            ("GET", "/api/v1/statuses/99999999999999999999", {}, 404),
            ("PATCH", "/api/v1/statuses", {}, 405),
            ("POST", "/api/v1/statuses", {"content": b"{", "headers": as_json}, 400),
            ("POST", "/api/v1/statuses", {"content": b"[1]", "headers": as_json}, 400),
            ("POST", "/api/v1/statuses", {"content": b"[" * 90_000, "headers": as_json}, 400),
            (
                "POST",
                "/api/v1/statuses",
                {"content": b'{"status": "\xff"}', "headers": as_json},
                400,
            ),
            ("POST", "/api/v1/statuses", {"content": b"x" * 4_000_001, "headers": as_json}, 413),
            ("POST", "/api/v1/statuses", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 422),
            ("POST", "/api/v1/statuses", {"json": {"status": {"a": 1}, "sensitive": [], "media_ids": "1"}}, 422),
        ]
        for method, path, more, status in cases:
            answer = await world.client.request(method, path, **more)
            assert answer.status_code == status, (path, more)
            assert list(answer.json()) == ["error"]
            assert isinstance(answer.json()["error"], str)
            assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.anyio
@pytest.mark.row(47)
async def test_a_program_in_a_browser_may_ask_from_any_origin_but_never_with_our_cookies(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        asks = {"origin": "https://client.example", "access-control-request-method": "POST"}
        for path in ("/api/v1/statuses", "/api/v2/media", "/api/v1/nothing"):
            preflight = await world.stranger.options(path, headers=asks)
            assert preflight.status_code == 204
            assert preflight.headers["access-control-allow-origin"] == "*"
            assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]
            assert "DELETE" in preflight.headers["access-control-allow-methods"]
        home = await world.client.get("/api/v1/timelines/home", headers={"origin": "https://client.example"})
        assert "Link" in home.headers["access-control-expose-headers"]
        for path in ("/", "/sign-in", "/home", "/settings/profile"):
            page = await world.stranger.get(path, headers={"origin": "https://client.example"})
            assert "access-control-allow-origin" not in page.headers
        mira = await people.person("mira")
        for path in ("/api/v1/accounts/verify_credentials", "/api/v1/timelines/home"):
            answer = await mira.browser.get(path)
            assert answer.status_code == 401, "a cookie is no token"
            assert "access-control-allow-credentials" not in answer.headers
