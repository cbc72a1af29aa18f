"""What an artist types becomes HTML: paragraphs, links, hashtags and mentions, in the shape other servers expect."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fediart.text.sanitise import plain_text


@dataclass(frozen=True, slots=True)
class MentionTarget:
    """Who an @name means: their page, their id, and their full handle without the first @."""

    url: str
    uri: str
    acct: str


@dataclass(frozen=True, slots=True)
class Composed:
    """`mentions` are the handles as they were typed, lower-case, of those that were found."""

    html: str
    hashtags: tuple[str, ...]
    mentions: tuple[str, ...]


_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?(?::[0-9]{1,5})?"
_TOKEN = re.compile(
    r"(?P<url>https?://[^\s<>\"]{1,2000})"
    rf"|(?<![\w/@])@(?P<mention>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,60}}(?:@{_HOST})?)"
    r"|(?<![\w/#&])#(?P<tag>\w{1,100})",
)
_TRAILING = ".,;:!?)]}'\""


def find_mentions(text: str) -> tuple[str, ...]:
    """The handles in a text (`mira@art.example`, or `mira` alone), lower-case, each once."""
    found = (match["mention"] for match in _TOKEN.finditer(text) if match["mention"])
    return tuple(dict.fromkeys(handle.rstrip(".-").lower() for handle in found))


def compose(text: str, *, resolve_mention: Mapping[str, MentionTarget], tag_url: Callable[[str], str]) -> Composed:
    """Plain text to HTML. `resolve_mention` maps handles of `find_mentions` to whom they mean."""
    hashtags: dict[str, None] = {}
    mentions: dict[str, None] = {}

    def marked(match: re.Match[str]) -> str:
        if match["url"]:
            return _link(match["url"])
        if match["mention"]:
            return _mention(match["mention"], resolve_mention, mentions)
        tag = match["tag"]
        if tag.isdigit():
            return "#" + tag
        hashtags[tag.lower()] = None
        href = html.escape(tag_url(tag.lower()))
        return f'<a href="{href}" class="mention hashtag" rel="tag">#<span>{html.escape(tag)}</span></a>'

    paragraphs = [part for part in re.split(r"\n[ \t]*\n\s*", text.replace("\r\n", "\n").strip()) if part]
    body = "".join(f"<p>{_marked_line(part, marked)}</p>" for part in paragraphs)
    return Composed(body, tuple(hashtags), tuple(mentions))


def _marked_line(part: str, marked: Callable[[re.Match[str]], str]) -> str:
    out, at = [], 0
    for match in _TOKEN.finditer(part):
        out += [html.escape(part[at : match.start()], quote=False), marked(match)]
        at = match.end()
    out.append(html.escape(part[at:], quote=False))
    return "".join(out).replace("\n", "<br>")


_OWN_LINK = re.compile(r'<a href="([^"]*)" rel="[^"]*">[^<]*</a>')


def typed(made: str) -> str:
    """The line that `compose` made this HTML of, where the line itself was not kept: its links whole, not as they are shown."""
    return plain_text(_OWN_LINK.sub(lambda match: html.escape(html.unescape(match[1]), quote=False), made))


def _link(url: str) -> str:
    bare = url.rstrip(_TRAILING)
    shown = bare.split("://", 1)[1]
    link = f'<a href="{html.escape(bare)}" rel="nofollow noopener noreferrer">{html.escape(shown)}</a>'
    return link + html.escape(url[len(bare) :])


def _mention(typed: str, known: Mapping[str, MentionTarget], mentions: dict[str, None]) -> str:
    handle = typed.rstrip(".-")
    rest = typed[len(handle) :]
    target = known.get(handle.lower())
    if target is None:
        return "@" + html.escape(typed)
    mentions[handle.lower()] = None
    name = html.escape(target.acct.split("@")[0])
    link = f'<a href="{html.escape(target.url)}" class="u-url mention">@<span>{name}</span></a>'
    return f'<span class="h-card">{link}</span>{html.escape(rest)}'
