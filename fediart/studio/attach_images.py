"""Pictures that were uploaded by themselves are put to a draft, in the order they are named, or taken off it again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.images import Purpose
from fediart.domain.works import MAX_IMAGES, WorkState
from fediart.errors import BadInput
from fediart.instance import Instance
from fediart.storage import images, works


async def attach_images(instance: Instance, account: Account, work_id: int | None, image_ids: Sequence[int]) -> None:
    """`work_id` None: take them off their draft. Raises BadInput when one is not the artist's, or is on a work already."""
    if len(image_ids) > MAX_IMAGES:
        raise BadInput(f"A work has at most {MAX_IMAGES} pictures.")

    def act(db: Connection) -> None:
        for position, image_id in enumerate(dict.fromkeys(image_ids)):
            shown = images.image_of(db, image_id, account.actor_id)
            if work_id is None:
                if shown is not None and _is_on_a_draft(db, shown.image.work_id):
                    images.change_image(db, image_id, work_id=None)
                continue
            if shown is None or shown.image.purpose != Purpose.WORK or shown.image.work_id not in (None, work_id):
                raise BadInput(f"The picture {image_id} is not there, or belongs to another work.")
            images.change_image(db, image_id, work_id=work_id, position=position)

    await instance.storage.write(act)


def _is_on_a_draft(db: Connection, work_id: int | None) -> bool:
    work = works.work_by_id(db, work_id) if work_id is not None else None
    return work is not None and work.state == WorkState.DRAFT
