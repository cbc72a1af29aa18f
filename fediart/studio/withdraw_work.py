"""A work goes: its rows and files here, and a Delete to everyone who was told of it."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.works import WorkState
from fediart.instance import DELIVERY, Instance
from fediart.outbox.announce_work import announce_removal
from fediart.outbox.answer_quote import take_back_stamps_on
from fediart.storage import actors, files, images, reviews, works
from fediart.studio.arrange_images import discard
from fediart.studio.publish_work import own_work


async def withdraw_work(instance: Instance, account: Account, work_id: int) -> None:
    held = await instance.storage.read(images.images_of_works, [work_id])
    names, keys = await instance.storage.write(_withdraw, instance, account, work_id, instance.clock())
    for shown in held.get(work_id, []):
        await instance.stop_render(shown.image.id)
    await discard(instance, names, keys)
    instance.wake(DELIVERY)


def _withdraw(db: Connection, instance: Instance, account: Account, work_id: int, now: int) -> tuple[list[str], list[str]]:
    work = own_work(db, account, work_id)
    author = actors.actor_by_id(db, account.actor_id)
    assert author is not None  # an account always has its actor
    if work.state == WorkState.PUBLISHED:
        take_back_stamps_on(db, instance.identifiers, author, work, now)
        announce_removal(db, instance.identifiers, work_id, now)
    # "It is gone" would tell a stranger that there was something, where "not here" is what they always heard.
    was_open = work.state == WorkState.PUBLISHED and work.visibility.is_open
    proof = [key for review in reviews.open_on_work(db, work_id) for key in reviews.drop_proof(db, review.id)]
    reviews.withdraw_reviews(db, work_id, now)
    names, keys = works.remove_work(db, work, author.uri, now, tombstone=was_open)
    files.retire(db, names, now)
    return names, [*keys, *proof]
