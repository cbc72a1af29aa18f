"""The table from a job's kind to the act that does it, and how many of a kind run side by side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fediart.inbox.dispatch import handle_arrival
from fediart.instance import Instance
from fediart.studio.bring_image import bring_image
from fediart.studio.release_work import cloak_image, release_work


@dataclass(frozen=True, slots=True)
class Kind:
    """`at_once`: lanes worked on side by side. `lease_ms`: renewed while it runs. `tries` before it is given up."""

    act: Callable[[Instance, dict[str, Any]], Awaitable[None]]
    at_once: int
    batch: int
    lease_ms: int
    tries: int


async def _arrival(instance: Instance, payload: dict[str, Any]) -> None:
    await handle_arrival(instance, payload["actor"], payload["body"])


async def _cloak(instance: Instance, payload: dict[str, Any]) -> None:
    await cloak_image(instance, payload["image_id"])


async def _release(instance: Instance, payload: dict[str, Any]) -> None:
    await release_work(instance, payload["work_id"])


async def _bring_image(instance: Instance, payload: dict[str, Any]) -> None:
    await bring_image(instance, payload["image_id"])


KINDS: dict[str, Kind] = {
    "arrival": Kind(_arrival, at_once=16, batch=64, lease_ms=120_000, tries=12),
    "cloak": Kind(_cloak, at_once=1, batch=1, lease_ms=60_000, tries=4),
    "release": Kind(_release, at_once=2, batch=4, lease_ms=60_000, tries=12),
    "bring_image": Kind(_bring_image, at_once=2, batch=4, lease_ms=120_000, tries=6),
}
