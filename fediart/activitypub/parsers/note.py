"""A note, or whatever else another server shows like one."""

from __future__ import annotations

import re
from typing import Any

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.parsers import fields, particulars
from fediart.activitypub.parsers.actor import KINDS as ACTORS
from fediart.activitypub.parsers.emojis import parse_emojis
from fediart.activitypub.parsers.interaction import read_policies
from fediart.activitypub.parsers.self_label import content_usage, robots_tag, self_label, tdm_reservation
from fediart.activitypub.vocabulary import ParsedAttachment, ParsedMention, ParsedNote
from fediart.domain.reservations import Reservation
from fediart.domain.signals import read_headers, together
from fediart.errors import ParseError

KINDS = frozenset({"Note", "Article", "Page", "Image", "Video", "Audio", "Document", "Event", "Question"})
"""Kinds that are known. Another one is shown as a link, unless it is one of these:"""
NO_POSTS = ACTORS | {
    "Tombstone",
    "Collection",
    "OrderedCollection",
    "CollectionPage",
    "OrderedCollectionPage",
    "Link",
    "Mention",
}
MAX_ATTACHMENTS, MAX_TAGS, MAX_CONTENT = 32, 100, 262_144
_BLURHASH = re.compile(r"[0-9A-Za-z#$%*+,\-.:;=?@\[\]^_{|}~]{6,164}")
_SUFFIXES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif"}
_SUFFIXES |= {".avif": "image/avif", ".svg": "image/svg+xml", ".tif": "image/tiff", ".tiff": "image/tiff", ".eps": "image/x-eps"}
_NOT_SHOWN = frozenset({"image/svg+xml", "image/tiff", "image/x-eps"})
"""No browser, or no careful one, shows these: they become links."""


def parse_note(document: dict[str, Any]) -> ParsedNote:
    """Raises ParseError when it is no such object, or has no id or author on the same host."""
    uri, kind = fields.uri(document.get("id")), fields.kind(document.get("type"), KINDS)
    if uri is None or not kind:
        raise ParseError("A post needs an id and a type.")
    if kind in NO_POSTS:
        raise ParseError("This is not a post.")
    author = _author(document.get("attributedTo"))
    if author is None or not same_host(uri, author):
        raise ParseError("A post needs an author on its own host.")
    content, language = _content(document)
    tags = fields.listed(document.get("tag"), MAX_TAGS)
    attachments = _attachments(document)
    mentions = tuple(found for tag in tags if (found := _mention(tag)) is not None)
    return ParsedNote(
        uri=uri,
        kind=kind,
        attributed_to=author,
        content=content,
        name=fields.named(document, "name", 2_048),
        summary=fields.named(document, "summary", 2_048),
        sensitive=document.get("sensitive") is True,
        published_ms=fields.moment(document.get("published")),
        updated_ms=fields.moment(document.get("updated")),
        url=_page(uri, document.get("url")),
        in_reply_to=fields.uri(document.get("inReplyTo")),
        to=fields.addresses(document.get("to")),
        cc=fields.addresses(document.get("cc")),
        attachments=attachments,
        mentions=mentions,
        hashtags=tuple(dict.fromkeys(word for tag in tags if (word := _hashtag(tag)))),
        language=language,
        reservation=_reservation(document),
        self_label=self_label(document, fields.listed(document.get("attachment"), MAX_ATTACHMENTS)),
        links=particulars.links(document, frozenset(picture.url for picture in attachments)),
        options=particulars.poll_options(document),
        facts=particulars.event_facts(document) if kind == "Event" else (),
        policies=read_policies(document, author, frozenset(mention.href for mention in mentions if mention.href)),
        emojis=parse_emojis(document.get("tag")),
    )


def _author(value: Any) -> str | None:
    """Of several authors (PeerTube: account and channel) the person."""
    items = fields.listed(value, 10)
    people = [item for item in items if isinstance(item, dict) and fields.kind(item.get("type")) == "Person"]
    return fields.uri(people or items)


