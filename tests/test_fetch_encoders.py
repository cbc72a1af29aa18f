"""Encoders come over the network only through the guard, only whole, and only as the file that is meant; or not, and quietly."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from structlog.testing import capture_logs

import benchmarks.server
import tests.servers
from fediart.cli import cloak as cli
from fediart.cli.cloak import CopiesUnlessNamed
from fediart.cli.demo import free_port, settings_text
from fediart.config import load_config
from fediart.errors import AddressRefused, BadAnswer, BadEncoder, ConfigError, RefusedByRemote, RemoteGone, Unreachable
from fediart.instance import Instance, open_instance
from fediart.jobs.runner import running_jobs
from fediart.media.cloak.catalogue import Encoder
from fediart.media.cloak.encoders import failed
from fediart.media.cloak.shelf import Shelf
from fediart.media.disk import Reserve
from fediart.office.fetch_encoders import fetch_encoder, fetch_missing, keep_encoders
from fediart.remote.client import RemoteClient, open_client
from fediart.remote.guard import Guard
from fediart.studio.render_image import goes_without
from tests.commands import run_commands
from tests.far_server import FarServer, a_canary, a_far_server
from tests.small_disk import a_small_disk
from tests.tiny_encoder import pth, tiny_encoder, tiny_weights
from tests.waiting import until
from tests.world import LOOPBACK, a_world

BINARY = "application/octet-stream"
NAMES = ("taesd", "taef2")
"""The tiny encoders go by names that settings may hold."""
NONE_KEPT = Reserve(Path(__file__).parent, 0)
FILES = {name: pth(tiny_weights(seed=seed)) for seed, name in enumerate(NAMES, start=1)}


def catalogue(url: str) -> dict[str, Encoder]:
    return {
        name: Encoder(name, f"models of {name}", f"{url}/{name}.pth", hashlib.sha256(data).hexdigest(), "MIT", 8, 4, len(data))
        for name, data in FILES.items()
    }


def serves_all(far: FarServer) -> None:
    for name, data in FILES.items():
        far.serve(f"/{name}.pth", data, content_type=BINARY)


@contextlib.asynccontextmanager
async def a_client(allow_http: bool = True, networks: tuple[str, ...] = ("127.0.0.1/32",)) -> AsyncIterator[RemoteClient]:
    config = load_config(None, {}, {"federation.allow_networks": list(networks)})
    client = open_client(Guard(config.federation.networks), allow_http=allow_http, user_agent="fediart tests")
    try:
        yield client
    finally:
        await client.aclose()


def left_behind(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def aside(tmp_path: Path) -> Path:
    folder = tmp_path / "aside"
    folder.mkdir()
    return folder


@pytest.mark.anyio
async def test_an_encoder_is_fetched_over_a_redirect_and_lies_on_the_shelf(tmp_path: Path, aside: Path) -> None:
    async with a_far_server() as far, a_client() as client:
        shelf = Shelf(tmp_path / "encoders", catalogue(far.url))
        serves_all(far)
        far.redirect("/taesd.pth", "/raw/taesd.pth")
        far.serve("/raw/taesd.pth", FILES["taesd"], content_type="text/html")
        fetched: list[str] = []
        assert await fetch_missing(client, shelf, NAMES, aside, lambda held: fetched.append(held.name), reserve=NONE_KEPT) == {}
        assert fetched == ["taesd", "taef2"]
        assert {held.name for held in shelf.held()} == set(NAMES)
        assert shelf.path("taesd").read_bytes() == FILES["taesd"]
        assert left_behind(aside) == []
        far.asked.clear()
        assert await fetch_missing(client, shelf, NAMES, aside, reserve=NONE_KEPT) == {}
        assert far.asked == [], "what is here is not asked for"
        shelf.path("taef2").write_bytes(FILES["taesd"])
        assert await fetch_missing(client, shelf, NAMES, aside, reserve=NONE_KEPT) == {}
        assert shelf.path("taef2").read_bytes() == FILES["taef2"]
        assert [asked.target for asked in far.asked] == ["/taef2.pth"], "what was tampered with is fetched anew"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "sent",
    [FILES["taef2"], FILES["taesd"][:-1], b"", b"<html>sign in to this network</html>", FILES["taesd"][:-1] + b"\1"],
    ids=["another encoder", "a truncated one", "nothing", "a page", "a changed byte"],
)
async def test_another_file_than_the_one_that_is_meant_is_not_kept(tmp_path: Path, aside: Path, sent: bytes) -> None:
    async with a_far_server() as far, a_client() as client:
        shelf = Shelf(tmp_path / "encoders", catalogue(far.url))
        far.serve("/taesd.pth", sent, content_type=BINARY)
        with pytest.raises(BadEncoder, match="its sha256 is another"):
            await fetch_encoder(client, shelf, shelf.catalogue["taesd"], aside)
        assert left_behind(tmp_path) == []


@pytest.mark.anyio
async def test_a_file_with_the_right_hash_that_is_no_encoder_is_not_kept(tmp_path: Path, aside: Path) -> None:
    data = b"this was meant, and is no encoder"
    async with a_far_server() as far, a_client() as client:
        wrong = Encoder("wrong", "", f"{far.url}/x", hashlib.sha256(data).hexdigest(), "MIT", 8, 4)
        far.serve("/x", data, content_type=BINARY)
        with pytest.raises(BadEncoder, match="no encoder file"):
            await fetch_encoder(client, Shelf(tmp_path / "encoders", {"wrong": wrong}), wrong, aside)
        assert left_behind(tmp_path) == []


@pytest.mark.anyio
async def test_a_redirect_into_a_network_that_is_not_public_is_not_followed(tmp_path: Path, aside: Path) -> None:
    async with a_far_server() as far, a_canary() as canary, a_client() as client:
        shelf = Shelf(tmp_path / "encoders", catalogue(far.url))
        far.redirect("/taesd.pth", canary.url + "/taesd.pth")
        with pytest.raises(AddressRefused):
            await fetch_encoder(client, shelf, shelf.catalogue["taesd"], aside)
        assert far.times_asked("/taesd.pth") == 1
        assert canary.touched == 0
        assert left_behind(tmp_path) == []


@pytest.mark.anyio
async def test_an_address_that_is_not_public_or_not_encrypted_is_not_asked(tmp_path: Path, aside: Path) -> None:
    async with a_far_server() as far:
        shelf = Shelf(tmp_path / "encoders", catalogue(far.url))
        serves_all(far)
        async with a_client(networks=()) as closed, a_client(allow_http=False) as careful:
            for client in (closed, careful):
                with pytest.raises(AddressRefused):
                    await fetch_encoder(client, shelf, shelf.catalogue["taesd"], aside)
        assert far.asked == []


@pytest.mark.anyio
async def test_an_answer_that_is_longer_than_the_file_is_cut_off(tmp_path: Path, aside: Path) -> None:
    sent = 0

    async def endless(_: Request) -> Response:
        async def more() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(1_000):
                sent += 65_536
                yield bytes(65_536)
                await asyncio.sleep(0)

        return StreamingResponse(more(), media_type=BINARY)

    async with a_far_server() as far, a_client() as client:
        shelf = Shelf(tmp_path / "encoders", catalogue(far.url))
        far.answers["/taesd.pth"] = endless
        with pytest.raises(BadAnswer, match="larger than this server takes"):
            await fetch_encoder(client, shelf, shelf.catalogue["taesd"], aside)
        assert left_behind(tmp_path) == []
        far.serve("/taesd.pth", FILES["taesd"] + b"\0", content_type=BINARY)
        with pytest.raises(BadAnswer, match="larger than this server takes"):
            await fetch_encoder(client, shelf, shelf.catalogue["taesd"], aside)
        assert left_behind(tmp_path) == []
    assert 0 < sent < 65_536_000, "it was not heard out"


@contextlib.asynccontextmanager
async def a_hanging_server(start: bytes) -> AsyncIterator[tuple[str, list[int]]]:
    """Sends the start of an answer, then nothing. Yields its address and a list that grows with each request."""
    asked: list[int] = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            asked.append(1)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n" + start)
            await writer.drain()
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.anyio
async def test_a_server_that_sends_half_and_then_hangs_is_left(tmp_path: Path, aside: Path) -> None:
    async with a_hanging_server(FILES["taesd"][:1000]) as (url, asked), a_client() as client:
        shelf = Shelf(tmp_path / "encoders", catalogue(url))
        with pytest.raises(Unreachable, match="took too long"):
            await fetch_encoder(client, shelf, shelf.catalogue["taesd"], aside, total_seconds=0.2)
        assert asked == [1]
        assert left_behind(tmp_path) == []


@pytest.mark.anyio
async def test_what_one_server_lacks_does_not_hold_up_the_rest_but_a_network_that_is_away_does(
    tmp_path: Path, aside: Path
) -> None:
    async with a_far_server() as far, a_client() as client:
        known = catalogue(far.url)
        known["three"] = Encoder("three", "", f"http://127.0.0.1:{free_port()}/x", "0" * 64, "MIT", 8, 4)
        shelf = Shelf(tmp_path / "encoders", known)
        far.serve("/taesd.pth", b"", status=500)
        problems = await fetch_missing(client, shelf, ["taesd", "taef2"], aside, reserve=NONE_KEPT)
        assert {name: type(problem) for name, problem in problems.items()} == {"taesd": RefusedByRemote, "taef2": RemoteGone}
        far.asked.clear()
        problems = await fetch_missing(client, shelf, ["three", "taesd"], aside, reserve=NONE_KEPT)
        assert {name: type(problem) for name, problem in problems.items()} == {"three": Unreachable}
        assert far.asked == []


# ------------------------------------------------------------------------------------------------- in the background


@contextlib.asynccontextmanager
async def an_instance(folder: Path, url: str, *, fetches: bool = True) -> AsyncIterator[Instance]:
    """Its catalogue holds the tiny encoders, its settings name them; its jobs do not run yet."""
    settings = {"cloak.encoders": list(NAMES), "cloak.fetch_encoders": fetches}
    async with a_world(folder, jobs=False, **settings) as world:
        world.instance.shelf = Shelf(folder / "encoders", catalogue(url))
        yield world.instance


@pytest.mark.anyio
async def test_a_server_that_starts_fetches_what_its_settings_name(tmp_path: Path) -> None:
    async with a_far_server() as far, an_instance(tmp_path / "data", far.url) as instance:
        serves_all(far)
        async with running_jobs(instance):
            await until(lambda: len(instance.shelf.held()) == 2)
        assert sorted(asked.target for asked in far.asked) == ["/taef2.pth", "/taesd.pth"]
        async with running_jobs(instance):
            await asyncio.sleep(0.1)
        assert len(far.asked) == 2, "once they are here, nobody is asked again"


@pytest.mark.anyio
async def test_an_encoder_that_a_cloak_could_not_use_is_fetched_anew_while_the_server_runs(tmp_path: Path) -> None:
    async with a_far_server() as far, an_instance(tmp_path / "data", far.url) as instance:
        serves_all(far)
        async with running_jobs(instance):
            await until(lambda: len(instance.encoders_here()) == 2)
            path, was = instance.shelf.path("taef2"), instance.shelf.path("taef2").stat()
            path.write_bytes(FILES["taef2"][:-1] + b"\1")
            os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
            assert len(instance.encoders_here()) == 2, "neither its size nor its time tells"
            assert await goes_without(instance, failed("taef2", "its sha256 is another."))
            await until(lambda: path.read_bytes() == FILES["taef2"])
            assert [name for name, _ in instance.encoders_here()] == ["taef2", "taesd"]
        assert sorted(asked.target for asked in far.asked) == ["/taef2.pth", "/taef2.pth", "/taesd.pth"]


@pytest.mark.anyio
async def test_one_key_turns_fetching_off(tmp_path: Path) -> None:
    async with a_far_server() as far, an_instance(tmp_path / "data", far.url, fetches=False) as instance:
        serves_all(far)
        async with running_jobs(instance):
            await asyncio.sleep(0.2)
        assert far.asked == []


@pytest.mark.anyio
async def test_it_is_tried_until_the_network_is_there_and_the_log_is_told_once(tmp_path: Path) -> None:
    async with a_far_server() as far, an_instance(tmp_path / "data", far.url) as instance:
        with capture_logs() as logs:
            keeping = asyncio.create_task(keep_encoders(instance, first_wait_s=0.001))
            await until(lambda: far.times_asked("/taesd.pth") >= 3)
            serves_all(far)
            await asyncio.wait_for(keeping, 20)
        assert [held.name for held in instance.shelf.held()] == ["taef2", "taesd"]
        assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["cloak.encoders_not_fetched"]
        fetched = [line["encoder"] for line in logs if line["event"] == "cloak.encoder_fetched"]
        assert sorted(fetched) == ["taef2", "taesd"], "whichever was asked for when they came to be there"


@pytest.mark.anyio
async def test_a_disk_that_is_nearly_full_is_not_filled_with_encoders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_config(None, {}, LOOPBACK)
    with a_small_disk(tmp_path / "disk", 64) as disk:
        async with a_far_server() as far, an_instance(disk.folder / "data", far.url) as instance:
            serves_all(far)
            disk.leave(4 << 20)
            with capture_logs() as logs:
                keeping = asyncio.create_task(keep_encoders(instance, first_wait_s=0.001))
                await until(lambda: any(line["event"] == "cloak.encoders_not_fetched" for line in logs))
                assert not await cli.fetch(Shelf(disk.folder / "own" / "encoders", catalogue(far.url)), config, NAMES)
                assert capsys.readouterr().err.count("The disk is too full: ") == 2
                assert far.asked == []
                disk.empty()
                await asyncio.wait_for(keeping, 20)
            assert [held.name for held in instance.shelf.held()] == ["taef2", "taesd"]
            warned = [line["reason"] for line in logs if line["log_level"] == "warning"]
            assert len(warned) == 1
            assert "storage.reserve_mb" in warned[0]


@pytest.mark.anyio
async def test_a_fetch_that_hangs_delays_neither_start_nor_stop(tmp_path: Path) -> None:
    async with a_hanging_server(b"PK") as (url, asked), an_instance(tmp_path / "data", url) as instance:
        with capture_logs() as logs:
            async with asyncio.timeout(20), running_jobs(instance):  # a fetch alone would take ten minutes
                await until(lambda: asked)
        assert logs == []
        assert left_behind(instance.unfinished) == []
        assert not (tmp_path / "data" / "encoders").exists()


BEHIND_A_FIREWALL = """
import asyncio, sys
from pathlib import Path
from fediart.media.cloak.shelf import Shelf
from fediart.media.disk import Reserve
from fediart.observe import set_up_logs
from fediart.office.fetch_encoders import keep_encoders
from tests.test_fetch_encoders import an_instance
from tests.waiting import until

