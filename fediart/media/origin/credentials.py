"""Content Credentials (C2PA) of a picture: asked here, read in a process of its own (`manifest`), by an optional library."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import fediart
from fediart.domain.origin import Level, Origin, Signal
from fediart.media.origin.containers import media_type
from fediart.media.origin.read import CREDENTIALS, in_order
from fediart.media.origin.signs import source_type

WAIT_S = 20
"""For a process that may take half a second of processor time, on a machine that has something else to do."""

_HOME = Path(fediart.__file__).parents[1]
_STATES = ("verified", "not verified", "invalid")

_SAYS = {
    "verified": "whose signer is on this server's list",
    "not verified": "whose signer this server does not know",
    "invalid": "which do not fit this file",
}


def with_credentials(path: Path, origin: Origin, trust: Path | None) -> Origin:
    """The origin, and what the file's Content Credentials say of it. Where they cannot be read: as it was.

    `trust`: the folder with the admin's `anchors.pem` and `eku.cfg`.
    """
    if origin.c2pa == "absent" or importlib.util.find_spec("c2pa") is None:
        return origin
    answer = _asked(path, trust)
    state = answer.get("c2pa")
    if state not in _STATES:
        return origin
    signals = [signal for action, address in answer["found"] for signal in _signals(action, address, state)]
    if not signals:
        signals = [Signal(Level.INFO, "c2pa", f"This file carries Content Credentials (C2PA), {_SAYS[state]}.")]
    others = [signal for signal in origin.signals if signal != CREDENTIALS]
    return Origin(in_order([*signals, *others]), origin.sha256, state)


def _asked(path: Path, trust: Path | None) -> dict[str, Any]:
    with path.open("rb") as file:
        kind = media_type(file.read(32))
    order = {"path": str(path.absolute()), "media_type": kind, "trust": str(trust.absolute()) if trust is not None else None}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fediart.media.origin.manifest"],
            input=json.dumps(order).encode() + b"\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_HOME,
            timeout=WAIT_S,
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):  # its limits ended it, or the library did
        return {}
    return answer if isinstance(answer, dict) else {}


def _signals(action: str, address: str, state: str) -> list[Signal]:
    found = source_type(address)
    if found is None:
        return []
    level, words = found
    is_created = action == "c2pa.created"
    if level == Level.DECLARED and not is_created:
        level = Level.ASSISTED  # something was put into a picture that was there
    if level != Level.INFO and state == "invalid":
        level = Level.HINT  # what they say was said of other bytes
    what = f"that it was {words}" if is_created else f"of an edit: {words}"
    return [Signal(level, "c2pa", f"The Content Credentials (C2PA) of this file, {_SAYS[state]}, say {what}.")]
