"""SIGKILL at random instants, real processes: nothing that was accepted is lost, and every effect happens once.

Small by default; FEDIART_LONG=1 runs each proof at full size (1,000 activities, 20 kills). FEDIART_SEED repeats a run.
"""

from __future__ import annotations

import hashlib
import os
import queue
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fediart.activitypub.vocabulary import AS, AS_PUBLIC
from fediart.cli.demo import free_port
from fediart.cli.serve import bound_socket
from fediart.config import load_config
from fediart.media.sample import draw_sample
from tests.far_hosts import FarHosts, far_hosts
from tests.servers import Keeper, running, wait_for

LONG = os.environ.get("FEDIART_LONG") == "1"
KILLS = 20 if LONG else 5
SEED = int(os.environ.get("FEDIART_SEED") or time.time_ns() % 1_000_000)


@pytest.fixture
def dice() -> random.Random:
    print(f"FEDIART_SEED={SEED}")  # pytest shows it when the test fails
    return random.Random(SEED)


@pytest.fixture
def artist(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "ours")
    with running(keeper):
        yield keeper


def rows(keeper: Keeper, sql: str) -> list[Any]:
    """What stands in the database file, read beside the server."""
    connection = sqlite3.connect(f"file:{keeper.side.data / 'fediart.sqlite'}?mode=ro", uri=True, timeout=20)
    try:
        found = connection.execute(sql).fetchall()
    finally:
        connection.close()
    return [row[0] for row in found] if found and len(found[0]) == 1 else found


