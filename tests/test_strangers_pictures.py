"""Pictures of strangers: which kinds are opened, what unfolding ones cost, what chance does to them, and what they give away."""

from __future__ import annotations

import ast
import asyncio
import io
import os
import random
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageCms, features

import fediart
from fediart.errors import BadPicture, CloakFailed, FediartError, TooLarge
from fediart.media import child
from fediart.media.files import Files
from fediart.media.intake import FORMATS, IntakeLimits, check_header
from fediart.media.sample import draw_sample
from fediart.media.vault import Vault
from fediart.media.xmp import packet_of_jpeg
from tests.people import people_of
from tests.servers import SETTINGS, Keeper, running, wait_for
from tests.test_child import a_png, asked, rendered
from tests.world import a_world

LIMITS = IntakeLimits(41_943_040, 50_000_000)
LONG = os.environ.get("FEDIART_LONG") == "1"
ROOT = Path(fediart.__file__).parent


def saved(picture: Image.Image, kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------------------ formats

HEADS = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n", "PDF": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
    "WMF": b"\xd7\xcd\xc6\x9a\0\0" + bytes(40), "EMF": b"\x01\0\0\0" + bytes(36) + b" EMF" + bytes(60),
    "FLI": bytes(4) + b"\x11\xaf" + bytes(200),
    "DDS": b"DDS " + struct.pack("<I", 124) + bytes(120), "XPM": b"/* XPM */\nstatic char *x[] = {\"8 8 1 1\"};",
    "FITS": b"SIMPLE  =                    T",
    "PSD": b"8BPS\0\1" + bytes(40), "MPEG": b"\0\0\1\xb3\x10\0\x10" + bytes(40), "GRIB": b"GRIB" + bytes(3) + b"\1",
    "HDF5": b"\x89HDF\r\n\x1a\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "XCF": b"gimp xcf v011\0" + bytes(40),
    "MP4": b"\0\0\0\x18ftypisom" + bytes(40),
    "PHP": b"<?php system('id'); ?>", "MVG": b"push graphic-context\nfill 'url(https://127.0.0.1/)'",
    "ZIP": b"PK\3\4" + bytes(60),
    "JXL": b"\xff\x0a" + bytes(40), "JP2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "TAR": b"x".ljust(257, b"\0") + b"ustar\0" + bytes(300),
}  # fmt: skip
"""Of kinds that Pillow or other programs open and do not write, or that have run programs elsewhere."""


def _others() -> Iterator[tuple[str, bytes]]:
    """(kind, file) of every kind that Pillow can write here and that is none of ours; and HEADS."""
    Image.init()
    for kind in sorted(set(Image.SAVE) - {*FORMATS, "MPO", "HEIF", "IM"}):
        for mode in ("RGB", "L", "1", "P"):
            try:
                yield kind, saved(Image.new(mode, (64, 64)), kind)
                break
            except (OSError, ValueError, KeyError, RuntimeError, AttributeError):
                continue
    yield from HEADS.items()


@pytest.mark.row(35)
def test_no_other_kind_that_there_is_an_opener_for_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    taken, tried = [], set()
    for kind, data in _others():
        tried.add(kind)
        for name in ("a.jpg", "a.png", "a"):
            path = tmp_path / name
            path.write_bytes(data)
            try:
                taken.append((kind, check_header(path, LIMITS)))
            except (BadPicture, TooLarge):
                continue
    assert taken == []
    assert len(tried) > 35
    assert {"TIFF", "BMP", "ICO", "EPS", "PDF", "PSD", "DDS"} <= tried
    assert features.check("webp")


def _opens(source: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "open"
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "Image"
    ]


