"""A policy that changes is told to everyone here: in the news, on the pages and to client programs, until it is read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from fediart.domain.policy import PRESETS, AiPolicy, Preset, RemoteAction, with_preset
from fediart.domain.policy_keys import changed, keys_of
from fediart.domain.policy_words import change_between
from fediart.office.adopt_policy import adopt_policy
from fediart.storage import tables
from tests.judged import adopt, words_of
from tests.people import People, Person, people_of
from tests.world import World, a_world

NEWS = "The AI-art policy of this server has changed"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, jobs=False) as opened:
        yield opened


@pytest.fixture
async def people(world: World) -> AsyncIterator[People]:
    async with people_of(world.instance) as opened:
        yield opened


async def announced(who: Person, **asked: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await who.api.get("/api/v1/announcements", params=asked)).json()
    return found


def otherwise(key: str, value: object) -> object:
    """Another value that the key may have."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return ["one"]
    if isinstance(value, dict):
        return {"https://one.example/bot" if key.endswith("actors") else "one.example": "label"}
    named = {
        "statement_url": "https://art.example/policy",
        "enforce.rate_limit_anonymous": "60/min",
        "enforce.proof_of_work": "always",
        "reserve.robots_list": "off",
        "review.appeal_days": 7,
    }
    return named.get(key) or ("allow" if value != "allow" else "deny" if key.startswith("reserve.") else "label")


def test_whatever_changes_there_is_a_sentence_for_it() -> None:
    for key, value in keys_of(AiPolicy()).items():
        if key == "reserve.c2pa":
            continue
        lines = change_between(AiPolicy(), changed(AiPolicy(), {key: otherwise(key, value)})).lines
        assert len(lines) == 1, (key, lines)
        assert lines[0].endswith("."), lines
    assert change_between(AiPolicy(), replace(AiPolicy(), number=2, adopted_at=5)).lines == ()


def test_each_preset_is_told_by_what_it_means_for_uploads_and_posts() -> None:
    lines = change_between(PRESETS[Preset.HUMAN_ART], with_preset(PRESETS[Preset.HUMAN_ART], Preset.OPEN)).lines
    assert lines[0] == "This server takes pictures however they were made."
    assert (
        "Your uploads. Its file carries the settings of an image generator: nothing is done. "
        "Before: it waits until a moderator has looked at it."
    ) in lines
    assert any(line.startswith("Posts of other servers. Its author says") for line in lines)
    assert any(line.startswith("You are asked what machines may do") for line in lines)


def test_who_has_a_rule_of_their_own_is_not_named() -> None:
    remote = replace(AiPolicy().remote, domains={"rival.example": RemoteAction.FILTER})
    lines = change_between(AiPolicy(), replace(AiPolicy(), remote=remote)).lines
    assert lines == ("Rules for single servers or authors have changed.",)


