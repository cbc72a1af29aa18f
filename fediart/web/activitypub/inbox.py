"""The inboxes, as plain ASGI in front of everything else: they take most of a server's requests."""

from __future__ import annotations

import asyncio
import re
import secrets

import msgspec
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from fediart.activitypub.parsers.json_document import MAX_BYTES
from fediart.errors import BadInput, Unavailable
from fediart.inbox.receive import Receipt, receive
from fediart.instance import Instance
from fediart.web.activitypub.asker import joined_headers
from fediart.web.reservation import encoded_headers
from fediart.web.security import ALWAYS, FILE_POLICY

log = structlog.get_logger("fediart.inbox")

_INBOX = re.compile(r"/(?:inbox|actor/inbox|users/[a-z0-9_]{1,30}/inbox)")
BODY_SECONDS = 30.0
RETRY_AFTER_S = 300
_HEADERS = [
    *((name.encode(), value.encode()) for name, value in ALWAYS.items()),
    (b"content-security-policy", FILE_POLICY.encode()),
    (b"cache-control", b"no-store"),
]


class InboxFirst:
    """POSTs to an inbox are answered here; every other request goes on to `app`."""

    def __init__(self, app: ASGIApp, instance: Instance) -> None:
        self._app = app
        self._instance = instance

    async def __call__(self, scope: Scope, receive_: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not _INBOX.fullmatch(scope["path"]):
            await self._app(scope, receive_, send)
            return
        scope["fediart.route"] = "/users/{name}/inbox" if scope["path"].startswith("/users/") else scope["path"]
        request_id = secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)
        try:
            receipt = await self._receipt(scope, receive_)
        except Unavailable as problem:
            log.warning("inbox.unavailable", reason=problem.message, detail=problem.detail)
            receipt = Receipt(503, "unavailable", problem.message, retry_after=RETRY_AFTER_S)
        except Exception:  # a door: a sender that hears 500 comes again
            log.exception("inbox.crashed", path=scope["path"])
            receipt = Receipt(500, "crashed", "Something went wrong here. Please try again later.")
        self._instance.metrics.inbox.count("taken" if receipt.status == 202 else "refused", receipt.reason)
        await _answer(send, receipt, request_id, encoded_headers(self._instance))

    async def _receipt(self, scope: Scope, receive_: Receive) -> Receipt:
        try:
            headers = joined_headers(scope["headers"])
        except BadInput as problem:
            return Receipt(400, "repeated_header", problem.message)
        if headers.get("content-encoding", "identity") != "identity":
            return Receipt(415, "compressed", "Compressed bodies are not read.")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(receive_, headers)
        except TimeoutError:
            return Receipt(408, "too_slow", "The body took too long.")
        if body is None:
            return Receipt(413, "too_large", "An activity has at most 1 MB.")
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        return await receive(self._instance, method="POST", target=target, headers=headers, body=body)


async def _body(receive_: Receive, headers: dict[str, str]) -> bytes | None:
    """The whole body, or None when it is (or says it is) too long."""
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length[:12]) > MAX_BYTES:
        return None
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive_()
        if message["type"] == "http.disconnect":
            return b""
        size += len(message.get("body", b""))
        if size > MAX_BYTES:
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _answer(send: Send, receipt: Receipt, request_id: str, reserved: list[tuple[bytes, bytes]]) -> None:
    body = msgspec.json.encode({"error": receipt.error}) if receipt.error else b""
    headers = [
        *_HEADERS,
        *reserved,
        (b"x-request-id", request_id.encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if receipt.retry_after is not None:
        headers.append((b"retry-after", str(receipt.retry_after).encode()))
    await send({"type": "http.response.start", "status": receipt.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
