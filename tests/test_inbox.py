"""What other servers say and what comes of it, seen as the artist's client program and as others see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.clock import system_clock, to_iso
from fediart.media.sample import draw_sample
from tests.far_server import FarActor, a_canary, artist_uri, ask_to_follow, find, follow, home, relationship, settled
from tests.people import people_of
from tests.scene import Scene, a_scene
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]
HOUR = 3_600_000


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


# ------------------------------------------------------------------------------------------------------ being followed


async def test_a_follow_is_accepted_told_and_taken_back(scene: Scene) -> None:
    asked = scene.ana.activity("Follow", artist_uri(scene.world))
    await scene.heard(scene.ana, asked)
    (accept,) = await until(lambda: scene.far.received("Accept"))
    assert accept["actor"] == artist_uri(scene.world)
    assert accept["object"] == {name: asked[name] for name in ("id", "type", "actor", "object")}
    assert (await scene.mira())["followers_count"] == 1
    assert await scene.notices() == [("follow", scene.ana.acct)]
    await scene.heard(scene.ana, scene.ana.activity("Undo", asked))
    assert (await scene.mira())["followers_count"] == 0


async def test_a_megabyte_beside_a_follow_does_not_come_back_with_the_accept(scene: Scene) -> None:
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world), junk="x" * 900_000))
    await until(lambda: scene.far.received("Accept"))
    assert len(scene.far.asked[-1].body) < 2_000


async def test_a_follow_of_who_follows_already_is_accepted_anew_under_its_new_id(scene: Scene) -> None:
    for _ in range(2):
        await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    accepts = scene.far.received("Accept")
    assert len({accept["object"]["id"] for accept in accepts}) == 2
    assert (await scene.mira())["followers_count"] == 1
    assert await scene.notices() == [("follow", scene.ana.acct)]


async def test_who_follows_again_under_the_same_id_follows_again(scene: Scene) -> None:
    """Misskey makes a Follow's id from who follows whom, and its Undo's id from that."""
    asked = scene.ana.activity("Follow", artist_uri(scene.world))
    undo = {**scene.ana.activity("Undo", asked), "id": asked["id"] + "/undo"}
    now = system_clock()
    for number in range(5):
        # Seconds apart: otherwise the second request would be the first one, to the letter.
        await scene.heard(scene.ana, [asked, undo][number % 2], at=now + number * 1_000)
        assert (await scene.mira())["followers_count"] == [1, 0][number % 2]
    for _ in range(3):
        await scene.heard(scene.ana, undo, at=now + 3_000)  # somebody sends a recorded request again
    assert (await scene.mira())["followers_count"] == 1
    assert len(scene.far.received("Accept")) == 3


async def test_a_follow_whose_undo_came_first_is_not_kept(scene: Scene) -> None:
    asked = scene.ana.activity("Follow", artist_uri(scene.world))
    await scene.heard(scene.ana, scene.ana.activity("Undo", asked))
    await scene.heard(scene.ana, asked)
    assert (await scene.mira())["followers_count"] == 0


@pytest.mark.parametrize("shape", ["whole", "bare id", "without its id"])
async def test_an_undo_of_a_follow_is_understood_in_every_shape(scene: Scene, shape: str) -> None:
    asked = scene.ana.activity("Follow", artist_uri(scene.world))
    await scene.heard(scene.ana, asked)
    undone = {"whole": asked, "bare id": asked["id"], "without its id": {"type": "Follow", "object": artist_uri(scene.world)}}
    await scene.heard(scene.ana, scene.ana.activity("Undo", undone[shape]))
    assert (await scene.mira())["followers_count"] == 0


async def test_an_undo_of_something_else_leaves_a_follow_alone(scene: Scene) -> None:
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    for kind in ("Block", "Accept", "Announce", "Like", "Add"):
        await scene.heard(scene.ana, scene.ana.activity("Undo", scene.ana.activity(kind, artist_uri(scene.world))))
    assert (await scene.mira())["followers_count"] == 1


async def test_a_work_is_delivered_to_followers_and_is_the_document_that_its_id_gives(scene: Scene) -> None:
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    posted = await scene.post("for those who follow")
    (create,) = await until(lambda: scene.far.received("Create"))
    served = await scene.world.stranger.get(posted["uri"], headers={"accept": "application/activity+json"})
    assert create["object"] == {name: value for name, value in served.json().items() if name not in ("@context", "proof")}


# ----------------------------------------------------------------------------------------------------------- following


async def test_a_follow_is_asked_and_counts_once_it_is_accepted(scene: Scene) -> None:
    account_id, asked = await ask_to_follow(scene.world, scene.ana)
    assert asked["object"] == scene.ana.uri, "Pixelfed wants a plain address"
    held = await relationship(scene.world, account_id)
    assert (held["requested"], held["following"]) == (True, False)
    await scene.heard(scene.ana, scene.ana.activity("Accept", asked))
    held = await relationship(scene.world, account_id)
    assert (held["requested"], held["following"]) == (False, True)


@pytest.mark.parametrize("shape", ["whole", "bare id", "with another id"])
async def test_an_accept_is_understood_in_every_shape(scene: Scene, shape: str) -> None:
    account_id, asked = await ask_to_follow(scene.world, scene.ana)
    of: Any = {"whole": asked, "bare id": asked["id"], "with another id": {**asked, "id": scene.ana.uri_of("follows")}}[shape]
    await scene.heard(scene.ana, scene.ana.activity("Accept", of))
    assert (await relationship(scene.world, account_id))["following"]


async def test_a_late_answer_to_a_request_that_was_taken_back_is_none_to_the_next_one(scene: Scene) -> None:
    account_id, first = await ask_to_follow(scene.world, scene.ana)
    await scene.world.client.post(f"/api/v1/accounts/{account_id}/unfollow")
    await scene.world.client.post(f"/api/v1/accounts/{account_id}/follow")
    _, second = await until(lambda: len(asked := scene.far.received("Follow")) == 2 and asked)
    for kind in ("Accept", "Reject"):
        await scene.heard(scene.ana, scene.ana.activity(kind, first))
        held = await relationship(scene.world, account_id)
        assert (held["requested"], held["following"]) == (True, False), kind
    await scene.heard(scene.ana, scene.ana.activity("Accept", second))
    assert (await relationship(scene.world, account_id))["following"]


@pytest.mark.parametrize("who", ["bo", "eve"])
@pytest.mark.parametrize("kind", ["Accept", "Reject"])
@pytest.mark.row(14)
async def test_an_answer_of_somebody_else_than_was_asked_counts_nothing(scene: Scene, kind: str, who: str) -> None:
    account_id, asked = await ask_to_follow(scene.world, scene.ana)
    actor: FarActor = getattr(scene, who)
    for of in (asked, asked["id"], {**asked, "object": actor.uri}):
        await scene.heard(actor, actor.activity(kind, of))
    held = await relationship(scene.world, account_id)
    assert (held["requested"], held["following"]) == (True, False)


@pytest.mark.row(14)
async def test_an_accept_that_answers_no_follow_makes_none(scene: Scene) -> None:
    account_id = await find(scene.world, scene.ana)
    made_up = {
        "id": f"{artist_uri(scene.world)}/follows/1",
        "type": "Follow",
        "actor": artist_uri(scene.world),
        "object": scene.ana.uri,
    }
    await scene.heard(scene.ana, scene.ana.activity("Accept", made_up))
    held = await relationship(scene.world, account_id)
    assert (held["requested"], held["following"]) == (False, False)


@pytest.mark.row(14)
async def test_a_reject_ends_the_request_and_a_late_one_the_following(scene: Scene) -> None:
    account_id, asked = await ask_to_follow(scene.world, scene.bo)
    await scene.heard(scene.bo, scene.bo.activity("Reject", asked))
    assert not (await relationship(scene.world, account_id))["requested"]
    account_id = await follow(scene.world, scene.ana)
    note = scene.ana.note()
    await scene.heard(scene.ana, scene.ana.create(note))
    assert await scene.uris() == [note["id"]]
    (asked,) = [said for said in scene.far.received("Follow") if said["object"] == scene.ana.uri]
    await scene.heard(scene.ana, scene.ana.activity("Reject", asked))
    assert not (await relationship(scene.world, account_id))["following"]
    assert await scene.uris() == []


@pytest.mark.row(14)
async def test_while_a_follow_is_only_asked_nothing_for_followers_is_shown(scene: Scene) -> None:
    """CVE-2025-30741: a locked artist of another server has not said yes."""
    scene.ana.shows(manuallyApprovesFollowers=True)
    account_id, asked = await ask_to_follow(scene.world, scene.ana)
    # That the note is here at all takes somebody who is addressed.
    private = scene.ana.note("<p>for followers</p>", to=[scene.ana.followers], cc=[])
    await scene.heard(scene.ana, scene.ana.create(private))
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note("<p>for all</p>", cc=[artist_uri(scene.world)])))
    shown = (await scene.world.client.get(f"/api/v1/accounts/{account_id}/statuses")).json()
    assert [item["content"] for item in shown] == ["<p>for all</p>"]
    assert await scene.uris() == []
    await scene.heard(scene.ana, scene.ana.activity("Accept", asked))
    await scene.heard(scene.ana, scene.ana.create({**private, "id": scene.ana.uri_of("notes")}))
    assert sorted(item["content"] for item in await home(scene.world)) == ["<p>for all</p>", "<p>for followers</p>"]


async def test_unfollowing_is_told_and_empties_the_home(scene: Scene) -> None:
    account_id = await follow(scene.world, scene.ana)
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note()))
    assert len(await scene.uris()) == 1
    await scene.world.client.post(f"/api/v1/accounts/{account_id}/unfollow")
    assert await scene.uris() == []
    (undo,) = await until(lambda: scene.far.received("Undo"))
    assert undo["object"]["type"] == "Follow", "Pixelfed wants the whole of it"
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note()))
    assert await scene.uris() == []


# ------------------------------------------------------------------------------------------------- notes: come, change, go


async def test_a_note_of_whom_i_follow_stands_in_my_home_with_its_picture(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    data = draw_sample(160, 120)
    scene.far.serve("/evening.jpg", data, content_type="image/jpeg")
    picture = {"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/evening.jpg", "name": "a low sun"}
    tags = [{"type": "Hashtag", "name": "#Light", "href": f"{scene.far.url}/tags/light"}]
    note = scene.ana.note(attachment=[picture], tag=tags, summary="bright", url=f"{scene.far.url}/@ana/1")
    await scene.heard(scene.ana, scene.ana.create(note))
    (entry,) = await home(scene.world)
    assert (entry["content"], entry["spoiler_text"], entry["sensitive"]) == ("<p>evening light</p>", "bright", True)
    assert (entry["visibility"], entry["account"]["acct"], entry["url"]) == ("public", scene.ana.acct, note["url"])
    assert [tag["name"] for tag in entry["tags"]] == ["light"]
    (media,) = entry["media_attachments"]
    assert media["description"] == "a low sun"
    kept = await scene.world.client.get(media["url"])
    assert kept.content == data, "other servers' pictures are kept byte for byte"


async def test_strangers_are_sent_home_to_what_is_from_elsewhere_and_who_is_signed_in_sees_it_here(scene: Scene) -> None:
    world, ana, elsewhere = scene.world, scene.ana, "https://elsewhere.example/"
    ana.shows(url=elsewhere)
    await follow(world, ana)
    tags = [{"type": "Hashtag", "name": "#Light", "href": f"{scene.far.url}/tags/light"}]
    note = ana.note(tag=tags, url=f"{scene.far.url}/@ana/1")
    await scene.heard(ana, ana.create(note))
    await scene.heard(ana, ana.create(ana.note("<p>only for you</p>", to=[ana.followers], cc=[], tag=tags)))
    await scene.post("a #light of ours")
    quiet, seen = (await home(world))[1:]
    async with people_of(world.instance) as people:
        mira = await people.person("mira")
        page = f"/works/{seen['id']}"
        away = await world.stranger.get(page)
        assert (away.status_code, away.headers["location"]) == (302, note["url"])
        assert away.headers["cache-control"] == "private, no-store", "who is signed in gets another answer"
        assert "evening light" in (await mira.browser.get(page)).text
        profile = await world.stranger.get(f"/@{ana.acct}")
        assert (profile.status_code, profile.headers["location"]) == (302, ana.uri), "not where its word alone would send them"
        assert elsewhere in (await mira.browser.get(f"/@{ana.acct}")).text
        for work_id in (quiet["id"], str(int(quiet["id"]) + 1)):
            assert (await world.stranger.get(f"/works/{work_id}")).status_code == 404, "not that it is there"
        for path, reader in (("/tags/light", mira.browser.http), ("/api/v1/timelines/tag/light", world.client)):
            to_member, to_stranger = (await reader.get(path)).text, (await world.stranger.get(path)).text
            assert "evening light" in to_member
            assert "of ours" in to_member
            assert "of ours" in to_stranger
            assert "evening light" not in to_stranger, path
            assert "only for you" not in to_member + to_stranger


async def test_a_note_that_concerns_nobody_here_is_not_kept(scene: Scene) -> None:
    note = scene.ana.note()
    await scene.heard(scene.ana, scene.ana.create(note))
    found = await scene.world.client.get("/api/v2/search", params={"q": note["id"]})
    assert found.json()["statuses"] == []


@pytest.mark.parametrize("why", ["a mention", "an answer"])
async def test_a_note_of_a_stranger_is_kept_when_it_concerns_somebody_here(scene: Scene, why: str) -> None:
    posted = await scene.post()
    mention = [{"type": "Mention", "href": artist_uri(scene.world), "name": "@mira"}]
    more = {"cc": [artist_uri(scene.world)], "tag": mention} if why == "a mention" else {"inReplyTo": posted["uri"]}
    await scene.heard(scene.eve, scene.eve.create(scene.eve.note("<p>fine!</p>", **more)))
    if why == "a mention":
        assert await scene.notices() == [("mention", scene.eve.acct)]
        (notice,) = (await scene.world.client.get("/api/v1/notifications")).json()
        me = (await scene.world.client.get("/api/v1/accounts/verify_credentials")).json()
        told_of = {name: me[name] for name in ("id", "username", "acct", "url")}
        assert notice["status"]["mentions"] == [told_of], "a client program finds the profile by the link in the text"
    else:
        told = (await scene.world.client.get(f"/api/v1/statuses/{posted['id']}/context")).json()
        assert [item["content"] for item in told["descendants"]] == ["<p>fine!</p>"]
        assert (await scene.work(posted["id"]))["replies_count"] == 1


async def test_an_answer_that_comes_before_what_it_answers_finds_it_later(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    note = scene.ana.note("<p>first</p>")
    answer = scene.ana.note("<p>second</p>", inReplyTo=note["id"])
    await scene.heard(scene.ana, scene.ana.create(answer))
    await scene.heard(scene.ana, scene.ana.create(note))
    (entry,) = [item for item in await home(scene.world) if item["uri"] == note["id"]]
    told = (await scene.world.client.get(f"/api/v1/statuses/{entry['id']}/context")).json()
    assert [item["content"] for item in told["descendants"]] == ["<p>second</p>"]


async def test_a_create_that_only_names_its_note_brings_it_from_its_server(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    note = scene.ana.note()
    scene.far.holds(note)
    await scene.heard(scene.ana, scene.ana.activity("Create", note["id"]))
    assert await scene.uris() == [note["id"]]
    (asked,) = [asked for asked in scene.far.asked if asked.target == note["id"].removeprefix(scene.far.url)]
    assert "signature" in asked.headers, "GoToSocial answers only who signs"


async def test_an_edit_changes_words_pictures_and_tags_and_an_older_one_does_not(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    for name in ("a", "b"):
        scene.far.serve(f"/{name}.jpg", draw_sample(64, 48, seed=ord(name)), content_type="image/jpeg")
    pictures = {
        name: {"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/{name}.jpg", "name": name} for name in "ab"
    }
    note = scene.ana.note("<p>first</p>", attachment=[pictures["a"]])
    await scene.heard(scene.ana, scene.ana.create(note))
    now = system_clock()
    edited = {**note, "content": "<p>second</p>", "updated": to_iso(now - 1_000), "to": [scene.ana.followers], "cc": []}
    edited["attachment"] = [pictures["b"], {**pictures["a"], "name": "a better word"}]
    edited["tag"] = [{"type": "Hashtag", "name": "#new"}]
    await scene.heard(scene.ana, scene.ana.activity("Update", edited))
    (entry,) = await home(scene.world)
    assert entry["content"] == "<p>second</p>"
    assert [media["description"] for media in entry["media_attachments"]] == ["b", "a better word"]
    assert [tag["name"] for tag in entry["tags"]] == ["new"]
    assert entry["edited_at"] is not None
    assert entry["visibility"] == "public", "who it was said to stays as it was said"
    late = {**note, "content": "<p>first again</p>", "updated": to_iso(now - 60_000)}
    await scene.heard(scene.ana, scene.ana.activity("Update", late))
    assert [item["content"] for item in await home(scene.world)] == ["<p>second</p>"]


async def test_edits_that_share_one_id_are_each_heard(scene: Scene) -> None:
    """Takahē names every edit of a post, and of a profile, alike."""
    ana = scene.ana
    await follow(scene.world, ana)
    note = ana.note("<p>first</p>")
    await scene.heard(ana, ana.create(note))
    now = system_clock()
    edits = [{**note, "content": f"<p>{words}</p>"} for words in ("second", "third")]
    updates = [{**ana.activity("Update", edit), "id": f"{note['id']}#update"} for edit in edits]
    for number, update in enumerate([*updates, updates[0]]):
        await scene.heard(ana, update, at=now + number * 1_000)
    assert [entry["content"] for entry in await home(scene.world)] == ["<p>third</p>"], "the second one, sent again, is no news"
    for number, name in enumerate(("Ana", "Anna", "Ana")):
        ana.shows(name=name)
        profile = {**ana.activity("Update", ana.document()), "id": f"{ana.uri}#update"}
        await scene.heard(ana, profile, at=now + number * 1_000)
        (entry,) = await home(scene.world)
        assert entry["account"]["display_name"] == name


@pytest.mark.parametrize("shape", ["tombstone", "bare id", "whole note"])
async def test_a_deleted_note_is_gone_everywhere(scene: Scene, shape: str) -> None:
    await follow(scene.world, scene.ana)
    note = scene.ana.note()
    await scene.heard(scene.ana, scene.ana.create(note))
    (entry,) = await home(scene.world)
    of: Any = {"tombstone": {"id": note["id"], "type": "Tombstone"}, "bare id": note["id"], "whole note": note}[shape]
    await scene.heard(scene.ana, scene.ana.activity("Delete", of))
    assert await scene.uris() == []
    assert (await scene.world.client.get(f"/api/v1/statuses/{entry['id']}")).status_code == 404


async def test_a_boost_of_what_its_author_deletes_is_taken_back(scene: Scene) -> None:
    """Its author does not know who has it from us: system3 of feditest."""
    await follow(scene.world, scene.ana)
    await scene.heard(scene.eve, scene.eve.activity("Follow", artist_uri(scene.world)))
    note = scene.ana.note()
    await scene.heard(scene.ana, scene.ana.create(note))
    (entry,) = await home(scene.world)
    await scene.world.client.post(f"/api/v1/statuses/{entry['id']}/reblog")
    assert await settled(scene.world) == []
    (announce,) = scene.other.received("Announce")
    await scene.heard(scene.ana, scene.ana.activity("Delete", note["id"]))
    (undo,) = scene.other.received("Undo")
    assert (undo["object"]["type"], undo["object"]["id"]) == ("Announce", announce["id"])
    assert scene.other.received("Delete") == [], "that is for its author to say"


async def test_an_edit_and_a_delete_reach_those_who_have_the_work_by_boosts_likes_and_answers(scene: Scene) -> None:
    """Nobody there follows its artist."""
    async with people_of(scene.world.instance) as people:
        noor = await people.person("noor")
        boosted, liked = await scene.post("boosted by noor"), await scene.post("liked by ana", visibility="unlisted")
        await scene.heard(scene.eve, scene.eve.activity("Follow", artist_uri(scene.world).replace("mira", "noor")))
        await noor.api.post(f"/api/v1/statuses/{boosted['id']}/reblog")
        await scene.heard(scene.ana, scene.ana.activity("Like", liked["uri"]))
        for work, there, elsewhere in ((boosted, scene.other, scene.far), (liked, scene.far, scene.other)):
            told = len(elsewhere.received())
            await scene.world.client.put(f"/api/v1/statuses/{work['id']}", json={"status": "changed"})
            assert await settled(scene.world) == []
            await scene.world.client.delete(f"/api/v1/statuses/{work['id']}")
            assert await settled(scene.world) == []
            assert [document["object"]["id"] for document in there.received("Update")] == [work["uri"]]
            assert [document["object"]["id"] for document in there.received("Delete")] == [work["uri"]]
            assert len(elsewhere.received()) == told


async def test_a_note_whose_delete_came_first_stays_away(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    note = scene.ana.note()
    await scene.heard(scene.ana, scene.ana.activity("Delete", {"id": note["id"], "type": "Tombstone"}))
    await scene.heard(scene.ana, scene.ana.create(note))
    await scene.heard(scene.ana, scene.ana.create(note))
    await scene.heard(scene.ana, scene.ana.activity("Update", note))
    assert await scene.uris() == []


async def test_a_note_that_was_deleted_does_not_come_back_by_a_boost(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    await follow(scene.world, scene.bo)
    note = scene.ana.note()
    scene.far.holds(note)
    await scene.heard(scene.ana, scene.ana.create(note))
    await scene.heard(scene.ana, scene.ana.activity("Delete", note["id"]))
    await scene.heard(scene.bo, scene.bo.activity("Announce", note["id"]))
    assert await scene.uris() == []


async def test_an_account_that_is_deleted_takes_its_works_along(scene: Scene) -> None:
    account_id = await follow(scene.world, scene.ana)
    for _ in range(3):
        await scene.heard(scene.ana, scene.ana.create(scene.ana.note()))
    await scene.heard(scene.ana, scene.ana.activity("Delete", scene.ana.uri))
    assert await scene.uris() == []
    assert (await scene.world.client.get(f"/api/v1/accounts/{account_id}/statuses")).json() == []


async def test_a_changed_profile_is_asked_of_its_server(scene: Scene) -> None:
    account_id = await find(scene.world, scene.ana)
    scene.ana.shows(name="Ana the Second", summary="<p>still painting</p>")
    await scene.heard(scene.ana, scene.ana.activity("Update", scene.ana.document(name="What the sender says")))
    shown = (await scene.world.client.get(f"/api/v1/accounts/{account_id}")).json()
    assert (shown["display_name"], shown["note"]) == ("Ana the Second", "<p>still painting</p>")


async def test_a_name_that_moves_to_another_actor_of_its_server_moves_here_too(scene: Scene) -> None:
    """First the name's new holder is met anew, then one who is known already takes a name that is taken."""
    await find(scene.world, scene.ana)
    await find(scene.world, scene.bo)
    scene.bo.shows(preferredUsername="ana")
    await scene.heard(scene.bo, scene.bo.activity("Update", scene.bo.uri))
    found = (await scene.world.client.get("/api/v1/accounts/lookup", params={"acct": scene.ana.acct})).json()
    assert found["uri"] == scene.bo.uri
    assert (await scene.bo.says(scene.world, scene.bo.activity("Like", artist_uri(scene.world)))).status_code == 202


