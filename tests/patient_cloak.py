"""A cloak that does as a test says, installed as a package as any other: it waits, and notes what it was asked for.

In its folder: `go` lets it end, `weak` makes its reports weak, `broken` is a mistake in it; `log` gets a line for each
picture that it begins: width of the picture, strength, and the threads that the process was given; `memory` says how
many megabytes it was given last.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

NAME = "patient"

_PROGRAM = '''
import dataclasses, os, pathlib, resource, time
from fediart.media.cloak.report import CloakReport

FOLDER = pathlib.Path(os.environ["PATIENT_CLOAK"])
PLAIN = {"str": "", "int": 0, "float": 0.0, "bool": False, "list": [], "dict": {}, "tuple": []}

def report(**known):
    """Whatever other figures a report has, of this cloak they are nothing."""
    without = [f for f in dataclasses.fields(CloakReport) if f.default is f.default_factory is dataclasses.MISSING]
    return CloakReport(**{f.name: PLAIN.get(str(f.type).split("[")[0].split(" ")[0]) for f in without} | known)

class Patient:
    name, version = "patient", 1

    def cloak(self, pictures, order):
        with (FOLDER / "log").open("a") as log:
            log.write(f"{pictures[0].shape[1]} {order.strength} {os.environ['OMP_NUM_THREADS']}\\n")
        (FOLDER / "memory").write_text(str(resource.getrlimit(resource.RLIMIT_AS)[0] >> 20))
        order.progress(0.5)
        if (FOLDER / "broken").exists():
            raise TypeError("a mistake of this package's")
        while not (FOLDER / "go").exists():
            time.sleep(0.01)
        made = [rgb.copy() for rgb in pictures]
        for out in made:
            out[::2, ::2] ^= 4
        return made, report(backend="patient", version=1, strength=order.strength, flip=0.01, weak=(FOLDER / "weak").exists())
'''


@dataclass(frozen=True, slots=True)
class Patient:
    folder: Path

    def say(self, word: str, on: bool = True) -> None:
        path = self.folder / word
        if on:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    @property
    def begun(self) -> list[tuple[int, str, str]]:
        """(width, strength, threads) of every picture that was begun."""
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(line.split()[0]), line.split()[1], line.split()[2]) for line in lines]


def install_patient_cloak(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """For child processes that are started from now on."""
    package = folder / "patient-package"
    held = package / "patient_cloak-1.dist-info"
    held.mkdir(parents=True)
    (package / "patient_cloak.py").write_text(_PROGRAM)
    (held / "METADATA").write_text("Metadata-Version: 2.1\nName: patient-cloak\nVersion: 1\n")
    (held / "entry_points.txt").write_text("[fediart.cloaks]\npatient = patient_cloak:Patient\n")
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.setenv("PATIENT_CLOAK", str(folder))
    return Patient(folder)
