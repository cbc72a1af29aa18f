"""How large an AVIF or HEIC picture says it is, read from its boxes (ISO 14496-12, ISO 23008-12). Decodes nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

MOST_META = 1_048_576
"""Bytes of the box that describes a file's items. Phones write some kilobytes, and an Exif of their own beside."""

MOST_BOXES = 4_096
AVIF = frozenset({b"avif", b"avis"})
HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def measured(file: BinaryIO) -> tuple[str, int, int]:
    """(AVIF or HEIF, width, height); ("", 0, 0) of what is neither, or damaged. The largest of its pictures counts."""
    kind, size = "", (0, 0)
    for name, start, end in _boxes_of(file):
        if name == b"ftyp":
            kind = _kind(file, start, end)
        elif name == b"meta" and kind and end - start <= MOST_META:
            file.seek(start + 4)
            size = _largest(file.read(end - start - 4))
            break
    return (kind, *size) if size != (0, 0) else ("", 0, 0)


def _boxes_of(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(name, start of its content, its end) of the outermost boxes."""
    length, at = file.seek(0, 2), 0
    for _ in range(MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        size, name = struct.unpack(">I4s", head[:8])
        start = 8
        if size == 1 and len(head) == 16:
            size, start = int.from_bytes(head[8:]), 16
        end = length if size == 0 else at + size
        if end > length or 0 < size < start:
            return
        yield name, at + start, end
        at = end


def _kind(file: BinaryIO, start: int, end: int) -> str:
    file.seek(start)
    head = file.read(min(end - start, 256))
    brands = {head[:4], *(head[at : at + 4] for at in range(8, len(head), 4))}
    if brands & AVIF:
        return "AVIF"
    return "HEIF" if brands & HEIC else ""


def _largest(meta: bytes) -> tuple[int, int]:
    """Of the sizes (`ispe`) among the properties of a file's items."""
    found = (0, 0)
    for name, content in _within(meta):
        if name != b"iprp":
            continue
        for inner, properties in _within(content):
            if inner != b"ipco":
                continue
            for kind, value in _within(properties):
                if kind == b"ispe" and len(value) >= 12:
                    width, height = struct.unpack(">II", value[4:12])
                    found = max(found, (width, height), key=lambda size: size[0] * size[1])
    return found


def _within(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for _ in range(MOST_BOXES):
        if at + 8 > len(data):
            return
        size, name = struct.unpack_from(">I4s", data, at)
        size = len(data) - at if size == 0 else size
        if size < 8 or at + size > len(data):
            return
        yield name, data[at + 8 : at + size]
        at += size
