"""ExifTool, as npm carries it: what a reader that is not ours finds in a file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

TOOL = Path(__file__).with_name("peer") / "node_modules" / "exiftool-vendored.pl" / "bin" / "exiftool"


def read_tags(data: bytes, folder: Path, name: str = "picture.jpg") -> dict[str, Any]:
    """`Group:Tag` → value, as stored: no words of ExifTool's own for them."""
    path = folder / name
    path.write_bytes(data)
    done = subprocess.run(["perl", TOOL, "-json", "-G1", "-n", "-a", path], check=True, capture_output=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found
