"""What every response carries, who is signed in, and that a form came from our own page."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict, deque
from functools import lru_cache
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fediart.domain.actors import Account
from fediart.domain.reviews import MAX_PROOF
from fediart.domain.works import MAX_IMAGES
from fediart.errors import NotAllowed, TooLarge, TooMany, Unavailable
from fediart.instance import Instance, token_hash
from fediart.office.probe import PATH
from fediart.storage import accounts
from fediart.web.reservation import put_headers

log = structlog.get_logger("fediart.web")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

PAGE_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"

FORM_BYTES = 4_000_000
"""What a form without pictures, or a JSON body, may have. The inboxes have a bound of their own."""

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


PRIVATE = "private"


def keep_private(request: Request) -> None:
    """No cache keeps the answer to this request, whatever becomes of it."""
    setattr(request.state, PRIVATE, True)


class Shield:
    """The outermost layer: request id, host check, security headers on every response, a bound on what is sent to us."""

    def __init__(self, app: ASGIApp, instance: Instance) -> None:
        self._app = app
        self._instance = instance
        self._hosts = {instance.config.host}
        base = urlsplit(instance.config.base_url)
        if base.hostname in ("localhost", "127.0.0.1", "::1"):
            self._hosts |= {f"{name}:{base.port}" if base.port else name for name in LOOPBACK}
        self._is_https = base.scheme == "https"
        self._upload_bytes = instance.config.media.upload_bytes

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
                for name, value in ALWAYS.items():
                    headers[name] = value
                put_headers(headers, scope, self._instance)
                if scope.get("state", {}).get(PRIVATE):
                    headers["cache-control"] = "private, no-store"
                headers["x-request-id"] = request_id
                headers.setdefault("content-security-policy", PAGE_POLICY)
                if self._is_https:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
                if token := scope.get("state", {}).get("renewed_session"):
                    carrier = Response()
                    put_session(carrier, self._instance, token)
                    headers.append("set-cookie", carrier.headers["set-cookie"])
            await send(message)

        host = next((value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"), "")
        if host not in self._hosts:
            self._instance.metrics.refusals.count("unknown_host")
            await PlainTextResponse("This server does not answer under this name.", 421)(scope, receive, shielded)
            return
        await self._app(scope, _bounded(receive, _most_bytes(scope["path"], self._upload_bytes)), shielded)


def _most_bytes(path: str, upload_bytes: int) -> int:
    """How much a request to this path may carry: words, and pictures where pictures are taken."""
    if path.startswith("/decisions/"):
        return FORM_BYTES + (MAX_PROOF + 1) * upload_bytes
    if path.startswith("/compose/"):
        return FORM_BYTES + (MAX_IMAGES + 1) * upload_bytes
    if path.startswith("/uploads/"):
        return upload_bytes
    with_pictures = (PATH, "/settings/profile", "/api/v1/media", "/api/v2/media", "/api/v1/accounts/update_credentials")
    if path.startswith(with_pictures):
        return FORM_BYTES + 2 * upload_bytes
    return FORM_BYTES


def _bounded(receive: Receive, most: int) -> Receive:
    """Raises TooLarge into whoever reads on, so that nobody fills the disk with a form."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise TooLarge(f"More than {most / 1e6:.0f} MB were sent at once, which is more than this page takes.")
        return message

    return counted


# ---------------------------------------------------------------------------------------------- sessions and forms


def cookie_name(instance: Instance) -> str:
    """On http loopback the port is part of the name, so that two local servers do not log each other out."""
    if instance.config.base_url.startswith("https:"):
        return "__Host-fediart"
    return f"fediart-{urlsplit(instance.config.base_url).port or 80}"


def put_session(response: Response, instance: Instance, token: str) -> None:
    """An empty token takes the cookie away."""
    response.set_cookie(
        cookie_name(instance),
        token,
        max_age=accounts.SESSION_MS // 1000 if token else 0,
        path="/",
        secure=instance.config.base_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )


def session_token(request: Request) -> str | None:
    instance: Instance = request.app.state.instance
    return request.cookies.get(cookie_name(instance))


async def signed_in(request: Request) -> Account | None:
    """The account whose browser this is. Once a day its session, and with it the cookie, is given its whole time again."""
    token = session_token(request)
    if not token or len(token) > 200:
        return None
    instance: Instance = request.app.state.instance
    found = await instance.storage.read(accounts.account_of_session, token_hash(token), instance.clock())
    if found is None:
        return None
    account, is_due = found
    if is_due:
        try:
            await instance.storage.write(accounts.renew_session, token_hash(token), instance.clock())
            request.state.renewed_session = token
        except Unavailable as problem:
            # Who only reads is not kept out by a full disk.
            log.warning("session.not_renewed", reason=problem.message, detail=problem.detail)
    return account


def form_token(request: Request) -> str:
    """What a form of this session must carry. Of a browser that is not signed in: of its own form cookie."""
    instance: Instance = request.app.state.instance
    cookie = request.cookies.get(cookie_name(instance) + "-form")
    held: str = session_token(request) or cookie or str(getattr(request.state, "form_cookie", ""))
    if not held:
        # Without a cookie there is no browser this form could belong to: a token of the empty one would be everybody's.
        return ""
    return hmac.new(instance.derived_key("forms"), held.encode(), hashlib.sha256).hexdigest()


