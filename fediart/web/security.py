"""What every response carries, who is signed in, and that a form came from our own page."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fediart.domain.actors import Account
from fediart.errors import NotAllowed, TooMany
from fediart.instance import Instance, token_hash
from fediart.storage import accounts

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

PAGE_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"

_ALWAYS = {
    "x-robots-tag": "noai, noimageai",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Shield:
    """The outermost layer: request id, host check, security headers on every response."""

    def __init__(self, app: ASGIApp, instance: Instance) -> None:
        self._app = app
        self._hosts = {instance.config.host}
        base = urlsplit(instance.config.base_url)
        if base.hostname in ("localhost", "127.0.0.1", "::1"):
            self._hosts |= {f"{name}:{base.port}" if base.port else name for name in LOOPBACK}
        self._is_https = base.scheme == "https"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers[name] = value
                headers["x-request-id"] = request_id
                headers.setdefault("content-security-policy", PAGE_POLICY)
                if self._is_https:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        host = next((value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"), "")
        if host not in self._hosts:
            await PlainTextResponse("This server does not answer under this name.", 421)(scope, receive, shielded)
            return
        await self._app(scope, receive, shielded)


# ---------------------------------------------------------------------------------------------- sessions and forms


def cookie_name(instance: Instance) -> str:
    """On http loopback the port is part of the name, so that two local servers do not log each other out."""
    if instance.config.base_url.startswith("https:"):
        return "__Host-fediart"
    return f"fediart-{urlsplit(instance.config.base_url).port or 80}"


def put_session(response: Response, instance: Instance, token: str) -> None:
    response.set_cookie(
        cookie_name(instance),
        token,
        max_age=accounts.SESSION_MS // 1000,
        path="/",
        secure=instance.config.base_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )


def session_token(request: Request) -> str | None:
    instance: Instance = request.app.state.instance
    return request.cookies.get(cookie_name(instance))


async def signed_in(request: Request) -> Account | None:
    """The account whose browser this is."""
    token = session_token(request)
    if not token or len(token) > 200:
        return None
    instance: Instance = request.app.state.instance
    return await instance.storage.read(accounts.account_of_session, token_hash(token), instance.clock())


def form_token(request: Request) -> str:
    """What a form of this session must carry. Of a browser that is not signed in: of its own form cookie."""
    instance: Instance = request.app.state.instance
    cookie = request.cookies.get(cookie_name(instance) + "-form")
    held: str = session_token(request) or cookie or str(getattr(request.state, "form_cookie", ""))
    return hmac.new(instance.derived_key("forms"), held.encode(), hashlib.sha256).hexdigest()


def check_form(request: Request, token: str) -> None:
    """Raises NotAllowed for a form that did not come from a page of ours to this very browser."""
    instance: Instance = request.app.state.instance
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    ours = {instance.config.base_url, f"{request.url.scheme}://{request.headers.get('host', '')}"}
    if (origin is not None and origin != "null" and origin not in ours) or site not in ("same-origin", "none"):
        raise NotAllowed("This form was sent from another site, so nothing was done.")
    if not hmac.compare_digest(form_token(request), token):
        raise NotAllowed(
            "This page was open for too long, or you signed in or out meanwhile. Go back, reload it and send it again."
        )


# --------------------------------------------------------------------------------------------------- rate limits


class Limiter:
    """Token buckets, bounded in number. One key may do `burst` things at once and `burst` per `period_s` after that."""

    def __init__(self, burst: int, period_s: float, *, most: int = 10_000) -> None:
        self._burst = burst
        self._rate = burst / period_s
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Raises TooMany when the bucket is empty."""
        now = time.monotonic()
        level, at = self._buckets.pop(key, (float(self._burst), now))
        level = min(self._burst, level + (now - at) * self._rate)
        if level < 1:
            self._buckets[key] = (level, now)
            wait = int((1 - level) / self._rate) + 1
            raise TooMany(f"Too many tries. Please wait {wait} seconds.", retry_after=wait)
        self._buckets[key] = (level - 1, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)


def client_address(request: Request) -> str:
    """Who asks. X-Forwarded-For counts only from a proxy that the settings trust."""
    instance: Instance = request.app.state.instance
    peer = request.client.host if request.client else ""
    trusted = [ipaddress.ip_network(text) for text in instance.config.server.trusted_proxies]
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",") if part.strip()]
    while forwarded and _is_in(peer, trusted):
        peer = forwarded.pop()
    return peer


def _is_in(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip.version == network.version and ip in network for network in networks)