# ---------------------------------------------------------------------------------------------------- likes and boosts


@pytest.mark.parametrize("kind", ["Like", "EmojiReact"])
@pytest.mark.parametrize("shape", ["whole", "bare id"])
async def test_a_like_counts_once_is_told_and_taken_back(scene: Scene, kind: str, shape: str) -> None:
    posted = await scene.post()
    like = scene.ana.activity(kind, posted["uri"], content="🌈")
    await scene.heard(scene.ana, like)
    await scene.heard(scene.ana, scene.ana.activity(kind, posted["uri"]))
    assert (await scene.work(posted["id"]))["favourites_count"] == 1
    assert await scene.notices() == [("favourite", scene.ana.acct)]
    await scene.heard(scene.ana, scene.ana.activity("Undo", like if shape == "whole" else like["id"]))
    assert (await scene.work(posted["id"]))["favourites_count"] == 0


async def test_who_likes_and_boosts_again_under_the_same_ids_is_counted_again(scene: Scene) -> None:
    """snac makes these ids from who likes what; Takahē keeps them."""
    posted, now = await scene.post(), system_clock()
    said = [scene.ana.activity(kind, posted["uri"], to=[AS_PUBLIC]) for kind in ("Like", "Announce")]
    undone = [{**scene.ana.activity("Undo", one), "id": one["id"] + "/undo"} for one in said]
    for number in range(5):
        for one in (said, undone)[number % 2]:
            await scene.heard(scene.ana, one, at=now + number * 1_000)
        found = await scene.work(posted["id"])
        assert (found["favourites_count"], found["reblogs_count"]) == ((1, 1), (0, 0))[number % 2]
    for one in undone:
        await scene.heard(scene.ana, one, at=now + 3_000)  # somebody sends a recorded request again
    found = await scene.work(posted["id"])
    assert (found["favourites_count"], found["reblogs_count"]) == (1, 1)


