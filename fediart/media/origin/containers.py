"""The metadata inside picture files, found by walking their containers: nothing is decoded, nothing is trusted.

PNG (w3.org/TR/png-3), JPEG (ITU T.81, JEITA CP-3451 for Exif, XMP Part 3), WebP (RFC 9649), AVIF (ISO 14496-12, 23008-12),
GIF89a, TIFF 6.0. Where Content Credentials lie: C2PA 2.2, A.3.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from fediart.media.origin.allowance import Allowance

MAX_ITEMS = 256
"""Of an AVIF's items: a picture has a handful."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`kind`: text (then `name` is its key), exif (a TIFF structure), tiff (the whole file is one), xmp, iptc or c2pa."""

    kind: str
    data: bytes = b""
    name: str = ""


class Source:
    """A file, read at places."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)

    def at(self, position: int, count: int) -> bytes:
        """Up to so many bytes from there."""
        if position < 0 or position >= self.size:
            return b""
        self._file.seek(position)
        return self._file.read(min(count, self.size - position))


def pieces(source: Source, allowance: Allowance) -> Iterator[Piece]:
    """All metadata of a file whose kind its first bytes tell. Raises Spent."""
    head = source.at(0, 32)
    for _, begins, walk in _WALKS:
        if begins.match(head):
            yield from walk(source, allowance)
            return


def media_type(head: bytes) -> str:
    """By a file's first 32 bytes; '' where it is none of these."""
    return next((kind for kind, begins, _ in _WALKS if begins.match(head)), "")


def _png(source: Source, allowance: Allowance) -> Iterator[Piece]:
    position = 8
    while len(header := source.at(position, 8)) == 8:
        allowance.tick()
        size, kind = struct.unpack(">I4s", header)
        if kind in _PNG_KINDS:
            data = allowance.take(source.at(position + 8, min(size, allowance.piece)))
            yield from _png_piece(kind, data, allowance)
        elif kind == b"IEND":
            return
        position += 12 + size


_PNG_KINDS = (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"caBX")


def _png_piece(kind: bytes, data: bytes, allowance: Allowance) -> Iterator[Piece]:
    if kind == b"eXIf":
        yield Piece("exif", data.removeprefix(b"Exif\0\0"))
        return
    if kind == b"caBX":
        yield Piece("c2pa")
        return
    key, _, rest = data.partition(b"\0")
    if kind == b"zTXt":
        rest = allowance.unfolded(rest[1:])
    elif kind == b"iTXt":
        is_packed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        rest = allowance.unfolded(rest) if is_packed else rest
    name = key[:79].decode("latin-1")
    if name == "XML:com.adobe.xmp":
        yield Piece("xmp", rest)
    elif name.startswith("Raw profile type "):
        yield from _raw_profile(name.removeprefix("Raw profile type ").lower(), rest)
    else:
        yield Piece("text", rest, name)


def _raw_profile(kind: str, text: bytes) -> Iterator[Piece]:
    """As ImageMagick keeps other containers' metadata: a line of the kind, one of the size, then hex digits."""
    _, _, digits = text.strip().partition(b"\n")[2].partition(b"\n")
    try:
        data = bytes.fromhex(re.sub(rb"\s+", b"", digits).decode("ascii"))
    except ValueError:
        return
    if kind == "iptc":
        yield Piece("iptc", data)
    elif data.startswith(b"Exif\0\0"):
        yield Piece("exif", data[6:])
    elif kind == "xmp" or data.startswith(_XMP):
        yield Piece("xmp", data.removeprefix(_XMP))


_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"


