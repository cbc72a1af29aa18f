"""The database is away for a while: everybody is told to come again, and afterwards it goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from fediart.errors import Unavailable
from fediart.storage.engine import database_url, open_storage
from fediart.storage.migrate import migrate
from tests.people import people_of
from tests.postgres import Postgres
from tests.waiting import until
from tests.world import a_world

pytestmark = pytest.mark.anyio


class Way:
    """The network between us and the database: it can be cut and mended."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.close()
        await until(lambda: not self._open)

    async def _carry(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        far, to_far = await asyncio.open_unix_connection(str(self._socket))
        await asyncio.gather(self._pump(near, to_far), self._pump(far, to_near))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._open.discard(writer)


@contextlib.asynccontextmanager
async def a_way(postgres: Postgres) -> AsyncIterator[tuple[Way, str]]:
    """With the address of an empty database behind it."""
    address = make_url(postgres.new_database())
    way = Way(Path(str(address.query["host"])) / ".s.PGSQL.5432")
    await way.mend()
    try:
        yield way, address.set(host="127.0.0.1", port=way.port, query={}).render_as_string(hide_password=False)
    finally:
        await way.cut()


async def test_while_postgresql_is_away_everybody_is_told_to_come_again_and_then_it_goes_on(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        way, address = await stack.enter_async_context(a_way(postgres))
        settings: dict[str, Any] = {"storage.database": address}
        world = await stack.enter_async_context(a_world(tmp_path, **settings))
        people = await stack.enter_async_context(people_of(world.instance))
        mira, stranger, fresh = await people.person("mira"), await people.client(), await people.browser()
        said = {"form_token": await fresh.form_token("/sign-in"), "username": "mira", "password": "x"}
        actor = "https://far.example/users/ada"
        gone = {"id": f"{actor}#gone", "type": "Delete", "actor": actor, "object": actor}
        await way.cut()
        for client in (stranger, mira.browser.http):
            for path in ("/", "/@mira", "/healthz"):
                page = await client.get(path)
                assert page.status_code == 503, path
                assert page.headers["retry-after"] == "60"
                assert "does not answer now" in page.text
                assert "127.0.0.1" not in page.text + str(page.headers), "where it is, is nobody's business"
        sent = await fresh.http.post("/sign-in", data=said)
        assert sent.status_code == 503
        assert 'value="mira"' in sent.text, "what was typed stays"
        for answer in (
            await mira.api.get("/api/v1/timelines/home"),
            await mira.api.post("/api/v1/statuses", json={"status": "words"}),
        ):
            assert (answer.status_code, list(answer.json())) == (503, ["error"])
        told = await stranger.post("/inbox", json=gone)
        assert (told.status_code, told.headers["retry-after"]) == (503, "300")
        await way.mend()
        assert (await stranger.get("/")).status_code == 200
        assert (await mira.browser.get("/home")).status_code == 200
        assert (await stranger.post("/inbox", json=gone)).status_code == 202
        posted = (await mira.api.post("/api/v1/statuses", json={"status": "words"})).json()
        await until(lambda: _is_out(stranger, posted["id"]))


async def _is_out(client: httpx.AsyncClient, work_id: str) -> bool:
    return (await client.get(f"/api/v1/statuses/{work_id}")).status_code == 200


async def test_a_connection_that_is_cut_in_the_middle_is_told_and_the_next_one_works(postgres: Postgres, tmp_path: Path) -> None:
    def slowly(db: Connection) -> None:
        db.execute(text("SELECT pg_sleep(60)"))

    async with a_way(postgres) as (way, address):
        url = database_url(address, tmp_path)
        await migrate(url)
        storage = open_storage(url)
        try:
            for ask in (storage.read, storage.write):
                asked = asyncio.create_task(ask(slowly))
                await until(lambda: postgres.ask(postgres.server.get_uri(), _SLEEPING) != "0")
                await way.cut()
                with pytest.raises(Unavailable):
                    await asked
                with pytest.raises(Unavailable):
                    await ask(_quickly)
                await way.mend()
                assert await ask(_quickly) == 1
                postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)'")
                await until(lambda: postgres.ask(postgres.server.get_uri(), _SLEEPING) == "0")
        finally:
            await storage.close()


def _quickly(db: Connection) -> int:
    return int(db.execute(text("SELECT 1")).scalar_one())


_SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"


@pytest.mark.of_the_file
async def test_a_full_disk_under_sqlite_is_told_to_who_writes_while_others_read_on(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        posted = (await mira.api.post("/api/v1/statuses", json={"status": "words"})).json()

        def full(db: Connection) -> None:
            """SQLite's own bound on its file, at where it is now."""
            pages = db.exec_driver_sql("PRAGMA page_count").scalar_one()
            db.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        await world.instance.storage.write(full)
        long = {"status": "word " * 900}
        answers = [await mira.api.post("/api/v1/statuses", json=long) for _ in range(20)]
        assert answers[-1].status_code == 503
        assert "cannot write to its disk" in answers[-1].json()["error"]
        assert (await mira.browser.get(f"/@mira/{posted['id']}")).status_code == 200
        assert (await mira.browser.get("/search")).status_code == 200


async def test_a_sqlite_file_that_cannot_be_opened_is_told_to_who_reads_and_to_who_writes(tmp_path: Path) -> None:
    (tmp_path / "fediart.sqlite").mkdir()
    storage = open_storage(database_url("", tmp_path))
    for ask in (storage.read, storage.write):
        with pytest.raises(Unavailable):
            await ask(_quickly)
    await storage.close()
