"""Everything into one file while the server runs, and back: whole, or refused in a sentence with nothing touched."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gzip
import io
import json
import secrets
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text, update
from sqlalchemy.engine import URL

from fediart import __version__
from fediart.archive.folders import BEGINNING
from fediart.archive.pack import PackWriter
from fediart.archive.seal import CHUNK
from fediart.clock import system_clock
from fediart.domain.actors import Role
from fediart.domain.backups import FORMAT, About, Outcome, kept_of, name_at, time_of_name
from fediart.errors import BadArchive, Conflict, Unavailable
from fediart.ids import new_id
from fediart.instance import Instance
from fediart.office import write_backup as writing
from fediart.office.keep_backups import BACKUP, FIRST_MS, HOUR_MS, next_at
from fediart.office.read_backup import check_backup
from fediart.office.restore_backup import restore_backup
from fediart.office.write_backup import Place, write_backup
from fediart.outbox.deliver import try_now
from fediart.storage import images, migrate
from fediart.storage.backups import last_backup
from fediart.storage.engine import database_url, look, work_alone
from fediart.storage.tables import accounts, jobs, renditions
from fediart.storage.tables import images as image_rows
from tests.commands import run_commands
from tests.far_server import a_far_server, artist_uri, follow, home, settled
from tests.old_worlds import lay_down
from tests.people import people_of
from tests.postgres import Postgres
from tests.servers import SETTINGS, start_server, wait_for
from tests.snapshot import everything
from tests.waiting import until
from tests.world import a_world

pytestmark = pytest.mark.anyio
PASSPHRASE = "ochre and umber"
DAY_MS = 24 * HOUR_MS
AS_DOCUMENT = {"accept": "application/activity+json"}


def place(data: Path) -> Place:
    return Place(data, database_url("", data))


def files(folder: Path, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Everything below that is no database, by its path."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if not name.startswith(("fediart.sqlite", *but))}


async def rows_of(url: URL) -> dict[str, list[tuple[Any, ...]]]:
    """All, but for the note of where a restored database came from."""
    found = await look(url, everything)
    found["settings"] = [row for row in found["settings"] if row[0] not in ("restored_from", "last_backup")]
    return found


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data folder with works and pictures, of today's version, that no server runs on."""
    data = tmp_path / "old"
    file = lay_down("0010", data)
    asyncio.run(migrate.migrate(database_url("", data)))
    assert file.exists()
    (data / "secret.key").write_bytes(secrets.token_bytes(32))
    (data / "agents.json").write_bytes(secrets.token_bytes(3 * CHUNK))
    (data / "trust").mkdir()
    (data / "trust" / "anchors.pem").write_text("whom we believe")
    return data


# ----------------------------------------------------------------------------------- a backup, and a server of it


@pytest.mark.of_the_file
@pytest.mark.row(63)
async def test_what_was_queued_at_the_copy_is_delivered_after_the_restore_under_the_same_id(tmp_path: Path) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "copy"
    async with a_far_server() as far:
        ana = far.actor("ana")
        async with a_world(old) as world:
            assert (await ana.says(world, ana.activity("Follow", artist_uri(world)))).status_code == 202
            await until(lambda: far.received("Accept"))
            far.judge = lambda asked: 503 if asked.method == "POST" else None
            image = await world.upload()
            work = (await world.client.post("/api/v1/statuses", data={"status": "ochre", "media_ids[]": image["id"]})).json()
            await until(lambda: far.received("Create"))
            assert await settled(world) != []
            summary = await write_backup(place(old), file, PASSPHRASE)
            assert (summary.lost, summary.changed, summary.rows["works"], summary.files) == ((), (), 1, 3)
            assert await check_backup(file, PASSPHRASE) == summary
            far.judge = lambda asked: None
            far.asked.clear()
            key = (await world.stranger.get("/users/mira", headers=AS_DOCUMENT)).json()["publicKey"]
            await try_now(world.instance, far.host)
            [told] = await until(lambda: far.received("Create"))
        assert b"ochre" not in file.read_bytes()
        far.asked.clear()
        await restore_backup(file, PASSPHRASE, new)
        async with a_world(new) as world:
            await try_now(world.instance, far.host)
            [again] = await until(lambda: far.received("Create"))
            assert again == told, "another server sees the same activity once more, and knows it by its id"
            assert again["id"] == f"{work['uri']}/activity"
            shown = await world.stranger.get(f"/api/v1/statuses/{work['id']}")
            picture = shown.json()["media_attachments"][0]
            assert (await world.stranger.get(picture["url"])).status_code == 200
            assert (await world.stranger.get("/users/mira", headers=AS_DOCUMENT)).json()["publicKey"] == key
            await world.client.post("/api/v1/statuses", data={"status": "and umber"})
            await until(lambda: len(far.received("Create")) == 2)
            bo = far.actor("bo")
            assert (await bo.says(world, bo.activity("Follow", artist_uri(world)))).status_code == 202
            await until(lambda: far.received("Accept"))
            await follow(world, ana)
            assert (await ana.says(world, ana.create(note := ana.note("from over there")))).status_code == 202
            assert await settled(world) == []
            assert (await home(world))[0]["uri"] == note["id"]
            assert [len(far.received(kind)) for kind in ("Create", "Accept", "Follow")] == [2, 1, 1], "and nothing twice"


