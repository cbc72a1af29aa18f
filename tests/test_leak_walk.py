"""The leak walk: whatever picture a stranger can get hold of was made from cloaked pixels.

Addresses come from the route table and from what the answers link to; files from the disk. Each picture found is told
from its two references, one cloaked and one not, processed alike: which share of the step from uncloaked to cloaked does
it have? The same walk over a server whose cloak changes next to nothing must find leaks, or it could not find any.
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Connection, select

from fediart.domain.images import ImageState
from fediart.domain.works import WorkState
from fediart.instance import Instance
from fediart.jobs.runner import running_jobs
from fediart.media.child import render
from fediart.media.pipeline import RenderRequest, order_of
from fediart.media.sample import draw_sample
from fediart.storage import accounts, images, tables, works
from fediart.studio.follow_actor import follow
from tests.addresses import filled, route_table
from tests.people import People, Person, people_of
from tests.waiting import until
from tests.world import a_world

ACCEPTS = ("text/html", "application/activity+json", "application/json")
PICTURE_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
NEGOTIATED = ("/@", "/users/", "/works/", "/actor", "/nodeinfo", "/.well-known/")
"""Only there `Accept` makes a difference, or could."""

STATIC = ("fediart.css", "fediart.js", "mark.svg", "avatar.svg", "header.svg")

Pixels = NDArray[np.float64]

IDENTITY = '''
from fediart.media.cloak.report import CloakReport

class Identity:
    """Changes the last bit of one pixel, so that nobody can say nothing was done."""
    name, version = "identity", 1

    def cloak(self, pictures, order):
        made = [rgb.copy() for rgb in pictures]
        for out in made:
            out[0, 0, 0] ^= 1
        return made, CloakReport(self.name, 1, order.strength, 0.0, 99.0, 1.0, 0.0, 0.0, 0.0, 0.0, True)
'''


@dataclass(slots=True)
class Reference:
    """One picture of the world as it may be shown (`cloaked`) and as it may not (`original`)."""

    name: str
    purpose: str
    is_cloaked: bool
    cloaked: dict[str, Image.Image]
    original: dict[str, Image.Image]
    cloaked_hash: str
    original_hash: str


@dataclass(slots=True)
class Found:
    """What the walk gathered."""

    pictures: dict[str, bytes] = field(default_factory=dict)
    """where it was found → file, one place for each content"""
    hashes: set[str] = field(default_factory=set)
    addresses: int = 0


def _as(data: bytes, kind: str) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).save(out, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return out.getvalue()


# ------------------------------------------------------------------------------------------------------ the world


@dataclass(slots=True)
class Scene:
    people: People
    mira: Person
    files: dict[str, tuple[bytes, str, bool]]
    """name → (uploaded file, purpose, is it to be cloaked?)"""
    works: dict[str, int]


async def _set_scene(instance: Instance, people: People) -> Scene:
    """An artist with works of every audience and state; jobs run until only the waiting one waits."""
    mira = await people.person("mira")
    noor = await people.person("noor")
    await follow(instance, noor.account, mira.account.actor_id)
    files: dict[str, tuple[bytes, str, bool]] = {}
    made: dict[str, int] = {}
    kinds = ("JPEG", "PNG", "WEBP")

    def picture(
        name: str, number: int, *, size: tuple[int, int] = (448, 336), cloak: bool = True, purpose: str = "work"
    ) -> bytes:
        data = _as(draw_sample(*size, seed=100 + number), kinds[number % 3])
        files[name] = (data, purpose, cloak)
        return data

    async with running_jobs(instance):
        for purpose, number in (("avatar", 1), ("header", 2)):
            upload = {purpose: (f"{purpose}.png", picture(purpose, number, size=(900, 400), purpose=purpose), "image/png")}
            assert (await mira.browser.send("/settings/profile", {"name": "Mira"}, files=upload)).status_code == 303
        for number, visibility in enumerate(("public", "unlisted", "private"), start=3):
            name = f"{visibility} work"
            media = await _upload(mira, name, picture(name, number, size=(1_400, 1_050) if number == 3 else (448, 336)))
            said = {"status": f"A {visibility} work #oil", "media_ids": [media], "visibility": visibility}
            made[name] = int((await mira.api.post("/api/v1/statuses", json=said)).json()["id"])
        # Off by the artist's own choice, in the composer.
        made["bare work"] = await _compose(mira, "bare", picture("bare work", 7, cloak=False), cloak=False)
        made["draft"] = await _compose(mira, "draft", picture("draft", 8), publish=False)
        await until(lambda: _rest(instance))
    # Nobody runs jobs any more: this one stays waiting, with nothing rendered.
    media = await _upload(mira, "waiting work", picture("waiting work", 9))
    answer = await mira.api.post("/api/v1/statuses", json={"status": "Soon #oil", "media_ids": [media]})
    made["waiting work"] = int(answer.json()["id"])
    return Scene(people, mira, files, made)


async def _upload(who: Person, name: str, data: bytes) -> str:
    answer = await who.api.post("/api/v2/media", files={"file": (f"{name}.img", data)}, data={"description": name})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def _compose(who: Person, words: str, data: bytes, *, cloak: bool = True, publish: bool = True) -> int:
    started = await who.browser.send("/compose")
    path = started.headers["location"]
    sent = await who.browser.send(path, {"text": words, "action": "add"}, files={"pictures": ("a.img", data)}, page=path)
    assert sent.status_code == 303, sent.text
    number = re.search(r'data-image="(\d+)"', (await who.browser.get(path)).text)
    assert number
    said = {"text": words, "action": "publish-anyway" if publish else "save"}
    said[f"cloak-{number[1]}"] = "standard" if cloak else "none"
    sent = await who.browser.send(path, said, page=path)
    assert sent.status_code == 303, sent.text
    return int(sent.headers["location"].split("#")[0].rpartition("/")[2])


async def _rest(instance: Instance) -> bool:
    def is_at_rest(db: Connection) -> bool:
        busy = tables.images.c.state.in_([ImageState.WAITING, ImageState.CLOAKING])
        return (
            db.execute(select(tables.images.c.id).where(busy)).first() is None
            and db.execute(select(tables.works.c.id).where(tables.works.c.state == WorkState.WAITING)).first() is None
            and db.execute(select(tables.jobs.c.id)).first() is None
        )

    return await instance.storage.read(is_at_rest)


async def _references(scene: Scene, folder: Path, secret: bytes) -> list[Reference]:
    out = []
    for name, (data, purpose, is_cloaked) in scene.files.items():
        path = folder / "reference"
        path.write_bytes(data)
        shown: list[dict[str, Image.Image]] = []
        hashes = []
        for cloak in (True, False):
            made_in = folder / f"{name}-{cloak}"
            made_in.mkdir()
            # What the child process does, here: starting one for each would take longer than the rest.
            request = RenderRequest(path, purpose, cloak, secret, "standard", "texture", made_in)
            result = await asyncio.to_thread(render, order_of(request))
            made = {item["kind"]: Path(item["path"]).read_bytes() for item in result["renditions"]}
            shown.append({kind: Image.open(io.BytesIO(data)).convert("RGB") for kind, data in made.items()})
            hashes.append(result["blurhash"])
        out.append(Reference(name, purpose, is_cloaked, shown[0], shown[1], hashes[0], hashes[1]))
    return out


# ------------------------------------------------------------------------------------------------------- the walk


async def _walk(scene: Scene, client: httpx.AsyncClient, found: Found, *, api: bool | None = None) -> None:
    """Ask every address there is, and every address that an answer names. `api`: only those of the client API, or only others."""
    instance = scene.people.instance
    ids = [str(id_) for id_ in await instance.storage.read(_all_ids)]
    values = {
        "name": ["mira", "noor", "mira@localhost:8000"],
        "username": ["mira", "noor"],
        "id": ids,
        "work_id": ids,
        "image_id": ids,
        "file_id": ids[:1],
        "quote_id": ids[:1],
        "number": ["1", "9"],
        "tag": ["oil"],
        "version": ["2.0", "2.1"],
    }
    routes = [route for route in route_table(scene.people.app) if "GET" in (route.methods or ())]
    assert len(routes) > 40
    waiting: list[str] = []
    for route in routes:
        if api is not None and api != route.path.startswith("/api/"):
            continue
        names = {"name": STATIC} if route.path.startswith("/static/") else {}
        waiting += filled(route.path, {**values, **names})
    waiting += [
        "/@mira?max_id=9223372036854775807",
        "/users/mira/outbox?page=true",
        "/.well-known/webfinger?resource=acct:mira@localhost:8000",
    ]
    waiting += ["/api/v1/accounts/lookup?acct=mira", "/api/v1/timelines/public?limit=40", "/api/v2/search?q=mira"]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        for accept in ACCEPTS if path.startswith(NEGOTIATED) else ACCEPTS[:1]:
            answer = await client.get(path, headers={"accept": accept}, follow_redirects=False)
            found.addresses += 1
            assert answer.status_code < 500, (path, answer.status_code)
            for address in _read(f"GET {path} ({accept})", answer, found):
                local = address.removeprefix(instance.config.base_url)
                if local.startswith("/") and not local.startswith("//") and local not in seen:
                    seen.add(local)
                    waiting.append(local)


def _all_ids(db: Connection) -> list[int]:
    return sorted(
        {id_ for table in (tables.works, tables.images, tables.actors) for id_ in db.execute(select(table.c.id)).scalars()}
    )


def _read(where: str, answer: httpx.Response, found: Found) -> Iterator[str]:
    """Keep a picture whatever its answer calls itself; else yield every address that the text names."""
    body = answer.content
    if body.startswith(PICTURE_MAGIC) or answer.headers.get("content-type", "").startswith("image/"):
        if not answer.headers.get("content-type", "").startswith("image/svg"):
            found.pictures.setdefault(hashlib.sha256(body).hexdigest() + " " + where.split(" (")[0], body)
        return
    text = html.unescape(html.unescape(body.decode()))
    assert "data:image" not in text, f"{where} carries a picture in its text"
    yield from re.findall(r"""(?<=["'\s(,])(?:https?://[^"'\s<>(),]+|/[^"'\s<>(),]+)""", text)
    if "location" in answer.headers:
        yield answer.headers["location"]
    if "json" in answer.headers.get("content-type", "") and body:
        found.hashes |= set(_blurhashes(json.loads(body)))


def _blurhashes(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "blurhash" and inner:
                yield inner
            elif key != "@context":
                yield from _blurhashes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _blurhashes(inner)


# ------------------------------------------------------------------------------------------------------ the judge


def _pixels(picture: Image.Image, size: tuple[int, int]) -> Pixels:
    return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BOX), dtype=np.float64)


def _whose(picture: Image.Image, references: list[Reference]) -> tuple[Reference, float]:
    """Which picture of the world this is, and how far it is from it (root mean square at 16 × 16)."""
    small = _pixels(picture, (16, 16))
    far = [
        (float(np.sqrt(np.mean((_pixels(ref.original["public"], (16, 16)) - small) ** 2))), n) for n, ref in enumerate(references)
    ]
    distance, number = min(far)
    return references[number], distance


def share_cloaked(picture: Image.Image, ref: Reference) -> float:
    """0: it is the uncloaked picture; 1: the cloaked one. Compared with the rendition of its own size."""
    kind = min(ref.cloaked, key=lambda name: abs(ref.cloaked[name].width - picture.width))
    size = picture.size
    cloaked, original, given = (_pixels(each, size) for each in (ref.cloaked[kind], ref.original[kind], picture))
    step = cloaked - original
    assert np.abs(step).mean() > 0.3, f"{ref.name}: its references do not differ"
    return float(((given - original) * step).sum() / (step * step).sum())


def leaks_in(found: Found, references: list[Reference]) -> list[str]:
    """What the walk found that is not made from cloaked pixels, or that cannot be explained at all."""
    out = []
    for where, data in found.pictures.items():
        with Image.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
        ref, distance = _whose(picture, references)
        if distance > 12:
            out.append(f"{where}: a picture that nobody published (nearest: {ref.name}, {distance:.0f} away)")
        elif ref.is_cloaked and (share := share_cloaked(picture, ref)) < 0.5:
            out.append(f"{where}: {ref.name} is {share:.2f} cloaked")
    allowed = {ref.cloaked_hash if ref.is_cloaked else ref.original_hash for ref in references}
    out += [f"a blurhash of uncloaked pixels: {each}" for each in found.hashes - allowed]
    return out


def _disk(instance: Instance, found: Found) -> None:
    for path in (instance.data / "media").rglob("*"):
        if path.is_file():
            found.pictures[f"disk {path.name}"] = path.read_bytes()


# ------------------------------------------------------------------------------------------------------ the tests


@pytest.mark.anyio
@pytest.mark.row(39)
async def test_every_picture_that_anybody_but_the_artist_can_fetch_is_cloaked(tmp_path: Path) -> None:
    async with a_world(tmp_path / "data", jobs=False) as world, people_of(world.instance) as people:
        scene = await _set_scene(world.instance, people)
        references = await _references(scene, tmp_path, scene.mira.account.cloak_secret)
        stranger, follower = Found(), Found()
        await _walk(scene, await people.client(), stranger)
        noor = await people.person("noor")
        await _walk(scene, noor.api, follower, api=True)
        await _walk(scene, noor.browser.http, follower, api=False)
        seen_on_pages = {_whose(Image.open(io.BytesIO(data)), references)[0].name for data in stranger.pictures.values()}
        linked = {where for where in stranger.pictures if "GET /media/" in where}
        assert seen_on_pages >= {"avatar", "header", "public work", "unlisted work", "bare work"}
        assert len(linked) >= 10, "two renditions of each of them, three of a large one, but of a header, which has one size"
        assert 1_280 in {Image.open(io.BytesIO(stranger.pictures[where])).width for where in linked}
        assert len(stranger.hashes) >= 3
        _disk(world.instance, stranger)
        assert leaks_in(stranger, references) == []
        assert leaks_in(follower, references) == []
        originals = {hashlib.sha256(data).hexdigest() for data, _, _ in scene.files.values()}
        bodies = [*stranger.pictures.values(), *follower.pictures.values()]
        assert not originals & {hashlib.sha256(body).hexdigest() for body in bodies}
        assert not any(path.name.endswith(".part") for path in (world.instance.data / "media").rglob("*"))
        await _originals_are_their_artists_alone(scene, noor)


async def _originals_are_their_artists_alone(scene: Scene, noor: Person) -> None:
    instance = scene.people.instance
    stranger = await scene.people.client()
    nobodys = await scene.people.client("not a token of anybody")
    narrow = (await scene.people.person("mira", scopes="write follow")).api
    held = await instance.storage.read(images.images_of_works, list(scene.works.values()))
    pictures = [shown.image for of_work in held.values() for shown in of_work]
    assert len(pictures) == 6
    absent = await stranger.get("/originals/1234567890123456")
    assert absent.status_code == 404
    for image in pictures:
        path = f"/originals/{image.id}"
        for who in (stranger, nobodys, narrow, noor.api, noor.browser.http):
            answer = await who.get(path)
            assert answer.status_code == 404
            assert answer.headers["cache-control"] in ("private, no-store", "no-store")
        assert (await stranger.get(path)).content.replace(str(image.id).encode(), b"1234567890123456") == absent.content
        for owner in (scene.mira.browser.http, scene.mira.api):
            answer = await owner.get(path)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"
            assert hashlib.sha256(answer.content).hexdigest() == image.original_sha256
    vault = [path for path in (instance.data / "originals").rglob("*") if path.is_file()]
    assert len(vault) == len(scene.files)
    assert {path.stat().st_mode & 0o777 for path in vault} == {0o600}


@pytest.mark.anyio
async def test_the_walk_finds_leaks_when_the_pipeline_shows_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cloak that cloaks nothing comes in by the same door as any other: an installed package."""
    package = tmp_path / "package"
    (package / "identity_cloak-1.dist-info").mkdir(parents=True)
    (package / "identity_cloak.py").write_text(IDENTITY)
    (package / "identity_cloak-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: identity-cloak\nVersion: 1\n")
    (package / "identity_cloak-1.dist-info" / "entry_points.txt").write_text(
        "[fediart.cloaks]\nidentity = identity_cloak:Identity\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package))
    async with (
        a_world(tmp_path / "data", jobs=False, **{"cloak.backend": "identity"}) as world,
        people_of(world.instance) as people,
    ):
        scene = await _set_scene(world.instance, people)
        secret = (await world.instance.storage.read(accounts.account_named, "mira") or scene.mira.account).cloak_secret
        references = await _references(scene, tmp_path, secret)
        found = Found()
        await _walk(scene, await people.client(), found)
        of_answers = leaks_in(found, references)
        leaked = {name for name in scene.files if any(f"{name} is" in line for line in of_answers)}
        assert leaked == {"avatar", "header", "public work", "unlisted work"}
        for ref in references:
            # A hash is so coarse that often both pixels give the same one; where they do not, it is told.
            if ref.name in ("public work", "unlisted work") and ref.cloaked_hash != ref.original_hash:
                assert f"a blurhash of uncloaked pixels: {ref.original_hash}" in of_answers
        _disk(world.instance, found)
        of_all = leaks_in(found, references)
        assert {name for name in scene.files if any(f"{name} is" in line for line in of_all)} >= leaked | {
            "private work",
            "draft",
        }
        waiting = await world.instance.storage.read(works.work_by_id, scene.works["waiting work"])
        assert waiting is not None
        assert waiting.state == WorkState.WAITING
