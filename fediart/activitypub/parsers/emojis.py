"""Emoji tags of a post, a profile or a reaction: `:name:` and where its picture is. FEP-9098."""

from __future__ import annotations

from typing import Any

from fediart.activitypub.parsers import fields
from fediart.activitypub.vocabulary import ParsedEmoji
from fediart.domain.emojis import EMOJI_NAME

MAX_EMOJIS = 64
MAX_TAGS = 200


def parse_emojis(tags: Any) -> tuple[ParsedEmoji, ...]:
    """`tags`: the `tag` of a document. Each name once; at most MAX_EMOJIS."""
    found: dict[str, str] = {}
    for tag in fields.listed(tags, MAX_TAGS):
        if not isinstance(tag, dict) or fields.kind(tag.get("type")) not in ("Emoji", "toot:Emoji"):
            continue
        name = emoji_name(fields.text(tag.get("name"), 200))
        icon = fields.first(tag.get("icon"))
        url = _address(icon.get("url")) if isinstance(icon, dict) else fields.uri(icon)
        if name and url is not None:
            found.setdefault(name, url)
    return tuple(ParsedEmoji(name, url) for name, url in list(found.items())[:MAX_EMOJIS])


def emoji_name(text: str) -> str:
    """Of `:name:`, `name`, or Misskey's `:name@.:` (its own server's); '' where it is none."""
    name = text.strip().strip(":").removesuffix("@.")
    return name if EMOJI_NAME.fullmatch(name) else ""


def _address(value: Any) -> str | None:
    return next((found for item in fields.listed(value, 10) if (found := fields.uri(item)) is not None), None)
