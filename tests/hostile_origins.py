"""Files whose metadata is there to do harm. Run as a program it reads each within half a second of processor time and 100 MB."""

from __future__ import annotations

import json
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.origin_samples import A1111_TEXT, ai_xmp, jpeg, jpeg_with, png, segment

BOMB = 64 << 20
"""What a packed field unfolds to."""


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(*chunks: bytes) -> bytes:
    data = png({})
    return data[:33] + b"".join(chunks) + data[33:]


def packed(size: int, beginning: bytes = b"") -> bytes:
    packer = zlib.compressobj(9)
    return packer.compress(beginning) + b"".join(packer.compress(b" " * (1 << 20)) for _ in range(size >> 20)) + packer.flush()


def with_xmp(packet: str) -> bytes:
    return png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet.encode()))


def with_exif(data: bytes) -> bytes:
    return jpeg_with(segment(0xE1, b"Exif\0\0" + data))


def with_text(key: str, text: str) -> bytes:
    return png_with(chunk(b"tEXt", key.encode() + b"\0" + text.encode()))


HEAD = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description>'
BILLION = '<!DOCTYPE x [<!ENTITY a "' + "ha" * 99 + '">' + "".join(
    f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 50}">' for i in range(9)
) + "]>" + HEAD + "&j;"  # fmt: skip
MB = 1 << 20


def _many_packed(count: int) -> bytes:
    bomb = packed(BOMB)
    return png_with(*[chunk(b"zTXt", b"parameters\0\0" + bomb)] * count)


def _avif(meta: bytes) -> bytes:
    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", 8 + len(body)) + kind + body

    return box(b"ftyp", b"avif\0\0\0\0avif") + box(b"meta", b"\0\0\0\0" + meta)


def _many_items() -> bytes:
    """A location box of 65,535 items that each name the whole file, over and over."""
    infe = b"".join(struct.pack(">I4sIHH4s", 20, b"infe", 2 << 24, number, 0, b"Exif") for number in range(300))
    iinf = struct.pack(">I4sIH", 14 + len(infe), b"iinf", 0, 300) + infe
    item = struct.pack(">HHH", 1, 0, 65535) + struct.pack(">II", 0, 0xFFFFFFFF) * 4000
    iloc_body = struct.pack(">IHH", 0, 0x4400, 65535) + item
    return _avif(iinf + struct.pack(">I4s", 8 + len(iloc_body), b"iloc") + iloc_body) + b"\0" * MB


def _nested_boxes() -> bytes:
    data = b""
    for _ in range(4000):
        data = struct.pack(">I4sI", 12 + len(data), b"meta", 0) + data
    return struct.pack(">I4s8s", 16, b"ftyp", b"avif\0\0\0\0") + data


