"""A folder on a disk of its own, of some megabytes. Who may not mount one is told the figures of such a disk instead."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from fediart.media.disk import bytes_in


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


@dataclass(frozen=True, slots=True)
class SmallDisk:
    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def leave(self, free: int) -> None:
        """Fill it until so many bytes are free, or none because others write too."""
        self.empty()
        with contextlib.suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            wanted = shutil.disk_usage(self.folder).free - free
            while wanted > 0:
                wanted -= file.write(bytes(min(wanted, 1 << 20)))

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def a_small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder], capture_output=True, check=False
    ).returncode == 0  # fmt: skip
    if mounted:
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
        return
    size, real = megabytes << 20, shutil.disk_usage

    def told(path: str | Path) -> tuple[int, int, int]:
        if not Path(path).is_relative_to(folder):
            return real(path)
        used = bytes_in(folder)
        return _Usage(size, used, max(0, size - used))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", told)
        yield SmallDisk(folder)
