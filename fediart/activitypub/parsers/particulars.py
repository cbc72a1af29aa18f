"""What a post brings besides words and attached pictures, each server in its own way: other files, polls, times, places.

What cannot be shown here becomes a link to where it can: nothing that was said is dropped without a word.
"""

from __future__ import annotations

import html
import re
from typing import Any

from fediart.activitypub.parsers import fields
from fediart.activitypub.vocabulary import ParsedLink
from fediart.clock import to_iso

MAX_LINKS, MAX_OPTIONS, MAX_PICTURES = 8, 20, 16
_QUOTES = ("quote", "_misskey_quote", "quoteUrl", "quoteUri")
_QUOTE_RELS = frozenset({"https://misskey-hub.net/ns#_misskey_quote", "https://w3id.org/fep/044f#quote"})
_IMG = re.compile(r"<img\b([^<>]{0,4000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\b(src|alt|class)\s*=\s*(?:"([^"]{0,2000})"|'([^']{0,2000})')""", re.IGNORECASE)


def as_html(document: dict[str, Any], limit: int) -> str:
    """`content` as HTML, whatever its media type says it is; else the `source` it was made from."""
    content, media_type = fields.text(document.get("content"), limit), fields.text(document.get("mediaType"), 100)
    if content:
        # PeerTube writes Markdown there. Of a picture (Image, Document) the media type is that of its file.
        return _plain(content) if media_type.startswith("text/") and not media_type.startswith("text/html") else content
    source = document.get("source")
    return _plain(fields.text(source.get("content"), limit)) if isinstance(source, dict) else ""


def _plain(text: str) -> str:
    paragraphs = [part for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]
    return "".join(f"<p>{html.escape(part.strip()).replace(chr(10), '<br>')}</p>" for part in paragraphs)


def poll_options(document: dict[str, Any]) -> tuple[str, ...]:
    """What can be chosen in a poll, as text. Nobody votes from here."""
    for word in ("oneOf", "anyOf"):
        found = [fields.named(item, "name", 500) for item in fields.listed(document.get(word), MAX_OPTIONS)]
        if any(found):
            return tuple(name for name in found if name)
    return ()


def event_facts(document: dict[str, Any]) -> tuple[str, ...]:
    """When and where an event is, a line each."""
    times = [_moment(document.get(word)) for word in ("startTime", "endTime")]
    place = fields.first(document.get("location"))
    named = fields.named(place, "name", 300) if isinstance(place, dict) else fields.text(place, 300)
    address = place.get("address") if isinstance(place, dict) else None
    if isinstance(address, dict):
        parts = [
            fields.text(address.get(word), 100) for word in ("streetAddress", "postalCode", "addressLocality", "addressCountry")
        ]
        address = ", ".join(part for part in parts if part)
    where = ", ".join(part for part in (named, fields.text(address, 500)) if part)
    return tuple(line for line in (" – ".join(part for part in times if part), where) if line)


def _moment(value: Any) -> str:
    moment = fields.moment(value)
    return f"{to_iso(moment)[:16].replace('T', ' ')} UTC" if moment is not None else fields.text(value, 40)


def other_pictures(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Where a post without attached pictures keeps one: `image` (Ghost, Lemmy, WordPress), `icon` (PeerTube), or its text."""
    for word in ("image", "icon", "preview"):
        if word != "image" and fields.kind(document.get("type")) in ("Note", "Article", "Page"):
            continue
        items = fields.listed(document.get(word), MAX_PICTURES)
        found = [item if isinstance(item, dict) else {"url": item} for item in items if isinstance(item, dict | str)]
        largest = sorted(found, key=lambda item: -(fields.whole(item.get("width"), 100_000) or 0))
        if pictures := [{"type": "Image", **item} for item in largest if item.get("url") or item.get("href")]:
            return pictures if word == "image" else pictures[:1]
    return _in_text(fields.text(document.get("content"), 262_144))


def _in_text(content: str) -> list[dict[str, Any]]:
    """Pictures within the words of a blog's article: the sanitiser takes them away, so they stand below."""
    found = []
    for match in _IMG.finditer(content):
        said = {name.lower(): html.unescape(double or single) for name, double, single in _ATTRIBUTE.findall(match[1])}
        if "emoji" in said.get("class", "") or not said.get("src"):
            continue
        found.append({"type": "Image", "url": said["src"], "name": said.get("alt", "")})
        if len(found) == MAX_PICTURES:
            break
    return found


def links(document: dict[str, Any], shown: frozenset[str]) -> tuple[ParsedLink, ...]:
    """Attached things that are no pictures, and quoted posts. `shown`: addresses that are shown as pictures already."""
    content = html.unescape(fields.text(document.get("content"), 262_144))
    found: dict[str, str] = {}
    for item in fields.listed(document.get("attachment"), 32):
        if isinstance(item, str):
            item = {"url": item}
        if not isinstance(item, dict) or fields.kind(item.get("type")) in ("PropertyValue", "Emoji"):
            continue
        address = _address(item)
        if address is not None and address not in shown and address not in content:
            found.setdefault(address, fields.named(item, "name", 500) or fields.named(item, "summary", 500))
    address = quoted_uri(document)
    if address is not None and address not in content and not found.get(address):
        found[address] = "A post that is quoted"
    return tuple(ParsedLink(address, name) for address, name in list(found.items())[:MAX_LINKS])


def quoted_uri(document: dict[str, Any]) -> str | None:
    """What a post quotes, in whichever words: a property of its own, or a link among its tags (FEP-e232)."""
    for word in _QUOTES:
        if (address := fields.uri(document.get(word))) is not None:
            return address
    for tag in fields.listed(document.get("tag"), 100):
        if isinstance(tag, dict) and fields.kind(tag.get("type")) == "Link":
            rels = [rel for rel in fields.listed(tag.get("rel"), 10) if isinstance(rel, str)]
            if _QUOTE_RELS.intersection(rels) and (address := fields.uri(tag.get("href"))) is not None:
                return address
    return None


def _address(item: dict[str, Any]) -> str | None:
    for word in ("url", "href", "id"):
        for link in fields.listed(item.get(word), 20):
            if (address := fields.uri(link)) is not None:
                return address
    return None
