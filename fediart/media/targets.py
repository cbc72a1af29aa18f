"""Sizes and files that pictures have elsewhere: what a cloaked copy for there is computed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fediart.media.files import MEDIA_TYPES

SUFFIXES = {media_type: suffix for suffix, media_type in MEDIA_TYPES.items()}
"""A media type that we write, and how the names of its files end."""


@dataclass(frozen=True, slots=True)
class Target:
    """The size and the file of a copy. It lies inside `width` × `height` and `pixels`, as seen upright, and is never enlarged.

    None: no bound. `bytes` binds a JPEG only: its quality is lowered until it fits. `quality` is a JPEG's or a WebP's.
    """

    media_type: str
    quality: int
    width: int | None = None
    height: int | None = None
    pixels: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Platform:
    """A place where pictures are shown. `keeps`: types that stay what they are there, each with its quality."""

    label: str
    target: Target
    keeps: Mapping[str, int] = field(default_factory=dict)


PLATFORMS: Mapping[str, Platform] = {
    # Looked up on 2026-11-25. Wider than 1,080 px is made smaller; 4:5 to 1.91:1 in the feed, 3:4 too since 2025, 9:16 in
    # stories; 8 MB by the API (docs.ayrshare.com/docs/media-guidelines/instagram, docs.getlate.dev/resources/media-guidelines/
    # instagram, inssist.com/knowledge-base/instagram-image-size-cheat-sheet). Every upload is compressed anew, at a quality
    # that Instagram does not tell (guides guess 70 to 85): ours is above it, so that not twice as much is lost.
    "instagram": Platform("Instagram", Target("image/jpeg", 90, width=1_080, height=1_920, bytes=8_000_000)),
    # Mastodon 4.7 (2026-08): up to 8,294,400 px and 16 MB a file is kept byte for byte, a larger one is made smaller and
    # compressed at 90. Pixelfed drops what has a side over 5,000 px. The same bounds as our own public copy's, and its quality.
    "mastodon": Platform("Mastodon", Target("image/jpeg", 92, width=5_000, height=5_000, pixels=8_294_400, bytes=16_000_000)),
    # For one's own page or blog: sharp on a screen of twice the usual density, some 500 kB.
    "web": Platform("a web page", Target("image/jpeg", 85, width=2_048, height=2_048)),
    # Nothing made smaller, nothing to be seen of compression.
    "print": Platform("print", Target("image/png", 97), keeps={"image/jpeg": 97}),
}

KEPT = {"image/jpeg": 95, "image/png": 95, "image/webp": 95}
"""Where no platform is named a copy has the type and the size of its original. WebP is written with losses.
Of other types it is a PNG."""


def target_for(platform: str | None, original_type: str) -> Target:
    """What a copy of a file of this type becomes. `platform`: of PLATFORMS, or None for the size and type that it has."""
    if platform is None:
        return Target(original_type, KEPT[original_type]) if original_type in KEPT else Target("image/png", KEPT["image/png"])
    found = PLATFORMS[platform]
    if original_type in found.keeps:
        return replace(found.target, media_type=original_type, quality=found.keeps[original_type])
    return found.target
