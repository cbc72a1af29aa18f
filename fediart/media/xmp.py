"""The artist's rights as an XMP packet, for the files that leave. Nothing of what an original carried gets in here.

Names are those of IPTC Photo Metadata 2025.1 (iptc.org/std/photometadata/specification), of PLUS (ns.useplus.org/ldf) and,
for tdm:, of TDMRep (w3.org/community/reports/tdmrep), which has them for PDF and EPUB; in a picture they do no harm.
XMP only: what Pillow writes into Exif is not UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from fediart.domain.rights import Rights

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "cc": "http://creativecommons.org/ns#",
    "tdm": "http://www.w3.org/ns/tdmrep/",
}

PLUS_VOCABULARY = "http://ns.useplus.org/ldf/vocab/"

LINE, TERMS, ADDRESS = 250, 2_000, 1_000
"""Most characters of a name or notice, of the terms, of an address: escaped, all fit into one segment of a JPEG (64 kB)."""

_NOT_XML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010fffd]")


def build_packet(rights: Rights) -> bytes:
    """The whole packet, UTF-8. What XML cannot hold is dropped, what is too long is cut; a cut address would be another one
    and is left out."""
    page = _address(rights.web_statement)
    parts = [
        _list("dc:creator", "Seq", rights.creator, LINE),
        _words("dc:rights", rights.copyright_notice, LINE),
        _text("photoshop:Credit", _short(rights.credit, LINE)),
        "<xmpRights:Marked>True</xmpRights:Marked>",
        _text("xmpRights:WebStatement", page),
        _words("xmpRights:UsageTerms", rights.usage_terms, TERMS),
        _resource("cc:license", _address(rights.licence_url or "")),
        _licensor(_short(rights.creator, LINE), page),
        _text("plus:DataMining", PLUS_VOCABULARY + _short(rights.data_mining, LINE) if rights.data_mining else ""),
        _words("plus:OtherConstraints", rights.constraint, LINE),
        _text("Iptc4xmpExt:DigitalSourceType", _address(rights.digital_source_type or "")),
        _text("tdm:reservation", str(rights.tdm_reservation)),
        _text("tdm:policy", _address(rights.tdm_policy)),
    ]
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items() if prefix != "rdf")
    body = "\n".join(part for part in parts if part)
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}">\n'
        f'<rdf:Description rdf:about="" {names}>\n{body}\n</rdf:Description>\n</rdf:RDF></x:xmpmeta>\n'
        '<?xpacket end="w"?>'
    ).encode()


def saved_with(media_type: str, packet: bytes | None) -> dict[str, Any]:
    """What Pillow's `save` is told so that a file of this type carries the packet. None: nothing."""
    if packet is None:
        return {}
    if media_type == "image/png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        return {"pnginfo": info}
    return {"xmp": packet}


_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_APP0, _APP1, _APP11, _SCAN = 0xE0, 0xE1, 0xEB, 0xDA


def packet_of_jpeg(data: bytes) -> bytes | None:
    """The XMP packet of a JPEG that we wrote; None: it has none."""
    for marker, start, end in _segments(data):
        if marker == _APP1 and data.startswith(_XMP, start + 4):
            return data[start + 4 + len(_XMP) : end]
    return None


def has_credentials(data: bytes) -> bool:
    """Does a JPEG that we wrote carry Content Credentials?"""
    return any(marker == _APP11 for marker, _, _ in _segments(data))


def with_packet(data: bytes, packet: bytes | None) -> bytes:
    """A JPEG that we wrote, with another XMP packet, or none, in the place of its own. Its pixels' bytes are the same.

    Content Credentials, which vouch for the bytes as they were, go. The file is as if it had been saved with the packet.
    """
    kept, at = [], 2
    for marker, start, end in _segments(data):
        if marker == _APP11 or (marker == _APP1 and data.startswith(_XMP, start + 4)):
            continue
        kept.append(data[start:end])
        if marker == _APP0:
            at += end - start
    rest = b"".join(kept)
    said = b""
    if packet is not None:
        said = bytes((0xFF, _APP1)) + (2 + len(_XMP) + len(packet)).to_bytes(2, "big") + _XMP + packet
    return data[:2] + rest[: at - 2] + said + rest[at - 2 :]


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment of a JPEG, the last one from its first scan to the end of the file."""
    at = 2
    while data[at + 1] != _SCAN:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], at, end
        at = end
    yield _SCAN, at, len(data)


def _short(words: str, most: int) -> str:
    return escape(_NOT_XML.sub("", words).strip()[:most].strip())


def _address(address: str) -> str:
    """An address that XML can hold whole, or nothing."""
    return "" if len(address) > ADDRESS or _NOT_XML.search(address) else escape(address, {'"': "&quot;"})


def _text(name: str, escaped: str) -> str:
    return f"<{name}>{escaped}</{name}>" if escaped else ""


def _list(name: str, kind: str, words: str, most: int) -> str:
    """One entry of an ordered list."""
    held = _short(words, most)
    return _text(name, f"<rdf:{kind}><rdf:li>{held}</rdf:li></rdf:{kind}>") if held else ""


def _words(name: str, words: str, most: int) -> str:
    """Words in no named language."""
    held = _short(words, most)
    return _text(name, f'<rdf:Alt><rdf:li xml:lang="x-default">{held}</rdf:li></rdf:Alt>') if held else ""


def _resource(name: str, escaped: str) -> str:
    return f'<{name} rdf:resource="{escaped}"/>' if escaped else ""


def _licensor(name: str, page: str) -> str:
    held = _text("plus:LicensorName", name) + _text("plus:LicensorURL", page)
    return f'<plus:Licensor><rdf:Seq><rdf:li rdf:parseType="Resource">{held}</rdf:li></rdf:Seq></plus:Licensor>' if held else ""
