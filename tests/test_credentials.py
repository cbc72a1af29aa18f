"""Content Credentials, where they are switched on, as their own reader finds them in what leaves."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import shutil
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fediart.clock import system_clock
from fediart.domain.declarations import Declaration
from fediart.domain.policy import Reserve
from fediart.domain.reservations import Answer, Reservation
from fediart.domain.rights import Assertions
from fediart.errors import BadInput
from fediart.media import c2pa as room
from fediart.media.c2pa import AUTHORITY_DAYS, LEAF_DAYS, Notary
from fediart.media.child import encode
from fediart.media.sample import draw_sample
from fediart.media.xmp import has_credentials, packet_of_jpeg, with_packet
from fediart.office.adopt_policy import adopt_policy
from fediart.storage import works
from tests.far_server import settled
from tests.test_reservation import AP, declare, post, shown
from tests.world import World, a_world

YES, NO = Answer.ALLOW, Answer.DENY
NOW = system_clock()
DAY = 86_400_000


def read(data: bytes, authority: str | None = None) -> dict[str, Any]:
    """What c2pa-python's reader says, with or without our authority among those it believes."""
    c2pa: Any = importlib.import_module("c2pa")
    settings: dict[str, Any] = {"version": 1, "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    if authority is not None:
        settings["trust"] = {"user_anchors": authority}
    with c2pa.Reader("image/jpeg", io.BytesIO(data), context=c2pa.Context(c2pa.Settings.from_dict(settings))) as reader:
        store = json.loads(reader.json())
        manifest: dict[str, Any] = store["manifests"][store["active_manifest"]]
        state, codes = reader.get_validation_state(), [it["code"] for it in store.get("validation_status", [])]
    return {"state": state, "codes": codes, "manifest": manifest, "store": store}


def assertions_in(found: dict[str, Any]) -> dict[str, Any]:
    return {it["label"]: it["data"] for it in found["manifest"]["assertions"]}


def a_picture() -> bytes:
    return with_packet(encode(Image.open(io.BytesIO(draw_sample(160, 120))).convert("RGB")), b"<x>rights</x>")


USUAL = Assertions("A picture of Mira", Reservation(), None)
CREATED = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCreation"


def test_a_signed_file_is_valid_and_says_both_kinds_of_reader_what_is_reserved(tmp_path: Path) -> None:
    notary, data = Notary(tmp_path / "credentials", "art.example"), a_picture()
    for reservation in (Reservation(), Reservation(YES, YES, YES), Reservation(YES, NO, YES)):
        signed = notary.sign(data, replace(USUAL, reservation=reservation), NOW)
        found = read(signed)
        assert (found["state"], found["codes"]) == ("Valid", ["signingCredential.untrusted"])
        assert found["manifest"]["signature_info"]["issuer"] == "art.example"
        words = {YES: "allowed", NO: "notAllowed"}
        for prefix in ("cawg", "c2pa"):
            assert assertions_in(found)[f"{prefix}.training-mining"]["entries"] == {
                f"{prefix}.data_mining": {"use": words[NO if reservation.is_reserved else YES]},
                f"{prefix}.ai_inference": {"use": words[reservation.ai_input]},
                f"{prefix}.ai_training": {"use": words[reservation.training]},
                f"{prefix}.ai_generative_training": {"use": words[reservation.training]},
            }
        assert packet_of_jpeg(signed) == b"<x>rights</x>"
        assert len(signed) - len(data) < 5_000, "there is no thumbnail in it"
        assert with_packet(signed, b"<x>rights</x>") == data
    assert read(signed, notary.authority.read_text())["state"] == "Trusted"
    changed = bytearray(signed)
    changed[-200] ^= 1
    assert (read(bytes(changed))["state"], "assertion.dataHash.mismatch" in read(bytes(changed))["codes"]) == ("Invalid", True)


def test_how_a_picture_was_made_is_asserted_only_where_its_artist_said_so(tmp_path: Path) -> None:
    notary, data = Notary(tmp_path / "credentials", "art.example"), a_picture()
    (silent,) = assertions_in(read(notary.sign(data, USUAL, NOW)))["c2pa.actions.v2"]["actions"]
    assert silent["action"] == "c2pa.opened"
    assert "digitalSourceType" not in silent
    for declaration in Declaration:
        if declaration != Declaration.NONE:
            said = replace(USUAL, source_type=declaration.source_type)
            found = read(notary.sign(data, said, NOW))
            assert found["state"] == "Valid"
            (action,) = assertions_in(found)["c2pa.actions.v2"]["actions"]
            assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", declaration.source_type)


def test_the_certificate_is_made_anew_before_it_ends_and_its_keys_are_nobody_else_s(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    notary, data = Notary(folder, "art.example"), a_picture()
    # c2pa itself goes by this machine's clock, so that it is the past in which the certificates are made.
    serial: list[str] = []
    for days_ago in (LEAF_DAYS - 30, LEAF_DAYS - 30 - 20, 0):
        signed = notary.sign(data, USUAL, NOW - days_ago * DAY)
        serial.append(read(signed)["manifest"]["signature_info"]["cert_serial_number"])
    assert serial[0] == serial[1] != serial[2]
    elder = Notary(tmp_path / "elder", "art.example")
    elder._make(datetime.fromtimestamp(NOW / 1000, UTC) - timedelta(days=AUTHORITY_DAYS - 100))
    authority = elder.authority.read_bytes()
    assert read(elder.sign(data, USUAL, NOW))["state"] == "Valid"
    assert elder.authority.read_bytes() != authority, "it would have ended before what it vouches for"
    for name in ("authority.key", "certificate.pem"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


@pytest.fixture
async def world(prepared: Path, tmp_path: Path) -> AsyncIterator[World]:
    shutil.copytree(prepared, tmp_path / "data")
    async with a_world(tmp_path / "data") as opened:
        yield opened


@pytest.mark.anyio
async def test_what_leaves_is_signed_last_and_anew_when_what_it_says_changes(world: World) -> None:
    instance = world.instance
    before = await post(world)
    assert not has_credentials((await world.stranger.get(before["media_attachments"][0]["url"])).content)
    await adopt_policy(instance, replace(instance.policy, reserve=Reserve(c2pa=True)), None)
    assert await settled(world) == []
    again, fresh = await shown(world, before["id"]), await post(world, draw_sample(160, 120, seed=3))
    for work in (again, fresh):
        for url in (work["media_attachments"][0]["url"], work["media_attachments"][0]["preview_url"]):
            data = (await world.stranger.get(url)).content
            found = read(data, instance.notary.authority.read_text())
            assert (found["state"], found["codes"]) == ("Trusted", [])
            assert b"DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING" in data
            assert assertions_in(found)["cawg.training-mining"]["entries"]["cawg.ai_training"] == {"use": "notAllowed"}
    await declare(world, fresh, Declaration.DIGITAL)
    await adopt_policy(instance, replace(instance.policy, reserve=Reserve(YES, YES, YES, c2pa=True)), None)
    assert await settled(world) == []
    document = (await world.stranger.get(fresh["uri"], headers=AP)).json()
    found = read((await world.stranger.get(document["attachment"][0]["url"])).content)
    assert found["state"] == "Valid"
    assert assertions_in(found)["cawg.training-mining"]["entries"]["cawg.ai_training"] == {"use": "allowed"}
    assert assertions_in(found)["c2pa.actions.v2"]["actions"][0]["digitalSourceType"] == CREATED
    assert (await instance.storage.read(works.work_by_id, int(fresh["id"]))) is not None


@pytest.mark.anyio
async def test_without_the_package_the_switch_says_what_is_missing_and_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)  # what Python makes of a package that is not there
    before = world.instance.policy
    with pytest.raises(BadInput, match=r"pip install 'fediart\[c2pa\]'"):
        await adopt_policy(world.instance, replace(before, reserve=Reserve(c2pa=True)), None)
    assert world.instance.policy == before


def test_a_server_whose_settings_ask_for_it_starts_without_the_package_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)

    async def start() -> None:
        async with a_world(tmp_path, jobs=False, **{"ai_policy.reserve.c2pa": True}) as world:
            assert world.instance.policy.reserve.c2pa

    asyncio.run(start())
    assert room.MISSING in capsys.readouterr().out
