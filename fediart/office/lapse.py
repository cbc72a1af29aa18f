"""What was meant for a time only ends: mutes and filters."""

from __future__ import annotations

from typing import Any

from fediart.instance import Instance
from fediart.storage import filters, mutes


async def lapse(instance: Instance, _payload: dict[str, Any]) -> None:
    now = instance.clock()
    await instance.storage.write(mutes.end_mutes, now)
    await instance.storage.write(filters.end_filters, now)
