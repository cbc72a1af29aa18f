"""What an inbox does not believe, does not read and does not do twice, and who may change what."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, func, select

from fediart.activitypub.identifiers import Identifiers
from fediart.activitypub.parsers.json_document import MAX_BYTES
from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.clock import system_clock
from fediart.storage.tables import actors, arrivals, boosts, follows, images, jobs, likes, notifications, tombstones, works
from tests.far_server import AP, FarActor, a_canary, a_far_server, artist_uri, find, follow, home, key_pair, settled
from tests.scene import Scene, a_scene
from tests.waiting import until
from tests.world import a_world

pytestmark = pytest.mark.anyio
LONG = os.environ.get("FEDIART_LONG") == "1"
HOUR = 3_600_000


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


def _counts(db: Connection) -> dict[str, int]:
    tables = (actors, arrivals, boosts, follows, images, jobs, likes, notifications, tombstones, works)
    return {table.name: db.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


async def counts(scene: Scene) -> dict[str, int]:
    return await scene.world.instance.storage.read(_counts)


async def post(scene: Scene, body: bytes | AsyncIterator[bytes], headers: Any, path: str = "/inbox") -> httpx.Response:
    return await scene.world.stranger.post(path, content=body, headers=headers)


def is_an_error_in_json(answer: httpx.Response, status: int) -> bool:
    told = answer.json()
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code == status and list(told) == ["error"] and isinstance(told["error"], str)


# ------------------------------------------------------------------------------------------------------------ signatures


async def test_whatever_is_refused_is_told_in_json_and_leaves_nothing(scene: Scene) -> None:
    like = scene.ana.activity("Like", artist_uri(scene.world))
    body = json.dumps(like).encode()
    url = scene.world.instance.identifiers.shared_inbox
    good = scene.ana.signed(url, body)
    now = system_clock()
    before = await counts(scene)
    unsigned = {name: value for name, value in good.items() if name != "signature"}
    requests: dict[str, tuple[int, bytes, Any]] = {
        "no signature": (401, body, unsigned),
        "another body": (401, body + b" ", good),
        "no date": (401, body, {name: value for name, value in good.items() if name != "date"}),
        "13 hours old": (401, body, scene.ana.signed(url, body, at=now - 13 * HOUR)),
        "two hours ahead": (401, body, scene.ana.signed(url, body, at=now + 2 * HOUR)),
        "for another host": (401, body, scene.ana.signed("http://other.example/inbox", body)),
        "for another inbox": (401, body, scene.ana.signed(url.replace("/inbox", "/users/mira/inbox"), body)),
        "a stranger's key": (401, body, scene.ana.signed(url, body, key=scene.eve.number)),
        "two signatures": (400, body, [*good.items(), ("signature", good["signature"])]),
        "two signatures, the second in ruins": (400, body, [*good.items(), ("signature", "x")]),
        "two digests": (400, body, [*good.items(), ("digest", good["digest"])]),
        "two dates": (400, body, [*good.items(), ("date", good["date"])]),
        "two of the new kind": (400, body, [*scene.ana.signed(url, body, new=True).items(), ("signature-input", "x=()")]),
        "the new kind, cut short": (401, body, scene.ana.signed(url, body, new=True) | {"signature-input": "sig1=()"}),
    }
    for name, (status, content, headers) in requests.items():
        assert is_an_error_in_json(await post(scene, content, headers), status), name
    after = await counts(scene)
    assert {**after, "actors": 0} == {**before, "actors": 0}, "no row of what was refused"
    assert (await post(scene, body, good)).status_code == 202, "and the same request unspoiled is taken"


async def test_a_request_signed_after_rfc_9421_is_taken_at_once(scene: Scene) -> None:
    posted = await scene.post()
    await scene.heard(scene.ana, scene.ana.activity("Like", posted["uri"]), new=True)
    assert (await scene.work(posted["id"]))["favourites_count"] == 1


@pytest.mark.parametrize("path", ["/inbox", "/users/mira/inbox", "/actor/inbox"])
async def test_every_inbox_takes_activities(scene: Scene, path: str) -> None:
    posted = await scene.post()
    await scene.heard(
        scene.ana, scene.ana.activity("Like", posted["uri"]), inbox=scene.world.instance.identifiers.base_url + path
    )
    assert (await scene.work(posted["id"]))["favourites_count"] == 1


async def test_no_other_path_is_an_inbox(scene: Scene) -> None:
    body = json.dumps(scene.ana.activity("Like", artist_uri(scene.world))).encode()
    for path in ("/inbox/", "/Inbox", "/users/mira/outbox", "/users/../inbox/x", "/users/MIRA/inbox", "/"):
        answer = await post(scene, body, scene.ana.signed(scene.world.instance.identifiers.base_url + path, body), path)
        assert answer.status_code in (404, 405), path
    assert scene.far.asked == []


@pytest.mark.row(4)
async def test_who_signs_must_be_who_speaks(scene: Scene) -> None:
    """CVE-2025-54888, fedify#963: keys and ids that belong to different people never add up."""
    ana, bo, eve, world = scene.ana, scene.bo, scene.eve, scene.world
    scene.far.serve("/keys/eves", {"id": f"{scene.far.url}/keys/eves", "type": "Key", "owner": eve.uri, "publicKeyPem": "x"})
    scene.far.serve("/keys/lost", {"id": f"{scene.far.url}/keys/lost", "type": "Key", "publicKeyPem": key_pair(ana.number)[1]})
    scene.far.serve("/keys/other", {"id": f"{scene.far.url}/keys/another", "type": "Key", "owner": ana.uri})
    stolen = FarActor(scene.other, "thief", eve.number)
    stolen.shows(publicKey={"id": ana.key_id, "owner": stolen.uri, "publicKeyPem": key_pair(eve.number)[1]})
    owner = FarActor(scene.other, "owner", eve.number)
    owner.shows(publicKey={"id": owner.key_id, "owner": ana.uri, "publicKeyPem": key_pair(eve.number)[1]})
    posted = await scene.post()
    await settled(world)
    before = await counts(scene)
    cases: list[tuple[FarActor, dict[str, Any], dict[str, Any]]] = [
        (eve, {"actor": ana.uri}, {}),
        (bo, {"actor": ana.uri}, {}),
        (eve, {}, {"key_id": ana.key_id}),
        (bo, {}, {"key_id": ana.key_id}),
        (eve, {"id": ana.uri_of("like")}, {}),
        (eve, {"actor": ana.uri, "id": ana.uri_of("like")}, {"key_id": f"{scene.far.url}/keys/eves"}),
        (ana, {}, {"key_id": f"{scene.far.url}/keys/lost"}),
        (ana, {}, {"key_id": f"{scene.far.url}/keys/other"}),
        (ana, {}, {"key_id": f"{scene.far.url}/keys/absent"}),
        (eve, {"actor": ana.uri, "id": ana.uri_of("like")}, {"key_id": stolen.key_id}),
        (eve, {"actor": owner.uri, "id": owner.uri_of("like")}, {"key_id": owner.key_id}),
        (ana, {"actor": artist_uri(world)}, {}),
        (ana, {"actor": artist_uri(world)}, {"key_id": artist_uri(world) + "#main-key"}),
        (ana, {"actor": artist_uri(world)}, {"key_id": artist_uri(world) + "/main-key"}),
        (
            ana,
            {"actor": world.instance.identifiers.instance_actor_uri},
            {"key_id": world.instance.identifiers.instance_actor_uri},
        ),
    ]
    for number, (sender, changes, how) in enumerate(cases):
        answer = await sender.says(world, {**sender.activity("Like", posted["uri"]), **changes}, **how)
        assert is_an_error_in_json(answer, 401), number
    await settled(world)
    after = await counts(scene)
    assert {**after, "actors": 0} == {**before, "actors": 0}, "nothing was done, not even kept for later"
    assert (await scene.work(posted["id"]))["favourites_count"] == 0