@pytest.mark.row(35)
def test_every_opener_of_ours_names_the_formats_that_it_may_try() -> None:
    calls = {path.name: _opens(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")}
    without = [name for name, found in calls.items() for call in found if "formats" not in {word.arg for word in call.keywords}]
    assert without == []
    assert sum(map(len, calls.values())) >= 4
    assert [len(_opens(text)) for text in ("Image.open(path)", "path.open()")] == [1, 0]
    elsewhere = [
        path.name for path in ROOT.rglob("*.py") if re.search(r"^from PIL\.?\w* import .*\bopen\b", path.read_text(), re.M)
    ]
    assert elsewhere == []


# -------------------------------------------------------------------------------------------------------------- bombs


def _blank(side: int, kind: str, **more: Any) -> bytes:
    return saved(Image.new("RGB", (side, side), "white"), kind, **more)


SIDE = 7_000 if LONG else 1_500

BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG of one bit, 169 megapixels": lambda: a_png(13_000, 13_000, depth=1, colour=0),
    "PNG of 16 bits and four channels": lambda: a_png(SIDE, SIDE, depth=16, colour=6),
    "PNG whose text unfolds": lambda: a_png(64, 64, (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(60_000_000), 9))),
    "PNG whose profile unfolds": lambda: a_png(64, 64, (b"iCCP", b"x\0\0" + zlib.compress(bytes(60_000_000), 9))),
    "PNG of a line": lambda: a_png(SIDE * SIDE, 1, colour=0),
    "WebP": lambda: _blank(SIDE, "WEBP", lossless=True, method=0),
    "AVIF": lambda: _blank(SIDE // 2, "AVIF", speed=10),
    "JPEG": lambda: _blank(SIDE, "JPEG", progressive=True),
    "JPEG in four inks": lambda: saved(Image.new("CMYK", (SIDE, SIDE)), "JPEG"),
    "GIF": lambda: saved(Image.new("P", (SIDE, SIDE)), "GIF"),
    "GIF that says more than there is": lambda: b"GIF89a" + struct.pack("<HHBBB", 7_000, 7_000, 0, 0, 0) + b"," + bytes(4)
    + struct.pack("<HHB", 7_000, 7_000, 0) + b"\x02\x02\x4c\x01\x00;",
}  # fmt: skip
"""At full size each unfolds to 50 to 400 MB."""

GROWTH = 100 << 20
"""What a server loads while it takes its first pictures of each kind stays, and is no picture: some 50 MB were measured."""


@pytest.mark.of_the_file
@pytest.mark.row(36)
def test_what_unfolds_is_taken_or_refused_within_the_child_and_the_server_hardly_grows(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "data")
    settings = tmp_path / "data" / "config.toml"
    # The cloak that needs no encoders: what is tried is decoding.
    settings.write_text(SETTINGS.replace("fetch_encoders = false", 'fetch_encoders = false\nbackend = "texture"'))
    with running(keeper) as server:
        for kind in ("JPEG", "WEBP"):  # what is loaded for a first picture and a first page is loaded
            _send(keeper.client, saved(Image.open(io.BytesIO(draw_sample(640, 480))), kind))
            keeper.client.get("/@mira")
        before = _memory(server.process.pid)
        ended = {}
        for name, make in BOMBS.items():
            ended[name] = _send(keeper.client, make())
            assert keeper.client.get("/@mira").status_code == 200
        grown = _memory(server.process.pid) - before
    assert set(ended.values()) <= {200, 413, 422}
    assert ended["PNG of one bit, 169 megapixels"] == 413
    assert grown <= GROWTH, f"{grown / 1e6:.0f} MB"


def _send(client: httpx.Client, data: bytes) -> int:
    """As an avatar, which is decoded as any other and cloaked in no time. Back when nothing of it is left to do."""
    answer = client.patch("/api/v1/accounts/update_credentials", files={"avatar": ("a.png", data, "image/png")})
    wait_for("the child", lambda: client.get("/healthz").json()["jobs"]["waiting"] == 0, 300)
    return answer.status_code


def _memory(pid: int) -> int:
    """Bytes that a process holds, as `ps` tells them everywhere."""
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout) << 10


# --------------------------------------------------------------------------------------------------------------- fuzz

MUTANTS = 10_000 if LONG else 120
"""Of each kind."""

SEEDS = {
    "JPEG": lambda: saved(Image.open(io.BytesIO(draw_sample(64, 48))), "JPEG", progressive=True, exif=_exif()),
    "PNG": lambda: saved(Image.open(io.BytesIO(draw_sample(64, 48))), "PNG", exif=_exif()),
    "WEBP": lambda: saved(Image.open(io.BytesIO(draw_sample(64, 48))), "WEBP", exif=_exif(), icc_profile=child.srgb_profile()),
    "GIF": lambda: saved(Image.open(io.BytesIO(draw_sample(64, 48))).quantize(64), "GIF"),
    "AVIF": lambda: saved(Image.open(io.BytesIO(draw_sample(64, 48))), "AVIF", speed=10, exif=_exif()),
}


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[child.ORIENTATION] = 6
    return exif


def mutated(data: bytes, number: int) -> bytes:
    """The same number gives the same file."""
    chance, out = random.Random(number), bytearray(data)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(out))
        kind = chance.randrange(5)
        if kind == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            out[at : at + chance.randint(1, 8)] = chance.randbytes(chance.randint(0, 8))
        elif kind == 2:
            out[at : at + 4] = chance.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff"])
        elif kind == 3:
            out[at:at] = bytes(out[at : at + chance.randint(1, 64)])
        else:
            del out[max(64, at) :]
        out = out or bytearray(data[:1])
    return bytes(out)


