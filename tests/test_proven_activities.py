"""Integrity proofs on the wire: on what our artists say to everybody, on what others pass on, and on answers that we pass on."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, select, update

from fediart.activitypub.identifiers import host_of
from fediart.activitypub.parsers.actor import parse_actor
from fediart.activitypub.signatures.integrity import ProofToCheck, check_proof, read_proof
from fediart.activitypub.signatures.keys import load_ed25519_private
from fediart.activitypub.signatures.sign import sign_request_rfc9421
from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.clock import system_clock
from fediart.domain.moderation import HostAction, HostRules, Standing
from fediart.inbox import forward
from fediart.inbox.verify import ASK_AGAIN_MS, PROOF_ALONE_MS
from fediart.office import prune as office
from fediart.storage.tables import activities, actors
from tests.far_server import AP, FarActor, artist_uri, ed25519_pair, follow, key_pair, settled
from tests.scene import Scene, a_scene
from tests.waiting import until
from tests.world import World, a_world

pytestmark = pytest.mark.anyio
DAY = 24 * 3600 * 1000


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        for actor in (opened.ana, opened.bo, opened.eve):
            actor.shows(assertionMethod=[actor.multikey])
        yield opened


async def document(world: World, uri: str) -> dict[str, Any]:
    answer = await world.stranger.get(uri, headers={"accept": AP})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def is_proven_by(world: World, said: dict[str, Any], actor_uri: str) -> bool:
    """By a key that the actor's document shows."""
    shown = parse_actor(await document(world, actor_uri))
    read = read_proof(said, world.instance.clock())
    assert isinstance(read, ProofToCheck), read
    (key,) = [held.key for held in shown.multikeys if held.id == read.key_id]
    return check_proof(read, key)


async def put_standing(world: World, actor: FarActor, standing: Standing) -> None:
    def put(db: Connection) -> None:
        db.execute(update(actors).where(actors.c.uri == actor.uri).values(standing=standing))

    await world.instance.storage.write(put)
    world.instance.signers.forget(actor.uri)


# ------------------------------------------------------------------------------------------------------------ what we say


async def test_whatever_we_say_to_everybody_is_proven_and_nothing_else(scene: Scene) -> None:
    world, mira = scene.world, artist_uri(scene.world)
    await scene.heard(scene.ana, scene.ana.activity("Follow", mira))
    posted = await scene.post("an evening")
    unlisted = await scene.post("a quiet one", visibility="unlisted")
    secret = await scene.post("for a few", visibility="private")
    await world.client.post(f"/api/v1/statuses/{posted['id']}/reblog")
    await world.client.put(f"/api/v1/statuses/{posted['id']}", data={"status": "a late evening"})
    for work in (posted, secret):
        await world.client.delete(f"/api/v1/statuses/{work['id']}")
    await world.client.patch("/api/v1/accounts/update_credentials", data={"display_name": "Mira"})
    assert await settled(world) == []
    told = scene.far.received()
    public = [said for said in told if AS_PUBLIC in (*said.get("to", ()), *said.get("cc", ()))]
    assert {said["type"] for said in public} == {"Create", "Announce", "Update", "Delete"}
    for said in public:
        assert await is_proven_by(world, said, mira), said
        assert said["@context"] == said["proof"]["@context"]
    others = [said for said in told if said not in public]
    assert {said["type"] for said in others} == {"Accept", "Create", "Delete"}
    assert not any("proof" in said for said in others)
    for path in ("", "/activity"):
        shown = await document(world, unlisted["uri"] + path)
        assert await is_proven_by(world, shown, mira)
        assert await document(world, unlisted["uri"] + path) == shown, "asked twice it is the same"
    own = await document(world, world.instance.identifiers.instance_actor_uri)
    assert [key["controller"] for key in own["assertionMethod"]] == [own["id"]]


