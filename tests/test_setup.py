"""From a trial on localhost to a server under its own name: what is stored follows, until another server knows it."""

from __future__ import annotations

import os
import pty
import shutil
import socket
import subprocess
import sys
import threading
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, LargeBinary, String, select

from fediart.activitypub.vocabulary import AP_TYPE
from fediart.cli.demo import free_port
from fediart.cli.fronts import TRUSTED, caddyfile, nginx_site, systemd_unit
from fediart.cli.settings_file import put_settings
from fediart.clock import system_clock
from fediart.config import load_config
from fediart.domain.renaming import renamer
from fediart.errors import ConfigError, Conflict
from fediart.media.sample import draw_sample
from fediart.media.xmp import packet_of_jpeg
from fediart.office.set_domain import address_held, set_domain
from fediart.storage import actors
from fediart.storage.tables import metadata
from fediart.studio.open_account import open_account
from fediart.studio.sign_in import grant_token
from tests.commands import run_commands
from tests.far_server import artist_uri
from tests.scene import a_scene
from tests.waiting import until
from tests.world import World, a_world

ROOT = Path(__file__).resolve().parents[1]
OLD, NEW = "localhost:8000", "art.example"
PASSWORD = "a password to test with"


@dataclass(frozen=True)
class Trial:
    """What stands in a trial: a work with a picture of mira's, a draft with another, and noor's answer."""

    work: dict[str, Any]
    draft: str
    answer: dict[str, Any]
    token: str
    key: str


async def _picture(world: World, **fields: str) -> str:
    media_id: str = (await world.upload(draw_sample(96, 64), **fields))["id"]

    async def is_ready() -> bool:
        return (await world.client.get(f"/api/v1/media/{media_id}")).status_code == 200

    await until(is_ready)
    return media_id


async def _work(world: World, work_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await world.client.get(f"/api/v1/statuses/{work_id}")).json()
    return found


async def _a_trial(folder: Path, database: str) -> Trial:
    async with a_world(folder, **_at(database)) as world:
        noor = await open_account(world.instance, "noor", PASSWORD)
        token = await grant_token(world.instance, "noor", "read write follow", "tests")
        as_noor = {"authorization": f"Bearer {token}"}
        media = await _picture(world, description="evening")
        said = {"status": f"For @noor #oil http://{OLD}/@noor or http://{OLD}1/x", "media_ids[]": media}
        work = (await world.client.post("/api/v1/statuses", data=said)).json()

        async def is_out() -> bool:
            return (await world.stranger.get(f"/api/v1/statuses/{work['id']}")).status_code == 200

        await until(is_out)
        follow = await world.stranger.post(f"/api/v1/accounts/{world.artist.actor_id}/follow", headers=as_noor)
        assert follow.status_code == 200
        answer = await world.stranger.post(
            "/api/v1/statuses", data={"status": "@mira good", "in_reply_to_id": work["id"]}, headers=as_noor
        )
        assert (await world.stranger.post(f"/api/v1/statuses/{work['id']}/favourite", headers=as_noor)).status_code == 200
        assert (await world.stranger.post(f"/api/v1/statuses/{work['id']}/reblog", headers=as_noor)).status_code == 200
        assert noor.actor_id
        return Trial(
            await _work(world, work["id"]),
            await _picture(world),
            answer.json(),
            token,
            world.instance.instance_actor.public_key_pem,
        )


def _texts(db: Connection) -> list[tuple[str, str]]:
    """(table.column, text) of all that is stored."""
    found = []
    for table in metadata.sorted_tables:
        for column in table.c:
            if isinstance(column.type, String | LargeBinary):
                for held in db.execute(select(column).where(column.is_not(None))).scalars():
                    text = held if isinstance(held, str) else bytes(held).decode("latin-1")
                    found.append((f"{table.name}.{column.name}", text))
    return found


def _at(database: str, url: str = "") -> dict[str, Any]:
    return {"storage.database": database, "instance.url": url}


