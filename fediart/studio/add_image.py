"""A picture comes in: its bytes into the vault, its row and its cloaking job into one transaction. Decoding is later."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.images import ImageState, Purpose, base_name
from fediart.domain.origin import Origin
from fediart.domain.space import quota_of, space_problem
from fediart.domain.works import MAX_IMAGES, WorkState
from fediart.errors import BadInput, NotFound, TooLarge
from fediart.ids import new_id
from fediart.instance import Instance
from fediart.media.intake import IntakeLimits, check_header
from fediart.media.origin.allowance import OriginLimits
from fediart.media.origin.read import read_origin
from fediart.storage import accounts, images, jobs, uploads, works
from fediart.storage.space import space_of

MAX_ALT = 10_000

AT_ONCE = OriginLimits(seconds=0.1)
"""For reading what a file says of its origin while its sender waits, in a thread beside all others."""


async def add_image(
    instance: Instance,
    account: Account,
    upload: Path,
    file_name: str,
    *,
    work_id: int | None = None,
    purpose: Purpose = Purpose.WORK,
    alt: str = "",
    cloak: bool | None = None,
    upload_id: str | None = None,
) -> int:
    """Accept an uploaded file: header checked, bytes on disk, job committed. Returns the image's id.

    Raises BadPicture, TooLarge or NoRoom in words for its sender. `cloak` None means as the artist's setting says.
    `upload_id`: the upload that this file came by, which ends with it; NotFound when it has ended already.
    """
    limits = IntakeLimits(bytes=instance.config.media.upload_bytes, pixels=instance.config.media.upload_pixels)
    await asyncio.to_thread(instance.reserve.check)
    header = await asyncio.to_thread(check_header, upload, limits)
    origin, size, key = await asyncio.to_thread(_into_vault, instance, upload)
    now = instance.clock()
    image_id = new_id(now)
    values: dict[str, Any] = {
        "id": image_id,
        "actor_id": account.actor_id,
        "work_id": work_id,
        "purpose": purpose,
        "state": ImageState.WAITING,
        "alt": alt[:MAX_ALT],
        "width": header.width,
        "height": header.height,
        "cloak": account.cloak_default if cloak is None else cloak,
        "cloak_strength": account.cloak_strength or instance.config.cloak.strength,
        "secret_names": purpose == Purpose.WORK,
        "vault_key": key,
        "original_name": base_name(file_name)[-200:],
        "original_type": header.media_type,
        "original_bytes": size,
        "original_sha256": origin.sha256,
        # At once, for its artist to hear; the process that decodes the picture looks once more, and deeper.
        "origin": msgspec.json.encode(origin).decode(),
        "used_at": now,
        "created_at": now,
    }
    try:
        await instance.storage.write(_insert, values, upload_id, now, instance.config.accounts.quota_mb)
    except BaseException:
        await asyncio.to_thread(instance.vault.discard, key)
        raise
    instance.wake("cloak")
    return image_id


def _into_vault(instance: Instance, upload: Path) -> tuple[Origin, int, str]:
    return read_origin(upload, limits=AT_ONCE), upload.stat().st_size, instance.vault.put(upload)


def _insert(db: Connection, values: dict[str, Any], upload_id: str | None, now: int, usual_mb: int) -> None:
    if upload_id is not None and not uploads.drop_upload(db, upload_id):
        raise NotFound("This upload is not there any more.")
    work_id = values["work_id"]
    account = accounts.account_of_actor(db, values["actor_id"])
    quota = quota_of(account, usual_mb) if account is not None else None
    if quota is not None and (problem := space_problem(space_of(db, values["actor_id"]), quota, values["original_bytes"])):
        raise TooLarge(problem)
    if work_id is not None:
        work = works.work_by_id(db, work_id)
        if work is None or work.actor_id != values["actor_id"] or work.state != WorkState.DRAFT:
            raise NotFound("This draft is not there any more.")
        count = images.count_on_work(db, work_id)
        if count >= MAX_IMAGES:
            raise BadInput(f"A work has at most {MAX_IMAGES} pictures.")
        values = {**values, "position": count}
    images.insert_image(db, values)
    jobs.add_job(db, "cloak", {"image_id": values["id"]}, now=now, owner=values["actor_id"])


async def put_portrait(instance: Instance, account: Account, upload: Path, file_name: str, purpose: Purpose) -> int:
    """A new avatar or header. The old one is shown until the new one is cloaked."""
    return await add_image(instance, account, upload, file_name, purpose=purpose)


async def account_of(instance: Instance, actor_id: int) -> Account:
    """The account that owns a local actor."""
    account = await instance.storage.read(accounts.account_of_actor, actor_id)
    if account is None:
        raise NotFound("There is no such account here.")
    return account
