"""The one HTTP client. Every answer is bounded in bytes and in time; every connect passes the guard; nothing is followed here.

httpx's interface over aiohttp's connection pool: decisions/httpx-aiohttp.md.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import httpx
import structlog
import yarl
from httpx_aiohttp import AiohttpTransport

from fediart.activitypub.identifiers import host_of
from fediart.activitypub.signatures.sign import Form
from fediart.domain.moderation import NO_RULES
from fediart.errors import AddressRefused, BadAnswer, HostBlocked, RemoteError, Unreachable
from fediart.observe import spending
from fediart.remote.guard import DialRefused, Guard, check_url
from fediart.remote.hosts import Hosts

log = structlog.get_logger("fediart.remote")

Signer = Callable[[Form, str, str, bytes | None], dict[str, str]]
"""(form, method, url, body or None) → headers that sign the request."""

KNOCK_AGAIN = frozenset({400, 401})
"""What a server answers to a signature it does not understand."""

CONNECTIONS = 256
"""In use at one time. More than the lanes of deliveries and arrivals together: hosts that hang keep nobody else waiting."""

TOTAL_SECONDS = 10.0
MAX_JSON = 1_048_576


@asynccontextmanager
async def within(seconds: float, url: str) -> AsyncIterator[None]:
    """Everything inside, redirects and second knocks too, takes at most so long. Raises Unreachable."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unreachable("The other server took too long to answer.", detail=url[:200]) from None


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


def as_sent(url: str) -> str:
    """The address as it goes on the wire. A signature covers that: `%7E` is sent as `~`, `é` as `%C3%A9`."""
    try:
        return str(yarl.URL(str(httpx.URL(url))))
    except (httpx.InvalidURL, ValueError):
        return url  # it will not be sent at all