@pytest.mark.anyio
async def test_a_change_is_told_in_the_news_on_every_page_and_to_programs_until_it_is_read(world: World, people: People) -> None:
    mira, noor = await people.person("mira"), await people.person("noor")
    for who in (mira, noor):
        assert await announced(who) == []
        assert NEWS not in (await who.browser.get("/home")).text
    await adopt(world.instance, Preset.LABEL_ONLY)
    (told,) = await announced(mira)
    assert (told["id"], told["read"]) == ("2", False)
    assert "AI-made pictures are welcome here, and are labelled." in str(told["content"])
    assert "/ai-policy/revisions/2" in str(told["content"])
    assert (await mira.api.get("/api/v1/notifications")).json() == [], "programs hear of it as an announcement"
    home = (await mira.browser.get("/home")).text
    assert "News <b" in home
    shown = words_of(await mira.browser.get("/search"))
    assert NEWS in shown
    assert "Say what machines may do" not in shown
    assert "All " in shown, "there are more than two"
    news = await mira.browser.get("/notifications")
    assert news.text.count(f"<strong>{NEWS}</strong>") == 2, "as news, and above the page"
    assert 'href="/ai-policy/revisions/2"' in news.text
    assert "News <b" not in (await mira.browser.get("/home")).text, "seen"
    stranger = await world.stranger.get("/ai-policy/revisions/2")
    assert "it is published with a label that says so. Before: it is not published." in words_of(stranger)
    assert "It holds now." in words_of(stranger)
    assert NEWS not in stranger.text, "strangers have no banner"
    assert "AI-made pictures are welcome here, and are labelled." in words_of(await world.stranger.get("/about"))
    assert (await world.stranger.get("/ai-policy/revisions/3")).status_code == 404
    assert (await world.stranger.get("/ai-policy/revisions/999999999999999")).status_code == 404

    composer = (await mira.browser.send("/compose")).headers["location"]
    assert NEWS not in (await mira.browser.get(composer)).text, "nothing that leads away from a half-written form"
    read = await mira.browser.send("/announcements/2/dismiss", {"back": "/search"}, page="/home")
    assert read.headers["location"] == "/search"
    assert NEWS not in (await mira.browser.get("/search")).text
    assert await announced(mira) == []
    ((read_already),) = await announced(mira, with_dismissed="true")
    assert (read_already["id"], read_already["read"]) == ("2", True)
    assert NEWS in (await noor.browser.get("/search")).text, "each for themselves"
    assert (await noor.api.post("/api/v1/announcements/2/dismiss")).json() == {}
    assert NEWS not in (await noor.browser.get("/search")).text
    assert (await noor.api.post("/api/v1/announcements/7/dismiss")).status_code == 404
    assert (await noor.api.post("/api/v1/announcements/x/dismiss")).status_code == 404
    assert (await world.stranger.get("/api/v1/announcements")).status_code == 401
    assert (await noor.browser.http.post("/announcements/2/dismiss")).status_code in (400, 403), "only from a page of ours"


@pytest.mark.anyio
async def test_several_changes_are_announced_as_one_and_one_that_was_taken_back_not_at_all(world: World, people: People) -> None:
    mira = await people.person("mira")
    await adopt(world.instance, Preset.LABEL_ONLY)
    await adopt(world.instance, Preset.OPEN)
    (told,) = await announced(mira)
    assert told["id"] == "3"
    assert "AI-made pictures are welcome here" not in str(told["content"]), "against what she knew, not against revision 2"
    page = (await mira.browser.get("/search")).text
    assert 'href="/settings/rights/first"' in page, "whom this policy asks is asked now, not at the next sign-in"
    link = re.search(r'href="(/ai-policy/revisions/3\?from=1)"', page)
    assert link
    assert "against revision 1" in words_of(await mira.browser.get(link[1]))
    assert (await mira.browser.get("/notifications")).text.count('class="notice wide') == 2
    await adopt(world.instance, Preset.HUMAN_ART)
    assert await announced(mira) == []
    assert f'aria-label="{NEWS[:22]}' not in (await mira.browser.get("/search")).text
    late = await people.person("late")
    assert await announced(late) == [], "who comes now agrees to what holds"


@pytest.mark.anyio
async def test_who_adopts_it_knows_and_who_is_behind_stays_so(world: World, people: People) -> None:
    mira, noor = await people.person("mira"), await people.person("noor")
    await world.instance.storage.write(lambda db: db.execute(update(tables.accounts).values(role="admin")) and None)
    await adopt_policy(world.instance, with_preset(world.instance.policy, Preset.OPEN), mira.account.id)
    assert await announced(mira) == []
    assert (await mira.browser.get("/notifications")).text.count(NEWS) == 0
    await adopt_policy(world.instance, with_preset(world.instance.policy, Preset.LABEL_ONLY), noor.account.id)
    (told,) = await announced(noor)
    assert "AI-made pictures are welcome here" in str(told["content"]), "she did not read the one before"
