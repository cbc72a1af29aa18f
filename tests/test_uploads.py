"""Pictures as people send them: odd, broken, hostile. What cannot be taken is told in words; nothing else is lost."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw
from sqlalchemy import Connection, select

from fediart.activitypub.vocabulary import AP_TYPE
from fediart.domain.images import ImageState
from fediart.domain.works import MAX_IMAGES, WorkState
from fediart.jobs.runner import running_jobs
from fediart.media import child
from fediart.media.child import MAX_BYTES, MAX_PIXELS, MAX_SIDE
from fediart.media.intake import IntakeLimits, check_header
from fediart.media.sample import draw_sample
from fediart.media.xmp import with_packet
from fediart.storage import images, tables, works
from fediart.studio.publish_work import start_draft
from tests.people import people_of
from tests.waiting import until
from tests.world import World, a_world


def _saved(picture: Image.Image, kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


def _halves(mode: str, left: Any, right: Any, size: tuple[int, int] = (160, 96)) -> Image.Image:
    """Left half of one colour, right half of another: enough to see what became of colours."""
    picture = Image.new(mode, size, left)
    picture.paste(right, (size[0] // 2, 0, size[0], size[1]))
    return picture


def _png(width: int, height: int, *, depth: int = 8, colour: int = 2, data: bytes = b"") -> bytes:
    """A PNG that says it is this large, whatever `data` holds."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _webp_bomb(side: int) -> bytes:
    """A few kilobytes that unfold to `side` × `side` pixels."""
    return _saved(Image.new("RGB", (side, side), "white"), "WEBP", lossless=True, method=0)


def _svg() -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


AT_THE_DOOR: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "empty": (lambda: b"", 422, "empty"),
    "words": (lambda: b"dear server, ...", 422, "not a JPEG, PNG, WebP, GIF or AVIF"),
    "SVG named .png": (_svg, 422, "not a JPEG, PNG, WebP, GIF or AVIF"),
    "HTML named .jpg": (lambda: b"<!doctype html><script>alert(1)</script>", 422, "not a JPEG, PNG, WebP, GIF or AVIF"),
    "TIFF named .png": (lambda: _saved(Image.new("RGB", (64, 64)), "TIFF"), 422, "not a JPEG, PNG, WebP, GIF or AVIF"),
    "BMP": (lambda: _saved(Image.new("RGB", (64, 64)), "BMP"), 422, "not a JPEG, PNG, WebP, GIF or AVIF"),
    "the first bytes of a JPEG": (lambda: draw_sample(64, 48)[:20], 422, "not a JPEG, PNG, WebP, GIF or AVIF"),
    "a WebP that is cut off": (
        lambda: _saved(Image.effect_noise((200, 200), 80).convert("RGB"), "WEBP")[:900],
        422,
        "not a JPEG, PNG, WebP, GIF or AVIF",
    ),
    "a PNG of 100,000 × 100,000": (lambda: _png(100_000, 100_000), 413, "10000 megapixels"),
    "a PNG of 2 billion × 1": (lambda: _png(2_000_000_000, 1), 413, "2000 megapixels"),
    "a WebP of 12,000 × 12,000": (lambda: _webp_bomb(12_000), 413, "144 megapixels"),
    "a PNG of nothing": (lambda: _png(0, 0), 422, "not a JPEG, PNG, WebP, GIF or AVIF"),
    "too many bytes": (lambda: draw_sample(64, 48) + b"\0" * 300_000, 413, "larger than"),
}

WHEN_DECODED: dict[str, Callable[[], bytes]] = {
    "a JPEG that is cut off": lambda: draw_sample(320, 240)[:5_000],
    "a PNG whose pixels are missing": lambda: _png(320, 240),
    "a PNG whose pixels are noise": lambda: _png(320, 240, data=bytes(range(256)) * 4),
    "a line of 1 × 20,000": lambda: _saved(Image.new("RGB", (1, 20_000), "red"), "PNG"),
    "a dot": lambda: _saved(Image.new("RGB", (1, 1), "red"), "PNG"),
}


