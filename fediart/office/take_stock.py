"""How full, how busy: what an admin and a watching program are told of this server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from fediart.instance import Instance
from fediart.media.disk import Room, bytes_in, room_at
from fediart.storage import figures, peers
from fediart.storage.engine import database_bytes
from fediart.storage.figures import Waiting


@dataclass(frozen=True, slots=True)
class Stock:
    """`media`: bytes by kind (`storage/figures`). `backups`: bytes in the folders of backups. `now` in ms."""

    now: int
    room: Room
    media: dict[str, int]
    database: int
    backups: int
    jobs: list[Waiting]
    deliveries: Waiting
    peers: peers.Counts


def _bytes_of_backups(instance: Instance) -> int:
    """Of what upgrades left, and of the folder that the settings name."""
    folders = {instance.data / "backups"}
    if instance.config.backup.folder:
        folders.add(Path(instance.config.backup.folder))
    return sum(bytes_in(folder) for folder in folders)


async def take_stock(instance: Instance, media: dict[str, int] | None = None) -> Stock:
    """`media`: of an earlier look, to spare the sums."""
    now, read = instance.clock(), instance.storage.read
    return Stock(
        now=now,
        room=await asyncio.to_thread(room_at, instance.data),
        media=media if media is not None else await read(figures.media_bytes),
        database=await read(database_bytes),
        backups=await asyncio.to_thread(_bytes_of_backups, instance),
        jobs=await read(figures.jobs_waiting, now),
        deliveries=await read(figures.deliveries_waiting, now),
        peers=await read(peers.count_peers),
    )
