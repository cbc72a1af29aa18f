"""What waits to be delivered, for whom, why, and when it is tried next."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.errors import NotFound
from fediart.outbox.deliver import try_now
from fediart.storage import deliveries as rows
from fediart.storage import hosts
from fediart.web.pages.admin.door import admin
from fediart.web.pages.forms import go, instance_of, text, trusted_form
from fediart.web.render import render

SHOWN = 50


async def deliveries(request: Request) -> Response:
    await admin(request)
    instance = instance_of(request)
    if request.method == "POST":
        async with trusted_form(request) as form:
            host = text(form, "host")[:300]
        if not host:
            raise NotFound("There is nothing here.")
        await try_now(instance, host)
        return go("/admin/deliveries")
    waiting = await instance.storage.read(rows.waiting_hosts)
    first = waiting[:SHOWN]
    return await render(
        request,
        "admin/deliveries.html",
        waiting=first,
        more=len(waiting) - len(first),
        total=sum(one.count for one in waiting),
        known=await instance.storage.read(hosts.hosts_named, [one.host for one in first]),
        given_up=await instance.storage.read(rows.outcomes, failed=True, limit=SHOWN),
        now=instance.clock(),
    )