@pytest.mark.row(4)
async def test_a_key_at_an_address_of_its_own_is_its_owners_key(scene: Scene) -> None:
    """GoToSocial's shape: the key's address has no fragment, and gives the actor."""
    key_id = f"{scene.ana.uri}/main-key"
    key = {"id": key_id, "owner": scene.ana.uri, "publicKeyPem": key_pair(scene.ana.number)[1]}
    scene.ana.shows(publicKey=key)
    scene.far.serve("/users/ana/main-key", {"id": scene.ana.uri, "type": "Person", "preferredUsername": "ana", "publicKey": key})
    posted = await scene.post()
    await scene.heard(scene.ana, scene.ana.activity("Like", posted["uri"]), key_id=key_id)
    assert (await scene.work(posted["id"]))["favourites_count"] == 1


async def test_a_key_that_was_changed_is_fetched_again_once(scene: Scene) -> None:
    posted = await scene.post()
    await scene.heard(scene.ana, scene.ana.activity("Like", posted["uri"]))
    changed = replace(scene.ana, number=scene.bo.number)
    changed.shows()
    await scene.heard(changed, changed.activity("Undo", {"type": "Like", "object": posted["uri"]}))
    assert (await scene.work(posted["id"]))["favourites_count"] == 0
    assert scene.far.times_asked("/users/ana") == 2
    assert (await scene.ana.says(scene.world, scene.ana.activity("Like", posted["uri"]))).status_code == 401, (
        "the old one is no more"
    )