async def _send(client: httpx.AsyncClient, data: bytes, name: str = "evening.jpg") -> httpx.Response:
    return await client.post("/api/v2/media", files={"file": (name, data, "image/jpeg")})


async def _ended(client: httpx.AsyncClient, media_id: str) -> httpx.Response:
    """The last word on an upload: 200 or 422."""
    told: list[httpx.Response] = []

    async def asked() -> bool:
        told.append(await client.get(f"/api/v1/media/{media_id}"))
        return told[-1].status_code != 206

    await until(asked)
    return told[-1]


@pytest.mark.anyio
@pytest.mark.row(35)
async def test_what_is_no_picture_of_ours_is_refused_at_once_in_words(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False, **{"media.upload_bytes": 250_000}) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page = f"/compose/{await start_draft(world.instance, world.artist)}"
        for what, (make, status, words) in AT_THE_DOOR.items():
            data = make()
            answer = await _send(world.client, data)
            assert (answer.status_code, list(answer.json())) == (status, ["error"]), what
            assert words in answer.json()["error"], what
            shown = await mira.browser.send(page, {"text": what, "action": "add"}, files={"pictures": ("a.jpg", data)}, page=page)
            assert shown.status_code == 422
            assert words in shown.text
            assert f">{what}</textarea>" in shown.text.replace("&gt;", ">"), "the words stay"
        assert await world.instance.storage.read(_all_images) == []
        assert not [path for path in (tmp_path / "originals").rglob("*") if path.is_file()]
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(("upload-", "render-"))] == []


def _all_images(db: Connection) -> list[int]:
    return list(db.execute(select(tables.images.c.id)).scalars())


