"""Tiny encoders that the project makes itself: random weights in the layers, names and files of the TAESD family.

The file is written byte by byte in the format that torch writes (a zip, a pickle of protocol 2 with persistent ids, one
record for each tensor), without torch; every part can be made wrong, so that hostile files are made here too.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

F = NDArray[np.float32]

KINDS = ("plain", "pooled", "deep", "video")
"""plain: halves three times (taesd, taesdxl, taesd3, taef1). pooled: with a group norm over the whole picture (taef2).
deep: halves five times (taesana). video: blocks that remember the frame before, and a decoder in the same file (taew2_1)."""


def _layers(kind: str, blocks: int) -> list[str]:
    """What stands under each number. A ReLU has a number too, and no tensors."""
    stage = ["half", *["block"] * blocks]
    if kind == "video":
        return ["first", "relu", "two frames", *stage, "two frames", *stage, "one frame", *stage, "last"]
    start = ["narrow", "relu", "widen", "relu", "block"] if kind == "deep" else ["first", "block"]
    end = ["half", *["pooled block"] * blocks] if kind == "pooled" else stage
    return [*start, *stage, *stage, *end, "last"]


def _convolution(
    found: dict[str, F],
    random: np.random.Generator,
    name: str,
    shape: tuple[int, int, int],
    *,
    bias: bool = True,
    gain: float = 1.0,
) -> None:
    """`shape`: channels out, channels in, side."""
    outs, ins, side = shape
    spread = gain * np.sqrt(2 / (ins * side * side))
    found[f"{name}.weight"] = random.normal(0, spread, (outs, ins, side, side)).astype(np.float32)
    if bias:
        found[f"{name}.bias"] = random.normal(0, 0.05, outs).astype(np.float32)


def _block(
    found: dict[str, F], random: np.random.Generator, name: str, width: int, *, pooled: bool, remembers: bool = False
) -> None:
    _convolution(found, random, f"{name}.conv.0", (width, width * 2 if remembers else width, 3))
    _convolution(found, random, f"{name}.conv.2", (width, width, 3))
    _convolution(found, random, f"{name}.conv.4", (width, width, 3), gain=0.5)
    if pooled:
        _convolution(found, random, f"{name}.pool.0", (4 * width, width, 1), bias=False)
        found[f"{name}.pool.1.weight"] = random.normal(1, 0.1, 4 * width).astype(np.float32)
        found[f"{name}.pool.1.bias"] = random.normal(0, 0.1, 4 * width).astype(np.float32)
        _convolution(found, random, f"{name}.pool.3", (width, 4 * width, 1), bias=False, gain=0.3)


def tiny_weights(kind: str = "plain", seed: int = 1, *, width: int = 8, channels: int = 4, blocks: int = 1) -> dict[str, F]:
    """Named tensors. The same arguments give the same numbers. Latents of an ordinary picture are of the order of 1."""
    random = np.random.default_rng(seed)
    found: dict[str, F] = {}

    def convolution(name: str, outs: int, ins: int, side: int = 3, *, bias: bool = True) -> None:
        _convolution(found, random, name, (outs, ins, side), bias=bias)

    for at, what in enumerate(_layers(kind, blocks)):
        name = f"encoder.{at}" if kind == "video" else str(at)
        if what in ("first", "narrow"):
            convolution(name, width // 2 if what == "narrow" else width, 3)
        elif what == "widen":
            convolution(name, width, width // 2)
        elif what == "half":
            convolution(name, width, width, bias=False)
        elif what in ("two frames", "one frame"):
            convolution(f"{name}.conv", width, width * (2 if what == "two frames" else 1), 1, bias=False)
        elif what == "last":
            convolution(name, channels, width)
        elif what != "relu":
            _block(found, random, name, width, pooled=what == "pooled block", remembers=kind == "video")
    if kind == "video":
        convolution("decoder.1", width, channels)
    return found


def tiny_decoder_weights(kind: str = "plain", seed: int = 1, *, width: int = 8, channels: int = 4) -> dict[str, F]:
    """Named tensors of a decoder that doubles three times, for the latents of a plain or a pooled encoder.

    Numbers without tensors: what bends the latent, the ReLU after the first convolution, and each doubling.
    """
    random = np.random.default_rng(seed)
    found: dict[str, F] = {}
    _convolution(found, random, "1", (width, channels, 3))
    at = 3
    for stage in range(3):
        _block(found, random, str(at), width, pooled=kind == "pooled" and stage == 0)
        _convolution(found, random, str(at + 2), (width, width, 3), bias=False)
        at += 3
    _block(found, random, str(at), width, pooled=False)
    _convolution(found, random, str(at + 1), (3, width, 3), gain=0.2)
    found[f"{at + 1}.bias"] += np.float32(0.5)  # most of what it makes is a colour
    return found


# ------------------------------------------------------------------------------------------------------- the pickle


def text(value: str) -> bytes:
    coded = value.encode()
    return b"X" + struct.pack("<I", len(coded)) + coded


def number(value: int) -> bytes:
    return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(number(value) for value in values) + b"t"


def steps(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a tensor that lies in one piece, in values."""
    return tuple(int(np.prod(shape[at + 1 :])) for at in range(len(shape)))


