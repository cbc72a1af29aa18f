"""The child process that decodes and cloaks: its limits hold, and however it ends, its parent says so in words."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import resource
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from fediart.errors import BadPicture, CloakFailed, Interrupted
from fediart.media import child
from fediart.media.child import MAX_PIXELS, MAX_SIDE, decode, fitted, public_size
from fediart.media.pipeline import RenderRequest, RenderResult, render
from tests.cloak_trial import half_size
from tests.pictures import KINDS
from tests.probe import shift

ROOT = Path(__file__).parent.parent
LONG = os.environ.get("FEDIART_LONG") == "1"


def asked(original: Path, out: Path, **changes: Any) -> RenderRequest:
    out.mkdir(exist_ok=True)
    plain: dict[str, Any] = {"purpose": "work", "cloak": True, "secret": b"s" * 32, "strength": "standard", "backend": "texture"}
    return RenderRequest(original_path=original, out_dir=out, **{**plain, **changes})


async def rendered(request: RenderRequest, heard: Callable[[float], None] = lambda _: None) -> RenderResult:
    return await render(request, heard)


def picture(path: Path, kind: str = "painting", size: tuple[int, int] = (480, 360), file: str = "PNG", **more: Any) -> Path:
    Image.fromarray(KINDS[kind](*size, 1)).save(path, file, **more)
    return path


def a_png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8, colour: int = 2, row: int = 0) -> bytes:
    """A whole PNG of zeros, `row` bytes a row (reckoned where 0), without ever holding its pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    line = b"\0" * (1 + (row or (width * depth * channels + 7) // 8))
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = b"".join(chunk(kind, data) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def children() -> set[int]:
    """The processes that this one has started and that are still there."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    lines = (line.split(None, 2) for line in table.splitlines())
    return {int(pid) for pid, parent, *args in lines if int(parent) == os.getpid() and "fediart.media.child" in " ".join(args)}


# --- the whole way


@pytest.mark.anyio
async def test_a_picture_comes_back_cloaked_with_its_renditions_and_report(tmp_path: Path) -> None:
    heard: list[float] = []
    original = picture(tmp_path / "original")
    result = await rendered(asked(original, tmp_path / "out"), heard.append)
    assert heard == sorted(heard)
    assert len(heard) > 8
    assert [made.kind for made in result.renditions] == ["public", "preview"]
    assert result.report is not None
    assert 0.02 < result.report.flip <= 0.04
    public = np.asarray(Image.open(result.renditions[0].path))
    plain = np.asarray(Image.open(original))
    # JPEG alone moves the probe as well: the cloak is told from it by the copy that was made without one.
    bare = await rendered(asked(original, tmp_path / "bare", cloak=False))
    assert bare.report is None
    uncloaked = np.asarray(Image.open(bare.renditions[0].path))
    assert shift(half_size(public), half_size(plain)) > 2 * shift(half_size(uncloaked), half_size(plain))
    for made in result.renditions:
        assert made.path.stat().st_size == made.bytes
        with Image.open(made.path) as opened:
            assert (opened.width, opened.height) == (made.width, made.height)


@pytest.mark.anyio
async def test_each_purpose_has_its_size_and_a_pattern_of_its_own(tmp_path: Path) -> None:
    original = picture(tmp_path / "original", size=(900, 700))
    sizes = {}
    for purpose in ("work", "avatar", "header"):
        sizes[purpose] = (await rendered(asked(original, tmp_path / purpose, purpose=purpose))).renditions[0]
    assert (sizes["work"].width, sizes["work"].height) == (900, 700)
    assert (sizes["avatar"].width, sizes["avatar"].height) == (400, 400)
    assert sizes["header"].width == 3 * sizes["header"].height
    remote = await rendered(asked(original, tmp_path / "remote", purpose="remote", cloak=False))
    assert [made.kind for made in remote.renditions] == ["preview"]


# --- limits


def run(code: str) -> subprocess.CompletedProcess[str]:
    program = f"import fediart.media.child as child\n{code}"
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_child_is_ended_when_its_processor_time_is_spent() -> None:
    done = run("child.CPU_SECONDS = 1\nchild.limit_self()\nwhile True: pass")
    assert done.returncode == -signal.SIGXCPU


def test_the_child_has_its_limits_and_does_not_ask_for_more_than_it_may() -> None:
    done = run(
        "import os, resource as r\n"
        "r.setrlimit(r.RLIMIT_NOFILE, (30, 30)); r.setrlimit(r.RLIMIT_CPU, (60, 60)); child.limit_self()\n"
        "print(r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CPU), os.nice(0))"
    )
    assert done.stdout.split("\n")[0] == f"(30, 30) (60, 60) {os.nice(0) + 10}", done.stderr
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 30, "limits are the child's alone"


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not keep a limit of memory")
@pytest.mark.row(36)
def test_memory_beyond_the_limit_is_refused_to_the_child() -> None:
    done = run("child.limit_self()\ntry: bytearray(child.MEMORY)\nexcept MemoryError: print('refused')")
    assert done.stdout == "refused\n"


@pytest.mark.anyio
async def test_a_picture_that_needs_more_memory_than_there_is_gets_a_clear_word(tmp_path: Path) -> None:
    """Under two kilobytes a row, and 1.6 GB once its palette is unfolded with its transparency."""
    bomb = a_png(20_000, 20_000, (b"PLTE", b"\0" * 6), (b"tRNS", b"\x80\x90"), depth=1, colour=3)
    (tmp_path / "bomb").write_bytes(bomb)
    with pytest.raises(BadPicture, match="more memory than this server gives"):
        await rendered(asked(tmp_path / "bomb", tmp_path / "out", pixels=500_000_000))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.anyio
async def test_what_to_do_about_a_picture_is_told_to_whoever_can(tmp_path: Path) -> None:
    whole = picture(tmp_path / "whole", size=(64, 48)).read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    for purpose, words in (("work", r"cannot be opened\. Save it anew"), ("remote", r"cannot be opened\.$")):
        with pytest.raises(BadPicture, match=words):
            await rendered(asked(tmp_path / "half", tmp_path / "out", purpose=purpose, cloak=False))


@pytest.mark.anyio
@pytest.mark.row(36)
async def test_more_pixels_than_allowed_are_never_decoded(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(a_png(9_000, 9_000, depth=1, colour=0))
    with pytest.raises(BadPicture, match="damaged"):
        await rendered(asked(tmp_path / "large", tmp_path / "out"))


@pytest.mark.anyio
@pytest.mark.row(36)
async def test_the_largest_allowed_pictures_are_cloaked_within_the_memory_there_is(tmp_path: Path) -> None:
    """Fifty megapixels. By default the two shapes that need most of their kind; with FEDIART_LONG=1 all of them."""
    width, height = 8_660, 5_773
    largest: dict[str, Callable[[], bytes]] = {
        "PNG with alpha": lambda: a_png(width, height, colour=4),
        "JPEG": lambda: saved(Image.new("RGB", (width, height), "teal"), "JPEG", progressive=True, subsampling=0),
    }
    if LONG:
        largest |= {
            "PNG": lambda: a_png(width, height),
            "PNG of 16 bits": lambda: a_png(width, height, depth=16, colour=0),
            "PNG with colours and alpha": lambda: a_png(width, height, colour=6),
            "JPEG in four inks": lambda: saved(Image.new("CMYK", (width, height), (9, 99, 9, 9)), "JPEG", progressive=True),
            "WebP": lambda: saved(Image.new("RGB", (width, height), "teal"), "WEBP", method=0),
            "WebP with alpha": lambda: saved(Image.new("RGBA", (width, height), (1, 2, 3, 99)), "WEBP", lossless=True, method=0),
        }
    for name, make in largest.items():
        path = tmp_path / "original"
        path.write_bytes(make())
        result = await rendered(asked(path, tmp_path / "out"))
        assert result.report is not None, name
        assert result.width * result.height <= MAX_PIXELS, name
        assert result.width * result.height > 0.999 * MAX_PIXELS, name


def saved(made: Image.Image, kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    made.save(out, kind, **more)
    return out.getvalue()


# --- however it ends


@pytest.mark.anyio
@pytest.mark.row(37)
async def test_a_killed_child_leaves_no_result_and_is_told_apart_from_a_picture_that_brings_it_down(tmp_path: Path) -> None:
    original = picture(tmp_path / "original", size=(2000, 1500))

    def kill(_: float) -> None:
        for pid in children():
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(Interrupted, match="ended from outside"):
        await rendered(asked(original, tmp_path / "out"), kill)
    assert list((tmp_path / "out").iterdir()) == []

    def crash(_: float) -> None:
        for pid in children():
            os.kill(pid, signal.SIGSEGV)

    with pytest.raises(CloakFailed, match="ended unexpectedly") as failed:
        await rendered(asked(original, tmp_path / "out"), crash)
    assert failed.value.detail == f"exit status {-signal.SIGSEGV}"


@pytest.mark.anyio
async def test_a_cancelled_render_leaves_no_process_behind(tmp_path: Path) -> None:
    original = picture(tmp_path / "original", size=(2000, 1500))
    begun = asyncio.Event()
    task = asyncio.create_task(rendered(asked(original, tmp_path / "out"), lambda _: begun.set()))
    await begun.wait()
    assert len(children()) == 1
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert children() == set()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import os, subprocess, sys\n"
        "code = 'import fediart.media.child as c, sys, time; c.limit_self(); print(1, flush=True); time.sleep(60)'\n"
        "one = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE)\n"
        "one.stdout.readline(); print(one.pid, flush=True); os._exit(0)\n"
    )
    parent = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    pid = int(parent.stdout)
    for _ in range(200):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
        if not state or state.startswith("Z"):  # gone, or dead and waiting for whoever adopts orphans
            return
    pytest.fail(f"the child is still there: {state}")


@pytest.mark.anyio
async def test_a_cloak_that_cannot_be_had_is_a_failed_cloak_in_words(tmp_path: Path) -> None:
    original = picture(tmp_path / "original")
    with pytest.raises(CloakFailed, match="not installed: mirage"):
        await rendered(asked(original, tmp_path / "out", backend="mirage"))
    small = picture(tmp_path / "small", size=(300, 12))
    with pytest.raises(CloakFailed, match="at least 16 pixels"):
        await rendered(asked(small, tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == [], "nothing was written before the cloak was on"


# --- decoding


def test_a_large_jpeg_decoded_at_half_size_looks_as_one_made_smaller_at_once(tmp_path: Path) -> None:
    big = Image.fromarray(KINDS["evening"](1600, 1200, 2)).resize((7200, 5400), Image.Resampling.BICUBIC)
    big.save(tmp_path / "big", "JPEG", quality=95)
    seen = decode(tmp_path / "big", 50_000_000)
    assert seen.size == public_size(7200, 5400)
    straight = big.resize(seen.size, Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(seen).astype(int) - np.asarray(straight))
    assert difference.mean() < 1
    assert np.percentile(difference, 99.9) < 10


def test_all_eight_ways_to_hold_a_camera_stand_upright(tmp_path: Path) -> None:
    upright = Image.fromarray(KINDS["evening"](160, 120, 2))
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    for orientation, turn in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("PNG", "JPEG", "WEBP"):
            (upright.transpose(turn) if turn is not None else upright).save(tmp_path / "turned", kind, exif=exif, quality=95)
            seen = decode(tmp_path / "turned", 1_000_000)
            assert seen.size == upright.size, (orientation, kind)
            assert np.abs(np.asarray(seen).astype(int) - np.asarray(upright)).mean() < 4, (orientation, kind)
            assert seen.info == {}


def test_what_is_clear_does_not_bleed_its_colour_into_the_edges(tmp_path: Path) -> None:
    """A white disc whose clear surroundings are stored as black: made smaller, no grey ring may appear on white."""
    width = 6_000
    y, x = np.mgrid[0:1_600, 0:width]
    inside = (x - width / 2) ** 2 + (y - 800) ** 2 < 600**2
    canvas = np.zeros((1_600, width, 4), np.uint8)
    canvas[inside] = 255
    Image.fromarray(canvas).save(tmp_path / "disc", "PNG", compress_level=1)
    seen = decode(tmp_path / "disc", 50_000_000)
    assert max(seen.size) == MAX_SIDE
    assert np.asarray(seen).min() >= 254


def test_a_line_drawing_of_one_bit_is_made_smaller_smoothly(tmp_path: Path) -> None:
    y, x = np.mgrid[0:1_500, 0:7_000]
    Image.fromarray((x + 2 * y) // 9 % 2 == 0).save(tmp_path / "lines", "PNG")
    seen = np.asarray(decode(tmp_path / "lines", 50_000_000))
    assert len(np.unique(seen)) > 8, "grey between black and white"


def test_a_profile_for_another_kind_of_pixels_is_left_aside(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    Image.new("L", (64, 64), 120).save(tmp_path / "grey", "PNG", icc_profile=lab.tobytes())
    assert np.asarray(decode(tmp_path / "grey", 10_000)).tolist() == np.full((64, 64, 3), 120).tolist()


def test_the_public_size_never_exceeds_its_bounds_and_keeps_the_shape() -> None:
    for width, height in ((1, 1), (3840, 2160), (8660, 5773), (20_000, 2), (2, 20_000), (5_001, 100), (4_000, 3_000)):
        wide, tall = public_size(width, height)
        assert max(wide, tall) <= MAX_SIDE
        assert wide * tall <= MAX_PIXELS
        assert wide <= width
        assert tall <= height
        if min(wide, tall) > 50:
            assert wide / tall == pytest.approx(width / height, rel=0.02)


def test_an_avatar_is_square_and_never_enlarged_but_to_be_cloaked() -> None:
    for size, wanted in (((900, 700), (400, 400)), ((200, 300), (200, 200)), ((8, 8), (16, 16))):
        assert fitted(Image.new("RGB", size), "avatar").size == wanted
    assert fitted(Image.new("RGB", (900, 700)), "work").size == (900, 700)


def test_paint_so_dense_that_its_jpeg_has_more_than_a_byte_a_pixel_is_saved() -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (600, 800, 3), dtype=np.uint8))
    data = child.encode(noise)
    assert len(data) > 600 * 800
    assert Image.open(io.BytesIO(data)).size == (800, 600)


def test_a_file_too_large_for_other_servers_is_saved_at_lower_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8))
    usual = child.encode(noise)
    monkeypatch.setattr(child, "MAX_BYTES", len(usual) * 3 // 4)
    assert len(child.encode(noise)) <= len(usual) * 3 // 4


def test_a_server_loads_nothing_that_computes_pictures() -> None:
    """Each of these takes memory for good, and all that needs them happens in a child."""
    heavy = {"numpy", "onnxruntime", "torch", "pillow_heif", "c2pa"}
    looked = f"import fediart.cli.serve, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