@pytest.mark.row(2)
async def test_only_documents_of_the_right_type_give_a_key(scene: Scene) -> None:
    types = {"application/activity+json": 202, 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"': 202}
    types |= dict.fromkeys(
        ["image/png", "text/html", "application/json", "application/ld+json", "text/plain; charset=utf-8"], 401
    )
    types |= dict.fromkeys(
        ['application/ld+json; profile="https://other.example/"', "text/html, application/activity+json", ""], 401
    )
    for number, (content_type, status) in enumerate(types.items()):
        actor = FarActor(scene.far, f"person{number}", scene.ana.number)
        scene.far.serve(f"/users/{actor.name}", actor.document(), content_type=content_type or None)
        answer = await actor.says(scene.world, actor.activity("Like", artist_uri(scene.world)))
        assert answer.status_code == status, content_type


@pytest.mark.row(27)
async def test_a_dead_key_is_asked_for_once(scene: Scene) -> None:
    """CVE-2026-34148: each of these would otherwise cost us a request, and a slow server ten seconds each."""
    ghost = FarActor(scene.far, "ghost", scene.ana.number)
    number = 1_000 if LONG else 150
    said = [ghost.activity("Like", artist_uri(scene.world)) for _ in range(number)]
    answers = await asyncio.gather(*(ghost.says(scene.world, activity) for activity in said))
    assert {answer.status_code for answer in answers} == {401}
    assert scene.far.times_asked("/users/ghost") == 1


@pytest.mark.row(27)
async def test_what_is_remembered_of_keys_is_bounded(scene: Scene) -> None:
    signers = scene.world.instance.signers
    for number in range(12_000):
        signers.may_ask(f"https://far.example/{number}#main-key", 0, 600_000)
    assert len(signers._asked_until) <= 10_000


# -------------------------------------------------------------------------------------------------------- replays and orders


@pytest.mark.row(6)
async def test_one_activity_a_hundred_times_has_its_effect_once(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    posted = await scene.post()
    note = scene.ana.note(
        cc=[artist_uri(scene.world)], tag=[{"type": "Mention", "href": artist_uri(scene.world), "name": "@mira"}]
    )
    said = [
        scene.ana.create(note),
        scene.ana.activity("Like", posted["uri"]),
        scene.ana.activity("Announce", posted["uri"]),
        scene.ana.activity("Follow", artist_uri(scene.world)),
    ]
    url = scene.world.instance.identifiers.shared_inbox
    bodies = [json.dumps(activity).encode() for activity in said]
    signed = [(body, scene.ana.signed(url, body)) for body in bodies]
    answers = await asyncio.gather(*(post(scene, body, headers) for _ in range(100) for body, headers in signed))
    assert {answer.status_code for answer in answers} == {202}
    await settled(scene.world)
    found = await scene.work(posted["id"])
    assert (found["favourites_count"], found["reblogs_count"]) == (1, 1)
    assert sorted(await scene.uris()) == sorted([posted["uri"], note["id"]])
    assert len(scene.far.received("Accept")) == 1
    kinds = sorted(kind for kind, _ in await scene.notices())
    assert kinds == ["favourite", "follow", "mention", "reblog"]


@pytest.mark.row(6)
async def test_an_activity_is_known_again_after_a_restart(prepared: Path, tmp_path: Path) -> None:
    async with a_far_server() as far:
        ana = far.actor()
        body: bytes
        headers: dict[str, str]
        async with a_scene(prepared, tmp_path) as scene:
            posted = await scene.post()
            url = scene.world.instance.identifiers.shared_inbox
            body = json.dumps(ana.activity("Like", posted["uri"])).encode()
            headers = ana.signed(url, body)
            assert (await post(scene, body, headers)).status_code == 202
            await settled(scene.world)
            await scene.heard(ana, ana.activity("Undo", {"type": "Like", "object": posted["uri"]}))
        async with a_world(tmp_path / "data") as world:
            assert (await world.stranger.post("/inbox", content=body, headers=headers)).status_code == 202
            await settled(world)
            found = (await world.client.get(f"/api/v1/statuses/{posted['id']}")).json()
            assert found["favourites_count"] == 0, "a recorded request does nothing a second time"


async def test_a_delete_of_somebody_we_never_met_is_taken_without_a_word(scene: Scene) -> None:
    for kind in ("Delete", "Update"):
        said = scene.ana.activity(kind, scene.ana.uri)
        assert (await scene.world.stranger.post("/inbox", content=json.dumps(said).encode())).status_code == 202
    assert scene.far.asked == [], "no key was fetched for it"
    assert (await scene.ana.says(scene.world, scene.ana.activity("Delete", scene.bo.uri))).status_code == 202
    assert scene.far.times_asked("/users/ana") == 1, "of anything else the sender is asked for"


@pytest.mark.parametrize("kind", ["Question", "TentativeAccept", "Dance", "\u202e"])
async def test_a_verb_that_is_not_understood_is_taken_and_left_alone(scene: Scene, kind: str) -> None:
    before = await counts(scene)
    assert (await scene.ana.says(scene.world, scene.ana.activity(kind, artist_uri(scene.world)))).status_code == 202
    after = await counts(scene)
    assert {**after, "actors": 0} == {**before, "actors": 0}


@pytest.mark.parametrize(
    "spoiled",
    [{"type": None}, {"actor": None}, {"id": None}, {"id": "x"}, {"actor": "x"}, {"type": 5}, {"@graph": []}, {"@included": []}],
)
async def test_an_activity_without_what_makes_it_one_is_refused(scene: Scene, spoiled: dict[str, Any]) -> None:
    said = {**scene.ana.activity("Like", artist_uri(scene.world)), **spoiled}
    assert is_an_error_in_json(await scene.ana.says(scene.world, said), 400)
    assert scene.far.asked == []


# ------------------------------------------------------------------------------------------------------ sizes and shapes


@pytest.mark.row(19)
async def test_more_than_a_megabyte_is_not_read(scene: Scene) -> None:
    pulled = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(160):
            pulled += 65_536
            yield b" " * 65_536

    headers = scene.ana.signed(scene.world.instance.identifiers.shared_inbox, b"{}")
    assert is_an_error_in_json(await post(scene, b" " * (MAX_BYTES + 1), headers), 413)
    assert is_an_error_in_json(await post(scene, stream(), headers), 413)
    assert pulled <= MAX_BYTES + 2 * 65_536, "nine megabytes were not even asked for"
    for length in ("99999999999", str(MAX_BYTES + 1), "-1", "x", "\xb2"):
        lying = [(name.encode(), value.encode("latin-1")) for name, value in {**headers, "content-length": length}.items()]
        assert is_an_error_in_json(await post(scene, b"{}", lying), 413), length
    lying_small = {**headers, "content-length": "2"}
    assert is_an_error_in_json(await post(scene, b" " * (MAX_BYTES + 1), lying_small), 413)
    assert scene.far.asked == [], "no key is fetched for it"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "GZIP", "gzip, identity"])
