"""Is this server well? For monitors: what waits, and for how long. For `fediart doctor`: how its front passes requests on."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fediart.errors import NotFound
from fediart.instance import Instance
from fediart.office import probe
from fediart.storage import leases
from fediart.storage.tables import deliveries, jobs
from fediart.web.security import is_trusted_proxy

MOST_WAIT_S = 120


async def healthz(request: Request) -> Response:
    instance: Instance = request.app.state.instance
    now = instance.clock()
    found = {}
    for name, table in (("jobs", jobs), ("deliveries", deliveries)):
        waiting, oldest = await instance.storage.read(leases.depth, table)
        found[name] = {"waiting": waiting, "oldest_due_seconds": max(0, now - oldest) // 1000 if oldest is not None else 0}
    is_low = await asyncio.to_thread(instance.reserve.is_low)
    return JSONResponse({"status": "ok", **found, "disk": "low" if is_low else "ok"}, headers={"cache-control": "no-store"})


async def front(request: Request) -> Response:
    """What arrives here of a request of the doctor's: from whom, for whom, how much. `?wait=5`: answer after so many seconds."""
    instance: Instance = request.app.state.instance
    if not probe.is_probe(instance.session_key, request.headers.get(probe.HEADER, ""), instance.clock()):
        raise NotFound("There is nothing here.")
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
    wait = request.query_params.get("wait", "")
    if wait.isascii() and wait.isdigit() and len(wait) <= 3:
        await asyncio.sleep(min(int(wait), MOST_WAIT_S))
    peer = request.client.host if request.client else ""
    found = {
        "peer": peer,
        "trusted": is_trusted_proxy(peer, instance),
        "forwarded_for": request.headers.get("x-forwarded-for", ""),
        "received": received,
    }
    return JSONResponse(found, headers={"cache-control": "no-store"})