class RemoteClient:
    """Asks other servers. Close it."""

    def __init__(self, client: httpx.AsyncClient, *, allow_http: bool, hosts: Hosts | None = None) -> None:
        self._client = client
        self._hosts = hosts if hosts is not None else Hosts()
        self._signing = ThreadPoolExecutor(2, thread_name_prefix="fediart-sign")
        self.allow_http = allow_http
        self.host_rules = NO_RULES
        """A host that they block is never asked, also not where another one sends us there."""
        self.count: Callable[[str], None] = lambda _outcome: None
        """Told how each request ended: answered, or the name of an error."""

    async def _sign(self, signer: Signer, form: Form, method: str, url: str, body: bytes | None) -> dict[str, str]:
        """An RSA signature takes about a millisecond: not on the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._signing, signer, form, method, as_sent(url), body)

    async def signed(
        self,
        signer: Signer,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        max_bytes: int = MAX_JSON,
    ) -> Answer:
        """A signed request. Where the first form is answered 400 or 401 the other one is tried, and remembered if it is taken.

        https://swicg.github.io/activitypub-http-signature/#how-to-upgrade-supported-versions. Raises RemoteError.
        """
        known = self._hosts.of(host_of(url))
        form = Form(known.signature or Form.CAVAGE)

        async def knock(form: Form, signed_url: str = url) -> Answer:
            signature = await self._sign(signer, form, method, signed_url, content)
            return await self.request(method, url, headers={**(headers or {}), **signature}, content=content, max_bytes=max_bytes)

        first = await knock(form)
        if first.status not in KNOCK_AGAIN:
            return first
        if first.status == 401 and method == "GET" and form == Form.CAVAGE and "?" in url:
            # Some servers check the address without its query. Asked in that way it is still this address.
            bare = await knock(form, url.split("?")[0])
            if bare.status not in KNOCK_AGAIN:
                return bare
        second = await knock(form.other)
        if second.status >= 400 and second.status not in (404, 410):
            return first  # it is not the form that it minds
        signature = "" if form.other == Form.CAVAGE else form.other.value
        await self._hosts.learn(replace(self._hosts.of(known.host), signature=signature))
        return second

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterable[bytes] | None = None,
        max_bytes: int = MAX_JSON,
        total_seconds: float = TOTAL_SECONDS,
    ) -> Answer:
        """One request, one answer of at most `max_bytes`, all within `total_seconds`. Raises RemoteError.

        `content` in parts wants a header that says how long it is.
        """
        parts: list[bytes] = []
        async with self._answering(method, url, headers or {}, content, total_seconds) as response:
            size = 0
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > max_bytes:
                    raise BadAnswer("The other server's answer is too long.", detail=f"{url[:200]}: over {max_bytes} bytes")
                parts.append(chunk)
            return Answer(response.status_code, dict(response.headers), b"".join(parts), url)

    async def download(self, url: str, path: Path, *, headers: Mapping[str, str], max_bytes: int, total_seconds: float) -> Answer:
        """The answer's body goes to `path` when its status is 200; `Answer.body` is then empty."""
        async with self._answering("GET", url, headers, None, total_seconds) as response:
            if response.status_code != 200:
                return Answer(response.status_code, dict(response.headers), b"", url)
            size = 0
            with path.open("wb") as file:
                async for chunk in response.aiter_raw():
                    size += len(chunk)
                    if size > max_bytes:
                        raise BadAnswer(
                            "This file is larger than this server takes.", detail=f"{url[:200]}: over {max_bytes} bytes"
                        )
                    file.write(chunk)
            return Answer(200, dict(response.headers), b"", url)

    @asynccontextmanager
    async def _answering(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | AsyncIterable[bytes] | None,
        total_seconds: float,
    ) -> AsyncIterator[httpx.Response]:
        try:
            with spending("remote"):
                async with self._asked(method, url, headers, content, total_seconds) as response:
                    yield response
        except RemoteError as problem:
            self.count(problem.name)
            raise
        self.count("answered")

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | AsyncIterable[bytes] | None,
        total_seconds: float,
    ) -> AsyncIterator[httpx.Response]:
        check_url(url, allow_http=self.allow_http)
        if self.host_rules.blocks(host_of(url)):
            raise HostBlocked(f"This server does not speak with {host_of(url)}.", detail=url[:200])
        try:
            async with asyncio.timeout(total_seconds):
                # Identity only: a small compressed body can unpack to gigabytes before any of our counters sees it.
                sent = {"accept-encoding": "identity", **headers}
                async with self._client.stream(method, url, headers=sent, content=content) as response:
                    if response.headers.get("content-encoding", "identity").lower() != "identity":
                        raise BadAnswer("The other server sent a compressed answer that was not asked for.", detail=url[:200])
                    yield response
        except TimeoutError:
            raise Unreachable("The other server took too long to answer.", detail=url[:200]) from None
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, ValueError) as problem:
            if _was_refused(problem):
                raise AddressRefused("This address is not on the public internet.", detail=url[:200]) from None
            raise Unreachable("The other server cannot be reached.", detail=f"{url[:200]}: {problem!r}") from None

    async def aclose(self) -> None:
        await self._client.aclose()
        self._signing.shutdown(wait=False)


def _was_refused(problem: BaseException | None) -> bool:
    """A refused dial comes up wrapped several times over."""
    seen = 0
    while problem is not None and seen < 10:
        if isinstance(problem, DialRefused) or "is not a public address" in str(problem):
            return True
        problem = problem.__cause__ or problem.__context__
        seen += 1
    return False


def tls_context() -> ssl.SSLContext:
    """The system's authorities, or those of SSL_CERT_FILE."""
    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or None)


def open_client(guard: Guard, *, allow_http: bool, user_agent: str, hosts: Hosts | None = None) -> RemoteClient:
    """Call it inside a running event loop."""
    connector = aiohttp.TCPConnector(
        ssl=tls_context(),
        limit=CONNECTIONS,
        limit_per_host=4,
        keepalive_timeout=20,
        ttl_dns_cache=60,
        socket_factory=guard.socket_factory,
    )
    transport = AiohttpTransport(
        client=lambda: aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
    )
    client = httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        headers={"user-agent": user_agent},
        timeout=httpx.Timeout(60.0),
    )
    return RemoteClient(client, allow_http=allow_http, hosts=hosts)
