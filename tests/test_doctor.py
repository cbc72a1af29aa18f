"""`fediart doctor` behind real fronts: everything is right, and then one thing after another is not."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fediart.cli.demo import free_port
from fediart.cli.doctor import check_up, in_words
from fediart.cli.fronts import TRUSTED
from fediart.cli.settings_file import put_settings
from fediart.config import Config, load_config
from fediart.domain.checkups import Finding, State
from fediart.office import probe
from fediart.office.check_machine import (
    Machine,
    check_cloak,
    check_database,
    check_disk,
    check_folders,
    check_memory,
    check_server,
    strangers,
)
from fediart.office.check_public import NAMES, Asked, check_certificate, check_name, check_public
from fediart.remote.look import looking_client
from fediart.storage.migrate import HEAD
from tests.commands import run_commands
from tests.fronts import a_caddy, an_nginx, local_addresses
from tests.servers import SecureKeeper
from tests.tls import Authority, a_front, make_authority
from tests.world import a_world

PROXY = "proxy_set_header X-Forwarded-For $remote_addr;"


class Place:
    """A server behind a name, which a front must be put before."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.authority = authority
        self.keeper = SecureKeeper(folder / "data", authority)
        self.data, self.port = folder / "data", self.keeper.front
        self.data.chmod(0o700)
        put_settings(
            self.data / "config.toml",
            {"server.port": self.keeper.side.port, "server.trusted_proxies": TRUSTED, "cloak.backend": "texture"},
        )
        self.config = load_config(self.data / "config.toml", {})

    def asked(self, *, key: str | None = None, wait_s: int = 0, **more: Any) -> Asked:
        config: Config = more.pop("config", self.config)
        return Asked(config, key or self.key, (self.data / "secret.key").read_bytes(), wait_s, **more)

    @property
    def key(self) -> str:
        with contextlib.closing(sqlite3.connect(self.data / "fediart.sqlite")) as db:
            found: str = db.execute("SELECT public_key_pem FROM actors WHERE kind = 'Application'").fetchone()[0]
            return found

    async def public(self, **more: Any) -> dict[str, Finding]:
        async with looking_client("tests") as client:
            return _by_name(await check_public(self.asked(**more), client, is_serving=True))


