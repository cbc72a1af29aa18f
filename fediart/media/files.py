"""The public store: files that anyone may fetch who knows their name.

Of an open work the name is the content's hash, so that copies are kept once and caches may keep them for ever; of one
that is not open the name is random (128 bits), and whoever holds it can fetch.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from fediart.errors import NotFound
from fediart.media.disk import OldFile, old_files, touched, write_whole

NAME = re.compile(r"(?:[0-9a-f]{2}/[0-9a-f]{64}|p/[0-9a-f]{2}/[0-9a-f]{32})\.(?:jpg|png|webp|gif|avif)")
MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif", "avif": "image/avif"}


class Files:
    """Files under `root`, named as `NAME` says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Where a file lies. Raises NotFound for what cannot be a name."""
        if not NAME.fullmatch(name):
            raise NotFound("There is no such file.")
        return self.root / name

    def put(self, data: bytes, suffix: str, *, secret: bool) -> str:
        """Keep a file, synced; returns its name."""
        token = secrets.token_hex(16)
        digest = hashlib.sha256(data).hexdigest()
        name = f"p/{token[:2]}/{token}.{suffix}" if secret else f"{digest[:2]}/{digest}.{suffix}"
        path = self.path(name)
        if not touched(path):
            write_whole(path, data, mode=0o644)
        return name

    def discard(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def discard_all(self, names: Iterable[str]) -> None:
        for name in names:
            self.discard(name)

    def folders(self) -> list[str]:
        """Those that hold files, in order."""
        return sorted(path.relative_to(self.root).as_posix() for path in (*self.root.glob("??"), *self.root.glob("p/??")))

    def old(self, folder: str, before: int) -> tuple[int, list[OldFile]]:
        """As `old_files`."""
        return old_files(self.root / folder, before, self._name)

    def _name(self, path: Path) -> str | None:
        name = path.relative_to(self.root).as_posix()
        return name if NAME.fullmatch(name) else None
