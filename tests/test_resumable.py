"""Uploads in parts: whatever interrupts one, what arrived stays; its artist, and nobody else, goes on with it or discards it."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import random
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Request, Route, sync_playwright
from sqlalchemy import Connection, func, select, update
from starlette.requests import ClientDisconnect

from fediart.media.sample import draw_sample
from fediart.office.prune import UPLOADS_MS, sweep_uploads
from fediart.storage.tables import images, uploads
from fediart.studio.resume_upload import MOST_UPLOADS, WRITE_BYTES
from tests.chromium import chromium
from tests.commands import run_commands
from tests.people import PASSWORD, People, Person, people_of
from tests.servers import Server, start_server, wait_for
from tests.small_disk import a_small_disk
from tests.waiting import until
from tests.world import World, a_world

PICTURE = draw_sample(640, 480)
BODY = "application/offset+octet-stream"


def noise(side: int) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(7).randbytes(side * side * 3)).save(out, "PNG", compress_level=1)
    return out.getvalue()


class Sender:
    """A page's script."""

    def __init__(self, http: httpx.AsyncClient, token: str, draft: str) -> None:
        self._http = http
        self._token = token
        self.draft = draft

    @property
    def _trusted(self) -> dict[str, str]:
        return {"x-form-token": self._token}

    async def begin(self, length: int, name: str = "evening.jpg", **headers: str) -> httpx.Response:
        said = {"upload-length": str(length), "upload-metadata": f"filename {base64.b64encode(name.encode()).decode()}"}
        return await self._http.post(f"{self.draft}/uploads", headers={**said, **self._trusted, **headers})

    async def address(self, length: int, name: str = "evening.jpg") -> str:
        answer = await self.begin(length, name)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    async def send(self, address: str, offset: int, body: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
        said = {"upload-offset": str(offset), "content-type": BODY, **self._trusted, **headers}
        return await self._http.patch(address, content=body, headers=said)

    async def held(self, address: str) -> int:
        answer = await self._http.head(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        return int(answer.headers["upload-offset"])

    async def discard(self, address: str) -> httpx.Response:
        return await self._http.delete(address, headers=self._trusted)


async def a_sender(person: Person) -> Sender:
    draft = (await person.browser.send("/compose")).headers["location"]
    return Sender(person.browser.http, await person.browser.form_token(draft), draft)


@pytest.fixture
async def stage(prepared: Path, tmp_path: Path) -> AsyncIterator[tuple[World, People, Sender]]:
    shutil.copytree(prepared, tmp_path / "data")
    async with a_world(tmp_path / "data", jobs=False) as world, people_of(world.instance) as people:
        yield world, people, await a_sender(await people.person("mira"))


def _pictures(db: Connection) -> int:
    return db.execute(select(func.count()).select_from(images)).scalar_one()


def _unfinished(db: Connection) -> int:
    return db.execute(select(func.count()).select_from(uploads)).scalar_one()


def files_in(world: World) -> list[Path]:
    return list((world.instance.data / "parts").iterdir())


@pytest.mark.anyio
async def test_an_upload_that_is_interrupted_anywhere_is_gone_on_with(stage: tuple[World, People, Sender]) -> None:
    world, _, sender = stage
    address = await sender.address(len(PICTURE))
    chance = random.Random(3)
    offset = 0
    while offset < len(PICTURE):
        size = min(chance.choice((1, 7, 500, 5_000, 20_000)), len(PICTURE) - offset)
        part = PICTURE[offset : offset + size]

        async def broken(part: bytes = part) -> AsyncIterator[bytes]:
            yield part
            raise ClientDisconnect

        if chance.random() < 0.4:
            assert (await sender.send(address, offset, broken())).status_code == 400
        else:
            answer = await sender.send(address, offset, part)
            assert answer.status_code == 204, answer.text
            assert answer.headers["upload-offset"] == str(offset + size)
        last = offset + size == len(PICTURE)
        offset += size
        if not last:
            assert await sender.held(address) == offset
            for wrong in {0, offset - 1, offset + 1} - {offset}:
                refused = await sender.send(address, wrong, b"x")
                assert (refused.status_code, refused.headers["upload-offset"]) == (409, str(offset))
    if await world.instance.storage.read(_unfinished):
        assert (await sender.send(address, offset, b"")).status_code == 204
    assert await world.instance.storage.read(_pictures) == 1
    assert files_in(world) == []

    def original(db: Connection) -> tuple[str, str]:
        row = db.execute(select(images.c.vault_key, images.c.original_name)).one()
        return row[0], row[1]

    key, name = await world.instance.storage.read(original)
    assert world.instance.vault.path(key).read_bytes() == PICTURE
    assert name == "evening.jpg"
    assert (await sender.send(address, offset, b"")).status_code == 404


@pytest.mark.anyio
async def test_who_comes_later_takes_over_and_a_picture_is_taken_once(stage: tuple[World, People, Sender]) -> None:
    world, _, sender = stage
    address = await sender.address(len(PICTURE))
    goes_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield PICTURE[:1_000]
        await goes_on.wait()
        yield PICTURE[1_000:2_000]

    first = asyncio.create_task(sender.send(address, 0, slow()))
    await until(lambda: world.instance.uploading)
    assert (await sender.send(address, 0, PICTURE[:5_000])).status_code == 204
    goes_on.set()
    refused = await first
    assert (refused.status_code, refused.headers["upload-offset"]) == (409, "5000")
    answers = await asyncio.gather(*(sender.send(address, 5_000, PICTURE[5_000:]) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers)[0] == 204
    assert await world.instance.storage.read(_pictures) == 1
    assert world.instance.uploading == {}


@pytest.mark.anyio
async def test_bounds_and_whose_it_is(stage: tuple[World, People, Sender]) -> None:
    world, people, sender = stage
    most = world.instance.config.media.upload_bytes
    for length, status, words in ((0, 422, "empty"), (most + 1, 413, "takes pictures up to")):
        refused = await sender.begin(length)
        assert refused.status_code == status
        assert words in refused.json()["error"]
    for wrong in ("-1", "x", "", "1" * 30):
        assert (await sender.begin(1, **{"upload-length": wrong})).status_code == 422
    assert (await sender.begin(10, **{"x-form-token": "wrong"})).status_code == 403
    assert (await sender.begin(10, origin="https://elsewhere.example")).status_code == 403
    address = await sender.address(len(PICTURE), "../../x\0.jpg")
    assert (await sender.send(address, 0, b"x", **{"content-type": "image/jpeg"})).status_code == 415
    assert (await sender.send(address, 0, b"x", **{"x-form-token": ""})).status_code == 403
    too_much = await sender.send(address, 0, PICTURE + b"more")
    assert too_much.status_code == 413
    assert await sender.held(address) <= len(PICTURE)
    eve = await a_sender(await people.person("eve"))
    assert (await eve._http.head(address)).status_code == 404
    assert (await eve.send(address, 0, b"x")).status_code == 404
    assert (await eve.discard(address)).status_code == 404
    assert (await Sender(eve._http, eve._token, sender.draft).begin(10)).status_code == 404
    assert (await world.stranger.head(address)).status_code in (401, 303)
    for nonsense in ("/uploads/x", "/uploads/" + "0" * 32, "/uploads/..%2fsecret.key"):
        assert (await sender._http.head(nonsense)).status_code == 404
    assert (await sender.discard(address)).status_code == 204
    assert (await sender._http.head(address)).status_code == 404
    assert files_in(world) == []

    for _ in range(MOST_UPLOADS):
        await sender.address(100)
    refused = await sender.begin(100)
    assert refused.status_code == 429
    assert "Go on with one, or discard one" in refused.json()["error"]
    page = (await sender._http.get(sender.draft)).text
    held = re.findall(r'value="(drop-[0-9a-f]{32})"', page)
    assert len(held) == MOST_UPLOADS
    assert "nothing of 1 kB arrived" in page
    token = await people.person("mira")
    dropped = await token.browser.send(sender.draft, {"action": held[0]}, page=sender.draft)
    assert dropped.status_code == 303
    assert await world.instance.storage.read(_unfinished) == MOST_UPLOADS - 1
    assert (await sender.begin(100)).status_code == 201


@pytest.mark.anyio
async def test_what_is_no_picture_goes_and_what_nobody_goes_on_with_is_swept(stage: tuple[World, People, Sender]) -> None:
    world, _, sender = stage
    words = b"dear server, this is not a picture"
    refused = await sender.send(await sender.address(len(words)), 0, words)
    assert refused.status_code == 422
    assert "not a JPEG" in refused.json()["error"]
    assert files_in(world) == []
    old, young = await sender.address(len(PICTURE)), await sender.address(len(PICTURE))
    for address in (old, young):
        await sender.send(address, 0, PICTURE[:1_000])
    (world.instance.data / "parts" / ("0" * 32)).write_bytes(b"nobody's")
    before = world.instance.clock() - UPLOADS_MS - 1_000

    def age(db: Connection) -> None:
        db.execute(update(uploads).where(uploads.c.id == old.rsplit("/", 1)[1]).values(touched_at=before))

    await world.instance.storage.write(age)
    for path in files_in(world):
        if path.name != young.rsplit("/", 1)[1]:
            os.utime(path, (before / 1000, before / 1000))
    await sweep_uploads(world.instance)
    assert [path.name for path in files_in(world)] == [young.rsplit("/", 1)[1]]
    assert (await sender._http.head(old)).status_code == 404
    assert await sender.held(young) == 1_000


@pytest.mark.anyio
async def test_a_full_disk_refuses_the_rest_and_keeps_what_came(prepared: Path, tmp_path: Path) -> None:
    with a_small_disk(tmp_path / "disk", 48) as disk:
        shutil.copytree(prepared, disk.folder / "data")
        async with a_world(disk.folder / "data", jobs=False) as world, people_of(world.instance) as people:
            sender = await a_sender(await people.person("mira"))
            address = await sender.address(len(PICTURE))
            assert (await sender.send(address, 0, PICTURE[:1_000])).status_code == 204
            disk.leave(2 << 20)
            refused = await sender.send(address, 1_000, PICTURE[1_000:])
            assert refused.status_code == 507
            assert "nearly full" in refused.json()["error"]
            assert (await sender.begin(100)).status_code == 507
            assert await sender.held(address) == 1_000
            disk.empty()
            assert (await sender.send(address, 1_000, PICTURE[1_000:])).status_code == 204
            assert await world.instance.storage.read(_pictures) == 1


# ------------------------------------------------------------------------------------------------------- real servers


def _start(data: Path) -> Server:
    server = start_server(data)
    args = ("--data", str(data), "--config", str(data / "config.toml"))
    (made,) = run_commands(
        [("account", "create", "mira", "--password", PASSWORD, *args)], {"FEDIART_SERVER__PORT": server.url.rpartition(":")[2]}
    )
    assert made.status == 0, made.told
    return server


def test_a_kill_keeps_what_was_written(tmp_path: Path) -> None:
    server = _start(tmp_path / "data")
    picture = noise(900)
    with httpx.Client(base_url=server.url, timeout=30) as http:

        def token(page: str) -> str:
            found = re.search(r'name="form_token" value="([0-9a-f]+)"', http.get(page).text)
            assert found
            return found[1]

        http.post("/sign-in", data={"username": "mira", "password": PASSWORD, "form_token": token("/sign-in")})
        draft = http.post("/compose", data={"form_token": token("/search")}).headers["location"]
        trusted = {"x-form-token": token(draft)}
        begun = http.post(f"{draft}/uploads", headers={**trusted, "upload-length": str(len(picture))})
        address = begun.headers["location"]
        part = tmp_path / "data" / "parts" / address.rsplit("/", 1)[1]

        def until_killed() -> Iterator[bytes]:
            for start in range(0, len(picture) // 2, 65_536):
                yield picture[start : start + 65_536]
                if start > WRITE_BYTES:
                    wait_for("the first megabyte", lambda: part.exists() and part.stat().st_size >= WRITE_BYTES)
                    server.kill()
                    return

        with pytest.raises(httpx.HTTPError):
            http.patch(address, content=until_killed(), headers={**trusted, "upload-offset": "0", "content-type": BODY})
        server = start_server(tmp_path / "data", int(server.url.rpartition(":")[2]))
        try:
            held = int(http.head(address).headers["upload-offset"])
            assert WRITE_BYTES <= held < len(picture)
            assert part.read_bytes() == picture[:held]
            done = http.patch(
                address, content=picture[held:], headers={**trusted, "upload-offset": str(held), "content-type": BODY}
            )
            assert (done.status_code, done.headers["upload-offset"]) == (204, str(len(picture)))
            assert not part.exists()
            assert f'data-image="{done.headers["x-image"]}"' in http.get(draft).text
        finally:
            server.stop()


def test_the_page_goes_on_by_itself_and_after_a_reload(tmp_path: Path) -> None:
    """In a browser: a line that breaks twice, then one that is down until the page is opened again."""
    server = _start(tmp_path / "data")
    large, small = tmp_path / "large.png", tmp_path / "small.jpg"
    large.write_bytes(noise(1_700))
    small.write_bytes(PICTURE)
    assert large.stat().st_size > 8 << 20
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 390, "height": 844})
            page.goto(server.url + "/sign-in")
            page.fill("input[name=username]", "mira")
            page.fill("input[name=password]", PASSWORD)
            page.click("main button")
            page.wait_for_url("**/home")
            page.click("text=New work")
            page.wait_for_url("**/compose/*")
            draft = page.url
            page.fill("textarea[name=text]", "typed meanwhile")
            sent: list[str] = []

            def breaks(route: Route, request: Request) -> None:
                if request.method == "PATCH":
                    sent.append(request.headers["upload-offset"])
                    if len(sent) in (2, 3):
                        route.abort("connectionreset")
                        return
                route.continue_()

            page.route("**/uploads/*", breaks)
            page.set_input_files("input[name=pictures]", [str(large), str(small)])
            page.wait_for_selector("[data-image] >> nth=1", timeout=60_000)
            assert sent[:4] == ["0", str(4 << 20), str(4 << 20), str(4 << 20)]
            assert page.input_value("textarea[name=text]") == "typed meanwhile"

            page.unroute("**/uploads/*")
            page.route("**/uploads/*", lambda route, request: route.abort() if request.method == "HEAD" else route.continue_())
            first = page.evaluate(
                """async (length) => {
                  const token = document.querySelector("input[name=form_token]").value;
                  const id = document.querySelector("[data-compose]").dataset.compose;
                  const name = btoa("small.jpg");
                  const begun = await fetch(`/compose/${id}/uploads`, { method: "POST", headers: {
                    "upload-length": length, "upload-metadata": `filename ${name}`, "x-form-token": token } });
                  return begun.headers.get("location");
                }""",
                len(PICTURE),
            )
            page.unroute("**/uploads/*")
            page.goto(draft)
            assert "Choose the same file again" in page.inner_text("[data-upload]")
            page.set_input_files("input[name=pictures]", [str(small)])
            page.wait_for_selector("[data-image] >> nth=2", timeout=60_000)
            assert page.query_selector("[data-upload]") is None
            assert page.request.head(server.url + first).status == 404

            (tmp_path / "words.txt").write_text("no picture")
            page.set_input_files("input[name=pictures]", [str(tmp_path / "words.txt")])
            page.wait_for_selector(".problem")
            assert "words.txt: This is not a JPEG" in page.inner_text(".problem")
            browser.close()
    finally:
        server.stop()