async def test_keys_stay_and_actors_of_an_older_version_get_theirs_at_the_next_start(tmp_path: Path) -> None:
    async def keys(world: World) -> list[str]:
        shown = [await document(world, uri) for uri in (artist_uri(world), world.instance.identifiers.instance_actor_uri)]
        return [actor["assertionMethod"][0]["publicKeyMultibase"] for actor in shown]

    async with a_world(tmp_path, jobs=False) as world:
        first = await keys(world)
    async with a_world(tmp_path, jobs=False) as world:
        assert await keys(world) == first
        await world.instance.storage.write(lambda db: db.execute(update(actors).values(multikeys="[]", ed25519_pem=None)))
    async with a_world(tmp_path, jobs=False) as world:
        made = await keys(world)
        assert not set(made) & set(first)
        assert len(set(made)) == 2
    async with a_world(tmp_path, jobs=False) as world:
        assert await keys(world) == made


# -------------------------------------------------------------------------------------------------------- what is passed on


async def passed_on(scene: Scene, said: dict[str, Any], by: FarActor, **how: Any) -> httpx.Response:
    return await by.says(scene.world, said, **how)


def why(answer: httpx.Response) -> str:
    assert answer.status_code == 401, answer.text
    error: str = answer.json()["error"]
    return error


NOT_ITS_ACTOR = "Not verified: signed by somebody else than its actor."
WRONG = "Not verified: its proof is wrong."
TIME = "Not verified: its proof is too old, from the future, or of no known time."
KEY = "Not verified: its proof is by a key that is not its actor's."


async def test_what_somebody_else_passes_on_is_believed_when_its_actor_proves_it(scene: Scene) -> None:
    world, ana, bo, eve = scene.world, scene.ana, scene.bo, scene.eve
    await follow(world, ana)
    asked = scene.far.times_asked("/users/ana")
    plain = ana.create(ana.note("<p>one</p>"))
    good = ana.proven(ana.create(ana.note("<p>two</p>")))
    spoiled = {**good, "object": {**good["object"], "content": "<p>twO</p>"}}
    for by in (eve, bo):
        assert why(await passed_on(scene, plain, by)) == NOT_ITS_ACTOR
        assert why(await passed_on(scene, spoiled, by)) == WRONG
        assert why(await passed_on(scene, ana.proven(plain, key=eve.number), by)) == WRONG
    assert why(await passed_on(scene, spoiled, ana)) == WRONG, "a proof comes before a signature (FEP-8b32)"
    assert why(await passed_on(scene, good, eve, key=bo.number)) == "Not verified: signature is wrong."
    assert await scene.uris() == []
    assert (await passed_on(scene, good, eve)).status_code == 202
    assert (await passed_on(scene, good, bo)).status_code == 202, "heard twice, done once"
    assert await settled(world) == []
    assert await scene.uris() == [good["object"]["id"]]
    (shown,) = (await world.client.get("/api/v1/timelines/home")).json()
    assert shown["account"]["acct"] == ana.acct
    assert scene.far.times_asked("/users/ana") == asked + 1, "a wrong proof has its key fetched again, once"

    change = ana.activity("Update", {**good["object"], "content": "<p>three</p>", "updated": "2100-01-01T00:00:00Z"})
    assert (await passed_on(scene, ana.proven(change), eve)).status_code == 202
    assert await settled(world) == []
    assert (await scene.work(shown["id"]))["content"] == "<p>three</p>"
    removal = ana.activity("Delete", {"id": good["object"]["id"], "type": "Tombstone"})
    assert why(await passed_on(scene, removal, eve)) == NOT_ITS_ACTOR
    assert (await passed_on(scene, ana.proven(removal), eve)).status_code == 202
    assert await settled(world) == []
    assert await scene.uris() == []

    posted = await scene.post()
    like = ana.proven(ana.activity("Like", posted["uri"]))
    await scene.heard(ana, like)
    await scene.heard(ana, ana.activity("Undo", like))
    assert (await passed_on(scene, like, eve)).status_code == 202
    assert await settled(world) == []
    assert (await scene.work(posted["id"]))["favourites_count"] == 0, "whoever heard a like cannot say it again"