LOOP = """
import io, sys, warnings
from pathlib import Path
import fediart.media.child as child
from fediart.media.intake import IntakeLimits, check_header
from fediart.media.origin.read import read_origin
from fediart.errors import BadPicture, TooLarge
child.limit_self(1 << 30, cpu_seconds=7200)
warnings.simplefilter("ignore")
for line in sys.stdin:
    path = Path(line.strip())
    try:
        check_header(path, IntakeLimits(1 << 20, 4_000_000))
        read_origin(path)
        child.decode(path, 4_000_000)
        said = "taken"
    except (BadPicture, TooLarge):
        said = "refused"
    except Exception as problem:
        said = "failed " + type(problem).__name__
    print(said, flush=True)
"""


@pytest.mark.row(37)
@pytest.mark.parametrize("kind", SEEDS)
def test_what_chance_makes_of_a_picture_is_taken_or_refused_and_ends_at_most_its_own_process(kind: str, tmp_path: Path) -> None:
    whole, number = SEEDS[kind](), 0
    told: dict[str, int] = {}
    crashed: list[bytes] = []
    while number < MUTANTS:
        # One process looks at many; where a file ends it, the next one begins behind that file.
        decoder = subprocess.Popen(
            [sys.executable, "-c", LOOP], cwd=ROOT.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert decoder.stdin is not None
        assert decoder.stdout is not None
        with decoder:
            while number < MUTANTS:
                path = tmp_path / "mutant"
                path.write_bytes(data := mutated(whole, number))
                number += 1
                try:
                    decoder.stdin.write(f"{path}\n")
                    decoder.stdin.flush()
                except BrokenPipeError:
                    pass
                if not (said := decoder.stdout.readline().strip()):
                    crashed.append(data)
                    break
                told[said.split()[0]] = told.get(said.split()[0], 0) + 1
            decoder.stdin.close()
    assert sum(told.values()) + len(crashed) == MUTANTS
    assert told.get("failed", 0) + told.get("refused", 0) > 0
    for each in crashed[:5]:
        path.write_bytes(each)
        with pytest.raises((BadPicture, CloakFailed)):
            asyncio.run(rendered(asked(path, tmp_path / "out")))


# ---------------------------------------------------------------------------------------------------- names and paths

NAMES = [
    "../../../../etc/passwd", "/etc/passwd", "a\0.jpg", "..\\..\\x.jpg", "C:\\x.jpg", "x" * 4_096 + ".jpg", "..", ".", "",
    "a.php.jpg",
    "é\u202egpj.exe", "\u2215etc\u2215passwd", "con.jpg", "-rf.jpg", "a\r\nset-cookie: x=1.jpg", "$(id).jpg", "|id",
    "\ufeff.jpg",
]  # fmt: skip


@pytest.mark.anyio
@pytest.mark.row(38)
async def test_the_name_of_an_upload_names_no_file_of_ours(tmp_path: Path) -> None:
    outside = {path: path.read_bytes() for path in (Path("/etc/passwd"),) if path.exists()}
    async with a_world(tmp_path / "data", jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page = (await mira.browser.send("/compose")).headers["location"]
        held = []
        for name in NAMES:
            content = b'--b\r\ncontent-disposition: form-data; name="file"; filename="' + name.encode() + b'"\r\n\r\n'
            body = content + draw_sample(64, 48) + b"\r\n--b--\r\n"
            headers = {"content-type": "multipart/form-data; boundary=b"}
            answer = await world.client.post("/api/v2/media", content=body, headers=headers)
            assert answer.status_code in (200, 202, 422), (name, answer.text)
            if answer.status_code != 422:
                held.append(answer.json()["id"])
        assert len(held) > len(NAMES) - 6
        for media in held:
            file = await mira.browser.get(f"/originals/{media}")
            assert file.status_code == 200
            assert "x=1" not in file.headers.get("set-cookie", "")
            said = file.headers["content-disposition"]
            assert said.startswith("attachment")
            assert not [part for part in ("/", "\\", "..", "%2f", "%5c") if part in said.lower()], said
        assert (await mira.browser.get(page)).status_code == 200
        data = world.instance.data
        kept = [path.relative_to(data).as_posix() for path in (data / "originals").rglob("*") if path.is_file()]
        assert len(kept) == len(held)
        assert all(re.fullmatch(r"originals/[0-9a-f]{2}/[0-9a-f]{32}", name) for name in kept)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data"], "nothing beside it"
        for name in (
            "../secret.key",
            "..%2fsecret.key",
            "ab/../../secret.key",
            "/etc/passwd",
            "p/ab/../../../secret.key",
            "ab\0/x.jpg",
        ):
            assert (await world.stranger.get(f"/media/{name}".replace("\0", "%00"))).status_code == 404, name
    assert {path: path.read_bytes() for path in outside} == outside


@pytest.mark.anyio
@pytest.mark.row(38)
async def test_a_link_in_a_store_leads_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"a key")
    async with a_world(tmp_path / "data", jobs=False) as world:
        name = f"ab/{'ab' * 32}.jpg"
        path = world.instance.files.path(name)
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(secret)
        answer = await world.stranger.get(f"/media/{name}")
        assert answer.status_code == 404
        assert b"a key" not in answer.content
        world.instance.files.discard(name)
        assert secret.read_bytes() == b"a key", "what is thrown away is the link"


@pytest.mark.row(38)
def test_what_is_no_name_of_a_file_is_no_path(tmp_path: Path) -> None:
    files, vault = Files(tmp_path / "media"), Vault(tmp_path / "originals")
    for wrong in (
        *NAMES,
        f"ab/{'ab' * 32}.svg",
        f"ab/{'ab' * 32}.jpg\n",
        f"../ab/{'ab' * 32}.jpg",
        f"AB/{'ab' * 32}.jpg",
        "ab" * 16 + "\n",
    ):
        for store in (files, vault):
            with pytest.raises(FediartError):
                store.path(wrong)


# ----------------------------------------------------------------------------------------------------------- metadata


def _telling(kind: str) -> bytes:
    """A picture that says all it can: place, camera, maker notes, a thumbnail, XMP, IPTC, comments; taken on its side."""
    exif = Image.Exif()
    exif[child.ORIENTATION] = 6
    exif[0x010F], exif[0x0110], exif[0x013B], exif[0x8298] = "SECRET-MAKER", "SECRET-MODEL", "SECRET-ARTIST", "SECRET-RIGHTS"
    exif.get_ifd(0x8769).update(
        {0x927C: b"SECRET-NOTES" * 20, 0x9286: b"ASCII\0\0\0SECRET-COMMENT", 0xA431: "SECRET-SERIAL", 0xA434: "SECRET-LENS"}
    )
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 17.0), 29: "SECRET-DATE"})
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>SECRET-XMP<xmpMM:DerivedFrom/></x:xmpmeta>"
    more: dict[str, Any] = {"exif": exif, "icc_profile": _wide(), "xmp": xmp}
    picture = Image.new("RGB", (240, 160), (200, 60, 40))
    picture.paste((40, 60, 200), (120, 0, 240, 160))
    if kind == "JPEG":
        more["comment"] = b"SECRET-COM"
    elif kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        more["pnginfo"] = info = PngInfo()
        info.add_text("Author", "SECRET-TEXT")
        info.add_itxt("XML:com.adobe.xmp", "SECRET-XMP")
        info.add_text("Raw profile type iptc", "SECRET-IPTC", zip=False)
        del more["xmp"]
    elif kind == "GIF":
        return saved(picture.quantize(16), "GIF", comment=b"SECRET-COM")
    data = saved(picture, kind, **more)
    if kind == "JPEG":
        # A thumbnail, and Photoshop's IPTC, as cameras and programs put them in: segments of their own.
        thumbnail = saved(Image.new("RGB", (16, 16), "red"), "JPEG", comment=b"SECRET-THUMBNAIL")
        iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", 18) + b"\x1c\x02\x5a\0\x0bSECRET-CITY"
        for marker, body in ((b"\xff\xe2", b"MPF\0" + thumbnail), (b"\xff\xed", iptc), (b"\xff\xec", b"Ducky SECRET-DUCKY")):
            data = data[:2] + marker + struct.pack(">H", len(body) + 2) + body + data[2:]
    return data


