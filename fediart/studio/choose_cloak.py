"""The artist's word on cloaks: how strong, for all new pictures or for one; and what becomes of a picture that takes little."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.cloaks import CloakStrength
from fediart.domain.images import ImageState
from fediart.domain.works import WorkState
from fediart.errors import BadInput, NotFound
from fediart.instance import Instance
from fediart.storage import accounts, images, jobs, works


async def choose_defaults(instance: Instance, account: Account, strength: CloakStrength | None, *, ask_if_weak: bool) -> None:
    """Of pictures that are added from now on. None: as the server's settings say."""
    await instance.storage.write(
        accounts.put_cloak_defaults,
        account.id,
        cloak=strength != CloakStrength.NONE,
        strength="" if strength in (None, CloakStrength.NONE) else strength.value,
        ask_if_weak=ask_if_weak,
    )


async def set_cloak(
    instance: Instance, account: Account, image_id: int, strength: CloakStrength, *, settled: bool = False
) -> None:
    """How strong this picture's cloak is to be; it is prepared anew. `settled`: and its artist is not asked again."""

    def act(db: Connection, now: int) -> bool:
        shown = images.image_of(db, image_id, account.actor_id)
        if shown is None:
            raise NotFound("There is no such picture.")
        if (shown.image.chosen or CloakStrength(instance.config.cloak.strength)) == strength:
            if settled:
                images.change_image(db, image_id, weak_accepted=True)
            return False
        work = works.work_by_id(db, shown.image.work_id) if shown.image.work_id else None
        if work is not None and work.state != WorkState.DRAFT:
            raise BadInput("The cloak is chosen before a work is published: copies that were sent cannot be called back.")
        is_cloaked = strength != CloakStrength.NONE
        images.change_image(
            db,
            image_id,
            cloak=is_cloaked,
            **({"cloak_strength": strength.value} if is_cloaked else {}),
            weak_accepted=settled,
            state=ImageState.WAITING,
            progress=0,
            problem="",
            cloak_report=None,
        )
        jobs.ask_again(db, "cloak", {"image_id": image_id}, now=now, owner=account.actor_id)
        return True

    if await instance.storage.write(act, instance.clock()):
        await instance.stop_render(image_id)
        instance.wake("cloak")


async def try_again(instance: Instance, account: Account, image_id: int) -> None:
    """A picture that could not be prepared is prepared once more: what was in its way may be mended."""

    def act(db: Connection, now: int) -> None:
        shown = images.image_of(db, image_id, account.actor_id)
        if shown is None:
            raise NotFound("There is no such picture.")
        if shown.image.state == ImageState.FAILED and shown.image.vault_key is not None:
            images.change_image(db, image_id, state=ImageState.WAITING, progress=0, problem="")
            jobs.ask_again(db, "cloak", {"image_id": image_id}, now=now, owner=account.actor_id)

    await instance.storage.write(act, instance.clock())
    instance.wake("cloak")


async def accept_weak(instance: Instance, account: Account, image_id: int) -> None:
    """It may go out with the little that it takes."""

    def act(db: Connection) -> None:
        if images.image_of(db, image_id, account.actor_id) is None:
            raise NotFound("There is no such picture.")
        images.change_image(db, image_id, weak_accepted=True)

    await instance.storage.write(act)
