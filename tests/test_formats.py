"""AVIF, the first picture of a GIF, and HEIC: taken and cloaked like others, and what lies or is damaged costs nothing."""

from __future__ import annotations

import importlib.util
import io
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from fediart.errors import BadPicture, TooLarge
from fediart.media.intake import MAX_BLOCKS, NO_HEIC, IntakeLimits, PictureHeader, check_header
from fediart.media.pipeline import RenderRequest, render
from fediart.media.targets import target_for
from tests.far_server import follow
from tests.scene import a_scene
from tests.waiting import until

HAS_HEIC = importlib.util.find_spec("pillow_heif") is not None
LIMITS = IntakeLimits(41_943_040, 50_000_000)


def painted(width: int = 320, height: int = 240, colour: str = "#b4552d") -> Image.Image:
    picture = Image.new("RGB", (width, height), colour)
    ImageDraw.Draw(picture).ellipse((20, 20, width - 20, height - 20), fill="#2b3a67")
    return picture


def saved(picture: Image.Image, kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


def avif() -> bytes:
    return saved(painted(), "AVIF", quality=60, speed=9)


def moving() -> bytes:
    return saved(painted(), "GIF", save_all=True, append_images=[painted(colour="#00ff00")], duration=100, loop=0)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(painted(), "AVIF", exif=exif, speed=9)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def claims(width: int, height: int, brand: bytes = b"avif") -> bytes:
    """A file that says how large it is, and holds nothing."""
    properties = box(b"ispe", struct.pack(">III", 0, width, height))
    meta = bytes(4) + box(b"iprp", box(b"ipco", properties))
    return box(b"ftyp", brand + bytes(4) + b"mif1") + box(b"meta", meta) + box(b"mdat", b"nothing")


def gif(width: int, height: int, *, left: int = 0, before: bytes = b"") -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 64, 64, 0, 0, 0) + before + b"," + struct.pack("<HHHHB", left, 0, width, height, 0)


