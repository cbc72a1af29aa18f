"""Is this server well? For monitors: what waits, and for how long."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fediart.instance import Instance
from fediart.storage import leases
from fediart.storage.tables import deliveries, jobs


async def healthz(request: Request) -> Response:
    instance: Instance = request.app.state.instance
    now = instance.clock()
    found = {}
    for name, table in (("jobs", jobs), ("deliveries", deliveries)):
        waiting, oldest = await instance.storage.read(leases.depth, table)
        found[name] = {"waiting": waiting, "oldest_due_seconds": max(0, now - oldest) // 1000 if oldest is not None else 0}
    is_low = await asyncio.to_thread(instance.reserve.is_low)
    return JSONResponse({"status": "ok", **found, "disk": "low" if is_low else "ok"}, headers={"cache-control": "no-store"})
