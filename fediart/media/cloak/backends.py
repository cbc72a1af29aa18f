"""Which cloaks there are, by name."""

from __future__ import annotations

from importlib.metadata import entry_points

from fediart.errors import CloakFailed
from fediart.media.cloak.backend import CloakBackend
from fediart.media.cloak.texture import TextureCloak

GROUP = "fediart.cloaks"


def cloak_named(name: str) -> CloakBackend:
    """The backend of this name: the built-in one, or an installed package's. Raises CloakFailed."""
    if name == TextureCloak.name:
        return TextureCloak()
    for found in entry_points(group=GROUP, name=name):
        backend: CloakBackend = found.load()()
        return backend
    raise CloakFailed(f"This server's settings name a cloak that is not installed: {name}.")
