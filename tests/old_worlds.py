"""A small world as each earlier version of the tables held it: `dumps/NNNN.sql`, and its pictures in `dumps/data`.

`python -m tests.old_worlds` makes those of earlier versions that are missing: today's world, row by row as far as the older
tables have its columns. Today's world is the newest dump, upgraded; where there is none, a new one. Keys are put in when a
dump is laid down.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from fediart.domain.follows import Follow, FollowState
from fediart.ids import new_id
from fediart.media.sample import draw_sample
from fediart.storage import actors, follows, settings
from fediart.storage.engine import database_url, work_alone
from fediart.storage.migrate import known_versions, migrate, upgrade_to
from tests.far_server import key_pair
from tests.waiting import until
from tests.world import World, a_world

DUMPS = Path(__file__).with_name("dumps")
WORDS = {"picture": "An evening over water", "waiting": "Words that had not gone out yet"}
FOLLOWER = "http://127.0.0.1:9/users/ana"
"""Nobody listens there."""
_NOT_KEPT = ("sessions", "grants", "alembic_version")


def versions() -> list[str]:
    return sorted(path.stem for path in DUMPS.glob("*.sql"))


def lay_down(version: str, data: Path) -> Path:
    """A data folder of that version; returns its database."""
    shutil.copytree(DUMPS / "data", data)
    private, public = key_pair(0)
    text = (DUMPS / f"{version}.sql").read_text(encoding="utf-8")
    text = text.replace("@private@", private).replace("@public@", public)
    file = data / "fediart.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(text)
    return file


async def _make() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        if held := versions():
            await migrate(database_url("", lay_down(held[-1], data).parent))
        else:
            await _fill(data)
            for store in ("media", "originals"):
                shutil.copytree(data / store, DUMPS / "data" / store)
        for version in set(known_versions()[:-1]) - set(held):
            old = Path(folder) / f"{version}.sqlite"
            await work_alone(database_url(f"sqlite:///{old}", data), partial(upgrade_to, target=version))
            (DUMPS / f"{version}.sql").write_text(_dump(old, data / "fediart.sqlite"), encoding="utf-8")


async def _fill(data: Path) -> None:
    async with a_world(data) as world:
        image = await world.upload(draw_sample(96, 64), description="Light on water")
        shown = await world.client.post("/api/v1/statuses", data={"status": WORDS["picture"], "media_ids[]": image["id"]})

        async def is_out() -> bool:
            return (await world.stranger.get(f"/api/v1/statuses/{shown.json()['id']}")).status_code == 200

        await until(is_out)
    async with a_world(data, jobs=False) as world:
        await world.instance.storage.write(_put_follower, world)
        assert (await world.client.post("/api/v1/statuses", data={"status": WORDS["waiting"]})).status_code == 200
        await world.upload(draw_sample(64, 64, seed=2))


def _put_follower(db: Connection, world: World) -> None:
    now = world.instance.clock()
    ana = new_id(now)
    values = {
        "id": ana,
        "uri": FOLLOWER,
        "host": "127.0.0.1:9",
        "username": "ana",
        "kind": "Person",
        "url": FOLLOWER,
        "inbox": f"{FOLLOWER}/inbox",
        "followers_uri": f"{FOLLOWER}/followers",
        "public_key_id": f"{FOLLOWER}#main-key",
        "public_key_pem": "",
        "created_at": now,
        "fetched_at": now,
    }
    actors.insert_actor(db, values)
    follow = Follow(new_id(now), ana, world.artist.actor_id, f"{FOLLOWER}#follow", FollowState.ACCEPTED, True)
    follows.put_follow(db, follow)
    settings.put_setting(db, "address", world.instance.identifiers.base_url)


def _dump(old: Path, today: Path) -> str:
    with contextlib.closing(sqlite3.connect(old)) as db:
        db.execute("ATTACH ? AS today", (str(today),))
        for (table,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            columns = [row[1] for row in db.execute(f"PRAGMA main.table_info({table})")]
            held = {row[1] for row in db.execute(f"PRAGMA today.table_info({table})")}
            both = ", ".join(f'"{name}"' for name in columns if name in held)
            if table not in _NOT_KEPT:
                db.execute(f"INSERT INTO main.{table} ({both}) SELECT {both} FROM today.{table}")
        db.execute(
            "UPDATE actors SET public_key_pem = '@public@', private_key_pem = '@private@' WHERE private_key_pem IS NOT NULL"
        )
        db.commit()
        db.execute("DETACH today")
        return "\n".join(db.iterdump()) + "\n"


if __name__ == "__main__":
    asyncio.run(_make())
