"""Copies for elsewhere: a picture of a published work, cloaked at the size of another place, for its artist to carry there.

A copy is made from the original in the vault and is given to its artist alone. It carries the cloak that the public copy
has: the same direction, made at the public size, as the picture at that size bears it. So two copies that stand side by side
on two sites give nothing away: brought to one size they are the same cloak twice, and their average has it still. Therefore
backend, strength and encoders are taken from the public copy's report, not from the settings of today, and where the cloak
has another version by now, or one of its encoders is gone, there is no copy until the work itself is cloaked anew.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog
from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.copies import KEPT_MS, Copy, CopyState
from fediart.domain.images import Image, ImageState, Purpose
from fediart.domain.works import WorkState
from fediart.errors import BadInput, CloakFailed, EncoderFailed, NotFound
from fediart.ids import new_id
from fediart.instance import Instance
from fediart.media.pipeline import RenderRequest, RenderResult, render
from fediart.media.targets import PLATFORMS, target_for
from fediart.storage import accounts, copies, images, jobs, works
from fediart.studio.arrange_images import discard
from fediart.studio.render_image import goes_without, reporter, resumed_at, rights_for, scratch_for

log = structlog.get_logger("fediart.studio")

OTHER_VERSION = (
    "This work was published with an earlier version of the cloak. A copy would carry another cloak than the public one, "
    "and two different ones side by side give more away than one. Cloak the work anew first."
)

OTHER_ENCODERS = (
    "This work was published with a cloak that worked against an encoder which is not here now. A copy would carry another "
    "cloak than the public one, and two different ones side by side give more away than one. Cloak the work anew first."
)


async def ask_copy(instance: Instance, account: Account, work_id: int, image_id: int, platform: str) -> None:
    """Have a copy made, unless it is there already or on its way. Raises NotFound, BadInput or NoRoom."""

    await asyncio.to_thread(instance.reserve.check)

    def act(db: Connection, now: int) -> list[str]:
        image = _own_image(db, account, work_id, image_id)
        if platform not in PLATFORMS:
            raise BadInput("There is no such place to make a copy for.")
        if not image.cloak or image.cloak_report is None:
            raise BadInput("This picture was published without a cloak, so a cloaked copy would give the cloak away.")
        held = [copy for copy in copies.copies_of_images(db, [image_id]).get(image_id, []) if copy.platform == platform]
        if any(copy.serves(image.cloak_report, now) and copy.state != CopyState.FAILED for copy in held):
            return []
        keys = copies.drop_copies(db, [image_id], platform)
        copy = Copy(
            id=new_id(now),
            image_id=image_id,
            platform=platform,
            state=CopyState.WAITING,
            progress=0.0,
            problem="",
            cloak_report=image.cloak_report,
            vault_key=None,
            media_type="",
            width=0,
            height=0,
            bytes=0,
            until=now + KEPT_MS,
        )
        copies.insert_copy(db, copy)
        jobs.add_job(db, "copy", {"copy_id": copy.id}, now=now)
        return keys

    keys = await instance.storage.write(act, instance.clock())
    await discard(instance, [], keys)
    instance.wake("copy")


def _own_image(db: Connection, account: Account, work_id: int, image_id: int) -> Image:
    shown = images.image_of(db, image_id, account.actor_id)
    work = works.work_by_id(db, work_id)
    if shown is None or work is None or shown.image.work_id != work_id or work.state != WorkState.PUBLISHED:
        raise NotFound("There is no such picture.")
    if shown.image.state != ImageState.READY or shown.image.purpose != Purpose.WORK:
        raise NotFound("There is no such picture.")
    return shown.image


async def make_copy(instance: Instance, copy_id: int) -> None:
    """The job: render the copy and put it into the vault."""
    copy = await instance.storage.read(copies.copy_by_id, copy_id)
    if copy is None or copy.state in (CopyState.READY, CopyState.FAILED):
        return
    image = await instance.storage.read(images.image_by_id, copy.image_id)
    account = await instance.storage.read(accounts.account_of_actor, image.actor_id) if image is not None else None
    if image is None or image.vault_key is None or image.original_type is None or account is None:
        return
    as_published = msgspec.json.decode(copy.cloak_report)
    names = as_published.get("encoders", [])
    encoders = await asyncio.to_thread(instance.shelf.named, names)
    if len(encoders) != len(names):
        await _fail(instance, copy_id, OTHER_ENCODERS)
        return
    rights = await rights_for(instance, image)
    await instance.storage.write(copies.change_copy, copy_id, state=CopyState.MAKING, progress=0.0)
    folder = instance.scratch_copy(copy_id)
    request = RenderRequest(
        original_path=instance.vault.path(image.vault_key),
        purpose=image.purpose.value,
        cloak=True,
        secret=account.cloak_secret,
        strength=as_published["strength"],
        backend=as_published["backend"],
        out_dir=folder,
        pixels=instance.config.media.upload_pixels,
        threads=instance.config.cloak.threads,
        memory_mb=instance.config.cloak.memory_mb,
        scratch=folder,
        encoders=encoders,
        rights=rights,
        target=target_for(copy.platform, image.original_type),
    )
    async with scratch_for(request):
        try:
            result = await render(request, reporter(instance, _progress, copy_id))
            if result.report is None or result.report.version != as_published["version"]:
                raise CloakFailed(OTHER_VERSION)
            if result.report.encoders != names:
                raise CloakFailed(OTHER_ENCODERS)
        except (BadInput, CloakFailed) as problem:
            if isinstance(problem, EncoderFailed):
                await goes_without(instance, problem)
            instance.metrics.refusals.count(problem.name)
            log.warning("copy.failed", copy=copy_id, reason=problem.message, detail=problem.detail)
            await _fail(instance, copy_id, OTHER_ENCODERS if isinstance(problem, EncoderFailed) else problem.message)
        else:
            await _keep(instance, copy_id, result)


async def give_up_copy(instance: Instance, copy_id: int) -> None:
    """It failed again and again for a reason that is ours."""
    await _fail(instance, copy_id, "This copy could not be made here. The server's log says why.")


async def _fail(instance: Instance, copy_id: int, words: str) -> None:
    until = instance.clock() + KEPT_MS
    await instance.storage.write(copies.change_copy, copy_id, state=CopyState.FAILED, progress=0.0, problem=words, until=until)


def _progress(db: Connection, copy_id: int, share: float) -> None:
    copy = copies.copy_by_id(db, copy_id)
    if copy is not None and copy.state == CopyState.MAKING:
        copies.change_copy(db, copy_id, progress=round(share, 3))


async def _keep(instance: Instance, copy_id: int, result: RenderResult) -> None:
    """The file first, then the row: what a row names is on disk."""
    (made,) = result.renditions
    key = await asyncio.to_thread(instance.vault.put, made.path)
    is_wanted = False
    try:
        is_wanted = await instance.storage.write(
            copies.change_copy,
            copy_id,
            state=CopyState.READY,
            progress=1.0,
            problem="",
            vault_key=key,
            media_type=made.media_type,
            width=made.width,
            height=made.height,
            bytes=made.bytes,
            until=instance.clock() + KEPT_MS,
        )
    finally:
        if not is_wanted:  # its work was deleted meanwhile, or the row could not be written
            await asyncio.to_thread(instance.vault.discard, key)
    log.info("copy.ready", copy=copy_id, resumed=resumed_at(result))
