"""A disk that is full, or cannot be written, again and again, under a server at work: others are asked to come again, readers
notice nothing, and when there is room it goes on by itself. Nothing that was accepted is lost.

Small by default; FEDIART_LONG=1 goes through a hundred such spells. FEDIART_SEED repeats a run.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.media.sample import draw_sample
from tests.far_hosts import FarHosts, far_hosts
from tests.servers import Keeper, running, wait_for
from tests.small_disk import SmallDisk, a_small_disk
from tests.test_kill import assert_sound, followed, is_idle, rows, said

LONG = os.environ.get("FEDIART_LONG") == "1"
SPELLS = 100 if LONG else 10
SEED = int(os.environ.get("FEDIART_SEED") or time.time_ns() % 1_000_000)
MEGABYTES = 24


@dataclass
class Disks:
    """One for everything but pictures, one for those. Who may not mount any has none: then the process may not write."""

    data: SmallDisk
    media: SmallDisk
    keeper: Keeper
    are_real: bool

    def spell(self, kind: str) -> None:
        if not self.are_real or kind == "nothing can be written":
            self._limit(0)
        elif kind == "the pictures cannot be written":
            self._remount(self.media.folder, "ro")
        for disk in self._full(kind):
            disk.leave(0)

    def mend(self, kind: str) -> None:
        if not self.are_real or kind == "nothing can be written":
            self._limit(resource.RLIM_INFINITY)
        elif kind == "the pictures cannot be written":
            self._remount(self.media.folder, "rw")
        for disk in self._full(kind):
            disk.empty()

    def _full(self, kind: str) -> list[SmallDisk]:
        full = {
            "all is full": [self.data, self.media],
            "the database's is full": [self.data],
            "the pictures' is full": [self.media],
        }
        return full.get(kind, []) if self.are_real else []

    def _limit(self, size: int) -> None:
        """No file of the server's may grow, also none that is open."""
        assert self.keeper.server is not None
        resource.prlimit(self.keeper.server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def _remount(self, folder: Path, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)


KINDS = {
    "all is full": False,
    "the pictures' is full": True,
    "nothing can be written": False,
    "the database's is full": False,
    "the pictures cannot be written": True,
}
"""Kind of spell → can the database be written meanwhile?"""


@dataclass
class Story:
    """What was said to the server, and what it answered."""

    keeper: Keeper
    far: FarHosts
    vera: str
    work: dict[str, Any]
    count: int = 0
    accepted: list[str] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    posted: list[str] = field(default_factory=list)

    def next(self) -> dict[str, Any]:
        """An answer to the artist's work: one that took effect twice would be counted twice."""
        self.count += 1
        uri = f"{self.vera}/notes/{self.count}"
        address = {"to": [AS_PUBLIC], "cc": [f"{self.vera}/followers", self.keeper.uri]}
        note = {
            "id": uri,
            "type": "Note",
            "attributedTo": self.vera,
            "content": f"<p>{self.count} {'so many words ' * 200}</p>",
            "inReplyTo": self.work["uri"],
            "tag": [{"type": "Mention", "href": self.keeper.uri, "name": "@mira"}],
            **address,
        }
        return {**said(self.vera, "Create", note, f"{uri}/activity"), **address}

    def tell(self, activity: dict[str, Any]) -> int:
        body, headers = self.far.signed(f"{self.keeper.side.url}/inbox", activity)
        answer = self.keeper.client.post("/inbox", content=body, headers=headers)
        if answer.status_code == 202:
            self.accepted.append(activity["id"])
        else:
            assert answer.status_code == 503, (answer.status_code, answer.text)
            assert answer.headers["retry-after"] == "300"
            assert "cannot write to its disk" in answer.json()["error"]
            self.refused.append(activity)
        return answer.status_code

    def post(self, words: str) -> int:
        answer = self.keeper.client.post("/api/v1/statuses", json={"status": words})
        if answer.status_code == 200:
            self.posted.append(answer.json()["uri"])
        else:
            assert answer.status_code == 503, (answer.status_code, answer.text)
            assert answer.headers["retry-after"]
        return answer.status_code

    def upload(self) -> int:
        answer = self.keeper.client.post("/api/v2/media", files={"file": ("evening.jpg", draw_sample(320, 240), "image/jpeg")})
        assert answer.status_code in (200, 202, 503, 507), (answer.status_code, answer.text)
        return answer.status_code

    def reads_go_on(self) -> None:
        for path in (
            "/api/v1/timelines/home",
            f"/api/v1/statuses/{self.work['id']}",
            "/api/v1/timelines/public",
            "/@mira",
            "/healthz",
        ):
            answer = self.keeper.client.get(path)
            assert answer.status_code == 200, (path, answer.status_code, answer.text)
        document = httpx.get(self.work["uri"], headers={"accept": "application/activity+json"}, trust_env=False)
        assert document.json()["id"] == self.work["uri"]
        picture = self.keeper.client.get(self.work["media_attachments"][0]["url"])
        assert picture.status_code == 200

    def resume(self) -> None:
        """As other servers do, whoever was asked to come again comes again."""
        waiting, self.refused = self.refused, []
        for activity in waiting:
            assert self.tell(activity) == 202


def is_done_soon(keeper: Keeper) -> bool:
    """Is all done? What waits for its next try need not."""
    if is_idle(keeper):
        return True
    with contextlib.closing(sqlite3.connect(keeper.side.data / "fediart.sqlite", timeout=20)) as db, db:
        for table in ("jobs", "deliveries"):
            db.execute(f"UPDATE {table} SET run_at = 0 WHERE run_at > ?", [time.time_ns() // 1_000_000])
    return False


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    with ExitStack() as stack:
        data = stack.enter_context(a_small_disk(tmp_path / "data", MEGABYTES))
        media = stack.enter_context(a_small_disk(tmp_path / "data" / "media", MEGABYTES))
        keeper = Keeper(tmp_path / "data")
        stack.enter_context(running(keeper))
        yield Disks(data, media, keeper, os.path.ismount(data.folder))


@pytest.mark.of_the_file
@pytest.mark.row(58)
def test_a_disk_that_is_full_again_and_again_costs_nothing_that_was_accepted(disks: Disks) -> None:
    print(f"FEDIART_SEED={SEED}")
    dice = random.Random(SEED)
    keeper = disks.keeper
    with far_hosts(1) as far:
        [vera] = far.actors(1)
        followed(keeper, far, vera)
        assert far.says(keeper.client, f"{keeper.side.url}/inbox", said(vera, "Follow", keeper.uri, f"{vera}#follow")) == 202
        work = keeper.post("An evening", keeper.upload())
        wait_for("it is published", lambda: is_idle(keeper))
        story = Story(keeper, far, vera, keeper.ask("GET", f"/api/v1/statuses/{work['id']}"))
        unwritable = 0
        for spell in range(SPELLS):
            kind = list(KINDS)[spell % len(KINDS)]
            for _ in range(dice.randrange(4)):
                assert story.tell(story.next()) == 202
            story.post(f"before spell {spell}")
            disks.spell(kind)
            answers = [story.tell(story.next()) for _ in range(6)]
            story.post(f"in spell {spell} {'so many words ' * 200}")
            story.upload()
            story.reads_go_on()
            answers += [story.tell(story.next()) for _ in range(dice.randrange(3))]
            if KINDS[kind] and disks.are_real:
                assert set(answers) == {202}, kind
            unwritable += 503 in answers
            disks.mend(kind)
            wait_for("it can be written again", lambda spell=spell: story.post(f"after spell {spell}") == 200)  # type: ignore[misc]
            story.resume()
            assert rows(keeper, "PRAGMA integrity_check") == ["ok"], kind
        print(f"{SPELLS} spells, in {unwritable} of them activities were refused; {len(story.accepted)} accepted")
        assert unwritable >= SPELLS // 3, "hardly any spell was felt: this proves nothing"
        wait_for("everything is handled", lambda: is_done_soon(keeper), every=0.5)

        wanted = {f"{vera}/notes/{n}" for n in range(1, story.count + 1)}
        assert Counter(story.accepted) == dict.fromkeys((f"{uri}/activity" for uri in wanted), 1)
        assert Counter(rows(keeper, "SELECT uri FROM works WHERE in_reply_to_uri IS NOT NULL")) == dict.fromkeys(wanted, 1)
        assert keeper.ask("GET", f"/api/v1/statuses/{work['id']}")["replies_count"] == story.count
        assert rows(keeper, "SELECT count(*) FROM notifications WHERE kind = 'mention'") == [story.count]
        came = Counter(item.document["id"] for item in far.received if item.document["type"] == "Create")
        published = rows(keeper, "SELECT uri FROM works WHERE state = 'published' AND in_reply_to_uri IS NULL")
        assert set(came) == {f"{uri}/activity" for uri in published}
        assert set(story.posted) <= set(published), "what was said to be published is"
        assert keeper.server is not None
        assert keeper.server.process.poll() is None, "it was never started again"
    keeper.stop()
    assert_sound(keeper)
