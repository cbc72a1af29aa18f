"""From an original to its renditions, in a process of its own: asked here, done in `media/child`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

import fediart
from fediart.domain.origin import Origin
from fediart.domain.rights import Rights
from fediart.errors import BadPicture, CloakFailed, EncoderFailed, Interrupted, Unavailable
from fediart.media.child import CPU_SECONDS, FULL_CPU_SECONDS
from fediart.media.cloak.built_in import VERSIONS
from fediart.media.cloak.catalogue import CATALOGUE, is_full
from fediart.media.cloak.report import CloakReport
from fediart.media.targets import Target
from fediart.observe import spending

TIMEOUT_S, FULL_TIMEOUT_S = 2 * CPU_SECONDS, 2 * FULL_CPU_SECONDS
"""Twice the processor time that the child may take: it runs at low priority, beside a server that has something to do."""

TOO_LONG = (
    "Preparing this picture took too long. A weaker cloak takes less time, and so does a smaller picture; or try again when "
    "this server has less to do."
)
KILLED = "Preparing this picture was ended from outside: most often this server has too little memory. Please try again later."
ENDED = (
    "Preparing this picture ended unexpectedly. Save it anew in another program, or as PNG, and try again; if that is no help, "
    "the server's log says more."
)

_HOME = Path(fediart.__file__).parents[1]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """`purpose`: work, avatar, header, or remote (another server's picture: only a preview, never cloaked).

    `secret`: the artist's, 32 bytes. `out_dir` must exist; it gets the files. `memory_mb`: what the process may take.
    `patient`: nobody waits for this one.
    `scratch`: a folder that is there again when the same picture is prepared once more after a kill or a pause: whatever
    the process keeps in it, it may go on from. `encoders`: (name, file) of those that the cloak works against.
    With a `target` that is one file of kind copy, of the target's size, into which the public copy's own direction is laid.
    Whoever averages the two, brought to one size, gets the cloak again, not the picture.
    `rights` are written into every file, as XMP. `reads_origin`: say what the original's metadata tells of how it was made;
    `trust`: the folder with the admin's list of whose Content Credentials are believed.
    """

    original_path: Path
    purpose: str
    cloak: bool
    secret: bytes
    strength: str
    backend: str
    out_dir: Path
    pixels: int = 50_000_000
    threads: int = 1
    memory_mb: int = 1024
    scratch: Path | None = None
    encoders: tuple[tuple[str, Path], ...] = ()
    patient: bool = False
    target: Target | None = None
    rights: Rights | None = None
    reads_origin: bool = False
    trust: Path | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file in `out_dir`. `kind`: public, large, preview or copy."""

    kind: str
    path: Path
    media_type: str
    width: int
    height: int
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RenderResult:
    """`width` and `height` of the public or asked-for copy. `report` is None when it was not to be cloaked, `origin` when it was
    not to be read."""

    renditions: tuple[Rendered, ...]
    blurhash: str
    report: CloakReport | None
    width: int
    height: int
    origin: Origin | None = None


async def render(request: RenderRequest, on_progress: Callable[[float], None]) -> RenderResult:
    """Raises BadPicture or CloakFailed in words for the artist, Unavailable, or Interrupted. Cancelled: the child is killed."""
    return _result(request, await _ask_child(order_of(request), request.threads, on_progress))


def order_of(request: RenderRequest) -> dict[str, Any]:
    """As the child reads it: in JSON, wherever that is started."""
    return {
        "original": str(request.original_path.absolute()),
        "purpose": request.purpose,
        "cloak": request.cloak,
        "secret": request.secret.hex(),
        "strength": request.strength,
        "backend": request.backend,
        "out": str(request.out_dir.absolute()),
        "pixels": request.pixels,
        "patient": request.patient,
        "threads": request.threads,
        "memory_mb": request.memory_mb,
        "scratch": str(request.scratch.absolute()) if request.scratch is not None else None,
        "encoders": [[name, str(path.absolute())] for name, path in request.encoders],
        "is_full": any(is_full(path, CATALOGUE.get(name)) for name, path in request.encoders),
        "target": asdict(request.target) if request.target is not None else None,
        "rights": asdict(request.rights) if request.rights is not None else None,
        "reads_origin": request.reads_origin,
        "trust": str(request.trust.absolute()) if request.trust is not None else None,
    }


async def compare(request: RenderRequest, public: Path) -> list[Path]:
    """What a cloak changed: (the picture before it, the difference eight times as strong), two JPEGs in `out_dir`.

    `public`: the copy that `render` made of the same request.
    """
    order = {
        "original": str(request.original_path.absolute()),
        "public": str(public.absolute()),
        "purpose": request.purpose,
        "out": str(request.out_dir.absolute()),
        "pixels": request.pixels,
        "memory_mb": request.memory_mb,
    }
    answer = await _ask_child(order, request.threads, lambda _share: None)
    _raise_error(answer)
    return [Path(item["path"]) for item in answer["result"]["made"]]


async def detect(original: Path, memory_mb: int) -> list[dict[str, str]]:
    """What installed detectors say of a picture (`media/detectors`). Raises CloakFailed or BadPicture where none could look."""
    order = {"detect": str(original.absolute()), "memory_mb": memory_mb}
    answer = await _ask_child(order, 1, lambda _share: None)
    _raise_error(answer)
    said: list[dict[str, str]] = answer["result"]["said"]
    return said


async def draw(path: Path, width: int, height: int) -> None:
    """Draw the sample (`media/sample`) into a file. Raises CloakFailed or Unavailable."""
    _raise_error(await _ask_child({"draw": str(path.absolute()), "width": width, "height": height}, 1, lambda _share: None))


async def backend_version(name: str) -> int:
    """Other people's cloaks are never loaded into this process: one of its own is asked. Raises CloakFailed."""
    if name in VERSIONS:
        return VERSIONS[name]
    answer = await _ask_child({"version_of": name}, 1, lambda _share: None)
    _raise_error(answer)
    return int(answer["result"]["version"])


async def _ask_child(order: dict[str, Any], threads: int, on_progress: Callable[[float], None]) -> dict[str, Any]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fediart.media.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **dict.fromkeys(_THREADS, str(threads))},
        # Python looks for modules where it is started. There must lie ours, and not what an artist has in her folder.
        cwd=_HOME,
        limit=1 << 20,
    )
    try:
        with spending("cloak"):
            async with asyncio.timeout(FULL_TIMEOUT_S if order.get("is_full", False) else TIMEOUT_S):
                return await _converse(child, order, on_progress)
    except TimeoutError:
        raise CloakFailed(TOO_LONG) from None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        await child.wait()


