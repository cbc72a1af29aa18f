"""Posts of other servers and the AI-art policy: what they say of themselves, what is done with it, and who sees what."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from fediart.activitypub.parsers.note import parse_note
from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.domain.origin import Level, Origin, Signal
from fediart.domain.policy import PRESETS, AiPolicy, LocalAction, Preset, RemoteAction
from fediart.domain.showing import Showing
from fediart.instance import Instance
from fediart.media.sample import draw_sample
from fediart.office import rejudge_works as rejudging
from fediart.office.adopt_policy import adopt_policy
from fediart.office.dry_run import count_changes
from fediart.storage import policies, verdicts
from fediart.storage import works as rows
from fediart.storage.tables import images, jobs, settings, works
from fediart.timeline.judge import judge_again
from tests.far_server import FarActor, follow, home, settled
from tests.people import People, Person, people_of
from tests.scene import Scene, a_scene

pytestmark = pytest.mark.anyio

AI_LABEL = {"type": "Label", "href": "https://far.example/labels/ai-generated", "name": "Made with AI"}
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


def tag(name: str) -> dict[str, str]:
    return {"type": "Hashtag", "href": f"https://far.example/tags/{name}", "name": f"#{name}"}


async def adopt(scene: Scene, **remote: Any) -> None:
    """A new revision, by which everything stored has been judged."""
    instance = scene.world.instance
    await adopt_policy(instance, replace(instance.policy, remote=replace(instance.policy.remote, **remote)), None)
    await settled(scene.world)


async def kept(scene: Scene, uri: str) -> Any:
    """Its row, or None."""
    return await scene.world.instance.storage.read(lambda db: db.execute(select(works).where(works.c.uri == uri)).first())


async def shows(scene: Scene, actor: FarActor, **more: Any) -> str:
    """The actor posts a work with a picture; returns its id on its server."""
    scene.far.serve("/a.jpg", draw_sample(64, 48), content_type="image/jpeg")
    picture = {"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/a.jpg"}
    said = {"attachment": [picture], **more}
    tags = [*said.get("tag", []), tag("oil")] if isinstance(said.get("tag", []), list) else said["tag"]
    note = actor.note(**{**said, "tag": tags})
    await scene.heard(actor, actor.create(note))
    return str(note["id"])


async def to_mira(scene: Scene) -> dict[str, Any]:
    return {"to": [AS_PUBLIC], "cc": [scene.world.instance.identifiers.actor_uri("mira")]}


# ------------------------------------------------------------------------------------------------ each row of the rules


def _attached(**more: Any) -> dict[str, Any]:
    return {"attachment": [{"type": "Image", "mediaType": "image/jpeg", "url": "https://far.example/a.jpg", **more}]}


SELF_LABELS: dict[str, tuple[dict[str, Any], str]] = {
    "a Label tag": ({"tag": [AI_LABEL]}, "ai-generated"),
    "a Label tag alone": ({"tag": {"type": "Label", "href": "https://x.example/labels/ai-assisted/"}}, "ai-assisted"),
    "a Label by its name": ({"tag": [{"type": ["Label"], "name": "made WITHOUT generative AI"}]}, "no-generative-ai"),
    "a Label with a full type": (
        {"tag": [{"type": "https://w3id.org/fep/4c96#Label", "href": {"id": "https://x.example/ai-generated?a=1#b"}}]},
        "ai-generated",
    ),
    "a Label of another vocabulary": ({"tag": [{"type": "Label", "href": "https://x.example/labels/spoiler", "name": "Spoiler"}]}, ""),
    "no Label but a hashtag of its name": ({"tag": [tag("ai-generated")]}, ""),
    "a source type": ({"digitalSourceType": TRAINED}, "ai-generated"),
    "a source type with a prefix, on a picture": (_attached(**{"sc:digitalSourceType": {"@id": TRAINED}}), "ai-generated"),
    "a source type with a full address": (
        {"http://schema.org/digitalSourceType": [{"@id": "https://schema.org/TrainedAlgorithmicMediaDigitalSource"}]},
        "ai-generated",
    ),
    "a source type in parts": (
        _attached(**{"schema:digitalSourceType": "iptc:compositeWithTrainedAlgorithmicMedia"}),
        "ai-assisted",
    ),
    "code art": ({"digitalSourceType": TRAINED.replace("trainedA", "a")}, ""),
    "a photograph": ({"digitalSourceType": TRAINED.replace("trainedAlgorithmicMedia", "digitalCapture")}, ""),
    "a flag": ({"genAI": True}, "ai-generated"),
    "a flag of another server, on a picture": (_attached(contains_ai=True), "ai-generated"),
    "a flag that says no": ({"genAI": False, "isAiGenerated": "no"}, ""),
    "both": ({"tag": [{"type": "Label", "name": "no-generative-ai"}], "genAI": True}, "ai-generated"),
    "nothing": ({}, ""),
}


async def test_a_self_label_is_understood_in_every_shape(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    for shape, (said, wanted) in SELF_LABELS.items():
        note = scene.ana.note(**said)
        for item in note.get("attachment", []):
            scene.far.serve("/a.jpg", draw_sample(64, 48), content_type="image/jpeg")
            item["url"] = f"{scene.far.url}/a.jpg"
        await scene.heard(scene.ana, scene.ana.create(note))
        row = await kept(scene, note["id"])
        assert row.self_label == wanted, shape
        by_label = {"": ("allow", ""), "no-generative-ai": ("allow", "self-label")}.get(wanted, ("hide_public", "self-label"))
        assert (row.verdict_action, row.verdict_rule, row.verdict_label) == (*by_label, wanted), shape


def test_what_is_reserved_of_a_picture_is_read_from_it_or_from_its_note() -> None:
    document = {
        "id": "https://far.example/1",
        "type": "Note",
        "attributedTo": "https://far.example/ana",
        "contentUsage": "train-ai=n",
        "tdm:reservation": {"@value": "1"},
        "xRobotsTag": ["noai", "noimageai"],
        "attachment": [
            {"type": "Image", "url": "https://far.example/a.jpg"},
            {"type": "Image", "url": "https://far.example/b.jpg", "fediart:contentUsage": "train-ai=y", "tdmReservation": 0},
            {"type": "Image", "url": "https://far.example/c.jpg", "contentUsage": {"a": 1}, "tdmReservation": "maybe"},
        ],
    }
    found = [(item.content_usage, item.tdm_reservation, item.robots_tag) for item in parse_note(document).attachments]
    assert found == [("train-ai=n", True, "noai, noimageai"), ("train-ai=y", False, "noai, noimageai"), found[0]]


async def test_a_hashtag_counts_in_whatever_case_and_only_whole(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    found = {}
    for name in ("AiArt", "AIイラスト", "aiartist", "generativeart"):
        row = await kept(scene, await shows(scene, scene.ana, tag=[tag(name)]))
        found[name] = (row.verdict_action, row.verdict_rule, row.verdict_label)
    assert found["AiArt"] == ("label", "hashtag", "#aiart")
    assert found["AIイラスト"] == ("label", "hashtag", "#aiイラスト")
    assert found["aiartist"] == found["generativeart"] == ("allow", "", "")


async def test_a_rule_for_a_host_or_an_author_decides_and_reject_keeps_nothing(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    await follow(scene.world, scene.bo)
    await follow(scene.world, scene.eve)
    await adopt(scene, domains={scene.far.host: RemoteAction.COLLAPSE, scene.other.host: RemoteAction.REJECT})
    await adopt(scene, actors={scene.bo.uri: RemoteAction.FILTER})
    assert (await kept(scene, await shows(scene, scene.ana))).verdict_rule == "host"
    assert (await kept(scene, await shows(scene, scene.bo))).verdict_action == "filter"
    before = len(await scene.world.instance.storage.read(lambda db: db.execute(select(images.c.id)).all()))
    refused = await shows(scene, scene.eve)
    assert await kept(scene, refused) is None
    after = await scene.world.instance.storage.read(lambda db: db.execute(select(images.c.id)).all())
    assert len(after) == before, "nor its pictures"


async def test_a_boost_of_what_is_rejected_leaves_nothing_and_asks_nobody(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    await adopt(scene, domains={scene.other.host: RemoteAction.REJECT}, self_label=RemoteAction.REJECT)
    of_host, of_label = scene.eve.note(), scene.bo.note(tag=[AI_LABEL])
    for note, server in ((of_host, scene.other), (of_label, scene.far)):
        server.holds(note)
        await scene.heard(scene.ana, scene.ana.activity("Announce", note["id"]))
        assert await kept(scene, note["id"]) is None
    assert await home(scene.world) == []
    assert scene.other.asked == []


async def test_an_edit_is_judged_anew(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    note = scene.ana.note()
    await scene.heard(scene.ana, scene.ana.create(note))
    for changed, wanted in (
        ({"tag": [tag("aiart")]}, ("label", "hashtag")),
        ({"tag": [AI_LABEL]}, ("hide_public", "self-label")),
        ({}, ("allow", "")),
    ):
        await scene.heard(scene.ana, scene.ana.activity("Update", {**note, **changed}))
        row = await kept(scene, note["id"])
        assert (row.verdict_action, row.verdict_rule) == wanted
    await adopt(scene, self_label=RemoteAction.REJECT)
    await scene.heard(scene.ana, scene.ana.activity("Update", {**note, "tag": [AI_LABEL]}))
    assert await kept(scene, note["id"]) is None
    await adopt(scene, self_label=RemoteAction.LABEL)
    await scene.heard(scene.ana, scene.ana.create(note))
    assert await kept(scene, note["id"]) is not None, "nothing stands against its coming again"


# -------------------------------------------------------------------------------------------------------- who sees what


HERE = ("home", "api home", "tag", "api tag", "profile", "api account", "page", "api status", "thread")


async def seen_in(scene: Scene, people: People, who: Person | None, uri: str, actor: FarActor) -> dict[str, str]:
    """Where somebody sees a work, and how: 'plain', 'label' or 'collapse'."""
    row = await kept(scene, uri)
    found: dict[str, str] = {}
    http = who.browser.http if who is not None else await people.client()
    api = who.api if who is not None else await people.client()
    parent = row.in_reply_to_id
    pages = {"home": "/home", "tag": "/tags/oil", "profile": f"/@{actor.acct}", "page": f"/works/{row.id}"}
    for name, path in pages.items():
        body = (await http.get(path)).text
        if f'"/works/{row.id}"' not in body and not (name == "page" and '<article class="work">' in body):
            continue
        if name == "profile":  # a wall of pictures
            item = next(part for part in body.split("<li>") if f"/works/{row.id}" in part)
            found[name] = "collapse" if "veiled" in item else "label" if 'class="tag"' in item else "plain"
            continue
        found[name] = "collapse" if '<details class="veil">' in body else "label" if 'class="said"' in body else "plain"
    lists = {
        "api home": "/api/v1/timelines/home",
        "api tag": "/api/v1/timelines/tag/oil",
        "api account": f"/api/v1/accounts/{row.actor_id}/statuses",
        "api status": f"/api/v1/statuses/{row.id}",
        "thread": f"/api/v1/statuses/{parent}/context" if parent else "/api/v1/none",
    }
    for name, path in lists.items():
        told = (await api.get(path)).json()
        items = told if isinstance(told, list) else told.get("descendants", [told])
        for item in items:
            item = item.get("reblog") or item
            if item.get("id") != str(row.id):
                continue
            found[name] = item["fediart"].get("label", {}).get("shown", "plain")
            assert item["sensitive"] == bool(item["filtered"]) == (found[name] == "collapse")
            assert item["spoiler_text"] == "", "nobody puts words into its author's mouth"
    return found


EVERYWHERE = dict.fromkeys(("home", "api home", "tag", "api tag", "profile", "api account", "page", "api status"))
LINKED = ("page", "api status")
PROFILE = ("profile", "api account")


def wanted(**how: str) -> dict[str, str]:
    """`wanted(everywhere="label")`, or by place: `wanted(home="label", linked="collapse")`."""
    places = {"everywhere": tuple(EVERYWHERE), "linked": LINKED, "profile": PROFILE, "home": ("home", "api home")}
    places |= {"tag": ("tag", "api tag")}
    return {place: showing for name, showing in how.items() for place in places[name]}


# action: (who follows, whoever else is signed in, a stranger)
TABLE: dict[RemoteAction, tuple[dict[str, str], dict[str, str], dict[str, str]]] = {
    RemoteAction.ALLOW: (
        wanted(everywhere="plain"),
        wanted(tag="plain", profile="plain", linked="plain"),
        {"api account": "plain", "api status": "plain"},
    ),
    RemoteAction.LABEL: (
        wanted(everywhere="label"),
        wanted(tag="label", profile="label", linked="label"),
        {"api account": "label", "api status": "label"},
    ),
    RemoteAction.COLLAPSE: (
        wanted(everywhere="collapse"),
        wanted(tag="collapse", profile="collapse", linked="collapse"),
        {"api account": "collapse", "api status": "collapse"},
    ),
    RemoteAction.HIDE_PUBLIC: (
        wanted(everywhere="label"),
        wanted(profile="collapse", linked="collapse"),
        {"api status": "collapse"},
    ),
    RemoteAction.FILTER: (wanted(everywhere="collapse"), wanted(linked="collapse"), {"api status": "collapse"}),
}


@pytest.mark.parametrize("action", TABLE)
async def test_each_action_shows_a_work_to_each_person_as_the_table_says(scene: Scene, action: RemoteAction) -> None:
    await follow(scene.world, scene.ana)
    await adopt(scene, self_label=action)
    uri = await shows(scene, scene.ana, tag=[AI_LABEL])
    async with people_of(scene.world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        for who, expected in zip((mira, noor, None), TABLE[action], strict=True):
            assert await seen_in(scene, people, who, uri, scene.ana) == expected, (action, who and who.name)
        await adopt(scene, followed_override=False)
        found = await seen_in(scene, people, mira, uri, scene.ana)
        expected = TABLE[action][1] | (
            {place: TABLE[action][1].get("page", "") for place in ("home", "api home")} if action != RemoteAction.FILTER else {}
        )
        assert found == expected, "following changes nothing then, but that it is in the home"


async def test_an_answer_is_in_its_thread_unless_it_is_filtered(scene: Scene) -> None:
    posted = await scene.post("what do you think?")
    said = {"tag": [AI_LABEL], "inReplyTo": posted["uri"], **(await to_mira(scene))}
    uri = await shows(scene, scene.ana, **said)
    async with people_of(scene.world.instance) as people:
        noor = await people.person("noor")
        assert (await seen_in(scene, people, noor, uri, scene.ana))["thread"] == "collapse"
        await adopt(scene, self_label=RemoteAction.FILTER)
        assert "thread" not in await seen_in(scene, people, noor, uri, scene.ana)


async def test_who_boosts_what_is_hidden_shows_it_behind_a_click_and_what_is_filtered_to_nobody(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    note = scene.bo.note(tag=[AI_LABEL])
    scene.far.holds(note)
    await scene.heard(scene.ana, scene.ana.activity("Announce", note["id"]))
    (entry,) = await home(scene.world)
    assert entry["reblog"]["fediart"]["label"]["shown"] == "collapse"
    await adopt(scene, self_label=RemoteAction.FILTER)
    assert await home(scene.world) == []
    await adopt(scene, self_label=RemoteAction.LABEL)
    (entry,) = await home(scene.world)
    assert entry["reblog"]["fediart"]["label"]["shown"] == "label"


async def test_a_mention_in_what_is_filtered_tells_nobody(scene: Scene) -> None:
    await adopt(scene, self_label=RemoteAction.FILTER)
    mira = scene.world.instance.identifiers.actor_uri("mira")
    mention = {"type": "Mention", "href": mira, "name": "@mira"}
    for tags in ([AI_LABEL, mention], [mention]):
        await scene.heard(scene.ana, scene.ana.create(scene.ana.note(tag=tags, **(await to_mira(scene)))))
    assert await scene.notices() == [("mention", scene.ana.acct)]
    async with people_of(scene.world.instance) as people:
        page = (await (await people.person("mira")).browser.get("/search")).text
    assert '<b class="count">1</b>' in page, "nor is it counted"


async def test_a_persons_own_wish_holds_at_once_for_whom_they_follow_too_and_for_nobody_else(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    uri = await shows(scene, scene.ana, tag=[tag("aiart")])
    plain = await shows(scene, scene.ana)
    async with people_of(scene.world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        assert await seen_in(scene, people, mira, uri, scene.ana) == dict.fromkeys(EVERYWHERE, "label")
        page = await mira.browser.get("/settings/ai")
        assert "What its author calls AI-made is in no public list here" in page.text
        for wish, expected in (
            ("collapse", dict.fromkeys(EVERYWHERE, "collapse")),
            ("hide", wanted(linked="collapse")),
            ("label", dict.fromkeys(EVERYWHERE, "label")),
            ("nonsense", dict.fromkeys(EVERYWHERE, "label")),
        ):
            answer = await mira.browser.send("/settings/ai", {"wish": wish})
            assert "Kept." in answer.text
            await _without(scene, plain)  # pages are read by their only work
            assert await seen_in(scene, people, mira, uri, scene.ana) == expected, wish
            assert (await seen_in(scene, people, noor, uri, scene.ana))["api tag"] == "label"


async def _without(scene: Scene, uri: str) -> None:
    if (row := await kept(scene, uri)) is not None:
        work = await scene.world.instance.storage.read(rows.work_by_id, row.id)
        assert work is not None
        await scene.world.instance.storage.write(rows.remove_work, work, scene.ana.uri, 0)
