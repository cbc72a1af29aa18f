"""Commands of `fediart`, one after another in one process of their own: they set up logs, which tests must not share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SCRIPT = """
import json, sys
from click.testing import CliRunner
from fediart.cli.commands import fediart
from fediart.errors import FediartError
told = []
for command in json.load(sys.stdin):
    ran = CliRunner().invoke(fediart, command)
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


def run_commands(commands: Sequence[Sequence[str]], env: Mapping[str, str] | None = None) -> list[Ran]:
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps([list(command) for command in commands]),
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [Ran(*line) for line in json.loads(ran.stdout)]


def run_command(*command: str, env: Mapping[str, str] | None = None) -> Ran:
    return run_commands([command], env)[0]
