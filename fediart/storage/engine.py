"""The database, opened: one code path for SQLite and PostgreSQL, and the only room with dialect branches.

SQLite: every write of the process goes to one thread that owns one connection. It drains what has queued, runs
each act under its own savepoint in one BEGIN IMMEDIATE transaction, commits once and then answers all callers, so
that fsync (synchronous=FULL) is paid once for many. PostgreSQL: an act is a transaction of its own, or shares one.

Reads go through SQLAlchemy's async engine (aiosqlite, read-only; or asyncpg).

Figures and the roads not taken: decisions/group-commit.md.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import queue
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from fediart.errors import ConfigError, NotFound, Unavailable
from fediart.observe import SPENT, spending

log = structlog.get_logger("fediart.storage")

P = ParamSpec("P")
T = TypeVar("T")
Act = Callable[Concatenate[Connection, P], T]

BATCH = 256
"""At most so many acts share one commit."""

READERS = 4

READERS_SERVED, WRITERS_SERVED = 6, 4
"""Connections to PostgreSQL."""

GROUP = 32
"""At most so many acts share one transaction there."""

STATEMENTS = 500
"""So many statements each connection to PostgreSQL keeps prepared; lists of different lengths count as different ones."""

ANSWER_S = 10
"""So long is waited for a connection to PostgreSQL before it counts as away."""


class Storage:
    """An open database. `write` runs an act in a transaction; `read` lends a read-only connection."""

    def __init__(self, reader: _SqliteReader | _PostgresReader, writer: _SqliteWriter | _PostgresWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def write(self, act: Act[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `act(connection, …)` in a transaction; when this returns it is on disk. An act's error undoes it alone."""
        return await _accounted(self._writer.run, lambda db: act(db, *args, **kwargs))

    async def read(self, question: Act[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask one question: `question(connection, …)`, without a transaction that writes."""
        return await _accounted(self._reader.ask, lambda db: question(db, *args, **kwargs))

    @property
    def waiting_writes(self) -> int:
        """Acts that wait for the writer, or for a connection to write on."""
        return self._writer.waiting

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()


async def _accounted(run: Callable[[Callable[[Connection], T]], Awaitable[T]], act: Callable[[Connection], T]) -> T:
    """Time and statements are put down to the request in hand, if there is one."""
    spent = SPENT.get()
    if spent is None:
        return await run(act)

    def counted(db: Connection) -> T:
        # It may run in a thread of its own, which knows of no request.
        token = SPENT.set(spent)
        try:
            return act(db)
        finally:
            SPENT.reset(token)

    with spending("database"):
        return await run(counted)


def _count_statement(*_args: object) -> None:
    spent = SPENT.get()
    if spent is not None:
        spent.statements += 1


def _counted(engine: Engine) -> None:
    event.listen(engine, "before_cursor_execute", _count_statement)


def _without_nul(
    _db: object, _cursor: object, statement: str, parameters: Any, _context: object, executemany: bool
) -> tuple[str, Any]:
    """PostgreSQL's text holds no NUL, and strangers send some: it becomes the sign for what cannot be shown, as in a browser.

    Left out, it would make one name of two.
    """
    if executemany:
        return statement, [_clean(row) for row in parameters]
    return statement, _clean(parameters)


def _clean(row: Any) -> Any:
    if any(isinstance(value, str) and "\0" in value for value in row):
        return tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row)
    return row


class _SqliteReader:
    """Read-only connections of SQLAlchemy's async engine (aiosqlite), each with a thread of its own.

    A question runs whole in that thread. Statement by statement from the event loop it would cross threads four times
    for each, which costs several times what the statements do: decisions/reads.md. It sees the database of one moment.
    """

    def __init__(self, url: URL) -> None:
        self._engine = create_async_engine(
            url.set(drivername="sqlite+aiosqlite"), pool_size=READERS, max_overflow=0, hide_parameters=True
        )
        event.listen(self._engine.sync_engine, "connect", _prepare_sqlite_reader)
        self._turns = asyncio.Semaphore(READERS)
        self._lent: list[AsyncConnection] = []
        self._free: list[_Reading] = []

    async def ask(self, question: Callable[[Connection], T]) -> T:
        async with self._turns:
            with _told_as_ours():
                reading = self._free.pop() if self._free else await self._open()
            try:
                with _told_as_ours():
                    answer: T = await reading.driver._execute(reading.answer, question)
                return answer
            finally:
                self._free.append(reading)

    async def _open(self) -> _Reading:
        connection = await self._engine.connect()
        self._lent.append(connection)
        return _Reading((await connection.get_raw_connection()).driver_connection)

    async def close(self) -> None:
        for connection in self._lent:
            await connection.close()
        await self._engine.dispose()


class _Reading:
    """One connection with what SQLAlchemy needs to speak on it from its own thread."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        raw: sqlite3.Connection = driver._conn
        self._raw = raw
        self._engine = create_engine(
            "sqlite://", creator=lambda: raw, poolclass=StaticPool, pool_reset_on_return=None, hide_parameters=True
        )
        _counted(self._engine)
        self._connection: Connection | None = None

    def answer(self, question: Callable[[Connection], T]) -> T:
        """In the connection's thread."""
        if self._connection is None:
            self._connection = self._engine.connect()
        self._raw.execute("BEGIN")
        try:
            return question(self._connection)
        finally:
            self._raw.execute("ROLLBACK")


class _Dead(Exception):
    """The connection was gone before anything could be committed on it."""


def _undisturbed(connection: Connection, act: Callable[[Connection], T]) -> T:
    try:
        return act(connection)
    except DBAPIError as problem:
        if problem.connection_invalidated:
            raise _Dead from problem
        raise


class _Connections:
    """Connections to PostgreSQL, each lent to one at a time and kept between: lending costs no words with the database.

    Nor are they tried before each use. Those that were idle while PostgreSQL went away and came back are dead, all of them;
    who finds that out, before anything could be committed, goes on with a new one.
    """

    def __init__(self, engine: AsyncEngine, count: int) -> None:
        self._engine = engine
        self._turns = asyncio.Semaphore(count)
        self._free: list[AsyncConnection] = []
        self.waiting = 0

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Raises Unavailable when none is free, or can be had, for `ANSWER_S`."""
        if self._turns.locked():
            await self._wait()
        else:
            await self._turns.acquire()
        try:
            with _told_as_ours():
                return await self._run_again_if_dead(work)
        finally:
            self._turns.release()

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            with _told_as_ours():
                async with asyncio.timeout(ANSWER_S):
                    await self._turns.acquire()
        finally:
            self.waiting -= 1

    async def _run_again_if_dead(self, work: Callable[[Connection], T]) -> T:
        try:
            return await self._once(work)
        except _Dead:
            pass
        for connection in self._free:
            await connection.close()
        self._free.clear()
        try:
            return await self._once(work)
        except _Dead as problem:
            raise (problem.__cause__ or problem) from None

    async def _once(self, work: Callable[[Connection], T]) -> T:
        connection = self._free.pop() if self._free else await self._engine.connect()
        try:
            answer = await connection.run_sync(work)
        except BaseException:
            await asyncio.shield(connection.close())
            raise
        self._free.append(connection)
        return answer

    async def close(self) -> None:
        for connection in self._free:
            await connection.close()
        await self._engine.dispose()


class _PostgresReader:
    """Reads on connections of asyncpg that are in no transaction and may only read."""

    def __init__(self, connections: _Connections) -> None:
        self._connections = connections

    async def ask(self, question: Callable[[Connection], T]) -> T:
        return await self._connections.run(lambda db: _undisturbed(db, question))

    async def close(self) -> None:
        await self._connections.close()


class _SqliteWriter:
    """The one thread that writes to a SQLite file."""

    def __init__(self, url: URL) -> None:
        self._engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False}, hide_parameters=True)
        event.listen(self._engine, "connect", _prepare_sqlite_writer)
        event.listen(self._engine, "begin", _begin_immediate)
        _counted(self._engine)
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="fediart-writer", daemon=True)
        self._thread.start()

    async def run(self, act: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Item(act, loop, future))
        return await future

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    async def close(self) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._engine.dispose()

    def _work(self) -> None:
        closing = False
        while not closing:
            item = self._queue.get()
            batch: list[_Item] = []
            while True:
                if item is None:
                    closing = True
                    break
                batch.append(item)
                if len(batch) >= BATCH:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._commit(batch)

    def _commit(self, batch: list[_Item]) -> None:
        answers: list[tuple[_Item, Any, BaseException | None]] = []
        try:
            with self._engine.begin() as connection:
                if len(batch) == 1:
                    # Nobody shares this transaction, so the act's own error may undo all of it.
                    answers.append((batch[0], batch[0].act(connection), None))
                else:
                    answers.extend(_run_alone(connection, item) for item in batch)
        except BaseException as problem:  # the commit, or the only act, failed: every caller must hear it
            error = _as_ours(problem)
            answers = [(item, None, error) for item in batch]
        _answer(answers)


class _Item:
    """An act that waits for the writer, and who waits for it."""

    __slots__ = ("act", "future", "loop")

    def __init__(self, act: Callable[[Connection], Any], loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
        self.act = act
        self.loop = loop
        self.future = future


@contextmanager
def undone_on_error(db: Connection) -> Iterator[None]:
    """A part of an act: an error in it undoes this part alone, and goes on to the caller."""
    db.exec_driver_sql("SAVEPOINT part")
    try:
        yield
    except BaseException:
        db.exec_driver_sql("ROLLBACK TO SAVEPOINT part")
        db.exec_driver_sql("RELEASE SAVEPOINT part")
        raise
    db.exec_driver_sql("RELEASE SAVEPOINT part")


def _run_alone(connection: Connection, item: _Item) -> tuple[_Item, Any, BaseException | None]:
    try:
        with undone_on_error(connection):
            return item, item.act(connection), None
    except Exception as problem:  # handed to the act's caller, who knows what it means
        return item, None, _as_ours(problem)


def _answer(answers: list[tuple[_Item, Any, BaseException | None]]) -> None:
    """Resolve the futures, one hop into each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[_Item, Any, BaseException | None]]] = {}
    for answer in answers:
        loops.setdefault(answer[0].loop, []).append(answer)
    for loop, of_loop in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, of_loop)
        except RuntimeError:
            log.warning("storage.caller_gone", answers=len(of_loop))