async def _named(folder: Path, url: str, database: str = "") -> int:
    config = load_config(None, {}, _at(database, url))
    await address_held(config, folder)
    return (await set_domain(config, folder, system_clock())).rows


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_what_was_made_in_a_trial_stands_under_the_name_that_it_gets(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database = request.getfixturevalue("postgres").new_database() if kind == "postgresql" else ""
    trial = await _a_trial(tmp_path, database)
    assert await _named(tmp_path, f"https://{NEW}", database) > 10
    assert await _named(tmp_path, f"https://{NEW}", database) == 0, "the second time there is nothing to do"
    async with a_world(tmp_path, **_at(database, f"https://{NEW}")) as world:
        left = [place for place, text in await world.instance.storage.read(_texts) if OLD in text and f"{OLD}1" not in text]
        assert left == []
        # Actors, works and the server's own actor answer under the name, with the keys that they had.
        json = {"accept": AP_TYPE}
        mira = (await world.stranger.get("/users/mira", headers=json)).json()
        assert mira["id"] == f"https://{NEW}/users/mira"
        assert mira["publicKey"]["id"].startswith(f"https://{NEW}/")
        note = (await world.stranger.get(f"/users/mira/statuses/{trial.work['id']}", headers=json)).json()
        assert note["id"] == f"https://{NEW}/users/mira/statuses/{trial.work['id']}"
        assert note["tag"][0]["name"] in (f"@noor@{NEW}", "#oil")
        assert f"http://{OLD}1/x" in note["content"], "an address that only begins like ours is another's"
        assert note["content"].count(f"https://{NEW}/@noor") == 2
        actor = (await world.stranger.get("/actor", headers=json)).json()
        assert (actor["preferredUsername"], actor["publicKey"]["publicKeyPem"]) == (NEW, trial.key)
        found = await world.stranger.get("/.well-known/webfinger", params={"resource": f"acct:mira@{NEW}"})
        assert found.json()["subject"] == f"acct:mira@{NEW}"
        # Who talked with whom is as it was, and client programs go on.
        as_noor = {"authorization": f"Bearer {trial.token}"}
        assert (await world.stranger.get("/api/v1/accounts/verify_credentials", headers=as_noor)).json()["acct"] == "noor"
        work = await _work(world, trial.work["id"])
        assert (work["replies_count"], work["favourites_count"], work["reblogs_count"]) == (1, 1, 1)
        answer = await _work(world, trial.answer["id"])
        assert answer["in_reply_to_id"] == work["id"]
        relation = await world.stranger.get(
            "/api/v1/accounts/relationships", params={"id[]": str(world.artist.actor_id)}, headers=as_noor
        )
        assert relation.json()[0]["following"]
        home = await world.stranger.get("/api/v1/timelines/home", headers=as_noor)
        assert work["id"] in {entry["id"] for entry in home.json()}

        # Files name their artist's page: they are written anew, without the work counting as edited.
        async def says_so() -> bool:
            now = await _work(world, trial.work["id"])
            return await _names(world, now["media_attachments"][0]["url"], NEW)

        await until(says_so)
        assert (await _work(world, trial.work["id"]))["edited_at"] is None
        late = (await world.client.post("/api/v1/statuses", data={"status": "late", "media_ids[]": trial.draft})).json()

        async def late_says_so() -> bool:
            now = await _work(world, late["id"])
            return bool(now["media_attachments"]) and await _names(world, now["media_attachments"][0]["url"], NEW)

        await until(late_says_so)


async def _names(world: World, url: str, name: str) -> bool:
    assert url.startswith(f"https://{NEW}/media/")
    packet = packet_of_jpeg((await world.stranger.get(url)).content)
    return packet is not None and f"https://{name}/@mira/rights".encode() in packet and OLD.encode() not in packet


@pytest.mark.of_the_file
@pytest.mark.anyio
async def test_a_server_that_others_know_keeps_its_name(prepared: Path, tmp_path: Path) -> None:
    async with a_scene(prepared, tmp_path) as scene:
        await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    with pytest.raises(Conflict) as refused:
        await _named(tmp_path / "data", f"https://{NEW}")
    assert f"is http://{OLD} for good" in refused.value.message
    assert "1 people of 1 other servers" in refused.value.message
    async with a_world(tmp_path / "data") as world:
        assert await world.instance.storage.read(actors.actor_by_uri, f"http://{OLD}/users/mira")


def test_only_what_is_ours_is_written_anew() -> None:
    change = renamer("http://localhost:8000", "https://art.example", "example")
    same = [
        "localhost",
        "http://localhost:80001/",
        "http://localhost:8000.example/",
        "http://localhost:8000-x",
        "xlocalhost:8000/",
    ]
    assert [change(text) for text in same] == same
    assert change('"http://localhost:8000"') == '"https://art.example"'
    assert change("See http://localhost:8000. Or http://localhost:8000/@mira?x") == (
        "See https://art.example. Or https://art.example/@mira?x"
    )
    assert change(">localhost:8000/@mira<") == ">art.example/@mira<"
    assert change("@mira@localhost:8000, mira@localhost:8000.") == "@mira@example, mira@example."


# ------------------------------------------------------------------------------------------------------ the command


def test_setup_names_a_trial_and_writes_what_stands_around_it(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    other = tmp_path / "other"
    common = ("--data", str(data), "--port", str(port))
    wrong = ("192.0.2.1", "http://art.example", "art", "art.example/path", "[::1]")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = str(taken.getsockname()[1])
        made, running, *refused, named, again, printed, fresh = run_commands(
            [
                ("account", "create", "mira", "--password", PASSWORD, "--data", str(data)),
                ("setup", "--domain", NEW, "--data", str(data), "--port", busy),
                *(("setup", "--domain", name, *common) for name in wrong),
                ("setup", "--domain", "ART.example/", *common, "--front", "nginx", "--write", str(tmp_path / "out")),
                ("setup", "--domain", "bücher.example", *common, "--front", "none"),
                ("setup", "--front", "caddy", "--data", str(data)),
                ("setup", "--domain", NEW, "--data", str(other), "--port", str(port)),
            ]
        )
    assert made.status == 0
    assert running.status != 0
    assert f"A server is running on port {busy}" in running.told
    for one, reason in zip(
        refused, ("A number is no name", "https only", "no name on the internet", "without a path", ""), strict=True
    ):
        assert one.status != 0, one.told
        assert reason in one.told
    assert named.status == 0, named.told
    assert f"was http://{OLD} and is https://{NEW} now" in named.told
    assert "first account" not in named.told, "there is one"
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"fediart.service", f"{NEW}.conf"}
    assert f"ReadWritePaths={data}\n" in (tmp_path / "out" / "fediart.service").read_text()
    assert f"proxy_pass http://127.0.0.1:{port};" in (tmp_path / "out" / f"{NEW}.conf").read_text()
    # Another name, as long as nobody knows the first one.
    assert "is https://xn--bcher-kva.example now" in again.told
    assert "must end TLS for xn--bcher-kva.example" in again.told
    settings = tomllib.loads((data / "config.toml").read_text())
    assert {name: held for name, held in settings.items() if name in ("instance", "server")} == {
        "instance": {"url": "https://xn--bcher-kva.example"},
        "server": {"port": port, "trusted_proxies": TRUSTED},
    }
    assert "# Name of the server, shown on its pages" in (data / "config.toml").read_text(), "comments stay"
    assert f"reverse_proxy 127.0.0.1:{port}" in printed.told
    # A folder that is new: named before anything is in it.
    assert f"This server is https://{NEW}." in fresh.told
    assert "Make the first account" in fresh.told


def test_setup_asks_whoever_sits_before_it(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "fediart", "setup", "--data", str(tmp_path), "--port", str(free_port())]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT) as process:
        os.close(theirs)
        # Whoever asks for more than is answered here would wait for ever.
        end = threading.Timer(60, process.kill)
        end.start()
        os.write(ours, f"{NEW}\nnginx\n".encode())
        told = b""
        while True:
            try:
                told += os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
        end.cancel()
    os.close(ours)
    words = told.decode()
    assert process.returncode == 0, words
    assert "Name of the server" in words
    assert f"server_name {NEW};" in words
    assert "ProtectSystem=strict" in words
    assert "fediart doctor" in words


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'instance.url = "x"\n'),
        ('instance.url = "y"\n', 'instance.url = "x"\n'),
        ('instance.name = "N"\n', 'instance.url = "x"\ninstance.name = "N"\n'),
        ("[instance]\n# url = \"\"\nname = 'N' # n\n", "[instance]\nurl = \"x\"\nname = 'N' # n\n"),
        ('[instance]\n# url = ""\nurl = "y"\n', '[instance]\n# url = ""\nurl = "x"\n'),
        ('[server] # here\nport = 1\n', '[server] # here\nport = 1\n\n[instance]\nurl = "x"\n'),
        ('[instance]\n[server]\nport = 1\n', '[instance]\nurl = "x"\n[server]\nport = 1\n'),
    ],
)  # fmt: skip
def test_a_setting_is_put_where_it_belongs(before: str, after: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(before)
    path.chmod(0o600)
    put_settings(path, {"instance.url": "x"})
    assert path.read_text() == after
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_settings_file_that_cannot_be_changed_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    text = '[server]\ntrusted_proxies = [\n  "10.0.0.0/8",\n]\n'
    path.write_text(text)
    with pytest.raises(ConfigError) as told:
        put_settings(path, {"server.trusted_proxies": ["127.0.0.1/32"]})
    assert 'server.trusted_proxies = ["127.0.0.1/32"]' in told.value.message
    assert path.read_text() == text
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.toml"]


def test_the_files_in_the_docs_are_those_that_setup_prints() -> None:
    config, home = load_config(None, {}, {"instance.url": f"https://{NEW}"}), Path("/srv/fediart")
    unit = systemd_unit(config, program=f"{home}/.venv/bin/fediart", data=home / "data", folder=home, user="fediart")
    made = {"Caddyfile": caddyfile(config), "nginx.conf": nginx_site(config), "fediart.service": unit}
    assert {path.name: path.read_text() for path in (ROOT / "docs" / "deploy").iterdir()} == made


def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    """Its own judgement, where it is here and young enough to judge a file."""
    config = load_config(None, {}, {"instance.url": f"https://{NEW}"})
    text = systemd_unit(config, program=f"{sys.executable} -m fediart", data=tmp_path / "data", folder=tmp_path, user="nobody")
    held = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert held["ExecStart"] == f"{sys.executable} -m fediart serve --data {tmp_path}/data"
    assert held["ReadWritePaths"] == f"{tmp_path}/data", "the one place that it may write to"
    assert held["ProtectHome"] == "yes"
    assert int(held["MemoryMax"].removesuffix("M")) > config.cloak.memory_mb
    at_home = systemd_unit(
        config, program="fediart", data=Path("/home/mira/art/data"), folder=Path("/home/mira/art"), user="mira"
    )
    assert "ProtectHome=read-only\n" in at_home
    analyze = shutil.which("systemd-analyze")
    told = subprocess.run([analyze, "--version"], capture_output=True, text=True, check=True).stdout if analyze else "systemd 0"
    if analyze and int(told.split()[1]) >= 250:
        unit = tmp_path / "fediart.service"
        unit.write_text(text)
        for command in (["verify"], ["security", "--offline=true", "--threshold=20"]):
            ran = subprocess.run([analyze, *command, str(unit)], capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stdout + ran.stderr
