"""`:name:` in words of other servers becomes a small picture from our own store. Where it is not here, the name stays."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from fediart.domain.emojis import ShownEmoji
from fediart.domain.works import ShownActor

_TAG = re.compile(r'(<(?:[^"<>]|"[^"]*")*>)')
"""As our sanitiser writes them: attributes in double quotes, and no other `<`."""


def with_emojis(words: str, emojis: Sequence[ShownEmoji]) -> Markup:
    """`words`: sanitised or escaped HTML. Only what stands between its tags is looked at; names of emoji have no markup."""
    pictures = {f":{emoji.name}:": _picture(emoji) for emoji in emojis if emoji.file is not None}
    if pictures:
        named = re.compile("|".join(re.escape(name) for name in pictures))
        parts = _TAG.split(words)
        parts[::2] = [named.sub(lambda match: pictures[match[0]], part) for part in parts[::2]]
        words = "".join(parts)
    return Markup(words)  # noqa: S704  # it was safe, and what was put into it is ours


def named(shown: ShownActor) -> Markup:
    """How somebody calls themselves."""
    return with_emojis(str(escape(shown.actor.shown_name)), shown.emojis)


def escaped(words: str, emojis: Sequence[ShownEmoji]) -> Markup:
    """Plain text, with emojis."""
    return with_emojis(str(escape(words)), emojis)


def _picture(emoji: ShownEmoji) -> str:
    file = emoji.file
    assert file is not None  # only those are asked for
    return (
        f'<img class="emoji" src="/media/{file.name}" alt=":{emoji.name}:" title=":{emoji.name}:" '
        f'width="{file.width}" height="{file.height}" loading="lazy">'
    )
