"""Which cloaks fediart has, and which of them the settings mean: for the server, which loads none of them itself."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

AUTO, TEXTURE, STEERED = "auto", "texture", "encoders"
VERSIONS = {TEXTURE: 2, STEERED: 2}
"""What goes up when the same picture would be cloaked otherwise."""


def chosen(name: str, encoders: Sequence[tuple[str, Path]]) -> str:
    """Which backend a name of the settings means: `auto` the one that encoders steer where some can run, else the texture."""
    if name != AUTO:
        return name
    return STEERED if encoders and find_spec("onnxruntime") is not None else TEXTURE
