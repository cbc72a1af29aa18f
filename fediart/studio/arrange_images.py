"""Pictures of a draft: described, put in order, taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.works import WorkState
from fediart.errors import BadInput, NotFound
from fediart.instance import Instance
from fediart.storage import images, works
from fediart.studio.add_image import MAX_ALT
from fediart.studio.compare_image import forget_comparison


async def describe_image(
    instance: Instance, account: Account, image_id: int, *, alt: str | None = None, focal: tuple[float, float] | None = None
) -> None:
    """`focal` is (x, y), each -1..1, as in the Mastodon API: what must stay in sight when a picture is cropped."""
    values: dict[str, object] = {}
    if alt is not None:
        if len(alt) > MAX_ALT:
            raise BadInput(f"A description has at most {MAX_ALT} characters.")
        values["alt"] = alt
    if focal is not None:
        values |= {"focal_x": max(-1.0, min(1.0, focal[0])), "focal_y": max(-1.0, min(1.0, focal[1]))}

    def act(db: Connection) -> None:
        if images.image_of(db, image_id, account.actor_id) is None:
            raise NotFound("There is no such picture.")
        if values:
            images.change_image(db, image_id, **values)

    await instance.storage.write(act)


async def remove_image(instance: Instance, account: Account, image_id: int) -> None:
    """Take a picture out of a draft; its files and its original go."""

    def act(db: Connection) -> tuple[list[str], list[str]]:
        shown = images.image_of(db, image_id, account.actor_id)
        if shown is None:
            raise NotFound("There is no such picture.")
        work = works.work_by_id(db, shown.image.work_id) if shown.image.work_id else None
        if work is not None and work.state != WorkState.DRAFT:
            raise BadInput("A picture cannot be taken out of a published work. Delete the work instead.")
        return images.drop_images(db, [image_id])

    names, keys = await instance.storage.write(act)
    await instance.stop_render(image_id)
    await discard(instance, names, keys)


async def order_images(instance: Instance, account: Account, work_id: int, image_ids: Sequence[int]) -> None:
    """Put a draft's pictures in this order; those not named keep their place behind."""

    def act(db: Connection) -> None:
        work = works.work_by_id(db, work_id)
        if work is None or work.actor_id != account.actor_id:
            raise NotFound("This work is not there any more.")
        for shown in images.images_of_works(db, [work_id]).get(work_id, []):
            id_ = shown.image.id
            place = image_ids.index(id_) if id_ in image_ids else len(image_ids) + shown.image.position
            images.change_image(db, id_, position=place)

    await instance.storage.write(act)


async def discard(instance: Instance, names: Sequence[str], keys: Sequence[str]) -> None:
    """Remove files that no row names any more."""

    def remove() -> None:
        for name in names:
            instance.files.discard(name)
        for key in keys:
            instance.vault.discard(key)
            forget_comparison(instance, key)

    await asyncio.to_thread(remove)
