"""Originals, and copies made for their artist: never by a public address, under random names, for this server's user only."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from fediart.errors import NotFound
from fediart.media.disk import OldFile, old_files, write_whole

_KEY = re.compile(r"[0-9a-f]{32}")


class Vault:
    """Files under `root`, each named by a random 128-bit key."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, key: str) -> Path:
        """Where the file with this key lies. Raises NotFound for what is no key."""
        if not _KEY.fullmatch(key):
            raise NotFound("There is no such original.")
        return self.root / key[:2] / key

    def put(self, source: bytes | Path) -> str:
        """Keep a file (mode 0600, synced); returns its key."""
        key = secrets.token_hex(16)
        write_whole(self.path(key), source, mode=0o600)
        return key

    def discard(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def folders(self) -> list[str]:
        """Those that hold originals, in order."""
        return sorted(path.name for path in self.root.glob("??"))

    def old(self, folder: str, before: int) -> tuple[int, list[OldFile]]:
        """As `old_files`; a file's name is its key."""
        return old_files(self.root / folder, before, lambda path: path.name if _KEY.fullmatch(path.name) else None)
