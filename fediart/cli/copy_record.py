"""What `fediart cloak` remembers of a folder that it wrote into: in the user's data folder, so that nothing lies beside pictures.

A line of JSON for each copy, appended before the copy's name appears in the folder. So a run that was killed, however
it ended, leaves only whole files that the record knows, and the next run goes on behind them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fediart.errors import Conflict

_ASIDE = re.compile(r"\.[0-9a-f]{16}\.part")
"""What media/disk calls a file that is not whole yet."""


@dataclass(frozen=True, slots=True)
class Made:
    """`settings`: a hash of everything but the picture that decides what the copy is. `told`: what `--json` said of it."""

    place: str
    input_sha256: str
    settings: str
    output_sha256: str
    told: dict[str, Any]


class CopyRecord:
    """The copies that were made into one folder. To be opened with `recording`, which lets only one run at a time."""

    def __init__(self, path: Path, work: Path) -> None:
        self._path = path
        self.work = work
        """A folder for files in the making; empty at the start, gone at the end."""
        self._made: dict[str, Made] = {}
        written = path.read_bytes() if path.exists() else b""
        self._is_torn = bool(written) and not written.endswith(b"\n")
        for line in written.splitlines():
            with contextlib.suppress(ValueError, TypeError):  # torn when the power went
                made = Made(**json.loads(line))
                self._made[made.place] = made

    def found(self, place: Path) -> Made | None:
        return self._made.get(place.as_posix())

    def add(self, made: Made) -> None:
        line = json.dumps(asdict(made)).encode() + b"\n"
        with self._path.open("ab") as file:
            file.write(b"\n" + line if self._is_torn else line)
            file.flush()
            os.fsync(file.fileno())
        self._is_torn = False
        self._made[made.place] = made


@contextlib.contextmanager
def recording(folder: Path, out: Path) -> Iterator[CopyRecord]:
    """The record, kept in `folder`, of what was written into `out`. Raises Conflict while another run writes there."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256(os.fsencode(out.resolve())).hexdigest()[:32]
    with only_one(folder / f"{name}.lock", f"Another fediart cloak is writing into {out}. Wait for it, or stop it."):
        work = folder / f"{name}.work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        try:
            yield CopyRecord(folder / f"{name}.jsonl", work)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def sweep(folders: Iterable[Path]) -> None:
    """Remove what a killed run left half written in these folders. Only under their record's lock."""
    for folder in set(folders):
        for path in folder.iterdir() if folder.is_dir() else ():
            if _ASIDE.fullmatch(path.name):
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def only_one(path: Path, words: str) -> Iterator[None]:
    """Hold a lock, which ends with this process however that ends. Raises Conflict with these words when it is held."""
    with path.open("ab") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(words) from None
        yield


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