@pytest.mark.row(19)
async def test_a_compressed_body_is_refused(scene: Scene, encoding: str) -> None:
    body = gzip.compress(b" " * 5_000_000)
    headers = scene.ana.signed(scene.world.instance.identifiers.shared_inbox, body) | {"content-encoding": encoding}
    assert is_an_error_in_json(await post(scene, body, headers), 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b'{"a":' * 100_000,
        b"[" * 1_000_000,
        b'{"a":[' + b"1," * 500_000 + b"1]}",
        b'{"a":' + b"9" * 1_000_000 + b"}",
    ],
    ids=range(14),
)
@pytest.mark.row(20)
async def test_json_of_a_bad_shape_is_refused_before_anything_else(scene: Scene, body: bytes) -> None:
    headers = scene.ana.signed(scene.world.instance.identifiers.shared_inbox, body)
    assert is_an_error_in_json(await post(scene, body, headers), 400)
    assert scene.far.asked == []


# ------------------------------------------------------------------------------------------------- documents of other hosts


@pytest.mark.row(1)
async def test_nothing_is_believed_of_a_host_but_from_itself(scene: Scene) -> None:
    """CVE-2024-23832: eve's server is what ana's server lies about, in every document and by every way in."""
    world, ana, eve = scene.world, scene.ana, scene.eve
    await follow(world, ana)
    victim = eve.uri
    scene.other.answers.clear()  # it would have to stand by it itself
    evil = replace(ana, name="evil")
    host = scene.other.url
    loud, dotted = host.replace("127.0.0.1", "127.0.0.1."), host.upper().replace("HTTP", "http")
    actor_lies: list[dict[str, Any]] = [
        {"id": victim},
        {"id": f"{host}/users/evil"},
        {"id": f"{loud}/users/eve"},
        {"id": f"{dotted}/users/eve"},
        {"id": [victim]},
        {"id": {"id": victim}},
        {"inbox": f"{host}/inbox"},
        {"publicKey": {**ana.document()["publicKey"], "owner": victim}},
        {"publicKey": {**ana.document()["publicKey"], "id": victim + "#main-key"}},
        {
            "id": victim,
            "inbox": f"{victim}/inbox",
            "publicKey": {**ana.document()["publicKey"], "id": victim + "#main-key", "owner": victim},
        },
    ]
    for number, lie in enumerate(actor_lies):
        name = f"liar{number}"
        scene.far.serve(f"/users/{name}", {**evil.document(), "id": f"{scene.far.url}/users/{name}", **lie})
        scene.far.knows(f"acct:{name}@{scene.far.host}", f"{scene.far.url}/users/{name}")
        for words in (f"{scene.far.url}/users/{name}", f"@{name}@{scene.far.host}"):
            found = await world.client.get("/api/v2/search", params={"q": words, "resolve": "true"})
            assert found.json()["accounts"] == [], lie
        for key_id in (f"{scene.far.url}/users/{name}#main-key", f"{scene.far.url}/users/{name}"):
            said = {**evil.activity("Like", artist_uri(world)), "actor": lie.get("id", f"{scene.far.url}/users/{name}")}
            assert (await evil.says(world, said, key_id=key_id)).status_code in (400, 401), lie
    note_lies: list[dict[str, Any]] = [
        {"id": f"{host}/notes/1"},
        {"attributedTo": victim},
        {"id": f"{host}/notes/1", "attributedTo": victim},
        {"attributedTo": [victim, ana.uri]},
        {"attributedTo": {"type": "Person", "id": victim}},
        {"attributedTo": None},
        {"attributedTo": scene.bo.uri},
        {"id": [f"{host}/notes/1"]},
    ]
    for lie in note_lies:
        note = {**ana.note("<p>a lie</p>"), **lie}
        path = ana.uri_of("notes")
        scene.far.serve(path.removeprefix(scene.far.url), {"id": path, **note, **lie})
        for kind, of in [("Create", note), ("Update", note), ("Create", path), ("Announce", path), ("Announce", note)]:
            if kind == "Announce" and lie.get("attributedTo") in (None, scene.bo.uri) and "id" not in lie:
                continue  # a boost of a neighbour's note, which its own server gives out
            said = ana.activity(kind, of, to=[AS_PUBLIC], cc=[artist_uri(world)])
            assert (await ana.says(world, said)).status_code == 202
    await settled(world)

    def believed(db: Connection) -> tuple[list[str], list[str]]:
        people = db.execute(select(actors.c.uri).where(actors.c.host.contains(scene.other.host))).scalars()
        shown = db.execute(select(works.c.uri).where(works.c.content.contains("a lie"))).scalars()
        return list(people), list(shown)

    assert await world.instance.storage.read(believed) == ([], [])
    assert await home(world) == []
    assert all(scene.far.times_asked(f"/users/liar{n}") <= 8 for n in range(len(actor_lies)))