def _by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def _states(findings: dict[str, Finding]) -> dict[str, State]:
    return {name: finding.state for name, finding in findings.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    made = Place(folder, make_authority(folder / "tls"))
    with made.keeper.client:
        made.keeper.start()
        yield made
        made.keeper.stop()


@pytest.fixture(autouse=True)
def _believed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "place" in request.fixturenames:
        monkeypatch.setenv("SSL_CERT_FILE", str(request.getfixturevalue("place").authority.root))


@pytest.mark.anyio
@pytest.mark.parametrize("front", [an_nginx, a_caddy])
async def test_all_is_well_behind_each_front_that_setup_prints(front: Any, place: Place, tmp_path: Path) -> None:
    with front(tmp_path, place.config, place.authority, place.port):
        found = _by_name(await check_up(place.config, place.data, disk_mb=1, wait_s=1, others=[f"localhost:{place.port}"]))
    # The tests' certificate is for two days only, and the name has a port of its own.
    expected = dict.fromkeys(found, State.GOOD) | {"certificate": State.NOTE, "http": State.UNSEEN}
    assert _states(found) == {**expected, "disk": found["disk"].state, "memory": found["memory"].state}
    assert set(NAMES) < set(found)
    assert "for 1 more days" in found["certificate"].seen
    assert "20 MB come through" in found["uploads"].seen
    assert "1 other servers'" in found["clock"].seen
    assert "took" in found["cloak"].seen


WRONG = [
    ("reach", "answers 421", "Host $http_host", [("Host $http_host;", "Host art.example;")]),
    ("reach", "answers 502", "server.port", [("proxy_pass http://127.0.0.1:PORT;", "proxy_pass http://127.0.0.1:1;")]),
    (
        "reach",
        "is not fediart",
        "every path",
        [("    location / {", '    location = /actor { return 200 "{}"; }\n    location / {')],
    ),
    ("reach", "answers 302", "must not", [("    location / {", "    location = /actor { return 302 /x; }\n    location / {")]),
    (
        "handles",
        "answers 404",
        "passed on",
        [("    location / {", "    location /.well-known/w { return 404; }\n    location / {")],
    ),
    (
        "nodeinfo",
        "answers 404",
        "every path",
        [("    location / {", "    location /nodeinfo/ { return 404; }\n    location / {")],
    ),
    ("proxy", "does not say who asks", PROXY, [(PROXY, 'proxy_set_header X-Forwarded-For "";')]),
    ("proxy", "believes whoever claims", PROXY, [(PROXY, "proxy_set_header X-Forwarded-For $http_x_forwarded_for;")]),
    ("proxy", "is not named in the settings", 'trusted_proxies = ["127.0.0.9"]', [(PROXY, f"{PROXY} proxy_bind 127.0.0.9;")]),
    ("uploads", "it answers 413", "client_max_body_size", [("client_max_body_size 554m", "client_max_body_size 1m")]),
    ("patience", "it says 504", "proxy_read_timeout", [("proxy_read_timeout 120s", "proxy_read_timeout 1s")]),
]


@pytest.mark.of_the_file
@pytest.mark.anyio
async def test_each_thing_that_a_front_does_wrong_is_named_with_its_mend(place: Place, tmp_path: Path) -> None:
    for number, (name, seen, mend, changes) in enumerate(WRONG):
        edits = [(old.replace("PORT", str(place.config.server.port)), new) for old, new in changes]
        with an_nginx(tmp_path / str(number), place.config, place.authority, place.port, edits):
            found = (await place.public(wait_s=2 if name == "patience" else 0))[name]
        assert found.state == State.BAD, (name, found)
        assert seen in found.seen, found
        assert mend in found.mend, found


@pytest.mark.of_the_file
@pytest.mark.anyio
async def test_a_name_that_does_not_lead_here_is_told_apart_by_why(place: Place, tmp_path: Path) -> None:
    # Nobody before the server; another server behind the name; a front that passes on bytes and says nothing of who asks.
    none = await place.public()
    assert (none["certificate"].state, none["reach"].state) == (State.BAD, State.UNSEEN)
    assert "Is the front (Caddy, nginx) running" in none["certificate"].mend
    with contextlib.ExitStack() as stack:
        for address in local_addresses():
            stack.enter_context(a_front(place.authority, place.port, place.config.server.port, address))
        assert "Another fediart" in (await place.public(key="another's"))["reach"].seen
        bare = await place.public()
        assert (bare["reach"].state, bare["proxy"].state) == (State.GOOD, State.BAD)
        # Who may not read the secret is told so, and the rest is looked at.
        async with looking_client("tests") as client:
            blind = _by_name(await check_public(replace(place.asked(), secret=None), client, is_serving=True))
            stopped = _by_name(await check_public(place.asked(), client, is_serving=False))
        assert (blind["proxy"].state, blind["handles"].state) == (State.UNSEEN, State.GOOD)
        assert (stopped["certificate"].state, stopped["reach"].state) == (State.NOTE, State.UNSEEN)
        # Certificates: of an authority that nobody knows, for another name, one that has expired.
        address = local_addresses()[0]
        other = await check_certificate([address], place.port, "art.example")
        assert "for another name" in other.mend
    expired = make_authority(tmp_path / "expired", lasts=datetime.timedelta(minutes=-5))
    with a_front(expired, port := free_port(), place.config.server.port):
        assert "Other servers do not believe" in (await check_certificate(["127.0.0.1"], port, "localhost")).seen
        with pytest.MonkeyPatch.context() as believing:
            believing.setenv("SSL_CERT_FILE", str(expired.root))
            assert "It has expired" in (await check_certificate(["127.0.0.1"], port, "localhost")).mend
    # Names: one that is nobody's, one that leads into a house.
    nowhere, addresses = await check_name(place.asked(), "fediart.invalid")
    assert (nowhere.state, addresses) == (State.BAD, [])
    assert "A record" in nowhere.mend
    inside, _ = await check_name(place.asked(config=load_config(None, {}, {"instance.url": place.config.base_url})), "localhost")
    assert inside.state == State.BAD
    assert "Others cannot reach" in inside.mend


@contextlib.asynccontextmanager
async def _a_server_that_lives_in_the_past(authority: Authority) -> AsyncIterator[str]:
    """Answers everything with the time of a day in 2020."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nDate: Wed, 01 Jan 2020 00:00:00 GMT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "localhost", port := free_port(), ssl=authority.serving())
    async with server:
        yield f"localhost:{port}"


@pytest.mark.of_the_file
@pytest.mark.anyio
async def test_a_clock_that_others_do_not_agree_with_is_found(place: Place, tmp_path: Path) -> None:
    async with _a_server_that_lives_in_the_past(place.authority) as other:
        with an_nginx(tmp_path, place.config, place.authority, place.port):
            found = (await place.public(others=[other]))["clock"]
    assert found.state == State.BAD
    assert "timedatectl" in found.mend


# ---------------------------------------------------------------------------------------------------- this machine


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    made = tmp_path / "data"
    shutil.copytree(prepared, made)
    made.chmod(0o700)
    return made


def _machine(data: Path, **settings: Any) -> Machine:
    return Machine(load_config(None, {}, settings), data)


def test_folders_that_cannot_be_used_or_that_others_can_read_are_found(data: Path) -> None:
    def found() -> Finding:
        return check_folders(_machine(data))

    assert found().state == State.GOOD
    (data / "secret.key").chmod(0o644)
    assert found().mend == f"chmod 600 {data}/secret.key"
    data.chmod(0o755)
    assert found().mend == f"chmod 700 {data}"
    shutil.rmtree(data / "unfinished")
    (data / "unfinished").write_text("not a folder")
    assert f"{data}/unfinished cannot be written" in found().seen
    shutil.rmtree(data)
    assert "There is no data folder" in found().seen
    assert strangers(1000, [("media", 1000), ("fediart.sqlite", 0)]) == ["fediart.sqlite"]


def test_too_little_disk_or_memory_is_found(data: Path) -> None:
    assert check_disk(_machine(data)).state in (State.GOOD, State.NOTE)
    assert check_disk(replace(_machine(data), disk_mb=10**9)).state == State.BAD
    assert check_disk(_machine(data, **{"media.remote_cache_bytes": 10**17})).state == State.NOTE
    assert check_memory(_machine(data, **{"cloak.memory_mb": 10**8})).state in (State.BAD, State.UNSEEN)


@pytest.mark.of_the_file
@pytest.mark.anyio
async def test_a_database_that_is_broken_or_of_another_version_is_found(data: Path) -> None:
    async def found(**settings: Any) -> Finding:
        return (await check_database(_machine(data, **settings)))[0]

    async def at(version: str) -> Finding:
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute("UPDATE alembic_version SET version_num = ?", (version,))
            db.commit()
        return await found()

    file = data / "fediart.sqlite"
    assert (await found()).state == State.GOOD
    assert (await at("0001")).state == State.NOTE
    newer = await at("9999")
    assert newer.state == State.BAD
    assert "newer fediart" in newer.mend
    assert (await at(HEAD)).state == State.GOOD
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = file.stat().st_size
    with file.open("r+b") as raw:
        raw.seek(size // 2)
        raw.write(b"\xff" * (size // 4))
    torn = await found()
    assert torn.state == State.BAD
    assert "last backup" in torn.mend
    file.write_bytes(b"not a database at all" * 100)
    assert "not a database" in (await found()).seen
    file.unlink()
    assert (await found()).state == State.UNSEEN
    away = await found(**{"storage.database": f"postgresql://nobody@127.0.0.1:{free_port()}/none"})
    assert away.state == State.BAD
    assert "database server running" in away.mend


@pytest.mark.anyio
async def test_a_server_that_does_not_answer_or_is_another_program_is_found(place: Place, data: Path) -> None:
    async def found(port: int, url: str = "") -> Finding:
        async with looking_client("tests") as client:
            return await check_server(_machine(data, **{"server.port": port, "instance.url": url}), client)

    assert "Nobody answers" in (await found(free_port())).seen
    renamed = await found(place.config.server.port, "https://art.example")
    assert "goes by another name" in renamed.seen
    assert (await found(place.config.server.port, place.config.base_url)).state == State.GOOD
    with socket.create_server(("127.0.0.1", 0)) as silent:
        other = asyncio.create_task(found(silent.getsockname()[1]))
        connection, _ = await asyncio.to_thread(silent.accept)
        with connection:
            await asyncio.to_thread(connection.recv, 65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            assert "another program" in (await other).seen


@pytest.mark.anyio
async def test_a_cloak_that_does_not_fit_is_found(data: Path) -> None:
    config = load_config(None, {}, {"cloak.backend": "texture"})
    small = msgspec.structs.replace(config, cloak=msgspec.structs.replace(config.cloak, memory_mb=64))
    found = await check_cloak(Machine(small, data))
    assert found.state == State.BAD
    assert "cloak.memory_mb" in found.mend


def test_the_command_tells_and_ends_with_what_it_found(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fresh = ("--data", str(data))
    made, well, broken = run_commands(
        [
            ("account", "create", "mira", "--password", "a password to test with", *fresh),
            ("doctor", "--json", "--disk-mb", "1", *fresh),
            ("doctor", *fresh, "--config", str(_broken(tmp_path))),
        ],
        {"FEDIART_CLOAK__BACKEND": "texture", "FEDIART_SERVER__PORT": str(free_port())},
    )
    assert made.status == 0
    found = json.loads(well.told)
    assert (well.status, found["well"]) == (0, True)
    assert {one["state"] for one in found["findings"] if one["name"] in NAMES} == {"unseen"}
    told = in_words([Finding(**{**one, "state": State(one["state"])}) for one in found["findings"]])
    assert told[0] == f"✓ folders     {data} can be written, and is for its user alone."
    assert told[-1].startswith("· name, certificate, reach"), "what cannot be looked at for one reason stands in one line"
    assert broken.status == 1
    assert "✗ settings" in broken.told
    assert "there is no key server.prot. Did you mean server.port?" in broken.told
    assert in_words([Finding("x", State.BAD, "y", "a\nb")])[1:] == ["              → a", "              → b"]


def _broken(folder: Path) -> Path:
    path = folder / "broken.toml"
    path.write_text("[server]\nprot = 1\n")
    return path


@pytest.mark.anyio
async def test_strangers_learn_nothing_from_the_doctors_address(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world:
        secret, now = world.instance.session_key, world.instance.clock()
        right = probe.signed_probe(secret, now)
        wrong = (
            "", "x", "1.x", f"{now}.", f"{now}.é", f"{now + 1}.{right.partition('.')[2]}",
            probe.signed_probe(secret, now - 2 * probe.HOLDS_MS), probe.signed_probe(b"another", now),
        )  # fmt: skip
        for value in wrong:
            header = {probe.HEADER.encode(): value.encode()}
            for method in ("GET", "POST"):
                assert (await world.stranger.request(method, probe.PATH, headers=header)).status_code == 404, value
        seen = await world.stranger.post(probe.PATH, content=b"123", headers={probe.HEADER: right})
        assert seen.json()["received"] == 3
