"""How full, how busy: what an admin and a watching program are told of this server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fediart.instance import Instance
from fediart.media.disk import Room, bytes_in, room_at
from fediart.storage import figures, peers
from fediart.storage.engine import database_bytes
from fediart.storage.figures import Waiting


@dataclass(frozen=True, slots=True)
class Stock:
    """`media`: bytes by kind (`storage/figures`). `backups`: bytes in the folder of backups. `now` in ms."""

    now: int
    room: Room
    media: dict[str, int]
    database: int
    backups: int
    jobs: list[Waiting]
    deliveries: Waiting
    peers: peers.Counts


async def take_stock(instance: Instance, media: dict[str, int] | None = None) -> Stock:
    """`media`: of an earlier look, to spare the sums."""
    now, read = instance.clock(), instance.storage.read
    return Stock(
        now=now,
        room=await asyncio.to_thread(room_at, instance.data),
        media=media if media is not None else await read(figures.media_bytes),
        database=await read(database_bytes),
        backups=await asyncio.to_thread(bytes_in, instance.data / "backups"),
        jobs=await read(figures.jobs_waiting, now),
        deliveries=await read(figures.deliveries_waiting, now),
        peers=await read(peers.count_peers),
    )
