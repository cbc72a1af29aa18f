"""What people do on pages, by plain forms and links: everything works without the script."""

from __future__ import annotations

import html
import re
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection

from fediart.domain.works import Visibility
from fediart.media.sample import draw_sample
from fediart.storage.tables import notifications, timeline
from fediart.studio.publish_work import Draft, publish_work, start_draft
from tests.people import Person, people_of
from tests.waiting import until
from tests.world import World, a_world


async def _published(world: World, who: Person, text: str) -> int:
    work_id = await publish_work(world.instance, who.account, await start_draft(world.instance, who.account, Draft(text)))
    await until(lambda: _answers(who.browser.http, f"/@{who.name}/{work_id}", "Delete this work"))
    return work_id


async def _answers(client: httpx.AsyncClient, path: str, words: str) -> bool:
    answer = await client.get(path)
    return answer.status_code == 200 and words in answer.text


def _words(page: str) -> str:
    """What is to be read, tags away."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.mark.anyio
async def test_following_liking_boosting_answering_editing_and_deleting_by_forms(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira, noor, sol = await people.person("mira"), await people.person("noor"), await people.person("sol")
        work = await _published(world, mira, "An evening #oil")
        found = await noor.browser.get("/search", params={"q": "@mira@localhost:8000"})
        assert (found.status_code, found.headers["location"]) == (303, "/@mira")
        follow = f"/follow/{mira.account.actor_id}"
        followed = await noor.browser.send(follow, {"action": "follow", "back": "/@mira"}, page="/@mira")
        assert followed.headers["location"] == "/@mira"
        assert "Following" in (await noor.browser.get("/@mira")).text
        assert "An evening" in (await noor.browser.get("/home")).text, "what was there before comes too"
        for verb, label in (("like", "Liked"), ("boost", "Boosted")):
            done = await noor.browser.send(f"/works/{work}/{verb}", {"back": f"/@mira/{work}"}, page=f"/@mira/{work}")
            assert (done.status_code, done.headers["location"]) == (303, f"/@mira/{work}")
            page = (await noor.browser.get(f"/@mira/{work}")).text
            assert f'action="/works/{work}/un{verb}"' in page
            assert f'<button aria-pressed="true">{label} <span>1</span>' in page
        await sol.browser.send(f"/follow/{noor.account.actor_id}", {"action": "follow"})
        second = await _published(world, mira, "A morning")
        await noor.browser.send(f"/works/{second}/boost")
        assert "noor" in _words((await sol.browser.get("/home")).text)
        assert "A morning" in (await sol.browser.get("/home")).text
        assert "A morning" not in (await sol.browser.get("/home?boosts=no")).text
        answered = await noor.browser.send(f"/works/{work}/reply", {"text": "so calm", "visibility": "public"})
        assert answered.headers["location"] == f"/works/{work}#talk"
        await until(lambda: _answers(world.stranger, f"/@mira/{work}", "so calm"))
        assert "so calm" not in (await sol.browser.get("/home")).text, "an answer comes to those who follow both"
        news = (await mira.browser.get("/notifications")).text
        for words in ("follows you", "likes your work", "boosted your work", "wrote to you"):
            assert words in news
        assert "fresh" in news
        assert "fresh" not in (await mira.browser.get("/notifications")).text, "seen once"
        edit = f"/works/{work}/edit"
        assert ">An evening #oil</textarea>" in (await mira.browser.get(edit)).text
        too_long = await mira.browser.send(edit, {"text": "x" * 5_001}, page=edit)
        assert too_long.status_code == 422
        assert "x" * 5_001 in too_long.text, "what was typed stays"
        assert (await mira.browser.send(edit, {"text": "A late evening"}, page=edit)).status_code == 303
        page = (await world.stranger.get(f"/@mira/{work}")).text
        assert "A late evening" in page
        assert "Edited" in page
        gone = await mira.browser.send(f"/works/{work}/delete", page=f"/@mira/{work}")
        assert gone.headers["location"] == "/@mira"
        assert (await world.stranger.get(f"/@mira/{work}")).status_code == 410
        assert "A late evening" not in (await noor.browser.get("/home")).text
        ended = await noor.browser.send(follow, {"action": "unfollow", "back": "/@mira"}, page="/@mira")
        assert ended.status_code == 303
        assert "A morning" not in _own_part((await noor.browser.get("/home")).text)


def _own_part(home: str) -> str:
    """A home without what somebody boosted."""
    return "".join(part for part in home.split('<article class="card">') if "boosted" not in part)


@pytest.mark.anyio
async def test_a_portfolio_a_home_and_a_tag_are_read_page_by_page_newest_first(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        made = []
        for number in range(33):
            draft = await start_draft(world.instance, mira.account, Draft(f"number-{number}- #oil"))
            made.append(await publish_work(world.instance, mira.account, draft))
        await until(lambda: _answers(world.stranger, f"/@mira/{made[-1]}", "number-32-"))
        await until(lambda: _answers(world.stranger, f"/@mira/{made[0]}", "number-0-"))
        for first in ("/@mira", "/home", "/tags/oil"):
            seen: list[int] = []
            path: str | None = first
            while path:
                page = (await mira.browser.get(path)).text
                seen += [int(number) for number in re.findall(r"number-(\d+)-", page)]
                older = re.search(r'<p class="more"><a class="button" href="([^"]+)"', page)
                path = (older[1] if older[1].startswith("/") else first + older[1]).replace("&amp;", "&") if older else None
            assert seen == list(range(32, -1, -1)), first


@pytest.mark.anyio
async def test_what_is_not_for_me_ends_neither_my_home_nor_my_news(tmp_path: Path) -> None:
    """Rows that nobody shows may fill a page; what is older must be found behind it."""
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        me, instance = mira.account.actor_id, world.instance
        shown = await publish_work(instance, noor.account, await start_draft(instance, noor.account, Draft("for everyone")))
        quiet = Draft("for followers", visibility=Visibility.FOLLOWERS)
        hidden = await publish_work(instance, noor.account, await start_draft(instance, noor.account, quiet))

        def fill(db: Connection) -> None:
            for number in range(89):
                work_id = shown if number == 0 else hidden
                db.execute(timeline.insert().values(actor_id=me, entry_id=number + 1, work_id=work_id))
                values = {"id": number + 1, "actor_id": me, "kind": "mention", "from_actor_id": noor.account.actor_id}
                db.execute(notifications.insert().values(**values, work_id=work_id))

        await instance.storage.write(fill)
        for path in ("/home", "/notifications"):
            read, pages = path, []
            while read:
                page = (await mira.browser.get(read)).text
                assert "for followers" not in page
                pages.append("for everyone" in page)
                assert not re.search("Quiet so far|Nothing yet|That is all", page)
                older = re.search(r'<p class="more"><a class="button" href="([^"]+)"', page)
                read = (older[1] if older[1].startswith("/") else path + older[1]) if older else ""
            assert pages == [False] * (len(pages) - 1) + [True], path
            assert len(pages) > 2
        for path in ("/api/v1/timelines/home", "/api/v1/notifications"):
            found, read = [], path
            while read:
                answer = await mira.api.get(read)
                found += answer.json()
                read = answer.links["next"]["url"] if "next" in answer.links else ""
            assert [item["id"] for item in found] == (["1"] if "notif" in path else [str(shown)])


@pytest.mark.anyio
async def test_until_an_avatar_is_cloaked_a_placeholder_stands_there(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        sent = await mira.browser.send("/settings/profile", {"name": "Mira"}, files={"avatar": ("a.jpg", draw_sample(96, 96))})
        assert sent.status_code == 303
        assert "/static/avatar.svg" in (await world.stranger.get("/@mira")).text
        me = (await world.client.get("/api/v1/accounts/verify_credentials")).json()
        assert me["avatar"] == "http://localhost:8000/static/avatar.svg"
        document = await world.stranger.get("/users/mira", headers={"accept": "application/activity+json"})
        assert "icon" not in document.json()


@pytest.mark.anyio
async def test_the_fields_of_a_profile_stay_as_they_were_typed_however_often_it_is_saved(tmp_path: Path) -> None:
    lines = ["https://mira.example/?a=1&b=2 (shop)", "#oil & <b>ink</b>", '5 > 3, "so"']
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page = "/settings/profile"
        said = {f"field-name-{n}": f"label {n}" for n in range(3)} | {f"field-value-{n}": line for n, line in enumerate(lines)}
        for _ in range(2):
            assert (await mira.browser.send(page, said, page=page)).status_code == 303
            held = re.findall(r'name="(field-(?:name|value)-\d)" value="([^"]*)"', (await mira.browser.get(page)).text)
            said = {name: html.unescape(value) for name, value in held}
            assert [said[f"field-value-{n}"] for n in range(3)] == lines
        shown = (await world.stranger.get("/@mira")).text
        assert '<a href="https://mira.example/?a=1&amp;b=2" rel="me nofollow' in shown
        assert "<b>ink" not in shown
        me = (await mira.api.get("/api/v1/accounts/verify_credentials")).json()
        assert [field["value"] for field in me["source"]["fields"]] == lines


@pytest.mark.anyio
async def test_whether_a_work_is_cloaked_is_shown_and_the_report_is_its_artists_alone(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        works = {}
        for cloaked in (True, False):
            draft = await start_draft(world.instance, mira.account)
            page = f"/compose/{draft}"
            await mira.browser.send(page, {"action": "add"}, files={"pictures": ("portrait.jpg", draw_sample(96, 64))}, page=page)
            (image,) = re.findall(r'data-image="(\d+)"', (await mira.browser.get(page)).text)
            said = {"action": "publish-anyway", f"cloak-{image}": "standard" if cloaked else "none"}
            sent = await mira.browser.send(page, said, page=page)
            works[cloaked] = sent.headers["location"].rpartition("/")[2]
        for cloaked, words in ((True, "Cloaked on this server."), (False, "Not cloaked.")):
            path = f"/@mira/{works[cloaked]}"
            await until(lambda path=path, words=words: _answers(world.stranger, path, words))  # type: ignore[misc]
            for client in (world.stranger, noor.browser.http):
                page = (await client.get(path)).text
                assert "/about/cloak" in page
                assert not re.search("PSNR|SSIM|FLIP|LIP|/originals/|/pictures/|portrait|weak", page)
            own = (await mira.browser.get(path)).text
            assert "/originals/" in own
            (record,) = re.findall(r"/pictures/\d+", own)
            assert ("PSNR" in (await mira.browser.get(record)).text) == cloaked
            for client in (world.stranger, noor.browser.http):
                assert (await client.get(record)).status_code in (303, 401, 404)


@pytest.mark.anyio
async def test_a_sensitive_work_shows_its_warning_first_and_no_picture_in_previews_and_feeds(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        media = await world.upload(draw_sample(96, 64))
        said = {"status": "Words", "spoiler_text": "A wound", "media_ids": [media["id"]]}
        work = (await world.client.post("/api/v1/statuses", json=said)).json()["id"]
        await until(lambda: _answers(world.stranger, f"/@mira/{work}", "A wound"))
        page = (await world.stranger.get(f"/@mira/{work}")).text
        assert page.index("<summary>A wound") < page.index('<img src="/media/')
        assert "og:image" not in page
        feed = (await world.stranger.get("/@mira/feed.atom")).text
        assert "A wound" in feed
        assert "/media/" not in feed
