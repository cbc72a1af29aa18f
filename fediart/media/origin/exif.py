"""Exif and IPTC-IIM: the few fields that image generators write into, as text."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from fediart.media.origin.allowance import Allowance

FIELDS = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x9286: "UserComment",
    0x927C: "MakerNote",
    0x9C9C: "XPComment",
}
"""Tags (Exif 3.0, 4.6) and their names."""

XMP, IPTC, C2PA = 700, 33723, 52545
"""Tags of a TIFF that hold other metadata."""

_EXIF_IFD = 0x8769
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 129: 1}
"""Types whose values are bytes, text or whole numbers; 129 is UTF-8."""

MAX_ENTRIES = 512


def entries(at: Callable[[int, int], bytes], allowance: Allowance) -> Iterator[tuple[int, bytes, str]]:
    """(tag, value, byte order as struct has it) of the first directory and Exif's own. None is looked into twice."""
    head = at(0, 8)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return
    wanted = [int(struct.unpack(order + "I", head[4:8])[0])]
    seen: set[int] = set()
    while wanted and len(seen) < 4:
        start = wanted.pop()
        if start in seen:
            continue
        seen.add(start)
        count = at(start, 2)
        table = at(start + 2, 12 * min(struct.unpack(order + "H", count)[0], MAX_ENTRIES)) if len(count) == 2 else b""
        for position in range(0, len(table) - 11, 12):
            allowance.tick()
            tag, kind, number, value = struct.unpack(order + "HHI4s", table[position : position + 12])
            if tag == _EXIF_IFD:
                wanted.append(struct.unpack(order + "I", value)[0])
            if kind not in _SIZES or (tag not in FIELDS and tag not in (XMP, IPTC, C2PA)):
                continue
            size = number * _SIZES[kind]
            if size > 4:
                value = allowance.take(at(struct.unpack(order + "I", value)[0], min(size, allowance.piece)))
            yield tag, value[:size], order


def text_of(tag: int, value: bytes, order: str) -> str:
    """What a field says, as far as that can be told."""
    if FIELDS.get(tag) == "XPComment":
        return value.decode("utf-16-le", "replace").rstrip("\0")
    charset, rest = value[:8], value[8:]
    if FIELDS.get(tag) != "UserComment" or charset.rstrip(b"\0 ") not in (b"ASCII", b"UNICODE", b"JIS", b""):
        return plain(value)
    return _wide(rest, order) if charset.startswith(b"UNICODE") else plain(rest)


def _wide(data: bytes, order: str) -> str:
    """Writers disagree about the byte order; settings are mostly ASCII, so the zeros tell."""
    high, low = data[0:4096:2].count(0), data[1:4096:2].count(0)
    if high != low:
        order = ">" if high > low else "<"
    return data.decode("utf-16-be" if order == ">" else "utf-16-le", "replace").rstrip("\0")


def plain(data: bytes) -> str:
    """Text in UTF-8, or else in Latin-1."""
    data = data.strip(b"\0 ")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def captions(resources: bytes, allowance: Allowance) -> Iterator[str]:
    """The captions (2:120) of IPTC-IIM 4.2, bare or among Photoshop's image resources."""
    if not resources.startswith(b"8BIM"):
        yield from _caption(resources, allowance)
        return
    position = 0
    while resources[position : position + 4] == b"8BIM" and len(resources) > position + 7:
        allowance.tick()
        number, named = int.from_bytes(resources[position + 4 : position + 6]), resources[position + 6]
        position += 6 + (named + 2) // 2 * 2
        size = int.from_bytes(resources[position : position + 4])
        if number == 0x0404:
            yield from _caption(resources[position + 4 : position + 4 + size], allowance)
        position += 4 + size + size % 2


def _caption(data: bytes, allowance: Allowance) -> Iterator[str]:
    position = 0
    while data[position : position + 1] == b"\x1c":
        allowance.tick()
        size = int.from_bytes(data[position + 3 : position + 5])
        if data[position + 1 : position + 3] == b"\x02\x78" and size < 0x8000:
            yield plain(data[position + 5 : position + 5 + size])
        position += 5 + size
