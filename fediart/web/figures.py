"""Every request is counted and timed; one that was slow is written to the log with what it waited for. And `/metrics`.

The figures are for whoever has the token of the settings; or, where those say so, for programs on this machine.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import math
import re
import time
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fediart import __version__
from fediart.errors import Unavailable
from fediart.instance import Instance
from fediart.metrics import CONTENT_TYPE
from fediart.observe import SPENT, Spent, process_figures
from fediart.office.take_stock import Stock, take_stock

log = structlog.get_logger("fediart.web")

PATH = "/metrics"
MEDIA_AGAIN_S = 60.0
"""So long the sums over all files are kept."""

UNROUTED = "none"
"""The route of what no route took: an unknown address, or a refusal before there was one."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NUMBER = re.compile(r"[0-9]{1,20}")
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip", "via")


class Measured:
    """Before everything else."""

    def __init__(self, app: ASGIApp, instance: Instance) -> None:
        self._app = app
        self._instance = instance
        self._figures = Figures(instance)
        self._slow_s = instance.config.log.slow_request_ms / 1000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == PATH and self._figures.are_for(scope):
            await (await self._figures.answer())(scope, receive, send)
            return
        status, spent, began = 499, Spent(), time.perf_counter()
        token = SPENT.set(spent)

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            SPENT.reset(token)
            self._note(scope, status, spent, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, spent: Spent, seconds: float) -> None:
        metrics, route = self._instance.metrics, route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        metrics.requests.count(method, route, str(status))
        metrics.request_seconds.observe(seconds, route)
        if seconds >= self._slow_s:
            log.warning("request.slow", **told(scope, method, route, status, spent, seconds))


def route_of(scope: Scope) -> str:
    """The pattern of the address (`/works/{id}`), never the address."""
    route = scope.get("route")
    path = getattr(route, "path", None) if route is not None else scope.get("fediart.route")
    return path if isinstance(path, str) else UNROUTED


def told(scope: Scope, method: str, route: str, status: int, spent: Spent, seconds: float) -> dict[str, Any]:
    """What the log says of a slow request: no address, no query, and of the address's parts only those that are numbers."""
    parts = {name: str(value) for name, value in scope.get("path_params", {}).items() if _NUMBER.fullmatch(str(value))}
    waited = {f"{part}_ms": _ms(waited) for part, waited in sorted(spent.seconds.items())}
    times = {f"{part}_times": count for part, count in sorted(spent.times.items())}
    return {
        "method": method,
        "route": route,
        **({"of": parts} if parts else {}),
        "status": status,
        "ms": _ms(seconds),
        "statements": spent.statements,
        **waited,
        **times,
    }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


class Figures:
    """The page `/metrics`."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._turn = asyncio.Lock()
        self._media: dict[str, int] = {}
        self._media_at = -math.inf
        instance.metrics.info.put({(__version__,): 1})
        instance.metrics.started.put(instance.clock() / 1000 - time.process_time())

    def are_for(self, scope: Scope) -> bool:
        """Others hear what they hear of any address that is not there."""
        settings, headers = self._instance.config.metrics, Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            return False
        if settings.token:
            kind, _, token = headers.get("authorization", "").partition(" ")
            if kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), settings.token.encode()):
                return True
        return settings.local and _is_local(scope, headers)

    async def answer(self) -> Response:
        async with self._turn:
            self._put(await self._stock())
            headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
            return PlainTextResponse(self._instance.metrics.text(), headers=headers, media_type=CONTENT_TYPE)

    async def _stock(self) -> Stock | None:
        """None while the database is away: what is counted in this process is then worth hearing most."""
        is_fresh = time.monotonic() - self._media_at <= MEDIA_AGAIN_S
        try:
            stock = await take_stock(self._instance, self._media if is_fresh else None)
        except Unavailable:
            return None
        if not is_fresh:
            self._media, self._media_at = stock.media, time.monotonic()
        return stock

    def _put(self, stock: Stock | None) -> None:
        metrics, own = self._instance.metrics, process_figures()
        metrics.write_queue.put(self._instance.storage.waiting_writes)
        metrics.cpu.count(by=own.cpu_seconds - metrics.cpu.held())
        for gauge, value in (
            (metrics.memory, own.memory),
            (metrics.open_files, own.open_files),
            (metrics.most_files, own.most_files),
        ):
            gauge.put(value if value is not None else {})
        if stock is None:
            return
        states = ("due", "later", "in_hand", "held")
        metrics.jobs.put({(one.kind, state): getattr(one, state) for one in stock.jobs for state in states})
        metrics.oldest_job.put({(one.kind,): _age(one.oldest_at, stock.now) for one in stock.jobs})
        metrics.deliveries.put({(state,): getattr(stock.deliveries, state) for state in states[:3]})
        metrics.oldest_delivery.put(_age(stock.deliveries.oldest_at, stock.now))
        metrics.database_bytes.put(stock.database)
        metrics.media_bytes.put({(kind,): size for kind, size in stock.media.items()})
        metrics.disk_free.put(stock.room.free)
        metrics.disk_size.put(stock.room.size)
        metrics.peers.put({("known",): stock.peers.known, ("failing",): stock.peers.failing})


def _age(since: int | None, now: int) -> float:
    return max(0, now - since) / 1000 if since is not None else 0


def _is_local(scope: Scope, headers: Headers) -> bool:
    """A program on this machine that asks this machine by its own name. What a proxy passes on is neither."""
    if any(name in headers for name in _FORWARDED):
        return False
    host = headers.get("host", "").lower()
    host = host.rpartition(":")[0] if re.fullmatch(r".*:[0-9]{1,5}", host) else host
    try:
        return ipaddress.ip_address((scope.get("client") or ("",))[0]).is_loopback and (
            host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
        )
    except ValueError:
        return False
