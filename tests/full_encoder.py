"""Files of full encoders that the project makes itself: random weights under the published names, in the published shapes."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fediart.media.cloak.architectures import ARCHITECTURES, Architecture, Shape

F = NDArray[np.float32]

STABLE_DIFFUSION, FLUX_2, WAN = ARCHITECTURES
WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4}
ORDER = ("I64", "F32", "I32", "F16", "BF16")
"""In which the program that writes such files puts values: the wider first."""


def full_weight(architecture: Architecture, name: str, seed: int = 1) -> F:
    """The same arguments give the same numbers. Readings of an ordinary picture are of the order of 1."""
    shape = architecture.tensors()[name]
    random = np.random.default_rng([seed, *name.encode()])
    if name.endswith("gamma") or (name.endswith(".weight") and len(shape) == 1):
        return random.normal(1, 0.1, shape).astype(np.float32)
    if len(shape) == 1:
        return random.normal(0, 0.05, shape).astype(np.float32)
    met = math.prod(shape[1:]) // (shape[2] if len(shape) == 5 else 1)
    return random.standard_normal(shape, dtype=np.float32) * np.float32(met**-0.5)


def header(tensors: dict[str, tuple[str, Shape]], metadata: dict[str, str] | None = None) -> tuple[bytes, int]:
    """(what a `.safetensors` file with these tensors, name → (kind, shape), begins with, bytes of values behind it)."""
    told: dict[str, object] = {} if metadata is None else {"__metadata__": metadata}
    at = 0
    for name, (kind, shape) in sorted(tensors.items(), key=lambda one: (ORDER.index(one[1][0]), one[0])):
        size = math.prod(shape) * WIDTHS[kind]
        told[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    coded = json.dumps(told, separators=(",", ":")).encode()
    return struct.pack("<Q", len(coded)) + coded, at


def empty_full_encoder(path: Path, architecture: Architecture, kind: str = "F16") -> Path:
    """A file of the right names and shapes whose values are all zeros; the disk hardly notices."""
    start, size = header({name: (kind, shape) for name, shape in architecture.tensors().items()})
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + size)
    return path


def full_encoder(path: Path, architecture: Architecture, kind: str = "F16") -> Path:
    """A file with random weights."""
    start, _ = header({name: (kind, shape) for name, shape in architecture.tensors().items()})
    with path.open("wb") as file:
        file.write(start)
        for name in sorted(architecture.tensors()):
            file.write(full_weight(architecture, name).astype("<f2" if kind == "F16" else "<f4").tobytes())
    return path
