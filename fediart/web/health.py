"""Is this server well? For monitors: what waits, and for how long."""

from __future__ import annotations

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
    return JSONResponse({"status": "ok", **found}, headers={"cache-control": "no-store"})
