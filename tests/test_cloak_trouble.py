"""When a cloak cannot be made: the work stays a draft with a sentence that says what to do, and nothing uncloaked leaves.

And when an encoder cannot be used: it is set aside, and pictures are cloaked by what is left, which their records tell.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs

from fediart.errors import BadPicture, EncoderFailed
from fediart.instance import Instance
from fediart.media import pipeline
from fediart.media.cloak.backend import CloakOrder
from fediart.media.cloak.encoders import Encoder
from fediart.media.cloak.layers import layers_of
from fediart.media.cloak.shelf import Shelf
from fediart.media.cloak.steered import SteeredCloak
from fediart.media.pipeline import RenderRequest, render
from fediart.media.sample import draw_sample
from fediart.storage import copies, images, redos
from fediart.studio.copy_image import OTHER_ENCODERS, ask_copy
from fediart.studio.redo_cloaks import look_ahead, redo_step, start_redo
from tests.commands import run_command
from tests.patient_cloak import NAME, install_patient_cloak
from tests.pictures import KINDS
from tests.servers import Keeper, running, wait_for
from tests.tiny_encoder import tiny_encoder, tiny_weights
from tests.waiting import until
from tests.world import World, a_world

SMALL = draw_sample(96, 64)


def a_png(size: tuple[int, int], colour: str | None = None) -> bytes:
    """Of one colour, or (None) noise."""
    out = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3) if colour is None else (1, 1, 3), dtype=np.uint8)
    (Image.fromarray(noise) if colour is None else Image.new("RGB", size, colour)).save(out, "PNG", compress_level=1)
    return out.getvalue()


# --------------------------------------------------------------------------------------------- what artists are told


class Upload:
    """An artist with a client program and a browser, at a real server."""

    def __init__(self, keeper: Keeper, browser: httpx.Client) -> None:
        self.keeper, self._browser = keeper, browser

    def token(self, page: str) -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self._browser.get(page).text)
        assert found is not None, page
        return found[1]

    def press(self, page: str, **said: str) -> httpx.Response:
        return self._browser.post(page, data={"form_token": self.token(page), **said})

    def refused(self, data: bytes) -> tuple[int, str]:
        """What is said at the door."""
        answer = self.keeper.client.post("/api/v2/media", files={"file": ("a picture.png", data, "image/png")})
        return answer.status_code, answer.json().get("error", "")

    def sent(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """(the picture, what becomes of a work with it)."""
        image = self.keeper.upload(data)
        work = self.keeper.post("some words", image)
        wait_for("it was tried", self.is_idle)
        found: dict[str, Any] = self.keeper.ask("GET", f"/api/v1/statuses/{work['id']}")
        return image, found

    def is_idle(self) -> bool:
        return bool(self.keeper.ask("GET", "/healthz")["jobs"]["waiting"] == 0)

    def held(self, data: bytes) -> tuple[str, str, str]:
        """(the sentence, the picture, its draft's page) of a work that cannot go out. It says so wherever one can look."""
        before = self.public()
        image, work = self.sent(data)
        words: str = work["fediart"]["problem"]
        assert work["fediart"]["state"] == "failed"
        page = f"/compose/{work['id']}"
        shown = self._browser.get(page).text
        sentence = words.removeprefix("evening.jpg: ")
        assert sentence.split("; ")[0].replace("'", "&#39;").replace('"', "&#34;") in shown
        assert "some words" in shown
        assert f'value="again-{image}"' in shown
        polled = self.keeper.client.get(f"/api/v1/media/{image}")
        assert (polled.status_code, polled.json()["error"]) == (422, sentence)
        assert httpx.get(f"{self.keeper.side.url}/@mira/{work['id']}", trust_env=False).status_code == 404
        assert self.public() == before, "nothing of it is public"
        return sentence, image, page

    def public(self) -> set[Path]:
        return {path for path in (self.keeper.side.data / "media").rglob("*") if path.is_file()}


@pytest.fixture
def upload(tmp_path: Path) -> Iterator[Upload]:
    """Of a server that gives little memory to a picture."""
    keeper = Keeper(tmp_path / "ours")
    settings = keeper.side.data / "config.toml"
    settings.write_text(settings.read_text() + "cloak.memory_mb = 256\nmedia.upload_bytes = 2000000\n")
    with running(keeper), httpx.Client(base_url=keeper.side.url, timeout=20, trust_env=False) as browser:
        artist = Upload(keeper, browser)
        said = {"username": keeper.side.name, "password": keeper.side.password}
        assert artist.press("/sign-in", **said).status_code == 303
        yield artist


def test_each_picture_that_cannot_be_cloaked_is_told_of_in_a_sentence_that_says_what_to_do(
    upload: Upload, tmp_path: Path
) -> None:
    too_small, tiny, page = upload.held(a_png((1, 1)))
    assert too_small.startswith("A picture needs at least 16 pixels on each side to be cloaked; this one is shown with 1 × 1.")
    assert "Use a larger one, or show it without a cloak." in too_small
    assert "shown with 16 × 15" in upload.held(a_png((16, 15)))[0]
    assert "shown with 5000 × 1" in upload.held(a_png((60_000, 20), "white"))[0]
    for size in ((16, 16), (3_000, 20)):
        assert upload.sent(a_png(size))[1]["fediart" if False else "media_attachments"][0]["url"] is not None, (
            "the least there is"
        )
    flat = upload.sent(a_png((200, 160), "white"))
    assert upload.keeper.ask("GET", f"/api/v1/media/{flat[0]}")["fediart"]["weak"], "a program can ask; a page does"
    whole = draw_sample(600, 400)
    damaged, _, _ = upload.held(whole[: len(whole) // 2])
    assert "damaged" in damaged
    assert "Save it anew" in damaged
    memory, _, _ = upload.held(a_png((6_000, 6_000), "teal"))
    assert "needs more memory than this server gives to one (256 MB). Make it smaller, or have cloak.memory_mb" in memory
    assert upload.refused(b"words") == (422, "This is not a JPEG, PNG, WebP, GIF or AVIF picture, or it is damaged.")
    assert upload.refused(b"") == (422, "This file is empty.")
    assert upload.refused(a_png((8_000, 7_000), "teal")) == (
        413,
        "This picture has 56 megapixels (8000 × 7000); this server takes up to 50.",
    )
    assert upload.refused(bytes(3_000_000)) == (413, "a picture.png is larger than 2 MB, the most this server takes.")

    assert upload.press(page, text="some words", action="publish").status_code == 422
    asked = {f"cloak-{tiny}": "none", "action": "save"}
    assert upload.press(page, text="some words", **asked).status_code == 303
    wait_for("it is ready", upload.is_idle)
    assert upload.press(page, text="some words", action="publish").status_code == 303, "without a cloak, as its artist said"


@pytest.mark.of_the_file
def test_without_the_encoders_that_the_settings_want_a_work_waits_as_a_draft_and_goes_out_once_they_are_there(
    upload: Upload, tmp_path: Path
) -> None:
    keeper, data = upload.keeper, upload.keeper.side.data
    keeper.stop()
    settings = (data / "config.toml").read_text().replace("cloak.memory_mb = 256", 'cloak.backend = "encoders"')
    (data / "config.toml").write_text(settings)
    keeper.start()
    missing, first, page = upload.held(SMALL)
    assert "no encoders here" in missing
    assert "fediart cloak encoders fetch" in missing

    file = tiny_encoder(tmp_path / "tiny.pth")
    name = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    place = data / "encoders" / f"{name}.pth"
    place.parent.mkdir()
    place.write_bytes(file.read_bytes())
    _, work = upload.sent(draw_sample(97, 64))
    assert work["media_attachments"][0]["url"], "it is used as soon as it lies there"
    rot(place)
    tampered, second, other = upload.held(draw_sample(98, 64))
    assert tampered.startswith(f"The encoder {name}, which was to steer this cloak, cannot be used: {place.name} is not the file")
    assert keeper.server is not None
    assert '"cloak.encoder_failed"' in keeper.server.log
    assert re.search(rf"{name} .* tampered", run_command("cloak", "encoders", "list", "--data", str(data)).told)
    assert "no encoders here" in upload.held(draw_sample(99, 64))[0]

    place.write_bytes(file.read_bytes())
    for image, draft in ((first, page), (second, other)):
        assert upload.press(draft, text="some words", action=f"again-{image}").status_code == 303
        wait_for("it is ready", lambda image=image: keeper.client.get(f"/api/v1/media/{image}").status_code == 200)  # type: ignore[misc]
        sent = upload.press(draft, text="some words", action="publish")
        assert re.fullmatch(r"/works/\d+", sent.headers["location"])
    db = sqlite3.connect(data / "fediart.sqlite")
    with contextlib.closing(db):
        methods = {row[0] for row in db.execute("SELECT cloak_method FROM images WHERE state = 'ready'")}
    assert methods == {f"encoders {SteeredCloak.version} standard +{name}"}


def rot(path: Path) -> None:
    """A few bits in the middle turn, as on an old disk: neither size nor time tells."""
    held, was = bytearray(path.read_bytes()), path.stat()
    for at in range(len(held) // 2, len(held) // 2 + 8):
        held[at] ^= 1
    path.write_bytes(held)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


@pytest.mark.anyio
async def test_a_cloak_that_takes_too_long_is_ended_and_its_artist_is_told(
    tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(prepared, tmp_path / "data")
    install_patient_cloak(tmp_path, monkeypatch)  # it waits for a word that nobody says
    monkeypatch.setattr(pipeline, "TIMEOUT_S", 1.0)
    patient: dict[str, Any] = {"cloak.backend": NAME}
    async with a_world(tmp_path / "data", **patient) as world:
        media = await world.upload(SMALL)
        said = {"status": "some words", "media_ids": [media["id"]]}
        work = (await world.client.post("/api/v1/statuses", json=said)).json()["id"]

        async def is_told() -> str:
            told = (await world.client.get(f"/api/v1/statuses/{work}")).json()["fediart"]
            return told["problem"] if told["state"] == "failed" else ""

        assert "took too long. A weaker cloak takes less time" in await until(is_told)
        assert [path for path in (tmp_path / "data" / "media").rglob("*") if path.is_file()] == []


# --------------------------------------------------------------------------------------------------------- memory


async def steered(folder: Path, picture: bytes, memory_mb: int, *encoders: tuple[str, Path]) -> None:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    (folder / "picture").write_bytes(picture)
    request = RenderRequest(
        folder / "picture", "work", True, b"s" * 32, "light", "encoders", out, memory_mb=memory_mb, encoders=encoders
    )
    await render(request, lambda _: None)


@pytest.mark.anyio
async def test_memory_that_runs_out_in_the_midst_of_an_encoder_is_told_as_that(tmp_path: Path) -> None:
    """The run time of encoders has an error of its own for it."""
    wide = ("wide", tiny_encoder(tmp_path / "wide.pth", width=64))
    with pytest.raises(BadPicture, match=r"needs more memory .*\(400 MB\).* cloak\.memory_mb") as told:
        await steered(tmp_path, draw_sample(320, 240), 400, wide)
    assert "ONNXRuntimeError" in (told.value.detail or "")
    assert list((tmp_path / "out").iterdir()) == []


# ------------------------------------------------------------------------------------------------------- encoders


def test_in_which_order_encoders_are_written_down_changes_no_pixel(tmp_path: Path) -> None:
    files = [
        (name, tiny_encoder(tmp_path / name, seed=seed, width=width))
        for seed, (name, width) in enumerate((("b", 40), ("a", 40), ("c", 8)), 1)
    ]  # two dear ones take turns
    picture = KINDS["painting"](64, 48, 1)
    made = [SteeredCloak().cloak([picture], CloakOrder(b"s" * 32, "light", tuple(order))) for order in (files, files[::-1])]
    (one, first), (other, second) = made
    assert np.array_equal(one[0], other[0])
    assert first.encoders == second.encoders == ["a", "b", "c"]


def test_the_settings_order_of_encoders_is_none(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "encoders")
    for seed in range(1, 4):
        shelf.add(tiny_encoder(tmp_path / "tiny.pth", seed=seed))
    names = [found.name for found in shelf.held()]
    assert [name for name, _ in shelf.to_steer_by(names[::-1])] == sorted(names)


def test_layers_that_do_not_run_are_told_by_the_name_of_their_encoder() -> None:
    encoder = Encoder("odd", layers_of(tiny_weights()))
    with pytest.raises(EncoderFailed, match="The encoder odd, which was to steer this cloak, cannot be used") as told:
        encoder.encode(np.zeros((5, 16, 16), np.float32))
    assert told.value.encoder == "odd"


async def method_of(instance: Instance, image_id: int) -> str | None:
    image = await instance.storage.read(images.image_by_id, image_id)
    assert image is not None
    return image.cloak_method


async def published(world: World, picture: bytes) -> tuple[int, int]:
    """(work, picture)."""
    media = await world.upload(picture)
    said = {"status": "some words", "media_ids": [media["id"]]}
    work = int((await world.client.post("/api/v1/statuses", json=said)).json()["id"])

    async def is_out() -> bool:
        found = await world.stranger.get(f"/@mira/{work}")
        return found.status_code == 200

    await until(is_out)
    return work, int(media["id"])


@pytest.mark.anyio
async def test_an_encoder_that_rots_on_disk_is_set_aside_and_pictures_are_cloaked_by_the_others(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path / "data") as world:
        instance = world.instance
        good, bad = (instance.shelf.add(tiny_encoder(tmp_path / "tiny.pth", seed=seed)) for seed in (1, 2))
        both = f"encoders {SteeredCloak.version} standard" + "".join(f" +{name}" for name in sorted((good.name, bad.name)))
        one = f"encoders {SteeredCloak.version} standard +{good.name}"
        work, first = await published(world, draw_sample(96, 64, seed=1))
        assert await method_of(instance, first) == both
        rot(bad.path)
        with capture_logs() as logs:
            _, second = await published(world, draw_sample(96, 64, seed=2))
        assert [(line["encoder"], line["left"]) for line in logs if line["event"] == "cloak.encoder_failed"] == [(bad.name, 1)]
        assert await method_of(instance, second) == one
        outlook = await look_ahead(instance, None)
        assert (outlook.method, outlook.behind) == (one, 1), "the new picture is not behind for ever"

        # A copy meets it as well: with other encoders than the public picture's there is none.
        def mend() -> None:
            bad.path.write_bytes(tiny_encoder(tmp_path / "tiny.pth", seed=2).read_bytes())

        mend()
        assert (await look_ahead(instance, None)).method == both, "a file that was mended is used again"
        rot(bad.path)
        await ask_copy(instance, world.artist, work, first, "web")

        async def failed() -> str:
            (copy,) = (await instance.storage.read(copies.copies_of_images, [first]))[first]
            return copy.problem if not instance.scratch_copy(copy.id).exists() else ""

        assert await until(failed) == OTHER_ENCODERS

    # And so does a run over old works, which ends all the same.
    async with a_world(tmp_path / "data", jobs=False) as world:
        instance = world.instance
        mend()
        outlook = await look_ahead(instance, None)
        assert (outlook.method, outlook.behind) == (both, 1)
        rot(bad.path)
        for every, counted in ((False, (0, 0, 1)), (False, (1, 0, 0))):
            redo = await start_redo(instance, None, every=every)
            assert redo is not None
            while (now := await instance.storage.read(redos.redo_by_id, redo.id)) and now.state == "running":
                await redo_step(instance, redo.id)
            assert now is not None
            assert (now.redone, now.failed, now.dropped) == counted
        assert [await method_of(instance, image) for image in (first, second)] == [one, one]
        assert (await look_ahead(instance, None)).behind == 0
        assert list(instance.unfinished.iterdir()) == []