@pytest.mark.row(1)
async def test_an_id_that_differs_on_its_own_host_is_asked_once_more_and_no_further(scene: Scene) -> None:
    ana = scene.ana
    for number in range(6):
        scene.far.serve(f"/hop{number}", {**ana.document(), "id": f"{scene.far.url}/hop{number + 1}"})
    found = await scene.world.client.get("/api/v2/search", params={"q": f"{scene.far.url}/hop0", "resolve": "true"})
    assert found.json()["accounts"] == []
    assert [asked.target for asked in scene.far.asked] == ["/hop0", "/hop1"]


# -------------------------------------------------------------------------------------------------------- who may do what

VERBS = ["Update", "Delete", "Undo", "Announce", "Like", "Accept", "Reject", "Block", "Flag", "Add", "Remove", "Move"]
ALLOWED = {("Update", "ana"): "edited", ("Delete", "ana"): "gone"} | {
    (verb, who): effect for verb, effect in {"Like": "liked", "Announce": "boosted"}.items() for who in ("ana", "bo", "eve")
}
"""Verb and sender to what becomes of ana's note. Everything else leaves it, and everything about it, as it was."""


@pytest.mark.row(8)
async def test_only_its_author_changes_or_deletes_a_note_and_no_other_verb_does_anything(scene: Scene) -> None:
    """CVE-2024-37903 and its kin: every verb, by the owner, a neighbour and a stranger, of a known note and an unknown one."""
    world, ana = scene.world, scene.ana
    await follow(world, ana)
    people = {"ana": ana, "bo": scene.bo, "eve": scene.eve}
    for actor in people.values():
        await find(world, actor)

    def state(db: Connection, uri: str) -> str:
        row = db.execute(select(works.c.id, works.c.content, works.c.likes, works.c.boosts).where(works.c.uri == uri)).first()
        if row is None:
            return "gone"
        return {("<p>as it was</p>", 0, 0): "", ("<p>as it was</p>", 1, 0): "liked", ("<p>as it was</p>", 0, 1): "boosted"}.get(
            (row.content, row.likes, row.boosts), "edited"
        )

    def around(db: Connection) -> list[Any]:
        return [sorted(map(tuple, db.execute(select(table)).all())) for table in (follows,)]

    cells = [(verb, who, known) for verb in VERBS for who in people for known in (True, False)]
    notes: dict[tuple[str, str, bool], dict[str, Any]] = {}
    for cell in cells:
        notes[cell] = ana.note("<p>as it was</p>")
        if cell[2]:
            assert (await ana.says(world, ana.create(notes[cell]))).status_code == 202
    await settled(world)
    before = await world.instance.storage.read(around)
    for cell in cells:
        verb, who, _ = cell
        note, actor = notes[cell], people[who]
        changed = {**note, "content": "<p>changed</p>", "type": "Note"}
        shapes: list[Any] = [changed] if verb == "Update" else [note, note["id"]]
        if verb == "Update" and who != "ana":
            shapes += [{**changed, "attributedTo": actor.uri}, note["id"]]
        if verb == "Undo":
            shapes = [
                {"type": kind, "id": note["id"], "actor": actor.uri, "object": note["id"]}
                for kind in ("Create", "Like", "Announce")
            ]
        for shape in shapes:
            assert (await actor.says(world, actor.activity(verb, shape, target=note["id"]))).status_code == 202
    await settled(world)
    for cell in cells:
        verb, who, known = cell
        expected = ALLOWED.get((verb, who), "") if known else "gone"
        assert await world.instance.storage.read(state, notes[cell]["id"]) == expected, cell
    assert await world.instance.storage.read(around) == before
    # What somebody else deleted before it came is not deleted: its author may still publish it.
    for who in ("ana", "bo", "eve"):
        await scene.heard(ana, ana.create(notes["Delete", who, False]))
        found = await world.instance.storage.read(state, notes["Delete", who, False]["id"])
        assert found == ("gone" if who == "ana" else ""), who