def _jpeg(source: Source, allowance: Allowance) -> Iterator[Piece]:
    position = 2
    extended: dict[int, bytes] = {}
    while len(header := source.at(position, 4)) == 4 and header[0] == 0xFF:
        allowance.tick()
        marker, size = header[1], int.from_bytes(header[2:])
        if marker == 0xFF:  # filling
            position += 1
            continue
        if marker in (0xDA, 0xD9) or size < 2:
            break
        if marker in (0xE1, 0xEB, 0xED, 0xFE):
            data = allowance.take(source.at(position + 4, size - 2))
            if data.startswith(_MORE_XMP) and len(data) > 75:  # 32 letters of a hash, the whole size, where this goes
                extended[int.from_bytes(data[71:75])] = data[75:]
            else:
                yield from _jpeg_piece(marker, data)
        position += 2 + size
    if extended:
        yield Piece("xmp", b"".join(extended[at] for at in sorted(extended))[: allowance.piece])


def _jpeg_piece(marker: int, data: bytes) -> Iterator[Piece]:
    if marker == 0xFE:
        yield Piece("text", data, "Comment")
    elif marker == 0xED and data.startswith(b"Photoshop 3.0\0"):
        yield Piece("iptc", data[14:])
    elif marker == 0xEB and b"jumb" in data[:64] and b"c2pa" in data[:128]:
        yield Piece("c2pa")
    elif data.startswith(b"Exif\0"):
        yield Piece("exif", data[6:])
    elif data.startswith(_XMP):
        yield Piece("xmp", data[len(_XMP) :])


def _webp(source: Source, allowance: Allowance) -> Iterator[Piece]:
    position = 12
    while len(header := source.at(position, 8)) == 8:
        allowance.tick()
        kind, size = struct.unpack("<4sI", header)
        if kind == b"C2PA":
            yield Piece("c2pa")
        elif kind in (b"EXIF", b"XMP "):
            data = allowance.take(source.at(position + 8, min(size, allowance.piece)))
            yield Piece("xmp", data) if kind == b"XMP " else Piece("exif", data.removeprefix(b"Exif\0\0"))
        position += 8 + size + size % 2


def _gif(source: Source, allowance: Allowance) -> Iterator[Piece]:
    head = source.at(0, 13)
    position = 13 + (3 << (head[10] % 8 + 1) if len(head) == 13 and head[10] & 0x80 else 0)
    while len(block := source.at(position, 14)) > 1:
        allowance.tick()
        if block[0] == 0x2C and len(block) > 9:
            position += 11 + (3 << (block[9] % 8 + 1) if block[9] & 0x80 else 0)
            _, position = _sub_blocks(source, position, 0, allowance)
        elif block[0] == 0x21:
            name = block[3:14] if block[1] == 0xFF else b""
            most = allowance.piece if block[1] == 0xFE else 0
            if name == b"XMP DataXMP":  # the packet stands there as it is, with 258 bytes behind it that lead any reader out
                yield Piece("xmp", allowance.take(source.at(position + 14, allowance.piece)).partition(b"\x01\xff\xfe")[0])
            elif name == b"C2PA_GIF\x01\x00\x00":
                yield Piece("c2pa")
            data, position = _sub_blocks(source, position + 2, most, allowance)
            if most:
                yield Piece("text", data, "Comment")
        else:
            return


def _sub_blocks(source: Source, position: int, most: int, allowance: Allowance) -> tuple[bytes, int]:
    """(the beginning of their data, where they end)."""
    parts: list[bytes] = []
    held = 0
    while True:
        allowance.tick()
        block = source.at(position, 256)
        if not block or block[0] == 0:
            return b"".join(parts)[:most], position + 1
        if held < most:
            parts.append(allowance.take(block[1 : 1 + block[0]]))
            held += block[0]
        position += 1 + block[0]


def _tiff(source: Source, _allowance: Allowance) -> Iterator[Piece]:
    yield Piece("tiff")


_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def _boxes(source: Source, start: int, end: int, allowance: Allowance) -> Iterator[tuple[bytes, int, int]]:
    """(type, where its content begins, where it ends). No box is looked into twice, so none can hold itself."""
    while start + 8 <= end and len(header := source.at(start, 16)) >= 8:
        allowance.tick()
        size, kind = struct.unpack(">I4s", header[:8])
        inner = start + 8
        if size == 1 and len(header) == 16:
            size, inner = int.from_bytes(header[8:]), start + 16
        stop = end if size == 0 else start + size
        if stop < inner or stop > end:
            return
        yield kind, inner, stop
        start = stop


