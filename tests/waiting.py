"""Waiting for what a running server does in its own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def until(happened: Callable[[], object | Awaitable[object]], seconds: float = 60) -> Any:
    """Ask until the answer is true, and return it. Fails after `seconds`, which a healthy run is far from."""
    end = time.monotonic() + seconds
    while True:
        found = happened()
        found = await found if isinstance(found, Awaitable) else found
        if found:
            return found
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.02)