def _new_picture(db: Connection, name: str, owner: int) -> int:
    id_ = new_id(system_clock())
    values = {"id": id_, "actor_id": owner, "purpose": "work", "state": "ready", "used_at": 0, "created_at": 0}
    db.execute(insert(image_rows).values(values))
    shown = {"image_id": id_, "kind": "public", "name": name, "media_type": "image/jpeg", "width": 1, "height": 1, "bytes": 1}
    db.execute(insert(renditions).values(**shown, sha256="0" * 64))
    return id_


async def _come_and_go(instance: Instance, owner: int, stop: asyncio.Event) -> int:
    """Pictures are added and removed as fast as they can be; returns how many."""
    held: list[int] = []
    count = 0
    while not stop.is_set():
        name = await asyncio.to_thread(instance.files.put, secrets.token_bytes(500), "jpg", secret=count % 2 == 0)
        held.append(await instance.storage.write(_new_picture, name, owner))
        count += 1
        if len(held) > 20:
            names, _ = await instance.storage.write(images.drop_images, [held.pop(0)])
            await asyncio.to_thread(instance.files.discard_all, names)
    return count


@pytest.mark.of_the_file
@pytest.mark.row(63)
async def test_every_file_that_a_row_names_is_in_a_copy_made_while_pictures_come_and_go(prepared: Path, tmp_path: Path) -> None:
    async with a_world(tmp_path / "old", jobs=False) as world:
        stop = asyncio.Event()
        busy = asyncio.create_task(_come_and_go(world.instance, world.artist.actor_id, stop))
        for number in range(2):
            summary = await write_backup(place(tmp_path / "old"), tmp_path / f"copy{number}", None)
            read = await check_backup(tmp_path / f"copy{number}", None)
            assert (summary.lost, read.lost, read.rows) == ((), (), summary.rows)
        stop.set()
        assert await busy > 20
        assert not list((tmp_path / "old" / "media").glob(f"{BEGINNING}*"))