async def test_a_proof_is_no_word_for_anybody_else_nor_for_ever_nor_for_everything(scene: Scene) -> None:
    world, ana, bo, eve, now = scene.world, scene.ana, scene.bo, scene.eve, system_clock()
    posted = await scene.post()
    like = ana.activity("Like", posted["uri"])
    assert why(await passed_on(scene, bo.proven(like), eve)) == KEY, "bo proves what ana says"
    assert why(await passed_on(scene, eve.proven(like), eve)) == KEY, "so does eve, from elsewhere"
    assert why(await passed_on(scene, eve.proven(like), ana)) == KEY
    assert why(await passed_on(scene, {**ana.proven(like), "id": eve.uri_of("like")}, eve)) == NOT_ITS_ACTOR
    ours = {**like, "actor": artist_uri(world), "id": f"{artist_uri(world)}/like"}
    assert why(await passed_on(scene, ana.proven(ours), eve)) == NOT_ITS_ACTOR
    own = world.instance.identifiers.instance_actor_uri
    assert why(await passed_on(scene, ana.proven({**like, "actor": own, "id": f"{own}/like"}), eve)) == NOT_ITS_ACTOR
    assert why(await passed_on(scene, ana.proven(like, at=now + 2 * 3600 * 1000), eve)) == TIME
    assert why(await passed_on(scene, ana.proven(like, at=now - PROOF_ALONE_MS - 2_000), eve)) == TIME
    for kind in ("Follow", "Undo", "Block", "Accept", "Reject", "Flag", "Move"):
        between_two = ana.proven(ana.activity(kind, artist_uri(world)))
        assert why(await passed_on(scene, between_two, eve)) == NOT_ITS_ACTOR, kind
    assert (await scene.work(posted["id"]))["favourites_count"] == 0

    await scene.heard(ana, ana.proven(like, at=now - 300 * DAY))
    assert (await scene.work(posted["id"]))["favourites_count"] == 1, "its own signature says that it is said now"
    await scene.heard(ana, ana.proven(ana.activity("Undo", like)))
    await scene.heard(eve, ana.proven(ana.activity("Like", posted["uri"]), at=now - PROOF_ALONE_MS + 60_000))
    assert (await scene.work(posted["id"]))["favourites_count"] == 1


async def test_who_may_not_speak_here_passes_nothing_on(scene: Scene) -> None:
    world, ana, eve = scene.world, scene.ana, scene.eve
    posted = await scene.post()
    like = ana.proven(ana.activity("Like", posted["uri"]))
    await scene.heard(eve, eve.activity("Like", posted["uri"]))
    await put_standing(world, eve, Standing.SUSPENDED)
    assert why(await passed_on(scene, like, eve)) == NOT_ITS_ACTOR
    await put_standing(world, eve, Standing.GOOD)
    world.instance.host_rules = HostRules({host_of(ana.uri): HostAction.BLOCK})
    assert (await passed_on(scene, like, eve)).status_code == 403, "nor is what somebody says who is blocked"
    world.instance.host_rules = HostRules({})
    await scene.heard(eve, like)
    assert (await scene.work(posted["id"]))["favourites_count"] == 2


