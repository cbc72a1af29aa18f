"""Answers of the client API: JSON, open to every origin, with Link headers where there are pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fediart.ids import parse_id
from fediart.instance import Instance

CORS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Link, X-Request-Id",
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": "Authorization, Content-Type, Idempotency-Key",
}
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    max_id: int | None
    min_id: int | None
    since_id: int | None
    limit: int


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    held = {"cache-control": "private, no-store", **CORS, **(headers or {})}
    return Response(_encode(value), status, headers=held, media_type="application/json")


def page_of(request: Request, default: int = 20) -> Page:
    query = request.query_params
    limit = parse_id(query.get("limit", "")) or default
    return Page(
        parse_id(query.get("max_id", "")), parse_id(query.get("min_id", "")), parse_id(query.get("since_id", "")), min(limit, 40)
    )


def paged(request: Request, items: list[dict[str, Any]], ends: tuple[int, int] | None = None) -> Response:
    """With `next` and `prev` as Mastodon's clients expect them.

    `ends`: the newest and the oldest id to page on by, where that is not what the items say.
    """
    if ends is None and items:
        ends = int(items[0]["id"]), int(items[-1]["id"])
    if ends is None:
        return answer(items)
    instance: Instance = request.app.state.instance
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in ("max_id", "min_id", "since_id")]
    base = instance.identifiers.base_url + request.url.path
    after = urlencode([*kept, ("max_id", str(ends[1]))])
    before = urlencode([*kept, ("min_id", str(ends[0]))])
    return answer(items, headers={"link": f'<{base}?{after}>; rel="next", <{base}?{before}>; rel="prev"'})