async def test_a_copy_holds_settings_secrets_and_pictures_and_no_cache(old: Path, tmp_path: Path) -> None:
    (old / "config.toml").write_text('[instance]\nname = "Gallery"\n')
    for name in ("encoders", "unfinished", "backups"):
        (old / name).mkdir(exist_ok=True)
        (old / name / "left-out").touch()
    (old / "server.log").touch()

    def cache(db: Connection) -> None:
        mira = db.execute(text("SELECT actor_id FROM accounts")).scalar_one()
        id_ = _new_picture(db, f"ab/{'ab' * 32}.jpg", mira)
        db.execute(update(image_rows).where(image_rows.c.id == id_).values(purpose="remote", remote_url="https://far.example/a"))

    url = database_url("", old)
    before = await rows_of(url)
    await work_alone(url, cache)
    file, new = tmp_path / "copy.tar", tmp_path / "new"
    await write_backup(place(old), file, None)
    assert file.stat().st_mode & 0o077 == 0
    with tarfile.open(file) as archive:
        names = archive.getnames()
    assert names[0] == "backup.json"
    assert names[-1] == "manifest"
    assert {name for name in names if name.startswith("kept/")} == {
        f"kept/{name}" for name in ("config.toml", "secret.key", "agents.json", "trust/anchors.pem")
    }
    await restore_backup(file, None, new)
    after = await rows_of(database_url("", new))
    evicted = set(after["images"]) - set(before["images"])
    assert [("remote" in row, "evicted" in row) for row in evicted] == [(True, True)], "it is fetched again when it is wanted"
    assert {**after, "images": sorted(set(after["images"]) - evicted, key=repr)} == before
    left_out = ("encoders", "unfinished", "backups", "server.log")
    shown = {name for name in files(new) if name.startswith("media/")}
    kept = {name: data for name, data in files(old, left_out).items() if not name.startswith("media/p/") or name in shown}
    assert files(new, left_out) == kept


async def test_a_file_that_is_gone_and_one_that_was_changed_are_told(old: Path, tmp_path: Path) -> None:
    shown = sorted(path for path in (old / "media").rglob("*.jpg") if path.parent.parent.name == "media")
    shown[0].unlink()
    shown[1].write_bytes(b"not what it was")
    summary = await write_backup(place(old), tmp_path / "copy", None)
    assert summary.lost == (shown[0].relative_to(old).as_posix(),)
    read = await check_backup(tmp_path / "copy", None)
    assert (read.lost, read.changed) == (summary.lost, (shown[1].relative_to(old).as_posix(),))


# ----------------------------------------------------------------------------------------- from one database to another


@pytest.mark.row(63)
async def test_rows_move_between_the_databases_and_up_from_an_older_version(postgres: Postgres, tmp_path: Path) -> None:
    old, file, back = tmp_path / "old", tmp_path / "copy", tmp_path / "back"
    lay_down("0003", old)
    (old / "config.toml").write_text('[instance]\nname = "Gallery"\n[storage]\n# database = ""\n[limits]\nenabled = false\n')
    await write_backup(place(old), file, None)
    address = postgres.new_database()
    new = tmp_path / "new"
    await restore_backup(file, None, new, database=address)
    assert not (new / "fediart.sqlite").exists()
    served = database_url(address, new)
    assert await look(served, migrate.version_of) == migrate.HEAD
    async with a_world(new, jobs=False, **{"storage.database": address}) as world:
        assert (await world.stranger.get("/@mira")).status_code == 200
    again = tmp_path / "again"
    with pytest.raises(Conflict, match="not empty"):
        await restore_backup(file, None, again, database=address)
    assert list(again.iterdir()) == []
    await write_backup(Place(new, served), tmp_path / "second", PASSPHRASE)
    await restore_backup(tmp_path / "second", PASSPHRASE, back, database="")
    assert await rows_of(database_url("", back)) == await rows_of(served)


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.fixture
def sealed(old: Path, tmp_path: Path) -> bytes:
    asyncio.run(write_backup(place(old), tmp_path / "sealed", PASSPHRASE))
    return (tmp_path / "sealed").read_bytes()


HEAD_BYTES = 66
SEALED = CHUNK + 16
DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut in its head": (lambda data: data[:30], "cut off"),
    "cut at a chunk": (lambda data: data[: HEAD_BYTES + SEALED], "cut off"),
    "cut in a chunk": (lambda data: data[:-100], "cut off"),
    "one bit": (lambda data: data[:5_000] + bytes([data[5_000] ^ 1]) + data[5_001:], "changed or damaged"),
    "chunks in another order": (
        lambda data: data[:HEAD_BYTES] + data[HEAD_BYTES + SEALED : HEAD_BYTES + 2 * SEALED] + data[HEAD_BYTES:][:SEALED],
        "changed",
    ),
    "something behind the end": (lambda data: data + b"more", "changed"),
    "another head": (lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:], "passphrase"),
    "endless work for a passphrase": (lambda data: data[:17] + b"\x1f" + data[18:], "changed"),
}


