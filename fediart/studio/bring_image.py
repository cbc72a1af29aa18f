"""The job that fetches another server's picture: kept byte for byte, looked into only in a child process, within a quota."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection

from fediart.domain.images import Image, ImageState, Purpose, Rendition
from fediart.domain.reservations import reservation_from, reservation_text
from fediart.domain.signals import read_headers, together
from fediart.errors import BadInput, BadPicture, CloakFailed, RefusedByRemote, RemoteError, Unreachable
from fediart.instance import Instance
from fediart.media.files import MEDIA_TYPES
from fediart.media.intake import IntakeLimits, check_header
from fediart.media.origin.reserved import read_reserved
from fediart.media.pipeline import RenderRequest, render
from fediart.remote.download import download_picture
from fediart.storage import images
from fediart.studio.arrange_images import discard
from fediart.timeline.judge import judge_again

log = structlog.get_logger("fediart.studio")

_SUFFIXES = {media_type: suffix for suffix, media_type in MEDIA_TYPES.items()}

_OF_OTHERS = (Purpose.REMOTE, Purpose.EMOJI)
EMOJI_BYTES, EMOJI_PIXELS = 524_288, 1_048_576


async def bring_image(instance: Instance, image_id: int) -> None:
    """Fetch and keep. Raises Unreachable when it is worth another try, NoRoom while there is no room for it."""
    image = await instance.storage.read(images.image_by_id, image_id)
    if image is None or image.purpose not in _OF_OTHERS or image.state == ImageState.READY or image.remote_url is None:
        return
    await _make_room(instance)
    await asyncio.to_thread(instance.reserve.check)
    with tempfile.TemporaryDirectory(dir=instance.unfinished, prefix="fetch-") as folder:
        try:
            made, facts = await _fetch(instance, image, Path(folder))
        except (BadInput, CloakFailed) as problem:
            instance.metrics.refusals.count(problem.name)
            await _fail(instance, image, problem.message)
            return
        except RefusedByRemote as problem:
            if problem.remote_status >= 500 or problem.remote_status == 429:
                raise
            await _fail(instance, image, problem.message)
            return
        except Unreachable:
            raise
        except RemoteError as problem:
            await _fail(instance, image, problem.message)
            return
    unused = await instance.storage.write(_keep, instance, image.id, made, facts)
    await discard(instance, unused, [])
    await _make_room(instance)


async def give_up_picture(instance: Instance, image_id: int) -> None:
    image = await instance.storage.read(images.image_by_id, image_id)
    if image is not None and image.state != ImageState.READY:
        await _fail(instance, image, "The other server did not answer.")


async def _fail(instance: Instance, image: Image, message: str) -> None:
    log.info("image.not_brought", image=image.id, url=(image.remote_url or "")[:200], reason=message)
    await instance.storage.write(images.change_image, image.id, state=ImageState.FAILED, problem=message)


async def _fetch(instance: Instance, image: Image, folder: Path) -> tuple[list[Rendition], dict[str, Any]]:
    path = folder / "picture"
    settings = instance.config.media
    limits = IntakeLimits(settings.remote_bytes, settings.remote_pixels)
    if image.purpose == Purpose.EMOJI:
        limits = IntakeLimits(min(EMOJI_BYTES, limits.bytes), min(EMOJI_PIXELS, limits.pixels))
    answer = await download_picture(instance.client, image.remote_url or "", path, max_bytes=limits.bytes)
    header = await asyncio.to_thread(check_header, path, limits)
    if header.media_type not in _SUFFIXES:
        raise BadPicture("Browsers do not show pictures of this kind.")
    memory_mb = instance.config.cloak.memory_mb
    request = RenderRequest(
        path,
        "remote",
        False,
        b"",
        "standard",
        "texture",
        folder,
        limits.pixels,
        memory_mb=memory_mb,
        reads_origin=True,
        trust=instance.data / "trust",
    )
    result = await render(request, lambda _share: None)
    # An emoji is small as it is.
    smaller = result.renditions if image.purpose == Purpose.REMOTE else ()
    data = await asyncio.to_thread(path.read_bytes)
    await _make_room(instance, len(data) + sum(item.bytes for item in smaller))
    name = await asyncio.to_thread(instance.files.put, data, _SUFFIXES[header.media_type], secret=image.secret_names)
    sha256 = await asyncio.to_thread(_sha256, data)
    made = [Rendition(image.id, "public", name, header.media_type, header.width, header.height, len(data), sha256)]
    for item in smaller:
        small = await asyncio.to_thread(item.path.read_bytes)
        name = await asyncio.to_thread(instance.files.put, small, "jpg", secret=image.secret_names)
        made.append(Rendition(image.id, item.kind, name, item.media_type, item.width, item.height, item.bytes, item.sha256))
    # What its server says to whoever fetches it, it says to us: our copy goes out with it.
    said = [reservation_from(image.reservation), read_headers(answer.headers), await asyncio.to_thread(read_reserved, path)]
    facts = {
        "reservation": reservation_text(together(said)),
        "width": header.width,
        "height": header.height,
        "blurhash": image.blurhash or result.blurhash,
        "origin": msgspec.json.encode(result.origin).decode(),
    }
    return made, facts


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _keep(db: Connection, instance: Instance, image_id: int, made: list[Rendition], facts: dict[str, Any]) -> list[str]:
    image = images.image_by_id(db, image_id)
    if image is None:
        return [rendition.name for rendition in made if not images.name_is_used(db, rendition.name)]
    unused = images.put_renditions(db, image_id, made)
    images.change_image(db, image_id, state=ImageState.READY, progress=1.0, **facts)
    if image.work_id is not None:
        unused += judge_again(db, instance.policy, image.work_id)
    return unused


async def _make_room(instance: Instance, coming: int = 0) -> None:
    """Stay under the quota, and off the last of the disk: what was unused the longest goes first.

    `coming`: bytes that are kept next, for which all the others may go; else the newest picture stays.
    """
    while await _is_too_much(instance, coming):
        oldest = await instance.storage.read(images.oldest_cached, 20)
        going = oldest if coming else oldest[:-1]
        if not going:
            return
        for image_id in going:
            await discard(instance, await instance.storage.write(images.evict, image_id), [])
            if not await _is_too_much(instance, coming):
                return


async def _is_too_much(instance: Instance, coming: int) -> bool:
    if await asyncio.to_thread(instance.reserve.is_low):
        return True
    return await instance.storage.read(images.remote_cache) + coming > instance.config.media.remote_cache_bytes
