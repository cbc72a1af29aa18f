"""Does this request ask for an ActivityPub document, or for a page?"""

from __future__ import annotations

from starlette.requests import Request


def wants_activity(request: Request) -> bool:
    """`application/activity+json` or `application/ld+json` in Accept, with or without a profile."""
    accept = request.headers.get("accept", "")[:2_000].lower()
    return "application/activity+json" in accept or "application/ld+json" in accept