async def refused(file: Path, passphrase: str | None, new: Path) -> str:
    """Why it was; nothing is left of the attempt."""
    with pytest.raises((BadArchive, Conflict)) as told:
        await restore_backup(file, passphrase, new)
    assert list(new.iterdir()) == []
    return told.value.message


async def test_what_was_damaged_cut_or_sealed_with_another_passphrase_is_refused(sealed: bytes, tmp_path: Path) -> None:
    file, new = tmp_path / "copy", tmp_path / "new"
    for damage, (how, words) in DAMAGE.items():
        file.write_bytes(how(sealed))
        assert words in await refused(file, PASSPHRASE, new), damage
    file.write_bytes(sealed)
    assert "passphrase is not the one" in await refused(file, "umber", new)
    assert "is sealed" in await refused(file, None, new)
    await restore_backup(file, PASSPHRASE, new)
    with pytest.raises(Conflict, match="is not empty"):
        await restore_backup(file, PASSPHRASE, new)


def repacked(file: Path, change: Callable[[str, bytes], tuple[str, bytes] | None], *more: tarfile.TarInfo) -> bytes:
    """The same archive with other parts, by another program."""
    out = io.BytesIO()
    with tarfile.open(file) as archive, tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for member in archive:
            content = archive.extractfile(member)
            part = change(member.name, content.read() if content else b"")
            if part is not None:
                member.name, member.size = part[0], len(part[1])
                made.addfile(member, io.BytesIO(part[1]))
            if member.name == "backup.json":
                for trick in more:
                    made.addfile(trick, io.BytesIO(bytes(trick.size)))
    return out.getvalue()


def trick(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


HOSTS = "/etc/hosts"
TRICKS = [
    trick("../evil"), trick("/evil"), trick("kept/../../evil"), trick("kept/.hidden"), trick("kept/fediart.sqlite"),
    trick("kept/media/evil"), trick("kept/evil", tarfile.SYMTYPE, HOSTS), trick("kept/evil", tarfile.LNKTYPE, HOSTS),
    trick("kept/evil", tarfile.CHRTYPE), trick("kept/evil", tarfile.FIFOTYPE), trick("kept/evil", tarfile.DIRTYPE), trick("evil"),
    trick("kept/secret.key/evil"), trick("kept"), trick("kept/" + "x" * 90 + "/" + "y" * 90), trick("kept/évil"),
]  # fmt: skip


@pytest.mark.row(51)
@pytest.mark.row(38)
async def test_an_archive_of_somebody_else_gets_nothing_outside_its_place(old: Path, tmp_path: Path) -> None:
    whole, file, new = tmp_path / "whole", tmp_path / "copy", tmp_path / "new"
    await write_backup(place(old), whole, None)
    before = files(tmp_path, ("old/fediart", "copy"))
    for one in TRICKS:
        file.write_bytes(repacked(whole, lambda name, data: (name, data), one))
        assert "backup" in await refused(file, None, new), one.name
    for name in ("media/zz/evil.jpg", f"media/ab/{'cd' * 32}.sh", f"originals/ab/{'cd' * 16}", "kept/late"):
        file.write_bytes(repacked(whole, lambda held, data, name=name: (name if held.startswith("media") else held, data)))  # type: ignore[misc]
        assert "does not belong" in await refused(file, None, new) or "order" in await refused(file, None, new), name
    assert files(tmp_path, ("old/fediart", "copy")) == before

    def newer(name: str, data: bytes) -> tuple[str, bytes]:
        return name, json.dumps({**json.loads(data), "schema": "9999"}).encode() if name == "backup.json" else data

    def fewer(name: str, data: bytes) -> tuple[str, bytes] | None:
        return None if name.startswith("media") else (name, data)

    def other(name: str, data: bytes) -> tuple[str, bytes]:
        return name, bytes(len(data)) if name.startswith("media") else data

    def counted(name: str, data: bytes) -> tuple[str, bytes]:
        return name, json.dumps({**json.loads(data), "works": 99}).encode() if name == "counts.json" else data

    for change, words in ((newer, "newer fediart"), (fewer, "manifest"), (other, "manifest"), (counted, "99 rows of works")):
        file.write_bytes(repacked(whole, change))
        assert words in await refused(file, None, new)
    for junk in (b"", b"dear server", bytes(2_000), secrets.token_bytes(20_000), whole.read_bytes()[:5_000]):
        file.write_bytes(junk)
        assert "backup" in await refused(file, None, new)
    about = About(FORMAT, "0", 0, __version__, migrate.HEAD, "", has_files=True)
    with PackWriter(out := io.BytesIO(), 0) as bomb:
        bomb.add("backup.json", json.dumps(dataclasses.asdict(about)).encode())
        bomb.add("rows/000001.gz", gzip.compress(bytes(200 << 20), 9))
        bomb.finish()
    file.write_bytes(out.getvalue())
    assert "too long" in await refused(file, None, new)


# ------------------------------------------------------------------------------------------ killed, and a full disk


KILLED_MOVING = """
import os, signal, sys
from pathlib import Path
from fediart.office import restore_backup
rename = Path.rename
def once(path, target):
    found = rename(path, target)
    os.kill(os.getpid(), signal.SIGKILL)
restore_backup.Path.rename = once
from fediart.cli import main
main()
"""


def start(*arguments: str, code: str = "from fediart.cli import main; main()") -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=pipe, stderr=pipe, text=True)