def check_form(request: Request, token: str) -> None:
    """Raises NotAllowed for a form that did not come from a page of ours to this very browser."""
    instance: Instance = request.app.state.instance
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    ours = {instance.config.base_url, f"{request.url.scheme}://{request.headers.get('host', '')}"}
    if (origin is not None and origin != "null" and origin not in ours) or site not in ("same-origin", "none"):
        raise NotAllowed("This form was sent from another site, so nothing was done.")
    expected = form_token(request)
    if not expected or not hmac.compare_digest(expected.encode(), token.encode()):
        raise NotAllowed(
            "This page was open for too long, or you signed in or out meanwhile. Go back, reload it and send it again."
        )


# --------------------------------------------------------------------------------------------------- rate limits


class Limiter:
    """At most `most` things in any `period_s`, for each key. Bounded in keys: those longest unused are forgotten."""

    def __init__(self, most: int, period_s: float, *, keys: int = 10_000) -> None:
        self._most = most
        self._period_s = period_s
        self._keys = keys
        self._done: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Raises TooMany when as much was done already."""
        now = time.monotonic()
        done = self._done.setdefault(key, deque(maxlen=self._most))
        self._done.move_to_end(key)
        if len(done) == self._most and now - done[0] < self._period_s:
            wait = int(self._period_s - (now - done[0])) + 1
            raise TooMany(f"Too many tries. Please wait {wait} seconds.", retry_after=wait)
        done.append(now)
        if len(self._done) > self._keys:
            self._done.popitem(last=False)


class PasswordLimits:
    """Guessing passwords is slow: 5 tries in 5 minutes for an account, 25 from an address."""

    def __init__(self) -> None:
        self._by_account, self._by_address = Limiter(5, 300), Limiter(25, 300)

    def take(self, request: Request, account: str) -> None:
        """Before each try. `account` in one spelling only, or each spelling has tries of its own. Raises TooMany."""
        instance: Instance = request.app.state.instance
        if instance.config.limits.enabled:
            self._by_address.take(network_of(client_address(request, instance)))
            self._by_account.take(account)

    def take_link(self, request: Request) -> None:
        """Before each try of a link that came by letter: those of an address are counted with its passwords. Raises TooMany."""
        instance: Instance = request.app.state.instance
        if instance.config.limits.enabled:
            self._by_address.take(network_of(client_address(request, instance)))


class SignUpLimits:
    """5 sign-ups an hour from a network; 10 letters that it asks for, and 3 about one account."""

    def __init__(self) -> None:
        self._sign_ups, self._letters, self._accounts = Limiter(5, 3600), Limiter(10, 3600), Limiter(3, 3600)

    def take_sign_up(self, request: Request) -> None:
        """Before each try that could make an account. Raises TooMany."""
        instance: Instance = request.app.state.instance
        if instance.config.limits.enabled:
            self._sign_ups.take(neighbourhood(client_address(request, instance)))

    def take_letter(self, request: Request, account: str) -> None:
        """Before each letter that a stranger has sent. `account`: as PasswordLimits has it. Raises TooMany."""
        instance: Instance = request.app.state.instance
        if instance.config.limits.enabled:
            self._letters.take(neighbourhood(client_address(request, instance)))
            self._accounts.take(account)


def network_of(address: str) -> str:
    """Whom a limit counts: an IPv4 address, or the /64 that one subscriber has in IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def client_address(request: HTTPConnection, instance: Instance) -> str:
    """Who asks. X-Forwarded-For counts only from a proxy that the settings trust."""
    peer = request.client.host if request.client else ""
    trusted = [ipaddress.ip_network(text) for text in instance.config.server.trusted_proxies]
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",") if part.strip()]
    while forwarded and _is_in(peer, trusted):
        peer = forwarded.pop()
    return peer


def is_trusted_proxy(address: str, instance: Instance) -> bool:
    """Is what this address says of whom it asks for believed?"""
    return _is_in(address, [ipaddress.ip_network(text) for text in instance.config.server.trusted_proxies])


def network_seen(request: HTTPConnection, instance: Instance) -> str | None:
    """The /24 or /48 that asks. None when only a proxy is seen, so that everybody would be counted as one.

    That is so when the settings do not name the proxy, or it does not say for whom it asks.
    """
    address = client_address(request, instance)
    trusted = [ipaddress.ip_network(text) for text in instance.config.server.trusted_proxies]
    is_inside = _is_in(address, _INSIDE)
    is_local = urlsplit(instance.config.base_url).hostname in ("localhost", "127.0.0.1", "::1")
    if _is_in(address, trusted) or (is_inside and ("x-forwarded-for" in request.headers or not is_local)):
        return None
    return neighbourhood(address)


_INSIDE: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = [
    ipaddress.ip_network(text) for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
]
"""Where proxies stand: this machine, and the networks of a house."""


@lru_cache(maxsize=10_000)
def neighbourhood(address: str) -> str:
    """A /24, or the /48 that one customer of a provider may have in IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False))


def _is_in(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip.version == network.version and ip in network for network in networks)
