"""The one-shot process in which Content Credentials (C2PA) are read by c2pa-python, which is native code, under limits.

It reads one line of JSON, writes one, and ends. Before it looks at a stranger's bytes it gives up all means to open anything:
the library can follow addresses that a picture names, and beside its settings that forbid it there is no file descriptor left
that a connection could have. Run as `python -m fediart.media.origin.manifest`.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

MEMORY = 100 << 20
"""Of address space, beyond what the library takes when it is loaded."""

SECONDS = 0.5
"""Of processor time, from when the library is loaded."""

MAX_MANIFESTS, MAX_FOUND, MAX_TRUST = 64, 64, 4 << 20

EKUS = (
    "1.3.6.1.5.5.7.3.4",  # e-mail protection
    "1.3.6.1.5.5.7.3.36",  # document signing
    "1.3.6.1.5.5.7.3.8",  # time stamping
    "1.3.6.1.4.1.62558.2.1",  # C2PA's own, for claims
    "1.3.6.1.4.1.311.76.59.1.9",  # Microsoft's, for C2PA
)
"""What a certificate may be for so that its claims count as well-formed. Whose they are is another matter."""


def settings_for(trust: Path | None) -> dict[str, Any]:
    """For the library: nothing is fetched; the admin's list of anchors, where there is one."""
    made: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}}
    made["trust"] = {"trust_config": "\n".join([*EKUS, _text(trust, "eku.cfg")])}
    anchors = _text(trust, "anchors.pem")
    if anchors:
        made["trust"]["trust_anchors"] = anchors
    return made


def _text(trust: Path | None, name: str) -> str:
    try:
        return (trust / name).read_text()[:MAX_TRUST] if trust is not None else ""
    except (OSError, UnicodeDecodeError):
        return ""


def limit_self() -> None:
    """From here on: bounded memory and time, nothing can be opened."""
    import resource

    from fediart.media.child import lower_limit

    if sys.platform == "linux":
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        lower_limit(resource.RLIMIT_AS, held + MEMORY)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # SIGPROF ends it
    lower_limit(resource.RLIMIT_NOFILE, 0)


def chain(store: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The active manifest, then what it was made from: parents only. What was placed in it is not the picture's origin."""
    wanted: list[Any] = [store.get("active_manifest")]
    seen: set[str] = set()
    while wanted and len(seen) < MAX_MANIFESTS:
        label = wanted.pop()
        manifest = store.get("manifests", {}).get(label)
        if label in seen or manifest is None:
            continue
        seen.add(label)
        yield manifest
        wanted += [
            ingredient.get("active_manifest")
            for ingredient in manifest.get("ingredients", [])
            if ingredient.get("relationship") == "parentOf"
        ]


def found_in(store: dict[str, Any]) -> list[list[str]]:
    """(action, address of a digital source type) along the chain."""
    return [
        [str(action.get("action"))[:100], str(action["digitalSourceType"])[:200]]
        for manifest in chain(store)
        for assertion in manifest.get("assertions", [])
        if str(assertion.get("label")).startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions", [])
        if "digitalSourceType" in action
    ][:MAX_FOUND]


def state_of(store: dict[str, Any]) -> str:
    """verified; not verified, where all that is amiss is who signed it; or invalid."""
    if store.get("validation_state") == "Trusted":
        return "verified"
    failures = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    about_signer = ("signingCredential.", "timeStamp.")
    return "not verified" if all(str(failure.get("code")).startswith(about_signer) for failure in failures) else "invalid"


def read(file: BinaryIO, media_type: str, trust: Path | None) -> dict[str, Any]:
    # Optional, and without types.
    c2pa: Any = importlib.import_module("c2pa")
    settings = settings_for(trust)
    try:
        context = c2pa.Context.from_dict(settings)
    except c2pa.C2paError:  # the admin's list is no list
        context = c2pa.Context.from_dict(settings_for(None))
    limit_self()
    try:
        with c2pa.Reader(media_type, file, context=context) as reader:
            store = json.loads(reader.json())
    except c2pa.C2paError:
        return {"c2pa": "not read", "found": []}
    return {"c2pa": state_of(store), "found": found_in(store)}


def main() -> int:
    order = json.loads(sys.stdin.readline())
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    trust = Path(order["trust"]) if order["trust"] is not None else None
    with Path(order["path"]).open("rb") as file:
        answer = read(file, order["media_type"], trust)
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # nothing of the library's own farewell is worth waiting for


if __name__ == "__main__":
    sys.exit(main())
