"""Encoders that the settings name and the shelf lacks are fetched, in the background, until they are all there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from fediart.errors import BadEncoder, FediartError, NoRoom, RemoteError, Unavailable, Unreachable
from fediart.instance import Instance
from fediart.media.cloak.catalogue import Encoder
from fediart.media.cloak.shelf import HeldEncoder, Shelf
from fediart.media.disk import AGAIN_S, Reserve
from fediart.remote.client import RemoteClient
from fediart.remote.download import FILE_SECONDS, download_file

log = structlog.get_logger("fediart.cloak")

FIRST_WAIT_S = 15.0
LONGEST_WAIT_S = 3_600.0


async def fetch_encoder(
    client: RemoteClient, shelf: Shelf, encoder: Encoder, aside: Path, *, total_seconds: float = FILE_SECONDS
) -> HeldEncoder:
    """Bring one encoder to the shelf, by way of the folder `aside`. Its hash is checked before the file is looked into.

    `total_seconds` for each 64 MB of it.
    Raises RemoteError, BadEncoder, Unavailable.
    """
    part = aside / f"{encoder.sha256}.part"
    try:
        seconds = total_seconds * max(1, encoder.most_bytes >> 26)
        await download_file(client, encoder.address, part, max_bytes=encoder.most_bytes, total_seconds=seconds)
        return await asyncio.to_thread(shelf.add, part, encoder)
    finally:
        part.unlink(missing_ok=True)


async def fetch_missing(
    client: RemoteClient,
    shelf: Shelf,
    names: Sequence[str],
    aside: Path,
    fetched: Callable[[HeldEncoder], None] = lambda _: None,
    *,
    reserve: Reserve,
) -> dict[str, FediartError]:
    """Try each encoder of these names that is not here. Returns what went wrong, by name.

    Where the network is away, the rest is not tried. One that would reach into the `reserve` of the disk is not asked for.
    """
    problems: dict[str, FediartError] = {}
    for encoder in await asyncio.to_thread(shelf.missing, names):
        try:
            _check_room(reserve, encoder)
            fetched(await fetch_encoder(client, shelf, encoder, aside))
        except (RemoteError, BadEncoder, Unavailable) as problem:
            problems[encoder.name] = problem
            if isinstance(problem, Unreachable):
                break
    return problems


def _check_room(reserve: Reserve, encoder: Encoder) -> None:
    """Raises NoRoom. For a moment a file lies there twice: as it came, and on the shelf."""
    if reserve.is_low(with_bytes=2 * encoder.most_bytes):
        needs = f"{2 * encoder.most_bytes / 1_000_000:,.0f} MB"
        raise NoRoom(
            f"The disk is too full: it takes {needs} for a while, and the last of the disk (storage.reserve_mb) stays free.",
            retry_after=AGAIN_S,
        )


def host_of(encoder: Encoder) -> str:
    """Who is asked for it."""
    return urlsplit(encoder.address).hostname or ""


async def keep_encoders(instance: Instance, *, first_wait_s: float = FIRST_WAIT_S) -> None:
    """Until all encoders of the settings are on the shelf. However long that takes, the log is told once of each reason."""
    names = instance.config.cloak.encoders
    wait_s = first_wait_s
    told: set[str] = set()
    while problems := await fetch_missing(
        instance.client, instance.shelf, names, instance.unfinished, _told_fetched, reserve=instance.reserve
    ):
        name, problem = next(iter(problems.items()))
        if problem.name not in told:
            told.add(problem.name)
            host = host_of(instance.shelf.catalogue[name])
            log.warning("cloak.encoders_not_fetched", encoder=name, host=host, reason=problem.message, told=_WORDS)
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)


_WORDS = (
    "Encoders for the cloak could not be fetched; this server tries again by itself, and pictures are cloaked without them "
    "meanwhile. Without internet: fediart cloak encoders add FILE, or cloak.fetch_encoders = false."
)


def _told_fetched(held: HeldEncoder) -> None:
    log.info("cloak.encoder_fetched", encoder=held.name, mirrors=held.mirrors, bytes=held.size)
