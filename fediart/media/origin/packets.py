"""XMP packets, read by a scanner of our own: no document type, no entities but XML's five, nothing fetched, nothing recursive.

It runs in the server's own process on a stranger's bytes, so it is Python alone; an XML library in C would be one more thing
there that can be written past its end. Of XMP it knows what says something of the picture itself: a property stands in an
rdf:Description that stands in rdf:RDF. What stands deeper (histories, ingredients) is of other pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fediart.media.origin.allowance import Allowance

_PREFIXES = {
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://www.tc260.org.cn/ns/AIGC/1.0/": "TC260",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dcterms",
    "http://ns.useplus.org/ldf/xmp/1.0/": "plus",
    "http://www.w3.org/ns/tdmrep/": "tdm",
}

_TAG = re.compile(r"[^\s/><=\"']++")
_ATTRIBUTE = re.compile(r"""\s++([^\s=<>"'/]++)\s*+=\s*+(?:"([^"<]*+)"|'([^'<]*+)')""")
_END = re.compile(r"\s*+(/?)>")
_ENTITY = re.compile(r"&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|(lt|gt|amp|quot|apos));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}

MAX_DEPTH = 64


def decoded(packet: bytes) -> str:
    if packet[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return packet.decode("utf-16", "replace")
    if packet[:2] in (b"<\0", b"\0<"):
        return packet.decode("utf-16-le" if packet[0] else "utf-16-be", "replace")
    return packet.decode("utf-8", "replace")


def properties(packet: bytes, allowance: Allowance) -> Iterator[tuple[str, str]]:
    """(name, text) of the picture's own properties. What is no XML ends it: what came before stands. Raises Spent."""
    text = decoded(packet)
    prefixes: dict[str, str] = {}  # of the whole packet: writers of XMP do not give a prefix two meanings
    path: list[str] = []
    words: list[str] = []
    at, depth = 0, -1
    while (start := text.find("<", at)) >= 0:
        allowance.tick()
        if depth == 1:
            words.append(_unescaped(text[at:start]))
        found = _skipped(text, start)
        if found is not None:
            at, said = found
            if at < 0:
                return
            words.append(said)
        elif text.startswith("</", start):
            at = text.find(">", start) + 1
            if not path or at == 0:
                return
            is_end, name = depth == 1, path.pop()
            depth = _depth(path)
            if is_end and depth == 0:
                yield name, "".join(words).strip()
        else:
            tag, end = _TAG.match(text, start + 1), None
            if tag is not None and len(path) < MAX_DEPTH:
                attributes, after = _attributes(text, tag.end(), prefixes, allowance)
                end = _END.match(text, after)
            if tag is None or end is None:
                return
            name, at = _name(tag[0], prefixes), end.end()
            path.append(name)
            before, depth = depth, _depth(path)
            if depth == 0:
                yield from attributes
            elif before == 0:
                words = [value for attribute, value in attributes if attribute == "rdf:resource"]
                if end[1]:
                    yield name, "".join(words)
            if end[1]:
                path.pop()
                depth = before


_DESCRIPTION = ["rdf:RDF", "rdf:Description"]
_LISTS = {"rdf:Alt", "rdf:Bag", "rdf:Seq", "rdf:li"}


def _depth(path: list[str]) -> int:
    """How far below the picture's own description a path leads: 0 is that itself, 1 a property's text or its list of texts.

    -1: somewhere else.
    """
    place = 2 if path[2:3] == ["rdf:Description"] else 1
    if path[place - 1 : place + 1] != _DESCRIPTION:
        return -1
    return min(1, len(path) - place - 1) if len(path) < place + 3 or _LISTS.issuperset(path[place + 2 :]) else -1


def _skipped(text: str, start: int) -> tuple[int, str] | None:
    """(where to go on, what it says) of what is no element; -1: nowhere."""
    for begin, end in (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")):
        if text.startswith(begin, start):
            stop = text.find(end, start + len(begin))
            says = text[start + len(begin) : stop] if begin == "<![CDATA[" else ""
            return (stop + len(end), says) if stop >= 0 else (-1, "")
    return (-1, "") if text.startswith("<!", start) else None


def _attributes(text: str, at: int, prefixes: dict[str, str], allowance: Allowance) -> tuple[list[tuple[str, str]], int]:
    """(an element's attributes, where they end). Prefixes that it declares are known from there on."""
    raw: list[tuple[str, str]] = []
    while (found := _ATTRIBUTE.match(text, at)) is not None:
        allowance.tick()
        value = _unescaped(found[2] if found[2] is not None else found[3])
        if found[1].startswith("xmlns:"):
            prefixes[found[1][6:]] = _PREFIXES.get(value, value)
        else:
            raw.append((found[1], value))
        at = found.end()
    return [(_name(name, prefixes), value) for name, value in raw], at


def _name(written: str, prefixes: dict[str, str]) -> str:
    prefix, colon, local = written.rpartition(":")
    return f"{prefixes.get(prefix, prefix)}{colon}{local}"


def _unescaped(text: str) -> str:
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(found: re.Match[str]) -> str:
    if found[3]:
        return _NAMED[found[3]]
    number = int(found[1], 16) if found[1] else int(found[2])
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number < 0xE000 else ""
