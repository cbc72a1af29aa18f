"""Safety with buttons and commands: mutes, removed followers, reports both ways, replies, filters, roles, suspensions, hosts."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from fediart.domain.actors import Role
from fediart.domain.moderation import (
    CSV_HEADER,
    MAX_CASES_OF_HOST,
    MAX_CASES_OF_PERSON,
    Filter,
    FilterAction,
    FilterWord,
    HostAction,
    HostRule,
    HostRules,
    Place,
    hits,
    meant_host,
    names_above,
    read_hosts,
    write_hosts,
)
from fediart.domain.reservations import Answer
from fediart.office.adopt_policy import adopt_policy
from fediart.storage import accounts, audit, reports, tables
from fediart.studio.sign_in import grant_token
from tests.commands import run_commands
from tests.far_server import FarActor, artist_uri, find, settled
from tests.far_server import follow as follow_far
from tests.judged import a_file, becomes, sent_out, words_of
from tests.people import PASSWORD, People, Person, people_of
from tests.scene import Scene, a_scene
from tests.waiting import until

pytestmark = pytest.mark.anyio
AP = {"accept": "application/activity+json"}


@dataclass(frozen=True)
class Town:
    """Mira is the owner here, noor an artist."""

    scene: Scene
    house: People
    mira: Person
    noor: Person

    async def make(self, person: Person, role: Role) -> None:
        await self.scene.world.instance.storage.write(accounts.put_role, person.account.id, role)

    async def post(self, who: Person, words: str, **more: str) -> dict[str, Any]:
        answer = await who.api.post("/api/v1/statuses", data={"status": words, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def deeds(self) -> list[tuple[str, str, str, str]]:
        listed = await self.scene.world.instance.storage.read(audit.deeds)
        return [(deed.who, deed.verb, deed.subject, deed.detail) for deed in listed]

    def later(self, ms: int) -> None:
        real = self.scene.world.instance.clock
        self.scene.world.instance.clock = lambda: real() + ms


@pytest.fixture
async def town(prepared: Path, tmp_path: Path) -> AsyncIterator[Town]:
    async with contextlib.AsyncExitStack() as stack:
        scene = await stack.enter_async_context(a_scene(prepared, tmp_path))
        house = await stack.enter_async_context(people_of(scene.world.instance))
        town = Town(scene, house, await house.person("mira"), await house.person("noor"))
        await town.make(town.mira, Role.OWNER)
        yield town


# ---------------------------------------------------------------------------------------------------------- mutes


async def test_a_mute_for_a_time_ends_by_itself(town: Town) -> None:
    noor = town.noor.account.actor_id
    held = (await town.mira.api.post(f"/api/v1/accounts/{noor}/mute", data={"duration": "3600"})).json()
    assert (held["muting"], held["muting_notifications"]) == (True, True)
    listed = (await town.mira.api.get("/api/v1/mutes")).json()
    assert [(item["acct"], item["mute_expires_at"] is not None) for item in listed] == [("noor", True)]
    await town.post(town.noor, "muted-words @mira")
    assert "muted-words" not in (await town.mira.api.get("/api/v1/timelines/public")).text
    assert await town.scene.notices() == []
    town.later(3_700_000)
    town.scene.world.instance.wake("lapse")

    async def is_over() -> bool:
        return not (await town.mira.api.get("/api/v1/mutes")).json()

    await until(is_over)
    assert "muted-words" in (await town.mira.api.get("/api/v1/timelines/public")).text


async def test_a_mute_may_leave_notifications_alone_and_a_host_may_be_muted(town: Town) -> None:
    noor = town.noor.account.actor_id
    held = await town.mira.api.post(f"/api/v1/accounts/{noor}/mute", json={"notifications": False})
    assert held.json()["muting_notifications"] is False
    await town.post(town.noor, "still-told @mira")
    assert await town.scene.notices() == [("mention", "noor")]
    assert "still-told" not in (await town.mira.api.get("/api/v1/timelines/public")).text
    assert (await town.mira.api.post(f"/api/v1/accounts/{noor}/unmute")).json()["muting"] is False
    scene = town.scene
    account_id = await follow_far(scene.world, scene.ana)
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note("<p>far-evening</p>")))
    assert (
        await town.mira.api.post("/api/v1/domain_blocks", data={"domain": f"https://{scene.far.host}/about"})
    ).status_code == 200
    assert (await town.mira.api.get("/api/v1/domain_blocks")).json() == [scene.far.host]
    assert "far-evening" not in (await town.mira.api.get("/api/v1/timelines/home")).text
    held = await town.mira.api.get("/api/v1/accounts/relationships", params={"id": account_id})
    assert held.json()[0]["domain_blocking"] is True
    assert (await town.mira.api.post("/api/v1/domain_blocks", data={"domain": "no host"})).status_code == 422
    assert (await town.mira.api.delete("/api/v1/domain_blocks", params={"domain": scene.far.host})).status_code == 200
    assert "far-evening" in (await town.mira.api.get("/api/v1/timelines/home")).text


async def test_the_buttons_on_a_profile_mute_block_and_remove_and_the_settings_take_it_back(town: Town) -> None:
    noor = town.noor.account.actor_id
    await town.noor.api.post(f"/api/v1/accounts/{town.mira.account.actor_id}/follow")
    page = (await town.mira.browser.get("/@noor")).text
    assert "Remove this follower" in page
    sent = await town.mira.browser.send(f"/people/{noor}/remove-follower", {"back": "/@noor"}, page="/@noor")
    assert (sent.status_code, sent.headers["location"]) == (303, "/@noor")
    assert (await town.scene.mira())["followers_count"] == 0
    await town.mira.browser.send(f"/people/{noor}/mute", {"for": "86400"}, page="/@noor")
    assert "but hear when they write to you" in (await town.mira.browser.get("/@noor")).text
    await town.mira.browser.send(f"/people/{noor}/block", {}, page="/@noor")
    page = (await town.mira.browser.get("/@noor")).text
    assert "You block noor" in page
    assert 'value="follow"' not in page
    settings = (await town.mira.browser.get("/settings/people")).text
    assert "Unblock noor" in settings
    assert "Unmute noor" in settings
    for verb in ("unblock", "unmute"):
        await town.mira.browser.send(f"/people/{noor}/{verb}", {}, page="/settings/people")
    assert "Unblock noor" not in (await town.mira.browser.get("/settings/people")).text
    assert (await town.mira.browser.send(f"/people/{noor}/sing", {}, page="/settings/people")).status_code == 404
    assert (await town.mira.browser.http.post(f"/people/{noor}/block", data={})).status_code == 403, "a form of ours only"
    me = town.mira.account.actor_id
    assert (await town.mira.browser.send(f"/people/{me}/block", {}, page="/settings/people")).status_code == 422


async def test_a_follower_who_is_removed_elsewhere_hears_a_reject(town: Town) -> None:
    scene = town.scene
    asked = scene.ana.activity("Follow", artist_uri(scene.world))
    await scene.heard(scene.ana, asked)
    ana = await find(scene.world, scene.ana)
    held = (await town.mira.api.post(f"/api/v1/accounts/{ana}/remove_from_followers")).json()
    assert held["followed_by"] is False
    (reject,) = await until(lambda: scene.far.received("Reject"))
    assert reject["object"]["id"] == asked["id"]
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    assert (await scene.mira())["followers_count"] == 1, "they may ask again"


async def test_a_reply_of_old_by_whom_its_artist_blocks_stands_under_the_work_for_nobody(town: Town) -> None:
    work = await town.post(town.mira, "a work")
    await town.post(town.noor, "an old reply", in_reply_to_id=work["id"])
    context = f"/api/v1/statuses/{work['id']}/context"
    assert "an old reply" in (await town.scene.world.stranger.get(context)).text
    await town.mira.api.post(f"/api/v1/accounts/{town.noor.account.actor_id}/block")
    for client in (town.scene.world.stranger, town.mira.api):
        assert "an old reply" not in (await client.get(context)).text


# -------------------------------------------------------------------------------------------------------- reports


async def test_a_report_goes_to_the_moderators_and_if_wished_by_the_instance_to_the_other_server(town: Town) -> None:
    scene = town.scene
    await follow_far(scene.world, scene.ana)
    note = scene.ana.note("<p>a machine made this</p>")
    await scene.heard(scene.ana, scene.ana.create(note))
    work = (await town.mira.api.get("/api/v1/timelines/home")).json()[0]
    ana = work["account"]["id"]
    said = {"account_id": ana, "status_ids": [work["id"], "1"], "comment": "six fingers", "category": "ai-made", "forward": True}
    made = (await town.mira.api.post("/api/v1/reports", json=said)).json()
    assert (made["category"], made["forwarded"], made["status_ids"]) == ("ai-made", True, [work["id"]])
    (flag,) = await until(lambda: scene.far.received("Flag"))
    assert flag["actor"] == scene.world.instance.identifiers.instance_actor_uri
    assert flag["object"] == [scene.ana.uri, note["id"]]
    assert flag["content"] == "AI-made, and not said to be. six fingers"
    assert "mira" not in json.dumps(flag), "who reported is not told"
    (kept,) = await scene.world.instance.storage.read(reports.reports_in, "open")
    assert (kept.category, kept.comment, kept.forwarded, kept.reporter_id) == (
        "ai-made", "six fingers", True, town.mira.account.actor_id,
    )  # fmt: skip
    assert await scene.world.instance.storage.read(reports.works_of_report, kept.id) == [int(work["id"])]
    await town.mira.api.post("/api/v1/reports", json=said)
    assert await settled(scene.world) == []
    assert len(scene.far.received("Flag")) == 1
    for wrong, status in (
        ({"account_id": "1"}, 404),
        ({"account_id": ana, "category": "x"}, 422),
        ({"account_id": ana, "comment": "x" * 1_001}, 422),
    ):
        refused = await town.mira.api.post("/api/v1/reports", json=wrong)
        assert (refused.status_code, list(refused.json())) == (status, ["error"])


async def test_a_report_by_the_page_keeps_what_was_typed_when_something_is_missing(town: Town) -> None:
    work = await town.post(town.noor, "a work")
    noor = town.noor.account.actor_id
    path = f"/report/{noor}?work={work['id']}"
    assert path.replace("&", "&amp;") in (await town.mira.browser.get(f"/@noor/{work['id']}")).text
    refused = await town.mira.browser.send(path, {"comment": "my words"}, page=path)
    assert refused.status_code == 422
    assert "my words" in refused.text
    assert "Say what it is about" in refused.text
    sent = await town.mira.browser.send(path, {"comment": "my words", "category": "violation"}, page=path)
    assert "The moderators of this server have it now" in sent.text
    (kept,) = await town.scene.world.instance.storage.read(reports.reports_in, "open")
    assert (kept.category, kept.actor_id, kept.forwarded) == ("violation", noor, False)
    assert (await town.mira.browser.get(f"/report/{town.mira.account.actor_id}")).status_code == 404
    assert (await town.scene.world.stranger.get(path)).status_code == 401


@pytest.mark.parametrize("shape", ["bare ids", "whole objects", "only the work", "only the actor"])
async def test_a_flag_of_another_server_becomes_a_report_whatever_its_shape(town: Town, shape: str) -> None:
    scene = town.scene
    work, me = await town.post(town.mira, "a work"), artist_uri(scene.world)
    of: Any = {
        "bare ids": [me, work["uri"], "https://x.example/1", 7, None],
        "whole objects": [{"id": me, "type": "Person"}, {"id": work["uri"], "type": "Note"}],
        "only the work": work["uri"],
        "only the actor": me,
    }[shape]
    said = scene.ana.activity("Flag", of, content="<b>This</b> is a copy" + "y" * 5_000)
    await scene.heard(scene.ana, said)
    await scene.heard(scene.ana, said)
    await scene.heard(scene.ana, {**said, "id": scene.ana.uri_of("flag")})
    (kept,) = await scene.world.instance.storage.read(reports.reports_in, "open")
    assert (kept.actor_id, kept.uri, kept.category) == (town.mira.account.actor_id, said["id"], "other")
    assert kept.comment.startswith("This is a copyyy")
    assert len(kept.comment) == 1_000
    works = await scene.world.instance.storage.read(reports.works_of_report, kept.id)
    assert works == ([] if shape == "only the actor" else [int(work["id"])])


async def test_a_flag_of_nobody_here_is_no_report_and_neither_one_person_nor_one_server_buries_the_moderators(town: Town) -> None:
    """Each work that is named asks for a decision: so works count, not reports."""
    scene, storage = town.scene, town.scene.world.instance.storage
    for of in (scene.bo.uri, [], "https://x.example/users/x", [{"id": 5}], scene.world.instance.identifiers.instance_actor_uri):
        await scene.heard(scene.ana, scene.ana.activity("Flag", of, content="x"))
    assert await storage.read(reports.count_open) == 0
    works = [(await town.post(town.mira, f"work {n}"))["uri"] for n in range(20)]

    async def asked_by(actor: FarActor, *contents: str, of: Any) -> None:
        for content in contents:
            await scene.heard(actor, actor.activity("Flag", of, content=content))

    await asked_by(scene.ana, "one", "two", "three", of=works)
    await asked_by(scene.ana, "four", of=artist_uri(scene.world))
    assert await storage.read(lambda db: reports.count_cases(db, host=scene.far.host)) == MAX_CASES_OF_PERSON
    (over,) = await storage.read(reports.overflows)
    assert (over.host, over.left_out) == (scene.far.host, 3 * 20 + 1 - MAX_CASES_OF_PERSON)
    for actor in (scene.bo, scene.far.actor("cy"), scene.far.actor("di"), scene.far.actor("el")):
        await asked_by(actor, "one", "two", "three", of=works)
    assert await storage.read(lambda db: reports.count_cases(db, host=scene.far.host)) == MAX_CASES_OF_HOST
    await asked_by(scene.eve, "x", of=artist_uri(scene.world))
    assert await storage.read(lambda db: reports.count_cases(db, host=scene.other.host)) == 1, "others are still heard"
    await town.make(town.noor, Role.MODERATOR)
    queue = words_of(await town.noor.browser.get("/admin/review"))
    assert f"{MAX_CASES_OF_HOST + 1} reported" in queue
    assert f"{scene.far.host} : {3 * 20 * 5 + 1 - MAX_CASES_OF_HOST} left out since" in queue

    said = {"account_id": str(town.mira.account.actor_id), "status_ids": [work.rpartition("/")[2] for work in works]}
    answers = [(await town.noor.api.post("/api/v1/reports", json={**said, "comment": str(n)})).status_code for n in range(3)]
    assert answers == [200, 200, 429], "nor somebody here"


# -------------------------------------------------------------------------------------------------------- replies


async def _set_replies(town: Town, policy: str) -> None:
    sent = await town.mira.browser.send("/settings/people", {"action": "replies", "replies": policy}, page="/settings/people")
    assert sent.status_code == 303


@pytest.mark.parametrize(
    ("policy", "let_in"), [("everyone", {"bo", "ana", "eve"}), ("followers", {"bo", "eve"}), ("nobody", {"eve"})]
)
async def test_replies_from_elsewhere_stand_only_where_the_artist_lets_them(town: Town, policy: str, let_in: set[str]) -> None:
    """Bo follows her, ana does not, eve is named in the work."""
    scene, me = town.scene, artist_uri(town.scene.world)
    await _set_replies(town, policy)
    await scene.heard(scene.bo, scene.bo.activity("Follow", me))
    await find(scene.world, scene.eve)
    work = await town.post(town.mira, f"a work for @{scene.eve.acct}")
    people = {"bo": scene.bo, "ana": scene.ana, "eve": scene.eve}
    mention = {"tag": [{"type": "Mention", "href": me, "name": "@mira"}]}
    for name, actor in people.items():
        note = actor.note(f"<p>reply-of-{name}</p>", inReplyTo=work["uri"], cc=[actor.followers, me], **mention)
        await scene.heard(actor, actor.create(note))
    thread = (await scene.world.stranger.get(f"/api/v1/statuses/{work['id']}/context")).text
    page = (await town.mira.browser.get(f"/@mira/{work['id']}")).text
    told = {name for kind, acct in await scene.notices() if kind == "mention" for name in people if acct.startswith(name)}
    assert {name for name in people if f"reply-of-{name}" in thread} == let_in
    assert {name for name in people if f"reply-of-{name}" in page} == let_in
    assert told == let_in
    assert (await scene.work(work["id"]))["replies_count"] == len(let_in)
    document = (await scene.world.stranger.get(work["uri"], headers=AP)).json()
    said = document["interactionPolicy"].get("canReply")
    expected = {
        "everyone": None,
        "followers": {"automaticApproval": [me, f"{me}/followers", scene.eve.uri]},
        "nobody": {"automaticApproval": [me, scene.eve.uri]},
    }[policy]
    assert said == expected


async def test_a_reply_that_is_not_let_in_is_kept_for_others_who_are_named_and_for_its_authors_followers(town: Town) -> None:
    scene, me = town.scene, artist_uri(town.scene.world)
    await _set_replies(town, "nobody")
    work = await town.post(town.mira, "a work")
    noor = scene.world.instance.identifiers.actor_uri("noor")
    names = [{"type": "Mention", "href": uri, "name": "@x"} for uri in (me, noor)]
    note = scene.ana.note("<p>look, noor</p>", inReplyTo=work["uri"], cc=[me, noor], tag=names)
    await scene.heard(scene.ana, scene.ana.create(note))
    assert await scene.notices() == []
    assert [item["type"] for item in (await town.noor.api.get("/api/v1/notifications")).json()] == ["mention"]
    assert "look, noor" not in (await scene.world.stranger.get(f"/api/v1/statuses/{work['id']}/context")).text
    # What answers that answer is no way in either, nor one that came before what it answers.
    second = scene.eve.note("<p>by a side door</p>", inReplyTo=note["id"])
    await scene.heard(scene.eve, scene.eve.create(second))
    assert "side door" not in (await scene.world.stranger.get(f"/api/v1/statuses/{work['id']}/context")).text


async def test_an_answer_to_an_answer_that_came_first_is_not_let_in_later(town: Town) -> None:
    scene, me = town.scene, artist_uri(town.scene.world)
    await _set_replies(town, "followers")
    await scene.heard(scene.bo, scene.bo.activity("Follow", me))
    work = await town.post(town.mira, "a work")
    middle = scene.bo.note("<p>a follower's reply</p>", inReplyTo=work["uri"], cc=[me])
    early = scene.eve.note("<p>too early</p>", inReplyTo=middle["id"], cc=[me])
    await scene.heard(scene.eve, scene.eve.create(early))
    await scene.heard(scene.bo, scene.bo.create(middle))
    thread = (await scene.world.stranger.get(f"/api/v1/statuses/{work['id']}/context")).json()["descendants"]
    assert [item["content"] for item in thread] == ["<p>a follower's reply</p>"]


async def test_the_page_explains_why_there_is_no_reply_and_each_work_may_say_otherwise(town: Town) -> None:
    await _set_replies(town, "nobody")
    work = await town.post(town.mira, "a work")
    page = (await town.noor.browser.get(f"/@mira/{work['id']}")).text
    form = f"/works/{work['id']}/reply"
    assert "mira takes no replies to this work" in page
    assert form not in page
    refused = await town.noor.api.post("/api/v1/statuses", data={"status": "but", "in_reply_to_id": work["id"]})
    assert refused.status_code == 403
    assert (await town.noor.browser.send(f"/works/{work['id']}/reply", {"text": "but"}, page="/search")).status_code == 403
    assert form in (await town.mira.browser.get(f"/@mira/{work['id']}")).text
    path = f"/works/{work['id']}/edit"
    sent = await town.mira.browser.send(path, {"text": "a work", "replies": "followers"}, page=path)
    assert sent.status_code == 303
    assert "takes replies to this work from followers only" in (await town.noor.browser.get(f"/@mira/{work['id']}")).text
    await town.noor.api.post(f"/api/v1/accounts/{town.mira.account.actor_id}/follow")
    await town.post(town.noor, "now I may", in_reply_to_id=work["id"])
    assert "now I may" in (await town.mira.browser.get(f"/@mira/{work['id']}")).text


async def test_the_composer_asks_who_may_answer(town: Town) -> None:
    started = await town.mira.browser.send("/compose", {}, page="/search")
    path = started.headers["location"]
    await town.mira.browser.send(path, {"text": "quiet, please", "replies": "nobody", "action": "save"}, page=path)
    assert 'value="nobody" checked' in (await town.mira.browser.get(path)).text
    published = await town.mira.browser.send(path, {"text": "quiet, please", "replies": "nobody", "action": "publish"}, page=path)
    assert published.status_code == 303
    page = (await town.noor.browser.get(published.headers["location"], follow_redirects=True)).text
    assert "takes no replies to this work" in page


# -------------------------------------------------------------------------------------------------------- filters


async def test_filtered_words_are_said_or_left_out_in_lists_and_what_they_mean_ends(town: Town) -> None:
    api = town.mira.api
    await town.post(town.noor, "A Spoiler of the end")
    await town.post(town.noor, "spoilers are another word")
    said = {
        "title": "the end",
        "context": ["public", "thread"],
        "filter_action": "warn",
        "expires_in": 3600,
        "keywords_attributes": [{"keyword": "SPOILER", "whole_word": True}],
    }
    made = (await api.post("/api/v2/filters", json=said)).json()
    assert (made["title"], made["context"], made["filter_action"]) == ("the end", ["public", "thread"], "warn")
    assert [(word["keyword"], word["whole_word"]) for word in made["keywords"]] == [("SPOILER", True)]
    by_words = {item["content"]: item["filtered"] for item in (await api.get("/api/v1/timelines/public")).json()}
    assert by_words["<p>spoilers are another word</p>"] == []
    (hit,) = by_words["<p>A Spoiler of the end</p>"]
    assert (hit["filter"]["id"], hit["keyword_matches"]) == (made["id"], ["SPOILER"])
    assert [item["filtered"] for item in (await town.noor.api.get("/api/v1/timelines/public")).json()] == [[], []]
    form = {
        "title": "all",
        "context[]": ["public", "home"],
        "filter_action": "hide",
        "keywords_attributes[0][keyword]": "spoiler",
    }
    changed = await api.put(f"/api/v2/filters/{made['id']}", data=form)
    assert changed.status_code == 200, changed.text
    assert (await api.get("/api/v1/timelines/public")).json() == []
    assert (await api.get(f"/api/v1/accounts/{town.noor.account.actor_id}/statuses")).text.count("poiler") > 1, "not there"
    town.later(3_700_000)
    town.scene.world.instance.wake("lapse")

    async def is_over() -> bool:
        return not (await api.get("/api/v2/filters")).json()

    await until(is_over)
    assert len((await api.get("/api/v1/timelines/public")).json()) == 2


async def test_filters_are_their_owners_bounded_and_wrong_ones_are_refused(town: Town) -> None:
    api = town.mira.api
    one = {"title": "x", "context": ["home"], "keywords_attributes": [{"keyword": "x"}]}
    made = (await api.post("/api/v2/filters", json=one)).json()
    for method in ("GET", "PUT", "DELETE"):
        assert (await town.noor.api.request(method, f"/api/v2/filters/{made['id']}", json=one)).status_code == 404
    wrong: list[dict[str, Any]] = [
        {**one, "context": ["moon"]},
        {**one, "context": []},
        {**one, "filter_action": "burn"},
        {**one, "keywords_attributes": [{"keyword": "y" * 201}]},
        {**one, "keywords_attributes": [{"keyword": str(n)} for n in range(101)]},
        {**one, "keywords_attributes": ["x"]},
        {**one, "keywords_attributes": [{"keyword": " "}]},
    ]
    for said in wrong:
        assert (await api.post("/api/v2/filters", json=said)).status_code == 422, said
    for _ in range(99):
        assert (await api.post("/api/v2/filters", json=one)).status_code == 200
    refused = await api.post("/api/v2/filters", json=one)
    assert (refused.status_code, refused.json()["error"]) == (
        422,
        "You have 100 filters, and more are not kept. Delete one first.",
    )
    assert (await api.delete(f"/api/v2/filters/{made['id']}")).status_code == 200
    assert len((await api.get("/api/v2/filters")).json()) == 99


async def test_a_filter_made_on_the_page_puts_works_behind_a_click_on_pages(town: Town) -> None:
    await town.post(town.noor, "a party of artists #oil")
    every = {f"place-{place}": "1" for place in Place}
    said = {"action": "addfilter", "words": "artists\nart", "whole": "1", "do": "warn", **every}
    sent = await town.mira.browser.send("/settings/people", said, page="/settings/people")
    assert sent.status_code == 303
    page = (await town.mira.browser.get("/tags/oil")).text
    assert "You filter: artists" in page
    settings = (await town.mira.browser.get("/settings/people")).text
    assert "artists, art" in settings
    number = settings.split("dropfilter-")[1].split('"')[0]
    empty = await town.mira.browser.send("/settings/people", {"action": "addfilter", **every}, page="/settings/people")
    assert empty.status_code == 422
    assert "Type at least one word" in empty.text
    await town.mira.browser.send("/settings/people", {"action": f"dropfilter-{number}"}, page="/settings/people")
    assert "You filter" not in (await town.mira.browser.get("/tags/oil")).text
    host = {"action": "mutehost", "host": "Bad.example"}
    assert (await town.mira.browser.send("/settings/people", host, page="/settings/people")).status_code == 303
    held = {"action": "unmutehost-1", "host-1": "bad.example"}
    assert "bad.example" in (await town.mira.browser.get("/settings/people")).text
    await town.mira.browser.send("/settings/people", held, page="/settings/people")
    assert "bad.example" not in (await town.mira.browser.get("/settings/people")).text


def _filter(word: str, whole: bool) -> Filter:
    return Filter(1, 1, "x", (Place.HOME,), FilterAction.WARN, None, (FilterWord(1, word, whole),))


@pytest.mark.parametrize(
    ("word", "whole", "text", "fits"),
    [
        ("art", True, "art", True),
        ("art", True, "Art!", True),
        ("art", True, "party", False),
        ("art", False, "party", True),
        ("art", True, "party art", True),
        ("straße", True, "STRASSE", True),
        ("two words", True, "in two words.", True),
        ("#ai", True, "look #AI", True),
        ("#ai", True, "look #aid", False),
        ("ai", True, "#ai", True),
        ("", False, "x", False),
    ],
)
def test_a_word_fits_without_regard_to_case_and_whole_where_it_is_to_be(word: str, whole: bool, text: str, fits: bool) -> None:
    assert bool(hits([_filter(word, whole)], Place.HOME, text)) is fits
    assert hits([_filter(word, whole)], Place.PUBLIC, text) == ()


@given(st.text(max_size=40), st.text(max_size=4))
def test_a_whole_word_that_fits_fits_as_a_part_too(text: str, word: str) -> None:
    if hits([_filter(word, True)], Place.HOME, text):
        assert hits([_filter(word, False)], Place.HOME, text)
        assert word.casefold() in text.casefold()


# ------------------------------------------------------------------------------------------------ roles, suspensions


async def test_the_owner_gives_roles_on_the_page_and_the_last_one_stays_owner(town: Town) -> None:
    mira, noor = town.mira, town.noor
    assert (await noor.browser.get("/admin/people")).status_code == 404
    said = {"action": "role", "name": "noor", "role": "admin"}
    assert (await mira.browser.send("/admin/people", said, page="/admin/people")).status_code == 303
    assert (await noor.browser.get("/admin/people")).status_code == 200
    mine = await noor.browser.send("/admin/people", {**said, "role": "owner"}, page="/admin/people")
    assert mine.status_code == 403
    assert "Only an owner decides who is what" in mine.text
    last = await mira.browser.send("/admin/people", {"action": "role", "name": "mira", "role": "artist"}, page="/admin/people")
    assert last.status_code == 409
    assert "the only owner" in last.text
    assert (await mira.browser.send("/admin/people", {**said, "role": "king"}, page="/admin/people")).status_code == 422
    await mira.browser.send("/admin/people", {**said, "role": "owner"}, page="/admin/people")
    assert (
        await mira.browser.send("/admin/people", {**said, "name": "mira", "role": "artist"}, page="/search")
    ).status_code == 303
    assert (await mira.browser.get("/admin/people")).status_code == 404
    assert [deed[:3] for deed in await town.deeds()] == [
        ("mira", "role", "@mira"), ("mira", "role", "@noor"), ("mira", "role", "@noor"),
    ]  # fmt: skip
    assert "artist → admin" in (await noor.browser.get("/admin/audit")).text


async def _counted(scene: Scene) -> tuple[int, int]:
    """(people, works), as NodeInfo tells everyone."""
    usage = (await scene.world.stranger.get("/nodeinfo/2.1")).json()["usage"]
    return usage["users"]["total"], usage["localPosts"]


async def test_what_changed_while_an_artist_was_suspended_is_told_once_she_is_pardoned(town: Town) -> None:
    """Her files were written anew when the policy changed: others hold addresses that answer 410, till they hear."""
    scene, noor = town.scene, town.noor
    await scene.heard(scene.ana, scene.ana.activity("Follow", scene.world.instance.identifiers.actor_uri("noor")))
    changed = await becomes(scene.world.instance, await sent_out(noor, a_file(None)), "published")
    await town.post(noor, "words, which say what they said")
    assert await settled(scene.world) == []
    judge = {"actor": str(noor.account.actor_id), "reason": "x"}
    await town.mira.browser.send("/admin/people", {**judge, "action": "suspend"}, page="/admin/people")
    reserve = replace(scene.world.instance.policy.reserve, training=Answer.ALLOW)
    await adopt_policy(scene.world.instance, replace(scene.world.instance.policy, reserve=reserve), None)
    assert await settled(scene.world) == []
    assert scene.far.received("Update") == []
    await town.mira.browser.send("/admin/people", {**judge, "action": "release"}, page="/admin/people")
    assert await settled(scene.world) == []
    of_her, of_work = scene.far.received("Update")
    assert of_her["object"]["type"] == "Person"
    assert of_work["object"]["id"] == changed.uri, "and not of the one that did not change"
    (picture,) = of_work["object"]["attachment"]
    assert (await scene.world.stranger.get(picture["url"])).status_code == 200


async def test_a_suspended_artist_is_not_here_for_anyone_cannot_act_and_comes_back_whole(town: Town) -> None:
    scene, noor = town.scene, town.noor
    await scene.heard(scene.ana, scene.ana.activity("Follow", scene.world.instance.identifiers.actor_uri("noor")))
    work = await town.post(noor, "noors-evening #oil")
    places = (
        f"/@noor/{work['id']}", "/@noor", "/@noor/feed.atom", f"/api/v1/statuses/{work['id']}",
        "/api/v1/accounts/lookup?acct=noor", "/.well-known/webfinger?resource=acct:noor@localhost:8000",
    )  # fmt: skip
    documents = (
        "/users/noor",
        work["uri"].removeprefix(scene.world.instance.identifiers.base_url),
        "/users/noor/outbox?page=true",
    )
    lists = ("/tags/oil", "/api/v1/timelines/public", "/api/v1/timelines/tag/oil", "/")
    stranger = scene.world.stranger
    assert {(await stranger.get(path)).status_code for path in places} == {200}
    assert await _counted(scene) == (2, 1)
    said = {"action": "suspend", "actor": str(noor.account.actor_id), "reason": "works of others"}
    assert (await town.mira.browser.send("/admin/people", said, page="/admin/people")).status_code == 303
    assert await _counted(scene) == (1, 0), "NodeInfo does not count her"
    assert {path: (await stranger.get(path)).status_code for path in places} == dict.fromkeys(places, 404)
    assert {path: (await stranger.get(path, headers=AP)).status_code for path in documents} == dict.fromkeys(documents, 404)
    for path in lists:
        assert "noors-evening" not in (await stranger.get(path)).text
    assert not await noor.browser.is_signed_in(), "every session has ended"
    assert (await noor.api.get("/api/v1/accounts/verify_credentials")).status_code == 401
    delivered = len(scene.far.received())
    again = await noor.browser.sign_in("noor")
    assert again.status_code == 303
    home = await noor.browser.get("/home")
    assert home.status_code == 403
    assert "works of others" in home.text
    token = await grant_token(scene.world.instance, "noor", "read write follow", "tests")
    api = await town.house.client(token)
    for method, path in (
        ("POST", "/api/v1/statuses"),
        ("GET", "/api/v1/timelines/home"),
        ("POST", f"/api/v1/statuses/{work['id']}/favourite"),
    ):
        assert (await api.request(method, path, data={"status": "x"} if method == "POST" else None)).status_code == 403
    assert (await noor.browser.send("/compose", {}, page="/sign-in")).status_code == 403
    await scene.heard(scene.bo, scene.bo.activity("Follow", scene.world.instance.identifiers.actor_uri("noor")))
    assert len(scene.far.received()) == delivered, "nothing is said in her name"
    back = {"action": "release", "actor": str(noor.account.actor_id)}
    assert (await town.mira.browser.send("/admin/people", back, page="/admin/people")).status_code == 303
    assert {(await stranger.get(path)).status_code for path in places} == {200}
    await town.post(Person("noor", noor.account, api, noor.browser), "back again")
    assert [deed[1:] for deed in await town.deeds()] == [
        ("unsuspend", "@noor@localhost:8000", ""), ("suspend", "@noor@localhost:8000", "works of others"),
    ]  # fmt: skip


async def test_moderators_decide_on_artists_but_not_on_whom_stands_above_them_nor_on_themselves(town: Town) -> None:
    await town.make(town.noor, Role.MODERATOR)
    for target in (town.mira, town.noor):
        said = {"action": "suspend", "actor": str(target.account.actor_id)}
        assert (await town.noor.browser.send("/admin/people", said, page="/admin/people")).status_code == 403
    sol = await town.house.person("sol")
    said = {"action": "limit", "actor": str(sol.account.actor_id)}
    assert (await town.noor.browser.send("/admin/people", said, page="/admin/people")).status_code == 303
    assert (await town.noor.browser.get("/admin/hosts")).status_code == 404, "other servers are the admin's"
    await town.make(town.noor, Role.OWNER)
    await town.make(town.mira, Role.ARTIST)
    for verb in ("suspend", "limit"):
        alone = await town.noor.browser.send(
            "/admin/people", {"action": verb, "actor": str(town.noor.account.actor_id)}, page="/admin/people"
        )
        assert alone.status_code == 403


@pytest.mark.row(13)
async def test_somebody_elsewhere_is_suspended_by_handle_and_nothing_of_theirs_is_taken_any_more(town: Town) -> None:
    scene, me = town.scene, artist_uri(town.scene.world)
    await follow_far(scene.world, scene.ana)
    asked = scene.ana.activity("Follow", me)
    await scene.heard(scene.ana, asked)
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note("<p>anas-old</p>")))
    said = {"action": "suspend", "name": scene.ana.acct, "reason": "spam"}
    assert (await town.mira.browser.send("/admin/people", said, page="/admin/people")).status_code == 303
    assert await settled(scene.world) == []
    assert len(scene.far.received("Reject")) == len(scene.far.received("Undo")) == 1
    work = await town.post(town.mira, "mine")
    for activity in (
        scene.ana.create(scene.ana.note("<p>anas-new</p>", cc=[me])),
        scene.ana.activity("Like", work["uri"]),
        scene.ana.activity("Follow", me),
    ):
        await scene.heard(scene.ana, activity)
    assert (await scene.work(work["id"]))["favourites_count"] == 0
    assert (await scene.mira())["followers_count"] == 0
    assert (await town.mira.browser.get(f"/@{scene.ana.acct}")).status_code == 404
    search = await town.mira.api.get("/api/v2/search", params={"q": scene.ana.acct, "resolve": "true"})
    assert search.json()["accounts"] == []
    ana = (await scene.world.instance.storage.read(_actor_ids, scene.ana.uri))[0]
    refused = await town.mira.api.post(f"/api/v1/accounts/{ana}/follow")
    assert refused.status_code == 404
    assert "anas" not in (await town.mira.api.get("/api/v1/timelines/home")).text
    back = {"action": "release", "actor": str(ana)}
    assert (await town.mira.browser.send("/admin/people", back, page="/admin/people")).status_code == 303
    assert "anas-old" in (await town.mira.browser.get(f"/@{scene.ana.acct}")).text
    unknown = await town.mira.browser.send(
        "/admin/people", {"action": "limit", "name": "@x@nowhere.example"}, page="/admin/people"
    )
    assert unknown.status_code >= 400
    assert "@x@nowhere.example" in unknown.text, "what was typed stays"


def _actor_ids(db: Any, uri: str) -> list[int]:
    return list(db.execute(select(tables.actors.c.id).where(tables.actors.c.uri == uri)).scalars())


# ---------------------------------------------------------------------------------------------------------- hosts


async def test_a_blocked_host_is_hidden_with_its_follows_and_shown_again_without_them(town: Town) -> None:
    scene, host = town.scene, town.scene.far.host
    account_id = await follow_far(scene.world, scene.ana)
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    await scene.heard(
        scene.ana, scene.ana.create(scene.ana.note("<p>anas-evening #oil</p>", tag=[{"type": "Hashtag", "name": "#oil"}]))
    )
    said = {
        "action": "put",
        "host": f"https://{host.upper()}/about",
        "do": "block",
        "reason": "harassment",
        "note": "see mail",
        "public": "1",
    }
    assert (await town.mira.browser.send("/admin/hosts", said, page="/admin/hosts")).status_code == 303
    assert await settled(scene.world) == []
    told = len(scene.far.asked)
    for path in ("/api/v1/timelines/home", "/api/v1/timelines/tag/oil"):
        assert "anas-evening" not in (await town.mira.api.get(path)).text
    held = (await town.mira.api.get("/api/v1/accounts/relationships", params={"id": account_id})).json()[0]
    assert (held["following"], held["followed_by"]) == (False, False)
    public = (await scene.world.stranger.get("/about/hosts")).text
    assert host in public
    assert "harassment" in public
    assert "see mail" not in public
    assert "see mail" in (await town.mira.browser.get("/admin/hosts")).text
    exported = (await town.mira.browser.get("/admin/hosts.csv")).text
    assert exported == ",".join(CSV_HEADER) + f"\n{host},suspend,true,true,harassment,false\n"
    assert len(scene.far.asked) == told, "nobody there is told"
    sent = await town.mira.browser.send("/admin/hosts", {"action": "lift", "host": host}, page="/admin/hosts")
    assert sent.status_code == 303
    assert await settled(scene.world) == []
    assert "anas-evening" in (await town.mira.api.get("/api/v1/timelines/tag/oil")).text
    held = (await town.mira.api.get("/api/v1/accounts/relationships", params={"id": account_id})).json()[0]
    assert held["following"] is False
    assert [deed[1:] for deed in await town.deeds()] == [("unblock host", host, ""), ("block host", host, "harassment")]
    for wrong in ({"host": "no host"}, {"host": "localhost"}, {"host": ""}, {"host": "bad.example", "do": "burn"}):
        refused = await town.mira.browser.send("/admin/hosts", {"action": "put", "do": "block", **wrong}, page="/admin/hosts")
        assert refused.status_code == 422, wrong


async def test_who_comes_from_a_limited_host_later_is_limited_too(town: Town) -> None:
    scene = town.scene
    said = {"action": "put", "host": scene.far.host, "do": "limit"}
    await town.mira.browser.send("/admin/hosts", said, page="/admin/hosts")
    ana = (await town.mira.api.get("/api/v2/search", params={"q": scene.ana.acct, "resolve": "true"})).json()["accounts"][0]
    assert ana["limited"] is True
    mention = {"cc": [artist_uri(scene.world)], "tag": [{"type": "Mention", "href": artist_uri(scene.world), "name": "@mira"}]}
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note("<p>unasked #oil</p>", **mention)))
    assert await scene.notices() == []
    await follow_far(scene.world, scene.ana)
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note("<p>asked for</p>", **mention)))
    assert ("mention", scene.ana.acct) in await scene.notices()
    assert "asked for" in (await town.mira.api.get("/api/v1/timelines/home")).text


@pytest.mark.row(51)
def test_a_list_without_end_is_read_to_its_bounds_and_no_cell_of_ours_is_computed() -> None:
    long = read_hosts("".join(f"h{number}.example\n" for number in range(1_000_000)), now=1, is_public=True, by=None)
    assert (len(long.rules), long.skipped) == (20_000, ((20_001, "h20000.example", "more than 20000 hosts"),))
    wrong = read_hosts("no host\n" * 1_000_000, now=1, is_public=True, by=None)
    assert (len(wrong.rules), len(wrong.skipped), wrong.skipped[-1][0]) == (0, 1_001, 1_001)
    for junk in ('a.example,suspend,"' + ("x" * 3_999 + "\n") * 40, '"\n' * 200_000, "\r" * 9_000, '"' * 9_000, "\0,\0\n" * 99):
        assert len(read_hosts(junk, now=1, is_public=True, by=None).skipped) <= 1_001
    for reason in ("=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "'quoted", "plain"):
        rule = HostRule("bad.example", HostAction.BLOCK, reason, "", True, 1, None)
        written = write_hosts([rule])
        (row,) = list(csv.reader(written.splitlines()))[1:]
        assert row[4][0] not in "=+-@"
        assert read_hosts(written, now=1, is_public=True, by=None).rules == (rule,)


@pytest.mark.row(51)
async def test_a_list_of_mastodon_is_imported_and_what_is_wrong_in_it_is_said(town: Town) -> None:
    listed = (
        b"#domain,#severity,#reject_media,#reject_reports,#public_comment,#obfuscate\r\n"
        b'bad.example,suspend,true,true,"spam, a lot",false\r\n'
        b"loud.example,silence,false,false,,false\r\n"
        b"odd.example,noop,false,false,,false\r\n"
        b"no host,suspend,false,false,,false\r\n"
        b"localhost,suspend,false,false,,false\r\n"
        b"*.wild.example,suspend,false,false,,false\r\n"
    )
    token = await town.mira.browser.form_token("/admin/hosts")
    answer = await town.mira.browser.http.post(
        "/admin/hosts", data={"form_token": token, "action": "import"}, files={"list": ("hosts.csv", listed, "text/csv")}
    )
    assert answer.status_code == 200
    assert "3 hosts were taken from the list" in answer.text
    for said in ("Line 4: odd.example", "Line 5: no host", "localhost: this server itself"):
        assert said in answer.text
    rules = town.scene.world.instance.host_rules
    assert rules == HostRules(
        {"bad.example": HostAction.BLOCK, "loud.example": HostAction.LIMIT, "wild.example": HostAction.BLOCK}
    )
    assert "bad.example" not in (await town.scene.world.stranger.get("/about/hosts")).text
    empty = await town.mira.browser.http.post(
        "/admin/hosts", data={"form_token": token, "action": "import"}, files={"list": ("hosts.csv", b"", "text/csv")}
    )
    assert empty.status_code == 422


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("Bad.Example", "bad.example"), ("https://bad.example/about", "bad.example"), ("@x@bad.example", "bad.example"),
        ("*.bad.example", "bad.example"), ("bad.example.", "bad.example"), ("bad.example:8443", "bad.example:8443"),
        ("bücher.example", "xn--bcher-kva.example"), ("", None), ("a b", None), ("-", None), ("x" * 300, None),
        ("bad..example", None),
        ("\u202ebad.example", None),
    ],
)  # fmt: skip
def test_a_host_is_understood_however_it_is_pasted(typed: str, host: str | None) -> None:
    assert meant_host(typed) == host


def test_a_rule_holds_for_every_name_under_it_and_the_nearest_one_counts() -> None:
    rules = HostRules({"bad.example": HostAction.BLOCK, "ok.bad.example": HostAction.LIMIT})
    assert rules.of("a.b.bad.example:8443") == HostAction.BLOCK
    assert rules.of("x.ok.bad.example") == HostAction.LIMIT
    assert rules.of("notbad.example") is None
    assert rules.of("example") is None
    assert names_above("127.0.0.1:5000") == ["127.0.0.1:5000", "127.0.0.1"]
    assert names_above("[::1]:5000") == ["[::1]:5000"]


@given(st.text(max_size=300))
def test_any_text_can_be_read_as_a_list_and_what_was_read_is_written_and_read_as_the_same(text: str) -> None:
    read = read_hosts(text, now=1, is_public=True, by=None)
    again = read_hosts(write_hosts(read.rules), now=1, is_public=True, by=None)
    assert [(rule.host, rule.action) for rule in again.rules] == [(rule.host, rule.action) for rule in read.rules]


def test_the_same_is_done_from_the_shell(tmp_path: Path) -> None:
    data, listed = str(tmp_path / "data"), tmp_path / "hosts.csv"
    listed.write_text("bad.example\nworse.example\nno host\n")
    env = {"FEDIART_PASSWORD": PASSWORD}
    told = run_commands(
        [
            [*command.split(), "--data", data]
            for command in (
                "account create mira", "account create noor", "account role noor moderator", "account role mira artist",
                "account suspend mira", "account suspend noor --reason spam", "account unsuspend @noor", "account limit noor",
                "account role nobody admin", "hosts block https://Bad.example --reason spam --public", "hosts limit loud.example",
                f"hosts import {listed}", "hosts unblock worse.example", "hosts unblock worse.example", "hosts list",
                "hosts export", "hosts block localhost", "account list",
            )
        ],
        env,
    )  # fmt: skip
    statuses = [ran.status for ran in told]
    assert statuses == [0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0]
    assert "the only owner" in told[3].told
    assert "the only owner" in told[4].told
    assert "There is no account nobody here" in told[8].told
    assert "2 hosts were taken from the list" in told[11].told
    assert "no host: this is no host's name" in told[11].told
    assert told[14].told == "bad.example  block  public  spam\nloud.example  limit\n"
    assert (
        told[15].told
        == ",".join(CSV_HEADER) + "\nbad.example,suspend,true,true,spam,false\nloud.example,silence,false,false,,false\n"
    )
    assert "this server itself" in told[16].told
    assert "noor@localhost:8000  moderator" in told[17].told


async def test_a_running_server_follows_what_was_said_in_the_shell(town: Town, tmp_path: Path) -> None:
    instance = town.scene.world.instance
    (ran,) = run_commands([["hosts", "block", "bad.example", "--data", str(instance.data)]])
    assert ran.status == 0, ran.told
    await until(lambda: instance.host_rules.blocks("bad.example"))
