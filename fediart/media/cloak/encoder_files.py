"""An encoder's file from outside: how large it may be, and which of the two kinds it is. What is in it: `weights`."""

from __future__ import annotations

import re
from pathlib import Path

from fediart.errors import BadEncoder

MAX_BYTES = 64 << 20
"""Of a file: also the cap on what is fetched."""
MAX_FULL_BYTES = 512 << 20
"""Of a full encoder's file."""

HASH_NAME = re.compile(r"[0-9a-f]{12}")
"""What an encoder is named that no catalogue knows: the first digits of its file's hash."""


def is_full_file(path: Path) -> bool:
    """Too large for a small encoder, so it can only be a full one. What cannot be looked at is not."""
    try:
        return path.stat().st_size > MAX_BYTES
    except OSError:
        return False


def read_bounded(path: Path) -> bytes:
    """A file's bytes, not more than any small encoder has. Raises BadEncoder."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise BadEncoder(f"{path.name} cannot be read: {problem.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise BadEncoder(f"{path.name} is larger than {MAX_BYTES >> 20} MB: this is no small encoder.")
    return data
