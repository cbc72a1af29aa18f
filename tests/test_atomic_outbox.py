"""A change and what other servers must hear of it are one transaction: an error at any point in between leaves both or neither.

The error comes from the database, at the first statement of an act, at the second, and so on, and at its commit.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, select

from fediart.domain.actors import Actor
from fediart.domain.follows import Follow, FollowState
from fediart.domain.works import Visibility, WorkState
from fediart.ids import new_id
from fediart.media.sample import draw_sample
from fediart.storage import actors, follows, works
from fediart.storage import tables as t
from fediart.studio import react
from fediart.studio.edit_profile import edit_profile
from fediart.studio.edit_work import edit_work
from fediart.studio.follow_actor import follow
from fediart.studio.publish_work import Draft, publish_work, start_draft
from fediart.studio.release_work import cloak_image, release_work
from fediart.studio.withdraw_work import withdraw_work
from tests.postgres import Postgres
from tests.world import World, a_world

pytestmark = [pytest.mark.anyio, pytest.mark.row(54)]


class Fault(Exception):
    """What the database is made to raise."""


@contextlib.contextmanager
def fault_at(point: int) -> Iterator[None]:
    """The `point`-th thing that any database is asked to do in this block, a commit included, fails instead, once."""
    left = point

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Fault

    names = ("before_cursor_execute", "commit")
    for name in names:
        event.listen(Engine, name, count)
    try:
        yield
    finally:
        for name in names:
            event.remove(Engine, name, count)


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "SQLite":
        return {}
    server: Postgres = request.getfixturevalue("postgres")
    return {"storage.database": server.new_database()}


HERS, HIS = "https://one.example/users/vera/inbox", "https://two.example/users/otto/inbox"
"""The inboxes of two far followers of the artist."""


def far_follower(db: Connection, artist: int, inbox: str, now: int) -> Actor:
    uri = inbox.removesuffix("/inbox")
    id_ = new_id(now)
    values = {
        "id": id_,
        "uri": uri,
        "host": uri.split("/")[2],
        "username": uri.rpartition("/")[2],
        "kind": "Person",
        "url": uri,
        "inbox": inbox,
        "public_key_id": f"{uri}#main-key",
        "public_key_pem": "",
        "created_at": now,
        "fetched_at": now,
    }
    actors.insert_actor(db, values)
    follows.put_follow(db, Follow(new_id(now), id_, artist, f"{uri}#follow", FollowState.ACCEPTED, True))
    found = actors.actor_by_id(db, id_)
    assert found is not None
    return found


def told(db: Connection) -> dict[str, list[str]]:
    """Verb → the inboxes that are still to hear it, from each activity once."""
    found: dict[str, list[str]] = {}
    for row in db.execute(select(t.activities)):
        rows = db.execute(select(t.deliveries.c.inbox).where(t.deliveries.c.activity_id == row.id))
        found.setdefault(json.loads(row.body)["type"], []).extend(sorted(rows.scalars()))
    return found


@dataclass(frozen=True)
class Scene:
    """A world with nobody at work on its jobs, whose artist has two far followers, one of whom has a work."""

    world: World
    vera: Actor
    her_work: int
    own_work: int
    waiting_work: int


async def a_scene(world: World, *, with_picture: bool = False) -> Scene:
    """`waiting_work` is 0 without a picture."""
    instance, artist = world.instance, world.artist

    def act(db: Connection, now: int) -> tuple[Actor, int]:
        vera = far_follower(db, artist.actor_id, HERS, now)
        far_follower(db, artist.actor_id, HIS, now)
        id_ = new_id(now)
        values = {
            "id": id_,
            "uri": f"{vera.uri}/1",
            "url": f"{vera.uri}/1",
            "actor_id": vera.id,
            "state": WorkState.PUBLISHED,
            "visibility": Visibility.PUBLIC,
            "published_at": now,
            "arrived_at": now,
        }
        works.insert_work(db, values)
        return vera, id_

    vera, her_work = await instance.storage.write(act, instance.clock())
    own_work = await publish_work(instance, artist, await start_draft(instance, artist, Draft("An evening")))
    waiting_work = 0
    if with_picture:
        picture = (await world.upload(draw_sample(64, 48)))["id"]
        posted = await world.client.post("/api/v1/statuses", json={"status": "Water", "media_ids": [picture]})
        waiting_work = int(posted.json()["id"])
        await cloak_image(instance, int(picture))
    await instance.storage.write(lambda db: [db.execute(table.delete()) for table in (t.deliveries, t.delivery_counts)])
    await instance.storage.write(lambda db: db.execute(t.activities.delete()))
    return Scene(world, vera, her_work, own_work, waiting_work)


@dataclass(frozen=True)
class Case:
    """`act` changes something; `happened` says whether it did; `verb` then goes to `inboxes`."""

    act: Callable[[Scene], Awaitable[object]]
    happened: Callable[[Connection, Scene], bool]
    verb: str
    inboxes: list[str]


def state_is(db: Connection, work_id: int, state: WorkState) -> bool:
    work = works.work_by_id(db, work_id)
    return work is not None and work.state == state


def edited(db: Connection, scene: Scene) -> bool:
    work = works.work_by_id(db, scene.own_work)
    return work is not None and work.source == "A morning"


def reacted(db: Connection, scene: Scene, table: Any) -> bool:
    return db.execute(select(table).where(table.c.work_id == scene.her_work)).first() is not None


def follows_her(db: Connection, scene: Scene) -> bool:
    return follows.follow_between(db, scene.world.artist.actor_id, scene.vera.id) is not None


def artist_is_called(db: Connection, scene: Scene, name: str) -> bool:
    found = actors.actor_by_id(db, scene.world.artist.actor_id)
    return found is not None and found.name == name


CASES = {
    "a picture is released": Case(
        lambda s: release_work(s.world.instance, s.waiting_work),
        lambda db, s: state_is(db, s.waiting_work, WorkState.PUBLISHED),
        "Create",
        [HERS, HIS],
    ),
    "a work is edited": Case(
        lambda s: edit_work(s.world.instance, s.world.artist, s.own_work, Draft("A morning")),
        edited,
        "Update",
        [HERS, HIS],
    ),
    "a work is withdrawn": Case(
        lambda s: withdraw_work(s.world.instance, s.world.artist, s.own_work),
        lambda db, s: works.work_by_id(db, s.own_work) is None,
        "Delete",
        [HERS, HIS],
    ),
    "a profile is edited": Case(
        lambda s: edit_profile(s.world.instance, s.world.artist, name="Mira B.", bio="", fields=[]),
        lambda db, s: artist_is_called(db, s, "Mira B."),
        "Update",
        [HERS, HIS],
    ),
    "somebody far is followed": Case(
        lambda s: follow(s.world.instance, s.world.artist, s.vera.id),
        follows_her,
        "Follow",
        [HERS],
    ),
    "a work is liked": Case(
        lambda s: react.like(s.world.instance, s.world.artist, s.her_work),
        lambda db, s: reacted(db, s, t.likes),
        "Like",
        [HERS],
    ),
    "a work is boosted": Case(
        lambda s: react.boost(s.world.instance, s.world.artist, s.her_work),
        lambda db, s: reacted(db, s, t.boosts),
        "Announce",
        [HERS, HIS],
    ),
}


@pytest.mark.parametrize("what", CASES)
async def test_a_change_and_what_others_hear_of_it_are_both_there_or_neither_when(
    what: str, tmp_path: Path, database: dict[str, str]
) -> None:
    case = CASES[what]
    async with a_world(tmp_path, jobs=False, **database) as world:
        scene = await a_scene(world, with_picture=what == "a picture is released")
        storage = world.instance.storage
        assert not await storage.read(case.happened, scene)
        point, neither = 0, 0
        while not await storage.read(case.happened, scene):
            assert await storage.read(told) == {}, f"heard of, but not there: the error came at point {point}"
            neither = point
            point += 1
            with fault_at(point), contextlib.suppress(Fault):
                await case.act(scene)
        assert await storage.read(told) == {case.verb: case.inboxes}, f"there, but not heard of: the error came at point {point}"
    print(f"{neither} errors at {neither} points undid it")
    assert neither >= 5


async def test_a_work_that_is_published_is_heard_of_and_one_that_waits_has_a_job_wherever_an_error_comes(
    tmp_path: Path, database: dict[str, str]
) -> None:
    """Publishing takes two transactions: it may stop between them, and goes on from there."""
    async with a_world(tmp_path, jobs=False, **database) as world:
        await a_scene(world)
        instance, artist = world.instance, world.artist
        seen: list[WorkState] = []

        def judge(db: Connection, text: str) -> tuple[int, WorkState]:
            row = db.execute(select(t.works.c.id, t.works.c.state).where(t.works.c.source == text)).one()
            bodies = [json.loads(body) for body in db.execute(select(t.activities.c.body)).scalars()]
            heard = [body for body in bodies if text in body["object"]["content"]]
            jobs = [json.loads(payload) for payload in db.execute(select(t.jobs.c.payload)).scalars()]
            home = db.execute(select(t.timeline).where(t.timeline.c.work_id == row.id)).all()
            assert len(heard) == len(home) == (row.state == WorkState.PUBLISHED)
            if row.state != WorkState.PUBLISHED:
                assert ({"work_id": row.id} in jobs) == (row.state == WorkState.WAITING)
            return row.id, WorkState(row.state)

        point, went_through = 0, False
        while not went_through:
            point += 1
            text = f"number {point}."
            draft = await start_draft(instance, artist, Draft(text))
            with fault_at(point):
                try:
                    await publish_work(instance, artist, draft)
                    went_through = True
                except Fault:
                    went_through = False
            id_, state = await instance.storage.read(judge, text)
            seen.append(state)
            if state == WorkState.WAITING:
                await release_work(instance, id_)
                assert (await instance.storage.read(judge, text))[1] == WorkState.PUBLISHED
        print(f"{len(seen)} points: {Counter(seen)}")
        assert set(seen) == {WorkState.DRAFT, WorkState.WAITING, WorkState.PUBLISHED}
        assert seen == sorted(seen, key=[WorkState.DRAFT, WorkState.WAITING, WorkState.PUBLISHED].index)
