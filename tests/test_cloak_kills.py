"""SIGKILL while encoders steer a cloak, in every phase of it, with real processes: of the server, and of the child alone.

Whatever is killed, and when: each work goes out once, its pictures are to the last bit those of a run that nobody disturbed,
steps that were done are not done again, and no file in the public store is ever anything but a whole cloaked picture.

By default one kill in most phases; FEDIART_LONG=1 kills many times in each. FEDIART_SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from fediart.clock import system_clock
from fediart.config import load_config
from fediart.domain.cloaks import CloakStrength
from fediart.instance import open_instance
from fediart.media.pipeline import RenderRequest, render
from fediart.media.sample import draw_sample
from fediart.office.sweep_files import KEEP_MS, sweep_files
from fediart.storage import accounts
from fediart.studio.estimate_cloak import learn
from tests.servers import Keeper, Server, running, wait_for
from tests.tiny_encoder import tiny_encoder

LONG = os.environ.get("FEDIART_LONG") == "1"
SEED = int(os.environ.get("FEDIART_SEED") or time.time_ns() % 1_000_000)
PICTURE = draw_sample(320, 240)
STEPS = 10
"""Of a cloak of strength `standard`."""


def printed(path: Path) -> str:
    """Of the pixels of a whole file: what is written beside them, of rights for instance, may say where and when."""
    with Image.open(path) as opened:
        return hashlib.sha256(np.asarray(opened.convert("RGB")).tobytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class Studio:
    """A server with an artist and an encoder, and what her picture must become there: print by kind of rendition."""

    keeper: Keeper
    texture: dict[str, str]
    steered: dict[str, str]

    @property
    def data(self) -> Path:
        return self.keeper.side.data

    @property
    def server(self) -> Server:
        assert self.keeper.server is not None
        return self.keeper.server

    def rows(self, sql: str) -> list[Any]:
        db = sqlite3.connect(f"file:{self.data / 'fediart.sqlite'}?mode=ro", uri=True, timeout=20)
        with contextlib.closing(db):
            return [row[0] if len(row) == 1 else row for row in db.execute(sql).fetchall()]

    def published(self) -> dict[str, str]:
        """Path in the public store → print."""
        root = self.data / "media"
        paths = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")]
        return {str(path.relative_to(root)): printed(path) for path in paths}

    def shown(self, images: set[int]) -> set[tuple[str, str]]:
        """(kind, print) of what these pictures are shown as."""
        ids = ", ".join(map(str, images))
        rows = self.rows(f"SELECT kind, name FROM renditions WHERE image_id IN ({ids})")
        return {(kind, printed(self.data / "media" / name)) for kind, name in rows}

    def scratch(self, kind: str, id_: str) -> Path:
        """Where a picture (`cloak`), an old one (`recloak`) or a copy (`copy`) is in the making."""
        return self.data / "unfinished" / f"{kind}-{id_}"

    def steps(self, kind: str, id_: str) -> int:
        """So many are done and kept."""
        try:
            (saved,) = self.scratch(kind, id_).glob("direction-*[!t].npz")
            with np.load(saved) as held:
                return int(held["step"])
        except (ValueError, OSError, KeyError, zipfile.BadZipFile):
            return 0

    def children(self) -> list[int]:
        """Processes of the server that prepare pictures."""
        table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
        lines = [line.split(None, 2) for line in table.splitlines()]
        mine = [line for line in lines if int(line[1]) == self.server.process.pid]
        return [int(line[0]) for line in mine if "fediart.media.child" in line[2]]

    def told(self, event: str, key: str) -> dict[int, int]:
        """By id, how many steps had been done before, as the log tells of each picture that became ready."""
        lines = [json.loads(line) for line in self.server.log.splitlines() if f'"{event}"' in line]
        return {line[key]: line["resumed"] for line in lines}

    def is_idle(self) -> bool:
        health = self.keeper.ask("GET", "/healthz")
        return bool(health["jobs"]["waiting"] == health["deliveries"]["waiting"] == 0)


async def _undisturbed(data: Path, folder: Path, backend: str, encoders: tuple[tuple[str, Path], ...]) -> dict[str, str]:
    """The same picture with the same secret, prepared at once."""
    folder.mkdir()
    (folder / "picture").write_bytes(PICTURE)
    async with open_instance(load_config(data / "config.toml", {}), data) as instance:
        account = await instance.storage.read(accounts.account_named, "mira")
        assert account is not None
        # Else a server that was started a moment ago would measure samples beside what the test looks at.
        for strength in CloakStrength:
            await learn(instance, strength, 1.0, 5.0)
    request = RenderRequest(
        folder / "picture", "work", True, account.cloak_secret, "standard", backend, folder, memory_mb=2_048, encoders=encoders
    )
    made = await render(request, lambda _: None)
    assert made.report is not None
    assert made.report.resumed == 0
    return {item.kind: printed(item.path) for item in made.renditions}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """Its encoder lies beside the shelf at first."""
    keeper = Keeper(tmp_path / "ours")
    data = keeper.side.data
    file = tiny_encoder(tmp_path / "tiny.pth", width=16)
    name = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    shelf = data / "encoders" / f"{name}.pth"
    shelf.parent.mkdir()
    file.rename(shelf)
    steered = asyncio.run(_undisturbed(data, tmp_path / "steered", "encoders", ((name, shelf),)))
    shelf.rename(shelf.with_suffix(".aside"))
    texture = asyncio.run(_undisturbed(data, tmp_path / "texture", "texture", ()))
    with running(keeper):
        yield Studio(keeper, texture, steered)


def put_on_the_shelf(studio: Studio) -> None:
    (file,) = (studio.data / "encoders").glob("*.aside")
    file.rename(file.with_suffix(".pth"))


# ------------------------------------------------------------------------------------------------------ the phases


Phase = Callable[[Studio, str, random.Random], None]
"""Returns while a picture of the server is in it."""


def in_the_steps(studio: Studio, image: str, dice: random.Random) -> None:
    wanted = dice.randrange(2, STEPS - 3)
    wait_for("some steps are done", lambda: studio.steps("cloak", image) >= wanted, every=0.002)
    assert studio.steps("cloak", image) < STEPS, "it was missed"


def while_it_is_laid_in(studio: Studio, image: str, dice: random.Random) -> None:
    wait_for("all steps are done", lambda: studio.steps("cloak", image) == STEPS, every=0.002)
    time.sleep(dice.random() * 0.1)


def while_renditions_are_written(studio: Studio, image: str, dice: random.Random) -> None:
    wait_for("a file is written", (studio.scratch("cloak", image) / "public.jpg").exists, every=0.0005)


@contextlib.contextmanager
def nobody_else_writes(studio: Studio) -> Iterator[None]:
    """Whoever wants to change the database waits meanwhile."""
    db = sqlite3.connect(studio.data / "fediart.sqlite", timeout=20, isolation_level=None)
    with contextlib.closing(db):
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


def between_files_and_row(studio: Studio, image: str) -> None:
    """Kills here: the files are in the public store, and the row that names them cannot be committed."""
    before = set(studio.published())
    wait_for("all steps are done", lambda: studio.steps("cloak", image) == STEPS, every=0.002)
    with nobody_else_writes(studio):
        wait_for("both files are there", lambda: len(set(studio.published()) - before) >= 2, every=0.005)
        studio.server.kill()
    named = set(studio.rows("SELECT name FROM renditions"))
    assert len(set(studio.published()) - before - named) == 2, "no row names them"
    studio.keeper.start()


def assert_nothing_but_whole_cloaks_is_public(studio: Studio) -> None:
    assert set(studio.published().values()) <= {*studio.texture.values(), *studio.steered.values()}


def killed_again_and_again(studio: Studio, kind: str, id_: str) -> None:
    for _ in range(4 if LONG else 1):
        held = studio.steps(kind, id_)
        wait_for("another step is done", lambda held=held: studio.steps(kind, id_) > held, every=0.002)  # type: ignore[misc]
        studio.keeper.kill_and_start()
        assert_nothing_but_whole_cloaks_is_public(studio)
    wait_for("all is done", studio.is_idle, seconds=120)


@contextlib.contextmanager
def signed_in(keeper: Keeper) -> Iterator[Callable[[str, dict[str, str]], None]]:
    """Her browser: sends a form."""
    with httpx.Client(base_url=keeper.side.url, timeout=20, trust_env=False) as browser:

        def press(path: str, said: dict[str, str], page: str = "/search") -> None:
            token = re.search(r'name="form_token" value="([0-9a-f]+)"', browser.get(page).text)
            assert token is not None
            assert browser.post(path, data={"form_token": token[1], **said}).status_code == 303, path

        press("/sign-in", {"username": keeper.side.name, "password": keeper.side.password}, "/sign-in")
        yield press


@pytest.mark.of_the_file
def test_a_steered_cloak_that_is_killed_goes_on_from_its_last_step_and_goes_out_once(studio: Studio) -> None:
    print(f"FEDIART_SEED={SEED}")
    dice, keeper = random.Random(SEED), studio.keeper
    old = keeper.post("before there were encoders", keeper.upload(PICTURE))
    wait_for("it is out", studio.is_idle)
    assert set(studio.published().values()) == set(studio.texture.values())
    put_on_the_shelf(studio)
    works, must_go_on = [old], set[int]()

    def killed_in(phase: Phase) -> None:
        image = keeper.upload(PICTURE)
        works.append(keeper.post("the server", image))
        phase(studio, image, dice)
        keeper.kill_and_start()
        must_go_on.add(int(image))
        assert_nothing_but_whole_cloaks_is_public(studio)

    def child_killed() -> None:
        image = keeper.upload(PICTURE)
        works.append(keeper.post("its child alone", image))
        in_the_steps(studio, image, dice)
        (child,) = studio.children()
        before = studio.server.log.count("job.deferred")
        os.kill(child, signal.SIGKILL)
        must_go_on.add(int(image))
        wait_for("the server noticed", lambda: studio.server.log.count("job.deferred") > before)
        if LONG:
            wait_for("it is ready", studio.is_idle, seconds=120)  # else the next one is killed while it waits

    child_killed()
    for phase in (in_the_steps, while_it_is_laid_in, while_renditions_are_written) if LONG else (in_the_steps,):
        for _ in range(6 if LONG else 1):
            killed_in(phase)
            if LONG:
                wait_for("it is out", studio.is_idle, seconds=120)
    if LONG:
        for _ in range(3):
            child_killed()
    wait_for("all is out", studio.is_idle, seconds=120)
    works.append(keeper.post("files without rows", last := keeper.upload(PICTURE)))
    between_files_and_row(studio, last)
    must_go_on.add(int(last))
    assert_nothing_but_whole_cloaks_is_public(studio)
    wait_for("all is out", studio.is_idle, seconds=120)

    resumed = studio.told("image.ready", "image")
    assert {id_ for id_, steps in resumed.items() if steps > 0} == must_go_on
    listed = keeper.ask("GET", f"/api/v1/accounts/{old['account']['id']}/statuses", params={"limit": 40})
    assert Counter(item["uri"] for item in listed) == dict.fromkeys([work["uri"] for work in works], 1)
    created = [json.loads(body)["type"] for body in studio.rows("SELECT body FROM activities WHERE work_id > 0")]
    assert Counter(created) == {"Create": len(works)}
    assert studio.shown(must_go_on) == set(studio.steered.items()), "to the last bit what an undisturbed run makes"
    assert list((studio.data / "unfinished").iterdir()) == []

    # An old picture is cloaked again, and a copy of a new one is made.
    with signed_in(studio.keeper) as press:
        press("/settings/cloaks", {"action": "start"})
        (older,) = studio.rows("SELECT image_id FROM redo_turns")
        killed_again_and_again(studio, "recloak", older)
        press(f"/works/{works[-1]['id']}/copy", {"image": last, "platform": "mastodon"})
        (copy,) = studio.rows("SELECT id FROM copies")
        killed_again_and_again(studio, "copy", copy)
    (redone,) = studio.told("redo.picture_ready", "image").values()
    (copied,) = studio.told("copy.ready", "copy").values()
    assert min(redone, copied) > 0, "they went on"
    assert studio.shown({*must_go_on, older}) == set(studio.steered.items())
    (key,) = studio.rows("SELECT vault_key FROM copies WHERE state = 'ready'")
    kept = studio.data / "originals" / key[:2] / key
    assert printed(kept) == studio.steered["public"], "Mastodon keeps what the public copy is"
    assert list((studio.data / "unfinished").iterdir()) == []

    keeper.stop()
    names = set(studio.rows("SELECT name FROM renditions"))
    assert len(set(studio.published()) - names) == 2, "what was killed before its row could be written"
    asyncio.run(_a_day_later(studio))
    assert set(studio.published()) == names
    assert studio.rows("PRAGMA integrity_check") == ["ok"]


async def _a_day_later(studio: Studio) -> None:
    config = load_config(studio.data / "config.toml", {})
    async with open_instance(config, studio.data, clock=lambda: system_clock() + KEEP_MS + 60_000) as instance:
        await sweep_files(instance)