@pytest.mark.anyio
async def test_what_shows_itself_broken_when_decoded_is_told_on_that_picture(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        draft = await start_draft(world.instance, world.artist)
        page = f"/compose/{draft}"
        for name, make in WHEN_DECODED.items():
            sent = await mira.browser.send(
                page, {"text": "my words", "action": "add"}, files={"pictures": (name, make())}, page=page
            )
            assert sent.status_code == 303, name
        good = await mira.browser.send(
            page, {"text": "my words", "action": "add"}, files={"pictures": ("good.jpg", draw_sample(96, 64))}, page=page
        )
        assert good.status_code == 303
        await until(lambda: world.instance.storage.read(_are_settled, draft))
        held = (await world.instance.storage.read(images.images_of_works, [draft]))[draft]
        assert {shown.image.original_name: shown.image.state for shown in held} == {
            **dict.fromkeys(WHEN_DECODED, ImageState.FAILED),
            "good.jpg": ImageState.READY,
        }
        for shown in held:
            answer = await world.client.get(f"/api/v1/media/{shown.image.id}")
            assert answer.status_code == (200 if shown.image.state == ImageState.READY else 422)
            if shown.image.state == ImageState.FAILED:
                assert answer.json()["error"] == shown.image.problem
                assert len(shown.image.problem) > 20
                assert not re.search(r"Traceback|Error|Exception|/", shown.image.problem)
        # It cannot be published so; the page says which ones are in the way, and keeps the rest.
        refused = await mira.browser.send(page, {"text": "my words", "action": "publish"}, page=page)
        assert refused.status_code == 422
        assert "a dot" in refused.text
        assert "my words" in refused.text
        for shown in held:
            if shown.image.state == ImageState.FAILED:
                await mira.browser.send(page, {"text": "my words", "action": f"remove-{shown.image.id}"}, page=page)
        published = await mira.browser.send(page, {"text": "my words", "action": "publish"}, page=page)
        assert published.status_code == 303
        assert published.headers["location"].startswith("/works/")


def _are_settled(db: Connection, work_id: int) -> bool:
    held = images.images_of_works(db, [work_id]).get(work_id, [])
    return all(shown.image.state in (ImageState.READY, ImageState.FAILED) for shown in held)


@pytest.mark.anyio
@pytest.mark.row(36)
async def test_a_picture_that_unfolds_to_what_is_just_allowed_is_taken_or_refused_and_the_server_goes_on(tmp_path: Path) -> None:
    """49 megapixels in a few kilobytes: the child decodes it within its memory, or says that it cannot."""
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page = "/settings/profile"
        for upload in (_webp_bomb(7_000), draw_sample(96, 64)):
            sent = await mira.browser.send(page, {"name": "Mira"}, files={"avatar": ("a.webp", upload)}, page=page)
            assert sent.status_code == 303
            assert (await world.stranger.get("/healthz")).status_code == 200
            await until(lambda: world.instance.storage.read(_all_settled))
        newest = max(await world.instance.storage.read(_all_images))
        shown = await world.instance.storage.read(images.shown_images, [newest])
        assert shown[newest].image.state == ImageState.READY


def _all_settled(db: Connection) -> bool:
    busy = tables.images.c.state.in_([ImageState.WAITING, ImageState.CLOAKING])
    return db.execute(select(tables.images.c.id).where(busy)).first() is None


@pytest.mark.anyio
async def test_a_work_takes_twelve_pictures_and_says_which_are_too_many(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        draft = await start_draft(world.instance, world.artist)
        page = f"/compose/{draft}"
        sent = await mira.browser.send(
            page,
            {"text": "many", "warning": "a warning", "sensitive": "1", "visibility": "unlisted", "action": "add"},
            files=[("pictures", (f"{n}.jpg", draw_sample(64, 48, seed=n))) for n in range(MAX_IMAGES + 2)],
            page=page,
        )
        assert sent.status_code == 422
        assert "12.jpg: A work has at most 12 pictures." in sent.text
        assert "13.jpg: A work has at most 12 pictures." in sent.text
        assert sent.text.count('data-image="') == MAX_IMAGES
        kept = await world.instance.storage.read(works.work_by_id, draft)
        assert kept is not None
        assert (kept.source, kept.warning, kept.sensitive, kept.visibility) == ("many", "a warning", True, "unlisted")
        media = [(await world.upload(draw_sample(64, 48)))["id"] for _ in range(13)]
        refused = await world.client.post("/api/v1/statuses", json={"status": "x", "media_ids": media})
        assert refused.status_code == 422
        assert "at most 12" in refused.json()["error"]


@pytest.mark.anyio
async def test_a_form_larger_than_its_page_takes_is_cut_off(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False, **{"media.upload_bytes": 100_000}) as world, people_of(world.instance) as people:
        sent = 0

        async def endless() -> Any:
            nonlocal sent
            yield b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'
            for _ in range(400):
                sent += 100_000
                yield b"\0" * 100_000

        client = await people.client()
        headers = {"content-type": "multipart/form-data; boundary=b"}
        answer = await client.post("/sign-in", content=endless(), headers=headers)
        assert answer.status_code == 413
        assert sent < 5_000_000, "nobody reads on"


@pytest.mark.anyio
async def test_the_composer_works_by_plain_forms_order_remove_describe_publish(tmp_path: Path) -> None:
    """All that the page's script does, without it."""
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        started = await mira.browser.send("/compose", page="/home")
        page = started.headers["location"]
        draft = int(page.rpartition("/")[2])
        files = [("pictures", (f"{name}.jpg", draw_sample(96, 64, seed=ord(name)))) for name in "abc"]
        assert (await mira.browser.send(page, {"text": "first", "action": "add"}, files=files, page=page)).status_code == 303
        a, b, c = await _order(world, draft)
        for action, expected in (
            (f"up-{c}", [a, c, b]),
            (f"down-{a}", [c, a, b]),
            (f"up-{c}", [c, a, b]),
            ("up-²", [c, a, b]),
            ("up-1", [c, a, b]),
            (f"remove-{a}", [c, b]),
            (f"remove-{a}", [c, b]),
        ):
            sent = await mira.browser.send(page, {"text": "words", f"alt-{c}": "the c", "action": action}, page=page)
            assert sent.status_code == 303, action
            assert await _order(world, draft) == expected, action
        html = (await mira.browser.get(page)).text
        assert ">the c</textarea>" in html
        waiting_page = '<noscript><meta http-equiv="refresh"'
        await until(lambda: world.instance.storage.read(_are_settled, draft))
        html = (await mira.browser.get(page)).text
        assert waiting_page not in html
        assert html.count("Cloaked, ready") == 2
        progress = (await mira.browser.get(f"{page}/progress")).json()
        assert [item["state"] for item in progress["pictures"]] == ["ready", "ready"]
        said = {"text": "words #oil", "visibility": "public", f"alt-{c}": "the c", f"alt-{b}": "the b", "action": "publish"}
        sent = await mira.browser.send(page, said, page=page)
        assert sent.status_code == 303
        final = int(sent.headers["location"].rpartition("/")[2])
        await until(lambda: _is_out(world, final))
        shown = (await world.stranger.get(f"/@mira/{final}")).text
        assert shown.index('alt="the c"') < shown.index('alt="the b"')
        assert (await mira.browser.get(page)).status_code == 404, "the draft became the work"


async def _order(world: World, work_id: int) -> list[int]:
    held = await world.instance.storage.read(images.images_of_works, [work_id])
    return [shown.image.id for shown in held.get(work_id, [])]


async def _is_out(world: World, work_id: int) -> bool:
    work = await world.instance.storage.read(works.work_by_id, work_id)
    return work is not None and work.state == WorkState.PUBLISHED


@pytest.mark.anyio
async def test_an_avatar_that_cannot_be_taken_leaves_the_profile_as_typed(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page = "/settings/profile"
        said = {"name": "Mira Sol", "bio": "Evenings", "field-name-0": "Medium", "field-value-0": "Oil"}
        sent = await mira.browser.send(page, said, files={"avatar": ("face.png", _svg())}, page=page)
        assert sent.status_code == 422
        for words in ("face.png: This is not a JPEG, PNG, WebP, GIF or AVIF", "Mira Sol", "Evenings", "Medium", "Oil"):
            assert words in sent.text
        assert "Mira Sol" in (await world.stranger.get("/@mira")).text


# --------------------------------------------------------------------------------------------- what becomes of colours


def _wide_profile() -> bytes:
    """RGB with primaries far outside sRGB (those of ProPhoto), gamma 1.8: put together by hand from ICC.1:2010."""

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65_536)) for value in (x, y, z))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(1.8 * 256)) + b"\0\0"
    words = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + b"\0" * 78
    parts = {
        b"desc": words + b"\0" * (-len(words) % 4),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.7977, 0.2880, 0.0),
        b"gXYZ": xyz(0.1352, 0.7119, 0.0),
        b"bXYZ": xyz(0.0313, 0.0001, 0.8249),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body, at = struct.pack(">I", len(parts)), b"", 128 + 4 + 12 * len(parts)
    for tag, data in parts.items():
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ ") + b"\0" * 12 + b"acsp"
    head = (head + b"\0" * 28 + struct.pack(">iii", 63_190, 65_536, 54_061)).ljust(128, b"\0")
    return head + table + body


