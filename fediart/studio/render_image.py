"""From an image's original to renditions in the public store: what cloaking for the first time and again have in common."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.cloaks import CloakMethod, CloakStrength
from fediart.domain.images import Image, Rendition
from fediart.domain.rights import Assertions, Rights
from fediart.errors import CloakFailed, EncoderFailed, Interrupted, Unavailable
from fediart.instance import ENCODERS, Instance
from fediart.media.cloak.built_in import STEERED, chosen
from fediart.media.pipeline import RenderRequest, RenderResult, backend_version, render
from fediart.outbox.restate import signed
from fediart.outbox.rights import said_of_image
from fediart.storage import accounts

log = structlog.get_logger("fediart.cloak")


def wanted_strength(instance: Instance, image: Image) -> str:
    """What its artist chose, or what the server's settings say."""
    return image.cloak_strength or instance.config.cloak.strength


async def present_methods(instance: Instance) -> dict[str, str]:
    """By which method a picture would be cloaked now, at each strength that it can have; '' is the usual one.

    Raises CloakFailed where the settings name a backend that is not installed.
    """
    encoders = await asyncio.to_thread(instance.encoders_here)
    backend = chosen(instance.config.cloak.backend, encoders)
    version = await backend_version(backend)
    usual = instance.config.cloak.strength
    names = [name for name, _ in encoders] if backend == STEERED else []
    return {
        strength: str(_method(backend, version, strength or usual, names))
        for strength in ("", *(strength.value for strength in CloakStrength))
    }


def _method(backend: str, version: int, strength: str, encoders: Sequence[str]) -> CloakMethod:
    """Which encoders count is known of our own cloak only: what others do with those that are here is their own affair."""
    return CloakMethod(backend, version, strength, tuple(sorted(encoders)) if backend == STEERED else ())


async def rights_for(instance: Instance, image: Image) -> Rights | None:
    """What a picture's files say of the rights in it, as it stands now."""
    return (await instance.storage.read(said_of_image, instance.identifiers, image))[0]


def request_of(
    instance: Instance,
    image: Image,
    account: Account,
    folder: Path,
    rights: Rights | None,
    *,
    scratch: Path | None = None,
    patient: bool = False,
) -> RenderRequest:
    """To render this image as its artist chose and the settings say, into `folder`. Looks at the disk, for encoders.

    `rights`: `rights_for` it.
    """
    cloak = instance.config.cloak
    return RenderRequest(
        original_path=instance.vault.path(image.vault_key or ""),
        purpose=image.purpose.value,
        cloak=image.cloak,
        secret=account.cloak_secret,
        strength=wanted_strength(instance, image),
        backend=cloak.backend,
        out_dir=folder,
        pixels=instance.config.media.upload_pixels,
        threads=cloak.threads,
        memory_mb=cloak.memory_mb,
        scratch=scratch,
        encoders=instance.encoders_here(),
        patient=patient,
        rights=rights,
        reads_origin=True,
        trust=instance.data / "trust",
    )


@contextlib.asynccontextmanager
async def rendered_anew(instance: Instance, image: Image) -> AsyncIterator[RenderResult]:
    """The image's renditions, made with the little that others leave of the processor. Their files go when the block ends.

    Raises BadPicture or CloakFailed in words for the artist.
    """
    account = await instance.storage.read(accounts.account_of_actor, image.actor_id)
    if account is None or image.vault_key is None:
        raise CloakFailed("The original of this picture is not here.", detail=f"image {image.id}")
    scratch = instance.scratch_again(image.id)
    rights = await rights_for(instance, image)
    request = await asyncio.to_thread(request_of, instance, image, account, scratch, rights, scratch=scratch, patient=True)
    async with scratch_for(request):
        yield await render(request, lambda _share: None)


