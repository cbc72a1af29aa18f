"""A work goes to those it is for and to nobody else, and nothing that anybody gets says to whom else it went."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fediart.activitypub.vocabulary import AS_PUBLIC
from tests.far_server import AP, artist_uri, home, settled
from tests.people import people_of
from tests.scene import a_scene
from tests.snapshot import everything

pytestmark = [pytest.mark.anyio, pytest.mark.row(42)]

BLIND = ("bto", "bcc")


def _names(document: Any) -> Iterator[str]:
    """Of everything in a document."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield name
            yield from _names(value)
    elif isinstance(document, list):
        for value in document:
            yield from _names(value)


async def test_each_work_is_delivered_to_those_it_is_for_and_says_nothing_of_others(prepared: Path, tmp_path: Path) -> None:
    async with a_scene(prepared, tmp_path) as scene:
        world, mira = scene.world, artist_uri(scene.world)
        quiet = scene.far.actor("quiet")  # on ana's server, and neither follows nor is named
        for actor in (scene.ana, scene.eve):
            await scene.heard(actor, actor.activity("Follow", mira))
        followers, bo = f"{mira}/followers", scene.bo
        cases: dict[str, tuple[dict[str, str], tuple[set[str], set[str]], int]] = {
            "for everybody": ({"visibility": "public"}, ({AS_PUBLIC}, {followers, bo.uri}), 1),
            "for whoever has the link": ({"visibility": "unlisted"}, ({followers}, {AS_PUBLIC, bo.uri}), 1),
            "for followers": ({"visibility": "private"}, ({followers}, {bo.uri}), 1),
            "for one": ({"visibility": "direct"}, ({bo.uri}, set()), 0),
        }
        said = {"bto": scene.eve.uri, "bcc[]": quiet.uri, "to": AS_PUBLIC, "cc": AS_PUBLIC}
        for words, (more, (to, cc), of_eves) in cases.items():
            before = len(scene.far.asked), len(scene.other.asked)
            work = await scene.post(f"{words} @{bo.acct}", **more, **said)
            await settled(world)  # an edit that waits behind its Delete would not be sent
            await world.client.put(f"/api/v1/statuses/{work['id']}", data={"status": f"{words}, later @{bo.acct}", **said})
            await settled(world)
            await world.client.delete(f"/api/v1/statuses/{work['id']}")
            await scene.heard(scene.ana, scene.ana.activity("Like", scene.ana.uri_of("notes")))  # everything is settled
            here = [asked for asked in scene.far.asked[before[0] :] if asked.method == "POST"]
            there = [asked for asked in scene.other.asked[before[1] :] if asked.method == "POST"]
            assert [asked.document["type"] for asked in here] == ["Create", "Update", "Delete"], words
            assert [asked.document["type"] for asked in there] == ["Create", "Update", "Delete"] * of_eves, words
            assert {asked.target for asked in here} <= {"/inbox", "/users/bo/inbox"}, (
                "one for the whole server, or for whom it is"
            )
            for asked in (*here, *there):
                assert not {*BLIND} & {*_names(asked.document)}
                for held in (asked.document, asked.document["object"]):
                    if held["type"] in ("Create", "Update", "Note", "Image"):
                        assert ({*held["to"]}, {*held["cc"]}) == (to, cc), words
        kept = json.dumps(await world.instance.storage.read(everything), default=str)
        assert not any(f'"{name}' in kept for name in BLIND)
        assert quiet.uri not in kept, "what a client says of addresses is not taken up"


async def test_what_comes_with_blind_addresses_loses_them_and_goes_on_to_nobody(prepared: Path, tmp_path: Path) -> None:
    async with a_scene(prepared, tmp_path) as scene:
        world, ana, eve, mira = scene.world, scene.ana, scene.eve, artist_uri(scene.world)
        eve.shows(assertionMethod=[eve.multikey])
        await scene.heard(ana, ana.activity("Follow", mira))
        posted = await scene.post()
        secret = "https://nobody.example/users/secret"

        def answer(words: str, **more: Any) -> dict[str, Any]:
            return eve.create(eve.note(words, inReplyTo=posted["uri"], **more))

        clear, inside = eve.proven(answer("<p>clear</p>")), eve.proven(answer("<p>inside</p>", bcc=[secret]))
        outside = eve.proven({**answer("<p>outside</p>"), "bto": secret})
        for said in (inside, outside, clear):
            await scene.heard(eve, said)
        passed = [said for said in scene.far.received("Create") if said["actor"] == eve.uri]
        assert [said["id"] for said in passed] == [clear["id"]]
        await scene.heard(ana, ana.create(ana.note("<p>blind</p>", to=[], cc=[], bto=[mira], bcc=[secret])))
        for_her = ana.note("<p>for her</p>", to=[mira], cc=[], bcc=[secret])
        await scene.heard(ana, ana.create(for_her))
        for entry in (await world.client.get(f"/api/v1/statuses/{posted['id']}/context")).json()["descendants"]:
            assert secret not in json.dumps(entry)
        assert for_her["id"] not in [entry["uri"] for entry in await home(world)]
        kept = await world.instance.storage.read(everything)
        assert secret not in repr(kept)
        async with people_of(world.instance) as people:
            noor = await people.person("noor")
            for words in ("blind", "for her"):
                assert words not in (await noor.browser.get(f"/@{ana.acct}")).text
        document = (await world.stranger.get(posted["uri"], headers={"accept": AP})).json()
        assert not {*BLIND} & {*_names(document)}