def heic(brand: bytes = b"heic") -> bytes:
    return claims(640, 480, brand)


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (avif, PictureHeader("image/avif", 320, 240)),
        (moving, PictureHeader("image/gif", 320, 240)),
        (lambda: gif(40, 30, before=b"!\xfe\x03abc\x00"), PictureHeader("image/gif", 64, 64)),
        (lambda: gif(400, 30, left=100), PictureHeader("image/gif", 500, 64)),
        (lambda: claims(4000, 3000), PictureHeader("image/avif", 4000, 3000)),
        (lambda: claims(4000, 3000, b"avis"), PictureHeader("image/avif", 4000, 3000)),
    ],
)
def test_what_a_file_says_of_its_size_is_read_without_decoding(
    data: Callable[[], bytes], header: PictureHeader, tmp_path: Path
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(data())
    assert check_header(path, LIMITS) == header


HOSTILE: dict[str, Callable[[], bytes]] = {
    "an AVIF of a terapixel": lambda: claims(1_000_000, 1_000_000),
    "an AVIF of nothing": lambda: claims(0, 0),
    "boxes without end": lambda: box(b"ftyp", b"avif" + bytes(4)) + box(b"free", b"") * 200_000,
    "a box that is longer than the file": lambda: box(b"ftyp", b"avif" + bytes(4)) + struct.pack(">I4s", 2**31, b"meta"),
    "a box of no length": lambda: box(b"ftyp", b"avif" + bytes(4)) + struct.pack(">I4s", 3, b"meta") * 50,
    "a meta of megabytes": lambda: box(b"ftyp", b"avif" + bytes(4)) + box(b"meta", bytes(3_000_000)),
    "a 64-bit length": lambda: struct.pack(">I4sQ", 1, b"ftyp", 2**63) + b"avif",
    "properties without end": lambda: (
        box(b"ftyp", b"avif" + bytes(4)) + box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", box(b"xxxx", b"") * 100_000)))
    ),
    "a film": lambda: box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", b""),
    "a GIF of four gigapixels": lambda: gif(65_535, 65_535),
    "a GIF of nothing": lambda: b"GIF89a" + bytes(20),
    "a GIF that only talks": lambda: gif(4, 4, before=b"!\xfe" + b"\x01x" * (MAX_BLOCKS + 10) + b"\0"),
    "a GIF that ends in its words": lambda: b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0) + b"!\xfe\xff",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.row(35)
def test_what_lies_is_refused_at_the_door(name: str, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(HOSTILE[name]())
    with pytest.raises((BadPicture, TooLarge), match=r"megapixels|is not a JPEG, PNG, WebP, GIF or AVIF picture"):
        check_header(path, LIMITS)


def test_heic_is_read_where_its_extra_is_installed(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(heic())
    if HAS_HEIC:
        assert check_header(path, LIMITS) == PictureHeader("image/heic", 640, 480)
    else:
        with pytest.raises(BadPicture) as refused:
            check_header(path, LIMITS)
        assert refused.value.message == NO_HEIC


def _request(path: Path, folder: Path) -> RenderRequest:
    folder.mkdir()
    return RenderRequest(path, "work", False, bytes(32), "light", "texture", folder, memory_mb=768)


@pytest.mark.anyio
@pytest.mark.row(37)
async def test_their_pixels_come_out_right_and_what_is_damaged_only_ends_its_process(tmp_path: Path) -> None:
    for number, (data, size) in enumerate(((avif(), (320, 240)), (moving(), (320, 240)), (turned(), (240, 320)))):
        path = tmp_path / f"picture-{number}"
        path.write_bytes(data)
        made = await render(_request(path, tmp_path / f"out-{number}"), lambda _share: None)
        with Image.open(made.renditions[0].path) as shown:
            assert shown.size == size
            assert shown.format == "JPEG"
            assert not shown.getexif()
            red, green, blue = shown.getpixel((4, 4))  # type: ignore[misc]  # of an RGB picture
            assert (abs(red - 0xB4) < 12, abs(green - 0x55) < 12, abs(blue - 0x2D) < 12) == (True, True, True)
    whole = avif()
    at = whole.index(b"ispe") + 8
    damaged = {
        "cut": whole[: len(whole) // 2],
        "noise": whole[:-200] + bytes(range(200)),
        "says less": whole[:at] + struct.pack(">II", 16, 16) + whole[at + 8 :],
        "says more": whole[:at] + struct.pack(">II", 7_000, 7_000) + whole[at + 8 :],
        "empty": claims(7_000, 7_000),
        "GIF, cut": moving()[:300],
        "GIF, bomb": gif(7_000, 7_000) + b"\x02\x02\x4c\x01\x00;",
    }
    refused: dict[str, str] = {}
    for name, data in damaged.items():
        path = tmp_path / name
        path.write_bytes(data)
        check_header(path, LIMITS)
        try:
            made = await render(_request(path, tmp_path / f"out of {name}"), lambda _share: None)
        except BadPicture as problem:
            refused[name] = problem.message
            continue
        # A decoder that makes something of it is welcome to, inside its bounds.
        assert made.width * made.height <= LIMITS.pixels
    assert {"cut", "empty", "GIF, cut"} <= set(refused)
    assert all(re.search(r"damaged|needs more memory", words) for words in refused.values())


@pytest.mark.anyio
async def test_they_are_taken_cloaked_and_fetched(prepared: Path, tmp_path: Path) -> None:
    async with a_scene(prepared, tmp_path) as scene:
        world = scene.world
        for name, data in (("evening.avif", avif()), ("moving.gif", moving())):
            answer = await world.client.post("/api/v2/media", files={"file": (name, data, "image/jpeg")})
            assert answer.status_code in (200, 202), answer.text
            media = answer.json()["id"]

            async def shown(media: str = media) -> dict[str, Any] | None:
                told: dict[str, Any] = (await world.client.get(f"/api/v1/media/{media}")).json()
                return told if told["url"] else None

            told = await until(shown)
            assert (await world.client.get(told["url"])).headers["content-type"] == "image/jpeg"
        mime_types = (await world.client.get("/api/v2/instance")).json()["configuration"]["media_attachments"][
            "supported_mime_types"
        ]
        assert {"image/gif", "image/avif"} <= set(mime_types)

        await follow(world, scene.ana)
        scene.far.serve("/moving.gif", moving(), content_type="image/gif")
        scene.far.serve("/evening.avif", avif(), content_type="image/avif")
        pictures = [
            {"type": "Image", "mediaType": f"image/{name.rsplit('.', 1)[1]}", "url": f"{scene.far.url}/{name}"}
            for name in ("moving.gif", "evening.avif")
        ]
        note = scene.ana.note(attachment=pictures)
        await scene.heard(scene.ana, scene.ana.create(note))
        (entry,) = (item for item in (await world.client.get("/api/v1/timelines/home")).json() if item["uri"] == note["id"])
        files = [await world.stranger.get(item["url"]) for item in entry["media_attachments"]]
        assert [(file.status_code, file.headers["content-type"]) for file in files] == [(200, "image/gif"), (200, "image/avif")]
        assert files[0].content == moving()


def test_copies_of_them_are_pngs() -> None:
    assert target_for(None, "image/gif").media_type == "image/png"
    assert target_for(None, "image/webp").media_type == "image/webp"
