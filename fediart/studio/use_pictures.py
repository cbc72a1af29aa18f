"""Somebody of this server looks at pictures of others: what made room is fetched again, what is looked at goes last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog
from sqlalchemy import Connection

from fediart.domain.images import Image, ImageState, Purpose
from fediart.domain.works import ShownActor, ShownWork
from fediart.errors import Unavailable
from fediart.instance import Instance
from fediart.remote.bring_home import ask_for_picture
from fediart.storage import images

log = structlog.get_logger("fediart.studio")

USED_AGAIN_MS = 24 * 3600 * 1000
"""So rarely is it written down that a picture is looked at: looking is otherwise a read."""


async def use_pictures(
    instance: Instance, viewer: int | None, works: Iterable[ShownWork], people: Iterable[ShownActor] = ()
) -> None:
    """Nothing for strangers (`viewer` None): what they ask for would push out what the artists here look at."""
    if viewer is None:
        return
    now = instance.clock()
    shown = {image.id: image for image in _remote(works, people)}
    evicted = [image for image in shown.values() if image.state == ImageState.EVICTED]
    unmarked = [image.id for image in shown.values() if image.state == ImageState.READY and image.used_at <= now - USED_AGAIN_MS]
    if not evicted and not unmarked:
        return
    try:
        await instance.storage.write(_use, evicted, unmarked, now)
    except Unavailable as problem:
        # Who only looks is not kept out by a full disk.
        log.warning("pictures.not_marked", reason=problem.message, detail=problem.detail)
        return
    if evicted:
        instance.wake("bring_image")


def _remote(works: Iterable[ShownWork], people: Iterable[ShownActor]) -> list[Image]:
    works = list(works)
    seen = [*people, *(work.author for work in works), *(work.booster for work in works if work.booster is not None)]
    shown = [item for work in works for item in work.images]
    shown += [item for person in seen for item in (person.avatar, person.header) if item is not None]
    shown += [emoji.image for person in seen for emoji in person.emojis]
    shown += [emoji.image for work in works for emoji in work.emojis]
    return [item.image for item in shown if item.image.purpose in (Purpose.REMOTE, Purpose.EMOJI)]


def _use(db: Connection, evicted: Sequence[Image], unmarked: Sequence[int], now: int) -> None:
    for image in evicted:
        if image.remote_url is not None and images.call_back(db, image.id, now):
            ask_for_picture(db, image.id, image.remote_url, now)
    if unmarked:
        images.mark_used(db, unmarked, now)
