"""Pictures that were uploaded by themselves are put to a draft, in the order they are named, or taken off it again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.images import Purpose
from fediart.domain.works import MAX_IMAGES, WorkState
from fediart.errors import BadInput
from fediart.instance import Instance
from fediart.storage import images
from fediart.studio.publish_work import own_work


async def attach_images(instance: Instance, account: Account, work_id: int, image_ids: Sequence[int]) -> None:
    """Raises BadInput, and attaches none, when one is not the artist's, or is on another work already."""
    if len(image_ids) > MAX_IMAGES:
        raise BadInput(f"A work has at most {MAX_IMAGES} pictures.")

    def act(db: Connection) -> None:
        for position, image_id in enumerate(dict.fromkeys(image_ids)):
            shown = images.image_of(db, image_id, account.actor_id)
            if shown is None or shown.image.purpose != Purpose.WORK or shown.image.work_id not in (None, work_id):
                raise BadInput(f"The picture {image_id} is not there, or belongs to another work.")
            images.change_image(db, image_id, work_id=work_id, position=position)

    await instance.storage.write(act)


async def detach_images(instance: Instance, account: Account, work_id: int) -> None:
    """Take the pictures off a draft of the artist's; they can be attached again."""

    def act(db: Connection) -> None:
        work = own_work(db, account, work_id)
        if work.state == WorkState.DRAFT:
            for shown in images.images_of_works(db, [work_id]).get(work_id, []):
                images.change_image(db, shown.image.id, work_id=None)

    await instance.storage.write(act)