def _circle(tags: int = 2) -> bytes:
    """A directory that names itself as Exif's own, as often as it has entries, and text that ends far outside."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    far = struct.pack("<HHII", 0x9286, 7, 0xFFFFFFFF, 0xFFFFFFF0)
    return b"II*\0" + struct.pack("<IH", 8, tags * 2) + (entry + far) * tags


FILES: dict[str, Callable[[], bytes]] = {
    "one packed field": lambda: png_with(chunk(b"zTXt", b"parameters\0\0" + packed(BOMB, A1111_TEXT.encode()))),
    "hundreds of packed fields": lambda: _many_packed(200),
    "a packed packet": lambda: png_with(
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed(BOMB, ai_xmp().partition(b"</x:xmpmeta>")[0]))
    ),
    "a packed field that is broken": lambda: png_with(chunk(b"zTXt", b"parameters\0\0" + packed(MB)[:50] + b"\xff" * 50)),
    "a giant packet of tiny elements": lambda: with_xmp(HEAD + "<a/>" * (MB // 2)),
    "a giant packet of attributes": lambda: with_xmp(HEAD[:-1] + ' a="b"' * (MB // 4) + ">"),
    "a giant packet of prefixes": lambda: with_xmp(HEAD[:-1] + "".join(f' xmlns:p{i}="u{i}"' for i in range(60_000)) + ">"),
    "a giant text": lambda: with_xmp(HEAD + "<dc:description>" + "Steps: 1 &lt;" * (MB // 8)),
    "a giant packet that never ends a quote": lambda: with_xmp(HEAD + '<a b="' * (MB // 4)),
    "a giant packet of blanks": lambda: with_xmp(HEAD + "<a" + " " * MB + "<a" + " " * MB),
    "a packet that nests": lambda: with_xmp(HEAD + "<a>" * (MB // 4)),
    "a packet of comments": lambda: with_xmp(HEAD + "<!--" * (MB // 4)),
    "a billion laughs": lambda: with_xmp(BILLION),
    "an entity from elsewhere": lambda: with_xmp(
        '<!DOCTYPE x [<!ENTITY % d SYSTEM "http://127.0.0.1:9/x">%d;<!ENTITY f SYSTEM "file:///etc/passwd">]>' + HEAD + "&f;"
    ),
    "characters that are none": lambda: with_xmp(HEAD + "<dc:description>&#xD800;&#x110000;&#0;&#9999999;</dc:description>"),
    "Exif that names itself": lambda: with_exif(_circle()),
    "Exif that names itself a thousand times": lambda: with_exif(_circle(1200)),
    "Exif that says it has 65,535 entries": lambda: with_exif(
        b"MM\0*\0\0\0\x08\xff\xff" + b"\x92\x86\0\7\0\1\0\0\0\0\0\0" * 4000
    ),
    "Exif of nothing": lambda: with_exif(b""),
    "Exif that begins nowhere": lambda: with_exif(b"II*\0\xff\xff\xff\xff"),
    "a comment of half characters": lambda: with_exif(
        b"II*\0\x08\0\0\0\x01\0\x86\x92\x07\0\x0b\0\0\0\x1a\0\0\0\0\0\0\0UNICODE\0a\xd8\xd8"
    ),
    "a million empty chunks": lambda: png_with(chunk(b"tEXt", b"") * MB),
    "a chunk that is longer than the file": lambda: png_with(
        struct.pack(">I4s", 0xFFFFFFFF, b"tEXt") + b"parameters\0" + b"x" * 99
    ),
    "JSON that nests": lambda: with_text("prompt", '{"a":' * 100_000),
    "JSON that nests and ends": lambda: with_text("prompt", '{"a":' * 100_000 + "1" + "}" * 100_000),
    "JSON of nothing, often": lambda: with_text("Comment", '{"a":[' + "{}," * 340_000 + "1]}"),
    "JSON of many keys": lambda: with_text("Comment", json.dumps({f"k{i}": {} for i in range(60_000)})),
    "JSON in JSON in JSON": lambda: with_text("Comment", _folded(12)),
    "a number of a million digits": lambda: with_text("Comment", '{"seed":' + "9" * (MB - 20) + "}"),
    "AIGC of a million colons": lambda: with_text("AIGC", "Label" + " " * (MB // 2) + "Label:" * (MB // 16)),
    "words that nearly fit": lambda: with_text("parameters", "Steps: 1, Sampler:" * (MB // 20)),
    "jobs that nearly end": lambda: with_text(
        "Description", ("Job ID: 0f1b2c3d-1111-4222-8333-444455556666" + " " * 99) * 7000 + "."
    ),
    "dashes for the Dream": lambda: with_text("Dream", " -s" * (MB // 3)),
    "blanks before a graph": lambda: with_text("prompt", '"class_type"' + " " * MB),
    "a JPEG of filling": lambda: jpeg()[:2] + b"\xff" * (4 * MB) + jpeg()[2:],
    "a JPEG of a thousand packets": lambda: jpeg_with(
        *[segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<a/>" * 16_000)] * 600
    ),
    "a JPEG of pieces that overlap": lambda: jpeg_with(
        *[segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + b"\xff" * 4 + bytes(4) + b"<a>" * 20_000)] * 600
    ),
    "a segment of no length": lambda: jpeg()[:2] + b"\xff\xe1\0\0" + jpeg()[2:],
    "captions that go on": lambda: jpeg_with(
        *[segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\xff\xff\xff\xff\x1c\2x\x7f\xff")] * 99
    ),
    "tiny resources": lambda: jpeg_with(*[segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x25\0\0\0\0\0\0" * 5000)] * 99),
    "a WebP whose chunk is longer": lambda: b"RIFF\xff\xff\xff\xffWEBPXMP \xff\xff\xff\xff" + b"<a/>" * 999,
    "a WebP of empty chunks": lambda: b"RIFF\xff\xff\xff\xffWEBP" + b"JUNK\0\0\0\0" * MB,
    "a GIF of tiny blocks": lambda: b"GIF89a\1\0\1\0\0\0\0\x21\xfe" + b"\1a" * (4 * MB),
    "a GIF that does not end": lambda: b"GIF89a\1\0\1\0\xf7\0\0\x21\xff\x0bXMP DataXMP" + b"\xff" * (2 * MB),
    "a TIFF that names itself": lambda: _circle(40),
    "boxes in boxes": _nested_boxes,
    "items without end": _many_items,
    "a box of no size": lambda: struct.pack(">I4s8s", 16, b"ftyp", b"avif\0\0\0\0") + struct.pack(">I4sQ", 1, b"meta", 1) * 9,
    "nothing but its first bytes": lambda: b"\x89PNG\r\n\x1a\n",
}


def _folded(times: int) -> str:
    text = json.dumps({"prompt": "x" * 30})
    for _ in range(times):
        text = json.dumps({"a": text, "b": text}) if len(text) < 400_000 else json.dumps({"a": text})
        if len(text) > MB:
            break
    return text[:MB]


def main() -> int:
    """Each file in turn; the system ends this process where one takes more than it may."""
    import resource
    import signal

    from fediart.media.origin.allowance import Allowance, OriginLimits
    from fediart.media.origin.containers import Source
    from fediart.media.origin.read import Reading

    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if sys.platform == "linux" else 0
    with tempfile.TemporaryDirectory() as folder:
        for name, make in FILES.items():
            Path(folder, str(len(name))).write_bytes(make())
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
            if held:
                resource.setrlimit(resource.RLIMIT_AS, (held + 100 * MB, resource.RLIM_INFINITY))
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.5)
            with Path(folder, str(len(name))).open("rb", buffering=0) as file:
                Reading(Allowance(OriginLimits())).walk(Source(file))
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            if held:
                resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return 0


if __name__ == "__main__":
    sys.exit(main())
