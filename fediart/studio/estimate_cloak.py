"""How long cloaks take on this machine: measured once with a sample, corrected by every real picture, asked while one waits."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import Connection

from fediart.domain.cloaks import REMEMBERED, CloakStrength, Took, seconds_for
from fediart.domain.images import Image, ImageState
from fediart.errors import EncoderFailed, FediartError
from fediart.instance import Instance
from fediart.media.child import BOXES, public_size
from fediart.media.pipeline import RenderRequest, draw, render
from fediart.storage import images, jobs, settings
from fediart.studio.render_image import goes_without

log = structlog.get_logger("fediart.studio")

SAMPLES = ((520, 390), (1200, 840))
"""Two sizes, so that what each picture costs is told from what each pixel costs."""

SETTLE_S = 5.0
"""A server that has just started has better things to do."""

AGAIN_S = 300.0


def strength_of(instance: Instance, image: Image) -> CloakStrength:
    """What its artist chose, or what the server's settings say."""
    return image.chosen or CloakStrength(instance.config.cloak.strength)


def megapixels(image: Image) -> float:
    """Of the copy that is cloaked."""
    width, height = public_size(image.width or 1, image.height or 1)
    if image.purpose.value in BOXES:
        box = BOXES[image.purpose.value]
        width, height = min(width, box[0]), min(height, box[1])
    return width * height / 1e6


def _key(instance: Instance, strength: CloakStrength) -> str:
    """Where the times stand. Other encoders, another backend or number of threads have times of their own."""
    cloak = instance.config.cloak
    encoders = "+".join(sorted(name for name, _ in instance.encoders_here()))
    return f"cloak_took {cloak.backend[:32]} {encoders[:100]} {strength} {cloak.threads}"


def _took(db: Connection, key: str) -> list[Took]:
    return msgspec.json.decode(settings.setting(db, key) or "[]", type=list[Took])


async def learn(instance: Instance, strength: CloakStrength, size: float, seconds: float) -> None:
    """A picture of `size` megapixels was prepared, from the beginning to the end, in so many seconds."""

    def act(db: Connection) -> None:
        key = _key(instance, strength)
        newest = [*_took(db, key), (round(size, 4), round(seconds, 3))][-REMEMBERED:]
        settings.put_setting(db, key, msgspec.json.encode(newest).decode())

    await instance.storage.write(act)


async def time_left(instance: Instance, image_ids: Sequence[int]) -> float | None:
    """Seconds until all these pictures are ready, those that come before them included. None when nobody knows."""
    return await instance.storage.read(_time_left, instance, set(image_ids))


def _time_left(db: Connection, instance: Instance, wanted: set[int]) -> float | None:
    queue = [job["image_id"] for job in jobs.queue_of(db, "cloak", instance.clock())]
    if not wanted.intersection(queue):
        return None
    found = images.images_by_id(db, queue)
    known: dict[CloakStrength, list[Took]] = {}
    total = 0.0
    for image_id in queue:
        image = found.get(image_id)
        if image is not None and image.state in (ImageState.WAITING, ImageState.CLOAKING):
            strength = strength_of(instance, image)
            if strength not in known:
                known[strength] = _took(db, _key(instance, strength))
            seconds = seconds_for(megapixels(image), known[strength])
            if seconds is None:
                return None
            total += seconds * (1 - image.progress if image.state == ImageState.CLOAKING else 1)
        wanted = wanted - {image_id}
        if not wanted:
            break
    return total


async def calibrate(instance: Instance) -> None:
    """Measure a sample at each strength that no time is known of; what is configured first. Never beside a real picture."""
    first = CloakStrength(instance.config.cloak.strength)
    for strength in (first, *(other for other in CloakStrength if other != first)):
        if await instance.storage.read(_took, _key(instance, strength)):
            continue
        for width, height in SAMPLES:
            while instance.renders:
                await asyncio.sleep(1)
            try:
                seconds = await _measured(instance, strength, width, height)
            except FediartError as problem:
                if isinstance(problem, EncoderFailed):
                    await goes_without(instance, problem)
                log.warning("cloak.not_measured", strength=strength, reason=problem.message, detail=problem.detail)
                return
            await learn(instance, strength, width * height / 1e6, seconds)
            log.info("cloak.measured", strength=strength, megapixels=width * height / 1e6, seconds=round(seconds, 2))


async def calibrate_when_settled(instance: Instance) -> None:
    """For the server, in the background; again when other encoders have come."""
    wait = SETTLE_S
    while True:
        await asyncio.sleep(wait)
        await calibrate(instance)
        wait = AGAIN_S


async def _measured(instance: Instance, strength: CloakStrength, width: int, height: int) -> float:
    with tempfile.TemporaryDirectory(dir=instance.unfinished, prefix="sample-") as folder:
        original = Path(folder) / "sample"
        await draw(original, width, height)
        request = RenderRequest(
            original_path=original,
            purpose="work",
            cloak=strength != CloakStrength.NONE,
            secret=secrets.token_bytes(32),
            strength=strength.value if strength != CloakStrength.NONE else instance.config.cloak.strength,
            backend=instance.config.cloak.backend,
            out_dir=Path(folder),
            threads=instance.config.cloak.threads,
            memory_mb=instance.config.cloak.memory_mb,
            encoders=instance.encoders_here(),
        )
        began = time.monotonic()
        await render(request, lambda _share: None)
        return time.monotonic() - began
