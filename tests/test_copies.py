"""Copies for elsewhere: `fediart cloak IN… --out DIR` as people type it, and copies that artists fetch from a work's page."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import io
import json
import os
import pty
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fediart.cli.copy_plan import plan_copies
from fediart.cli.copy_record import recording
from fediart.domain.copies import KEPT_MS, CopyState
from fediart.domain.works import WorkState
from fediart.errors import BadInput
from fediart.media.child import size_within
from fediart.media.cloak.backend import CloakBackend, CloakOrder
from fediart.media.cloak.shelf import Shelf, own_folder
from fediart.media.cloak.steered import SteeredCloak
from fediart.media.cloak.texture import TextureCloak
from fediart.media.intake import IntakeLimits
from fediart.media.pipeline import RenderRequest, render
from fediart.media.sample import draw_sample
from fediart.media.targets import PLATFORMS, Target, target_for
from fediart.office.prune import prune
from fediart.storage import copies, images, works
from fediart.studio.add_image import add_image
from fediart.studio.copy_image import OTHER_ENCODERS, OTHER_VERSION, ask_copy
from fediart.studio.publish_work import Draft, publish_work, start_draft
from tests.commands import Loaded, a_loaded_program, run_commands
from tests.patient_cloak import install_patient_cloak
from tests.people import Browser, Person, people_of
from tests.pictures import KINDS
from tests.tiny_encoder import tiny_encoder
from tests.waiting import until
from tests.world import World, a_world

ROOT = Path(__file__).parent.parent
LONG = os.environ.get("FEDIART_LONG") == "1"
SECRET = b"s" * 32


# ------------------------------------------------------------------------------------------------ the command line


@dataclass(frozen=True, slots=True)
class Ran:
    status: int
    lines: list[dict[str, Any]]
    stderr: str


@functools.cache
def drawn(kind: str, size: tuple[int, int], seed: int) -> Image.Image:
    return Image.fromarray(KINDS[kind](*size, seed))


class Desk:
    """Somebody's computer: a home folder, pictures in `art`, copies in `out`."""

    def __init__(self, folder: Path, loaded: Loaded) -> None:
        self._loaded = loaded
        self.home, self.art, self.out = folder / "home", folder / "art", folder / "out"
        self.env = {**os.environ, "HOME": str(self.home), "XDG_DATA_HOME": str(self.home / "share")}
        self.own = own_folder(self.env, self.home).parent
        self.art.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, kind: str = "painting", size: tuple[int, int] = (96, 72), seed: int = 1, **more: Any) -> Path:
        path = self.art / name
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn(kind, size, seed).save(path, **more)
        return path

    def start(self, *arguments: Path | str, **more: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "fediart", "cloak", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # Where the tests run behind a shell's &, Ctrl-C is ignored, and so it would be in what they start.
        unignored = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        return subprocess.Popen(command, cwd=ROOT, env=self.env, text=True, **{**pipes, **unignored, **more})

    def cloak(self, *arguments: Path | str, **more: Any) -> Ran:
        """`fediart cloak … --out OUT --json`."""
        out = () if "--out" in arguments else ("--out", self.out)
        if more:
            process = self.start(*arguments, *out, "--json", **more)
            told, problem = process.communicate(timeout=120)
            return Ran(process.returncode, [json.loads(line) for line in told.splitlines()], problem or "")
        status, told, problem = self._loaded.run(["cloak", *map(str, (*arguments, *out)), "--json"], self.env)
        return Ran(status, [json.loads(line) for line in told.splitlines()], problem)

    def files(self) -> dict[str, str]:
        """What lies in `out`: path → hash."""
        return hashes(self.out)


def hashes(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    with a_loaded_program(tmp_path_factory.mktemp("loaded")) as program:
        yield program


@pytest.fixture
def desk(tmp_path: Path, loaded: Loaded) -> Desk:
    return Desk(tmp_path, loaded)


def states(ran: Ran) -> dict[str, str]:
    return {Path(line["input"]).name: line["state"] for line in ran.lines}


def test_every_picture_of_a_folder_comes_out_cloaked_under_its_own_name_and_nothing_else(desk: Desk) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera that nobody need know"
    plain = desk.put("evening.png", size=(200, 150))
    desk.put("sub/noon.JPG", quality=90, exif=exif)
    desk.put("sub/night.webp")
    (desk.art / "notes.txt").write_text("not a picture")
    desk.put(".hidden/thumb.png")
    ran = desk.cloak(desk.art, "--strength", "strong")
    assert (ran.status, ran.stderr) == (0, ""), "no bar where stderr is no terminal"
    assert [line["output"] for line in ran.lines] == [
        str(desk.out / name) for name in ("evening.png", "sub/night.webp", "sub/noon.JPG")
    ]
    assert set(desk.files()) == {"evening.png", "sub/night.webp", "sub/noon.JPG"}
    for line, kind in zip(ran.lines, ("PNG", "WEBP", "JPEG"), strict=True):
        path = Path(line["output"])
        with Image.open(path) as copy, Image.open(line["input"]) as original:
            assert (copy.format, copy.size) == (kind, original.size)
            assert (line["width"], line["height"], line["bytes"]) == (*copy.size, path.stat().st_size)
            assert not copy.getexif()
            assert shift(copy, original) > 2
        assert (line["state"], line["for"], line["strength"], line["strength_used"]) == ("made", None, "strong", "strong")
        assert (line["backend"], line["version"], line["encoders"]) == ("texture", TextureCloak.version, [])
        assert line["flip"] > 0.02
        assert 20 < line["psnr"] < 60
        assert 0.5 < line["ssim"] < 1
        assert line["seconds"] > 0
        assert line["weak"] is (line["problem"] != "")
    with Image.open(desk.out / "evening.png") as copy:
        measured = np.mean((np.asarray(copy.convert("RGB")).astype(float) - np.asarray(Image.open(plain))) ** 2)
    assert 10 * np.log10(255**2 / measured) == pytest.approx(ran.lines[0]["psnr"], abs=0.01), "a PNG is what was measured"


def shift(one: Image.Image, other: Image.Image) -> float:
    """Root mean square difference, in levels."""
    a, b = (np.asarray(picture.convert("RGB")).astype(float) for picture in (one, other))
    return float(np.sqrt(np.mean((a - b) ** 2)))


def test_the_same_again_is_skipped_and_other_settings_never_replace_files_by_themselves(desk: Desk) -> None:
    desk.put("a.png")
    desk.put("b.png", seed=2)
    first = desk.cloak(desk.art)
    before = {path: path.stat().st_mtime_ns for path in desk.out.iterdir()}
    again = desk.cloak(desk.art)
    assert states(again) == {"a.png": "skipped", "b.png": "skipped"}
    assert again.lines == [{**line, "state": "skipped"} for line in first.lines], "with the same figures"
    other = desk.cloak(desk.art, "--strength", "light")
    assert (other.status, other.lines) == (1, [])
    assert "--overwrite" in other.stderr
    assert {path: path.stat().st_mtime_ns for path in desk.out.iterdir()} == before
    desk.put("b.png", seed=3)
    changed = desk.cloak(desk.art)
    assert (changed.status, changed.lines) == (1, []), "b was made from another picture"
    assert {path: path.stat().st_mtime_ns for path in desk.out.iterdir()} == before
    replaced = desk.cloak(desk.art, "--overwrite")
    assert (replaced.status, states(replaced)) == (0, {"a.png": "skipped", "b.png": "made"})
    (desk.out / "a.png").write_bytes(b"somebody's own")
    assert desk.cloak(desk.art).status == 1
    assert (desk.out / "a.png").read_bytes() == b"somebody's own"


def test_what_cannot_be_cloaked_fails_alone_and_a_weak_cloak_is_no_failure(desk: Desk) -> None:
    desk.put("good.png")
    Image.new("RGB", (200, 150), "white").save(desk.art / "flat.png")
    weak = desk.cloak(desk.art / "flat.png", "--strength", "strong")
    assert weak.status == 0
    assert weak.lines[0]["weak"] is True
    assert "strongest cloak that fits" in weak.lines[0]["problem"]
    Image.new("RGB", (200, 9), "white").save(desk.art / "small.png")
    (desk.art / "empty.png").write_bytes(b"")
    whole = desk.put("torn.jpg", size=(400, 300)).read_bytes()
    (desk.art / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (desk.art / "words.png").write_text("not a picture")
    ran = desk.cloak(desk.art, "--strength", "strong")
    assert ran.status == 1
    problems = {Path(line["input"]).name: line["problem"] for line in ran.lines if line["state"] == "failed"}
    assert set(problems) == {"small.png", "empty.png", "torn.jpg", "words.png"}
    assert "at least 16 pixels" in problems["small.png"]
    assert "empty" in problems["empty.png"]
    assert "damaged" in problems["torn.jpg"]
    assert "not a JPEG, PNG, WebP, GIF or AVIF" in problems["words.png"]
    assert set(desk.files()) == {"good.png", "flat.png"}
    assert all(line["output"] is None for line in ran.lines if line["state"] == "failed")


LIMITS = IntakeLimits(bytes=1 << 30, pixels=50_000_000)


def test_two_pictures_that_would_become_one_file_are_refused_before_anything_is_written(desk: Desk) -> None:
    one, two = desk.put("x/a.png"), desk.put("y/a.png", seed=2)
    ran = desk.cloak(desk.art / "x", desk.art / "y")
    assert (ran.status, ran.lines) == (1, [])
    assert str(one) in ran.stderr
    assert str(two) in ran.stderr
    assert not desk.out.exists()
    desk.put("x/a.jpg")
    plan_copies([desk.art / "x"], desk.out, None, LIMITS)
    with pytest.raises(BadInput, match=r"would both become .*a\.jpg"):
        plan_copies([desk.art / "x"], desk.out, "instagram", LIMITS)
    named = [one, one, desk.art / "x" / ".." / "x" / "a.png"]
    assert len(plan_copies(named, desk.out, None, LIMITS)) == 1, "a picture that is named several times is one"


def test_originals_are_never_written_over_and_copies_are_never_cloaked_again(desk: Desk) -> None:
    one = desk.put("a.png")
    for source, out in ((desk.art, desk.art), (one, desk.art), (one, desk.art.parent)):
        with pytest.raises(BadInput, match="Choose another --out"):
            plan_copies([source], out, None, LIMITS)
    desk.out.mkdir()
    desk.put("sub/b.png")
    (desk.out / "sub").symlink_to(desk.art / "sub")
    with pytest.raises(BadInput, match="over an original"):
        plan_copies([desk.art], desk.out, None, LIMITS)
    desk.put("cloaked/a.png")
    planned = plan_copies([desk.art], desk.art / "cloaked", None, LIMITS)
    assert [str(item.place) for item in planned] == ["a.png", "sub/b.png"], "the folder of copies is no source"


def test_what_cannot_be_done_is_told_in_a_sentence_and_leaves_nothing_behind(desk: Desk) -> None:
    a = str(desk.put("a.png"))
    (desk.art / "empty").mkdir()
    art, out = str(desk.art), str(desk.out)
    told = run_commands(
        [
            ["cloak", art, "--out", f"{a}/copies"],
            ["cloak", art, "--out", a],
            ["cloak", f"{art}/empty", "--out", out],
            ["cloak", f"{art}/nothing.png", "--out", out],
            ["cloak", art, "--out", out, "--artist", "mira"],
            ["cloak", art, "--out", out, "--artist", "mira", "--data", art],
            ["cloak", art, "--out", out, "--config", f"{art}/none.toml"],
        ],
        env=desk.env,
    )
    wanted = (
        "cannot be made",
        "--out takes a folder",
        "There are no pictures",
        "does not exist",
        "belong together",
        "no server's data",
        "no settings file",
    )
    for ran, words in zip(told, wanted, strict=True):
        assert words in ran.told
        assert ran.status in (1, 2)
    assert sorted(path.name for path in desk.art.iterdir()) == ["a.png", "empty"]
    assert not desk.out.exists()


def test_a_full_disk_stops_with_a_word_and_leaves_no_half_file(desk: Desk) -> None:
    """A limit on the size of files is what a disk without room looks like to who writes."""
    desk.put("a.png", size=(160, 120))
    desk.put("b.png", size=(160, 120), seed=2)

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    ran = desk.cloak(desk.art, preexec_fn=little)
    assert (ran.status, states(ran)) == (1, {"a.png": "failed"})
    assert "disk is full" in ran.lines[0]["problem"]
    assert "1 pictures before the end" in ran.stderr
    assert desk.files() == {}
    assert list((desk.own / "records").glob("*.work")) == []
    assert states(desk.cloak(desk.art)) == {"a.png": "made", "b.png": "made"}, "and goes on when there is room"


# -------------------------------------------------------------------------------------------- stopped, and gone on


def _stopped(desk: Desk, folder: Path, when: Callable[[subprocess.Popen[str]], None], number: signal.Signals) -> int:
    process = desk.start(desk.art, "--out", folder, "--json")
    when(process)
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


def after_one(process: subprocess.Popen[str]) -> None:
    """Once a copy is told of."""
    assert process.stdout is not None
    process.stdout.readline()


def test_a_run_that_was_killed_leaves_whole_files_only_and_the_next_one_goes_on(desk: Desk) -> None:
    for number in range(3):
        desk.put(f"{number}.png", seed=number)
    assert desk.cloak(desk.art).status == 0
    wanted = desk.files()

    def at(seconds: float) -> Callable[[subprocess.Popen[str]], None]:
        return lambda process: time.sleep(seconds)

    moments = [after_one, *(at(0.1 * step) for step in range(1, 40))] if LONG else [after_one]
    for number, moment in enumerate(moments):
        folder = desk.out.with_name(f"killed-{number}")
        assert _stopped(desk, folder, moment, signal.SIGKILL) in (-signal.SIGKILL, 0)
        whole = {name: digest for name, digest in hashes(folder).items() if not name.endswith(".part")}
        assert whole.items() <= wanted.items(), "a name stands for a whole copy"
        if moment is after_one:
            assert 1 <= len(whole) < 3
        folder.mkdir(exist_ok=True)
        (folder / ".0123456789abcdef.part").write_bytes(b"what a death in the moment of writing leaves")
        again = desk.cloak(desk.art, "--out", folder)
        assert again.status == 0
        assert [line["state"] for line in again.lines if Path(line["input"]).name in whole] == ["skipped"] * len(whole)
        assert hashes(folder) == wanted
        assert list((desk.own / "records").glob("*.work")) == []


def test_ctrl_c_ends_a_run_in_peace(desk: Desk) -> None:
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate(names):
        desk.put(name, seed=number)
    assert _stopped(desk, desk.out, after_one, signal.SIGINT) == 130
    done = set(desk.files())
    assert {"0.png"} <= done < set(names)
    assert list((desk.own / "records").glob("*.work")) == []
    assert states(desk.cloak(desk.art)) == {name: "skipped" if name in done else "made" for name in names}


def test_two_runs_never_write_into_one_folder_at_the_same_time(desk: Desk) -> None:
    desk.put("a.png")
    with recording(desk.own / "records", desk.out):
        ran = desk.cloak(desk.art)
        assert ran.status == 1
        assert "Another fediart cloak is writing" in ran.stderr
    assert desk.cloak(desk.art).status == 0


# ----------------------------------------------------------------------------------------- keys, encoders, terminals


def test_one_key_gives_the_same_bytes_and_another_key_gives_others(desk: Desk, tmp_path: Path, loaded: Loaded) -> None:
    desk.put("a.png")
    desk.cloak(desk.art)
    desk.cloak(desk.art, "--out", tmp_path / "again")
    assert hashes(tmp_path / "again") == desk.files()
    key = desk.own / "secret.key"
    assert len(key.read_bytes()) == 32
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    other = Desk(tmp_path / "other", loaded)
    other.cloak(desk.art)
    assert set(other.files()) == set(desk.files())
    assert other.files() != desk.files()


def test_encoders_are_chosen_by_name_and_told(desk: Desk, tmp_path: Path) -> None:
    desk.put("a.png")
    tiny_encoder(tmp_path / "tiny.pth")
    added, _ = desk.start("encoders", "add", tmp_path / "tiny.pth").communicate(timeout=60)
    name = added.split()[0]
    unknown = desk.cloak(desk.art, "--encoders", f"{name},taesd9")
    assert (unknown.status, unknown.lines) == (1, [])
    assert "The encoder taesd9 is not here" in unknown.stderr
    assert desk.cloak(desk.art, "--encoders", "none").lines[0]["encoders"] == []
    assert desk.cloak(desk.art, "--encoders", "all", "--out", tmp_path / "all").lines[0]["encoders"] == [name]
    named = desk.cloak(desk.art, "--encoders", name)
    assert named.status == 1, "not what is there already, which was made without it"


def test_the_process_that_cloaks_is_given_the_threads_of_the_settings_and_the_memory_that_was_asked_for(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = install_patient_cloak(tmp_path, monkeypatch)
    patient.say("go")
    desk.env |= {"PYTHONPATH": os.environ["PYTHONPATH"], "PATIENT_CLOAK": str(tmp_path)}
    (tmp_path / "config.toml").write_text("[cloak]\nbackend = 'patient'\nthreads = 2\n")
    desk.put("a.png")
    for more, memory in (((), "2048"), (("--memory", "777", "--overwrite", "--strength", "light"), "777")):
        ran = desk.cloak(desk.art, "--config", tmp_path / "config.toml", *more)
        assert (ran.status, ran.lines[0]["backend"], ran.lines[0]["version"]) == (0, "patient", 1)
        assert (tmp_path / "memory").read_text() == memory
    assert patient.begun == [(96, "standard", "2"), (96, "light", "2")]


def test_on_a_terminal_there_is_a_bar_and_stdout_stays_what_was_asked_for(desk: Desk) -> None:
    desk.put("a.png")
    terminal, side = pty.openpty()
    process = desk.start(desk.art, "--out", desk.out, "--json", stderr=side)
    os.close(side)
    seen = b""
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        seen += part
    told, _ = process.communicate(timeout=60)
    os.close(terminal)
    assert process.returncode == 0
    assert b"1 of 1" in seen
    assert [json.loads(line)["state"] for line in told.splitlines()] == ["made"]


def test_people_are_told_in_words(desk: Desk) -> None:
    desk.put("a.png")
    (desk.art / "bad.png").write_bytes(b"")
    told, problem = desk.start(desk.art, "--out", desk.out).communicate(timeout=60)
    assert problem == ""
    assert re.search(r"a\.png → .*a\.png: 96 × 72, \d+ kB; standard, ꟻLIP 0\.0\d\d, PSNR \d\d\.\d dB; \d", told)
    assert "bad.png: This file is empty." in told


@pytest.mark.of_the_file
def test_as_an_artist_of_a_server_one_gets_the_very_picture_that_it_publishes(desk: Desk, data: Path) -> None:
    tiny_encoder(desk.art.parent / "tiny.pth")
    encoder = Shelf(data / "encoders").add(desk.art.parent / "tiny.pth").name
    picture = draw_sample(96, 64)
    (desk.art / "evening.jpg").write_bytes(picture)

    async def published() -> bytes:
        async with a_world(data) as world:
            media = await world.upload(picture)
            shown = await until(lambda: _ready(world, int(media["id"])))
            return bytes(world.instance.files.path(shown.public.name).read_bytes())

    public = asyncio.run(published())
    ran = desk.cloak(desk.art, "--data", data, "--artist", "@Mira", "--for", "mastodon")
    assert ran.status == 0, ran.stderr
    # Beside its pixels the public file carries whose it is and what is reserved; a file from a shell does not know that.
    with Image.open(desk.out / "evening.jpg") as copy, Image.open(io.BytesIO(public)) as shown:
        assert copy.tobytes() == shown.tobytes()
    assert (ran.lines[0]["backend"], ran.lines[0]["encoders_used"]) == ("encoders", [encoder]), "those of the server"
    assert not desk.own.exists(), "nothing was needed of this user's own"
    assert "no account noor" in desk.cloak(desk.art, "--data", data, "--artist", "noor").stderr


async def _ready(world: World, image_id: int) -> Any:
    shown = await world.instance.storage.read(images.image_of, image_id, world.artist.actor_id)
    return shown if shown is not None and shown.public is not None else None


def test_the_page_about_copies_names_every_platform_and_every_key_of_the_json(desk: Desk) -> None:
    page = (ROOT / "docs" / "cloak-copies.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    desk.put("a.png")
    (line,) = desk.cloak(desk.art).lines
    assert named == set(PLATFORMS) | set(line)


# -------------------------------------------------------------------------------------------- sizes and textures


async def rendered(original: Path, out: Path, target: Target | None, secret: bytes = SECRET, *, cloak: bool = True) -> Path:
    out.mkdir(exist_ok=True)
    request = RenderRequest(original, "work", cloak, secret, "standard", "texture", out, target=target)
    result = await render(request, lambda _: None)
    return result.renditions[0].path


def test_a_size_fits_its_bounds_to_the_pixel_and_is_never_enlarged() -> None:
    for width, height in ((4000, 3000), (3000, 4000), (1081, 7), (9000, 40), (40, 9000), (1617, 1080)):
        wide, tall = size_within(width, height, 1_080, 1_920, None)
        assert wide == 1_080 or tall == 1_920 or (wide, tall) == (width, height)
        assert wide <= 1_080
        assert tall <= 1_920
    assert {size_within(width, width * 3 // 4, 1_080, None, None)[0] for width in range(1_081, 9_000)} == {1_080}
    assert size_within(640, 480, 1_080, 1_920, None) == (640, 480)
    assert size_within(9_000, 6_000, None, None, None) == (9_000, 6_000)


@pytest.mark.anyio
async def test_each_platform_gets_its_size_and_kind_of_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: stored lying, 2200 × 1500
    lying = tmp_path / "lying.jpg"
    Image.new("RGB", (2_200, 1_500), "teal").save(lying, exif=exif)
    wanted = {
        "instagram": ("JPEG", (1_080, 1_584)),
        "mastodon": ("JPEG", (1_500, 2_200)),
        "web": ("JPEG", (1_396, 2_048)),
        "print": ("JPEG", (1_500, 2_200)),
    }
    assert set(wanted) == set(PLATFORMS)
    for platform, (kind, size) in wanted.items():
        with Image.open(await rendered(lying, tmp_path / platform, target_for(platform, "image/jpeg"), cloak=False)) as copy:
            assert (copy.format, copy.size) == (kind, size), platform
            assert not copy.getexif()
    types = {
        (platform, kind): target_for(platform, f"image/{kind}").media_type for platform in wanted for kind in ("png", "webp")
    }
    assert {key for key, media_type in types.items() if media_type == "image/png"} == {("print", "png"), ("print", "webp")}
    assert set(types.values()) == {"image/png", "image/jpeg"}


@pytest.mark.anyio
async def test_a_copy_that_would_be_too_large_a_file_is_compressed_until_it_fits(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    whole = await rendered(tmp_path / "noise.png", tmp_path / "whole", Target("image/jpeg", 92), cloak=False)
    half = Target("image/jpeg", 92, bytes=whole.stat().st_size // 2)
    less = await rendered(tmp_path / "noise.png", tmp_path / "less", half, cloak=False)
    assert less.stat().st_size <= whole.stat().st_size // 2


def residual(copy: Path, original: Image.Image, size: tuple[int, int]) -> NDArray[np.float64]:
    """What was laid into a copy, in luminance, at this size: against the original, made smaller just so."""
    with Image.open(copy) as opened:
        own = original.resize(opened.size, Image.Resampling.LANCZOS) if opened.size != original.size else original
        change = np.asarray(opened.convert("L")).astype(np.float32) - np.asarray(own.convert("L")).astype(np.float32)
    return np.asarray(Image.fromarray(change).resize(size, Image.Resampling.LANCZOS)).astype(float)


def alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def kept(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """What is left of the weaker of two cloaks once both copies are averaged, as a share of its energy."""
    return float(np.mean(((one + other) / 2) ** 2) / min(np.mean(one**2), np.mean(other**2)))


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(1_100, 230), *([(1_100, 1_300), (1_100, 1_206), (1_280, 960)] if LONG else [])])
async def test_the_copies_of_a_picture_carry_one_cloak_so_that_averaging_them_gives_nothing_away(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """The public copy and one at another size; two cloaks that share nothing show what an average takes away.

    At the first shape the work size is another for the smaller picture, and a texture that was made of it would be another.
    """
    picture = drawn("painting", size, 3)
    picture.save(tmp_path / "original.png")
    made = {"public": await rendered(tmp_path / "original.png", tmp_path / "public", None)}
    made["instagram"] = await rendered(tmp_path / "original.png", tmp_path / "instagram", target_for("instagram", "image/png"))
    with Image.open(made["instagram"]) as copy:
        assert copy.width == 1_080
        third = copy.width // 3, copy.height // 3  # what JPEG and rounding did is gone there, the cloak's waves are not
    seen = {name: residual(path, picture, third) for name, path in made.items()}
    assert alike(seen["public"], seen["instagram"]) > 0.85
    assert kept(seen["public"], seen["instagram"]) > 0.9
    stranger = await rendered(tmp_path / "original.png", tmp_path / "other", target_for("instagram", "image/png"), b"o" * 32)
    other = residual(stranger, picture, third)
    assert alike(seen["public"], other) < 0.1
    assert kept(seen["public"], other) < 0.6, "two different cloaks do lose by an average"


@pytest.mark.parametrize("kind", ["texture", "encoders"])
def test_a_copy_that_is_larger_than_the_public_one_carries_its_cloak_too(tmp_path: Path, kind: str) -> None:
    backends: dict[str, Callable[[], CloakBackend]] = {"texture": TextureCloak, "encoders": SteeredCloak}
    backend = backends[kind]()
    tiny_encoder(tmp_path / "tiny.pth")
    order = CloakOrder(SECRET, "standard", (("tiny", tmp_path / "tiny.pth"),))
    large = np.asarray(drawn("painting", (320, 240), 3))
    public = np.asarray(drawn("painting", (320, 240), 3).resize((240, 180), Image.Resampling.LANCZOS))

    def waves(cloaked: NDArray[np.uint8], plain: NDArray[np.uint8]) -> NDArray[np.float64]:
        change = (cloaked.astype(np.float32) - plain).mean(2)
        return np.asarray(Image.fromarray(change).resize((160, 120), Image.Resampling.LANCZOS)).astype(float)

    ours = waves(backend.cloak([public], order)[0][0], public)
    for size, direction_from, is_ours in ((large, public, True), (large, None, False)):
        (made,), report = backend.cloak([size], replace(order, direction_from=direction_from))
        assert (report.backend, made.shape) == (kind, large.shape)
        assert (alike(waves(made, size), ours) > 0.8) is is_ours


@pytest.mark.anyio
async def test_what_lies_in_the_folder_where_one_works_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\nraise SystemExit")
    picture = tmp_path / "a.png"
    drawn("painting", (160, 120), 1).save(picture)
    monkeypatch.chdir(tmp_path)
    assert (await rendered(Path("a.png"), Path("out"), target_for(None, "image/png"))).exists()
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------------------------------------- on a work's page


@pytest.fixture
def data(tmp_path: Path, prepared: Path) -> Path:
    """A server's data folder, with mira's account."""
    return Path(shutil.copytree(prepared, tmp_path / "data"))


@dataclass(frozen=True, slots=True)
class Shown:
    work_id: int
    image_id: int


async def shown_work(world: World, who: Person, picture: bytes | None = None, *, cloak: bool = True) -> Shown:
    """A published work with one picture."""
    instance = world.instance
    path = instance.unfinished / "upload"
    path.write_bytes(picture if picture is not None else draw_sample(96, 64))
    work_id = await start_draft(instance, who.account, Draft("An evening"))
    image_id = await add_image(instance, who.account, path, "an evening.jpg", work_id=work_id, cloak=cloak)
    final = await publish_work(instance, who.account, work_id)

    async def is_out() -> bool:
        work = await instance.storage.read(works.work_by_id, final)
        return work is not None and work.state == WorkState.PUBLISHED

    await until(is_out)
    return Shown(final, image_id)


async def ask(browser: Browser, shown: Shown, platform: str) -> int:
    said = {"image": str(shown.image_id), "platform": platform}
    return (await browser.send(f"/works/{shown.work_id}/copy", said)).status_code


async def told(browser: Browser, shown: Shown) -> list[dict[str, str]]:
    answer = await browser.get(f"/works/{shown.work_id}/copies")
    assert answer.status_code == 200
    found: list[dict[str, str]] = answer.json()["copies"]
    return found


async def settled(browser: Browser, shown: Shown) -> list[dict[str, str]]:
    async def ask_again() -> list[dict[str, str]]:
        found = await told(browser, shown)
        return found if found and all(copy["state"] in ("ready", "failed") for copy in found) else []

    found: list[dict[str, str]] = await until(ask_again)
    return found


@pytest.mark.anyio
async def test_an_artist_fetches_copies_from_a_works_page_and_for_everybody_else_they_do_not_exist(data: Path) -> None:
    async with a_world(data) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        shown = await shown_work(world, mira, draw_sample(1_200, 100))
        page = f"/@mira/{shown.work_id}"
        assert (await ask(noor.browser, shown, "instagram"), await ask(mira.browser, shown, "deviantart")) == (404, 422)
        for name in ("Instagram", "Mastodon", "a web page", "print"):
            assert re.search(rf"<button [^>]*>{name}</button>", (await mira.browser.get(page)).text)
        assert "Download a cloaked copy" not in (await noor.browser.get(page)).text
        for platform in ("instagram", "mastodon", "instagram"):
            assert await ask(mira.browser, shown, platform) == 303
        ready = await settled(mira.browser, shown)
        assert [copy["state"] for copy in ready] == ["ready", "ready"], "asked for twice, made once"
        words = (await mira.browser.get(page)).text
        sizes = []
        for copy in ready:
            assert f'href="/copies/{copy["id"]}"' in words
            got = await mira.browser.get(f"/copies/{copy['id']}")
            assert got.status_code == 200
            assert got.headers["cache-control"] == "private, no-store"
            assert "an%20evening-" in got.headers["content-disposition"] or "an evening-" in got.headers["content-disposition"]
            sizes.append(Image.open(io.BytesIO(got.content)).size)
            heard = [
                await client.get(f"/copies/{copy['id']}")
                for client in (world.stranger, world.client, noor.api, mira.api, noor.browser.http)
            ]
            absent = await world.stranger.get("/copies/1")
            assert {answer.status_code for answer in heard} == {404}
            assert all("There is no such file." in answer.text for answer in (*heard, absent))
            assert copy["id"] not in (await world.stranger.get(page)).text
            digest = hashlib.sha256(got.content).hexdigest()
            is_public = digest in hashes(data / "media").values()
            assert is_public is (copy["id"] == ready[1]["id"]), "Mastodon keeps what our public copy is; no other file is public"
        assert sizes == [(1_080, 90), (1_200, 100)]
        assert (await noor.browser.get(f"/works/{shown.work_id}/copies")).status_code == 404
        assert (await world.stranger.get(f"/works/{shown.work_id}/copies")).status_code == 401
        assert list(world.instance.unfinished.glob("copy-*")) == []


@pytest.mark.anyio
async def test_copies_are_kept_for_a_day_and_go_with_their_work(data: Path) -> None:
    async with a_world(data) as world, people_of(world.instance) as people:
        mira, instance = await people.person("mira"), world.instance
        shown = await shown_work(world, mira)
        vault = data / "originals"
        before = set(hashes(vault))
        for platform in ("mastodon", "web"):
            await ask(mira.browser, shown, platform)
        old, young = (int(copy["id"]) for copy in await settled(mira.browser, shown))
        assert len(set(hashes(vault)) - before) == 2
        assert {stat.S_IMODE(path.stat().st_mode) for path in vault.rglob("*") if path.is_file()} == {0o600}
        copy = await instance.storage.read(copies.copy_by_id, old)
        assert copy is not None
        assert 0 < copy.until - instance.clock() <= KEPT_MS
        await instance.storage.write(copies.change_copy, old, until=instance.clock() - 1)
        assert (await mira.browser.get(f"/copies/{old}")).status_code == 404, "over is over, pruned or not"
        await prune(instance)
        assert await instance.storage.read(copies.copy_by_id, old) is None
        assert len(set(hashes(vault)) - before) == 1
        assert (await mira.browser.get(f"/copies/{young}")).status_code == 200
        assert await ask(mira.browser, shown, "mastodon") == 303
        assert [found["state"] for found in await settled(mira.browser, shown)] == ["ready", "ready"], "made again"
        await mira.browser.send(f"/works/{shown.work_id}/delete")
        assert set(hashes(vault)) == set()
        assert (await mira.browser.get(f"/copies/{young}")).status_code == 404


@pytest.mark.anyio
async def test_no_second_cloak_is_ever_made_of_a_picture_that_is_out_not_even_after_a_restart(data: Path) -> None:
    """Neither of one published without, nor with another strength than it has, nor another version of the cloak.

    The copy is in hand when the server ends, and is made after its next start.
    """
    light: dict[str, Any] = {"cloak.strength": "light"}
    async with a_world(data, **light) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        shown, bare = await shown_work(world, mira), await shown_work(world, mira, cloak=False)
        assert await ask(mira.browser, bare, "web") == 422
        assert "Download a cloaked copy" not in (await mira.browser.get(f"/@mira/{bare.work_id}")).text
    async with a_world(data, jobs=False) as world:
        await ask_copy(world.instance, mira.account, shown.work_id, shown.image_id, "mastodon")
        (begun,) = (await world.instance.storage.read(copies.copies_of_images, [shown.image_id]))[shown.image_id]
        await world.instance.storage.write(copies.change_copy, begun.id, state=CopyState.MAKING, progress=0.5)
    async with a_world(data, **{**light, "cloak.strength": "strong"}) as world, people_of(world.instance) as people:
        mira, storage = await people.person("mira"), world.instance.storage
        (copy,) = await settled(mira.browser, shown)
        public = (await storage.read(images.shown_images, [shown.image_id]))[shown.image_id].public
        assert public is not None
        got = await mira.browser.get(f"/copies/{copy['id']}")
        assert hashlib.sha256(got.content).hexdigest() == public.sha256, "as it was published, whatever the settings say now"
        image = await storage.read(images.image_by_id, shown.image_id)
        assert image is not None
        earlier = json.dumps({**json.loads(image.cloak_report or ""), "version": 0})
        await storage.write(images.change_image, shown.image_id, cloak_report=earlier)
        assert (await mira.browser.get(f"/copies/{copy['id']}")).status_code == 404, "it has not the public copy's cloak any more"
        await ask(mira.browser, shown, "mastodon")
        (failed,) = await settled(mira.browser, shown)
        assert (failed["state"], failed["words"]) == ("failed", OTHER_VERSION)
        assert OTHER_VERSION in (await mira.browser.get(f"/@mira/{shown.work_id}")).text
        assert (await mira.browser.get(f"/copies/{failed['id']}")).status_code == 404


@pytest.mark.anyio
async def test_a_copy_is_steered_by_the_encoders_of_the_public_one_and_without_them_there_is_none(
    data: Path, tmp_path: Path
) -> None:
    tiny_encoder(tmp_path / "tiny.pth")
    tiny_encoder(tmp_path / "other.pth", seed=2)
    async with a_world(data) as world, people_of(world.instance) as people:
        mira, shelf = await people.person("mira"), world.instance.shelf
        used = shelf.add(tmp_path / "tiny.pth").name
        shown = await shown_work(world, mira)
        shelf.add(tmp_path / "other.pth")  # which came later, and is not the public copy's
        public = (await world.instance.storage.read(images.shown_images, [shown.image_id]))[shown.image_id].public
        assert public is not None
        await ask(mira.browser, shown, "mastodon")
        (copy,) = await settled(mira.browser, shown)
        got = await mira.browser.get(f"/copies/{copy['id']}")
        assert hashlib.sha256(got.content).hexdigest() == public.sha256
        shelf.remove(used)
        await ask(mira.browser, shown, "web")
        assert {"state": "failed", "words": OTHER_ENCODERS}.items() <= (await settled(mira.browser, shown))[1].items()
