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
from click.testing import CliRunner

from fediart.cli.commands import fediart
from fediart.cli.demo import free_port
from fediart.media.sample import draw_sample
from tests.commands import Ran, run_command, run_commands
from tests.servers import start_server

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "a password to test with"


def _help(*command: str) -> str:
    result = CliRunner().invoke(fediart, list(command))
    assert result.exit_code == 0
    return result.output


def _commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield (*path, name), command
            yield from _commands(command, *path, name)
        else:
            yield (*path, name), command


def test_the_commands_are_those_that_were_promised() -> None:
    assert {" ".join(path) for path, _ in _commands(fediart)} == {
        "account reset-link", "account sign-out", "account quota", "invite make", "invite list", "invite revoke",
        "serve", "setup", "doctor", "demo", "account create", "account list", "account reset-password", "account token",
        "account tokens", "post",
        "account alias", "account move", "account return", "account delete",
        "account role", "account suspend", "account limit", "account unsuspend",
        "hosts block", "hosts limit", "hosts unblock", "hosts list", "hosts export", "hosts import", "deliveries", "mail test",
        "cloak encoders list", "cloak encoders fetch", "cloak encoders add", "cloak encoders remove",
        "cloak copies", "cloak redo", "reviews list", "reviews show", "reviews decide",
        "policy show", "policy history", "policy preset", "policy set",
        "backup", "backup list", "backup verify", "restore",
        "policy agents list", "policy agents load", "policy agents reset",
    }  # fmt: skip


def test_every_command_takes_a_data_folder_and_a_settings_file_and_explains_itself() -> None:
    for path, command in _commands(fediart):
        options = {option for parameter in command.params for option in parameter.opts}
        # A file alone can be looked at without a server.
        assert {"--data", "--config"} <= options or path == ("backup", "verify"), path
        told = _help(*path, "--help")
        assert (command.help or "").split(".")[0] in " ".join(told.split())
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} does not explain {parameter.opts}"
    assert "fediart" in _help("--version")
    assert "account" in _help("-h")