def _content(document: dict[str, Any]) -> tuple[str, str | None]:
    content = particulars.as_html(document, MAX_CONTENT)
    by_language = document.get("contentMap")
    if isinstance(by_language, dict):
        for language, words in list(by_language.items())[:20]:
            if isinstance(words, str) and (words == document.get("content") or not content):
                return content or fields.text(words, MAX_CONTENT), fields.text(language, 16) or None
    return content, None


def _page(uri: str, value: Any) -> str:
    """The page for people: the first link that is one, else the id."""
    for item in fields.listed(value, 20):
        if isinstance(item, dict) and str(item.get("mediaType", "text/html")) != "text/html":
            continue
        if (found := fields.uri(item)) is not None and same_host(uri, found):
            return found
    return uri


def _attachments(document: dict[str, Any]) -> tuple[ParsedAttachment, ...]:
    items = fields.listed(document.get("attachment"), MAX_ATTACHMENTS)
    if fields.kind(document.get("type"), KINDS) in ("Image", "Document"):
        items = [document, *items]
    of_note = _reservation(document)
    return _pictures(items, of_note) or _pictures(particulars.other_pictures(document), of_note)


def _pictures(items: list[Any], of_note: Reservation | None) -> tuple[ParsedAttachment, ...]:
    # A picture may be no more than its address.
    whole = ({"url": item} if isinstance(item, str) else item for item in items)
    return tuple(found for item in whole if isinstance(item, dict) and (found := _attachment(item, of_note)) is not None)


def _reservation(item: dict[str, Any]) -> Reservation | None:
    """In the words of docs/fep-ai-reservation.md and of FEP-5e53."""
    said = {"content-usage": content_usage(item), "x-robots-tag": robots_tag(item)}
    return read_headers({**said, "tdm-reservation": "1" if tdm_reservation(item) else ""})


def _attachment(item: dict[str, Any], of_note: Reservation | None) -> ParsedAttachment | None:
    url, media_type = _file(item)
    if url is None:
        return None
    media_type = media_type or fields.text(item.get("mediaType"), 100) or _by_suffix(url)
    if not (media_type or "").startswith("image/") and fields.kind(item.get("type")) != "Image":
        return None
    if media_type in _NOT_SHOWN:
        return None
    blurhash = fields.text(item.get("blurhash"), 200)
    return ParsedAttachment(
        url=url,
        media_type=media_type or None,
        alt=fields.text(item.get("summary"), 10_240) or fields.text(item.get("name"), 10_240),
        width=fields.whole(item.get("width"), 100_000),
        height=fields.whole(item.get("height"), 100_000),
        blurhash=blurhash if _BLURHASH.fullmatch(blurhash) else None,
        focal=_focal(item.get("focalPoint")),
        reservation=together([of_note, _reservation(item)]),
    )


def _file(item: dict[str, Any]) -> tuple[str | None, str | None]:
    """(address, media type) of the file: a string, a Link, or the best of a list of Links."""
    links = fields.listed(item.get("url") or item.get("href"), 20)
    pictures = [link for link in links if isinstance(link, dict) and str(link.get("mediaType", "")).startswith("image/")]
    for link in pictures or links:
        if (url := fields.uri(link)) is not None:
            return url, fields.text(link.get("mediaType"), 100) if isinstance(link, dict) else None
    return None, None


def _by_suffix(url: str) -> str | None:
    path = url.split("?")[0].lower()
    return next((kind for suffix, kind in _SUFFIXES.items() if path.endswith(suffix)), None)


def _focal(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    if not all(isinstance(part, int | float) and not isinstance(part, bool) and -1 <= part <= 1 for part in value):
        return None
    return float(value[0]), float(value[1])


def _mention(tag: Any) -> ParsedMention | None:
    if not isinstance(tag, dict) or fields.kind(tag.get("type")) != "Mention":
        return None
    href, name = fields.uri(tag.get("href")), fields.text(tag.get("name"), 512)
    return ParsedMention(href, name) if href is not None or name else None


def _hashtag(tag: Any) -> str | None:
    if not isinstance(tag, dict) or fields.kind(tag.get("type")) != "Hashtag":
        return None
    name = fields.text(tag.get("name"), 256).removeprefix("#").strip().lower()
    return name or None
