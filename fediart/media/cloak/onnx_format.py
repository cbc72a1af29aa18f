"""ONNX models as bytes: as much of the format (onnx.proto, IR version 10) as our encoders need.

A model is written, never read: reading and running are onnxruntime's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

OPSET, IR_VERSION = 20, 10
_FLOAT, _INT64 = 1, 7
_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_INTS = 1, 2, 7

Attribute = int | float | Sequence[int]


def _varint(value: int) -> bytes:
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field_: int, value: int) -> bytes:
    return _varint(field_ << 3 | _VARINT) + _varint(value)


def _part(field_: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field_ << 3 | _BYTES) + _varint(len(data)) + data


def _attribute(name: str, value: Attribute) -> bytes:
    out = _part(1, name)
    if isinstance(value, float):
        return out + _varint(2 << 3 | _FIXED32) + np.float32(value).tobytes() + _number(20, _ATTRIBUTE_FLOAT)
    if isinstance(value, int):
        return out + _number(3, value) + _number(20, _ATTRIBUTE_INT)
    return out + b"".join(_number(8, one) for one in value) + _number(20, _ATTRIBUTE_INTS)


def _tensor(name: str, values: NDArray[np.float32] | NDArray[np.int64]) -> bytes:
    kind = _INT64 if values.dtype == np.int64 else _FLOAT
    dims = b"".join(_number(1, side) for side in values.shape)
    little = np.ascontiguousarray(values, "<i8" if kind == _INT64 else "<f4")
    return dims + _number(2, kind) + _part(8, name) + _part(9, little.tobytes())


def _named_type(name: str, shape: Sequence[int | str]) -> bytes:
    """A float tensor's name and shape; a side that is a word may have any length."""
    dims = b"".join(_part(1, _number(1, side) if isinstance(side, int) else _part(2, side)) for side in shape)
    return _part(1, name) + _part(2, _part(1, _number(1, _FLOAT) + _part(2, dims)))


@dataclass(slots=True)
class Model:
    """A graph in the making. Names of tensors are chosen here: `t1`, `t2`, …"""

    _nodes: list[bytes] = field(default_factory=list)
    _constants: dict[str, bytes] = field(default_factory=dict)
    _inputs: list[bytes] = field(default_factory=list)
    _outputs: list[bytes] = field(default_factory=list)
    _count: int = 0

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        self._inputs.append(_named_type(name, shape))
        return name

    def constant(self, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        """A tensor that is part of the model; the same one is kept once."""
        key = f"c{len(self._constants)}"
        body = _tensor("", values)
        for known, held in self._constants.items():
            if held == body:
                return known
        self._constants[key] = body
        return key

    def node(self, kind: str, inputs: Sequence[str], **attributes: Attribute) -> str:
        """Add an operator; returns the name of its one output."""
        self._count += 1
        name = f"t{self._count}"
        body = b"".join(_part(1, one) for one in inputs) + _part(2, name) + _part(4, kind)
        self._nodes.append(body + b"".join(_part(5, _attribute(key, value)) for key, value in attributes.items()))
        return name

    def output(self, tensor: str, name: str, shape: Sequence[int | str]) -> None:
        self._nodes.append(_part(1, tensor) + _part(2, name) + _part(4, "Identity"))
        self._outputs.append(_named_type(name, shape))

    def to_bytes(self) -> bytes:
        graph = b"".join(_part(1, node) for node in self._nodes) + _part(2, "encoder")
        for name, body in self._constants.items():
            graph += _part(5, body + _part(8, name))
        graph += b"".join(_part(11, one) for one in self._inputs) + b"".join(_part(12, one) for one in self._outputs)
        opset = _part(1, "") + _number(2, OPSET)
        return _number(1, IR_VERSION) + _part(2, "fediart") + _part(7, graph) + _part(8, opset)