@pytest.mark.row(63)
def test_a_kill_leaves_no_half_copy_and_no_half_server(old: Path, tmp_path: Path) -> None:
    out, new = tmp_path / "out", tmp_path / "new"
    out.mkdir()
    file = out / "copy"
    large = old / "large"
    with large.open("wb") as sparse:
        sparse.truncate(3 << 30)
    with start("backup", "--data", str(old), "--to", str(file), "--no-verify") as process:
        wait_for("it is being written", lambda: [path for path in out.glob(f"{BEGINNING}*/*") if path.stat().st_size > 1 << 20])
        process.send_signal(signal.SIGKILL)
    large.unlink()
    assert not file.exists()
    assert list(out.iterdir()), "what it had begun lies there"
    asyncio.run(write_backup(place(old), file, None))
    assert [path.name for path in out.iterdir()] == ["copy"]
    assert not [*(old / "media").glob(f"{BEGINNING}*"), *(old / "originals").glob(f"{BEGINNING}*")]

    with start("restore", str(file), "--data", str(new), code=KILLED_MOVING) as process:
        process.wait(60)
    assert process.returncode == -signal.SIGKILL
    assert not (new / "fediart.sqlite").exists()
    listing, restoring = ["account", "list", "--data", str(new)], ["restore", str(file), "--data", str(new)]
    serving, again = run_commands([listing, restoring])
    assert "was stopped before its end" in serving.told
    assert again.status == 0
    assert asyncio.run(rows_of(database_url("", new))) == asyncio.run(rows_of(database_url("", old)))
    listed, third = run_commands([listing, restoring])
    assert "@mira@localhost:8000" in listed.told
    assert "is not empty" in third.told

    half = tmp_path / "half"
    (half / ".restoring" / "media").mkdir(parents=True)
    (half / ".restoring" / "media" / "left").touch()
    asyncio.run(restore_backup(file, None, half))
    assert not (half / "media" / "left").exists()


KILLED_LOADING = """
import os, signal
from fediart.office import restore_backup
def full(db):
    os.kill(os.getpid(), signal.SIGKILL)
restore_backup.images.evict_all = full
from fediart.cli import main
main()
"""


@pytest.mark.row(63)
def test_a_kill_in_a_restore_to_postgresql_leaves_it_empty_or_whole_and_it_can_be_done_again(
    old: Path, tmp_path: Path, postgres: Postgres
) -> None:
    file, new, address = tmp_path / "copy", tmp_path / "new", postgres.new_database()
    asyncio.run(write_backup(place(old), file, None))
    restoring = ["restore", str(file), "--data", str(new), "--database", address]
    for code, tables in ((KILLED_LOADING, "0"), (KILLED_MOVING, "1")):
        with start(*restoring, code=code) as process:
            process.wait(60)
        assert process.returncode == -signal.SIGKILL
        told = postgres.ask(address, "SELECT count(*) FROM pg_tables WHERE tablename = 'works'")
        assert told == tables, "no row, or all of them: they are committed once the files are there"
    listing = ["account", "list", "--data", str(new)]
    stopped, again = run_commands([listing, restoring])
    assert "was stopped before its end" in stopped.told
    assert again.status == 0
    assert asyncio.run(rows_of(database_url(address, new))) == asyncio.run(rows_of(database_url("", old)))
    [listed] = run_commands([listing])
    assert "@mira@localhost:8000" in listed.told