def _as_seen(picture: Image.Image, profile: bytes) -> np.ndarray[Any, Any]:
    """What a colour-managed viewer shows of it, in sRGB."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert shown is not None
    return np.asarray(shown, dtype=np.float64)


def _shown(data: bytes, folder: Path) -> tuple[Image.Image, bytes]:
    """The public copy that the child process makes of an upload, made here: (picture, file). Uncloaked, to look at colours."""
    path = folder / "upload"
    path.write_bytes(data)
    order = {
        "original": str(path),
        "purpose": "work",
        "cloak": False,
        "out": str(folder),
        "pixels": 50_000_000,
    }
    made = {item["kind"]: item["path"] for item in child.render(order)["renditions"]}
    file = Path(made["public"]).read_bytes()
    picture = Image.open(io.BytesIO(file))
    picture.load()
    return picture, file


def _halves_of(picture: Image.Image) -> tuple[list[int], list[int]]:
    """The mean colours of its left and its right half, away from the edges."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
    middle = pixels.shape[1] // 2
    left, right = pixels[8:-8, 8 : middle - 8], pixels[8:-8, middle + 8 : -8]
    return [round(v) for v in left.mean((0, 1))], [round(v) for v in right.mean((0, 1))]


def _near(seen: Sequence[float], wanted: Sequence[float], by: int = 6) -> bool:
    return all(abs(s - w) <= by for s, w in zip(seen, wanted, strict=True))