@pytest.mark.parametrize("kind", ["Like", "Announce"])
async def test_a_like_or_boost_whose_undo_came_first_is_not_kept(scene: Scene, kind: str) -> None:
    posted = await scene.post()
    said = scene.ana.activity(kind, posted["uri"])
    await scene.heard(scene.ana, scene.ana.activity("Undo", said))
    await scene.heard(scene.ana, said)
    found = await scene.work(posted["id"])
    assert (found["favourites_count"], found["reblogs_count"]) == (0, 0)


async def test_a_boost_of_my_work_counts_and_is_told(scene: Scene) -> None:
    posted = await scene.post()
    boost = scene.eve.activity("Announce", posted["uri"], to=[AS_PUBLIC])
    await scene.heard(scene.eve, boost)
    assert (await scene.work(posted["id"]))["reblogs_count"] == 1
    assert await scene.notices() == [("reblog", scene.eve.acct)]
    await scene.heard(scene.eve, scene.eve.activity("Undo", boost))
    assert (await scene.work(posted["id"]))["reblogs_count"] == 0


async def test_a_boost_by_whom_i_follow_brings_the_work_from_its_own_server(scene: Scene) -> None:
    account_id = await follow(scene.world, scene.ana)
    note = scene.eve.note("<p>as eve says it</p>")
    scene.other.holds(note)
    lie = {**note, "content": "<p>as ana says it</p>"}
    boost = scene.ana.activity("Announce", lie, to=[AS_PUBLIC])
    await scene.heard(scene.ana, boost)
    (entry,) = await home(scene.world)
    assert entry["account"]["acct"] == scene.ana.acct
    assert (entry["reblog"]["uri"], entry["reblog"]["content"]) == (note["id"], "<p>as eve says it</p>")
    assert entry["reblog"]["account"]["acct"] == scene.eve.acct
    await scene.heard(scene.ana, scene.ana.activity("Undo", boost))
    assert await home(scene.world) == []
    await scene.world.client.post(f"/api/v1/accounts/{account_id}/follow", data={"reblogs": "false"})
    await scene.heard(scene.ana, scene.ana.activity("Announce", note["id"]))
    assert await home(scene.world) == [], "boosts of an artist can be hidden"


