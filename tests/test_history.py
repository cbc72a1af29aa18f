"""Row 66: whatever was said came to everybody whom it was for, at least once, and to nobody else; and both sides hold the same.

A few hundred acts by default; FEDIART_LONG=1 makes 10,000. FEDIART_SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from fediart.clock import system_clock
from fediart.ids import new_id
from fediart.storage import tables as t
from tests.chaos import Trouble, chaos
from tests.history import HeldWork, History, Known, State, check
from tests.postgres import Postgres
from tests.turmoil import Turmoil, turmoil
from tests.waiting import until

pytestmark = pytest.mark.anyio

LONG = os.environ.get("FEDIART_LONG") == "1"
SEED = int(os.environ.get("FEDIART_SEED") or time.time_ns() % 1_000_000)
ROUNDS, ACTS, FAULTS = (40, 250, 8) if LONG else (2, 120, 4)


@contextlib.asynccontextmanager
async def lived_through(folder: Path, databases: tuple[str, str] = ("", "")) -> AsyncIterator[Turmoil]:
    """All rounds are over."""
    print(f"FEDIART_SEED={SEED}")  # pytest shows it when the test fails
    began = time.monotonic()
    with chaos(SEED) as network:
        async with turmoil(folder, network, random.Random(SEED), databases) as made:
            print(f"{time.monotonic() - began:.1f} s until everybody knows everybody")
            for number in range(ROUNDS):
                await made.run_round(ACTS, FAULTS, [("ours", "theirs")[number % 2]])
                print(f"{time.monotonic() - began:.1f} s: round {number} is over")
            print(f"{len(made.acts)} acts, {made.kills} kills, {made.again} tries cut off, {len(made.peers.receipts)} receipts")
            yield made


def assert_sound(history: History) -> None:
    wrong = check(history)
    assert not wrong, f"FEDIART_SEED={SEED}\n" + "\n".join(history.told(violation) for violation in wrong[:5])


def kinds(history: History) -> set[str]:
    return {violation.kind for violation in check(history)}


@pytest.mark.row(66)
async def test_whatever_was_said_comes_to_everybody_whom_it_is_for_and_both_sides_agree(tmp_path: Path) -> None:
    async with lived_through(tmp_path) as made:
        assert_sound(made.history)
        assert_every_false_word_is_found(made.history)
        await assert_what_a_server_does_wrong_is_found(made)


@pytest.mark.row(66)
async def test_the_same_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    async with lived_through(tmp_path, (postgres.new_database(), postgres.new_database())) as made:
        assert_sound(made.history)


# ----------------------------------------------------------------------------------- does it find what is not as it should be?


async def assert_what_a_server_does_wrong_is_found(made: Turmoil) -> None:
    """Behind the back of a server that runs: a delivery vanishes, one goes to somebody else too, and a like counts twice."""
    made.round += 1
    state, side = made.snapshots[-1][made.sides["ours"].name], made.sides["ours"]
    artist, follower = next(
        (person, peer.uri)
        for person in made.people
        for peer in made.actors
        if person.side is side and state.follows.get((peer.uri, person.uri)) == "accepted"
    )
    proxy = made.troubled[follower.rpartition("/users/")[0]]
    await asyncio.to_thread(proxy.turn, Trouble.REFUSED)
    await artist.post(visibility="public")
    vanished = made.acts[-1].what
    liked = next(uri for uri, work in state.works.items() if work.author == artist.uri)

    def vanish(db: Connection) -> int:
        waits = (
            t.deliveries.c.inbox == f"{follower}/inbox",
            t.deliveries.c.leased_until == 0,
            t.deliveries.c.run_at > system_clock(),
        )
        return db.execute(delete(t.deliveries).where(*waits)).rowcount

    await until(lambda: side.storage.write(vanish))
    await asyncio.to_thread(proxy.turn, Trouble.NONE)
    await artist.post(visibility="direct")
    secret = made.acts[-1]
    stranger = next(uri for uri in made.uris if uri not in secret.to)

    def misdirect(db: Connection) -> None:
        said = db.execute(select(t.activities.c.id).where(t.activities.c.uri == f"{secret.what}/activity")).scalar_one()
        host = stranger.split("/")[2]
        row = {"id": new_id(system_clock()), "activity_id": said, "inbox": f"{stranger}/inbox", "lane": host, "run_at": 0}
        db.execute(insert(t.deliveries).values(row))
        planned = t.delivery_counts.c.planned + 1
        db.execute(update(t.delivery_counts).where(t.delivery_counts.c.activity_id == said).values(planned=planned))
        db.execute(update(t.works).where(t.works.c.uri == liked).values(likes=t.works.c.likes + 1))

    await side.storage.write(misdirect)
    await made.settle()
    found = {(violation.kind, violation.about) for violation in check(made.history)}
    assert found == {
        ("dropped", vanished),
        ("lost", f"{vanished}/activity"),
        ("not for them", secret.what),
        ("doubled", liked),
    }


def assert_every_false_word_is_found(history: History) -> None:
    """The same history, and one thing in it otherwise."""
    known = Known(history)
    assert_whatever_does_not_come_is_found(known)
    answers = [item for item in history.receipts if item.document["type"] == "Accept"]
    assert "follows" in kinds(replace(history, receipts=[item for item in history.receipts if item not in answers]))

    one = next(item for item in history.receipts if item.taken and item.document["type"] == "Create")
    again = replace(one, body=one.body.replace(b"<p>", b"<p> ", 1))
    assert kinds(replace(history, receipts=[*history.receipts, again])) >= {"other words"}
    assert "order" in kinds(replace(history, receipts=history.receipts[::-1]))
    busy = [replace(item, taken=False) for item in history.receipts]
    assert kinds(replace(history, receipts=busy)) >= {"dropped", "count"}

    def held_otherwise(change: Callable[[State], State], side: str = history.sides[0]) -> set[str]:
        last = {name: change(state) if name == side else state for name, state in history.snapshots[-1].items()}
        return kinds(replace(history, snapshots=[*history.snapshots[:-1], last]))

    def in_other_words(state: State) -> State:
        return replace(state, works={uri: replace(work, words="w999999") for uri, work in state.works.items()})

    assert "stale" in held_otherwise(in_other_words)
    assert "missing" in held_otherwise(lambda state: replace(state, works={}))
    assert "doubled" in held_otherwise(lambda state: replace(state, likes=state.likes + state.likes))
    assert "likes" in held_otherwise(lambda state: replace(state, likes=Counter()))
    assert "follows" in held_otherwise(lambda state: replace(state, follows={}))
    assert "blocks" in held_otherwise(lambda state: replace(state, blocks=state.blocks ^ {_two_apart(history)}))
    assert "waiting" in held_otherwise(lambda state: replace(state, waiting=1))
    gone = next(act for act in history.acts if act.verb == "delete" and act.who in history.people)
    there = {gone.what: HeldWork(gone.who, "public", "", 0, 0, 0, None)}
    with_it = held_otherwise(lambda state: replace(state, works=state.works | there), history.people[gone.who])
    assert "not deleted" in with_it


def assert_whatever_does_not_come_is_found(known: Known) -> None:
    """One of each verb that some peer must have heard of. Which verbs those are, is chance; a post always is."""
    history, tried = known.history, set()
    for act in history.acts:
        peers = known.must_hear_of(act) if act.verb not in tried else []
        if not peers:
            continue
        tried.add(act.verb)
        left = [item for item in history.receipts if not (item.to == peers[0] and act.what in (item.about, item.to))]
        found = [item for item in check(replace(history, receipts=left)) if (item.kind, item.about) == ("dropped", act.what)]
        assert found, act
        assert f"{act.who} {act.verb} {act.what}" in history.told(found[0])
    assert {"post", "follow"} <= tried


def _two_apart(history: History) -> tuple[str, str]:
    one, other = history.sides
    by_side = {side: next(person for person, home in history.people.items() if home == side) for side in (one, other)}
    return by_side[one], by_side[other]
