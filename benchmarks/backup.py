"""How fast is everything copied into one file, beside `tar` of the same folder on the same disk?

Both write to the disk and sync. `tar` copies the database's file as it lies, which nobody may do while a server writes;
the backup reads rows of one moment, hashes every file, and is told as the command that an admin types.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, insert

from benchmarks.report import Figure, arguments, tell
from benchmarks.server import Member, environment, make_place
from fediart.ids import new_id
from fediart.media.files import Files
from fediart.media.vault import Vault
from fediart.storage.tables import images, renditions, works

NOW = 1_790_000_000_000
Made = tuple[str, list[tuple[str, str, int, str]]]
"""Of one work: (key of its original, [(kind, name, bytes, hash)])."""

KINDS = (("public", 2), ("large", 1), ("preview", 0.3))
"""Renditions, and their bytes in shares of an original's quarter."""


def fill_stores(data: Path, count: int, original: int) -> list[Made]:
    """Content that does not get smaller when it is packed."""
    vault, files = Vault(data / "originals"), Files(data / "media")
    dice = random.Random(1)
    made = []
    noise = dice.randbytes(original + 65_536)
    for number in range(count):
        key = f"{dice.getrandbits(128):032x}"
        _put(vault.path(key), number.to_bytes(8, "big") + noise[number % 65_536 :][: original - 8])
        shown = []
        for kind, share in KINDS:
            name = f"{dice.getrandbits(256):064x}"
            name = f"{name[:2]}/{name}.jpg"
            size = int(original * share / 4)
            content = number.to_bytes(8, "big") + noise[number * 7 % 65_536 :][: size - 8]
            _put(files.path(name), content)
            shown.append((kind, name, size, hashlib.sha256(content).hexdigest()))
        made.append((key, shown))
    return made


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def put_rows(db: Connection, artist: int, made: Sequence[Made], original: int) -> None:
    for number, (key, shown) in enumerate(made):
        work, image = new_id(NOW + number), new_id(NOW + number)
        address = f"http://localhost/@mira/{work}"
        common = {"state": "published", "visibility": "public", "published_at": NOW, "arrived_at": NOW}
        db.execute(insert(works).values(id=work, uri=address, url=address, actor_id=artist, content="<p>Evening</p>", **common))
        held = {"vault_key": key, "original_bytes": original, "used_at": NOW, "created_at": NOW, "state": "ready"}
        db.execute(insert(images).values(id=image, actor_id=artist, work_id=work, purpose="work", **held))
        row = {"image_id": image, "media_type": "image/jpeg", "width": 1, "height": 1}
        for kind, name, size, digest in shown:
            db.execute(insert(renditions).values(**row, kind=kind, name=name, bytes=size, sha256=digest))


def timed(command: Sequence[str], target: Path) -> tuple[float, float]:
    """(seconds until it is on the disk, seconds of CPU)."""
    target.unlink(missing_ok=True)
    os.sync()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, env=environment(), stdout=subprocess.DEVNULL)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def timed_into(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """As `timed`, of what comes into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.sync()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, env=environment(), stdout=subprocess.DEVNULL)
    os.sync()
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--works", type=int, default=10_000)
    parser.add_argument(
        "--original", type=int, default=300_000, help="bytes of each original; its renditions have as many again, nearly"
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fediart-backup-") as folder:
        data, target, secret = Path(folder) / "data", Path(folder) / "copy", Path(folder) / "passphrase"
        secret.write_text("ochre and umber")
        made = fill_stores(data, options.works, options.original)

        def fill(db: Connection, members: dict[str, Member]) -> None:
            put_rows(db, members["mira"].actor_id, made, options.original)

        make_place(data, ["mira"], fill)
        backup = [sys.executable, "-m", "fediart", "backup", "--data", str(data), "--to", str(target)]
        ways = {
            "tar": ["tar", "-cf", str(target), "-C", str(data), "."],
            "backup": [*backup, "--no-verify"],
            "sealed": [*backup, "--no-verify", "--passphrase-file", str(secret)],
            "verified": backup,
        }
        unpacked = Path(folder) / "unpacked"
        back = {
            "untar": ["tar", "-xf", str(target), "-C", str(unpacked)],
            "restore": [sys.executable, "-m", "fediart", "restore", str(target), "--data", str(unpacked)],
        }
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in (*ways, *back)}
        timed(ways["tar"], target)  # from here on all files are in memory, for each alike
        for _ in range(options.rounds):
            for name, command in ways.items():
                runs[name].append(timed(command, target))
            for name, command in back.items():  # of the last one, which is not sealed
                runs[name].append(timed_into(command, unpacked))
        size = target.stat().st_size / 1e6
    seconds = {name: statistics.median(took for took, _ in found) for name, found in runs.items()}
    cpu = {name: statistics.median(used for _, used in found) for name, found in runs.items()}
    figures = [Figure("size_mb", "the copy", size, "MB")]
    for name, what in (
        ("tar", "tar"),
        ("backup", "backup"),
        ("sealed", "… sealed"),
        ("verified", "… read back and compared"),
        ("untar", "tar x, of the backup"),
        ("restore", "restore"),
    ):
        figures.append(Figure(f"{name}_mb_per_s", what, size / seconds[name], "MB/s"))
        figures.append(Figure(f"{name}_cpu_s", f"{what}: CPU", cpu[name], "s"))
    figures.append(Figure("ratio", "speed of the backup, of tar's", seconds["tar"] / seconds["backup"], least=0.7))
    figures.append(Figure("ratio_sealed", "speed of a sealed one, of tar's", seconds["tar"] / seconds["sealed"]))
    figures.append(Figure("ratio_cpu", "CPU of the backup, beside tar's", cpu["backup"] / cpu["tar"], "x"))
    figures.append(Figure("ratio_restore", "speed of the restore, of tar's", seconds["untar"] / seconds["restore"]))
    tell("backup", figures, works=options.works, original=options.original, rounds=options.rounds)


if __name__ == "__main__":
    main()
