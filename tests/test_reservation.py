"""What an artist reserves and allows is said in every page, file and document, as readers that we did not write read it."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fediart.activitypub.vocabulary import FEDIART, RIGHTS_TERMS
from fediart.domain import signals
from fediart.domain.choices import Choices
from fediart.domain.declarations import Declaration
from fediart.domain.licences import Licence, Licensing
from fediart.domain.policy import AiPolicy, Preset, Reserve, with_preset
from fediart.domain.reservations import Answer, Reservation, reservation_of
from fediart.domain.works import Visibility
from fediart.errors import BadInput
from fediart.media.child import encode
from fediart.media.sample import draw_sample
from fediart.media.xmp import packet_of_jpeg, with_packet
from fediart.office.adopt_policy import adopt_policy
from fediart.outbox import restate
from fediart.storage import shown as shown_rows
from fediart.storage import works
from fediart.studio.choose_rights import choose_for_work, choose_rights
from fediart.studio.edit_work import edit_work
from fediart.studio.publish_work import Draft, start_draft
from fediart.web.structured import image_objects
from tests.exiftool import read_tags
from tests.far_server import a_far_server, follow, settled
from tests.json_ld import expanded
from tests.people import people_of
from tests.scene import Scene, a_scene
from tests.test_xmp import said as said_in
from tests.world import World, a_world

AP = {"accept": "application/activity+json"}
YES, NO = Answer.ALLOW, Answer.DENY
OPEN, SHUT = Reservation(YES, YES, YES), Reservation(NO, NO, NO)
USUAL = Reservation(NO, NO, YES)
RSL = '<https://art.example/license.xml>; rel="license"; type="application/rsl+xml"'
POLICY_URL = "https://art.example/tdm-policy.json"


# ------------------------------------------------------------------------------------------------------- the words


@pytest.mark.parametrize(
    ("reservation", "robots", "tdm", "usage", "signal", "mining", "permitted", "prohibited"),
    [
        (USUAL, "noai, noimageai, noarchive", "1", "train-ai=n", "search=yes, ai-input=no, ai-train=no",
         "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", ("search",), ("ai-all",)),
        (SHUT, "noai, noimageai, noarchive, noindex", "1", "train-ai=n, search=n", "search=no, ai-input=no, ai-train=no",
         "DMI-PROHIBITED", (), ("ai-all", "search")),
        (OPEN, "", "0", "train-ai=y", "search=yes, ai-input=yes, ai-train=yes",
         "DMI-ALLOWED", ("ai-train", "ai-input", "search"), ()),
        (Reservation(NO, YES, YES), "noai, noimageai, noarchive", "1", "train-ai=n", "search=yes, ai-input=yes, ai-train=no",
         "DMI-PROHIBITED-AIMLTRAINING", ("ai-input", "search"), ("ai-train",)),
        (Reservation(YES, NO, YES), "noarchive", "1", "train-ai=y", "search=yes, ai-input=no, ai-train=yes",
         "DMI-PROHIBITED-SEECONSTRAINT", ("ai-train", "search"), ("ai-input",)),
        (Reservation(YES, YES, NO), "noindex", "0", "train-ai=y, search=n", "search=no, ai-input=yes, ai-train=yes",
         "DMI-PROHIBITED-SEECONSTRAINT", ("ai-train", "ai-input"), ("search",)),
    ],
)  # fmt: skip
def test_each_answer_has_its_word_in_each_standard(
    reservation: Reservation,
    robots: str,
    tdm: str,
    usage: str,
    signal: str,
    mining: str,
    permitted: tuple[str, ...],
    prohibited: tuple[str, ...],
) -> None:
    held = dict(signals.headers_of(reservation, Reserve(), "https://art.example"))
    expected = {"x-robots-tag": robots, "tdm-reservation": tdm, "tdm-policy": POLICY_URL if tdm == "1" else ""}
    expected |= {"content-usage": usage, "content-signal": signal, "link": RSL}
    assert held == {name: value for name, value in expected.items() if value}
    assert signals.data_mining(reservation) == mining
    assert signals.rsl_usages(reservation) == (permitted, prohibited)


def test_a_signal_that_is_switched_off_is_not_sent() -> None:
    held = dict(signals.headers_of(USUAL, Reserve(rsl=False, tdmrep=False), "https://art.example"))
    assert set(held) == {"x-robots-tag", "content-usage", "content-signal"}


def test_what_we_write_we_read_as_it_was_meant_and_of_others_only_what_denies() -> None:
    for one in (YES, NO):
        for two in (YES, NO):
            for three in (YES, NO):
                meant = Reservation(one, two, three)
                found = signals.read_headers(dict(signals.headers_of(meant, Reserve(), "https://art.example")))
                # TDMRep knows no more than that something is reserved: a reader takes it for both.
                least = meant if not meant.is_reserved else Reservation(NO, NO, three)
                assert (found or OPEN).is_like(least)
    for headers, expected in [
        ({}, None),
        ({"x-robots-tag": "noindex, nofollow"}, Reservation(YES, YES, NO)),
        ({"x-robots-tag": "somebot: noimageai"}, Reservation(NO, YES, YES)),
        ({"content-usage": "train-ai=y"}, None),
        ({"content-usage": 'train-ai=n;exp="x", search=n'}, Reservation(NO, YES, NO)),
        ({"content-signal": "ai-input=no"}, Reservation(YES, NO, YES)),
        ({"tdm-reservation": " 1 "}, Reservation(NO, NO, YES)),
        ({"tdm-reservation": "0"}, None),
        ({"content-usage": "=,=;;,\x00", "content-signal": "\xff" * 100_000, "x-robots-tag": "," * 100_000}, None),
    ]:
        assert signals.read_headers(headers) == expected, headers


def test_the_work_s_word_beats_the_artist_s_and_hers_the_instance_s_unless_it_lets_nobody_open_more() -> None:
    assert reservation_of(None, None, USUAL, may_change=True) == USUAL
    assert reservation_of(None, OPEN, USUAL, may_change=True) == OPEN
    assert reservation_of(SHUT, OPEN, USUAL, may_change=True) == SHUT
    assert reservation_of(OPEN, SHUT, USUAL, may_change=True) == OPEN
    assert reservation_of(OPEN, None, USUAL, may_change=False).is_like(USUAL)
    assert reservation_of(SHUT, None, USUAL, may_change=False).is_like(SHUT)


def test_every_licence_has_its_text_s_address_and_those_in_words_have_none() -> None:
    found = {licence.value: licence.url for licence in Licence}
    assert found == {
        "all-rights-reserved": None,
        "cc-by": "https://creativecommons.org/licenses/by/4.0/",
        "cc-by-sa": "https://creativecommons.org/licenses/by-sa/4.0/",
        "cc-by-nc": "https://creativecommons.org/licenses/by-nc/4.0/",
        "cc-by-nc-sa": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "cc-by-nd": "https://creativecommons.org/licenses/by-nd/4.0/",
        "cc-by-nc-nd": "https://creativecommons.org/licenses/by-nc-nd/4.0/",
        "cc0": "https://creativecommons.org/publicdomain/zero/1.0/",
        "custom": None,
    }


# ------------------------------------------------------------------------------------------------------ the packet


def test_another_packet_changes_nothing_of_the_pixels_and_the_file_is_as_if_saved_with_it() -> None:
    picture = Image.open(io.BytesIO(draw_sample(200, 150))).convert("RGB")
    first, second = b"<x>one</x>", b"<x>" + b"two" * 5_000 + b"</x>"
    bare = encode(picture)
    assert packet_of_jpeg(bare) is None
    for packet in (first, second):
        assert with_packet(bare, packet) == encode(picture, packet=packet)
        assert packet_of_jpeg(with_packet(bare, packet)) == packet
    assert with_packet(with_packet(bare, first), second) == with_packet(bare, second)
    assert with_packet(with_packet(bare, first), None) == bare


# -------------------------------------------------------------------------------------------------- over HTTP, read


@dataclass(frozen=True)
class Past:
    """The folder of a world in which mira has published two works of a picture each, the first one with #oil."""

    folder: Path
    ids: tuple[str, str]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    folder = tmp_path_factory.mktemp("past") / "data"

    async def make() -> Past:
        async with a_world(folder) as opened:
            first = await post(opened, status="evening #oil")
            second = await post(opened, draw_sample(160, 120, seed=3))
            return Past(folder, (first["id"], second["id"]))

    return asyncio.run(make())


