"""Pictures that other servers write as `:name:` in their words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fediart.domain.images import Rendition, ShownImage

EMOJI_NAME = re.compile(r"[A-Za-z0-9_+-]{1,64}")
IN_TEXT = re.compile(r":([A-Za-z0-9_+-]{1,64})(?=:)")
"""The next one may begin with the colon that ends this one."""


@dataclass(frozen=True, slots=True)
class ShownEmoji:
    """`name` without colons."""

    name: str
    image: ShownImage

    @property
    def file(self) -> Rendition | None:
        """None while it is not here: then its name stands there."""
        return self.image.public


@dataclass(frozen=True, slots=True)
class Reaction:
    """`face`: what so many likes of a work were said with, an emoji or `:name:`; `emojis`: it, where it is a picture."""

    face: str
    count: int
    emojis: tuple[ShownEmoji, ...] = ()


def names_in(text: str) -> set[str]:
    """What may be an emoji in a text, or in HTML."""
    return set(IN_TEXT.findall(text)) if text.count(":") > 1 else set()