def test_every_kind_of_pixel_comes_out_as_the_same_colours_in_srgb(tmp_path: Path) -> None:
    orange, blue = (230, 140, 60), (40, 60, 160)
    plain = _halves("RGB", orange, blue)

    def halves(data: bytes) -> tuple[list[int], list[int]]:
        return _halves_of(_shown(data, tmp_path)[0])

    left, right = halves(_saved(plain, "PNG"))
    assert _near(left, orange)
    assert _near(right, blue)

    left, right = halves(_saved(_halves("CMYK", (0, 255, 255, 0), (255, 0, 0, 0)), "JPEG", quality=95))
    assert left[0] > 200 > 90 > left[2], "red ink is red"
    assert right[2] > 150 > right[0], "cyan ink is cyan, not its negative"

    ramp = np.full((96, 160), 20_000, np.uint16)
    ramp[:, 80:] = 52_000
    left, right = halves(_saved(Image.fromarray(ramp), "PNG"))
    assert _near(left, (78, 78, 78))
    assert _near(right, (202, 202, 202))

    palette = plain.quantize(8)
    left, right = halves(_saved(palette, "PNG", transparency=palette.getpixel((2, 2))))
    assert _near(left, (255, 255, 255)), "what is clear stands on white"
    assert _near(right, blue)

    left, right = halves(_saved(_halves("RGBA", (*orange, 128), (*blue, 255)), "WEBP", lossless=True))
    assert _near(left, (242, 197, 157))
    assert _near(right, blue)

    for mode, value, grey in (("L", 90, 90), ("1", 1, 255), ("LA", (90, 255), 90)):
        left, _ = halves(_saved(Image.new(mode, (160, 96), value), "PNG"))
        assert _near(left, (grey, grey, grey)), mode


def test_a_picture_in_another_colour_space_is_converted_and_not_only_relabelled(tmp_path: Path) -> None:
    colours = (150, 120, 100), (100, 120, 140)
    plain = _halves("RGB", *colours)
    wide = _wide_profile()
    seen = _as_seen(plain, wide)
    for x, colour in ((20, colours[0]), (140, colours[1])):
        assert np.abs(seen[40, x] - colour).max() > 20, "the profile means something else"
    for kind, more in (("JPEG", {"quality": 98, "subsampling": 0}), ("PNG", {}), ("WEBP", {"lossless": True})):
        picture, _ = _shown(_saved(plain, kind, icc_profile=wide, **more), tmp_path)
        for half, x in zip(_halves_of(picture), (20, 140), strict=True):
            assert _near(half, seen[40, x]), kind
        name = ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"])))
        assert "sRGB" in name
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"this is no profile", srgb[:200]):
        picture, _ = _shown(_saved(plain, "PNG", icc_profile=profile), tmp_path)
        assert _near(_halves_of(picture)[0], colours[0])


def test_a_phones_jpeg_with_a_second_picture_behind_it_is_a_jpeg(tmp_path: Path) -> None:
    first, second = _halves("RGB", (200, 40, 40), (40, 40, 200)), Image.new("RGB", (80, 48), "green")
    data = _saved(first, "MPO", save_all=True, append_images=[second])
    (tmp_path / "phone").write_bytes(data)
    header = check_header(tmp_path / "phone", IntakeLimits(1_000_000, 1_000_000))
    assert (header.media_type, header.width, header.height) == ("image/jpeg", 160, 96)
    picture, file = _shown(data, tmp_path)
    assert (picture.format, picture.size) == ("JPEG", (160, 96))
    assert _near(_halves_of(picture)[0], (200, 40, 40))
    assert b"MPF" not in file