@pytest.mark.row(8)
async def test_nobody_undoes_what_another_said(scene: Scene) -> None:
    posted = await scene.post()
    like, boost = (scene.ana.activity(kind, posted["uri"]) for kind in ("Like", "Announce"))
    asked = scene.ana.activity("Follow", artist_uri(scene.world))
    for said in (like, boost, asked):
        await scene.heard(scene.ana, said)
    for actor in (scene.bo, scene.eve):
        for said in (like, boost, asked):
            for of in (said, said["id"], {**said, "actor": actor.uri}, {"type": said["type"], "object": said["object"]}):
                await scene.heard(actor, actor.activity("Undo", of))
            await scene.heard(actor, actor.activity("Delete", said["id"]))
    found = await scene.work(posted["id"])
    assert (found["favourites_count"], found["reblogs_count"]) == (1, 1)
    assert (await scene.mira())["followers_count"] == 1


@pytest.mark.row(8)
async def test_nobody_deletes_or_changes_a_work_of_ours(scene: Scene) -> None:
    posted = await scene.post("mine")
    served = (await scene.world.stranger.get(posted["uri"], headers={"accept": AP})).json()
    for actor in (scene.ana, scene.eve):
        for kind in ("Delete", "Update", "Create", "Undo", "Move", "Remove"):
            for of in (posted["uri"], {**served, "content": "<p>theirs</p>"}, {"id": posted["uri"], "type": "Tombstone"}):
                await scene.heard(actor, actor.activity(kind, of))
        await scene.heard(actor, actor.activity("Delete", artist_uri(scene.world)))
    assert (await scene.work(posted["id"]))["content"] == posted["content"]
    assert (await scene.world.stranger.get("/users/mira", headers={"accept": AP})).status_code == 200


