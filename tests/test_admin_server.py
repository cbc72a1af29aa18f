"""What an admin sees of the server as a whole: disk, jobs, deliveries, the servers met and the accounts; and who may see it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from fediart.domain.actors import Role
from fediart.domain.hosts import DAY_MS, Host
from fediart.storage.deliveries import say
from fediart.storage.hosts import put_host
from fediart.storage.jobs import add_job
from fediart.storage.peers import were_seen
from fediart.storage.tables import accounts
from fediart.web.pages.admin.server import JOBS
from tests.far_server import follow, settled
from tests.people import People, Person, people_of
from tests.scene import Scene, a_scene
from tests.waiting import until

pytestmark = pytest.mark.anyio
PAGES = ("/admin/server", "/admin/peers", "/admin/accounts")


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[tuple[Scene, People]]:
    async with a_scene(prepared, tmp_path) as opened, people_of(opened.world.instance) as people:
        yield opened, people


async def _with_role(people: People, name: str, role: Role) -> Person:
    person = await people.person(name)
    await people.instance.storage.write(
        lambda db: db.execute(update(accounts).where(accounts.c.id == person.account.id).values(role=role))
    )
    return person


def words(page: str) -> str:
    main = page.split('<main id="main">')[1].split("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


async def test_the_pages_tell_how_the_server_is(scene: tuple[Scene, People]) -> None:
    stage, people = scene
    ada, mo = await _with_role(people, "ada", Role.ADMIN), await _with_role(people, "mo", Role.MODERATOR)
    for path in PAGES:
        assert (await mo.browser.get(path)).status_code == 404
        assert (await stage.world.stranger.get(path)).status_code in (303, 401, 404)
    await follow(stage.world, stage.ana)
    await stage.post("a work")
    image = await stage.world.upload()
    await until(lambda: _is_ready(stage, image["id"]))
    assert await settled(stage.world) == []

    page = words((await ada.browser.get("/admin/server")).text)
    assert re.search(r"[0-9.]+ GB of [0-9.]+ GB are free", page)
    for said in (
        "Originals, for their artists alone",
        "Pictures as they are shown",
        "Database",
        "Nothing is to be done",
        "There is no backup yet",
        "Nothing waits",
    ):
        assert said in page, said
    assert "3 accounts" in page
    assert "1 other server was met" in words(
        (await ada.browser.get("/admin/peers")).text
    ) or "1 server, the last seen first" in words((await ada.browser.get("/admin/peers")).text)
    listed = words((await ada.browser.get("/admin/peers")).text)
    assert stage.far.host in listed
    assert "heard" in listed
    assert "reached" in listed

    people_here = words((await ada.browser.get("/admin/accounts")).text)
    assert re.search(r"@mira · \w+ 1 work · [0-9.]+ [kM]B · not signed in", people_here)
    assert re.search(r"@ada · admin 0 works · no pictures · seen", people_here)

    await stage.world.instance.storage.write(_trouble, stage.world.instance.clock())
    page = words((await ada.browser.get("/admin/server")).text)
    assert "no crew 1 due, the oldest for about 2 hours · 1 for later · 2 in all" in page
    assert "The oldest has been due for about 2 hours" in page
    assert "away.example 1 since" in page
    failing = words((await ada.browser.get("/admin/peers?failing=1")).text)
    assert "away.example" in failing
    assert stage.far.host not in failing
    assert "Dead since" in failing
    assert "it does not answer" in failing
    assert "1 delivery waits" in failing


async def _is_ready(stage: Scene, image_id: str) -> bool:
    return bool((await stage.world.client.get(f"/api/v1/media/{image_id}")).json()["url"])


def _trouble(db: Connection, now: int) -> None:
    add_job(db, "no_crew", {}, now=now, run_at=now - 7_200_000)
    add_job(db, "no_crew", {}, now=now, run_at=now + 7_200_000)
    actor = db.exec_driver_sql("SELECT actor_id FROM accounts LIMIT 1").scalar_one()
    say(db, uri="urn:1", actor_id=actor, body=b"{}", inboxes=[("https://away.example/inbox", "away.example")], now=now)
    db.exec_driver_sql(f"UPDATE deliveries SET run_at = {now + 3_600_000}, attempts = 3")
    host = Host("away.example", 9, 8, now - 9 * DAY_MS, now, "it does not answer")
    put_host(db, host)
    were_seen(db, [("away.example", now - 10 * DAY_MS, 0)])


async def test_long_lists_come_in_pages_of_few_questions(scene: tuple[Scene, People]) -> None:
    stage, people = scene
    ada = await _with_role(people, "ada", Role.ADMIN)
    now = stage.world.instance.clock()
    await stage.world.instance.storage.write(
        were_seen, [(f"s{number:03}.example", now - number // 3, 0) for number in range(120)]
    )
    seen: list[str] = []
    path = "/admin/peers"
    for _ in range(3):
        page = (await ada.browser.get(path)).text
        seen += re.findall(r"<strong>(s[0-9]{3}\.example)</strong>", page)
        more = re.search(r'<a class="button" href="(\?[^"]+)">More', page)
        path = f"/admin/peers{more[1].replace('&amp;', '&')}" if more else ""
    assert path == ""
    assert seen == [f"s{number:03}.example" for number in range(120)]
    found = (await ada.browser.get("/admin/peers?name=S11%25")).text
    assert "None is like that" in found
    assert re.findall(r"<strong>(s[0-9]{3})", (await ada.browser.get("/admin/peers?name=S11")).text) == [
        f"s11{n}" for n in range(10)
    ]
    for nonsense in ("?after=nobody", "?after=%00", "?failing=x", "?name=" + "x" * 5_000):
        assert (await ada.browser.get("/admin/peers" + nonsense)).status_code == 200, nonsense
    assert (await ada.browser.get("/admin/accounts?after=x")).status_code == 200


async def test_every_kind_of_job_has_a_name(scene: tuple[Scene, People]) -> None:
    from fediart.jobs.kinds import KINDS

    assert {*KINDS, "arrival"} <= set(JOBS)
