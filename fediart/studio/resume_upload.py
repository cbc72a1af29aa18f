"""A picture comes up in parts: begun, gone on with after an interruption at any byte, and taken once whole; or discarded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.works import WorkState
from fediart.errors import BadInput, Conflict, NotFound, TooLarge, TooMany
from fediart.instance import Instance
from fediart.storage import uploads, works
from fediart.storage.uploads import Upload
from fediart.studio.add_image import add_image

MOST_UPLOADS = 8
"""Unfinished ones of one artist."""

WRITE_BYTES = 1 << 20
QUIET_S = 60.0
"""Whoever sends nothing for so long has lost the line."""


async def begin_upload(instance: Instance, account: Account, work_id: int, name: str, length: int) -> Upload:
    """For a draft of the artist's. Raises BadInput, TooLarge, TooMany, NotFound or NoRoom in words for its sender."""
    most = instance.config.media.upload_bytes
    if length < 1:
        raise BadInput("This file is empty.")
    if length > most:
        raise TooLarge(f"This file has {length / 1e6:.1f} MB; this server takes pictures up to {most / 1e6:.0f} MB.")
    await asyncio.to_thread(instance.reserve.check)
    upload = Upload(instance.parts.new(), account.actor_id, work_id, name[-200:] or "picture", length, instance.clock())
    await instance.storage.write(_begin, upload)
    return upload


def _begin(db: Connection, upload: Upload) -> None:
    work = works.work_by_id(db, upload.work_id)
    if work is None or work.actor_id != upload.actor_id or work.state != WorkState.DRAFT:
        raise NotFound("This draft is not there any more.")
    if uploads.count_uploads(db, upload.actor_id) >= MOST_UPLOADS:
        raise TooMany(
            f"You have {MOST_UPLOADS} uploads that are not finished. Go on with one, or discard one in the draft it belongs to.",
            retry_after=60,
        )
    uploads.insert_upload(db, upload)


async def upload_held(instance: Instance, account: Account, id_: str) -> tuple[Upload, int]:
    """(the artist's upload, bytes that arrived). Raises NotFound."""
    upload = await instance.storage.read(uploads.upload_of, id_, account.actor_id)
    if upload is None:
        raise NotFound("This upload is not there any more. Choose the picture again.")
    return upload, await asyncio.to_thread(instance.parts.size, id_)


async def uploads_held(instance: Instance, account: Account, work_id: int) -> list[tuple[Upload, int]]:
    """The unfinished ones of a draft, each with the bytes that arrived."""
    found = await instance.storage.read(uploads.uploads_for, work_id, account.actor_id)
    return [(upload, await asyncio.to_thread(instance.parts.size, upload.id)) for upload in found]


async def go_on(
    instance: Instance, account: Account, id_: str, offset: int, sent: AsyncIterator[bytes]
) -> tuple[int, int | None]:
    """Put down what is sent from `offset` on. Returns (bytes that arrived by now, the image's id once it is whole).

    Whatever ends the sending, what arrived stays. Who begins later takes over: the one before may be a line that is dead.
    Raises Conflict when the offset is not where it stands, or somebody took over; what `add_image` raises once it is whole.
    """
    upload, size = await upload_held(instance, account, id_)
    if offset != size:
        raise Conflict(f"{size} bytes of this picture are here: go on from there.")
    await asyncio.to_thread(instance.reserve.check)
    me = instance.uploading[id_] = object()
    waiting = bytearray()

    async def put(*, last: bool = False) -> None:
        nonlocal size
        if instance.uploading.get(id_) is not me:
            raise Conflict("This upload is gone on with from elsewhere.")
        data = bytes(waiting)
        waiting.clear()
        await asyncio.to_thread(instance.parts.write, id_, size, data, last=last)
        size += len(data)

    try:
        try:
            async for chunk in _not_too_quiet(sent):
                if size + len(waiting) + len(chunk) > upload.length:
                    raise TooLarge("More was sent than this picture was said to have.")
                waiting += chunk
                if len(waiting) >= WRITE_BYTES:
                    await put()
        finally:
            if waiting or size == upload.length:
                await put(last=True)
        if size < upload.length:
            await instance.storage.write(uploads.touch_upload, id_, instance.clock())
            return size, None
        return size, await _finish(instance, account, upload)
    finally:
        if instance.uploading.get(id_) is me:
            del instance.uploading[id_]


async def _not_too_quiet(sent: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(QUIET_S):
                chunk = await anext(sent)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise BadInput("Nothing came for a minute. Go on when the line is back.") from None
        yield chunk


async def _finish(instance: Instance, account: Account, upload: Upload) -> int:
    """A file that is refused is of no more use, and goes; one that cannot be taken now waits."""
    path = instance.parts.path(upload.id)
    try:
        image_id = await add_image(instance, account, path, upload.name, work_id=upload.work_id, upload_id=upload.id)
    except BadInput:
        await discard_upload(instance, account, upload.id)
        raise
    await asyncio.to_thread(instance.parts.discard, upload.id)
    return image_id


async def discard_upload(instance: Instance, account: Account, id_: str) -> None:
    """Raises NotFound."""
    await upload_held(instance, account, id_)
    instance.uploading.pop(id_, None)
    await instance.storage.write(uploads.drop_upload, id_)
    await asyncio.to_thread(instance.parts.discard, id_)
