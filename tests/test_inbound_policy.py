"""Posts of other servers and the AI-art policy: what they say of themselves, what is done with it, and who sees what."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import Connection, select, update

from fediart.activitypub.parsers.note import parse_note
from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.domain.origin import Level
from fediart.domain.policy import PRESETS, AiPolicy, LocalAction, Preset, RemoteAction
from fediart.domain.reservations import Answer, Reservation
from fediart.instance import Instance
from fediart.media.sample import draw_sample
from fediart.office import rejudge_works as rejudging
from fediart.office.adopt_policy import adopt_policy
from fediart.office.dry_run import count_changes
from fediart.storage import policies, verdicts
from fediart.storage.tables import images, works
from fediart.timeline.judge import judge_again
from tests.far_server import FarActor, follow, home, settled
from tests.people import People, Person, people_of
from tests.scene import Scene, a_scene

pytestmark = pytest.mark.anyio

AI_LABEL = {"type": "Label", "href": "https://far.example/labels/ai-generated", "name": "Made with AI"}
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

DECLARED_XMP = f"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType="{TRAINED}"/></rdf:RDF>
</x:xmpmeta><?xpacket end="w"?>"""


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


async def change(scene: Scene, work_id: int, **values: Any) -> None:
    """Put values into its row, as somebody else's act does."""
    await scene.world.instance.storage.write(lambda db: db.execute(update(works).where(works.c.id == work_id).values(**values)))


async def says(scene: Scene, actor: FarActor, *tags: dict[str, Any], **more: Any) -> str:
    """The actor posts something with these tags and #oil; returns its id on its server."""
    note = actor.note(tag=[*tags, tag("oil")], **more)
    await scene.heard(actor, actor.create(note))
    return str(note["id"])


async def shows(scene: Scene, actor: FarActor, *tags: dict[str, Any]) -> str:
    """The same with a picture, which is fetched."""
    scene.far.serve("/a.jpg", draw_sample(64, 48), content_type="image/jpeg")
    picture = {"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/a.jpg"}
    return await says(scene, actor, *tags, attachment=[picture])


def to_mira(scene: Scene) -> dict[str, Any]:
    return {"to": [AS_PUBLIC], "cc": [scene.world.instance.identifiers.actor_uri("mira")]}


# ------------------------------------------------------------------------------------------------ each row of the rules


def _attached(**more: Any) -> dict[str, Any]:
    """Something that is not fetched: the word of a film counts as that of a picture."""
    return {"attachment": [{"type": "Video", "mediaType": "video/mp4", "url": "https://far.example/a.mp4", **more}]}


