"""A published work is shown to fewer people from now on. Never to more: who was named in it was promised the smaller circle.

No server that we know takes a smaller audience from an Update: it would go on showing the work to everybody, and the new
addresses of its pictures with it. So other servers are asked to delete a work that is not for everybody any more
(decisions/audience.md). Its files get secret names, and the old names answer 410.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from fediart.activitypub.addressing import address
from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.domain.actors import Account
from fediart.domain.works import Visibility, Work, WorkState
from fediart.errors import BadInput
from fediart.instance import DELIVERY, Instance
from fediart.outbox.announce_work import announce_edit, announce_removal
from fediart.outbox.restate import RESTATE_WORK, Made, put_restated, restate_work, restated
from fediart.storage import actors, images, works
from fediart.studio.arrange_images import discard
from fediart.studio.publish_work import own_work

NOT_WIDER = (
    "A published work can be shown to fewer people, not to more: those who saw it in the smaller circle count on that. "
    "Publish it anew for more people."
)


async def narrow_work(instance: Instance, account: Account, work_id: int, audience: Visibility) -> None:
    """Raises BadInput where that would be more people. The audience that it has already changes nothing."""
    work = await instance.storage.read(own_work, account, work_id)
    _check(work, audience)
    if audience == work.visibility:
        return
    made: Made = []
    if not audience.is_open:
        pictures = (await instance.storage.read(images.images_of_works, [work_id])).get(work_id, [])
        made = await restated(instance, [replace(it, image=replace(it.image, secret_names=True)) for it in pictures])
    unused = await instance.storage.write(_narrow, instance, account, work_id, audience, made, instance.clock())
    await discard(instance, unused, [])
    instance.wake(DELIVERY, RESTATE_WORK)


def _check(work: Work, audience: Visibility) -> None:
    if work.state != WorkState.PUBLISHED:
        raise BadInput("This work is not published yet: change it in its draft.")
    if not audience.is_within(work.visibility):
        raise BadInput(NOT_WIDER)


def _narrow(
    db: Connection, instance: Instance, account: Account, work_id: int, audience: Visibility, made: Made, now: int
) -> list[str]:
    work = own_work(db, account, work_id)
    _check(work, audience)
    author = actors.actor_by_id(db, account.actor_id)
    assert author is not None  # an account always has its actor
    is_closed = work.visibility.is_open and not audience.is_open
    if is_closed:
        announce_removal(db, instance.identifiers, work_id, now)
    before_to, before_cc = works.addresses_of(db, work_id)
    followers = author.followers_uri or ""
    named = [uri for uri in (*before_to, *before_cc) if uri not in (AS_PUBLIC, followers)]
    to, cc = address(audience, followers, named)
    works.put_addresses(db, work_id, to=to, cc=cc)
    works.change_work(db, work_id, visibility=audience, edited_at=max(now, (work.edited_at or 0) + 1))
    if not is_closed:
        announce_edit(db, instance.identifiers, work_id, now)
        return []
    for shown in images.images_of_works(db, [work_id]).get(work_id, []):
        images.change_image(db, shown.image.id, secret_names=True)
    unused, _ = put_restated(db, made, now)
    # Of a picture that was cloaked anew, or said something else, in this very moment the files are named by this.
    restate_work(db, work_id, now, quiet=True)
    return unused