# ---------------------------------------------------------------------------------------------------------- our own ids


@pytest.mark.row(9)
async def test_an_id_that_looks_like_ours_is_never_fetched_nor_kept(prepared: Path, tmp_path: Path) -> None:
    """Whoever asks its own address touches the canary, which listens there."""
    async with a_far_server() as far, a_canary("127.0.0.1") as canary:
        port = int(canary.url.rsplit(":", 1)[1])
        opened: dict[str, Any] = {"server.port": port}
        async with a_world(tmp_path / "data", **opened) as world:
            ana = far.actor()
            await follow(world, ana)
            mine = f"localhost:{port}"
            hosts = [mine, mine.upper(), f"localhost.:{port}", f"x@{mine}", f"{mine}%2f", f"{mine}\\", f"LocalHost.:{port}"]
            for host in hosts:
                base = f"http://{host}"
                for uri in (
                    f"{base}/users/mira",
                    f"{base}/users/nobody",
                    f"{base}/users/mira/statuses/1",
                    f"{base}/users/mira%2fx",
                ):
                    for kind in ("Announce", "Create", "Update"):
                        answer = await ana.says(world, ana.activity(kind, uri, to=[AS_PUBLIC]))
                        assert answer.status_code == 202
                    note = {**ana.note("<p>forged</p>"), "id": uri, "attributedTo": f"{base}/users/mira"}
                    for kind in ("Announce", "Create", "Update"):
                        assert (await ana.says(world, ana.activity(kind, note, to=[AS_PUBLIC]))).status_code == 202
                    for key_id in (f"{uri}#main-key", f"{uri}/main-key"):
                        assert (await ana.says(world, ana.activity("Like", uri), key_id=key_id)).status_code == 401
                    await world.client.get("/api/v2/search", params={"q": uri, "resolve": "true"})
            await settled(world)
            assert canary.touched == 0
            assert await home(world) == []

            def rows(db: Connection) -> list[str]:
                return list(db.execute(select(actors.c.uri).where(actors.c.host != "")).scalars())

            assert await world.instance.storage.read(rows) == [ana.uri]


