"""The database, on SQLite and on PostgreSQL alike: every test here runs on both."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import itertools
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Row, Table, event, func, insert, inspect, select, text, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError

import fediart
from fediart.activitypub.addressing import address
from fediart.domain.actors import Account, Actor, Role
from fediart.domain.follows import Follow, FollowState
from fediart.domain.images import Rendition
from fediart.domain.works import Mention, Visibility, WorkState
from fediart.errors import ConfigError
from fediart.ids import new_id, time_of
from fediart.storage import (
    accounts,
    actors,
    arrivals,
    deliveries,
    follows,
    images,
    jobs,
    leases,
    migrate,
    settings,
    timelines,
    works,
)
from fediart.storage import shown as shown_rows
from fediart.storage import tables as t
from fediart.storage.engine import Storage, _SqliteWriter, database_url, migration_engine, open_storage
from tests.postgres import Postgres

NOW = 1_800_000_000_000
pytestmark = pytest.mark.anyio


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """A database without tables."""
    if request.param == "SQLite":
        return database_url("", tmp_path)
    server: Postgres = request.getfixturevalue("postgres")
    return database_url(server.new_database(), tmp_path)


@pytest.fixture
async def storage(empty: URL, anyio_backend: str) -> AsyncIterator[Storage]:
    await migrate.migrate(empty)
    opened = open_storage(empty)
    try:
        yield opened
    finally:
        await opened.close()


async def on_connection(url: URL, act: Any) -> Any:
    """Run `act(connection)` in a transaction of its own, past `Storage`."""
    engine = migration_engine(url)
    if isinstance(engine, Engine):
        with engine.begin() as connection:
            found = act(connection)
        engine.dispose()
        return found
    async with engine.begin() as connection:
        found = await connection.run_sync(act)
    await engine.dispose()
    return found


# ------------------------------------------------------------------------------------------------ a few people


def person(db: Connection, name: str, host: str = "") -> int:
    """An actor; one without a host has an account here."""
    id_ = new_id(NOW)
    uri = f"https://{host or 'art.example'}/users/{name}"
    values = {
        "id": id_,
        "uri": uri,
        "host": host,
        "username": name,
        "kind": "Person",
        "url": uri,
        "inbox": f"{uri}/inbox",
        "followers_uri": f"{uri}/followers",
        "public_key_id": f"{uri}#main-key",
        "public_key_pem": "",
        "created_at": NOW,
        "fetched_at": NOW,
    }
    actors.insert_actor(db, values)
    if not host:
        accounts.insert_account(db, Account(new_id(NOW), id_, Role.ARTIST, "", b"secret", True, NOW))
    return id_


def actor(db: Connection, id_: int) -> Actor:
    found = actors.actor_by_id(db, id_)
    assert found is not None
    return found


def work(
    db: Connection,
    author_id: int,
    *,
    at: int = NOW,
    visibility: Visibility = Visibility.PUBLIC,
    state: WorkState = WorkState.PUBLISHED,
    named: tuple[str, ...] = (),
    answers: str | None = None,
) -> int:
    id_ = new_id(at)
    author = actor(db, author_id)
    to, cc = address(visibility, author.followers_uri or "", named)
    values = {
        "id": id_,
        "uri": f"{author.uri}/statuses/{id_}",
        "url": f"{author.uri}/{id_}",
        "actor_id": author_id,
        "state": state,
        "visibility": visibility,
        "in_reply_to_uri": answers,
        "published_at": at,
        "arrived_at": at,
    }
    works.insert_work(db, values, to=to, cc=cc)
    return id_


def follow(db: Connection, follower: int, followee: int, state: FollowState = FollowState.ACCEPTED) -> None:
    id_ = new_id(NOW)
    follows.put_follow(db, Follow(id_, follower, followee, f"https://art.example/follows/{id_}", state, True))


# -------------------------------------------------------------------------------------------------- migrations


async def test_an_empty_database_is_migrated_and_a_second_time_changes_nothing(empty: URL) -> None:
    assert await migrate.migrate(empty) is True
    before = await on_connection(empty, structure)
    assert await migrate.migrate(empty) is False
    assert await on_connection(empty, structure) == before


async def test_a_database_of_a_newer_version_is_refused_in_words(empty: URL) -> None:
    await migrate.migrate(empty)
    await on_connection(empty, lambda db: db.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(ConfigError, match=r"written by a newer fediart \(its tables are at 9999\)"):
        await migrate.migrate(empty)


def test_the_newest_migration_in_the_folder_is_the_one_the_code_knows() -> None:
    alembic = Config()
    alembic.set_main_option("script_location", str(migrate.MIGRATIONS))
    assert ScriptDirectory.from_config(alembic).get_heads() == [migrate.HEAD]


def _index_in_words(index: Any) -> str:
    """A partial index says its condition in an object, whose words are what counts."""
    return str({**index, "dialect_options": {name: str(value) for name, value in index.get("dialect_options", {}).items()}})


def structure(db: Connection) -> dict[str, Any]:
    """Everything the database itself says of its tables, but for Alembic's own."""
    inspector = inspect(db)
    found = {}
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        found[table] = {
            "columns": [{**column, "type": str(column["type"])} for column in inspector.get_columns(table)],
            "key": inspector.get_pk_constraint(table),
            "references": sorted(map(str, inspector.get_foreign_keys(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "indexes": sorted(_index_in_words(index) for index in inspector.get_indexes(table)),
            "options": inspector.get_table_options(table),
        }
    return found


async def test_the_migrations_make_exactly_the_tables_that_the_code_names(
    empty: URL, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    await migrate.migrate(empty)

    def differences(db: Connection) -> Any:
        # Defaults are compared below: here SQLite's quotes would count as a difference.
        return compare_metadata(MigrationContext.configure(db, opts={"compare_type": True}), t.metadata)

    assert await on_connection(empty, differences) == []
    if empty.get_backend_name() == "sqlite":
        made = database_url(f"sqlite:///{tmp_path / 'made.sqlite'}", tmp_path)
    else:
        made = database_url(request.getfixturevalue("postgres").new_database(), tmp_path)
    await on_connection(made, t.metadata.create_all)
    by_migrations, by_metadata = await on_connection(empty, structure), await on_connection(made, structure)
    assert by_migrations == by_metadata
    assert set(by_migrations) == set(t.metadata.tables)


# ----------------------------------------------------------------------------------------------------- writing


async def test_a_write_answers_with_what_its_act_returned(storage: Storage) -> None:
    def act(db: Connection, key: str, *, value: str) -> str:
        settings.put_setting(db, key, value)
        return value.upper()

    assert await storage.write(act, "colour", value="ochre") == "OCHRE"
    assert await storage.read(settings.setting, "colour") == "ochre"


class Refused(Exception):
    """Raised by an act on purpose."""


async def test_a_nul_of_a_strangers_neither_fails_nor_makes_one_name_of_two(storage: Storage) -> None:
    odd = "mi\0ra"
    await storage.write(person, odd, "far.example")
    found = await storage.read(actors.actor_by_uri, f"https://far.example/users/{odd}")
    assert found is not None
    assert found.username in (odd, "mi\ufffdra")
    assert await storage.read(actors.actor_by_uri, "https://far.example/users/mira") is None

    def many(db: Connection) -> None:
        rows = [{"uri": f"{uri}\0", "actor_uri": uri, "received_at": NOW} for uri in ("https://a.example", "https://b.example")]
        db.execute(insert(t.arrivals), rows)

    await storage.write(many)


async def test_an_acts_error_undoes_that_act_and_the_others_of_its_group_are_kept(storage: Storage) -> None:
    def hold_up(db: Connection) -> None:
        time.sleep(0.1)  # all the others wait for the writer meanwhile, and then share a commit

    def act(db: Connection, n: int) -> int:
        settings.put_setting(db, f"n{n}", str(n))
        if n % 3 == 0:
            raise Refused(n)
        if n % 7 == 0:
            db.execute(t.settings.insert().values(key=f"n{n}", value="twice"))
        return n

    numbers = range(1, 401)
    answers = await asyncio.gather(storage.write(hold_up), *(storage.write(act, n) for n in numbers), return_exceptions=True)
    for n, answer in zip(numbers, answers[1:], strict=True):
        expected = Refused if n % 3 == 0 else IntegrityError if n % 7 == 0 else int
        assert isinstance(answer, expected), (n, answer)
        assert not isinstance(answer, Refused) or answer.args == (n,)
        assert not isinstance(answer, int) or answer == n
    kept = await storage.read(lambda db: set(db.execute(select(t.settings.c.key)).scalars()))
    assert kept == {f"n{n}" for n in numbers if n % 3 and n % 7}


async def test_an_act_that_fails_alone_leaves_nothing_behind(storage: Storage) -> None:
    def act(db: Connection) -> None:
        settings.put_setting(db, "half", "done")
        raise Refused

    with pytest.raises(Refused):
        await storage.write(act)
    assert await storage.read(settings.setting, "half") is None


async def test_a_caller_that_goes_away_does_not_take_the_others_with_it(storage: Storage) -> None:
    def act(db: Connection, key: str) -> str:
        settings.put_setting(db, key, "here")
        return key

    tasks = [asyncio.ensure_future(storage.write(act, f"k{n}")) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[1::2] == [f"k{n}" for n in range(1, 20, 2)]
    assert await storage.write(act, "later") == "later"


async def test_acts_that_race_for_one_row_both_end_well(storage: Storage) -> None:
    """Two requests at once meet an actor that is new here: who comes second finds the row of the first."""

    def act(db: Connection, n: int) -> int:
        values = {
            "uri": "https://far.example/users/vera",
            "host": "far.example",
            "username": "vera",
            "kind": "Person",
            "url": "https://far.example/@vera",
            "inbox": "https://far.example/users/vera/inbox",
            "public_key_id": "https://far.example/users/vera#main-key",
            "public_key_pem": "",
            "fetched_at": NOW + n,
        }
        return actors.save_remote_actor(db, new_id(NOW), values).id

    ids = await asyncio.gather(*(storage.write(act, n) for n in range(30)))
    assert len(set(ids)) == 1


@pytest.mark.row(59)
async def test_six_writers_a_checkpointer_and_one_who_copies_never_find_the_file_locked(tmp_path: Path) -> None:
    """Two processes' worth: the server and a command each have a storage of their own, and every act reads before it writes."""
    url = database_url("", tmp_path)
    await migrate.migrate(url)
    stores = [open_storage(url), open_storage(url)]
    done = asyncio.Event()

    def add_one(db: Connection, name: str) -> None:
        settings.put_setting(db, name, str(int(settings.setting(db, name) or 0) + 1))
        settings.put_setting(db, "all", str(int(settings.setting(db, "all") or 0) + 1))

    async def write(number: int) -> None:
        for _ in range(40):
            await stores[number % 2].write(add_one, f"writer{number}")

    def checkpoint() -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "fediart.sqlite", timeout=10)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def copy(target: Path) -> list[Any]:
        with contextlib.closing(sqlite3.connect(tmp_path / "fediart.sqlite", timeout=10, isolation_level=None)) as db:
            db.execute("VACUUM INTO ?", (str(target),))
        with contextlib.closing(sqlite3.connect(target)) as db:
            return db.execute("PRAGMA integrity_check").fetchall()

    async def beside() -> list[list[Any]]:
        copies: list[list[Any]] = []
        while not done.is_set():
            await asyncio.to_thread(checkpoint)
            copies.append(await asyncio.to_thread(copy, tmp_path / f"copy{len(copies)}.sqlite"))
        return copies

    busy = asyncio.create_task(beside())
    try:
        await asyncio.gather(*(write(number) for number in range(6)))
        done.set()
        assert {str(copy) for copy in await busy} == {"[('ok',)]"}
        held = [await stores[0].read(settings.setting, name) for name in ("all", *(f"writer{number}" for number in range(6)))]
        assert held == ["240", *["40"] * 6], "no act was lost, and none saw what another had not committed"
    finally:
        done.set()
        await asyncio.gather(busy, return_exceptions=True)
        for store in stores:
            await store.close()


# ------------------------------------------------------------------------------------------------------ leases


async def queued(storage: Storage, *lanes: str, kind: str = "cloak") -> list[int]:
    """Jobs in these lanes, one millisecond apart; their ids."""

    def act(db: Connection) -> list[int]:
        for n, lane in enumerate(lanes):
            jobs.add_job(db, kind, {"n": n}, now=NOW + n, lane=lane)
        return list(db.execute(select(t.jobs.c.id).order_by(t.jobs.c.id)).scalars())

    return await storage.write(act)


async def claimed(storage: Storage, lease: str, *, now: int = NOW + 1_000, limit: int = 100, ms: int = 60_000) -> list[int]:
    rows = await storage.write(leases.claim, t.jobs, now=now, lease=lease, lease_ms=ms, limit=limit)
    return [row.id for row in rows]


async def test_a_row_is_claimed_once_until_its_lease_runs_out(storage: Storage) -> None:
    ids = await queued(storage, "", "", "")
    assert await claimed(storage, "one", limit=2) == ids[:2]
    assert await claimed(storage, "two") == ids[2:]
    assert await claimed(storage, "two") == []
    assert await claimed(storage, "three", now=NOW + 61_000) == ids


async def test_a_row_is_not_claimed_before_its_time_or_by_another_kinds_worker(storage: Storage) -> None:
    ids = await queued(storage, "", "", "")
    assert await claimed(storage, "one", now=NOW + 1) == ids[:2]
    rows = await storage.write(leases.claim, t.jobs, now=NOW + 9, lease="two", lease_ms=9, limit=9, kinds=("release",))
    assert rows == []


async def test_a_renewed_lease_holds_longer(storage: Storage) -> None:
    ids = await queued(storage, "")
    await claimed(storage, "one")
    await storage.write(leases.renew, t.jobs, ids, lease="two", until=NOW + 900_000)
    assert await claimed(storage, "two", now=NOW + 61_001) == ids, "only its holder renews a lease"
    await storage.write(leases.renew, t.jobs, ids, lease="two", until=NOW + 900_000)
    assert await claimed(storage, "three", now=NOW + 200_000) == []


async def test_a_lost_lease_can_neither_finish_nor_defer_nor_give_back(storage: Storage) -> None:
    ids = await queued(storage, "")
    await claimed(storage, "slow")
    assert await claimed(storage, "fast", now=NOW + 70_000) == ids
    assert await storage.write(leases.finish, t.jobs, ids, lease="slow") == 0
    assert not await storage.write(leases.defer, t.jobs, ids[0], lease="slow", run_at=NOW, problem="late")
    await storage.write(leases.give_back, t.jobs, ids, lease="slow")
    row = (await rows_of(storage, t.jobs))[0]
    assert (row.lease, row.attempts, row.problem) == ("fast", 2, "")
    assert await storage.write(leases.finish, t.jobs, ids, lease="fast") == 1
    assert await rows_of(storage, t.jobs) == []


async def rows_of(storage: Storage, table: Table) -> list[Row[Any]]:
    return await storage.read(lambda db: list(db.execute(select(table).order_by(table.c.id))))


async def test_a_deferred_row_comes_again_at_its_time_and_says_why(storage: Storage) -> None:
    ids = await queued(storage, "")
    await claimed(storage, "one")
    assert await storage.write(leases.defer, t.jobs, ids[0], lease="one", run_at=NOW + 5_000, problem="answered 503")
    row = (await rows_of(storage, t.jobs))[0]
    assert (row.problem, row.attempts, row.lease) == ("answered 503", 1, "")
    assert await claimed(storage, "two", now=NOW + 4_999) == []
    assert await claimed(storage, "two", now=NOW + 5_000) == ids


async def test_what_is_given_back_is_free_at_once_and_was_no_attempt(storage: Storage) -> None:
    ids = await queued(storage, "")
    await claimed(storage, "one")
    await storage.write(leases.give_back, t.jobs, ids, lease="one")
    assert (await rows_of(storage, t.jobs))[0].attempts == 0
    assert await claimed(storage, "two") == ids


async def test_at_a_start_everything_that_was_in_hand_is_free(storage: Storage) -> None:
    ids = await queued(storage, "", "lane", "lane")
    await claimed(storage, "killed")
    await storage.write(leases.release_all, t.jobs)
    assert await claimed(storage, "next") == ids


async def test_a_lane_keeps_its_order_and_is_in_one_hand_only(storage: Storage) -> None:
    ids = await queued(storage, "a", "a", "b", "a", "")
    assert await claimed(storage, "one", limit=1) == ids[:1]
    assert await claimed(storage, "two") == [ids[2], ids[4]], "the rest of lane a waits while its first is in hand"
    await storage.write(leases.defer, t.jobs, ids[0], lease="one", run_at=NOW + 9_000, problem="away")
    assert await claimed(storage, "two") == [], "and while its first waits for another try"
    assert await claimed(storage, "one", now=NOW + 9_000) == [ids[0], ids[1], ids[3]]


@pytest.mark.row(57)
async def test_what_is_tried_again_comes_before_what_waited_behind_it_however_few_are_taken(storage: Storage) -> None:
    ids = await queued(storage, "a", "a", "a", "a")
    assert await claimed(storage, "one", limit=1) == ids[:1]
    await storage.write(leases.defer, t.jobs, ids[0], lease="one", run_at=NOW + 9_000, problem="away")
    assert await claimed(storage, "one", now=NOW + 9_000, limit=2) == ids[:2]


@pytest.mark.row(60)
async def test_where_the_clock_went_back_what_is_planned_for_a_time_keeps_it_and_the_rest_does_not_wait(storage: Storage) -> None:
    hour = 3_600_000

    def plan(db: Connection) -> None:
        jobs.add_job(db, "planned", {}, now=NOW, run_at=NOW + hour)
        jobs.add_job(db, "soon", {}, now=NOW + 24 * hour)
        jobs.add_job(db, "held", {}, now=NOW, run_at=jobs.NEVER)
        jobs.add_job(db, "tried", {}, now=NOW, run_at=NOW + 90 * hour)
        db.execute(update(t.jobs).where(t.jobs.c.kind == "tried").values(attempts=3))
        leases.clock_went_back(db, t.jobs, now=NOW, longest=2 * hour)

    await storage.write(plan)
    query = select(t.jobs.c.kind, t.jobs.c.run_at)
    found = await storage.read(lambda db: {row.kind: row.run_at for row in db.execute(query)})
    assert found == {"planned": NOW + hour, "soon": NOW, "held": jobs.NEVER, "tried": NOW + 2 * hour}


async def test_rows_of_one_lane_come_oldest_first_whatever_their_turn(storage: Storage) -> None:
    ids = await queued(storage, "a", "a", "a")
    await storage.write(lambda db: db.execute(update(t.jobs).where(t.jobs.c.id == ids[2]).values(run_at=NOW - 50)))
    assert await claimed(storage, "one") == ids


async def test_many_claims_at_once_share_the_rows_without_overlap(storage: Storage) -> None:
    ids = await queued(storage, *[""] * 60)
    hands = await asyncio.gather(*(claimed(storage, f"hand{n}", limit=7) for n in range(8)))
    taken = list(itertools.chain(*hands))
    assert len(taken) == len(set(taken))
    taken += await claimed(storage, "rest")
    assert sorted(taken) == ids


async def test_owners_come_in_turn_whoever_came_first_with_however_many(storage: Storage) -> None:
    def act(db: Connection) -> list[Any]:
        for owner, n in [(1, 0), (1, 1), (1, 2), (2, 3), (2, 4), (3, 5)]:
            jobs.add_job(db, "cloak", {"n": n}, now=NOW, owner=owner)
        foreseen = jobs.queue_of(db, "cloak", NOW)
        taken = [leases.claim(db, t.jobs, now=NOW, lease="x", lease_ms=9, limit=1, in_turn=True)[0] for _ in range(6)]
        return [[row.owner for row in taken], foreseen == [msgspec.json.decode(row.payload) for row in taken]]

    assert await storage.write(act) == [[1, 2, 3, 1, 2, 1], True]


async def test_a_held_job_stays_and_is_taken_by_nobody_until_it_is_asked_for_again(storage: Storage) -> None:
    one = {"n": 0}
    (id_,) = await queued(storage, "")
    assert await storage.read(jobs.is_free, "cloak", one)
    assert await claimed(storage, "first") == [id_]
    assert not await storage.read(jobs.is_free, "cloak", one)
    await storage.write(jobs.hold_job, "cloak", one)
    assert await storage.write(leases.finish, t.jobs, [id_], lease="first") == 0, "who had it in hand has lost it"
    assert await claimed(storage, "second", now=NOW + 10**12) == []
    assert await storage.read(jobs.queue_of, "cloak", NOW + 10**12) == []
    await storage.write(leases.release_all, t.jobs)
    assert await claimed(storage, "second") == [], "a restart does not wake it"
    await storage.write(jobs.ask_again, "cloak", one, now=NOW)
    assert await claimed(storage, "third") == [id_]
    await storage.write(jobs.ask_again, "cloak", one, now=NOW)
    assert await claimed(storage, "fourth") == [id_], "also out of somebody's hand"
    await storage.write(jobs.drop_job, "cloak", one)
    await storage.write(jobs.ask_again, "cloak", one, now=NOW)
    assert len(await rows_of(storage, t.jobs)) == 1, "and when it is not there any more"


async def test_a_delivery_is_made_once_for_each_inbox(storage: Storage) -> None:
    def act(db: Connection) -> int:
        author = person(db, "mira")
        inboxes = [("https://a.example/inbox", "a.example"), ("https://b.example/inbox", "b.example")]
        return deliveries.say(db, uri="https://art.example/1", actor_id=author, body=b"{}", inboxes=inboxes * 2, now=NOW)

    activity_id = await storage.write(act)
    rows = await rows_of(storage, t.deliveries)
    assert [(row.activity_id, row.inbox) for row in rows] == [
        (activity_id, "https://a.example/inbox"),
        (activity_id, "https://b.example/inbox"),
    ]


# ---------------------------------------------------------------------------------------------------- arrivals


async def test_the_first_of_fifty_arrivals_at_once_wins(storage: Storage) -> None:
    fresh = await asyncio.gather(
        *(
            storage.write(
                arrivals.receive,
                uri="https://far.example/1",
                actor_uri="https://far.example/users/vera",
                body=f'{{"n": {n}}}'.encode(),
                now=NOW + n,
            )
            for n in range(50)
        )
    )
    assert sum(fresh) == 1
    held = await rows_of(storage, t.jobs)
    assert [row.run_at for row in held] == [NOW + fresh.index(True)], "one job, that of the winner"


# --------------------------------------------------------------------------------------------------- timelines


@pytest.fixture
async def home(storage: Storage) -> tuple[int, int, list[int]]:
    """(a reader, an artist elsewhere, ten works of the artist in the reader's home, oldest first)."""

    def act(db: Connection) -> tuple[int, int, list[int]]:
        reader, artist = person(db, "noor"), person(db, "vera", "far.example")
        follow(db, reader, artist)
        ids = [work(db, artist, at=NOW + n) for n in range(10)]
        for id_ in ids:
            timelines.place(db, [reader], entry_id=id_, work_id=id_)
        return reader, artist, ids

    return await storage.write(act)


async def page(storage: Storage, reader: int, **cut: Any) -> list[int]:
    return [shown.entry_id for shown in (await storage.read(timelines.home_of, reader, **cut)).items]


async def test_a_home_is_newest_first_and_cut_by_ids(storage: Storage, home: tuple[int, int, list[int]]) -> None:
    reader, _, ids = home
    newest = ids[::-1]
    assert await page(storage, reader) == newest
    assert await page(storage, reader, limit=3) == newest[:3]
    assert await page(storage, reader, max_id=ids[7], limit=3) == [ids[6], ids[5], ids[4]]
    assert await page(storage, reader, since_id=ids[2], limit=3) == newest[:3], "since_id: the newest ones of those after"
    assert await page(storage, reader, min_id=ids[2], limit=3) == [ids[5], ids[4], ids[3]], "min_id: those right after"
    assert await page(storage, reader, min_id=ids[2], max_id=ids[5]) == [ids[4], ids[3]]
    assert await page(storage, reader, since_id=ids[9]) == []


async def test_paging_through_a_home_shows_every_entry_once(storage: Storage, home: tuple[int, int, list[int]]) -> None:
    reader, _, ids = home
    seen: list[int] = []
    while got := await page(storage, reader, limit=3, **({"max_id": seen[-1]} if seen else {})):
        seen += got
    assert seen == ids[::-1]


async def test_placing_a_work_twice_shows_it_once(storage: Storage, home: tuple[int, int, list[int]]) -> None:
    reader, _, ids = home
    await storage.write(timelines.place, [reader, reader], entry_id=ids[0], work_id=ids[0])
    assert await page(storage, reader) == ids[::-1]


async def test_a_home_is_trimmed_to_its_newest_entries(storage: Storage, home: tuple[int, int, list[int]]) -> None:
    reader, _, ids = home
    await storage.write(timelines.trim, reader, 20)
    assert await page(storage, reader) == ids[::-1]
    await storage.write(timelines.trim, reader, 4)
    assert await page(storage, reader) == ids[:-5:-1]


async def test_boosts_can_be_hidden_and_are_taken_back_alone(storage: Storage, home: tuple[int, int, list[int]]) -> None:
    reader, artist, ids = home

    def boost(db: Connection) -> tuple[int, int]:
        other = person(db, "otto", "other.example")
        boosted, entry = work(db, other, at=NOW + 5), new_id(NOW + 50)
        timelines.place(db, [reader], entry_id=entry, work_id=boosted, booster_id=artist)
        return boosted, entry

    boosted, entry = await storage.write(boost)
    shown = (await storage.read(timelines.home_of, reader, limit=1)).items
    assert [(item.entry_id, item.work.id, item.booster and item.booster.actor.id) for item in shown] == [(entry, boosted, artist)]
    assert await page(storage, reader, boosts=False) == ids[::-1]
    assert await storage.read(timelines.without_entry_of, [reader, artist], boosted) == [artist]
    await storage.write(timelines.take_entry, entry)
    await storage.write(timelines.take_entry, ids[3])
    assert await page(storage, reader) == ids[::-1], "a work's own entry is no boost"


async def test_a_new_follow_fills_the_home_with_what_is_open_and_no_answer(storage: Storage) -> None:
    def act(db: Connection) -> tuple[int, list[int]]:
        reader, artist = person(db, "noor"), person(db, "vera", "far.example")
        shown = [work(db, artist, at=NOW + n, visibility=v) for n, v in enumerate([Visibility.PUBLIC, Visibility.UNLISTED] * 12)]
        work(db, artist, at=NOW + 99, visibility=Visibility.FOLLOWERS)
        work(db, artist, at=NOW + 99, visibility=Visibility.MENTIONED)
        work(db, artist, at=NOW + 99, state=WorkState.WAITING)
        work(db, artist, at=NOW + 99, answers="https://else.example/1")
        work(db, person(db, "otto", "other.example"), at=NOW + 99)
        follow(db, reader, artist)
        timelines.fill_from(db, reader, artist)
        return reader, shown

    reader, shown = await storage.write(act)
    assert await page(storage, reader, limit=40) == shown[:3:-1], "the newest twenty"


async def test_after_an_unfollow_an_artists_works_and_boosts_leave_the_home(
    storage: Storage, home: tuple[int, int, list[int]]
) -> None:
    reader, artist, _ = home

    def act(db: Connection) -> int:
        other = person(db, "otto", "other.example")
        kept = work(db, other, at=NOW + 20)
        timelines.place(db, [reader], entry_id=kept, work_id=kept)
        boosted = work(db, other, at=NOW + 21)
        timelines.place(db, [reader], entry_id=new_id(NOW + 60), work_id=boosted, booster_id=artist)
        timelines.take_author(db, reader, artist)
        return kept

    kept = await storage.write(act)
    assert await page(storage, reader) == [kept]


async def test_the_order_of_ids_is_the_order_of_time(storage: Storage) -> None:
    moments = [NOW + 7, NOW, NOW + 3, NOW - 86_400_000, NOW + 3]

    def act(db: Connection) -> tuple[int, dict[int, int]]:
        artist = person(db, "mira")
        return artist, {work(db, artist, at=moment): moment for moment in moments}

    artist, ids = await storage.write(act)
    assert all(time_of(id_) == moment for id_, moment in ids.items())
    listed = await storage.read(works.works_of, artist, None)
    assert [shown.work.published_at for shown in listed] == sorted(moments, reverse=True)


# ------------------------------------------------------------------------------------------------ who may see it

OPEN = {"stranger", "author", "follower", "requested", "addressed", "other"}
MAY_SEE = {
    "public": OPEN,
    "unlisted": OPEN,
    "followers": {"author", "follower", "addressed"},
    "mentioned": {"author", "addressed"},
    "draft": {"author"},
    "waiting": {"author"},
}


async def test_who_may_see_a_work_is_this_table(storage: Storage) -> None:
    def act(db: Connection) -> tuple[dict[str, int | None], dict[str, int]]:
        author = person(db, "mira")
        people: dict[str, int | None] = {"stranger": None, "author": author}
        for name in ("follower", "requested", "addressed", "other"):
            people[name] = person(db, name, "" if name == "follower" else "far.example")
        follow(db, people["follower"] or 0, author)
        follow(db, people["requested"] or 0, author, FollowState.REQUESTED)
        follow(db, author, people["other"] or 0)
        named = (actor(db, people["addressed"] or 0).uri,)
        made = {v.value: work(db, author, visibility=v, named=named) for v in Visibility}
        made["draft"] = work(db, author, named=named, state=WorkState.DRAFT)
        made["waiting"] = work(db, author, named=named, state=WorkState.WAITING)
        return people, made

    people, made = await storage.write(act)

    def seen(db: Connection) -> dict[str, set[str]]:
        return {name: {who for who, id_ in people.items() if works.may_see(db, made[name], id_)} for name in made}

    assert await storage.read(seen) == MAY_SEE

    def listed(db: Connection) -> dict[str, set[str]]:
        """The same through what pages and the client API ask."""
        found: dict[str, set[str]] = {name: set() for name in made}
        for who, id_ in people.items():
            shown = {item.work.id for item in shown_rows.works_shown(db, list(made.values()), id_)}
            for name in made:
                if made[name] in shown:
                    found[name].add(who)
        return found

    assert await storage.read(listed) == MAY_SEE


async def test_one_works_addresses_open_no_other_work(storage: Storage) -> None:
    def act(db: Connection) -> list[bool]:
        author, named, other = person(db, "mira"), person(db, "noor"), person(db, "otto")
        first = work(db, author, visibility=Visibility.MENTIONED, named=(actor(db, named).uri,))
        second = work(db, author, visibility=Visibility.MENTIONED, named=(actor(db, other).uri,))
        return [works.may_see(db, id_, who) for id_ in (first, second) for who in (named, other)]

    assert await storage.write(act) == [True, False, False, True]


async def test_a_work_is_shown_with_whom_it_mentions_and_answers_where_they_are_known(storage: Storage) -> None:
    def act(db: Connection) -> tuple[list[tuple[str, int | None]], list[int | None], int]:
        author, far = person(db, "mira"), person(db, "ada", "far.example")
        first = work(db, far)
        second = work(db, author, answers=actor(db, far).uri)
        works.change_work(db, second, in_reply_to_id=first)
        known, unknown = actor(db, far).uri, "https://far.example/users/unmet"
        mentions = [Mention(uri, f"{uri[-3:]}@far.example", uri) for uri in (known, unknown)]
        works.put_surroundings(db, second, to=[], cc=[], tags=["oil"], mentions=mentions)
        shown = shown_rows.works_shown(db, [first, second], author)
        met = sorted((mention.uri, mention.actor_id) for mention in shown[1].mentions)
        assert shown[1].tags == ("oil",)
        return met, [item.answers_actor_id for item in shown], far

    met, answered, far = await storage.write(act)
    assert met == [("https://far.example/users/ada", far), ("https://far.example/users/unmet", None)]
    assert answered == [None, far]


async def test_files_that_rows_name_are_told_from_those_that_none_does(storage: Storage) -> None:
    def act(db: Connection) -> tuple[set[str], set[str]]:
        artist = person(db, "mira")
        keys = ("ab" * 16, "cd" * 16, "ef" * 16)
        for key in keys:
            image_id = new_id(NOW)
            row = {"id": image_id, "actor_id": artist, "purpose": "work", "state": "ready", "used_at": NOW, "created_at": NOW}
            images.insert_image(db, {**row, "vault_key": key})
            images.put_renditions(db, image_id, [Rendition(image_id, "public", f"{key[:2]}/{key}", "image/jpeg", 1, 1, 1, key)])
        images.insert_image(db, {**row, "id": new_id(NOW), "vault_key": None})
        asked = [f"ab/{keys[0]}", *(f"no/{number}" for number in range(1_200)), f"ef/{keys[2]}"]
        return images.vault_keys_used(db, ["ab", "cd", "99"]), images.names_used(db, asked)

    found, used = await storage.write(act)
    assert found == {"ab" * 16, "cd" * 16}
    assert used == {f"ab/{'ab' * 16}", f"ef/{'ef' * 16}"}


# ------------------------------------------------------------------------------------- one code path for both

NAMES_A_DATABASE = re.compile(r"dialect|sqlite|postgres|asyncpg", re.IGNORECASE)
ALLOWED = {
    ("storage/engine.py", None): "the room where the two differ",
    ("storage/one_file.py", None): "the file itself: locked, copied, put in place",
    ("storage/tables.py", "sqlite_with_rowid"): "how a table is stored; PostgreSQL's compiler does not see it",
    ("storage/migrations/versions/0010_hosts.py", "sqlite_with_rowid"): "the same, where the table is made",
    ("storage/tables.py", "sqlite_where"): "a partial index is told to each in its own word",
    ("storage/tables.py", "postgresql_where"): "the same",
    ("storage/migrations/versions/0001_first.py", "sqlite_with_rowid"): "the same",
    ("storage/migrations/versions/0002_indexes.py", "sqlite_where"): "the same",
    ("storage/migrations/versions/0002_indexes.py", "postgresql_where"): "the same",
    ("storage/migrations/versions/0008_safety.py", "sqlite_where"): "the same",
    ("storage/migrations/versions/0008_safety.py", "postgresql_where"): "the same",
    (
        "cli/backup.py",
        'Put the rows there and write it into the settings: postgresql://…, or "" for SQLite.  [default: as it was]',
    ): "the same",
    ("storage/migrations/versions/0017_signups.py", "sqlite_where"): "the same",
    ("storage/migrations/versions/0017_signups.py", "postgresql_where"): "the same",
    ("cli/commands.py", "Database address, twice: artist's, follower's.  [default: SQLite]"): "words for people",
}


def words_of(tree: ast.AST) -> Iterator[str]:
    """Every name and text in code, without comments and docstrings."""
    said: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            said.add(id(node.value))
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str() as name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name):
                yield name
            case ast.ImportFrom(module=str() as name):
                yield name
            case ast.Constant(value=str() as name) if id(node) not in said:
                yield name


def test_only_the_engine_knows_which_database_it_is() -> None:
    root = Path(fediart.__file__).parent
    found = {
        (path.relative_to(root).as_posix(), word)
        for path in root.rglob("*.py")
        for word in words_of(ast.parse(path.read_text(encoding="utf-8")))
        if NAMES_A_DATABASE.search(word)
    }
    assert ("storage/engine.py", "sqlite") in found
    assert {item for item in found if item not in ALLOWED and (item[0], None) not in ALLOWED} == set()
    assert {item for item in ALLOWED if item[1] is not None} <= found, "what is allowed is still needed"


BEGINNINGS = {
    "storage/engine.py": {"_commit", "_in_one", "_in_transaction", "work_alone"},
    "storage/migrate.py": {"_migrate_file", "_migrate_served"},
}
"""Functions that begin a transaction: by an engine of `storage/engine`, which says BEGIN IMMEDIATE to every file."""


@pytest.mark.row(59)
def test_every_transaction_that_writes_begins_in_the_one_room_and_takes_the_file_at_once() -> None:
    root = Path(fediart.__file__).parent
    found: dict[str, set[str]] = {}
    for path in root.rglob("*.py"):
        tree, name = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(root).as_posix()
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in ast.walk(function):
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "begin":
                        found.setdefault(name, set()).add(function.name)
        connects = {word for word in words_of(tree) if word in ("create_engine", "create_async_engine", "sqlite3")}
        assert not connects or name in ("storage/engine.py", "storage/one_file.py"), (name, connects)
    assert found == BEGINNINGS
    said: list[str] = []
    for engine in (migration_engine(database_url("sqlite://", root)), _SqliteWriter(database_url("sqlite://", root))._engine):
        assert isinstance(engine, Engine)
        event.listen(engine, "before_cursor_execute", lambda _connection, _cursor, statement, *_: said.append(statement))
        with engine.begin() as connection:
            connection.execute(text("SELECT 1"))
    assert said == ["BEGIN IMMEDIATE", "SELECT 1"] * 2


async def test_both_engines_count_alike(storage: Storage) -> None:
    """`depth` feeds /healthz."""
    assert await storage.read(leases.depth, t.jobs) == (0, None)
    ids = await queued(storage, "", "")
    await storage.write(leases.claim, t.jobs, now=NOW, lease="one", lease_ms=1_000, limit=1)
    assert await storage.read(leases.depth, t.jobs) == (2, NOW)
    assert await storage.read(lambda db: db.execute(select(func.max(t.jobs.c.id))).scalar()) == ids[1]