@pytest.fixture
async def world(past: Past, tmp_path: Path) -> AsyncIterator[World]:
    shutil.copytree(past.folder, tmp_path / "data")
    async with a_world(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def work(past: Past, world: World) -> dict[str, Any]:
    """The first of mira's works."""
    return await shown(world, past.ids[0])


@pytest.fixture
async def other(past: Past, world: World) -> dict[str, Any]:
    """The second one."""
    return await shown(world, past.ids[1])


async def post(world: World, picture: bytes | None = None, **more: Any) -> dict[str, Any]:
    """A work of one picture that is out. As the client API shows it."""
    media = await world.upload(picture or draw_sample(160, 120), description="A <b>boat</b>")
    said = {"status": "evening", "media_ids": [media["id"]], **more}
    made = (await world.client.post("/api/v1/statuses", json=said)).json()
    assert await settled(world) == []
    return await shown(world, made["id"])


async def shown(world: World, work_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await world.client.get(f"/api/v1/statuses/{work_id}")).json()
    return found


def heads(page: str) -> dict[str, str]:
    """What the page's head says: name of a meta tag or rel of a link → value."""
    found = dict(re.findall(r'<meta name="([a-z-]+)" content="([^"]*)">', page))
    return found | dict(re.findall(r'<link rel="(license)" type="application/rsl\+xml" href="([^"]*)">', page))


def reserved_by(answer: httpx.Response) -> dict[str, str]:
    names = ("x-robots-tag", "tdm-reservation", "tdm-policy", "content-usage", "content-signal")
    return {name: answer.headers[name] for name in names if name in answer.headers}


BASE = "http://localhost:8000"
RESERVED = {
    "x-robots-tag": "noai, noimageai, noarchive",
    "tdm-reservation": "1",
    "tdm-policy": f"{BASE}/tdm-policy.json",
    "content-usage": "train-ai=n",
    "content-signal": "search=yes, ai-input=no, ai-train=no",
}
ALLOWED = {
    "tdm-reservation": "0",
    "content-usage": "train-ai=y",
    "content-signal": "search=yes, ai-input=yes, ai-train=yes",
}


def may_train(answer: httpx.Response) -> bool:
    """As Spawning's datadiligence understands the headers."""
    rules: Any = importlib.import_module("datadiligence.rules.http")
    headers = dict(answer.headers)
    return all(rule.is_allowed(headers=headers) for rule in (rules.XRobotsTagHeader(user_agent="bot"), rules.TDMRepHeader()))


async def everything(world: World, work: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What page, file and document of a work say, and what readers make of it."""
    page = await world.stranger.get(f"/@mira/{work['id']}")
    document = await world.stranger.get(f"/@mira/{work['id']}", headers=AP)
    file = await world.stranger.get(work["media_attachments"][0]["url"])
    assert {answer.status_code for answer in (page, document, file)} == {200}
    tags = read_tags(file.content, folder)
    return {
        "headers": [reserved_by(answer) for answer in (page, document, file)],
        "may train": [may_train(answer) for answer in (page, document, file)],
        "meta": heads(page.text),
        "document": document.json(),
        "mining": tags["XMP-plus:DataMining"].rpartition("/")[2],
        "tags": tags,
    }


@pytest.mark.anyio
async def test_an_artist_flips_her_reservation_then_a_work_s_and_page_file_and_document_follow(
    world: World, work: dict[str, Any], tmp_path: Path
) -> None:
    async with people_of(world.instance) as people, a_far_server() as far:
        mira, ana = await people.person("mira"), far.actor("ana")
        await follow_mira(world, ana)
        before = await everything(world, work, tmp_path)
        assert before["headers"] == [RESERVED] * 3
        assert before["may train"] == [False] * 3
        assert before["meta"]["robots"] == "noai, noimageai, noarchive"
        assert before["meta"]["tdm-reservation"] == "1"
        assert before["mining"] == "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING"
        old = work["media_attachments"][0]["url"]

        chosen = {"reserve": "own", "training": "1", "ai_input": "1", "search": "1", "licence": "cc-by", "tell_cloaked": "1"}
        assert "Kept" in (await mira.browser.send("/settings/rights", chosen, page="/settings/rights")).text
        assert await settled(world) == []
        work = await shown(world, work["id"])
        after = await everything(world, work, tmp_path)
        assert after["headers"] == [ALLOWED] * 3
        assert after["may train"] == [True] * 3
        assert "robots" not in after["meta"]
        assert after["meta"]["tdm-reservation"] == "0"
        assert "tdm-policy" not in after["meta"]
        assert after["mining"] == "DMI-ALLOWED"
        assert after["tags"]["XMP-cc:License"] == "https://creativecommons.org/licenses/by/4.0/"
        assert after["document"]["license"] == "https://creativecommons.org/licenses/by/4.0/"
        assert (before["document"]["contentUsage"], after["document"]["contentUsage"]) == ("train-ai=n", "train-ai=y")
        assert (before["document"]["tdmReservation"], after["document"]["tdmReservation"]) == (1, 0)
        (picture,) = after["document"]["attachment"]
        assert (picture["contentUsage"], picture["url"]) == ("train-ai=y", work["media_attachments"][0]["url"])
        # The file is another one, with the same pixels; the old address is gone, and others heard of the new one.
        assert picture["url"] != old
        assert (await world.stranger.get(old)).status_code == 410
        assert updates(far, work)[-1]["object"]["attachment"][0]["url"] == picture["url"]

        edited = {"text": "evening", "reserve": "own", "licence": "custom", "licence_text": "Ask me.\nTwice."}
        edit = f"/works/{work['id']}/edit"
        assert (await mira.browser.send(edit, edited, page=edit)).status_code == 303
        assert await settled(world) == []
        work = await shown(world, work["id"])
        last = await everything(world, work, tmp_path)
        assert last["headers"][1]["content-usage"] == "train-ai=n, search=n"
        assert last["headers"][0] == last["headers"][1] == last["headers"][2]
        assert last["may train"] == [False] * 3
        assert last["mining"] == "DMI-PROHIBITED"
        assert last["document"]["license"] == f"{BASE}/@mira/rights"
        assert "Ask me.\nTwice." in last["tags"]["XMP-xmpRights:UsageTerms"]
        # Of her others it is as she said for all.
        assert reserved_by(await world.stranger.get("/users/mira", headers=AP)) == ALLOWED
        assert reserved_by(await world.stranger.get("/@mira/rights")) == ALLOWED


async def follow_mira(world: World, ana: Any) -> None:
    mira = world.instance.identifiers.actor_uri("mira")
    await ana.says(world, ana.activity("Follow", mira))
    assert await settled(world) == []


def updates(far: Any, work: dict[str, Any]) -> list[dict[str, Any]]:
    return [it for it in far.received("Update") if it["object"]["id"] == work["uri"]]


@pytest.mark.anyio
async def test_a_page_carries_the_strictest_of_what_it_shows_and_a_client_program_s_answer_is_reserved(
    world: World, work: dict[str, Any], other: dict[str, Any]
) -> None:
    instance = world.instance
    open_policy = replace(instance.policy, reserve=replace(instance.policy.reserve, training=YES, ai_input=YES))
    await adopt_policy(instance, open_policy, None)
    assert await settled(world) == []
    first, second = await shown(world, work["id"]), await shown(world, other["id"])
    for path in ("/", "/tags/oil", "/@mira", "/@mira/feed.atom", "/about"):
        assert reserved_by(await world.stranger.get(path)) == ALLOWED, path
    await choose_for_work(instance, world.artist, int(first["id"]), USUAL, None)
    assert await settled(world) == []
    for path in ("/", "/tags/oil", "/@mira", "/@mira/feed.atom", "/users/mira/outbox?page=true", f"/@mira/{first['id']}"):
        assert reserved_by(await world.stranger.get(path)) == RESERVED, path
    for path in ("/about", f"/@mira/{second['id']}", second["media_attachments"][0]["url"]):
        assert reserved_by(await world.stranger.get(path)) == ALLOWED, path
    assert reserved_by(await world.stranger.get(f"/api/v1/statuses/{second['id']}")) == RESERVED
    unchanged = await world.stranger.get((await shown(world, first["id"]))["media_attachments"][0]["url"])
    etag = {"if-none-match": unchanged.headers["etag"]}
    again = await world.stranger.get(str(unchanged.url), headers=etag)
    assert (again.status_code, reserved_by(again)) == (304, RESERVED)


@pytest.mark.anyio
async def test_the_policy_s_new_default_is_written_into_the_files_of_who_said_nothing_else(
    world: World, work: dict[str, Any], other: dict[str, Any], tmp_path: Path
) -> None:
    instance, follows, own = world.instance, work, other
    await choose_for_work(instance, world.artist, int(own["id"]), USUAL, Licensing(Licence.BY))
    assert await settled(world) == []
    own = await shown(world, own["id"])
    reserve = replace(instance.policy.reserve, training=YES, ai_input=YES)
    await adopt_policy(instance, replace(instance.policy, reserve=reserve), None)
    assert await settled(world) == []
    assert (await everything(world, await shown(world, follows["id"]), tmp_path))["mining"] == "DMI-ALLOWED"
    assert (await shown(world, own["id"]))["media_attachments"] == own["media_attachments"], "nothing to be written anew"
    await adopt_policy(instance, replace(instance.policy, reserve=replace(reserve, embed_xmp=False)), None)
    assert await settled(world) == []
    bare = await world.stranger.get((await shown(world, follows["id"]))["media_attachments"][0]["url"])
    assert packet_of_jpeg(bare.content) is None
    assert reserved_by(bare) == ALLOWED


@pytest.mark.anyio
async def test_where_the_policy_lets_artists_only_reserve_more_a_wish_for_less_changes_nothing(world: World) -> None:
    instance = world.instance
    await adopt_policy(
        instance, replace(instance.policy, reserve=replace(instance.policy.reserve, artist_may_change=False)), None
    )
    await choose_rights(instance, world.artist, Choices(OPEN))
    assert reserved_by(await world.stranger.get("/users/mira", headers=AP)) == RESERVED
    await choose_rights(instance, world.artist, Choices(SHUT))
    assert reserved_by(await world.stranger.get("/users/mira", headers=AP))["content-usage"] == "train-ai=n, search=n"


@pytest.mark.anyio
async def test_a_newer_choice_ends_the_run_of_an_older_one_and_each_work_is_told_once(past: Past, tmp_path: Path) -> None:
    shutil.copytree(past.folder, tmp_path / "data")
    async with a_far_server() as far:
        async with a_world(tmp_path / "data") as world:
            await follow_mira(world, far.actor("ana"))
            made = [await shown(world, id_) for id_ in past.ids]
        async with a_world(tmp_path / "data", jobs=False) as world:
            for reservation in (OPEN, SHUT, OPEN):
                await choose_rights(world.instance, world.artist, Choices(reservation))
            run = await world.instance.storage.read(restate.run_of, world.artist.actor_id)
            assert run is not None
            assert (run.done, run.of) == (0, 2)
            page = await (await people_page(world))("/settings/rights")
            assert "0 of 2 works" in page
        async with a_world(tmp_path / "data") as world:
            assert await settled(world) == []
            assert await world.instance.storage.read(restate.run_of, world.artist.actor_id) is None
            assert [len(updates(far, work)) for work in made] == [1, 1]
            for work in made:
                file = await world.stranger.get((await shown(world, work["id"]))["media_attachments"][0]["url"])
                assert said_in(packet_of_jpeg(file.content) or b"")["plus:DataMining"].endswith("DMI-ALLOWED")


async def people_page(world: World) -> Any:
    async def page(path: str) -> str:
        async with people_of(world.instance) as people:
            return (await (await people.person("mira")).browser.get(path)).text

    return page


@pytest.mark.anyio
async def test_what_an_artist_chose_for_a_draft_is_in_the_work_and_its_files_when_it_goes_out(
    world: World, tmp_path: Path
) -> None:
    async with people_of(world.instance) as people:
        mira = await people.person("mira")
        draft = await start_draft(world.instance, world.artist, Draft("x"))
        page = f"/compose/{draft}"
        files = {"pictures": ("boat.jpg", draw_sample(160, 120), "image/jpeg")}
        assert (await mira.browser.send(page, {"text": "x", "action": "add"}, files=files, page=page)).status_code == 303
        assert await settled(world) == []
        said = {"text": "x", "reserve": "own", "search": "1", "ai_input": "1", "licence": "cc-by-nc"}
        sent = await mira.browser.send(page, {**said, "licence": "custom", "action": "save"}, page=page)
        assert sent.status_code == 422
        assert "Terms of your own need words" in sent.text
        sent = await mira.browser.send(page, {**said, "action": "publish-anyway"}, page=page)
        assert await settled(world) == []
        work = await shown(world, sent.headers["location"].rpartition("/")[2])
        found = await everything(world, work, tmp_path)
        assert found["mining"] == "DMI-PROHIBITED-AIMLTRAINING"
        assert found["document"]["license"] == "https://creativecommons.org/licenses/by-nc/4.0/"
        assert found["headers"][0]["content-signal"] == "search=yes, ai-input=yes, ai-train=no"


@pytest.mark.anyio
async def test_an_answer_is_dated_when_it_is_given_and_keeps_its_date(world: World) -> None:
    instance, moment = world.instance, 1_790_000_000_000
    instance.clock = lambda: moment
    await choose_rights(instance, world.artist, Choices(SHUT))
    instance.clock = lambda: moment + 86_400_000
    await choose_rights(instance, world.artist, Choices(SHUT, tell_cloaked=False))
    rights = (await world.stranger.get("/@mira/rights")).text
    assert "chose this on 21 September 2026" in rights
    await choose_rights(instance, world.artist, Choices())
    assert "reserves for every artist who says nothing else" in (await world.stranger.get("/@mira/rights")).text


@pytest.mark.anyio
async def test_terms_of_her_own_need_words_and_have_an_end(world: World) -> None:
    for text in ("", "  ", "x" * 2_001):
        with pytest.raises(BadInput):
            await choose_rights(world.instance, world.artist, Choices(licensing=Licensing(Licence.CUSTOM, text)))
    await choose_rights(world.instance, world.artist, Choices(licensing=Licensing(Licence.CUSTOM, "<script>x</script>")))
    page = (await world.stranger.get("/@mira/rights")).text
    assert "&lt;script&gt;x&lt;/script&gt;" in page


# ------------------------------------------------------------------------------------------------ as a peer reads it


@pytest.mark.anyio
async def test_the_bytes_that_a_peer_fetches_carry_the_rights_and_nothing_of_what_the_artist_s_file_held(
    world: World, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET-WORDS"
    exif[0x010F] = "SECRET-CAMERA"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 30.0), 29: "2026:SECRET"})
    out = io.BytesIO()
    Image.open(io.BytesIO(draw_sample(160, 120))).save(out, "JPEG", exif=exif, comment=b"SECRET-NOTE")
    info = PngInfo()
    info.add_text("notes", "SECRET-PROMPT, a boat")
    png = io.BytesIO()
    Image.open(io.BytesIO(draw_sample(160, 120, seed=2))).save(png, "PNG", pnginfo=info, exif=exif)
    for original in (out.getvalue(), png.getvalue()):
        assert b"SECRET" in original
        work = await post(world, original)
        note = (await world.stranger.get(work["uri"], headers=AP)).json()
        (attachment,) = note["attachment"]
        data = (await world.stranger.get(attachment["url"])).content
        tags = read_tags(data, tmp_path)
        assert b"SECRET" not in data
        assert not [name for name in tags if "GPS" in name or name.startswith(("IFD0:", "ExifIFD:", "File:Comment"))]
        assert tags["XMP-plus:DataMining"].rpartition("/")[2] == "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING"
        assert tags["XMP-dc:Creator"] == "mira"
        assert tags["XMP-photoshop:Credit"] == "mira (@mira@localhost:8000)"
        assert tags["XMP-xmpRights:WebStatement"] == f"{BASE}/@mira/rights"
        assert tags["XMP-dc:Rights"].startswith("© 20")
        assert "XMP-iptcExt:DigitalSourceType" not in tags, "she did not say how it was made"


@pytest.mark.anyio
async def test_every_document_expands_to_the_terms_that_are_meant(world: World, work: dict[str, Any]) -> None:
    await declare(world, work, Declaration.DIGITAL)
    note = (await world.stranger.get(work["uri"], headers=AP)).json()
    create = (await world.stranger.get(f"{work['uri']}/activity", headers=AP)).json()
    page = (await world.stranger.get("/users/mira/outbox?page=true", headers=AP)).json()
    actor = expanded((await world.stranger.get("/users/mira", headers=AP)).json())
    in_create = expanded(create)[f"{AS}object"][0]
    listed = [it[f"{AS}object"][0] for it in expanded(page)[f"{AS}items"][0]["@list"]]
    (in_page,) = [it for it in listed if it["@id"] == note["id"]]
    whole = expanded(note)
    sc, integer = "http://schema.org/", "http://www.w3.org/2001/XMLSchema#integer"
    for found in (whole, in_create, in_page, whole[f"{AS}attachment"][0]):
        assert found[f"{sc}license"] == [{"@id": f"{BASE}/@mira/rights"}]
        assert found[f"{sc}usageInfo"] == [{"@id": f"{BASE}/ai-policy"}]
        assert found[f"{sc}acquireLicensePage"] == [{"@id": f"{BASE}/@mira/rights"}]
        assert found[f"{sc}creditText"] == [{"@value": "mira (@mira@localhost:8000)"}]
        assert found[f"{sc}copyrightNotice"][0]["@value"].startswith("© 20")
        assert found[f"{sc}digitalSourceType"] == [{"@id": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCreation"}]
        assert found["http://www.w3.org/ns/tdmrep#reservation"] == [{"@type": integer, "@value": 1}]
        assert found["http://www.w3.org/ns/tdmrep#policy"] == [{"@id": f"{BASE}/tdm-policy.json"}]
        assert found[f"{FEDIART}contentUsage"] == [{"@value": "train-ai=n"}]
        assert found["https://w3id.org/fep/5e53#xRobotsTag"] == [{"@value": "noai, noimageai, noarchive"}]
    cloaked = {"@type": "http://www.w3.org/2001/XMLSchema#boolean", "@value": True}
    assert whole[f"{AS}attachment"][0][f"{FEDIART}cloaked"] == [cloaked]
    _, label = whole[f"{AS}tag"]
    assert label["@type"] == ["https://w3id.org/fep/4c96#Label"]
    assert label[f"{AS}href"] == [{"@id": f"{BASE}/labels/no-generative-ai"}]
    assert label[f"{AS}name"] == [{"@value": "Made without generative AI"}]
    assert (await world.stranger.get(f"{BASE}/labels/no-generative-ai")).status_code == 200
    assert actor[f"{sc}usageInfo"] == [{"@id": f"{BASE}/ai-policy"}]
    assert actor["http://www.w3.org/ns/tdmrep#reservation"] == [{"@type": integer, "@value": 1}]
    own = {name for name in json.dumps([whole, actor]).split('"') if name.startswith("urn:uuid:")}
    assert own == {f"{FEDIART}contentUsage", f"{FEDIART}cloaked"}
    text = (Path(__file__).parents[1] / "docs" / "fep-ai-reservation.md").read_text()
    in_docs = json.loads(re.findall(r"```json\n(.*?)```", text, re.S)[-1])
    assert in_docs["@context"][1] == RIGHTS_TERMS
    ours, theirs = (set(it[f"{AS}attachment"][0]) for it in (whole, expanded(in_docs)))
    assert ours - theirs == {"http://joinmastodon.org/ns#blurhash", f"{AS}width", f"{AS}height"}
    assert theirs <= ours
    assert note["content"].startswith("<p>evening <a ")
    assert note["summary"] is None


AS = "https://www.w3.org/ns/activitystreams#"


async def declare(world: World, work: dict[str, Any], declaration: Declaration) -> None:
    """As its artist did in the composer."""
    await world.instance.storage.write(lambda db: works.change_work(db, int(work["id"]), declaration=declaration))


@pytest.mark.anyio
async def test_what_was_made_with_ai_says_so_in_a_label_and_in_the_hashtag_that_today_s_filters_know(
    world: World, other: dict[str, Any]
) -> None:
    work = other
    tags = {}
    for declaration in Declaration:
        await declare(world, work, declaration)
        note = (await world.stranger.get(work["uri"], headers=AP)).json()
        tags[declaration] = [(tag["type"], tag["name"]) for tag in note["tag"]]
        assert note.get("digitalSourceType") == declaration.source_type
    assert tags[Declaration.AI] == [("Label", "Made with AI"), ("Hashtag", "#AIGenerated")]
    assert tags[Declaration.PARTS_AI] == [("Label", "Parts made with AI")]
    assert tags[Declaration.NONE] == []
    assert {tuple(tags[it]) for it in (Declaration.DIGITAL, Declaration.PHOTO, Declaration.CODE)} == {
        (("Label", "Made without generative AI"),)
    }


@pytest.mark.anyio
async def test_how_a_work_was_made_is_in_its_files_once_its_artist_says_so(
    world: World, work: dict[str, Any], tmp_path: Path
) -> None:
    words = Draft("evening", declaration=Declaration.TRADITIONAL)
    await edit_work(world.instance, world.artist, int(work["id"]), words)
    assert await settled(world) == []
    found = await everything(world, await shown(world, work["id"]), tmp_path)
    assert found["tags"]["XMP-iptcExt:DigitalSourceType"].rpartition("/")[2] == "digitalCapture"
    assert found["document"]["digitalSourceType"] == Declaration.TRADITIONAL.source_type


@pytest.mark.anyio
async def test_what_a_moderator_labels_of_ours_goes_out_so_and_not_as_its_artist_says(
    world: World, other: dict[str, Any]
) -> None:
    await declare(world, other, Declaration.DIGITAL)
    await world.instance.storage.write(lambda db: works.change_work(db, int(other["id"]), self_label="ai-generated"))
    note = (await world.stranger.get(other["uri"], headers=AP)).json()
    assert [tag["name"] for tag in note["tag"]] == ["Made with AI", "#AIGenerated"]


@pytest.mark.anyio
async def test_that_a_picture_is_cloaked_is_told_only_where_its_artist_has_it_told(world: World, work: dict[str, Any]) -> None:
    note = (await world.stranger.get(work["uri"], headers=AP)).json()
    assert note["attachment"][0]["cloaked"] is True
    await choose_rights(world.instance, world.artist, Choices(tell_cloaked=False))
    note = (await world.stranger.get(work["uri"], headers=AP)).json()
    assert "cloaked" not in note["attachment"][0]


# ------------------------------------------------------------------------------------------------ files for machines


def tdm_of(rules: list[dict[str, Any]], path: str) -> int:
    """TDMRep: the first rule that fits counts. Patterns as in RFC 9309."""
    for rule in rules:
        pattern = re.escape(rule["location"]).replace(r"\*", ".*").replace(r"\$", "$")
        if re.match(pattern, path):
            return int(rule["tdm-reservation"])
    raise AssertionError(path)


def rsl_of(text: str, path: str) -> tuple[str, str]:
    """(permitted, prohibited) of the most specific content that fits."""
    ns = "{https://rslstandard.org/rsl}"
    root = ElementTree.fromstring(text)
    assert root.tag == f"{ns}rsl"
    fitting = []
    for content in root.findall(f"{ns}content"):
        pattern = re.escape(content.attrib["url"]).replace(r"\$", "$")
        if re.match(pattern, path):
            fitting.append(content)
    best = max(fitting, key=lambda content: len(content.attrib["url"]))
    licence = best.find(f"{ns}license")
    assert licence is not None
    found = [licence.find(f"{ns}{name}") for name in ("permits", "prohibits")]
    assert all(element is None or element.attrib == {"type": "usage"} for element in found)
    return tuple((element.text or "") if element is not None else "" for element in found)  # type: ignore[return-value]


@pytest.mark.anyio
async def test_the_files_for_machines_name_whoever_says_something_else_and_the_specific_comes_first(
    world: World, work: dict[str, Any], other: dict[str, Any]
) -> None:
    instance, first, second = world.instance, work, other
    async with people_of(instance) as people:
        mi = await people.person("mi")  # whose name begins that of another
        await choose_rights(instance, world.artist, Choices(OPEN))
        await choose_for_work(instance, world.artist, int(first["id"]), SHUT, None)
        await choose_rights(instance, mi.account, Choices(Reservation(NO, YES, YES)))
        answer = await world.stranger.get("/.well-known/tdmrep.json")
        rules, text = answer.json(), (await world.stranger.get("/license.xml")).text
        assert answer.headers["content-type"] == "application/json"
        for path, tdm, usages in [
            ("/", 1, ("search", "ai-all")),
            ("/@mira", 0, ("ai-train ai-input search", "")),
            (f"/@mira/{second['id']}", 0, ("ai-train ai-input search", "")),
            (f"/users/mira/statuses/{second['id']}", 0, ("ai-train ai-input search", "")),
            (f"/@mira/{first['id']}", 1, ("", "ai-all search")),
            (f"/users/mira/statuses/{first['id']}", 1, ("", "ai-all search")),
            ("/@mirabel", 1, ("search", "ai-all")),
            ("/@mi", 1, ("ai-input search", "ai-train")),
            ("/media/ab/x.jpg", 1, ("search", "ai-all")),
        ]:
            assert tdm_of(rules, path) == tdm, path
            assert rsl_of(text, path) == usages, path
        assert rules[-1] == {"location": "/", "tdm-reservation": 1, "tdm-policy": f"{BASE}/tdm-policy.json"}
        said = (await world.stranger.get("/robots.txt")).text
        assert re.findall("(?m)^Content-Usage: (.*)$", said) == [
            "train-ai=n, search=y", "/@mira$ train-ai=y, search=y", "/@mira/ train-ai=y, search=y"
        ]  # fmt: skip
    policy = await world.stranger.get("/tdm-policy.json")
    assert policy.headers["content-type"] == "application/ld+json"
    assert policy.json()["profile"] == "http://www.w3.org/ns/tdmrep"
    assert (await world.stranger.get("/license.xml")).headers["content-type"] == "application/rsl+xml"


@pytest.mark.anyio
async def test_where_too_many_say_something_else_the_files_reserve_everything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fediart.web import statements

    await adopt_policy(world.instance, replace(world.instance.policy, reserve=Reserve(YES, YES, YES)), None)
    await choose_rights(world.instance, world.artist, Choices(SHUT))
    assert len((await world.stranger.get("/.well-known/tdmrep.json")).json()) == 5
    monkeypatch.setattr(statements, "MOST", 0)
    (rule,) = (await world.stranger.get("/.well-known/tdmrep.json")).json()
    assert (rule["location"], rule["tdm-reservation"]) == ("/", 1)
    assert rsl_of((await world.stranger.get("/license.xml")).text, "/@x") == ("search", "ai-all")


@pytest.mark.anyio
async def test_a_file_that_is_switched_off_is_not_there(world: World) -> None:
    await adopt_policy(world.instance, replace(world.instance.policy, reserve=Reserve(rsl=False, tdmrep=False)), None)
    for path in ("/.well-known/tdmrep.json", "/tdm-policy.json", "/license.xml"):
        answer = await world.stranger.get(path)
        assert answer.status_code == 404
        assert set(reserved_by(answer)) == {"x-robots-tag", "content-usage", "content-signal"}
        assert "license.xml" not in answer.headers.get("link", "")
    assert "tdm-reservation" not in heads((await world.stranger.get("/")).text)


@pytest.mark.anyio
async def test_each_preset_s_page_says_what_it_does_and_nodeinfo_names_it(world: World) -> None:
    sentences = {
        Preset.HUMAN_ART: ("for art made by people", "it is not published", "it is in no public list"),
        Preset.LABEL_ONLY: ("welcome here, and are labelled", "it is published with a label", "it is shown with a label"),
        Preset.OPEN: ("however they were made", "nothing is done", "it is shown with a label"),
    }
    for preset, expected in sentences.items():
        adopted = await adopt_policy(world.instance, with_preset(AiPolicy(), preset), None)
        page = (await world.stranger.get("/ai-policy")).text
        assert all(words in page for words in expected), preset
        assert f"Revision {adopted.number}" in page
        assert "It does not stop anybody by itself" in page
        metadata = (await world.stranger.get("/nodeinfo/2.1")).json()["metadata"]
        assert metadata["aiPolicy"] == {"preset": preset.value, "statement": f"{BASE}/ai-policy"}


@pytest.mark.anyio
async def test_the_page_of_a_work_tells_image_search_of_its_rights_and_no_word_ends_the_block(
    world: World, work: dict[str, Any]
) -> None:
    await world.client.patch("/api/v1/accounts/update_credentials", data={"display_name": "</script><b>&Mira"})
    page = (await world.stranger.get(f"/@mira/{work['id']}")).text
    (block,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page)
    assert "<" not in block
    found = json.loads(block)
    assert found["@type"] == "ImageObject"
    assert found["creator"]["name"] == "</script><b>&Mira"
    assert found["caption"] == "A <b>boat</b>"
    assert found["contentUrl"] == work["media_attachments"][0]["url"]
    assert found["license"] == found["acquireLicensePage"] == f"{BASE}/@mira/rights"
    assert found["usageInfo"] == f"{BASE}/ai-policy"
    held = await world.instance.storage.read(shown_rows.work_seen_by, int(work["id"]), None)
    assert held is not None
    for visibility in Visibility:
        seen = replace(held, work=replace(held.work, visibility=visibility))
        assert bool(image_objects(world.instance, seen)) == visibility.is_open


# --------------------------------------------------------------------------------------------------- asked at first


@pytest.mark.anyio
async def test_where_the_policy_has_artists_asked_each_is_asked_once_and_no_answer_is_no(world: World) -> None:
    await adopt_policy(world.instance, with_preset(AiPolicy(), Preset.OPEN), None)
    async with people_of(world.instance) as people:
        await people.person("mira")
        ben = await people.person("ben")
        browser = await people.browser()
        assert (await browser.sign_in("ben")).headers["location"] == "/settings/rights/first"
        assert reserved_by(await world.stranger.get("/users/ben", headers=AP)) == RESERVED
        assert (await browser.sign_in("ben")).headers["location"] == "/settings/rights/first", "she only looked"
        page = "/settings/rights/first"
        assert (await browser.send(page, {"action": "later"}, page=page)).headers["location"] == "/home"
        assert (await browser.sign_in("ben")).headers["location"] == "/home"
        assert reserved_by(await world.stranger.get("/users/ben", headers=AP)) == RESERVED
        said = {"action": "save", "reserve": "own", "training": "1", "ai_input": "1", "search": "1"}
        assert (await ben.browser.send(page, said, page=page)).status_code == 303
        assert reserved_by(await world.stranger.get("/users/ben", headers=AP)) == ALLOWED


# ------------------------------------------------------------------------------------------------ of other servers


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        await follow(opened.world, opened.ana)
        open_policy = replace(opened.world.instance.policy, reserve=Reserve(YES, YES, YES))
        await adopt_policy(opened.world.instance, open_policy, None)
        yield opened


CAME: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({}, {}, "", "search=yes, ai-input=yes, ai-train=yes"),
    ({"x_robots_tag": "noai"}, {}, "", "search=yes, ai-input=yes, ai-train=no"),
    ({"tdm_reservation": "1"}, {}, "", "search=yes, ai-input=no, ai-train=no"),
    ({"content_signal": "ai-input=no"}, {}, "", "search=yes, ai-input=no, ai-train=yes"),
    ({}, {"contentUsage": "train-ai=n"}, "", "search=yes, ai-input=yes, ai-train=no"),
    ({}, {"tdmReservation": 1}, "", "search=yes, ai-input=no, ai-train=no"),
    ({}, {"xRobotsTag": "noindex"}, "", "search=no, ai-input=yes, ai-train=yes"),
    ({}, {"contentUsage": {"a": 1}, "tdmReservation": {}, "xRobotsTag": 7}, "", "search=yes, ai-input=yes, ai-train=yes"),
    ({"content_usage": "search=n"}, {"contentUsage": "train-ai=n"}, "", "search=no, ai-input=yes, ai-train=no"),
    ({}, {}, "DMI-PROHIBITED-GENAIMLTRAINING", "search=yes, ai-input=yes, ai-train=no"),
]
"""(headers of the file, properties of the attachment, PLUS's word in the file, what our copy says)"""


@pytest.mark.anyio
async def test_our_copies_of_another_server_s_pictures_go_out_with_what_came_with_them(scene: Scene) -> None:
    pictures = []
    for number, (headers, said, mining, _) in enumerate(CAME):
        scene.far.serve(f"/{number}.jpg", _reserving(number, mining), content_type="image/jpeg", **headers)
        pictures.append({"type": "Image", "mediaType": "image/jpeg", "url": f"{scene.far.url}/{number}.jpg", **said})
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note(attachment=pictures)))
    (entry,) = (await scene.world.client.get("/api/v1/timelines/home")).json()
    for held, (headers, said, mining, expected) in zip(entry["media_attachments"], CAME, strict=True):
        for url in (held["url"], held["preview_url"]):
            answer = await scene.world.stranger.get(url)
            assert (answer.status_code, answer.headers["content-signal"]) == (200, expected), (headers, said, mining)


def _reserving(seed: int, mining: str) -> bytes:
    """A picture whose file says this of data mining."""
    data = draw_sample(96, 64, seed=seed)
    if not mining:
        return data
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:plus="{PLUS}xmp/1.0/" plus:DataMining="{PLUS}vocab/{mining}"/></rdf:RDF></x:xmpmeta>'
    )
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).save(out, "JPEG", xmp=xmp.encode())
    return out.getvalue()


PLUS = "http://ns.useplus.org/ldf/"


@pytest.mark.anyio
async def test_what_its_author_reserves_of_a_far_work_is_on_the_pages_that_show_it_and_ours_comes_on_top(
    scene: Scene,
) -> None:
    note = scene.ana.note(contentUsage="train-ai=n", attachment=[])
    await scene.heard(scene.ana, scene.ana.create(note))
    async with people_of(scene.world.instance) as people:
        mira = await people.person("mira")
        assert (await mira.browser.get("/home")).headers["content-usage"] == "train-ai=n"
        assert (await mira.browser.get("/about")).headers["content-usage"] == "train-ai=y"
        await adopt_policy(scene.world.instance, AiPolicy(reserve=Reserve(search=NO)), None)
        assert (await mira.browser.get("/home")).headers["content-usage"] == "train-ai=n, search=n"
