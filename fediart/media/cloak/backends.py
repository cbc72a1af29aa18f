"""Which cloaks there are, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from fediart.errors import CloakFailed
from fediart.media.cloak.backend import CloakBackend
from fediart.media.cloak.built_in import STEERED, TEXTURE, chosen
from fediart.media.cloak.steered import SteeredCloak
from fediart.media.cloak.texture import TextureCloak

GROUP = "fediart.cloaks"
BUILT_IN: dict[str, Callable[[], CloakBackend]] = {TEXTURE: TextureCloak, STEERED: SteeredCloak}


def cloak_named(name: str) -> CloakBackend:
    """The backend of this name: the built-in one, or an installed package's. Raises CloakFailed."""
    if name in BUILT_IN:
        return BUILT_IN[name]()
    for found in entry_points(group=GROUP, name=name):
        backend: CloakBackend = found.load()()
        return backend
    raise CloakFailed(f"This server's settings name a cloak that is not installed: {name}.")


def cloak_for(name: str, encoders: Sequence[tuple[str, Path]]) -> CloakBackend:
    """The backend that a name of the settings means. Raises CloakFailed."""
    return cloak_named(chosen(name, encoders))
