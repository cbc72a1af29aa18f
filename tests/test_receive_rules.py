"""Verbs beside those of test_inbox: groups that pass on, pins, moves, reactions, polls; and every verb in its shorter forms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.clock import system_clock, to_iso
from fediart.storage.tables import actors, boosts, follows, images, likes, notifications, pins, tombstones, works
from tests.far_server import FarActor, artist_uri, find, follow, home, relationship, settled
from tests.people import people_of
from tests.scene import Scene, a_scene
from tests.waiting import until

pytestmark = pytest.mark.anyio
DAY = 24 * 3_600_000


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


# ---------------------------------------------------------------------------------------------------- shorter forms


async def test_an_undo_of_a_boost_by_its_id_alone_is_understood(scene: Scene) -> None:
    posted = await scene.post()
    boost = scene.ana.activity("Announce", posted["uri"])
    await scene.heard(scene.ana, boost)
    assert (await scene.work(posted["id"]))["reblogs_count"] == 1
    await scene.heard(scene.ana, scene.ana.activity("Undo", boost["id"]))
    assert (await scene.work(posted["id"]))["reblogs_count"] == 0


async def test_an_edit_that_only_names_its_note_is_asked_of_its_server(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    note = scene.ana.note("<p>first</p>")
    await scene.heard(scene.ana, scene.ana.create(note))
    scene.far.holds(note, content="<p>second</p>", updated=to_iso(system_clock()))
    await scene.heard(scene.ana, scene.ana.activity("Update", note["id"]))
    assert [entry["content"] for entry in await home(scene.world)] == ["<p>second</p>"]


async def test_an_account_is_deleted_in_every_form(scene: Scene) -> None:
    forms: list[Callable[[FarActor], Any]] = [
        lambda actor: actor.uri,
        lambda actor: actor.document(),
        lambda actor: {"id": actor.uri, "type": "Tombstone"},
        lambda actor: [actor.uri],
    ]
    for number, form in enumerate(forms):
        actor = scene.far.actor(f"leaver{number}")
        await follow(scene.world, actor)
        await scene.heard(actor, actor.create(actor.note()))
        assert len(await scene.uris()) == 1
        await scene.heard(actor, actor.activity("Delete", form(actor)))
        assert await scene.uris() == []


@pytest.mark.parametrize("shape", ["bare id", "in a list"])
async def test_a_reject_is_understood_in_its_shorter_forms(scene: Scene, shape: str) -> None:
    account_id = await follow(scene.world, scene.ana)
    (asked,) = scene.far.received("Follow")
    await scene.heard(scene.ana, scene.ana.activity("Reject", asked["id"] if shape == "bare id" else [asked]))
    assert not (await relationship(scene.world, account_id))["following"]


async def test_an_embedded_actor_and_lists_for_scalars_are_understood(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    note = scene.ana.note()
    told = {**scene.ana.create(note), "object": [{**note, "type": ["Note"]}], "actor": [scene.ana.document()], "type": ["Create"]}
    await scene.heard(scene.ana, told)
    assert await scene.uris() == [note["id"]]


async def test_a_verb_that_says_nothing_to_us_is_answered_202_and_changes_nothing(scene: Scene) -> None:
    account_id = await find(scene.world, scene.ana)
    before = await relationship(scene.world, account_id)
    asked = {"type": "Follow", "actor": artist_uri(scene.world), "object": scene.ana.uri}
    for kind in ("TentativeAccept", "TentativeReject", "Question", "View", "Listen", "Read", "Join", "ChatMessage"):
        assert (await scene.ana.says(scene.world, scene.ana.activity(kind, asked))).status_code == 202
    assert await settled(scene.world) == []
    assert await relationship(scene.world, account_id) == before


async def test_undoing_a_block_changes_nothing(scene: Scene) -> None:
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    await scene.heard(scene.ana, scene.ana.activity("Undo", scene.ana.activity("Block", artist_uri(scene.world))))
    assert (await scene.mira())["followers_count"] == 1


# ------------------------------------------------------------------------------------------------------------ polls


async def test_a_poll_is_shown_with_its_answers_and_nobody_votes_in_ours(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    options = [{"type": "Note", "name": name, "replies": {"type": "Collection", "totalItems": 1}} for name in ("red", "blue")]
    poll = scene.ana.note("<p>which?</p>", type="Question", oneOf=options, endTime="2030-01-01T00:00:00Z")
    await scene.heard(scene.ana, scene.ana.create(poll))
    (entry,) = await home(scene.world)
    for piece in ("which?", "<li>red</li>", "<li>blue</li>", poll["id"]):
        assert piece in entry["content"]
    posted = await scene.post()
    vote = scene.ana.note("", name="red", inReplyTo=posted["uri"], to=[artist_uri(scene.world)], cc=[])
    await scene.heard(scene.ana, scene.ana.create(vote))
    assert (await scene.work(posted["id"]))["replies_count"] == 0
    assert await scene.notices() == []


# -------------------------------------------------------------------------------------------------------- reactions


async def test_a_like_with_a_face_is_shown_with_it(scene: Scene) -> None:
    posted = await scene.post()
    tag = [{"type": "Emoji", "name": ":lamp:", "icon": {"type": "Image", "url": f"{scene.far.url}/lamp.png"}}]
    ways = [("Like", "content"), ("EmojiReact", "content"), ("Like", "_misskey_reaction")]
    for number, (kind, word) in enumerate(ways):
        actor = scene.far.actor(f"liker{number}")
        await scene.heard(actor, actor.activity(kind, posted["uri"], tag=tag, **{word: ":lamp:\u202e"}))
    await scene.heard(scene.bo, scene.bo.activity("Like", posted["uri"]))
    listed = (await scene.world.client.get("/api/v1/notifications")).json()
    assert [item.get("emoji") for item in listed] == [None, ":lamp:", ":lamp:", ":lamp:"]
    async with people_of(scene.world.instance) as people:
        page = (await (await people.person("mira")).browser.get("/notifications")).text
    assert page.count("likes your work: :lamp:") == 3
    assert page.count("likes your work") == 4
    assert scene.far.times_asked("/lamp.png") == 1, "it is not there, so its name is shown"


async def test_a_mention_by_name_alone_means_whom_the_note_is_addressed_to(scene: Scene) -> None:
    mine = artist_uri(scene.world)
    names = ("@mira", "@Mira@localhost:8000", "@noor")
    for number, name in enumerate(names):
        actor = scene.far.actor(f"friend{number}")
        await scene.heard(actor, actor.create(actor.note(to=[mine], cc=[], tag=[{"type": "Mention", "name": name}])))
    told = [(kind, acct.split("@")[0]) for kind, acct in await scene.notices()]
    assert sorted(told) == [("mention", "friend0"), ("mention", "friend1")]
    await scene.heard(scene.bo, scene.bo.create(scene.bo.note(tag=[{"type": "Mention", "name": "@mira"}], inReplyTo=None)))
    assert len(await scene.notices()) == 2, "not addressed to her"


# ----------------------------------------------------------------------------------------------------------- groups


def _group(scene: Scene) -> FarActor:
    group = scene.far.actor("painters")
    group.shows(type="Group")
    return group


async def test_a_group_passes_on_what_its_members_make(scene: Scene) -> None:
    """FEP-1b12, as Lemmy, Mbin and PieFed do: the post is asked of its own server, whatever the group says of it."""
    group = _group(scene)
    await follow(scene.world, group)
    page = scene.eve.note("<p>as eve says it</p>", type="Page", name="A find", audience=group.uri)
    scene.other.holds(page)
    told = scene.eve.create({**page, "content": "<p>as the group says it</p>"})
    await scene.heard(group, group.activity("Announce", told, to=[AS_PUBLIC], cc=[group.followers]))
    await scene.heard(group, group.activity("Announce", page["id"], to=[AS_PUBLIC]))  # Lemmy says it twice, for Mastodon
    (entry,) = await home(scene.world)
    assert entry["account"]["acct"] == group.acct
    assert "<p>as eve says it</p>" in entry["reblog"]["content"]
    answer = scene.eve.note("<p>an answer</p>", inReplyTo=page["id"])
    scene.other.holds(answer)
    await scene.heard(group, group.activity("Announce", scene.eve.create(answer), to=[AS_PUBLIC]))
    assert len(await home(scene.world)) == 1, "an answer is no boost"
    told_of = (await scene.world.client.get(f"/api/v1/statuses/{entry['reblog']['id']}/context")).json()
    assert [item["content"] for item in told_of["descendants"]] == ["<p>an answer</p>"]


async def test_what_a_group_passes_on_of_other_verbs_fetches_and_changes_nothing(scene: Scene) -> None:
    group = _group(scene)
    await follow(scene.world, group)
    await follow(scene.world, scene.ana)
    note = scene.ana.note()
    await scene.heard(scene.ana, scene.ana.create(note))
    for kind in ("Like", "Dislike", "Delete", "Undo", "Flag", "Lock"):
        inner = scene.eve.activity(kind, note["id"])
        scene.other.serve(inner["id"].removeprefix(scene.other.url), inner)
        await scene.heard(group, group.activity("Announce", inner, to=[AS_PUBLIC]))
    (entry,) = await home(scene.world)
    assert (entry["uri"], entry["favourites_count"], entry["reblogs_count"]) == (note["id"], 0, 0)
    assert scene.other.asked == []


# ------------------------------------------------------------------------------------------------------------- pins


async def _pinned(scene: Scene, account_id: str) -> list[str]:
    found = await scene.world.client.get(f"/api/v1/accounts/{account_id}/statuses", params={"pinned": "true"})
    return [item["uri"] for item in found.json()]


async def test_what_somebody_pins_is_known_and_can_be_asked_for(scene: Scene) -> None:
    ana, featured = scene.ana, f"{scene.ana.uri}/featured"
    ana.shows(featured=featured)
    account_id = await follow(scene.world, ana)
    here, elsewhere, theirs = ana.note("<p>here</p>"), ana.note("<p>not yet here</p>"), scene.bo.note("<p>of bo</p>")
    await scene.heard(ana, ana.create(here))
    scene.far.holds(elsewhere)
    scene.far.holds(theirs)
    for of in (here["id"], elsewhere, theirs["id"]):
        await scene.heard(ana, ana.activity("Add", of, target=featured))
    assert await _pinned(scene, account_id) == [elsewhere["id"], here["id"]]
    # Nobody pins for somebody else, and other collections are not kept.
    await scene.heard(scene.bo, scene.bo.activity("Remove", here["id"], target=featured))
    await scene.heard(ana, ana.activity("Remove", here["id"], target=f"{ana.uri}/albums/1"))
    assert len(await _pinned(scene, account_id)) == 2
    await scene.heard(ana, ana.activity("Remove", here["id"], target=featured))
    assert await _pinned(scene, account_id) == [elsewhere["id"]]
    await scene.heard(ana, ana.activity("Delete", elsewhere["id"]))
    assert await _pinned(scene, account_id) == []


async def test_a_pin_of_somebody_whom_nobody_follows_fetches_nothing(scene: Scene) -> None:
    scene.ana.shows(featured=f"{scene.ana.uri}/featured")
    await find(scene.world, scene.ana)
    note = scene.ana.note()
    scene.far.holds(note)
    await scene.heard(scene.ana, scene.ana.activity("Add", note["id"], target=f"{scene.ana.uri}/featured"))
    assert scene.far.times_asked(note["id"].removeprefix(scene.far.url)) == 0


# ------------------------------------------------------------------------------------------------------------ moves


@pytest.mark.row(12)
async def test_who_moves_is_followed_where_they_go_once_both_sides_say_so(scene: Scene) -> None:
    ana, new = scene.ana, scene.other.actor("ana")
    old_id = await follow(scene.world, ana)
    await scene.world.client.post(f"/api/v1/accounts/{old_id}/follow", data={"reblogs": "false"})
    new.shows(alsoKnownAs=ana.uri)
    await scene.heard(ana, ana.activity("Move", ana.uri, target=new.uri))
    (undo,) = await until(lambda: scene.far.received("Undo"))
    assert (undo["object"]["type"], undo["object"]["object"]) == ("Follow", ana.uri)
    (asked,) = await until(lambda: scene.other.received("Follow"))
    assert (asked["actor"], asked["object"]) == (artist_uri(scene.world), new.uri)
    new_id = await find(scene.world, new)
    held = await relationship(scene.world, new_id)
    assert (held["requested"], held["following"], held["showing_reblogs"]) == (True, False, False)
    await scene.heard(new, new.activity("Accept", asked))
    assert (await relationship(scene.world, new_id))["following"]
    assert not (await relationship(scene.world, old_id))["following"]
    async with people_of(scene.world.instance) as people:
        page = (await (await people.person("mira")).browser.get(f"/@{ana.acct}")).text
    assert "goes on at" in page


FLAWS = (
    "not named back",
    "of somebody else",
    "named as another",
    "moved on itself",
    "of ours",
    "to itself",
    "nowhere",
    "not there",
    "to whom mira blocks",
)


@pytest.mark.row(12)
async def test_a_move_that_both_sides_do_not_speak_of_moves_nobody(scene: Scene) -> None:
    for number, flaw in enumerate(FLAWS):
        old, new = scene.far.actor(f"old{number}"), scene.other.actor(f"new{number}")
        account_id = await follow(scene.world, old)
        aliases = {"not named back": [], "named as another": [f"{old.uri}/x", scene.bo.uri]}.get(flaw, [old.uri])
        new.shows(alsoKnownAs=aliases, **({"movedTo": scene.eve.uri} if flaw == "moved on itself" else {}))
        if flaw == "not there":
            scene.other.serve(f"/users/{new.name}", {}, status=404)
        sender = scene.bo if flaw == "of somebody else" else old
        target = {"of ours": artist_uri(scene.world), "to itself": old.uri, "nowhere": None}.get(flaw, new.uri)
        if flaw == "to whom mira blocks":
            assert (await scene.world.client.post(f"/api/v1/accounts/{await find(scene.world, new)}/block")).status_code == 200
        asked_before = scene.other.times_asked(f"/users/{new.name}")
        await scene.heard(sender, sender.activity("Move", old.uri, target=target))
        assert (await relationship(scene.world, account_id))["following"], flaw
        assert scene.other.times_asked(f"/users/{new.name}") - asked_before <= 1, "one question at most"
    assert scene.other.received("Follow") == []


@pytest.mark.row(12)
async def test_who_has_just_moved_does_not_move_again_for_seven_days(scene: Scene) -> None:
    ana, new, newer = scene.ana, scene.other.actor("ana"), scene.other.actor("anna")
    await follow(scene.world, ana)
    new.shows(alsoKnownAs=[ana.uri])
    newer.shows(alsoKnownAs=[ana.uri])
    await scene.heard(ana, ana.activity("Move", ana.uri, target=new.uri))
    await find(scene.world, ana)
    await follow(scene.world, ana)
    await scene.heard(ana, ana.activity("Move", ana.uri, target=newer.uri))
    assert newer.uri not in [asked["object"] for asked in scene.other.received("Follow")]

    def a_week_ago(db: Connection) -> None:
        db.execute(update(actors).where(actors.c.uri == ana.uri).values(moved_at=actors.c.moved_at - 7 * DAY))

    await scene.world.instance.storage.write(a_week_ago)
    await scene.heard(ana, ana.activity("Move", ana.uri, target=newer.uri))
    await until(lambda: newer.uri in [asked["object"] for asked in scene.other.received("Follow")])


# --------------------------------------------------------------------------------------------------- spoiled activities


def _rows(db: Connection) -> dict[str, int]:
    tables = (actors, boosts, follows, images, likes, notifications, pins, tombstones, works)
    return {table.name: db.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


async def test_a_mistyped_activity_costs_at_most_one_fetch_and_leaves_nothing(scene: Scene) -> None:
    ana, world = scene.ana, scene.world
    ana.shows(featured=f"{ana.uri}/featured")
    await follow(world, ana)
    strange: list[Any] = [
        5,
        True,
        1e300,
        "",
        "x",
        "urn:x:1",
        "javascript:alert(1)",
        [],
        {},
        [[]],
        [5, ana.uri],
        {"id": 5},
        {"id": {"id": "x"}},
    ]
    strange += [{"type": "Note"}, {"type": 5, "id": f"{scene.far.url}/nothing/1"}, {"object": {"object": {"object": ana.uri}}}]
    strange += [
        {"type": "Note", "attributedTo": ana.uri},
        {"type": "Note", "id": f"{scene.far.url}/nothing/2", "attributedTo": 5},
    ]
    strange += [{"type": "Note", "id": f"{scene.other.url}/n", "attributedTo": ana.uri}, f"{scene.far.url}/nothing/3"]
    before = await world.instance.storage.read(_rows)
    kinds = ("Create", "Update", "Announce", "Like", "EmojiReact", "Follow", "Accept", "Reject", "Undo", "Add", "Remove", "Move")
    for kind in kinds:
        targets = [f"{ana.uri}/featured", 5, scene.eve.uri] if kind in ("Add", "Remove", "Move") else [None]
        said = [ana.activity(kind, of, target=target) for of in strange for target in targets]
        asked = len(scene.far.asked) + len(scene.other.asked)
        answers = await asyncio.gather(*(ana.says(world, activity) for activity in said))
        assert {answer.status_code for answer in answers} == {202}
        assert await settled(world) == []
        assert len(scene.far.asked) + len(scene.other.asked) - asked <= len(said), kind
    after = await world.instance.storage.read(_rows)
    assert {**after, "tombstones": 0} == {**before, "tombstones": 0}


@pytest.mark.row(7)
async def test_a_signature_inside_of_a_document_gives_no_authority_and_no_context_is_fetched(scene: Scene) -> None:
    """Row 7 (CVE-2026-46349, -42462): what ana's server signed once, passed on by eve, and words that change their meaning."""
    await follow(scene.world, scene.ana)
    await find(scene.world, scene.eve)
    assert await settled(scene.world) == [], "what she published before is looked for"
    far, other = len(scene.far.asked), len(scene.other.asked)
    note = scene.ana.note()
    inside = {"type": "RsaSignature2017", "creator": scene.ana.key_id, "created": note["published"], "signatureValue": "AA=="}
    context: list[Any] = [f"{scene.other.url}/context", {"actor": "as:object", "kind": "@type", "who": {"@id": "as:actor"}}]
    told = {**scene.ana.create(note), "signature": inside}
    assert (await scene.eve.says(scene.world, told)).status_code == 401
    assert (await scene.eve.says(scene.world, {**told, "@context": context})).status_code == 401
    for word in ("@graph", "@included", "@reverse"):
        assert (
            await scene.ana.says(scene.world, {**scene.ana.create(note), word: [scene.eve.activity("Like", "x")]})
        ).status_code == 400
    renamed = {**scene.eve.activity("Like", artist_uri(scene.world)), "@context": context, "kind": "Delete", "who": scene.ana.uri}
    assert (await scene.eve.says(scene.world, renamed)).status_code == 202
    assert await settled(scene.world) == []
    assert await scene.uris() == []
    assert (len(scene.far.asked), len(scene.other.asked)) == (far, other)
    # Said by herself the same is taken, whatever hangs on it.
    await scene.heard(scene.ana, {**told, "@context": context})
    assert await scene.uris() == [note["id"]]
    assert scene.other.times_asked("/context") == 0
