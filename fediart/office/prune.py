"""What has served its time goes, once an hour: ids of old arrivals, traces of what others deleted, copies for elsewhere,
the far end of homes."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from fediart.instance import Instance
from fediart.storage import accounts, arrivals, copies, timelines, works
from fediart.timeline.place import KEEP

ARRIVALS_MS = 30 * 24 * 3600 * 1000
"""A repeat that is older than this is refused by its Date already."""


async def prune(instance: Instance) -> None:
    await instance.storage.write(_forget, instance.clock(), instance.identifiers.base_url)
    for key in await instance.storage.write(copies.forget_copies, instance.clock()):
        await asyncio.to_thread(instance.vault.discard, key)
    for actor_id in await instance.storage.read(accounts.actor_ids):
        await instance.storage.write(timelines.trim, actor_id, KEEP)


def _forget(db: Connection, now: int, base_url: str) -> None:
    arrivals.forget_arrivals(db, now - ARRIVALS_MS)
    works.forget_tombstones(db, now - ARRIVALS_MS, but_of=f"{base_url}/")