SELF_LABELS: dict[str, tuple[dict[str, Any], str]] = {
    "a Label tag": ({"tag": [AI_LABEL]}, "ai-generated"),
    "a Label tag alone": ({"tag": {"type": "Label", "href": "https://x.example/labels/ai-assisted/"}}, "ai-assisted"),
    "a Label by its name": ({"tag": [{"type": ["Label"], "name": "made WITHOUT generative AI"}]}, "no-generative-ai"),
    "a Label with a full type": (
        {"tag": [{"type": "https://w3id.org/fep/4c96#Label", "href": {"id": "https://x.example/ai-generated?a=1#b"}}]},
        "ai-generated",
    ),
    "a Label of another vocabulary": (
        {"tag": [{"type": "Label", "href": "https://x.example/labels/spoiler", "name": "Spoiler"}]},
        "",
    ),
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
        await scene.heard(scene.ana, scene.ana.create(note))
        row = await kept(scene, note["id"])
        assert row.self_label == wanted, shape
        by_label = {"": ("allow", ""), "no-generative-ai": ("allow", "self-label")}.get(wanted, ("hide_public", "self-label"))
        assert (row.verdict_action, row.verdict_rule, row.verdict_label) == (*by_label, wanted), shape


def test_what_is_reserved_of_a_picture_is_read_from_it_and_from_its_note_and_no_wins() -> None:
    document = {
        "id": "https://far.example/1",
        "type": "Note",
        "attributedTo": "https://far.example/ana",
        "contentUsage": "train-ai=n",
        "attachment": [
            {"type": "Image", "url": "https://far.example/a.jpg"},
            {"type": "Image", "url": "https://far.example/b.jpg", "fediart:contentUsage": "train-ai=y", "tdmReservation": 0},
            {"type": "Image", "url": "https://far.example/c.jpg", "contentUsage": {"a": 1}, "tdmReservation": "maybe"},
            {"type": "Image", "url": "https://far.example/d.jpg", "tdm:reservation": {"@value": "1"}},
            {"type": "Image", "url": "https://far.example/e.jpg", "xRobotsTag": ["noai", "noindex"]},
        ],
    }
    found = [item.reservation for item in parse_note(document).attachments]
    allow, deny = Answer.ALLOW, Answer.DENY
    no_training = Reservation(deny, allow, allow)
    assert found == [no_training] * 3 + [Reservation(deny, deny, allow), Reservation(deny, allow, deny)]


async def test_a_hashtag_counts_in_whatever_case_and_only_whole(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    found = {}
    for name in ("AiArt", "AIイラスト", "aiartist", "generativeart"):
        row = await kept(scene, await says(scene, scene.ana, tag(name)))
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


async def test_each_action_shows_a_work_to_each_person_as_the_table_says(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    uri = await shows(scene, scene.ana, AI_LABEL)
    async with people_of(scene.world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        for action, row in TABLE.items():
            await adopt(scene, self_label=action, followed_override=True)
            for who, expected in zip((mira, noor, None), row, strict=True):
                assert await seen_in(scene, people, who, uri, scene.ana) == expected, (action, who and who.name)
            await adopt(scene, followed_override=False)
            is_home = action != RemoteAction.FILTER
            at_home = dict.fromkeys(("home", "api home"), row[1]["page"]) if is_home else {}
            found = await seen_in(scene, people, mira, uri, scene.ana)
            assert found == row[1] | at_home, "following changes nothing then, but that it is in the home"


async def test_an_answer_is_in_its_thread_unless_it_is_filtered(scene: Scene) -> None:
    posted = await scene.post("what do you think?")
    uri = await says(scene, scene.ana, AI_LABEL, inReplyTo=posted["uri"], **to_mira(scene))
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
        await scene.heard(scene.ana, scene.ana.create(scene.ana.note(tag=tags, **to_mira(scene))))
    assert await scene.notices() == [("mention", scene.ana.acct)]
    async with people_of(scene.world.instance) as people:
        page = (await (await people.person("mira")).browser.get("/search")).text
    assert '<b class="count">2</b>' in page, "the new policy and one mention: the other is not counted either"


async def test_a_persons_own_wish_holds_at_once_for_whom_they_follow_too_and_for_nobody_else(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    uri = await shows(scene, scene.ana, tag("aiart"))
    async with people_of(scene.world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        assert await seen_in(scene, people, mira, uri, scene.ana) == dict.fromkeys(EVERYWHERE, "label")
        page = await mira.browser.get("/settings/ai")
        assert "A work that its author calls AI-made is in no public list here" in page.text
        for wish, expected in (
            ("collapse", dict.fromkeys(EVERYWHERE, "collapse")),
            ("hide", wanted(linked="collapse")),
            ("label", dict.fromkeys(EVERYWHERE, "label")),
            ("nonsense", dict.fromkeys(EVERYWHERE, "label")),
        ):
            answer = await mira.browser.send("/settings/ai", {"wish": wish})
            assert "Kept." in answer.text
            assert await seen_in(scene, people, mira, uri, scene.ana) == expected, wish
            assert (await seen_in(scene, people, noor, uri, scene.ana))["api tag"] == "label"


async def test_what_is_left_out_of_a_list_leaves_no_hole_in_its_page(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    older = [await says(scene, scene.ana) for _ in range(2)]
    for _ in range(2):
        await says(scene, scene.ana, tag("aiart"))
    row = await kept(scene, older[0])
    async with people_of(scene.world.instance) as people:
        mira = await people.person("mira")
        await mira.browser.send("/settings/ai", {"wish": "hide"})
        for path in ("/api/v1/timelines/tag/oil", f"/api/v1/accounts/{row.actor_id}/statuses"):
            listed = (await mira.api.get(path, params={"limit": 2})).json()
            assert [item["uri"] for item in listed] == older[::-1]


# ------------------------------------------------------------------------------------------------- what the files say


async def put_origin(scene: Scene, uri: str, level: Level) -> None:
    """As if the reader had found this in the work's picture, which is then judged as when it is fetched."""
    instance = scene.world.instance
    row = await kept(scene, uri)
    origin = {"signals": [{"level": level, "source": "iptc", "evidence": "It says so."}], "sha256": level.value, "c2pa": "absent"}

    def act(db: Connection) -> None:
        db.execute(update(images).where(images.c.work_id == row.id).values(origin=json.dumps(origin)))
        judge_again(db, instance.policy, row.id)

    await instance.storage.write(act)


async def test_what_a_fetched_file_says_is_judged_and_reject_removes_its_work(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    uri = await shows(scene, scene.ana, tag("aiart"))
    for level, expected in (
        (Level.HINT, ("label", "hashtag", "#aiart")),
        (Level.GENERATOR, ("hide_public", "file", "The file carries settings of an image generator")),
        (Level.DECLARED, ("hide_public", "file", "ai-generated")),
    ):
        await put_origin(scene, uri, level)
        row = await kept(scene, uri)
        assert (row.verdict_action, row.verdict_rule, row.verdict_label) == expected
    (entry,) = await home(scene.world)
    assert entry["fediart"]["label"]["text"] == "The file says it was made with AI"
    name = entry["media_attachments"][0]["url"].rpartition("/media/")[2]
    assert scene.world.instance.files.path(name).exists()
    await adopt(scene, declared=RemoteAction.REJECT)
    assert await kept(scene, uri) is None
    assert not scene.world.instance.files.path(name).exists()


async def test_the_file_itself_is_read_once_it_has_been_fetched(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    for number, (packet, expected) in enumerate(((DECLARED_XMP, ("hide_public", "file")), ("", ("allow", "")))):
        out = io.BytesIO()
        more = {"xmp": packet.encode()} if packet else {}
        Image.new("RGB", (64, 48), (90, 60, 30)).save(out, "JPEG", **more)
        scene.far.serve(f"/{number}.jpg", out.getvalue(), content_type="image/jpeg")
        picture = {"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/{number}.jpg"}
        row = await kept(scene, await says(scene, scene.ana, attachment=[picture]))
        assert (row.verdict_action, row.verdict_rule) == expected


async def test_a_file_that_a_moderator_cleared_says_nothing_any_more(scene: Scene) -> None:
    from fediart.storage.tables import cleared_files

    await follow(scene.world, scene.ana)
    uri = await says(scene, scene.ana)
    cleared = cleared_files.insert().values(sha256=Level.DECLARED.value, cleared_at=1)
    await scene.world.instance.storage.write(lambda db: db.execute(cleared))
    await put_origin(scene, uri, Level.DECLARED)
    assert (await kept(scene, uri)).verdict_action == "allow"


async def test_a_moderators_word_beats_every_rule_and_is_kept_through_changes(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    uri = await says(scene, scene.ana, AI_LABEL)
    row = await kept(scene, uri)
    await change(scene, row.id, moderated="allow")
    (entry,) = await home(scene.world)
    assert entry["fediart"] == {}
    await adopt(scene, domains={scene.far.host: RemoteAction.REJECT})
    row = await kept(scene, uri)
    assert (row.verdict_action, row.verdict_rule) == ("allow", "moderator")
    await change(scene, row.id, moderated="collapse")
    (entry,) = await home(scene.world)
    assert entry["fediart"]["label"]["shown"] == "collapse"


# ------------------------------------------------------------------------------------- nothing of it is told to others


async def test_a_label_of_ours_on_a_work_of_others_goes_to_nobody(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    await scene.heard(scene.eve, scene.eve.activity("Follow", scene.world.instance.identifiers.actor_uri("mira")))
    uri = await says(scene, scene.ana, tag("aiart"))
    row = await kept(scene, uri)
    assert row.verdict_action == "label"
    await change(scene, row.id, moderated="hide_public")
    for verb in ("reblog", "favourite"):
        assert (await scene.world.client.post(f"/api/v1/statuses/{row.id}/{verb}")).status_code == 200
    await scene.post("an answer", in_reply_to_id=str(row.id))
    assert await settled(scene.world) == []
    sent = [asked.body.decode() for server in (scene.far, scene.other) for asked in server.asked if asked.method == "POST"]
    told = [document for document in scene.other.received() if document["type"] in ("Announce", "Create")]
    assert {document["type"] for document in told} == {"Announce", "Create"}
    (announce,) = [document for document in told if document["type"] == "Announce"]
    assert announce["object"] == uri, "its address, and nothing that we say of it"
    for path in ("/users/mira/outbox?page=true", f"/users/mira/statuses/{row.id}"):
        answer = await scene.world.stranger.get(path, headers={"accept": "application/activity+json"})
        sent.append(answer.text)
    for body in sent:
        for word in ('"type":"Label"', "/labels/", "aiart", "ai-generated", "hide_public", "verdict", "moderated", "hashtag"):
            assert word not in body, body[:300]


# ---------------------------------------------------------------------------------------------------- works of ours


async def test_what_an_artist_of_ours_calls_ai_made_carries_its_label_and_hand_made_only_on_its_page(scene: Scene) -> None:
    instance = scene.world.instance
    async with people_of(instance) as people:
        noor = await people.person("noor")
        for declaration, words, in_list in (
            ("ai", "Its artist says: made with AI", True),
            ("parts-ai", "Its artist says: parts made with AI", True),
            ("digital", "Its artist says: made without generative AI", False),
            ("", "Its artist says", False),
        ):
            posted = await scene.post(f"{declaration} #washes")
            await change(scene, int(posted["id"]), declaration=declaration)
            page = (await noor.browser.get(f"/@mira/{posted['id']}")).text
            assert (words in page) == bool(declaration)
            assert (words in (await noor.browser.get("/tags/washes")).text) == in_list
            told = (await noor.api.get(f"/api/v1/statuses/{posted['id']}")).json()
            assert told["fediart"].get("label", {}).get("text") == (words if in_list else None)
            if declaration == "ai":
                await noor.browser.send("/settings/ai", {"wish": "hide"})
                assert words not in (await noor.browser.get("/tags/washes")).text
                assert words in (await scene.world.client.get("/api/v1/timelines/home")).text, "one's own is never hidden"
                await noor.browser.send("/settings/ai", {"wish": ""})
            assert (await scene.world.client.delete(f"/api/v1/statuses/{posted['id']}")).status_code == 200


# ------------------------------------------------------------------------------------------------ a changed policy


async def tagged(scene: Scene) -> set[str]:
    listed = (await scene.world.client.get("/api/v1/timelines/tag/oil", params={"limit": 40})).json()
    return {item["uri"] for item in listed}


async def test_a_changed_policy_changes_what_is_shown_and_a_milder_one_brings_it_back_to_its_place(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    uris = [await says(scene, scene.ana, *([tag("aiart")] if number % 2 else [])) for number in range(4)]
    before = [entry["uri"] for entry in await home(scene.world)]
    assert before == uris[::-1]
    progress = await scene.world.instance.storage.read(verdicts.rejudge_progress)
    assert progress is None
    await adopt(scene, hashtag=RemoteAction.FILTER, followed_override=False)
    assert [entry["uri"] for entry in await home(scene.world)] == [uris[2], uris[0]]
    assert await tagged(scene) == {uris[0], uris[2]}
    assert await scene.world.instance.storage.read(verdicts.rejudge_progress) == (4, 4, 2)
    await adopt(scene, hashtag=RemoteAction.ALLOW)
    assert [entry["uri"] for entry in await home(scene.world)] == before
    assert await tagged(scene) == set(uris)


async def test_a_run_that_is_stopped_in_the_middle_goes_on_from_there(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = scene.world.instance
    await follow(scene.world, scene.ana)
    uris = [await says(scene, scene.ana, tag("aiart")) for _ in range(6)]
    monkeypatch.setattr(rejudging, "BATCH", 2)
    policy = await instance.storage.write(_adopt_only, replace(instance.policy, remote=_hides(instance.policy)))
    ended = asyncio.create_task(rejudging.rejudge_works(_stopping_after(instance, 2), policy.number))
    with pytest.raises(asyncio.CancelledError):
        await ended
    assert await instance.storage.read(verdicts.rejudge_progress) == (4, 6, policy.number)
    actions = [(await kept(scene, uri)).verdict_action for uri in uris]
    assert actions == ["label"] * 2 + ["hide_public"] * 4, "the newest first"
    writes = _Counting(instance)
    await rejudging.rejudge_works(writes, policy.number)  # type: ignore[arg-type]
    assert writes.written == 2, "one act for the rest, and one that finds no more"
    assert await instance.storage.read(verdicts.rejudge_progress) == (6, 6, policy.number)
    assert {(await kept(scene, uri)).verdict_action for uri in uris} == {"hide_public"}
    assert instance.policy.number < policy.number == writes.policy.number, "and what arrives is judged by it"


def _hides(policy: AiPolicy) -> Any:
    return replace(policy.remote, hashtag=RemoteAction.HIDE_PUBLIC)


def _adopt_only(db: Connection, policy: AiPolicy) -> AiPolicy:
    return policies.add_policy(db, policy, 1, None)


class _Counting:
    """An instance that counts its writes; with `stop_after` the one after so many is where the process ends."""

    def __init__(self, instance: Instance, stop_after: int | None = None) -> None:
        self._instance, self._stop_after, self.written = instance, stop_after, 0
        self.policy = instance.policy
        self.storage = self
        self.files, self.clock = instance.files, instance.clock

    async def read(self, *args: Any, **more: Any) -> Any:
        return await self._instance.storage.read(*args, **more)

    async def write(self, *args: Any, **more: Any) -> Any:
        if self.written == self._stop_after:
            raise asyncio.CancelledError
        self.written += 1
        return await self._instance.storage.write(*args, **more)


def _stopping_after(instance: Instance, writes: int) -> Any:
    return _Counting(instance, writes)


async def test_a_run_that_was_stopped_while_it_removed_removes_the_rest(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = scene.world.instance
    await follow(scene.world, scene.ana)
    uris = [await says(scene, scene.ana, tag("aiart")) for _ in range(4)]
    monkeypatch.setattr(rejudging, "BATCH", 4)
    monkeypatch.setattr(rejudging, "REMOVED", 1)
    remote = replace(instance.policy.remote, hashtag=RemoteAction.REJECT)
    policy = await instance.storage.write(_adopt_only, replace(instance.policy, remote=remote))
    with pytest.raises(asyncio.CancelledError):
        await rejudging.rejudge_works(_stopping_after(instance, 3), policy.number)
    assert [await kept(scene, uri) is None for uri in uris] == [False, False, True, True]
    assert await home(scene.world) == [], "what is still there is in no list"
    await rejudging.rejudge_works(instance, policy.number)
    assert [await kept(scene, uri) for uri in uris] == [None] * 4


async def test_a_run_ends_where_a_newer_revision_holds(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = scene.world.instance
    await follow(scene.world, scene.ana)
    uris = [await says(scene, scene.ana, tag("aiart")) for _ in range(4)]
    monkeypatch.setattr(rejudging, "BATCH", 1)
    older = await instance.storage.write(_adopt_only, replace(instance.policy, remote=_hides(instance.policy)))

    class Meanwhile(_Counting):
        async def write(self, *args: Any, **more: Any) -> Any:
            if self.written == 2:
                await self._instance.storage.write(_adopt_only, PRESETS[Preset.LABEL_ONLY])
            return await super().write(*args, **more)

    await rejudging.rejudge_works(Meanwhile(instance), older.number)  # type: ignore[arg-type]
    assert [(await kept(scene, uri)).verdict_action for uri in uris] == ["label", "label", "hide_public", "hide_public"]
    await rejudging.rejudge_works(instance, older.number)
    assert (await kept(scene, uris[0])).verdict_action == "label", "nor is the older one begun again"
    await rejudging.rejudge_works(instance, older.number + 1)
    assert {(await kept(scene, uri)).verdict_action for uri in uris} == {"label"}


async def test_a_dry_run_counts_what_would_change_and_changes_nothing(scene: Scene) -> None:
    instance = scene.world.instance
    await follow(scene.world, scene.ana)
    for tags in ([tag("aiart")], [tag("aiart")], [AI_LABEL], []):
        await says(scene, scene.ana, *tags)
    posted = (await scene.world.upload())["id"]
    await scene.post("mine", **{"media_ids[]": posted})
    origin = json.dumps({"signals": [{"level": "generator", "source": "a1111", "evidence": "x"}], "sha256": "", "c2pa": "absent"})
    put = update(images).where(images.c.id == int(posted)).values(origin=origin)
    await instance.storage.write(lambda db: db.execute(put))
    before = await instance.storage.read(lambda db: db.execute(select(works)).all())
    found = await count_changes(instance, PRESETS[Preset.OPEN])
    assert (found.posts, found.posts_before) == (
        {RemoteAction.ALLOW: 2, RemoteAction.LABEL: 1},
        {RemoteAction.LABEL: 2, RemoteAction.HIDE_PUBLIC: 1},
    )
    assert (found.uploads, found.uploads_before) == ({LocalAction.ALLOW: 1}, {LocalAction.HOLD: 1})
    assert (found.posts_seen, found.uploads_seen) == (4, 1)
    assert (await count_changes(instance, instance.policy)).is_none
    assert (await count_changes(instance, PRESETS[Preset.OPEN], limit=1)).posts == {}, "the latest has no sign"
    assert await instance.storage.read(lambda db: db.execute(select(works)).all()) == before


# --------------------------------------------------------------------------------------------------------- bad input


def _deep(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"@id": TRAINED}
    for _ in range(levels):
        found = {"@id": [found]}
    return found


HOSTILE: dict[str, dict[str, Any]] = {
    "three thousand hashtags": {"tag": [tag(f"aiart{number}") for number in range(3_000)]},
    "three thousand labels": {"tag": [{"type": "Label", "href": "x" * 40, "name": 5}] * 3_000},
    "ten thousand source types": {"digitalSourceType": [TRAINED + "x"] * 10_000},
    "deep nesting": {"digitalSourceType": _deep(10), "tag": [[[[AI_LABEL]]]], "contentUsage": _deep(10)},
    "wrong types": {
        "tag": [None, 5, True, [], {"type": 5}, {"type": "Label", "href": {"a": []}, "name": {"b": 1}}],
        "digitalSourceType": 7,
        "genAI": [[]],
        "tdmReservation": {"@value": []},
        "xRobotsTag": {"a": 1},
    },
    "a tag that is no list": {"tag": "aiart"},
    "a label as long as a book": {"tag": [{"type": "Label", "name": "ai-generated" * 50_000}]},
}


async def test_hostile_signs_say_nothing_and_lose_no_post(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    for name, said in HOSTILE.items():
        note = scene.ana.note(f"<p>{name}</p>", **said)
        await scene.heard(scene.ana, scene.ana.create(note))
        row = await kept(scene, note["id"])
        assert row is not None, name
        assert (row.self_label, row.verdict_action) == ("", "allow"), name
    page = await scene.world.client.get("/api/v1/timelines/home")
    assert len(page.json()) == len(HOSTILE)


@pytest.mark.parametrize("said", [{"tag": [tag("aiart")] * 10_000}, {"digitalSourceType": _deep(200)}])
async def test_a_document_of_ten_thousand_tags_or_without_end_is_refused_at_the_door(scene: Scene, said: dict[str, Any]) -> None:
    answer = await scene.ana.says(scene.world, scene.ana.create(scene.ana.note(**said)))
    assert answer.status_code == 400
    assert "too" in answer.json()["error"]


async def test_a_label_is_looked_for_among_the_first_thousand_tags(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    for place, wanted in ((500, "ai-generated"), (2_999, "")):
        tags = [tag("a")] * 3_000
        tags[place] = AI_LABEL
        note = scene.ana.note(tag=tags)
        await scene.heard(scene.ana, scene.ana.create(note))
        assert (await kept(scene, note["id"])).self_label == wanted