def _resolve(answers: list[tuple[_Item, Any, BaseException | None]]) -> None:
    for item, value, problem in answers:
        if item.future.done():
            continue
        if problem is None:
            item.future.set_result(value)
        else:
            item.future.set_exception(problem)


_LOST_RACE = frozenset({"23503", "23505", "40001", "40P01"})
"""Foreign key, unique key, serialization, deadlock. https://www.postgresql.org/docs/current/errcodes-appendix.html"""
RACES = 4


class _PostgresWriter:
    """PostgreSQL has many writers: an act is one transaction, or shares one with those that waited for the same connection.

    Acts look before they write. Between the two another act may have been faster; then the act is run again, and sees
    what the other one wrote, as it would have in SQLite's one thread. An act that fails in company takes the others back with
    it: each is run again alone.
    """

    def __init__(self, connections: _Connections, count: int) -> None:
        self._connections = connections
        self._count = count
        self._queue: collections.deque[_Item] = collections.deque()
        self._groups: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        return len(self._queue) + self._connections.waiting

    async def run(self, act: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        item = _Item(act, loop, future)
        self._queue.append(item)
        if len(self._groups) < self._count:
            group = asyncio.create_task(self._work())
            self._groups.add(group)
            group.add_done_callback(self._groups.discard)
            return await future
        patience = loop.call_later(ANSWER_S, self._turn_away, item)
        try:
            return await future
        finally:
            patience.cancel()

    def _turn_away(self, item: _Item) -> None:
        """Nobody took it up in all that time: then it is not done."""
        with contextlib.suppress(ValueError):
            self._queue.remove(item)
            _resolve([(item, None, _as_ours(TimeoutError("Every connection is busy.")))])

    async def _work(self) -> None:
        while self._queue:
            group = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
            if len(group) > 1 and await self._did_together(group):
                continue
            for item in group:
                await self._do_alone(item)

    async def _did_together(self, group: list[_Item]) -> bool:
        """False: one of them failed, or lost a race, and nothing is done. All are told when the database went away, even as
        it committed: what it did is not known then."""
        acts = [item.act for item in group]
        try:
            answers = await self._connections.run(lambda db: _in_one(db, acts, _Failed))
        except (_Failed, DBAPIError):
            return False
        except Exception as problem:  # told to every caller
            _resolve([(item, None, problem) for item in group])
            return True
        _resolve([(item, answer, None) for item, answer in zip(group, answers, strict=True)])
        return True

    async def _do_alone(self, item: _Item) -> None:
        try:
            [answer] = await self._again_after_races(item)
        except BaseException as problem:
            _resolve([(item, None, problem)])
            if not isinstance(problem, Exception):
                raise
        else:
            _resolve([(item, answer, None)])

    async def _again_after_races(self, item: _Item) -> list[Any]:
        for _ in range(RACES):
            try:
                return await self._connections.run(lambda db: _in_one(db, [item.act]))
            except DBAPIError as problem:
                if _sqlstate(problem) not in _LOST_RACE:
                    raise
        return await self._connections.run(lambda db: _in_one(db, [item.act]))

    async def close(self) -> None:
        await asyncio.gather(*self._groups)
        await self._connections.close()


class _Failed(Exception):
    """An act raised something, in company."""


def _in_one(db: Connection, acts: list[Callable[[Connection], Any]], failure: type[_Failed] | None = None) -> list[Any]:
    """Their answers, once what they did is committed. `failure`: raised in place of what an act raises."""
    with db.begin():
        try:
            return [_undisturbed(db, act) for act in acts]
        except _Dead:
            raise
        except Exception as problem:  # handed to whoever asked
            if failure is None:
                raise
            raise failure from problem


_NO_ROOM = ("database or disk is full", "readonly database", "unable to open database", "disk I/O error", "No space left")
_AWAY = ("08", "57P", "53", "55000")
"""Beginnings of SQLSTATEs: no connection, it is shut down or starts, it has no room or no connection left, it lets nobody in."""


def _sqlstate(problem: DBAPIError) -> str:
    return getattr(problem.orig, "sqlstate", None) or ""


def is_no_room(problem: BaseException) -> bool:
    """Is it that the disk is full, or cannot be written?"""
    if isinstance(problem, OSError):
        return problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
    is_told = isinstance(problem, OperationalError | sqlite3.OperationalError)
    return is_told and any(words in str(problem) for words in _NO_ROOM)


def _as_ours(problem: BaseException) -> BaseException:
    """A full or read-only disk and a database that is away are no bugs: the sender is asked to come again."""
    if not isinstance(problem, OSError) and is_no_room(problem):
        return Unavailable("This server cannot write to its disk now. Please try again later.", detail=str(problem))
    is_away = isinstance(problem, OSError | PoolTimeout) or (
        isinstance(problem, DBAPIError)
        and (problem.connection_invalidated or _sqlstate(problem).startswith(_AWAY) or "database is locked" in str(problem))
    )
    if is_away:
        return Unavailable("This server's database does not answer now. Please try again in a minute.", detail=repr(problem))
    return problem


@contextmanager
def _told_as_ours() -> Iterator[None]:
    """Acts and questions do no input or output of their own: an OSError is one of the way to the database."""
    try:
        yield
    except (SQLAlchemyError, OSError) as problem:
        ours = _as_ours(problem)
        if ours is problem:
            raise
        raise ours from problem


@contextmanager
def _told_beside_files() -> Iterator[None]:
    """As `_told_as_ours`, for what also reads and writes files: that their disk is full is left to the caller."""
    try:
        yield
    except (SQLAlchemyError, OSError) as problem:
        ours = problem if isinstance(problem, OSError) and is_no_room(problem) else _as_ours(problem)
        if ours is problem:
            raise
        raise ours from problem


@contextmanager
def told_at_start(url: URL) -> Iterator[None]:
    """Raises ConfigError, in words for whoever starts the server, when there is no database to start with."""
    try:
        with _told_as_ours():
            yield
    except Unavailable as problem:
        if url.get_backend_name() == "sqlite":
            words = f"The database {url.database} cannot be written. Is the disk full, or the folder another user's?"
        else:
            words = f"PostgreSQL does not answer at {url.host or 'its socket'}. Is it running, and is storage.database right?"
        raise ConfigError(words, detail=problem.detail) from problem


def _prepare_sqlite_writer(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_sqlite_look(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("query_only=ON", "busy_timeout=10000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails at once with SQLITE_BUSY_SNAPSHOT when another
    # process wrote in between; busy_timeout does not help there. https://www.sqlite.org/isolation.html
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare_sqlite_reader(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("query_only=ON", "busy_timeout=10000", "cache_size=-8000", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


OWN_FILE = "fediart.sqlite"
"""Its name in the data folder, where no other database is set."""


def database_bytes(db: Connection) -> int:
    """Size of the database; of SQLite without its journal."""
    if db.dialect.name == "sqlite":
        pages, size = (db.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
        return int(pages) * int(size)
    return int(db.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())


def database_url(setting: str, data: Path) -> URL:
    """The address of the database: `setting` when one is configured, else the file in the data folder."""
    if not setting:
        return URL.create("sqlite", database=str(data / OWN_FILE))
    url = make_url(setting)
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError("storage.database must be empty (SQLite in the data folder) or a postgresql:// address.")
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite")
    return url.set(drivername="postgresql+asyncpg")


def open_storage(url: URL) -> Storage:
    """Open the database at `url` (see `database_url`). Migrate it first: `storage.migrate`."""
    if url.get_backend_name() == "sqlite":
        return Storage(_SqliteReader(url), _SqliteWriter(url))
    readers = _Connections(_served(url, READERS_SERVED, is_read_only=True), READERS_SERVED)
    writers = _Connections(_served(url, WRITERS_SERVED), WRITERS_SERVED)
    return Storage(_PostgresReader(readers), _PostgresWriter(writers, WRITERS_SERVED))


def _served(url: URL, count: int, *, is_read_only: bool = False) -> AsyncEngine:
    """Connections to PostgreSQL. Those that only read have no transactions, and so no words for their beginning and end."""
    more: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if is_read_only else {}
    settings = {"default_transaction_read_only": "on"} if is_read_only else {}
    engine = create_async_engine(
        url,
        pool_size=count,
        max_overflow=0,
        pool_timeout=ANSWER_S,
        connect_args={"timeout": ANSWER_S, "prepared_statement_cache_size": STATEMENTS, "server_settings": settings},
        hide_parameters=True,
        **more,
    )
    _counted(engine.sync_engine)
    event.listen(engine.sync_engine, "before_cursor_execute", _without_nul, retval=True)
    return engine


def file_of(url: URL) -> Path | None:
    """The file that is the whole database; None where a server has it."""
    if url.get_backend_name() != "sqlite":
        return None
    return Path(url.database or "")


async def look(url: URL, question: Callable[[Connection], T]) -> T:
    """Ask one question of a database as it lies there, whatever its tables and whoever has it open.

    The question sees the database of one moment, however long it takes, and changes nothing.
    """
    with _told_beside_files():
        file = file_of(url)
        if file is not None:
            return await asyncio.to_thread(_look_at_file, url, question)
        engine = create_async_engine(url, poolclass=NullPool, isolation_level="REPEATABLE READ", hide_parameters=True)
        try:
            async with engine.connect() as connection:
                await connection.exec_driver_sql("SET TRANSACTION READ ONLY")
                return await connection.run_sync(question)
        finally:
            await engine.dispose()


def _look_at_file(url: URL, question: Callable[[Connection], T]) -> T:
    if not Path(url.database or "").exists():
        raise NotFound(f"There is no database {url.database}.")
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite_look)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    try:
        with engine.connect() as connection:
            return question(connection)
    finally:
        engine.dispose()


async def work_alone(url: URL, act: Callable[[Connection], T]) -> T:
    """Run an act in one transaction on a connection of its own: for a database that nobody serves yet."""
    with _told_beside_files():
        engine = migration_engine(url)
        if isinstance(engine, AsyncEngine):
            try:
                async with engine.begin() as connection:
                    return await connection.run_sync(act)
            finally:
                await engine.dispose()
        try:
            return await asyncio.to_thread(_in_transaction, engine, act)
        finally:
            engine.dispose()


async def is_sound(url: URL) -> bool:
    """Does the database say of itself that it is whole, and that every row has those it refers to? A server's always is."""

    def ask(db: Connection) -> bool:
        whole = db.exec_driver_sql("PRAGMA integrity_check(1)").scalar() == "ok"
        return whole and db.exec_driver_sql("PRAGMA foreign_key_check").first() is None

    return file_of(url) is None or await look(url, ask)


def self_check(db: Connection) -> list[str]:
    """What a file says of itself where it is not whole, in its own words, the first few; a server's answers for itself."""
    if db.dialect.name != "sqlite":
        return []
    said = [str(row[0]) for row in db.exec_driver_sql("PRAGMA quick_check(3)")]
    return [] if said == ["ok"] else said


def _in_transaction(engine: Engine, act: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return act(connection)


def migration_engine(url: URL) -> Engine | AsyncEngine:
    """An engine of one connection for Alembic."""
    if url.get_backend_name() != "sqlite":
        return create_async_engine(url, poolclass=NullPool, hide_parameters=True)
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite_writer)
    event.listen(engine, "begin", _begin_immediate)
    return engine
