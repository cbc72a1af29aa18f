"""Quotes: who may quote a work, the stamp that says so, and what becomes of posts that quote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fediart.activitypub.parsers.interaction import read_policies
from fediart.activitypub.parsers.note import parse_note
from fediart.activitypub.vocabulary import AS_PUBLIC, ParsedPolicies
from tests.far_server import FarActor, artist_uri, find, follow
from tests.people import people_of
from tests.scene import Scene, a_scene
from tests.test_discovery import ask, document
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


async def allow(scene: Scene, policy: str) -> None:
    answer = await scene.world.client.patch("/api/v1/accounts/update_credentials", data={"source[quote_policy]": policy})
    assert answer.json()["source"]["quote_policy"] == policy, answer.text


async def asks(scene: Scene, actor: FarActor, work: str, note: dict[str, Any] | str | None = None) -> dict[str, Any]:
    """Ask to quote, and the answer that came."""
    post = note or actor.note("<p>look at this</p>", quote=work)
    request = actor.activity("QuoteRequest", work, instrument=post)
    await scene.heard(actor, request)

    def answers() -> list[dict[str, Any]]:
        said = [*actor.server.received("Accept"), *actor.server.received("Reject")]
        return [one for one in said if isinstance(one["object"], dict) and one["object"].get("id") == request["id"]]

    answer: dict[str, Any] = (await until(answers))[0]
    assert answer["actor"] == artist_uri(scene.world)
    assert answer["object"] == {
        "type": "QuoteRequest",
        "id": request["id"],
        "actor": actor.uri,
        "object": work,
        "instrument": post["id"] if isinstance(post, dict) else post,
    }
    return answer


async def test_the_artist_says_who_may_quote_and_every_note_says_it(scene: Scene) -> None:
    """Nobody at first. Followers and blocks are judged at the time of asking; only open works are quoted at all."""
    work, hidden = await scene.post(), await scene.post("for few", visibility="private")
    uri, followers = work["uri"], artist_uri(scene.world) + "/followers"

    async def said() -> list[str]:
        found: list[str] = (await document(scene.world, uri))["interactionPolicy"]["canQuote"]["automaticApproval"]
        return found

    assert await said() == [artist_uri(scene.world)]
    assert (await asks(scene, scene.ana, uri))["type"] == "Reject"
    await allow(scene, "followers")
    assert await said() == [followers]
    assert (await scene.work(work["id"]))["quote_approval"] == {
        "automatic": ["followers"],
        "manual": [],
        "current_user": "denied",
    }
    assert (await asks(scene, scene.ana, uri))["type"] == "Reject"
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    assert (await asks(scene, scene.ana, uri))["type"] == "Accept"
    assert (await asks(scene, scene.ana, hidden["uri"]))["type"] == "Reject", "a follower sees it, and may not pass it on"
    await allow(scene, "public")
    assert await said() == [AS_PUBLIC]
    assert (await asks(scene, scene.eve, uri))["type"] == "Accept"
    # One work can say otherwise, and says so to everybody.
    for policy, expected in (("nobody", "Reject"), ("public", "Accept")):
        changed = await scene.world.client.put(
            f"/api/v1/statuses/{work['id']}/interaction_policy", data={"quote_approval_policy": policy}
        )
        assert changed.status_code == 200
        assert (await asks(scene, scene.bo, uri))["type"] == expected
    update = (await until(lambda: scene.far.received("Update")))[0]["object"]
    assert update["interactionPolicy"]["canQuote"]["automaticApproval"] == [artist_uri(scene.world)]
    quiet = await scene.post("quiet", quote_approval_policy="nobody")
    assert (await asks(scene, scene.eve, quiet["uri"]))["type"] == "Reject"
    assert (
        await scene.world.client.post("/api/v1/statuses", data={"status": "x", "quote_approval_policy": "y"})
    ).status_code == 422
    assert ("quote", scene.ana.acct) in await scene.notices()


async def test_a_stamp_is_there_for_whoever_sees_the_work_until_it_is_taken_back(scene: Scene) -> None:
    work = await scene.post()
    await allow(scene, "public")
    post = scene.ana.note("<p>look</p>", quote=work["uri"], to=[AS_PUBLIC])
    answer = await asks(scene, scene.ana, work["uri"], post)
    stamp = await document(scene.world, answer["result"])
    assert {name: stamp[name] for name in ("id", "type", "attributedTo", "interactingObject", "interactionTarget")} == {
        "id": answer["result"],
        "type": "QuoteAuthorization",
        "attributedTo": artist_uri(scene.world),
        "interactingObject": post["id"],
        "interactionTarget": work["uri"],
    }
    again = await asks(scene, scene.ana, work["uri"], post["id"])
    assert again["result"] == answer["result"], "asked twice, one stamp"
    other = await asks(scene, scene.eve, work["uri"])
    by_block = await asks(scene, scene.bo, work["uri"])
    async with people_of(scene.world.instance) as people:
        browser = (await people.person("mira")).browser
        edit = f"/works/{work['id']}/edit"
        for chosen, said in (("nobody", []), ("", ["public"])):
            await browser.send(edit, {"text": "an evening", "quotes": chosen}, page=edit)
            assert f'value="{chosen}" selected' in (await browser.get(edit)).text or chosen == ""
            assert (await scene.work(work["id"]))["quote_approval"]["automatic"] == said
        page = (await browser.get("/settings/quotes")).text
        assert post["id"] in page
        assert "Ana" in page
        stamp_id = answer["result"].rsplit("/", 1)[1]
        sent = await browser.send("/settings/quotes", {"action": f"take-back-{stamp_id}"}, page="/settings/quotes")
        assert sent.status_code == 303
        assert post["id"] not in (await browser.get("/settings/quotes")).text
        assert (await browser.send("/settings/quotes", {"action": "take-back-1"}, page="/settings/quotes")).status_code == 422
        assert (
            await browser.send("/settings/quotes", {"action": "policy", "quotes": "nobody"}, page="/settings/quotes")
        ).status_code == 303
        assert 'value="nobody" checked' in (await browser.get("/settings/quotes")).text

    def removed(uri: str) -> list[dict[str, Any]]:
        server = scene.other if uri == other["result"] else scene.far
        return [said for said in server.received("Delete") if said["object"].get("id") == uri]

    (delete,) = await until(lambda: removed(answer["result"]))
    assert (delete["object"]["type"], delete["actor"]) == ("QuoteAuthorization", artist_uri(scene.world))
    assert (await ask(scene.world, answer["result"])).status_code == 410
    assert (await ask(scene.world, f"{work['uri']}/quotes/1")).status_code == 404
    # Blocking takes back what the blocked had; deleting the work takes back everything.
    await scene.world.client.post(f"/api/v1/accounts/{await find(scene.world, scene.bo)}/block")
    assert await until(lambda: removed(by_block["result"]))
    assert (await asks(scene, scene.bo, work["uri"]))["type"] == "Reject"
    assert (await ask(scene.world, other["result"])).status_code == 200
    await scene.world.client.delete(f"/api/v1/statuses/{work['id']}")
    assert await until(lambda: removed(other["result"]))
    assert (await ask(scene.world, other["result"])).status_code == 410


async def test_quotes_that_are_here_are_listed_and_taken_back_by_a_client_program(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    work = await scene.post()
    await allow(scene, "public")
    post = scene.ana.note("<p>look</p>", quote=work["uri"])
    await scene.heard(scene.ana, scene.ana.create(post))
    assert (await asks(scene, scene.ana, work["uri"], post))["type"] == "Accept"
    (listed,) = (await scene.world.client.get(f"/api/v1/statuses/{work['id']}/quotes")).json()
    assert listed["uri"] == post["id"]
    path = f"/api/v1/statuses/{work['id']}/quotes/{listed['id']}/revoke"
    assert (await scene.world.client.post(path)).status_code == 200
    assert (await scene.world.client.get(f"/api/v1/statuses/{work['id']}/quotes")).json() == []
    assert (await scene.world.client.post(path)).status_code == 404
    second = scene.ana.note("<p>again</p>", quote=work["uri"])
    stamp = (await asks(scene, scene.ana, work["uri"], second))["result"]
    await scene.heard(scene.ana, scene.ana.activity("Delete", {"id": second["id"], "type": "Tombstone"}))
    assert (await ask(scene.world, stamp)).status_code == 404, "the post that quoted is gone"


async def test_a_request_for_what_is_not_there_or_in_anothers_name_is_left(scene: Scene) -> None:
    await allow(scene, "public")
    work, hidden = await scene.post(), await scene.post("for few", visibility="private")
    note = scene.ana.note(quote=work["uri"])
    for of, post in (
        (hidden["uri"], note),
        (work["uri"] + "1", note),
        (work["uri"], scene.eve.note(quote=work["uri"])),
        (work["uri"], {**note, "attributedTo": scene.bo.uri}),
        (work["uri"], {**note, "quote": hidden["uri"]}),
        (work["uri"], None),
        (work["uri"], 5),
    ):
        await scene.heard(scene.ana, scene.ana.activity("QuoteRequest", of, instrument=post))
    assert [*scene.far.received("Accept"), *scene.far.received("Reject")] == []
    assert await scene.notices() == []


@pytest.mark.parametrize(
    "words",
    [
        {"quote": "https://far.example/1"},
        {"_misskey_quote": "https://far.example/1"},
        {"quoteUrl": "https://far.example/1", "quoteUri": "https://far.example/2"},
        {"quote": {"id": "https://far.example/1", "type": "Note"}},
        {"tag": [{"type": "Link", "rel": "https://misskey-hub.net/ns#_misskey_quote", "href": "https://far.example/1"}]},
        {"tag": {"type": "Link", "rel": ["x", "https://w3id.org/fep/044f#quote"], "href": "https://far.example/1"}},
    ],
)
def test_a_quote_in_any_words_is_a_link_to_what_is_quoted(words: dict[str, Any]) -> None:
    note = parse_note(
        {"id": "https://a.example/1", "type": "Note", "attributedTo": "https://a.example/u", "content": "x", **words}
    )
    assert [(link.href, link.name) for link in note.links] == [("https://far.example/1", "A post that is quoted")]


ANA = "https://a.example/ana"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, ParsedPolicies()),
        ("x", ParsedPolicies()),
        ({"canReply": {"automaticApproval": []}}, ParsedPolicies()),
        ({"canReply": {"automaticApproval": [ANA]}, "canLike": {"always": AS_PUBLIC}}, ParsedPolicies(reply="nobody")),
        ({"canReply": {"always": [ANA, ANA + "bel/followers"]}}, ParsedPolicies()),
        ({"canReply": {"always": [ANA, ANA + "/followers"]}}, ParsedPolicies(reply="followers")),
        ({"canReply": {"automaticApproval": ANA, "manualApproval": ["as:Public"]}}, ParsedPolicies()),
        ({"canReply": {"automaticApproval": [ANA, "https://b.example/bo"]}}, ParsedPolicies(reply="nobody")),
        ({"canReply": {"automaticApproval": [ANA, "https://c.example/x"]}}, ParsedPolicies()),
        (
            {"canLike": {"automaticApproval": ANA}, "canAnnounce": {"automaticApproval": ANA}},
            ParsedPolicies("", "nobody", "nobody"),
        ),
        ({"canQuote": {"automaticApproval": [AS_PUBLIC]}}, ParsedPolicies(quote="everyone")),
        ({"canQuote": {"automaticApproval": [ANA + "/followers"]}}, ParsedPolicies(quote="followers")),
        ({"canQuote": {"automaticApproval": [ANA]}}, ParsedPolicies(quote="nobody")),
    ],
)
def test_what_others_say_of_who_may_do_what_is_read(said: Any, expected: ParsedPolicies) -> None:
    assert read_policies({"interactionPolicy": said}, ANA, frozenset({"https://b.example/bo"})) == expected


async def test_what_another_server_would_refuse_is_not_sent_to_it(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    closed = {name: {"automaticApproval": [scene.ana.uri]} for name in ("canReply", "canLike", "canAnnounce")}
    for policy in (closed, {name: {"automaticApproval": [scene.ana.followers]} for name in closed}):
        note = scene.ana.note(interactionPolicy=policy)
        await scene.heard(scene.ana, scene.ana.create(note))
        work_id = next(
            entry["id"] for entry in (await scene.world.client.get("/api/v1/timelines/home")).json() if entry["uri"] == note["id"]
        )
        expected = 403 if policy is closed else 200
        for verb in ("favourite", "reblog"):
            assert (await scene.world.client.post(f"/api/v1/statuses/{work_id}/{verb}")).status_code == expected
        answer = await scene.world.client.post("/api/v1/statuses", data={"status": "hm", "in_reply_to_id": work_id})
        assert answer.status_code == expected, "mira follows ana"
