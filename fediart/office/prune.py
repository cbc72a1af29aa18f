"""What has served its time goes, once an hour.

Ids of old arrivals, traces of what others deleted, copies for elsewhere, what was shown to moderators, the far end of
homes, sign-ups that nobody confirmed, links that have ended, files in the making that nobody goes on with, files that no row
names, and keys of who is gone, once all were told.

And files that nothing shows any more, where whoever took them out of use did not come to remove them.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from fediart.domain.reviews import PROOF_MS
from fediart.instance import Instance, sweep_unfinished
from fediart.office.lapse import lapse
from fediart.office.sweep_files import sweep_files
from fediart.storage import (
    accounts,
    arrivals,
    copies,
    deliveries,
    departures,
    files,
    hosts,
    looks,
    peers,
    reports,
    reviews,
    sign_ups,
    timelines,
    uploads,
    works,
)
from fediart.timeline.place import KEEP

ARRIVALS_MS = 30 * 24 * 3600 * 1000
"""A repeat that is older than this is refused by its Date already."""

ENDS_MS = 30 * 24 * 3600 * 1000
"""So long it can be told who got a work. How many did is kept with the work."""

LOOKS_MS = 30 * 24 * 3600 * 1000

OVERFLOWS_MS = 30 * 24 * 3600 * 1000
"""So long it is told that a host reported more than may wait."""

UPLOADS_MS = 24 * 3600 * 1000
"""So long an upload waits to be gone on with."""

PEERS_MS = 400 * 24 * 3600 * 1000

HOSTS_MS = 90 * 24 * 3600 * 1000
"""A host that was not tried for so long is met anew."""


async def keep_sightings(instance: Instance) -> None:
    """Write down which servers were seen."""
    seen = instance.sightings.take()
    if seen:
        await instance.storage.write(peers.were_seen, seen)


async def prune(instance: Instance) -> None:
    await lapse(instance, {})
    await instance.storage.write(_forget, instance.clock(), instance.identifiers.base_url)
    await instance.storage.write(departures.forget_keys)
    for key in await instance.storage.write(copies.forget_copies, instance.clock()):
        await asyncio.to_thread(instance.vault.discard, key)
    for key in await instance.storage.write(reviews.forget_proof, instance.clock() - PROOF_MS):
        await asyncio.to_thread(instance.vault.discard, key)
    await instance.storage.write(reviews.open_for_reports, instance.clock())
    for actor_id in await instance.storage.read(accounts.actor_ids):
        await instance.storage.write(timelines.trim, actor_id, KEEP)
    await sweep_unfinished(instance)
    await discard_retired(instance)
    await sweep_uploads(instance)
    await sweep_files(instance)


async def sweep_uploads(instance: Instance) -> None:
    """Uploads that nobody went on with for a day."""
    left = await instance.storage.write(uploads.forget_uploads, instance.clock() - UPLOADS_MS)
    await asyncio.to_thread(instance.parts.discard_all_but, left, older_than_s=UPLOADS_MS / 1000)


async def discard_retired(instance: Instance) -> None:
    """Also at a start: a process that was killed may have left a file that must not be had any more."""
    while names := await instance.storage.read(files.to_be_discarded, 500):
        await asyncio.to_thread(instance.files.discard_all, names)
        await instance.storage.write(files.are_discarded, names)


def _forget(db: Connection, now: int, base_url: str) -> None:
    arrivals.forget_arrivals(db, now - ARRIVALS_MS)
    looks.forget_looks(db, now - LOOKS_MS)
    deliveries.forget_ends(db, now - ENDS_MS)
    deliveries.forget_forwarded(db, now - ENDS_MS, but_of=f"{base_url}/")
    reports.forget_overflows(db, now - OVERFLOWS_MS)
    hosts.forget_hosts(db, now - HOSTS_MS)
    sign_ups.forget_applicants(db, now)
    sign_ups.forget_links(db, now)
    peers.forget_peers(db, now - PEERS_MS)
    works.forget_tombstones(db, now - ARRIVALS_MS, but_of=f"{base_url}/")