def kill_now_and_then(keeper: Keeper, dice: random.Random, done: Callable[[], int], total: int, kills: int) -> None:
    """Kill and start the server `kills` times, at random instants while `done` goes from 0 to `total`."""
    for mark in sorted(dice.sample(range(total // 20, total - total // 20), kills)):
        wait_for(f"{mark} of {total} are done", lambda mark=mark: done() >= mark, every=0.001)  # type: ignore[misc]
        time.sleep(dice.random() * 0.02)
        keeper.kill_and_start()


def is_idle(keeper: Keeper) -> bool:
    health = keeper.ask("GET", "/healthz")
    return bool(health["jobs"]["waiting"] == 0 and health["deliveries"]["waiting"] == 0)


def said(actor: str, kind: str, object_: Any, id_: str) -> dict[str, Any]:
    return {"@context": AS, "id": id_, "type": kind, "actor": actor, "object": object_}


def assert_sound(keeper: Keeper) -> None:
    """The file is whole, and no work in progress was left lying about."""
    assert rows(keeper, "PRAGMA integrity_check") == ["ok"]
    # A server that was started a moment ago measures a sample, beside everything else.
    assert [path for path in (keeper.side.data / "unfinished").iterdir() if not path.name.startswith("sample-")] == []
    kinds = {path.name for path in keeper.side.data.iterdir()}
    assert kinds <= {"config.toml", "secret.key", "server.log", "media", "originals", "parts", "unfinished"} | {
        f"fediart.sqlite{tail}" for tail in ("", "-wal", "-shm")
    }


def followed(keeper: Keeper, far: FarHosts, actor: str) -> None:
    """The keeper follows somebody far away, who accepts."""
    id_ = keeper.find(actor)
    keeper.ask("POST", f"/api/v1/accounts/{id_}/follow")
    wait_for("the Follow has come", lambda: far.received)
    assert (
        far.says(keeper.client, f"{keeper.side.url}/inbox", said(actor, "Accept", far.received[0].document, f"{actor}#yes"))
        == 202
    )
    wait_for("the Accept was handled", lambda: keeper.is_following(id_))


# ----------------------------------------------------------------------------------------------------- inbound


class Senders:
    """Sixteen senders at once, each as another server is: what was not answered 202 is sent again, what was is not."""

    def __init__(self, far: FarHosts, inbox: str, activities: list[dict[str, Any]]) -> None:
        self.accepted: list[str] = []
        self.interrupted = 0
        self.wrong: list[object] = []
        self._far, self._inbox = far, inbox
        self._waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        for activity in activities:
            self._waiting.put(activity)
        self._threads = [threading.Thread(target=self._send) for _ in range(16)]

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join(120)

    def _send(self) -> None:
        with httpx.Client(trust_env=False, timeout=20) as client:
            while not self.wrong:
                try:
                    activity = self._waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    status = self._far.says(client, self._inbox, activity)
                except httpx.ConnectError:
                    status = 0
                    time.sleep(0.05)
                except httpx.TransportError:
                    status = 0
                    self.interrupted += 1
                if status == 202:
                    self.accepted.append(activity["id"])
                elif status == 0 or status >= 500:
                    self._waiting.put(activity)
                else:
                    self.wrong.append((status, activity["id"]))


@pytest.mark.row(53)
@pytest.mark.of_the_file
def test_what_was_accepted_before_a_kill_is_there_after_it_and_has_its_effect_once(artist: Keeper, dice: random.Random) -> None:
    count = 1000 if LONG else 200
    with far_hosts(1) as far:
        [vera] = far.actors(1)
        followed(artist, far, vera)
        # Each is an answer to one work of ours: its count of answers would show an effect that happened twice.
        work = artist.post("An evening")

        def create(n: int) -> dict[str, Any]:
            address = {"to": [AS_PUBLIC], "cc": [f"{vera}/followers", artist.uri]}
            note = {
                "id": f"{vera}/notes/{n}",
                "type": "Note",
                "attributedTo": vera,
                "content": f"<p>{n}</p>",
                "inReplyTo": work["uri"],
                "tag": [{"type": "Mention", "href": artist.uri, "name": "@mira"}],
                **address,
            }
            return {**said(vera, "Create", note, f"{vera}/notes/{n}/activity"), **address}

        with Senders(far, f"{artist.side.url}/inbox", [create(n) for n in range(count)]) as senders:
            kill_now_and_then(artist, dice, lambda: len(senders.accepted), count, KILLS)
        assert senders.wrong == []
        assert sorted(senders.accepted) == sorted(f"{vera}/notes/{n}/activity" for n in range(count))
        assert senders.interrupted, "no kill hit anything: this proves nothing"
        wait_for("everything is handled", lambda: is_idle(artist))
        print(f"{count} activities, {senders.interrupted} of them sent again, {KILLS} kills")

    wanted = {f"{vera}/notes/{n}" for n in range(count)}
    assert Counter(rows(artist, "SELECT uri FROM works WHERE in_reply_to_uri IS NOT NULL")) == dict.fromkeys(wanted, 1)
    home: list[str] = []
    newest: dict[str, str] = {}
    while page := artist.ask("GET", "/api/v1/timelines/home", params={"limit": "40", **newest}):
        home += [item["uri"] for item in page]
        newest = {"max_id": page[-1]["id"]}
    assert Counter(home) == dict.fromkeys([*wanted, work["uri"]], 1)
    assert artist.ask("GET", f"/api/v1/statuses/{work['id']}")["replies_count"] == count
    assert rows(artist, "SELECT count(*) FROM notifications WHERE kind = 'mention'") == [count]
    assert_sound(artist)


# ---------------------------------------------------------------------------------------------------- outbound


def post_all(artist: Keeper, texts: list[str]) -> None:
    """Publish these; where a kill cut the answer off, look whether it was done, as a person would."""
    with httpx.Client(base_url=artist.side.url, headers=artist.client.headers, trust_env=False, timeout=20) as client:
        for text in texts:
            while rows(artist, f"SELECT count(*) FROM works WHERE source = '{text}' AND state IN ('waiting', 'published')") == [
                0
            ]:
                try:
                    client.post("/api/v1/statuses", json={"status": text})
                except httpx.TransportError:
                    time.sleep(0.05)


@pytest.mark.row(52)
@pytest.mark.of_the_file
def test_every_delivery_that_was_due_before_a_kill_arrives_after_it(artist: Keeper, dice: random.Random) -> None:
    posts, hosts, per_host = (25, 20, 2) if LONG else (10, 10, 2)
    with far_hosts(hosts, hold_s=0.02) as far:
        followers = far.actors(per_host)
        for follower in followers:
            follow = said(follower, "Follow", artist.uri, f"{follower}#follow")
            assert far.says(artist.client, f"{artist.side.url}/inbox", follow) == 202
        wait_for("every follower has our Accept", lambda: len({item.inbox for item in far.received}) == len(followers))
        wait_for("the Accepts are done with", lambda: is_idle(artist))
        far.received.clear()

        total = posts * len(followers)
        poster = threading.Thread(target=post_all, args=(artist, [f"number {n}" for n in range(posts)]))
        poster.start()
        kill_now_and_then(artist, dice, lambda: len({(item.body, item.inbox) for item in far.received}), total, KILLS)
        poster.join(120)
        wait_for("everything is delivered", lambda: is_idle(artist))

        texts = Counter(rows(artist, "SELECT source FROM works WHERE state = 'published'"))
        assert texts == dict.fromkeys((f"number {n}" for n in range(posts)), 1)
        published = set(rows(artist, "SELECT uri FROM works WHERE state = 'published'"))
        due = {(f"{uri}/activity", f"{follower}/inbox") for uri in published for follower in followers}
        came = Counter((item.document["id"], item.inbox) for item in far.received)
        assert set(came) == due, "every activity at every inbox, and nothing else"
        again = came.total() - len(due)
        print(f"{len(due)} deliveries, {again} repeats, {KILLS} kills")
        assert again <= KILLS * hosts, "at most what was in flight: one to each host"
        bodies = {(item.document["id"], item.body) for item in far.received}
        assert len(bodies) == len(published), "always the same words"
        for follower in followers:
            order = list(dict.fromkeys(item.document["id"] for item in far.received if item.inbox == f"{follower}/inbox"))
            assert order == sorted(order), "each host hears them in the order in which they were said"

    counts = rows(
        artist, "SELECT planned, delivered, failed FROM delivery_counts JOIN activities ON id = activity_id WHERE work_id > 0"
    )
    assert counts == [(len(followers), len(followers), 0)] * len(published), "each counted once"
    assert_sound(artist)


@pytest.mark.of_the_file
@pytest.mark.row(52)
def test_a_killed_server_is_back_at_once_with_a_long_queue_and_forgets_none_of_it(artist: Keeper) -> None:
    """How soon: benchmarks/restart.py."""
    posts, hosts, per_host = (100, 50, 10) if LONG else (6, 5, 10)
    with far_hosts(hosts) as far:
        followers = far.actors(per_host)
        for follower in followers:
            follow = said(follower, "Follow", artist.uri, f"{follower}#follow")
            assert far.says(artist.client, f"{artist.side.url}/inbox", follow) == 202
        wait_for("every follower has our Accept", lambda: len({item.inbox for item in far.received}) == len(followers))
        wait_for("the Accepts are done with", lambda: is_idle(artist))
        far.received.clear()
        post_all(artist, [f"number {n}" for n in range(posts)])
        assert artist.server is not None
        artist.server.kill()
        left = rows(artist, "SELECT count(*) FROM deliveries")[0]
        assert left > 0, "there was no queue: this proves nothing"
        artist.start()
        page = artist.client.get("/@mira")
        assert page.status_code == 200
        assert f"number {posts - 1}" in page.text
        wait_for("everything is delivered", lambda: is_idle(artist))
        came = Counter((item.document["id"], item.inbox) for item in far.received)
        assert len(came) == posts * len(followers)
        print(f"{left} of {len(came)} deliveries were left, {came.total() - len(came)} came twice")
        assert came.total() - len(came) <= hosts
        assert rows(artist, "SELECT count(*) FROM deliveries") == [0]
    assert_sound(artist)


@pytest.mark.of_the_file
@pytest.mark.parametrize("table", ["jobs", "deliveries"])
def test_a_start_frees_what_was_in_hand_without_looking_at_all_that_waits(artist: Keeper, table: str) -> None:
    plan = rows(artist, f"EXPLAIN QUERY PLAN UPDATE {table} SET leased_until = 0 WHERE leased_until > 0")
    assert [line[3] for line in plan] == [f"SEARCH {table} USING INDEX ix_{table}_leased_until (leased_until>?)"]


# ---------------------------------------------------------------------------------------------------- pictures


@pytest.mark.of_the_file
def test_pictures_that_are_killed_while_they_are_cloaked_are_cloaked_after_it(artist: Keeper, dice: random.Random) -> None:
    originals = [draw_sample(900, 700, seed=seed) for seed in range(6)]
    with far_hosts(1) as far:
        [vera] = far.actors(1)
        assert far.says(artist.client, f"{artist.side.url}/inbox", said(vera, "Follow", artist.uri, f"{vera}#follow")) == 202
        wait_for("the follower has our Accept", lambda: far.received)
        far.received.clear()
        works = [artist.post(f"number {n}", artist.upload(data)) for n, data in enumerate(originals)]

        def state(image: int) -> str:
            found: str = rows(artist, f"SELECT state FROM images WHERE id = {image}")[0]
            return found

        def kill_while_it_is_cloaked(image: int) -> bool:
            """False when it was ready before it was hit."""
            wait_for("it is its turn", lambda: state(image) in ("cloaking", "ready"), every=0.005)
            time.sleep(dice.random() * 0.5)
            was_hit = state(image) == "cloaking"
            artist.kill_and_start()
            return was_hit

        pictures = rows(artist, "SELECT id FROM images ORDER BY id")
        hits = [kill_while_it_is_cloaked(image) for image in pictures for _ in range(3 if LONG else 1)]
        assert len(pictures) == 6
        assert sum(hits) >= 3, "hardly any kill hit a cloak: this proves nothing"
        wait_for("all is cloaked, published and delivered", lambda: is_idle(artist), seconds=120)

        states = rows(artist, "SELECT state FROM images")
        assert states == ["ready"] * 6
        listed = artist.ask("GET", f"/api/v1/accounts/{works[0]['account']['id']}/statuses")
        assert Counter(item["uri"] for item in listed) == dict.fromkeys([work["uri"] for work in works], 1)
        came = Counter(item.document["id"] for item in far.received)
        assert set(came) == {f"{work['uri']}/activity" for work in works}
        assert len({item.body for item in far.received}) == 6, "where one came twice, it was the same"

    kept = [path.read_bytes() for path in (artist.side.data / "originals").rglob("*") if path.is_file()]
    assert sorted(kept) == sorted(originals), "each original is there, whole, once"
    served = {hashlib.sha256(httpx.get(item["media_attachments"][0]["url"], trust_env=False).content).digest() for item in listed}
    assert len(served) == 6
    assert served.isdisjoint(hashlib.sha256(data).digest() for data in originals)
    assert_sound(artist)


def test_no_child_process_keeps_the_port_of_a_killed_server() -> None:
    """The process that opens pictures outlives a SIGKILL of the server by a moment; a new start needs the port at once."""
    listener = bound_socket(load_config(None, {}, {"server.port": free_port()}))
    with listener:
        assert not listener.get_inheritable()
