"""Where a page for people says its document is: a `Link` header with rel=alternate and ActivityPub's type, or the element."""

from __future__ import annotations

import html
import re
from urllib.parse import urljoin

from fediart.activitypub.identifiers import is_web_uri

MAX_LINKS, MAX_LINK = 200, 2_048
_ATTRIBUTE = re.compile(
    rb"""([a-z-]{1,30})[ \t\r\n]{0,8}=[ \t\r\n]{0,8}(?:"([^"]{0,2048})"|'([^']{0,2048})'|([^ \t\r\n"'>]{1,2048}))"""
)
_HEADER = re.compile(r"<([^<>]{1,2048})>([^<]{0,1024})")


def alternate_of(page: bytes, link_header: str, base: str) -> str | None:
    """The address of the document of a page at `base`; the header goes first. Linear in the length of the page."""
    for target, parameters in _HEADER.findall(link_header[:8_192]):
        words = parameters.lower().replace('"', "").replace(" ", "")
        if "rel=alternate" in words and "type=application/activity+json" in words:
            return _absolute(base, target)
    lower = page.lower()
    at = 0
    for _ in range(MAX_LINKS):
        at = lower.find(b"<link", at)
        if at < 0:
            return None
        end = lower.find(b">", at, at + MAX_LINK)
        if end > 0 and (found := _href(page[at + 5 : end])) is not None:
            return _absolute(base, found)
        at += 5
    return None


def _href(element: bytes) -> str | None:
    held: dict[bytes, bytes] = {}
    lower = element.lower()
    for match in _ATTRIBUTE.finditer(lower):
        start, end = next(match.span(group) for group in (2, 3, 4) if match[group] is not None)
        held.setdefault(match[1], element[start:end])
    is_ours = b"alternate" in held.get(b"rel", b"").lower().split() and _is_activity(held.get(b"type", b""))
    return html.unescape(held[b"href"].decode("utf-8", "replace")) if is_ours and held.get(b"href") else None


def _is_activity(kind: bytes) -> bool:
    return kind.lower().split(b";")[0].strip() in (b"application/activity+json", b"application/ld+json")


def _absolute(base: str, target: str) -> str | None:
    try:
        address = urljoin(base, target.strip())
    except ValueError:
        return None
    return address if is_web_uri(address) else None