def test_a_full_disk_is_told_in_a_sentence_and_nothing_is_lost(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, new = tmp_path / "copy", tmp_path / "new"
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000,) * 2)\nfrom fediart.cli import main; main()"
    with start("backup", "--data", str(old), "--to", str(file), code=full) as process:
        _, told = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in told) == (1, False), told
    assert "cannot" in told
    assert not file.exists()
    before = asyncio.run(rows_of(database_url("", old)))
    asyncio.run(write_backup(place(old), file, None))
    with start("restore", str(file), "--data", str(new), code=full) as process:
        _, told = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in told) == (1, False), told
    assert "cannot" in told
    assert list(new.iterdir()) == []
    assert asyncio.run(rows_of(database_url("", old))) == before
    monkeypatch.setattr(writing, "SPARE", 1 << 60)
    with pytest.raises(Unavailable, match="Make room there, or choose another disk"):
        asyncio.run(write_backup(place(old), tmp_path / "another", None))
    assert not (tmp_path / "another").exists()


# --------------------------------------------------------------------------------------------------- by themselves


def test_names_tell_the_time_and_old_copies_go_by_days_and_weeks() -> None:
    now = 1_795_960_283_000
    assert name_at(now, is_sealed=False) == "fediart-20261129T135123Z.tar"
    for sealed in (False, True):
        assert time_of_name(name_at(now, is_sealed=sealed)) == now
    assert [time_of_name(name) for name in ("fediart-.tar", "before-0011.sqlite", "fediart-2026.tar", "x")] == [None] * 4
    every_six_hours = [now - n * 6 * HOUR_MS for n in range(400)]
    kept = sorted(kept_of(every_six_hours, daily=7, weekly=4), reverse=True)
    assert kept[0] == now
    assert 9 <= len(kept) <= 11
    assert kept[-1] > now - 29 * DAY_MS
    assert kept_of(every_six_hours, daily=0, weekly=0) == {now}
    assert kept_of([], daily=7, weekly=4) == set()
    assert kept_of([now - 400 * DAY_MS], daily=1, weekly=0) == {now - 400 * DAY_MS}, "the newest stays, however old"


def test_the_next_copy_is_due_after_the_newest_and_an_hour_after_one_that_failed() -> None:
    now, good, bad = 100 * DAY_MS, Outcome(1, 1, 5, "", ""), Outcome(100 * DAY_MS, 1, 5, "", "full")
    assert next_at(None, None, DAY_MS, now) == now + FIRST_MS
    assert next_at(now, good, DAY_MS, now) == now + DAY_MS
    assert next_at(now - 3 * DAY_MS, good, DAY_MS, now) == now
    assert next_at(now - 3 * DAY_MS, bad, DAY_MS, now) == now + HOUR_MS
    assert next_at(None, bad, DAY_MS, now) == now + HOUR_MS


def _due(db: Connection) -> list[int]:
    return list(db.execute(text("SELECT run_at FROM jobs WHERE kind = 'backup'")).scalars())


@contextlib.asynccontextmanager
async def _now(instance: Instance) -> AsyncIterator[None]:
    """The planned copy is made now; at the end it was, and the next one is planned."""
    await instance.storage.write(lambda db: db.execute(update(jobs).where(jobs.c.kind == BACKUP).values(run_at=0)))
    instance.wake(BACKUP)
    yield

    async def is_planned() -> bool:
        return all(at > instance.clock() for at in await instance.storage.read(_due))

    await until(is_planned)