@contextlib.asynccontextmanager
async def scratch_for(request: RenderRequest) -> AsyncIterator[bool]:
    """The request's folder while the block runs: True when it is new, else it holds what was begun before.

    It goes with the block, unless that was cancelled or ended by what is no fault of the picture: then it is gone on with.
    """
    is_fresh = await asyncio.to_thread(prepare_scratch, request)
    try:
        yield is_fresh
    except (asyncio.CancelledError, Interrupted, Unavailable):
        raise
    except BaseException:
        await discard_scratch(request.out_dir)
        raise
    else:
        await discard_scratch(request.out_dir)


async def discard_scratch(folder: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def prepare_scratch(request: RenderRequest) -> bool:
    """True when the folder is new. What was begun for another strength, backend or encoders is of no use, and goes."""
    folder = request.out_dir
    note = folder / "made-for"
    encoders = ",".join(sorted(name for name, _ in request.encoders))
    wanted = f"{request.backend} {request.strength if request.cloak else 'none'} {encoders}"
    if note.exists() and note.read_text() == wanted:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    note.write_text(wanted)
    return True


async def goes_without(instance: Instance, problem: EncoderFailed) -> bool:
    """The encoder that could not be used is set aside until its file is another one, and fetched again where it is damaged.

    True when a cloak can be made of what is left; its record will say of what. False: there is nothing left to make one of.
    """
    was_used = await asyncio.to_thread(instance.shelf.set_aside, problem.encoder)
    left = await asyncio.to_thread(instance.encoders_here)
    log.error("cloak.encoder_failed", encoder=problem.encoder, reason=problem.message, detail=problem.detail, left=len(left))
    instance.wake(ENCODERS)
    return was_used and (bool(left) or chosen(instance.config.cloak.backend, left) != STEERED)


async def put_files(instance: Instance, image: Image, result: RenderResult) -> list[Rendition]:
    """Into the public store, synced, before any row names them. Signed, where the policy says so."""
    _, assertions = await instance.storage.read(said_of_image, instance.identifiers, image)
    return await asyncio.to_thread(_put_files, instance, image, result, assertions)


def _put_files(instance: Instance, image: Image, result: RenderResult, assertions: Assertions | None) -> list[Rendition]:
    out = []
    for item in result.renditions:
        data = signed(instance, item.path.read_bytes(), assertions)
        name = instance.files.put(data, item.path.suffix.lstrip("."), secret=image.secret_names)
        sha256 = item.sha256 if assertions is None else hashlib.sha256(data).hexdigest()
        out.append(Rendition(image.id, item.kind, name, item.media_type, item.width, item.height, len(data), sha256))
    return out


def facts_of(instance: Instance, image: Image, result: RenderResult) -> dict[str, Any]:
    """What the image's row says of its renditions.

    The method is as the report tells it (so `auto` is never one), but for the strength, which is the one that was asked for:
    a picture that could take less would not take more the next time.
    """
    report = result.report
    if image.cloak and report is None:
        raise CloakFailed("The cloak left no report.", detail=f"image {image.id}")
    method = None
    if report is not None:
        instance.metrics.cloak_seconds.observe(report.seconds, wanted_strength(instance, image))
        method = _method(report.backend, report.version, wanted_strength(instance, image), report.encoders)
    return {
        "width": result.width,
        "height": result.height,
        "blurhash": result.blurhash,
        "cloak_report": msgspec.json.encode(report).decode() if report is not None else None,
        "cloak_method": str(method) if method is not None else None,
        "origin": msgspec.json.encode(result.origin).decode() if result.origin is not None else None,
    }


def resumed_at(result: RenderResult) -> int:
    """So many steps of its cloak had been done before, by a process that was ended."""
    return result.report.resumed if result.report is not None else 0


def reporter(instance: Instance, act: Callable[[Connection, int, float], None], id_: int) -> Callable[[float], None]:
    """Progress goes into a row by `act` at most twice a second; a lost report changes nothing."""
    loop = asyncio.get_running_loop()
    last = 0.0

    def report(share: float) -> None:
        nonlocal last
        if time.monotonic() - last < 0.5:
            return
        last = time.monotonic()
        task = loop.create_task(instance.storage.write(act, id_, share))
        task.add_done_callback(lambda done: done.exception())

    return report
