"""What has served its time goes, once an hour.

Ids of old arrivals, traces of what others deleted, the far end of homes, and files that no row names.
"""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.instance import Instance
from fediart.office.sweep_files import sweep_files
from fediart.storage import accounts, arrivals, timelines, works
from fediart.timeline.place import KEEP

ARRIVALS_MS = 30 * 24 * 3600 * 1000
"""A repeat that is older than this is refused by its Date already."""


async def prune(instance: Instance) -> None:
    await instance.storage.write(_forget, instance.clock(), instance.identifiers.base_url)
    for actor_id in await instance.storage.read(accounts.actor_ids):
        await instance.storage.write(timelines.trim, actor_id, KEEP)
    await sweep_files(instance)


def _forget(db: Connection, now: int, base_url: str) -> None:
    arrivals.forget_arrivals(db, now - ARRIVALS_MS)
    works.forget_tombstones(db, now - ARRIVALS_MS, but_of=f"{base_url}/")