@pytest.mark.row(63)
def test_a_kill_while_a_planned_copy_is_made_leaves_no_half_one_and_the_next_start_makes_it(old: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    early = folder / name_at(system_clock() - 3 * DAY_MS, is_sealed=False)
    early.touch()
    large = old / "large"
    with large.open("wb") as sparse:
        sparse.truncate(3 << 30)
    settings = f'instance.url = "http://localhost:8000"\n{SETTINGS}[backup]\nfolder = {json.dumps(str(folder))}\n'
    server = start_server(old, settings=settings)
    begun = lambda: [path for path in folder.glob(f"{BEGINNING}*/*") if path.stat().st_size > 1 << 20]  # noqa: E731
    [part] = wait_for("the copy is being written", begun)
    server.kill()
    wait_for("whoever wrote it ends, too", lambda: not part.exists() or _is_left(part))
    assert [path for path in folder.iterdir() if path.is_file()] == [early]
    large.unlink()
    server = start_server(old, int(server.url.rpartition(":")[2]))
    try:
        made = wait_for("a whole one", lambda: [path for path in folder.glob("fediart-*.tar") if path != early])
        assert asyncio.run(check_backup(made[0], None)).rows["accounts"] == 1
        wait_for("nothing half is left", lambda: not list(folder.glob(f"{BEGINNING}*")))
    finally:
        server.stop()


def _is_left(file: Path) -> bool:
    """Has nobody this file open any more?"""
    inode = file.stat().st_ino
    for process in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if process.stat().st_ino == inode:
                return False
    return True


async def test_copies_are_made_by_themselves_kept_for_a_while_and_shown_to_the_admin(tmp_path: Path) -> None:
    folder, secret = tmp_path / "copies", tmp_path / "passphrase"
    folder.mkdir()
    secret.write_text(PASSPHRASE + "\n")
    now = system_clock()
    past = [now - days * DAY_MS for days in (1, 2, 3, 40)]
    for at in past:
        (folder / name_at(at, is_sealed=True)).touch()
    (folder / "diary.txt").touch()
    settings: dict[str, Any] = {
        "backup.folder": str(folder),
        "backup.passphrase_file": str(secret),
        "backup.keep_daily": 3,
        "backup.keep_weekly": 0,
    }
    async with a_world(tmp_path / "old", **settings) as world, people_of(world.instance) as people:
        instance = world.instance
        mira = await people.person("mira")
        await instance.storage.write(lambda db: db.execute(update(accounts).values(role=Role.OWNER)))
        assert "There is no backup yet." in (await mira.browser.get("/admin")).text
        async with _now(instance):
            pass
        last = await instance.storage.read(last_backup)
        assert last is not None
        assert (last.is_good, last.words, last.place.startswith(str(folder))) == (True, "", True)
        copies = sorted(path.name for path in folder.iterdir())
        assert copies == sorted(["diary.txt", Path(last.place).name, *(name_at(at, is_sealed=True) for at in past[:2])])
        assert (await check_backup(Path(last.place), PASSPHRASE)).rows["accounts"] == 1
        [due] = await instance.storage.read(_due)
        assert due == (time_of_name(Path(last.place).name) or 0) + DAY_MS
        assert "Last backup:" in (await mira.browser.get("/admin")).text
        folder.rename(tmp_path / "carried-away")
        async with _now(instance):
            pass
        told = (await mira.browser.get("/admin")).text
        assert "failed. The last good one is of" in told
        assert f"There is no folder {folder}. Make it, or connect its disk." in told
    async with a_world(tmp_path / "old") as world:
        assert await world.instance.storage.read(_due) == [], "no folder is set any more"
    sealing = [
        "backup",
        "--to",
        str(tmp_path / "by-hand"),
        "--data",
        str(tmp_path / "old"),
        "--seal",
        "--passphrase-file",
        str(secret),
    ]
    listing = ["backup", "list", str(tmp_path / "carried-away"), "--data", str(tmp_path / "old")]
    listed, by_hand = run_commands([listing, sealing])
    assert by_hand.status == 0, "nobody is asked for what the file says"
    assert b"backup.json" not in (tmp_path / "by-hand").read_bytes()
    assert listed.told.count("UTC  ") == 3
    assert "failed (the last good one" in listed.told