async def _converse(
    child: asyncio.subprocess.Process, order: dict[str, Any], on_progress: Callable[[float], None]
) -> dict[str, Any]:
    assert child.stdin is not None  # both were asked for
    assert child.stdout is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(json.dumps(order).encode() + b"\n")
        await child.stdin.drain()
    async for line in child.stdout:
        message: dict[str, Any] = json.loads(line)
        if "progress" in message:
            on_progress(float(message["progress"]))
        else:
            return message
    # No last word: a limit ended it, or a decoder did, or somebody.
    status = await child.wait()
    if sys.platform != "win32" and status == -signal.SIGXCPU:
        raise CloakFailed(TOO_LONG, detail=f"more than {CPU_SECONDS} s of the processor")
    if sys.platform != "win32" and status == -signal.SIGKILL:
        raise Interrupted(KILLED)
    raise CloakFailed(ENDED, detail=f"exit status {status}")


def _raise_error(answer: dict[str, Any]) -> None:
    if "error" in answer:
        error = answer["error"]
        if error["kind"] == "EncoderFailed":
            raise EncoderFailed(error["message"], encoder=error["encoder"], detail=error.get("detail"))
        kind = {"BadPicture": BadPicture, "CloakFailed": CloakFailed, "Unavailable": Unavailable}[error["kind"]]
        raise kind(error["message"], detail=error.get("detail"))


def _result(request: RenderRequest, answer: dict[str, Any]) -> RenderResult:
    _raise_error(answer)
    result = answer["result"]
    report = CloakReport(**result["report"]) if result["report"] else None
    if request.cloak and report is None:
        raise CloakFailed("This picture was not cloaked.")
    made = tuple(Rendered(**{**item, "path": Path(item["path"])}) for item in result["renditions"])
    origin = msgspec.convert(result["origin"], Origin) if result.get("origin") is not None else None
    return RenderResult(made, result["blurhash"], report, result["width"], result["height"], origin)