async def test_a_proof_whose_key_cannot_be_had_counts_as_none(scene: Scene) -> None:
    world, ana, eve = scene.world, scene.ana, scene.eve
    posted = await scene.post()
    ana.shows()
    await scene.heard(ana, ana.proven(ana.activity("Like", posted["uri"])))
    assert (await scene.work(posted["id"]))["favourites_count"] == 1, "her own signature will do"
    asked = scene.far.times_asked("/users/ana")
    for number in range(20):
        said = ana.proven(ana.activity("Announce", posted["uri"]))
        said["proof"]["verificationMethod"] = f"{ana.uri}#key-{number}"
        assert why(await passed_on(scene, said, eve)) == NOT_ITS_ACTOR
    assert scene.far.times_asked("/users/ana") == asked, "and she is not asked for each key that somebody makes up"
    clock = world.instance.clock
    world.instance.clock = lambda: clock() + ASK_AGAIN_MS + 1_000
    assert why(await passed_on(scene, ana.proven(ana.activity("Announce", posted["uri"])), eve)) == NOT_ITS_ACTOR
    assert scene.far.times_asked("/users/ana") == asked + 1
    for suite in ({"cryptosuite": "mldsa44-jcs-2024"}, {"verificationMethod": "did:key:z6Mk"}):
        said = ana.proven(ana.activity("Announce", posted["uri"]))
        said["proof"] |= suite
        assert why(await passed_on(scene, said, eve)) == NOT_ITS_ACTOR
        assert (await passed_on(scene, said, ana)).status_code == 202


async def test_a_changed_key_is_fetched_once_and_an_ended_one_proves_nothing(scene: Scene) -> None:
    ana, eve = scene.ana, scene.eve
    posted = await scene.post()
    await scene.heard(eve, ana.proven(ana.activity("Like", posted["uri"])))
    assert scene.far.times_asked("/users/ana") == 1
    changed = replace(ana, number=scene.bo.number)
    ana.shows(assertionMethod=[changed.multikey])
    await scene.heard(eve, changed.proven(ana.activity("Announce", posted["uri"])))
    assert scene.far.times_asked("/users/ana") == 2
    for _ in range(3):
        assert why(await passed_on(scene, ana.proven(ana.activity("Announce", posted["uri"])), eve)) == WRONG
    assert scene.far.times_asked("/users/ana") == 3
    bo = scene.bo
    bo.shows(assertionMethod=[{**bo.multikey, "expires": "2026-01-01T00:00:00Z"}])
    assert why(await passed_on(scene, bo.proven(bo.activity("Like", posted["uri"])), eve)) == KEY


async def test_a_request_may_be_signed_with_the_key_of_proofs_in_the_new_form_only(scene: Scene) -> None:
    """RFC 9421, `ed25519`: as Mastodon 4.7 takes it."""
    world, ana = scene.world, scene.ana
    posted = await scene.post()
    url = world.instance.identifiers.shared_inbox

    def signed(body: bytes, key: int) -> dict[str, str]:
        headers = sign_request_rfc9421("POST", url, body, ana.multikey["id"], key_pair(ana.number)[0], system_clock())
        headers["signature-input"] = headers["signature-input"].replace("rsa-v1_5-sha256", "ed25519")
        listed = headers["signature-input"].removeprefix("sig1=")
        base = (
            f'"@method": POST\n"@target-uri": {url}\n"content-digest": {headers["content-digest"]}\n"@signature-params": {listed}'
        )
        signature = load_ed25519_private(ed25519_pair(key)[0]).sign(base.encode())
        return {**headers, "signature": f"sig1=:{base64.b64encode(signature).decode()}:"}

    body = json.dumps(ana.activity("Like", posted["uri"])).encode()
    wrong = await world.stranger.post(url, content=body, headers=signed(body, scene.bo.number))
    assert why(wrong) == "Not verified: signature is wrong."
    taken = await world.stranger.post(url, content=body, headers=signed(body, ana.number))
    assert taken.status_code == 202, taken.text
    assert await settled(world) == []
    assert (await scene.work(posted["id"]))["favourites_count"] == 1
    old = await ana.says(world, ana.activity("Announce", posted["uri"]), key_id=ana.multikey["id"])
    assert why(old) == "Not verified: algorithm not supported."


# --------------------------------------------------------------------------------------------------------- what we pass on


