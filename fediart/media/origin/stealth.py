"""Settings hidden in the lowest bits of a picture's alpha channel, as NovelAI and others write them: only that they are there.

The bits run down the columns from the top left; the first fifteen bytes are a word. Nothing more is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fediart.domain.origin import Level, Signal

if TYPE_CHECKING:
    from PIL.Image import Image

WORDS = (b"stealth_pnginfo", b"stealth_pngcomp")
PIXELS = 8 * len(WORDS[0])


def hidden_settings(picture: Image) -> list[Signal]:
    """Of a loaded picture in its own mode and size. Only one with alpha has them."""
    if picture.mode not in ("RGBA", "LA") or picture.width * picture.height < PIXELS:
        return []
    columns = -(-PIXELS // picture.height)
    alpha = picture.crop((0, 0, columns, min(picture.height, PIXELS))).getchannel("A")
    rows, height = alpha.tobytes(), alpha.height
    bits = [rows[place % height * columns + place // height] & 1 for place in range(PIXELS)]
    word = bytes(int("".join(map(str, bits[start : start + 8])), 2) for start in range(0, PIXELS, 8))
    if word not in WORDS:
        return []
    return [Signal(Level.GENERATOR, "stealth", "The transparency of this picture hides settings of an image generator.")]