class Counted(Shelf):
    rounds = 0
    def missing(self, names):
        self.rounds += 1
        return super().missing(names)

async def main():
    async with an_instance(Path(sys.argv[1]), sys.argv[2]) as instance:
        instance.shelf = shelf = Counted(instance.shelf.folder, instance.shelf.catalogue)
        keeping = asyncio.create_task(keep_encoders(instance, first_wait_s=0.01))
        await until(lambda: shelf.rounds >= 4)
        keeping.cancel()

set_up_logs("info", "console")
asyncio.run(main())
"""


def test_behind_a_firewall_the_log_says_one_calm_sentence_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", BEHIND_A_FIREWALL, str(tmp_path), f"http://127.0.0.1:{free_port()}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stderr.splitlines()
    assert "[warning" in line
    assert "127.0.0.1" in line
    assert "this server tries again by itself" in line
    assert "fediart cloak encoders add FILE" in line


@pytest.mark.anyio
async def test_a_setting_that_names_no_encoder_stops_the_start_and_says_which_was_meant(tmp_path: Path) -> None:
    config = load_config(None, {}, {**LOOPBACK, "cloak.encoders": ["taesd", "taeff2"]})
    with pytest.raises(ConfigError, match=r"^cloak\.encoders: .* taeff2 .* Did you mean taef2\?$"):
        async with open_instance(config, tmp_path / "data"):
            pass
    assert not (tmp_path / "data").exists()


def test_servers_of_tests_demo_and_benchmarks_stay_off_the_network(tmp_path: Path) -> None:
    written = {
        "tests": tests.servers.SETTINGS,
        "benchmarks": benchmarks.server.SETTINGS.format(port=8000),
        "demo": settings_text("mira", "http://localhost:8000", "", {"cloak.fetch_encoders": True}),
    }
    for name, text in written.items():
        (tmp_path / "config.toml").write_text(text)
        assert not load_config(tmp_path / "config.toml", {}).cloak.fetch_encoders, name
    assert not load_config(None, {}, LOOPBACK).cloak.fetch_encoders
    assert load_config(None, {}).cloak.fetch_encoders, "a real one fetches"


# ------------------------------------------------------------------------------------------------------ from a shell


def test_encoders_are_added_listed_and_removed_from_a_shell(tmp_path: Path) -> None:
    mine = tiny_encoder(tmp_path / "mine.pth", seed=7)
    digits = hashlib.sha256(mine.read_bytes()).hexdigest()[:12]
    broken = tmp_path / "broken.pth"
    broken.write_bytes(mine.read_bytes()[:-30])
    posing = tiny_encoder(tmp_path / "taesd.pth", seed=8)
    data = ("--data", str(tmp_path / "data"))
    lies_in = tmp_path / "data" / "encoders"
    empty, added, some, listed, own = run_commands(
        [
            ("cloak", "encoders", "list", *data),
            ("cloak", "encoders", "add", str(mine), *data),
            ("cloak", "encoders", "add", str(broken), str(posing), str(mine), *data),
            ("cloak", "encoders", "list", *data),
            ("cloak", "encoders", "list"),
        ],
        {"XDG_DATA_HOME": str(tmp_path / "own"), "HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)},
    )
    head, first = empty.told.splitlines()[:2]
    assert re.split(r" {2,}", head.strip()) == ["name", "mirrors", "size", "state", "licence"]
    assert re.split(r" {2,}", first) == ["*", "taesdxl", "SDXL (so Illustrious, NoobAI, Pony)", "not known", "missing", "MIT"]
    assert "here" not in empty.told.split("\n*")[0]
    assert f"Files lie in {lies_in}" in empty.told
    assert (added.status, added.told) == (0, f"{digits}  not in the catalogue\n")
    assert (some.status, some.told) == (1, "2 of 3 files were not added.")
    (line,) = [line for line in listed.told.splitlines() if digits in line]
    assert re.split(r" {2,}", line.strip()) == [digits, "not in the catalogue", "0.0 MB", "here", "not known"]
    assert str(tmp_path / "data") not in own.told
    assert not (tmp_path / "data" / "config.toml").exists(), "nothing else is made"
    assert left_behind(tmp_path / "data") == [f"encoders/{digits}.pth"]
    (lies_in / f"{digits}.pth").write_bytes(posing.read_bytes())
    (lies_in / "taesd.pth").write_bytes(posing.read_bytes())
    tampered, removed, again, gone, misspelt = run_commands(
        [
            ("cloak", "encoders", "list", *data),
            ("cloak", "encoders", "remove", digits, *data),
            ("cloak", "encoders", "remove", digits, *data),
            ("cloak", "encoders", "remove", "taesd", *data),
            ("cloak", "encoders", "fetch", "taef3", *data),
        ],
        {"FEDIART_CLOAK__ENCODERS": "['taesd']"},
    )
    assert [line.split()[0] for line in tampered.told.splitlines() if "tampered" in line] == ["*", digits]
    assert (removed.status, removed.told) == (0, f"{digits} is removed.\n")
    assert (again.status, again.told) == (1, f"There is no encoder {digits} here.")
    assert "the server fetches it again when it starts" in gone.told
    assert left_behind(tmp_path / "data") == []
    assert (misspelt.status, "Did you mean taef" in misspelt.told) == (1, True)


@pytest.mark.anyio
async def test_fetching_from_a_shell_tells_of_each_and_whether_all_are_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(None, {}, LOOPBACK)
    async with a_far_server() as far:
        shelf = Shelf(tmp_path / "encoders", catalogue(far.url))
        far.serve("/taesd.pth", FILES["taesd"], content_type=BINARY)
        assert not await cli.fetch(shelf, config, NAMES)
        assert capsys.readouterr().out == "taesd is fetched.\n"
        serves_all(far)
        assert await cli.fetch(shelf, config, NAMES)
        assert capsys.readouterr() == ("taef2 is fetched.\nAll are here: taesd, taef2\n", "")
        assert await cli.fetch(shelf, config, NAMES)
        assert capsys.readouterr() == ("All are here: taesd, taef2\n", "")
    away = Shelf(tmp_path / "others", catalogue(f"http://127.0.0.1:{free_port()}"))
    assert not await cli.fetch(away, config, NAMES)
    assert capsys.readouterr() == ("", "taesd (127.0.0.1): The other server cannot be reached.\n")


def test_what_is_no_subcommand_is_meant_for_the_command_copies() -> None:
    group = CopiesUnlessNamed("cloak")
    told: list[tuple[Any, ...]] = []

    @group.command("copies")
    @click.argument("pictures", nargs=-1, required=True)
    @click.option("--out", required=True)
    @click.option("--json", "as_json", is_flag=True)
    def copies(pictures: tuple[str, ...], out: str, as_json: bool) -> None:
        told.append((pictures, out, as_json))

    @group.command("encoders")
    def encoders() -> None:
        told.append(("encoders",))

    def run(*words: str) -> Any:
        return CliRunner().invoke(group, list(words), standalone_mode=True)

    for words in (["a.png", "b", "--out", "x"], ["--out", "x", "a.png", "b"], ["copies", "a.png", "b", "--out", "x"]):
        assert run(*words).exit_code == 0, words
    assert told == [(("a.png", "b"), "x", False)] * 3
    assert run("--json", "./encoders", "--out", "x").exit_code == 0
    assert run("encoders").exit_code == 0
    assert told[3:] == [(("./encoders",), "x", True), ("encoders",)]
    assert "Usage: cloak [OPTIONS] COMMAND" in run("--help").output
    assert "Missing option '--out'" in run("a.png").output
    bare = CopiesUnlessNamed("cloak", commands={"encoders": encoders})
    assert "No such command 'a.png'" in CliRunner().invoke(bare, ["a.png"]).output
