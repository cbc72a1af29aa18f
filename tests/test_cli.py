"""The command line: every command does what it says, on the data folder and settings it was given."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from fediart.cli import main
from fediart.cli.commands import fediart
from fediart.cli.demo import free_port
from fediart.errors import FediartError
from fediart.media.sample import draw_sample
from tests.servers import start_server

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "a password to test with"


def _run(*command: str, fails: bool = False) -> str:
    result: Result = CliRunner().invoke(fediart, list(command))
    if fails:
        assert result.exit_code != 0
        return result.exception.message if isinstance(result.exception, FediartError) else result.output
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def _commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, *path, name)
        else:
            yield (*path, name), command


def test_the_commands_are_those_that_were_promised() -> None:
    assert {" ".join(path) for path, _ in _commands(fediart)} == {
        "serve", "setup", "demo", "account create", "account list", "account reset-password", "account token", "post",
    }  # fmt: skip


def test_every_command_takes_a_data_folder_and_a_settings_file_and_explains_itself() -> None:
    for path, command in _commands(fediart):
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--data", "--config"} <= options, path
        told = _run(*path, "--help")
        assert (command.help or "").split(".")[0] in " ".join(told.split())
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} does not explain {parameter.opts}"
    assert "fediart" in _run("--version")
    assert "account" in _run("-h")


def test_every_command_that_the_readme_shows_exists() -> None:
    shown = re.findall(r"^    \.venv/bin/fediart (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(shown) >= 3
    known = {" ".join(path): command for path, command in _commands(fediart)}
    for line in shown:
        (name,) = [name for name in known if line.startswith(name + " ")]
        used = set(re.findall(r"--[\w-]+", line))
        assert used <= {option for parameter in known[name].params for option in parameter.opts}, line


def test_accounts_are_made_listed_given_tokens_and_new_passwords(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    settings = tmp_path / "mine.toml"
    settings.write_text('[instance]\nurl = "https://art.example"\nname = "Mine"\n')
    where = ("--data", data, "--config", str(settings))
    link = _run("setup", *where).strip()
    assert re.fullmatch(r"https://art\.example/setup\?token=\S{20,}", link)
    assert _run("account", "create", "Mira", "--password", PASSWORD, *where).strip() == "@mira@art.example (owner)"
    assert _run("account", "create", "noor", "--password", PASSWORD, *where).strip() == "@noor@art.example"
    assert _run("account", "list", *where) == "@mira@art.example  owner\n@noor@art.example  artist\n"
    assert len(_run("account", "token", "mira", "--scopes", "read write:media", *where).strip()) > 30
    assert _run("account", "reset-password", "@mira", "--password", PASSWORD + "!", *where).startswith("New password set.")
    assert not (tmp_path / "data" / "config.toml").exists(), "the settings stand in the file that was given"
    # What cannot be done is told.
    assert "There is an account already" in _run("setup", *where, fails=True)
    assert "taken" in _run("account", "create", "mira", "--password", PASSWORD, *where, fails=True)
    assert "at least 10 characters" in _run("account", "create", "ada", "--password", "short", *where, fails=True)
    assert "1 to 30 characters" in _run("account", "create", "a b", "--password", PASSWORD, *where, fails=True)
    assert "kept for the server" in _run("account", "create", "admin", "--password", PASSWORD, *where, fails=True)
    assert "There is no account ada" in _run("account", "token", "ada", *where, fails=True)
    assert "There is no account ada" in _run("account", "reset-password", "ada", "--password", PASSWORD, *where, fails=True)
    assert "Unknown scope admin" in _run("account", "token", "mira", "--scopes", "read admin", *where, fails=True)


def test_the_password_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDIART_PASSWORD", PASSWORD)
    assert _run("account", "create", "mira", "--data", str(tmp_path)).startswith("@mira@localhost:8000")


def test_a_data_folder_keeps_its_address(tmp_path: Path) -> None:
    _run("account", "create", "mira", "--password", PASSWORD, "--data", str(tmp_path))
    (tmp_path / "config.toml").write_text('[instance]\nurl = "https://other.example"\n')
    told = _run("account", "list", "--data", str(tmp_path), fails=True)
    assert "belongs to http://localhost:8000" in told
    assert "https://other.example" in told


def test_a_picture_posted_from_a_shell_is_published_by_the_running_server(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data")
    try:
        port = server.url.rpartition(":")[2]
        settings = tmp_path / "data" / "config.toml"
        settings.write_text(settings.read_text() + f"[server]\nport = {port}\n")
        data = ("--data", str(tmp_path / "data"))
        _run("account", "create", "mira", "--password", PASSWORD, *data)
        for number in (1, 2):
            (tmp_path / f"{number}.jpg").write_bytes(draw_sample(96, 64, seed=number))
        pictures = [str(tmp_path / f"{number}.jpg") for number in (1, 2)]
        said = ("--text", "From a shell #oil", "--alt", "the first", "--alt", "the second", "--visibility", "unlisted")
        address = _run("post", "mira", *pictures, *said, *data).strip()
        assert re.fullmatch(rf"{server.url}/@mira/\d+", address)
        page = _until_there(address)
        for words in ("the first", "the second", "From a shell", "Cloaked on this server"):
            assert words in page
        assert "There is no account ada" in _run("post", "ada", *pictures, *data, fails=True)
        (tmp_path / "words.txt").write_text("no picture")
        assert "not a JPEG, PNG or WebP" in _run("post", "mira", str(tmp_path / "words.txt"), *data, fails=True)
        assert "does not exist" in _run("post", "mira", str(tmp_path / "missing.jpg"), *data, fails=True)
        # A second server on the same port: says so, and what to do.
        again = subprocess.run(
            [sys.executable, "-m", "fediart", "serve", "--data", str(tmp_path / "other"), "--port", port],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert again.returncode == 1
        assert f"Port {port} is taken by another program." in again.stderr
        assert f"--port {int(port) + 1}" in again.stderr
        assert "Traceback" not in again.stderr
    finally:
        server.process.terminate()
        server.process.wait(20)


def _until_there(address: str) -> str:
    """The page, once there is one."""
    for _ in range(600):
        answer = httpx.get(address, trust_env=False)
        if answer.status_code == 200:
            return answer.text
        assert answer.status_code == 404
        time.sleep(0.05)
    raise AssertionError("it was not published")


def _as_typed(*command: str) -> tuple[int, str]:
    """A command in a process of its own: exit status, and what it wrote on stderr."""
    ran = subprocess.run([sys.executable, "-m", "fediart", *command], capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, ran.stderr


def test_a_data_folder_that_cannot_be_written_is_told_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for data in (tmp_path / "file", tmp_path / "file" / "data"):
        status, told = _as_typed("account", "list", "--data", str(data))
        assert status == 1
        assert told.startswith(f"fediart: The data folder {data} cannot be written: ")
        assert "Traceback" not in told


def test_settings_that_are_wrong_are_told_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[server]\nprot = 1\n")
    status, told = _as_typed("serve", "--data", str(tmp_path))
    assert (status, "Did you mean server.port?" in told, "Traceback" in told) == (1, True, False)
    status, told = _as_typed("account", "list", "--data", str(tmp_path), "--config", str(tmp_path / "no.toml"))
    assert (status, "There is no settings file" in told) == (1, True)
    status, told = _as_typed("serve", "--data", str(tmp_path / "new"), "--host", "203.0.113.77", "--port", str(free_port()))
    assert (status, "Cannot listen on 203.0.113.77" in told, "Traceback" in told) == (1, True, False)


def test_a_taken_port_is_told_also_when_the_other_one_listens_everywhere(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        status, told = _as_typed("serve", "--data", str(tmp_path), "--port", str(port))
    assert status == 1
    assert f"Port {port} is taken" in told


def test_errors_of_ours_end_the_command_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["fediart", "account", "token", "ada", "--data", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "fediart: There is no account ada here.\n"