STORAGES = {"float16": "HalfStorage", "float32": "FloatStorage", "bfloat16": "BFloat16Storage"}
NEW_DICT = b"ccollections\nOrderedDict\n)R"
"""A new OrderedDict."""


def tensor(
    key: str,
    shape: tuple[int, ...],
    *,
    kind: str = "float16",
    offset: int = 0,
    strides: tuple[int, ...] | None = None,
    count: int | None = None,
) -> bytes:
    """A tensor on the pickle's stack. `count`: values that its storage claims to hold."""
    claimed = int(np.prod(shape)) if count is None else count
    storage = text("storage") + b"ctorch\n" + STORAGES[kind].encode() + b"\n" + text(key) + text("cpu") + number(claimed)
    layout = number(offset) + numbers(shape) + numbers(steps(shape) if strides is None else strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n((" + storage + b"tQ" + layout + b"\x89" + NEW_DICT + b"tR"


def pickled(named: Mapping[str, bytes]) -> bytes:
    """A pickle of an OrderedDict with these values, with the attribute that torch leaves on it."""
    items = b"".join(text(name) + value for name, value in named.items())
    metadata = b"}" + text("_metadata") + NEW_DICT + b"sb"
    return b"\x80\x02" + NEW_DICT + b"q\x00(" + items + b"u" + metadata + b"."


def zipped(entries: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return out.getvalue()


def coded(values: F, kind: str) -> bytes:
    if kind == "bfloat16":
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return values.astype("<f2" if kind == "float16" else "<f4").tobytes()


def pth(weights: Mapping[str, F], *, kind: str = "float16", pickle: bytes | None = None, root: str = "tiny") -> bytes:
    """A `.pth` file. `pickle` in the place of the right one."""
    entries: dict[str, bytes] = {}
    named: dict[str, bytes] = {}
    for at, (name, values) in enumerate(weights.items()):
        named[name] = tensor(str(at), values.shape, kind=kind)
        entries[f"{root}/data/{at}"] = coded(values, kind)
    first = {f"{root}/data.pkl": pickled(named) if pickle is None else pickle, f"{root}/byteorder": b"little"}
    return zipped({**first, **entries, f"{root}/version": b"3\n"})


def safetensors(weights: Mapping[str, F], *, kind: str = "float16") -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, values in weights.items():
        data = coded(values, kind)
        dtype = {"float16": "F16", "float32": "F32", "bfloat16": "BF16"}[kind]
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    told = json.dumps(header).encode()
    return struct.pack("<Q", len(told)) + told + body


def tiny_encoder(path: Path, kind: str = "plain", seed: int = 1, *, width: int = 8, channels: int = 4, blocks: int = 1) -> Path:
    """Write a tiny encoder's `.pth` file."""
    path.write_bytes(pth(tiny_weights(kind, seed, width=width, channels=channels, blocks=blocks)))
    return path


def tiny_decoder(path: Path, kind: str = "plain", seed: int = 1) -> Path:
    """Write a tiny decoder's `.pth` file."""
    path.write_bytes(pth(tiny_decoder_weights(kind, seed)))
    return path
