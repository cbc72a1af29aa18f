"""Commands of `fediart`, one after another in one process of their own: they set up logs, which tests must not share."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.databases import address_held

_SCRIPT = """
import json, sys
from click.testing import CliRunner
from fediart.cli.commands import fediart
from fediart.errors import FediartError
told = []
for command, env in json.load(sys.stdin):
    ran = CliRunner().invoke(fediart, command, env=env)
    problem = ran.exception.message if isinstance(ran.exception, FediartError) else ""
    if ran.exception and not problem and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    told.append([ran.exit_code, problem or ran.output])
print(json.dumps(told))
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """`told`: what it wrote, or the message of the error that ended it."""

    status: int
    told: str


def _of_its_world(command: Sequence[str]) -> dict[str, str]:
    """The environment in which a command on the data folder of a world finds that world's database."""
    folders = [Path(value) for option, value in itertools.pairwise(command) if option == "--data"]
    addresses = [address for folder in folders if (address := address_held(folder))]
    return {"FEDIART_STORAGE__DATABASE": addresses[0]} if addresses else {}


def run_commands(commands: Sequence[Sequence[str]], env: Mapping[str, str] | None = None) -> list[Ran]:
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps([[list(command), _of_its_world(command)] for command in commands]),
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [Ran(*line) for line in json.loads(ran.stdout)]


_LOADED = """
import json, os, sys
import fediart.cli.make_copies, fediart.storage.accounts
from fediart.__main__ import main
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.environ.clear()
        os.environ.update(order["env"])
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        sys.argv = ["fediart", *order["arguments"]]
        sys.exit(main())
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\\n")
    sys.stdout.flush()
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The program, loaded once: each command runs in a fork of it, as a process of its own, without loading it anew."""

    process: subprocess.Popen[str]
    folder: Path

    def run(self, arguments: Sequence[str], env: Mapping[str, str]) -> tuple[int, str, str]:
        """(exit status, stdout, stderr)."""
        out, err = self.folder / "out", self.folder / "err"
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"arguments": list(arguments), "env": dict(env), "out": str(out), "err": str(err)}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        return status, out.read_text(), err.read_text()


@contextlib.contextmanager
def a_loaded_program(folder: Path) -> Iterator[Loaded]:
    command = [sys.executable, "-c", _LOADED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Loaded(process, folder)
        process.communicate()


def run_command(*command: str, env: Mapping[str, str] | None = None) -> Ran:
    return run_commands([command], env)[0]
