"""Plug-ins that look for signs of AI are asked about a picture. What they say stands beside what its file says of its origin."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from fediart.domain.images import Image, Purpose
from fediart.domain.origin import Level, Origin, Signal
from fediart.domain.verdicts import DETECTOR
from fediart.errors import BadInput, CloakFailed
from fediart.instance import Instance
from fediart.media.detectors import are_there
from fediart.media.pipeline import detect

log = structlog.get_logger("fediart.studio")


async def suspicions(instance: Instance, image: Image) -> list[Signal]:
    """For moderators only. Nothing where none is installed, or none could look: a plug-in keeps no picture from being taken."""
    if image.purpose != Purpose.WORK or image.vault_key is None or not await asyncio.to_thread(are_there):
        return []
    try:
        said = await detect(instance.vault.path(image.vault_key), instance.config.cloak.memory_mb)
    except (BadInput, CloakFailed) as problem:
        log.warning("detector.failed", image=image.id, reason=problem.message, detail=problem.detail)
        return []
    for failed in (item for item in said if "failure" in item):
        log.warning("detector.failed", image=image.id, detector=failed["name"], detail=failed["failure"])
    return [Signal(Level.HINT, f"{DETECTOR}{item['name']}", item["words"]) for item in said if "words" in item]


def with_suspicions(origin: Origin, found: list[Signal]) -> Origin:
    return replace(origin, signals=(*origin.signals, *found))