def test_every_command_that_the_readme_shows_exists() -> None:
    shown = re.findall(r"^    \.venv/bin/fediart (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(shown) >= 3
    known = {" ".join(path): command for path, command in _commands(fediart)}
    for line in shown:
        named = [name for name in known if f"{line} ".startswith(f"{name} ")]
        # What is no command after `cloak` is pictures for its command `copies`.
        (name,) = named or ["cloak copies"] * line.startswith("cloak ")
        used = set(re.findall(r"--[\w-]+", line))
        assert used <= {option for parameter in known[name].params for option in parameter.opts}, line


def test_accounts_are_made_listed_given_tokens_and_new_passwords(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    settings = tmp_path / "mine.toml"
    settings.write_text('[instance]\nurl = "https://art.example"\nname = "Mine"\n')
    account = {
        "setup": r"https://art\.example/setup\?token=\S{20,}\n",
        "account create Mira --password PASSWORD": r"@mira@art\.example \(owner\)\n",
        "account create noor --password PASSWORD": r"@noor@art\.example\n",
        "account list": r"@mira@art\.example  owner\n@noor@art\.example  artist\n",
        "account tokens mira": r"No app acts for this account\.\n",
        "account token mira": r"\S{30,}\n",
        "account tokens @mira": r"command line  may: read write follow  since \d{4}-\d\d-\d\d  no use is known\n",
        "account reset-password @mira --password PASSWORD": r"New password set\. Every session .*\n",
    }
    refused = {
        "setup ": "There is an account already",
        "account create mira --password PASSWORD": "is taken",
        "account create ada --password short": "at least 10 characters",
        "account create a.b --password PASSWORD": "1 to 30 characters",
        "account create admin --password PASSWORD": "kept for the server",
        "account tokens ada": "There is no account ada",
        "account token ada": "There is no account ada",
        "account token mira --scopes admin": "Unknown scope admin",
        "account reset-password ada --password PASSWORD": "There is no account ada",
    }
    lines = [*account, *refused]
    commands = [[PASSWORD if word == "PASSWORD" else word for word in line.split()] for line in lines]
    ran = run_commands([[*command, "--data", data, "--config", str(settings)] for command in commands])
    for line, one in zip(lines, ran, strict=True):
        if line in account:
            assert one.status == 0, line
            assert re.fullmatch(account[line], one.told), (line, one.told)
        else:
            assert one.status != 0, line
            assert refused[line] in one.told
    assert not (tmp_path / "data" / "config.toml").exists(), "the settings stand in the file that was given"


def test_the_password_may_come_from_the_environment(tmp_path: Path) -> None:
    ran = run_command("account", "create", "mira", "--data", str(tmp_path), env={"FEDIART_PASSWORD": PASSWORD})
    assert ran.told.startswith("@mira@localhost:8000")


def test_a_data_folder_keeps_its_address(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('[instance]\nurl = "https://other.example"\n')
    data = ("--data", str(tmp_path))
    made, told = run_commands(
        [
            ("account", "create", "mira", "--password", PASSWORD, *data),
            ("account", "list", *data, "--config", str(tmp_path / "other.toml")),
        ]
    )
    assert made.status == 0
    assert "belongs to http://localhost:8000" in told.told
    assert "https://other.example" in told.told


def test_a_trial_remembers_the_port_that_it_was_first_started_with(tmp_path: Path) -> None:
    port = free_port()
    start_server(tmp_path / "data", port, "").stop()
    (tmp_path / "own.toml").write_text("")
    start = subprocess.Popen(
        [
            *(sys.executable, "-m", "fediart", "serve", "--data", str(tmp_path / "two")),
            *("--config", str(tmp_path / "own.toml"), "--port", str(port)),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert start.stderr is not None
    assert any("fediart is at" in line for line in start.stderr)
    start.terminate()
    start.communicate(timeout=20)
    made, link, listed = run_commands(
        [
            ("account", "create", "mira", "--password", PASSWORD, "--data", str(tmp_path / "data")),
            ("setup", "--data", str(tmp_path / "three"), "--port", str(port)),
            ("account", "list", "--data", str(tmp_path / "three")),
        ]
    )
    assert made == Ran(0, f"@mira@localhost:{port} (owner)\n")
    assert link.told.startswith(f"http://localhost:{port}/setup?token=")
    assert listed.status == 0
    assert "\nport = " + str(port) in (tmp_path / "three" / "config.toml").read_text()
    assert (tmp_path / "own.toml").read_text() == "", "a file that was named is its owner's"


def test_a_picture_posted_from_a_shell_is_published_by_the_running_server(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data")
    try:
        port = server.url.rpartition(":")[2]
        data = ("--data", str(tmp_path / "data"))
        for number in (1, 2):
            (tmp_path / f"{number}.jpg").write_bytes(draw_sample(96, 64, seed=number))
        (tmp_path / "words.txt").write_text("no picture")
        pictures = [str(tmp_path / f"{number}.jpg") for number in (1, 2)]
        said = ("--text", "From a shell #oil", "--alt", "the first", "--alt", "the second", "--visibility", "unlisted")
        made, posted, nobody, words, missing = run_commands(
            [
                ("account", "create", "mira", "--password", PASSWORD, *data),
                ("post", "mira", *pictures, *said, *data),
                ("post", "ada", *pictures, *data),
                ("post", "mira", str(tmp_path / "words.txt"), *data),
                ("post", "mira", str(tmp_path / "missing.jpg"), *data),
            ],
            {"FEDIART_SERVER__PORT": port},
        )
        assert made.status == posted.status == 0, posted.told
        assert re.fullmatch(rf"{server.url}/@mira/\d+\n", posted.told)
        page = _until_there(posted.told.strip())
        for said_there in ("the first", "the second", "From a shell", "Cloaked on this server"):
            assert said_there in page
        assert "There is no account ada" in nobody.told
        assert "not a JPEG, PNG, WebP, GIF or AVIF" in words.told
        assert "does not exist" in missing.told
        # A second server on the same port: says so, and what to do.
        status, told = _as_typed("serve", "--data", str(tmp_path / "other"), "--port", port)
        assert status == 1
        assert f"Port {port} is taken by another program." in told
        assert f"--port {int(port) + 1}" in told
        assert "Traceback" not in told
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


def test_a_disk_without_room_is_told_without_a_trace(tmp_path: Path) -> None:
    """A bound on the size of files stands for it: a database needs more than these 16 KiB."""
    command = [sys.executable, "-m", "fediart", "account", "list", "--data", str(tmp_path)]
    limited = ["sh", "-c", 'ulimit -f 32; exec "$@"', "sh", *command]
    ran = subprocess.run(limited, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"fediart: The database {tmp_path / 'fediart.sqlite'} cannot be written.")
    assert "Traceback" not in ran.stderr


def test_a_postgresql_that_is_not_there_is_told_without_a_trace(tmp_path: Path) -> None:
    address = f"postgresql://fediart:secret@127.0.0.1:{free_port()}/fediart"
    (tmp_path / "config.toml").write_text(f'[storage]\ndatabase = "{address}"\n')
    status, told = _as_typed("account", "list", "--data", str(tmp_path))
    assert status == 1
    assert told.startswith("fediart: PostgreSQL does not answer at 127.0.0.1.")
    assert "Traceback" not in told
    assert "secret" not in told


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


def test_an_error_of_ours_ends_the_command_with_one_line(tmp_path: Path) -> None:
    status, told = _as_typed("account", "token", "ada", "--data", str(tmp_path))
    assert (status, told) == (1, "fediart: There is no account ada here.\n")