def _wide() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"sRGB built-in", b"SECRET-PROFIL")


@pytest.mark.row(39)
@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
async def test_what_leaves_tells_nothing_that_its_artist_did_not_say_and_stands_upright(kind: str, tmp_path: Path) -> None:
    from tests.test_xmp import RIGHTS

    original = tmp_path / "original"
    original.write_bytes(_telling(kind))
    assert b"SECRET" in original.read_bytes()
    result = await rendered(asked(original, tmp_path / "out", cloak=False, rights=RIGHTS))
    for made in result.renditions:
        data = made.path.read_bytes()
        assert b"SECRET" not in data
        with Image.open(made.path) as shown:
            shown.load()
            assert dict(shown.getexif()) == {}
            assert shown.getexif().get_ifd(0x8825) == {}
            assert set(shown.info) <= {
                "jfif",
                "jfif_version",
                "jfif_unit",
                "jfif_density",
                "icc_profile",
                "progressive",
                "progression",
                "xmp",
            }
            assert shown.info["icc_profile"] == child.srgb_profile(), "its colours mean the same everywhere"
            is_turned = kind != "GIF"
            assert (shown.height > shown.width) == is_turned
            top = shown.convert("RGB").getpixel((shown.width // 2, 4))
            left = shown.convert("RGB").getpixel((4, shown.height // 2))
            assert isinstance(top, tuple)
            assert isinstance(left, tuple)
            assert top[0] > top[2] if is_turned else left[0] > left[2]
        assert b"SECRET" not in (packet_of_jpeg(data) or b"")
        assert packet_of_jpeg(data), "what the artist reserves is said in it"
