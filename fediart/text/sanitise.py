"""HTML of strangers becomes HTML that may stand in our pages. Bounds come before the sanitiser, which is quadratic in nesting."""

from __future__ import annotations

import html
import re

import nh3

MAX_CHARS = 65_536
MAX_TAGS = 2_000
MAX_BYTES = 200_000
"""Of what comes out: the sanitiser closes and escapes, up to six times what came in."""

_TAGS = frozenset(
    [
        "p",
        "br",
        "span",
        "a",
        "em",
        "strong",
        "b",
        "i",
        "u",
        "del",
        "s",
        "code",
        "pre",
        "blockquote",
        "ul",
        "ol",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ruby",
        "rt",
        "rp",
        "sub",
        "sup",
    ]
)
_CLASSES = frozenset({"mention", "hashtag", "u-url", "h-card", "invisible", "ellipsis", "quote-inline"})
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2069\u3164\ufeff\uffa0\ufff9-\ufffb]"
)
"""Control characters, what turns the direction of letters, and what takes no room or looks like none."""


def _attribute(_tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return " ".join(word for word in value.split() if word in _CLASSES) or None
    return value


_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    attributes={"a": {"href", "class"}, "span": {"class"}},
    attribute_filter=_attribute,
    url_schemes={"http", "https"},
    link_rel="nofollow noopener noreferrer",
    strip_comments=True,
    # Out of its own site a relative address would lead into ours.
    url_relative="deny",
)
_STRIPPER = nh3.Cleaner(tags=set(), attributes={}, strip_comments=True)


def clean_html(raw: str) -> str:
    """Sanitised HTML of at most MAX_BYTES. What is too long or too nested to be read safely comes back as plain text."""
    if len(raw) <= MAX_CHARS and raw.count("<") <= MAX_TAGS:
        cleaned = _CLEANER.clean(raw)
        if len(cleaned.encode()) <= MAX_BYTES:
            return cleaned
    words = _TAG.sub(" ", raw[:MAX_CHARS]).strip()
    escaped = html.escape(words, quote=False)
    if len(escaped.encode()) > MAX_BYTES - 7:
        # No character takes more than five bytes then, whether escaped or encoded.
        escaped = html.escape(words[: (MAX_BYTES - 7) // 5], quote=False)
    return f"<p>{escaped}</p>"


_TAG = re.compile(r"<[^<>]{0,2000}>")


def plain_text(raw: str) -> str:
    """The words of HTML, without markup, entities resolved; paragraphs and breaks become spaces."""
    if len(raw) > MAX_CHARS or raw.count("<") > MAX_TAGS:
        return html.unescape(_TAG.sub(" ", raw[:MAX_CHARS])).strip()
    spaced = raw.replace("</p>", "</p> ").replace("<br", " <br")
    return " ".join(html.unescape(_STRIPPER.clean(spaced)).split())


def clean_name(raw: str, limit: int = 120) -> str:
    """A name in one line: without control, bidi and zero-width characters, which could imitate another."""
    return " ".join(_INVISIBLE.sub("", raw).split())[:limit]
