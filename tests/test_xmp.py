"""The rights that an artist states stand in every file that leaves, whatever its type and her words; nothing else does."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fediart.domain.rights import Rights
from fediart.media.child import encode_as
from fediart.media.sample import draw_sample
from fediart.media.targets import Target
from fediart.media.xmp import NAMESPACES, PLUS_VOCABULARY, build_packet, saved_with
from tests.test_child import asked, rendered

RIGHTS = Rights(
    creator="Ána <Ünal> & Co",
    credit="Ána (@ana@art.example)",
    copyright_notice="© 2026 Ána",
    licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
    usage_terms='No use for training "AI" models.',
    web_statement="https://art.example/@ana/rights?a=1&b=2",
    data_mining="DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
    digital_source_type="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCreation",
    tdm_reservation=1,
    tdm_policy="https://art.example/tdm-policy.json",
)


def said(packet: bytes) -> dict[str, str]:
    """Each property of a packet with all of its text, read by a parser that is not ours."""
    prefixes = {uri: prefix for prefix, uri in NAMESPACES.items()}
    (description,) = ElementTree.fromstring(packet).iter(f"{{{NAMESPACES['rdf']}}}Description")
    found = {}
    for item in description:
        uri, name = item.tag[1:].split("}")
        resource = item.get(f"{{{NAMESPACES['rdf']}}}resource", "")
        found[f"{prefixes[uri]}:{name}"] = " ".join([*(text.strip() for text in item.itertext()), resource]).strip()
    return found


EXPECTED = {
    "dc:creator": RIGHTS.creator,
    "dc:rights": RIGHTS.copyright_notice,
    "photoshop:Credit": RIGHTS.credit,
    "xmpRights:Marked": "True",
    "xmpRights:WebStatement": RIGHTS.web_statement,
    "xmpRights:UsageTerms": RIGHTS.usage_terms,
    "cc:license": RIGHTS.licence_url,
    "plus:Licensor": f"{RIGHTS.creator} {RIGHTS.web_statement}",
    "plus:DataMining": PLUS_VOCABULARY + RIGHTS.data_mining,
    "Iptc4xmpExt:DigitalSourceType": RIGHTS.digital_source_type,
    "tdm:reservation": "1",
    "tdm:policy": RIGHTS.tdm_policy,
}


def packet_in(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as opened:
        held: Any = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp", "").encode()
        assert set(opened.info) <= {"xmp", "XML:com.adobe.xmp", "icc_profile", "jfif", "jfif_version", "jfif_unit"} | {
            "jfif_density", "dpi", "progressive", "progression", "loop", "background", "timestamp", "duration", "interlace"
        }  # fmt: skip
        assert not dict(opened.getexif())
    assert isinstance(held, bytes)
    return held


def test_every_kind_of_file_that_we_write_carries_the_packet() -> None:
    picture = Image.open(io.BytesIO(draw_sample(160, 120)))
    packet = build_packet(RIGHTS)
    assert said(packet) == EXPECTED
    for media_type in ("image/jpeg", "image/png", "image/webp"):
        assert packet_in(encode_as(picture, _order(media_type), packet)) == packet, media_type
        assert packet_in(encode_as(picture, _order(media_type))) == b"", media_type
    out = io.BytesIO()
    picture.save(out, "AVIF", **saved_with("image/avif", packet))
    assert packet_in(out.getvalue()) == packet


def _order(media_type: str) -> dict[str, Any]:
    target = Target(media_type, 90)
    return {name: getattr(target, name) for name in Target.__dataclass_fields__}


@pytest.mark.anyio
@pytest.mark.row(39)
async def test_all_renditions_carry_the_rights_and_nothing_of_the_original_s_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET-PROMPT"
    exif.get_ifd(0x8825)[29] = "SECRET-DATE"
    original = tmp_path / "original"
    theirs = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>SECRET-XMP</x:xmpmeta>"
    Image.open(io.BytesIO(draw_sample(1500, 900))).save(original, "JPEG", exif=exif, xmp=theirs, comment="SECRET-NOTE")
    assert b"SECRET-PROMPT" in original.read_bytes()
    result = await rendered(asked(original, tmp_path / "out", cloak=False, rights=RIGHTS))
    assert [made.kind for made in result.renditions] == ["public", "preview", "large"]
    for made in result.renditions:
        data = made.path.read_bytes()
        assert said(packet_in(data)) == EXPECTED
        assert b"SECRET" not in data
    target = Target("image/png", 90, width=300)
    (copy,) = (await rendered(asked(original, tmp_path / "copy", cloak=False, rights=RIGHTS, target=target))).renditions
    assert said(packet_in(copy.path.read_bytes())) == EXPECTED
    bare = await rendered(asked(original, tmp_path / "bare", cloak=False))
    assert packet_in(bare.renditions[0].path.read_bytes()) == b""


def test_what_is_not_said_is_left_out() -> None:
    silent = Rights("", "", "", None, "", "", "", None, 0, "")
    assert said(build_packet(silent)) == {"xmpRights:Marked": "True", "tdm:reservation": "0"}


def test_an_address_that_is_too_long_or_cannot_be_written_is_left_out_whole() -> None:
    for address in ("https://art.example/" + "x" * 2_000, "https://art.example/\x00"):
        assert "tdm:policy" not in said(build_packet(replace(RIGHTS, tdm_policy=address)))


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=())) | st.text("&<>\"'\0\x1f\ufffe]", max_size=4_000)


@given(WORDS, WORDS, WORDS, st.none() | WORDS)
def test_any_words_make_a_packet_that_fits_into_one_segment_of_a_jpeg(
    words: str, terms: str, page: str, licence: str | None
) -> None:
    many = replace(RIGHTS, creator=words, credit=words, copyright_notice=words, usage_terms=terms, web_statement=page)
    packet = build_packet(replace(many, licence_url=licence, tdm_policy=page))
    assert said(packet)["plus:DataMining"] == EXPECTED["plus:DataMining"]
    worst, address = "&" * 4_000, '"' * 1_000
    most = build_packet(Rights(worst, worst, worst, address, worst, address, worst, address, 1, address))
    assert len(packet) <= len(most) <= 65_502
    assert said(most)["xmpRights:UsageTerms"] == "&" * 2_000
