"""A look at what machines hear: this server's own addresses, fetched."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message

from fediart.errors import FediartError
from fediart.office.check_signals import Check, check_signals, is_reachable, over_the_network
from fediart.remote.client import Answer
from fediart.web.pages.admin.door import admin
from fediart.web.pages.forms import instance_of, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import render


async def check(request: Request) -> Response:
    """By the server's public name; from inside where that leads nowhere."""
    await admin(request)
    instance = instance_of(request)
    async with trusted_form(request):
        pass
    is_public = await is_reachable(instance)

    async def fetch(path: str, headers: Mapping[str, str]) -> Answer:
        if is_public:
            return await over_the_network(instance, path, headers)
        return await from_inside(request.app.state.whole, instance.config.host, path, headers)

    problem, checks = "", list[Check]()
    try:
        checks = await check_signals(instance, fetch)
    except FediartError as trouble:
        count_refusal(request, trouble)
        problem = trouble.message
    status = 502 if problem else 200
    return await render(request, "admin/signals.html", status, checks=checks, is_public=is_public, problem=problem)


async def from_inside(app: ASGIApp, host: str, path: str, headers: Mapping[str, str]) -> Answer:
    """The answer that the whole application, all its layers, gives to a stranger on this machine."""
    given = [(name.lower().encode(), value.encode()) for name, value in {"host": host, **headers}.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": given,
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
    status, told, parts = 0, dict[str, str](), list[bytes]()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            told.update((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message["headers"])
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, told, b"".join(parts), path)
