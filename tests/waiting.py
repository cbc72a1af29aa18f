"""Waiting for what a running server does in its own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(happened: Callable[[], Awaitable[object]], seconds: float = 60) -> None:
    """Ask until the answer is true. Fails after `seconds`, which a healthy run is far from."""
    end = time.monotonic() + seconds
    while not await happened():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.02)