async def test_proven_answers_to_our_works_go_on_to_our_followers(scene: Scene) -> None:
    world, ana, eve = scene.world, scene.ana, scene.eve
    for actor in (ana, scene.bo, eve):
        await scene.heard(actor, actor.activity("Follow", artist_uri(world)))
    posted = await scene.post()

    def answer(words: str, **more: Any) -> dict[str, Any]:
        return eve.create(eve.note(words, inReplyTo=posted["uri"], **more))

    def got(kind: str) -> list[dict[str, Any]]:
        return [said for said in scene.far.received(kind) if said["actor"] == eve.uri]

    good = eve.proven(answer("<p>how calm</p>"))
    few = {"to": [artist_uri(world)], "cc": []}
    elsewhere = eve.create(eve.note("<p>a word</p>", inReplyTo=ana.uri_of("notes"), to=[AS_PUBLIC, artist_uri(world)]))
    plain = answer("<p>without a proof</p>")
    late = eve.proven(eve.activity("Update", {**plain["object"], "updated": "2100-01-01T00:00:00Z"}))
    for said in (plain, late, eve.proven(answer("<p>for you</p>", **few)), eve.proven(elsewhere)):
        await scene.heard(eve, said)
    await scene.heard(eve, good)
    (passed,) = [asked for asked in scene.far.asked if asked.method == "POST" and asked.document["id"] == good["id"]]
    assert passed.document == good, "as she said it"
    assert passed.target == "/inbox", "once to a server, whoever follows from there"
    assert artist_uri(world) in passed.headers["signature"]
    assert not any(said["actor"] == eve.uri for said in scene.other.received()), "her own server knows"

    def changed(words: str) -> dict[str, Any]:
        return eve.activity("Update", {**good["object"], "content": words, "updated": "2100-01-01T00:00:00Z"})

    await scene.heard(eve, changed("<p>without a proof</p>"))
    await scene.heard(eve, eve.proven(changed("<p>how very calm</p>")))
    gone = eve.proven(eve.activity("Delete", {"id": good["object"]["id"], "type": "Tombstone"}))
    await scene.heard(eve, gone)
    assert [said["object"]["content"] for said in got("Update")] == ["<p>how very calm</p>"]
    assert got("Delete") == [gone]
    assert len(got("Create")) == 1
    other = eve.proven(answer("<p>another</p>"))
    await scene.heard(eve, other)
    await world.instance.storage.write(office._forget, system_clock() + office.ENDS_MS + DAY, "http://localhost:8000")
    rows = await world.instance.storage.read(lambda db: list(db.execute(select(activities.c.uri)).scalars()))
    assert rows
    assert all(uri.startswith("http://localhost:8000/") for uri in rows), "what was passed on is not kept for ever"


async def test_what_is_passed_on_has_a_bound_and_leaves_out_whom_moderators_hold_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "MOST_AN_HOUR", 2)
    world, ana, eve = scene.world, scene.ana, scene.eve
    await scene.heard(ana, ana.activity("Follow", artist_uri(world)))
    posted = await scene.post()

    async def say(words: str, by: FarActor = eve) -> dict[str, Any]:
        said = by.proven(by.create(by.note(words, inReplyTo=posted["uri"])))
        await scene.heard(by, said)
        return said

    first = await say("<p>one</p>")
    await say("<p>" + "x" * forward.MOST_BYTES + "</p>")
    await put_standing(world, eve, Standing.LIMITED)
    await say("<p>held back</p>")
    await put_standing(world, eve, Standing.GOOD)
    second = await say("<p>two</p>")
    await say("<p>three</p>")
    assert [said["id"] for said in scene.far.received("Create") if said["actor"] == eve.uri] == [first["id"], second["id"]]
    gone = eve.proven(eve.activity("Delete", first["object"]["id"]))
    await scene.heard(eve, gone)
    assert gone in await until(lambda: scene.far.received("Delete")), "a removal goes on in any case"
