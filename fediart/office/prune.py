"""What has served its time goes, once an hour: ids of old arrivals, the far end of homes."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.instance import Instance
from fediart.storage import accounts, arrivals, timelines
from fediart.timeline.place import KEEP

ARRIVALS_MS = 30 * 24 * 3600 * 1000
"""A repeat that is older than this is refused by its Date already."""


async def prune(instance: Instance) -> None:
    await instance.storage.write(_forget, instance.clock())
    for actor_id in await instance.storage.read(accounts.actor_ids):
        await instance.storage.write(timelines.trim, actor_id, KEEP)


def _forget(db: Connection, now: int) -> int:
    return arrivals.forget_arrivals(db, now - ARRIVALS_MS)