@pytest.mark.parametrize(
    ("uri", "is_local", "pretends"),
    [
        ("https://art.example/users/mira", True, True),
        ("https://art.example", True, True),
        ("https://art.example#x", True, True),
        ("https://art.example.evil.example/users/mira", False, False),
        ("https://art.examplex/users/mira", False, False),
        ("https://ART.example/users/mira", False, True),
        ("https://art.example./users/mira", False, True),
        ("https://art.example:443/users/mira", False, True),
        ("https://art.example:8443/users/mira", False, True),
        ("http://art.example/users/mira", False, True),
        ("https://x@art.example/users/mira", False, True),
        ("https://art.example/users%2fmira", False, True),
        ("https://art.example/users\\mira", False, True),
        ("https://exa/mple.com/users/mira", False, False),
        ("https://far.example/https://art.example/users/mira", False, False),
        ("https://far.example?https://art.example/", False, False),
        ("https://[::1", False, True),
    ],
)
@pytest.mark.row(9)
def test_an_address_is_ours_in_one_spelling_only_and_no_other_may_look_like_it(uri: str, is_local: bool, pretends: bool) -> None:
    ids = Identifiers("https://art.example", "art.example")
    assert ids.is_local(uri) is is_local
    assert ids.pretends_local(uri) is pretends


@pytest.mark.row(11)
async def test_a_handle_is_shown_under_the_host_of_its_actor(scene: Scene) -> None:
    """A server's WebFinger cannot lend its name to another's actor, nor take another's for its own."""
    scene.far.knows(f"acct:mine@{scene.far.host}", scene.eve.uri)
    found = await scene.world.client.get("/api/v2/search", params={"q": f"@mine@{scene.far.host}", "resolve": "true"})
    assert [account["acct"] for account in found.json()["accounts"]] in ([scene.eve.acct], [])
    scene.far.knows(f"acct:also@{scene.far.host}", scene.eve.uri, subject=f"acct:boss@{scene.other.host}")
    found = await scene.world.client.get("/api/v2/search", params={"q": f"@also@{scene.far.host}", "resolve": "true"})
    assert found.json()["accounts"] == []


@pytest.mark.row(11)
async def test_a_webfinger_answer_of_another_type_or_shape_finds_nobody(scene: Scene) -> None:
    good = {"subject": f"acct:x@{scene.far.host}", "links": [{"rel": "self", "type": AP, "href": scene.ana.uri}]}
    spoiled: list[tuple[Any, str]] = [
        (good, "text/html"),
        ({**good, "links": "x"}, "application/jrd+json"),
        ({**good, "subject": None}, "application/jrd+json"),
        ({**good, "links": [{"rel": "self", "type": "text/html", "href": scene.ana.uri}]}, "application/jrd+json"),
        ({**good, "links": [{"rel": "self", "type": AP, "href": "javascript:alert(1)"}]}, "application/jrd+json"),
        ([], "application/jrd+json"),
    ]
    for number, (document, content_type) in enumerate(spoiled):
        scene.far.serve(f"/.well-known/webfinger?acct:x{number}@{scene.far.host}", document, content_type=content_type)
        found = await scene.world.client.get("/api/v2/search", params={"q": f"@x{number}@{scene.far.host}", "resolve": "true"})
        assert found.json()["accounts"] == [], number
    assert await until(lambda: len(scene.far.asked) == len(spoiled))
