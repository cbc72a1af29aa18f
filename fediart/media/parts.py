"""Uploads that are not whole yet. What arrived of one is on disk, and stays there whatever ends the process."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from fediart.errors import NotFound
from fediart.media.disk import disk_errors

_ID = re.compile(r"[0-9a-f]{32}")


class Parts:
    """Files under `root`, each named by a random 128-bit id, as long as what arrived."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, id_: str) -> Path:
        """Where it lies. Raises NotFound for what is no id."""
        if not _ID.fullmatch(id_):
            raise NotFound("There is no such upload.")
        return self._root / id_

    def new(self) -> str:
        return secrets.token_hex(16)

    def size(self, id_: str) -> int:
        """Bytes that arrived; 0 where nothing did."""
        try:
            return self.path(id_).stat().st_size
        except FileNotFoundError:
            return 0

    def write(self, id_: str, at: int, data: bytes, *, last: bool) -> None:
        """Put `data` at an offset. `last`: after this it survives a power cut. Raises Unavailable."""
        with disk_errors():
            handle = os.open(self.path(id_), os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.lseek(handle, at, os.SEEK_SET)
                view = memoryview(data)
                while view:
                    view = view[os.write(handle, view) :]
                if last:
                    os.fsync(handle)
            finally:
                os.close(handle)

    def discard(self, id_: str) -> None:
        self.path(id_).unlink(missing_ok=True)

    def discard_all_but(self, wanted: Iterable[str], *, older_than_s: float) -> None:
        """Those that nobody counts on, and that were not written for so long."""
        held, before = set(wanted), time.time() - older_than_s
        for path in self._root.iterdir():
            with contextlib.suppress(OSError):
                if path.name not in held and path.stat().st_mtime < before:
                    path.unlink()
