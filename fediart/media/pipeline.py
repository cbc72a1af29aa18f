"""From an original to its renditions, in a process of its own: asked here, done in `media/child`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fediart
from fediart.errors import BadPicture, CloakFailed, Unavailable
from fediart.media.cloak.report import CloakReport
from fediart.media.targets import Target

TIMEOUT_S = 600
_HOME = Path(fediart.__file__).parents[1]
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """`purpose`: work, avatar, header, or remote (another server's picture: only a preview, never cloaked).

    `secret`: the artist's, 32 bytes. `out_dir` must exist; it gets the files. With a `target` that is one file of kind copy,
    cloaked at the target's size with the texture that the public copy of the same purpose has: the seed is the same, and a
    texture goes with its picture's size. Whoever averages the two, brought to one size, gets the cloak again, not the picture.
    `encoders`: names and files of those that the cloak works against.
    """

    original_path: Path
    purpose: str
    cloak: bool
    secret: bytes
    strength: str
    backend: str
    out_dir: Path
    pixels: int = 50_000_000
    target: Target | None = None
    encoders: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file in `out_dir`. `kind`: public, preview or copy."""

    kind: str
    path: Path
    media_type: str
    width: int
    height: int
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RenderResult:
    """`width` and `height` of the public or asked-for copy. `report` is None when it was not to be cloaked."""

    renditions: tuple[Rendered, ...]
    blurhash: str
    report: CloakReport | None
    width: int
    height: int


async def render(request: RenderRequest, on_progress: Callable[[float], None]) -> RenderResult:
    """Raises BadPicture or CloakFailed in words for the artist, or Unavailable. Cancelled: the child is killed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fediart.media.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **_THREADS},
        # Python looks for modules where it is started. There must lie ours, and not what an artist has in her folder.
        cwd=_HOME,
        limit=1 << 20,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer = await _converse(child, request, on_progress)
    except TimeoutError:
        raise CloakFailed("Preparing this picture took too long.") from None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        await child.wait()
    return _result(request, answer)


async def _converse(
    child: asyncio.subprocess.Process, request: RenderRequest, on_progress: Callable[[float], None]
) -> dict[str, Any]:
    assert child.stdin is not None  # both were asked for
    assert child.stdout is not None
    order = {
        "original": str(request.original_path.absolute()),
        "purpose": request.purpose,
        "cloak": request.cloak,
        "secret": request.secret.hex(),
        "strength": request.strength,
        "backend": request.backend,
        "out": str(request.out_dir.absolute()),
        "pixels": request.pixels,
        "target": asdict(request.target) if request.target is not None else None,
        "encoders": [[name, str(path.absolute())] for name, path in request.encoders],
    }
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(json.dumps(order).encode() + b"\n")
        await child.stdin.drain()
    async for line in child.stdout:
        message: dict[str, Any] = json.loads(line)
        if "progress" in message:
            on_progress(float(message["progress"]))
        else:
            return message
    # No last word: the limits ended it, or a decoder did.
    raise CloakFailed("Preparing this picture ended unexpectedly.", detail=f"exit status {await child.wait()}")


def _result(request: RenderRequest, answer: dict[str, Any]) -> RenderResult:
    if "error" in answer:
        error = answer["error"]
        kind = {"BadPicture": BadPicture, "CloakFailed": CloakFailed, "Unavailable": Unavailable}[error["kind"]]
        raise kind(error["message"], detail=error.get("detail"))
    result = answer["result"]
    report = CloakReport(**result["report"]) if result["report"] else None
    if request.cloak and report is None:
        raise CloakFailed("This picture was not cloaked.")
    made = tuple(Rendered(**{**item, "path": Path(item["path"])}) for item in result["renditions"])
    return RenderResult(made, result["blurhash"], report, result["width"], result["height"])