def _avif(source: Source, allowance: Allowance) -> Iterator[Piece]:
    for kind, start, end in _boxes(source, 0, source.size, allowance):
        if kind == b"uuid" and source.at(start, 16) == _C2PA_UUID:
            yield Piece("c2pa")
        elif kind == b"meta":
            inner = {name: (at, stop) for name, at, stop in _boxes(source, start + 4, end, allowance)}
            if b"iinf" in inner and b"iloc" in inner:
                kinds = dict(_item_kinds(source, *inner[b"iinf"], allowance))
                idat = inner.get(b"idat", (0, 0))[0]
                yield from _items(source, allowance.take(source.at(inner[b"iloc"][0], 1 << 16)), kinds, idat, allowance)


def _item_kinds(source: Source, start: int, end: int, allowance: Allowance) -> Iterator[tuple[int, str]]:
    first = start + (6 if source.at(start, 1) == b"\0" else 8)
    for count, (kind, at, stop) in enumerate(_boxes(source, first, end, allowance)):
        if count > MAX_ITEMS:
            return
        data = source.at(at, min(stop - at, 256))
        if kind != b"infe" or len(data) < 12 or data[0] not in (2, 3):
            continue
        wide = 4 if data[0] == 3 else 2
        number, rest = int.from_bytes(data[4 : 4 + wide]), data[6 + wide :]
        if rest[:4] == b"Exif":
            yield number, "exif"
        elif rest[:4] == b"mime" and rest[4:].partition(b"\0")[2].startswith(b"application/rdf+xml\0"):
            yield number, "xmp"


def _items(source: Source, iloc: bytes, kinds: dict[int, str], idat: int, allowance: Allowance) -> Iterator[Piece]:
    """Of the item location box (ISO 14496-12, 8.11.3) only what `kinds` names is read."""
    table = io.BytesIO(iloc)

    def number(size: int) -> int:
        data = table.read(size)
        if len(data) < size:
            raise EOFError
        return int.from_bytes(data)

    try:
        version = number(4) >> 24
        sizes = number(2)
        offset_size, length_size, base_size, index_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
        for _ in range(min(number(2 if version < 2 else 4), MAX_ITEMS)):
            allowance.tick()
            item = number(2 if version < 2 else 4)
            method = number(2) & 15 if version else 0
            number(2)
            base = number(base_size)
            parts: list[bytes] = []
            for _ in range(number(2)):
                if version:
                    number(index_size)
                offset, length = number(offset_size), number(length_size)
                if item in kinds and len(parts) < 16 and method < 2:
                    start = base + offset + (idat if method else 0)
                    parts.append(allowance.take(source.at(start, min(length, allowance.piece))))
            if parts:
                data = b"".join(parts)[: allowance.piece]
                yield Piece(kinds[item], _after_offset(data) if kinds[item] == "exif" else data)
    except EOFError:
        return


def _after_offset(data: bytes) -> bytes:
    """An Exif item begins with how far ahead its TIFF header is (ISO 23008-12, A.2.1)."""
    return data[4 + int.from_bytes(data[:4]) :].removeprefix(b"Exif\0\0")


_WALKS: tuple[tuple[str, re.Pattern[bytes], Callable[[Source, Allowance], Iterator[Piece]]], ...] = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    ("image/jpeg", re.compile(rb"\xff\xd8"), _jpeg),
    ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    ("image/gif", re.compile(rb"GIF8[79]a"), _gif),
    ("image/tiff", re.compile(rb"II\*\0|MM\0\*"), _tiff),
    ("image/avif", re.compile(rb"....ftyp", re.DOTALL), _avif),
)