PRIVATE_WORDS = (b"Camera", b"secret", b"Exif", b"http://ns.adobe.com/xap", b"Photoshop")


def _photograph(kind: str) -> bytes:
    """Stored on its side, with a place, a camera and words of its own. As stored, the red edge is at the top."""
    turned = Image.new("RGB", (240, 160), "white")
    ImageDraw.Draw(turned).rectangle((0, 0, 239, 30), fill=(200, 30, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right by a quarter
    exif[0x010F], exif[0x0110] = "CameraMaker", "CameraModel 3000"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    more: dict[str, Any] = {"exif": exif}
    if kind != "PNG":
        more["xmp"] = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">secretxmp</x:xmpmeta>'
    if kind == "JPEG":
        more["comment"] = b"secretcomment"
    data = _saved(turned, kind, **more)
    assert b"CameraModel" in data
    return data


@pytest.mark.row(39)
def test_a_photograph_stands_upright_and_tells_neither_place_nor_camera(tmp_path: Path) -> None:
    for kind in ("JPEG", "WEBP", "PNG"):
        picture, file = _shown(_photograph(kind), tmp_path)
        assert picture.size == (160, 240)
        pixels = np.asarray(picture)
        assert pixels[120, 150, 0] > 150 > pixels[120, 150, 1], "the edge is at the right now"
        assert pixels[120, 20, 1] > 200
        assert not picture.getexif()
        assert "comment" not in picture.info
        assert [word for word in PRIVATE_WORDS if word in file] == []


@pytest.mark.anyio
@pytest.mark.row(39)
async def test_a_photograph_that_was_uploaded_leaves_without_its_place_and_is_kept_as_it_came(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        data = _photograph("JPEG")
        media = await world.upload(data)
        shown = (await _ended(world.client, media["id"])).json()
        assert shown["meta"]["original"]["size"] == "160x240"
        for address in (shown["url"], shown["preview_url"]):
            body = (await world.stranger.get(address)).content
            # What its artist states of her rights stands in it, in a packet of ours (tests/test_reservation.py).
            assert [word for word in PRIVATE_WORDS if word in with_packet(body, None)] == []
        assert (await world.client.get(f"/originals/{media['id']}")).content == data


def test_the_public_copy_is_a_jpeg_within_what_other_servers_keep(tmp_path: Path) -> None:
    noise = Image.effect_noise((1_500, 1_100), 90).convert("RGB").resize((4_500, 3_300), Image.Resampling.NEAREST)
    for data in (_saved(noise, "JPEG", quality=85), draw_sample(9_000, 300), draw_sample(200, 9_000)):
        picture, file = _shown(data, tmp_path)
        assert picture.format == "JPEG"
        assert max(picture.size) <= MAX_SIDE == 5_000
        assert picture.width * picture.height <= MAX_PIXELS == 8_294_400
        assert len(file) <= MAX_BYTES == 16_000_000
        assert "icc_profile" in picture.info


@pytest.mark.anyio
async def test_the_same_picture_of_the_same_artist_gives_the_same_bytes_and_of_another_artist_others(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        noor = await people.person("noor")
        data = draw_sample(200, 150)
        files = []
        for client in (world.client, world.client, noor.api):
            sent = await _send(client, data)
            shown = (await _ended(client, sent.json()["id"])).json()
            files.append(hashlib.sha256((await world.stranger.get(shown["url"])).content).hexdigest())
            await asyncio.sleep(0.7)  # over the turn of a second, which was written into the colour profile once
        assert files[0] == files[1]
        assert files[0] != files[2]


@pytest.mark.anyio
async def test_when_the_cloak_fails_the_work_stays_a_draft_and_nothing_leaves(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False, **{"cloak.backend": "not-installed"}) as world:
        media = await world.upload(draw_sample(96, 64))
        said = {"status": "words that stay #oil", "media_ids": [media["id"]]}
        work_id = (await world.client.post("/api/v1/statuses", json=said)).json()["id"]
        async with running_jobs(world.instance):
            answer = await _ended(world.client, media["id"])
            await until(lambda: _is_draft(world, int(work_id)))
        assert answer.status_code == 422
        work = await world.instance.storage.read(works.work_by_id, int(work_id))
        assert work is not None
        assert work.source == "words that stay #oil"
        assert "evening.jpg" in work.problem
        for path in (f"/@mira/{work_id}", f"/users/mira/statuses/{work_id}", f"/api/v1/statuses/{work_id}"):
            assert (await world.stranger.get(path)).status_code == 404
        for path in ("/@mira", "/tags/oil", "/users/mira/outbox?page=true", "/@mira/feed.atom", "/api/v1/timelines/public"):
            assert work_id not in (await world.stranger.get(path)).text
        assert not [path for path in (tmp_path / "media").rglob("*") if path.is_file()]
        counts = await world.instance.storage.read(lambda db: db.execute(select(tables.deliveries.c.id)).all())
        assert counts == []


async def _is_draft(world: World, work_id: int) -> bool:
    work = await world.instance.storage.read(works.work_by_id, work_id)
    return work is not None and work.state == WorkState.DRAFT


# ---------------------------------------------------------------------------------------------- files that are two things

ACTOR = b'{"@context":"https://www.w3.org/ns/activitystreams","id":"http://localhost:8000/users/mira","type":"Person"}'
ACCEPTS = (
    "*/*",
    AP_TYPE,
    'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
    "application/json",
    "text/html",
)


def _png_with(data: bytes) -> bytes:
    """A picture that ends in a document, and says it once more in its text."""
    chunk = b"tEXtComment\0" + data
    text = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    whole = io.BytesIO()
    Image.new("RGB", (64, 48), "navy").save(whole, "PNG")
    png = whole.getvalue()
    return png[:33] + text + png[33:] + data


@pytest.mark.anyio
@pytest.mark.row(3)
async def test_nothing_that_was_uploaded_speaks_as_a_document_of_this_server(tmp_path: Path) -> None:
    """Akkoma 2024: a file on a server's own host that is an actor to whoever asks for one."""
    no_pictures = {
        "actor.png": ACTOR, "actor.json": ACTOR, "page.html": b"<!doctype html><script>1</script>",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', "paper.pdf": b"%PDF-1.7\n" + ACTOR,
    }  # fmt: skip
    async with a_world(tmp_path) as world:
        for name, data in no_pictures.items():
            for said in ("image/png", "application/activity+json", "image/svg+xml"):
                answer = await world.client.post("/api/v2/media", files={"file": (name, data, said)})
                assert answer.status_code == 422, name
        files = {"file": ("actor.json", _png_with(ACTOR), "application/activity+json")}
        media = (await world.client.post("/api/v2/media", files=files)).json()
        assert (await _ended(world.client, media["id"])).status_code == 200
        post = {"status": "two things", "media_ids": [media["id"]]}
        work = (await world.client.post("/api/v1/statuses", json=post)).json()
        (shown,) = (await world.instance.storage.read(images.images_of_works, [int(work["id"])]))[int(work["id"])]
        assert len(shown.renditions) >= 2
        paths = [f"/media/{rendition.name}" for rendition in shown.renditions]
        for path in [*paths, f"/originals/{media['id']}"]:
            for accept in ACCEPTS:
                client = world.stranger if path in paths else world.client
                answer = await client.get(path, headers={"accept": accept})
                assert answer.status_code == 200
                assert answer.headers["content-type"] in ("image/jpeg", "image/png", "image/webp")
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["content-security-policy"].startswith("default-src 'none'; sandbox")
                if path in paths:
                    assert b"activitystreams" not in answer.content, "it was drawn anew"
                else:
                    assert answer.headers["content-disposition"].startswith("attachment")
