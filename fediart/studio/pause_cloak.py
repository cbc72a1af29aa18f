"""The artist stops the cloaks of a work, lets them go on, or takes the work back to its draft."""

from __future__ import annotations

import asyncio
import shutil

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.images import ImageState
from fediart.domain.works import WorkState
from fediart.errors import BadInput
from fediart.instance import Instance
from fediart.storage import images, jobs, works
from fediart.studio.publish_work import own_work, resume_images

_BUSY = (ImageState.WAITING, ImageState.CLOAKING)


async def pause_cloaks(instance: Instance, account: Account, work_id: int) -> None:
    """Stop what runs, and begin nothing more of this work before `resume_cloaks`; also over a restart."""

    def act(db: Connection) -> list[int]:
        own_work(db, account, work_id)
        ids = _in_states(db, work_id, *_BUSY)
        for image_id in ids:
            images.change_image(db, image_id, state=ImageState.PAUSED)
            jobs.hold_job(db, "cloak", {"image_id": image_id})
        return ids

    for image_id in await instance.storage.write(act):
        await instance.stop_render(image_id)


async def resume_cloaks(instance: Instance, account: Account, work_id: int) -> None:
    """Go on where it stopped."""

    def act(db: Connection, now: int) -> None:
        own_work(db, account, work_id)
        resume_images(db, work_id, account.actor_id, now)

    await instance.storage.write(act, instance.clock())
    instance.wake("cloak", "release")


async def cancel_cloaks(instance: Instance, account: Account, work_id: int) -> None:
    """The work is a draft again. What was begun of its pictures is thrown away; those that are ready stay ready."""

    def act(db: Connection) -> list[int]:
        own_work(db, account, work_id)
        if not works.step_work(db, work_id, WorkState.WAITING, WorkState.DRAFT, problem=""):
            raise BadInput("This work is not waiting any more: it was published, or is a draft already.")
        ids = _in_states(db, work_id, *_BUSY, ImageState.PAUSED)
        for image_id in ids:
            images.change_image(db, image_id, state=ImageState.PAUSED, progress=0)
            jobs.drop_job(db, "cloak", {"image_id": image_id})
        return ids

    for image_id in await instance.storage.write(act):
        await instance.stop_render(image_id)
        await asyncio.to_thread(shutil.rmtree, instance.scratch(image_id), ignore_errors=True)


def _in_states(db: Connection, work_id: int, *states: ImageState) -> list[int]:
    held = images.images_of_works(db, [work_id]).get(work_id, [])
    return [shown.image.id for shown in held if shown.image.state in states]