async def test_a_boost_by_a_stranger_fetches_nothing(scene: Scene) -> None:
    await find(scene.world, scene.ana)
    note = scene.eve.note()
    scene.other.holds(note)
    await scene.heard(scene.ana, scene.ana.activity("Announce", note["id"]))
    assert scene.other.asked == []


@pytest.mark.parametrize("to", ["followers", "nobody"])
async def test_a_boost_does_not_open_what_is_not_for_everybody(scene: Scene, to: str) -> None:
    await follow(scene.world, scene.ana)
    note = scene.eve.note("<p>not for all</p>", to=[scene.eve.followers] if to == "followers" else [scene.bo.uri], cc=[])
    scene.other.holds(note)
    await scene.heard(scene.ana, scene.ana.activity("Announce", note["id"], to=[AS_PUBLIC]))
    assert await home(scene.world) == []
    found = await scene.world.client.get("/api/v2/search", params={"q": note["id"]})
    assert found.json()["statuses"] == []


async def test_a_work_that_is_in_a_home_is_not_repeated_by_a_boost(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    await follow(scene.world, scene.bo)
    note = scene.ana.note()
    await scene.heard(scene.ana, scene.ana.create(note))
    await scene.heard(scene.bo, scene.bo.activity("Announce", note["id"]))
    assert [entry["reblog"] for entry in await home(scene.world)] == [None]


@pytest.mark.parametrize("flaw", ["gone", "of another kind", "of a wrong type", "forbidden", "no address"])
async def test_a_boost_of_what_cannot_be_had_does_not_hold_up_what_comes_after(scene: Scene, flaw: str) -> None:
    await follow(scene.world, scene.ana)
    path = "/notes/lost"
    if flaw == "of another kind":
        scene.far.serve(path, {"id": scene.far.url + path, "type": "Follow"})
    if flaw == "of a wrong type":
        scene.far.serve(path, {}, content_type="text/html")
    if flaw == "forbidden":
        scene.far.serve(path, {}, status=403)
    uri = "http://10.0.0.1/notes/1" if flaw == "no address" else scene.far.url + path
    note = scene.ana.note()
    assert (await scene.ana.says(scene.world, scene.ana.activity("Announce", uri))).status_code == 202
    await scene.heard(scene.ana, scene.ana.create(note))
    assert await scene.uris() == [note["id"]]


async def test_a_boost_of_what_may_come_back_waits_apart_and_comes_in_the_end(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    boosted = [scene.eve.note("<p>boosted</p>") for _ in range(2)]
    paths = [note["id"].removeprefix(scene.other.url) for note in boosted]
    async with a_canary("127.0.0.1") as nobody:
        scene.other.redirect(paths[0], f"{nobody.url}/hangs-up")
        scene.other.serve(paths[1], {}, status=503)
        for note in boosted:
            assert (await scene.ana.says(scene.world, scene.ana.activity("Announce", note["id"]))).status_code == 202
        note = scene.ana.note()
        assert (await scene.ana.says(scene.world, scene.ana.create(note))).status_code == 202
        assert len(await settled(scene.world)) == 2, "the boosts wait for their next try"
    assert await scene.uris() == [note["id"]]
    for missed in boosted:
        scene.other.holds(missed)

    async def has_all() -> bool:
        return len(await home(scene.world)) == 3

    await until(has_all)


# ------------------------------------------------------------------------------------------------------------- the order


async def test_home_is_in_the_order_of_publishing_and_never_later_than_arrival(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    await follow(scene.world, scene.eve)
    now = system_clock()
    said = {
        "future": now + 30 * 24 * HOUR,
        "past": now - 48 * HOUR,
        "a minute ago": now - 60_000,
        "an hour ago": now - HOUR,
        "long ago": 1_000,
        "never": None,
        "before there was time": None,
    }
    for number, (name, moment) in enumerate(said.items()):
        actor = (scene.ana, scene.eve)[number % 2]
        published = "1912-06-23T00:00:00Z" if name == "before there was time" else to_iso(moment) if moment else "no date"
        await scene.heard(actor, actor.create(actor.note(name, published=published)))
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note("now", published=to_iso(system_clock()))))
    entries = await home(scene.world)
    order = [entry["content"] for entry in entries]
    assert order == ["now", "before there was time", "never", "future", "a minute ago", "an hour ago", "past", "long ago"]
    assert all(entry["created_at"] <= to_iso(system_clock()) for entry in entries)
    assert order.index("future") == 3, "dated tomorrow it stands where it arrived, not on top for a month"


async def test_many_notes_of_one_second_keep_their_pages_apart(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    second = to_iso(system_clock() // 1_000 * 1_000 - 5_000)
    for _ in range(25):
        assert (await scene.ana.says(scene.world, scene.ana.create(scene.ana.note(published=second)))).status_code == 202
    await settled(scene.world)
    first = (await scene.world.client.get("/api/v1/timelines/home", params={"limit": 10})).json()
    second_page = await scene.world.client.get("/api/v1/timelines/home", params={"limit": 20, "max_id": first[-1]["id"]})
    seen = [entry["uri"] for entry in [*first, *second_page.json()]]
    assert len(seen) == len(set(seen)) == 25


# --------------------------------------------------------------------------------------------------------- who may see it

MARK = "only-for-those-named"


@pytest.mark.parametrize("audience", ["followers", "mentioned"])
async def test_what_is_not_public_is_shown_to_its_addressees_only_wherever_one_looks(scene: Scene, audience: str) -> None:
    """Mira follows ana and is named; kai is neither. Every page and every list of the API, by a generated walk."""
    world, ana = scene.world, scene.ana
    account_id = await follow(world, ana)
    to = [ana.followers] if audience == "followers" else [artist_uri(world)]
    tags = [{"type": "Hashtag", "name": "#marked"}, {"type": "Mention", "href": artist_uri(world), "name": "@mira"}]
    scene.far.serve("/secret.jpg", draw_sample(64, 48), content_type="image/jpeg")
    picture = {"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/secret.jpg", "name": MARK}
    parent = await scene.post("a work to answer #marked")
    more: dict[str, Any] = {"inReplyTo": parent["uri"]} if audience == "mentioned" else {}
    note = ana.note(f"<p>{MARK}</p>", to=to, cc=[], tag=tags, attachment=[picture], **more)
    await scene.heard(ana, ana.create(note))
    found = (await world.client.get("/api/v2/search", params={"q": note["id"]})).json()["statuses"]
    assert [item["content"] for item in found] == [f"<p>{MARK}</p>"], "or there is nothing to hide"
    note_id, media = found[0]["id"], found[0]["media_attachments"][0]
    assert found[0]["visibility"] == {"followers": "private", "mentioned": "direct"}[audience]
    name = media["url"].rsplit("/", 1)[1]
    assert len(name.split(".")[0]) >= 22, "the picture's own name is a secret of 128 bits"
    answer = await world.client.get(media["url"])
    assert "no-store" in answer.headers["cache-control"]
    api = [
        f"/api/v1/statuses/{note_id}",
        f"/api/v1/statuses/{note_id}/context",
        f"/api/v1/statuses/{parent['id']}/context",
        f"/api/v1/accounts/{account_id}",
        f"/api/v1/accounts/{account_id}/statuses",
        f"/api/v1/accounts/{account_id}/statuses?only_media=true",
        "/api/v1/timelines/home",
        "/api/v1/timelines/public",
        "/api/v1/timelines/tag/marked",
        "/api/v1/notifications",
        f"/api/v2/search?q={note['id']}&resolve=true",
    ]
    pages = [f"/works/{note_id}", f"/@mira/{note_id}", f"/@mira/{parent['id']}", f"/@{ana.acct}", "/tags/marked", "/home", "/"]
    pages += ["/notifications", "/@mira", "/@mira/feed.atom", f"/works/{note_id}/edit", f"/search?q={note['id']}"]
    documents = [
        f"/users/mira/statuses/{note_id}",
        f"/users/mira/statuses/{note_id}/activity",
        f"/users/mira/statuses/{parent['id']}",
    ]
    documents += ["/users/mira/outbox?page=true", "/users/mira/collections/featured"]
    async with people_of(world.instance) as people:
        kai, mira = await people.person("kai"), await people.person("mira")
        nobody = await people.client()
        seen_by_mira = [path for path in api if MARK in (await mira.api.get(path)).text]
        seen_by_mira += [path for path in pages if MARK in (await mira.browser.http.get(path, follow_redirects=True)).text]
        assert len(seen_by_mira) >= 6, f"its addressee finds it: {seen_by_mira}"
        for path in [*api, *pages, *documents]:
            for who, client in {"kai": kai.api, "kai's browser": kai.browser.http, "nobody": nobody}.items():
                for accept in ("text/html", "application/activity+json"):
                    got = await client.get(path, headers={"accept": accept}, follow_redirects=True)
                    assert MARK not in got.text, f"{who} reads it at {path}"
                    assert name not in got.text, f"{who} learns the picture's name at {path}"
                    assert got.status_code < 500
        absent = str(int(note_id) + 1)
        for client in (kai.api, nobody):
            hidden = await client.get(f"/api/v1/statuses/{note_id}")
            missing = await client.get(f"/api/v1/statuses/{absent}")
            assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content) == (404, missing.content)
        for verb in ("favourite", "reblog", "context"):
            if verb != "context":
                assert (await kai.api.post(f"/api/v1/statuses/{note_id}/{verb}")).status_code == 404
        reply = await kai.api.post("/api/v1/statuses", data={"status": "me too", "in_reply_to_id": note_id})
        assert reply.status_code == 404


async def test_what_i_addressed_to_others_can_be_liked_by_them_only(scene: Scene) -> None:
    posted = await scene.post("for followers", visibility="private")
    for actor in (scene.ana, scene.eve):
        await scene.heard(actor, actor.activity("Like", posted["uri"]))
        await scene.heard(actor, actor.activity("Announce", posted["uri"]))
    found = await scene.work(posted["id"])
    assert (found["favourites_count"], found["reblogs_count"]) == (0, 0)
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    await scene.heard(scene.ana, scene.ana.activity("Like", posted["uri"]))
    await scene.heard(scene.ana, scene.ana.activity("Announce", posted["uri"]))
    found = await scene.work(posted["id"])
    assert (found["favourites_count"], found["reblogs_count"]) == (1, 0)
