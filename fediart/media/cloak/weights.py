"""Encoder files: bytes that nobody vouches for become named tensors, and nothing else can come of them.

A `.pth` file is a zip with a pickle. Python's unpickler is not used: what a pickle of tensors is made of is read here, word
by word, and none of its words calls anything. Torch leaves its entries uncompressed, and so must every file: what is read
is never larger than the file. `.safetensors` is read too. What the tensors mean is told by `layers`.

Full encoders have files of hundreds of megabytes, `.safetensors` only: of those (`FullFile`) the header is read, and then the
tensors that are wanted, one by one.
"""

from __future__ import annotations

import hashlib
import math
import struct
import weakref
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from fediart.errors import BadEncoder
from fediart.media.cloak.encoder_files import MAX_BYTES, MAX_FULL_BYTES, read_bounded

F = NDArray[np.float32]

_MAX_HEAD = 1 << 20
"""Of what describes the tensors: the pickle, the header, the zip's directory. That of a real encoder has 10 kB."""
_MAX_ENTRIES = 2_048
_MAX_TENSORS = 1_024
_MAX_VALUES = MAX_BYTES // 2
"""Of all tensors together: two tensors may lie on the same storage."""


def read_weights(path: Path, sha256: str | None = None) -> dict[str, F]:
    """The named tensors of a file. With `sha256`, or the beginning of one, it must be that file, which is known before anything
    else is looked at.

    Raises BadEncoder.
    """
    data = read_bounded(path)
    if sha256 is not None and not hashlib.sha256(data).hexdigest().startswith(sha256):
        raise BadEncoder(f"{path.name} is not the file that it should be: its sha256 is another.")
    return weights_of(data)


def weights_of(data: bytes) -> dict[str, F]:
    """The named tensors in the bytes of a `.pth` or `.safetensors` file. Raises BadEncoder."""
    if data[:4] == b"PK\x03\x04":
        return _from_pth(data)
    if data[8:9] == b"{":
        return _from_safetensors(data)
    raise BadEncoder("This is no encoder file: neither a .pth file of torch 1.6 or newer, nor a .safetensors file.")


# ----------------------------------------------------------------------------------------------------------- tensors


def _tensor(name: object, data: memoryview, kind: str, shape: tuple[int, ...]) -> F:
    """`data` holds exactly the values."""
    if kind == "bfloat16":
        values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(data, "<f2" if kind == "float16" else "<f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise BadEncoder(f"The tensor {name} holds values that are no numbers.")
    return values.reshape(shape)


_WIDTHS = {"float16": 2, "float32": 4, "bfloat16": 2}


def _count(shape: object) -> int:
    """How many values a tensor of this shape has. Raises BadEncoder when it is no shape."""
    if (
        not isinstance(shape, tuple | list)
        or len(shape) > 5
        or not all(type(side) is int and 1 <= side <= 65_536 for side in shape)
    ):
        raise BadEncoder("A tensor in this file has a shape that cannot be.")
    return math.prod(shape)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= 200 or not name.isprintable():
        raise BadEncoder("A tensor in this file has a name that cannot be.")
    return name


def _check_total(counts: list[int]) -> None:
    if len(counts) > _MAX_TENSORS or sum(counts) > _MAX_VALUES:
        raise BadEncoder("This file holds more than any small encoder does.")


# ------------------------------------------------------------------------------------------------------- safetensors


class _Place(msgspec.Struct, frozen=True):
    """https://github.com/huggingface/safetensors#format"""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


_DTYPES = {"F16": "float16", "F32": "float32", "BF16": "bfloat16"}


def _places(header: bytes) -> dict[str, _Place]:
    """What a header says. Raises BadEncoder."""
    try:
        entries = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        return {name: msgspec.json.decode(raw, type=_Place) for name, raw in entries.items()}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadEncoder("The header of this .safetensors file cannot be read.") from None


def _from_safetensors(data: bytes) -> dict[str, F]:
    (size,) = struct.unpack_from("<Q", data)
    if size > min(_MAX_HEAD, len(data) - 8):
        raise BadEncoder("This .safetensors file is not whole.")
    places = _places(data[8 : 8 + size])
    _check_total([_count(place.shape) for place in places.values()])
    body = memoryview(data)[8 + size :]
    found = {}
    for name, place in places.items():
        kind = _DTYPES.get(place.dtype)
        start, end = place.data_offsets
        if kind is None:
            raise BadEncoder("This .safetensors file holds values that no small encoder has.")
        if not 0 <= start <= end <= len(body) or end - start != _count(place.shape) * _WIDTHS[kind]:
            raise BadEncoder("This .safetensors file is not whole.")
        found[_checked_name(name)] = _tensor(name, body[start:end], kind, tuple(place.shape))
    return found


class FullFile:
    """An opened `.safetensors` file of a full encoder. Only what is asked for comes into memory.

    It stays the same file when another is put in its place. Raises BadEncoder when it cannot be one, or is not whole.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        try:
            self._file = path.open("rb")
        except OSError as problem:
            raise BadEncoder(f"{path.name} cannot be read: {problem.strerror}.") from None
        # Whoever works with it keeps it as long as itself.
        self.close = weakref.finalize(self, self._file.close)
        try:
            self._places = self._read_places()
        except BaseException:
            self.close()
            raise

    def _read_places(self) -> dict[str, _Place]:
        self.size = self._file.seek(0, 2)
        if self.size > MAX_FULL_BYTES:
            raise BadEncoder(f"{self._name} is larger than {MAX_FULL_BYTES >> 20} MB: this is no encoder.")
        self._file.seek(0)
        start = self._file.read(9)
        if start[8:] != b"{":
            raise BadEncoder(f"{self._name} is too large for a small encoder, and of full ones only .safetensors are read.")
        (header,) = struct.unpack_from("<Q", start)
        if header > min(_MAX_HEAD, self.size - 8):
            raise BadEncoder("This .safetensors file is not whole.")
        self._file.seek(8)
        places = _places(self._file.read(header))
        self._begin = 8 + header
        if len(places) > _MAX_TENSORS:
            raise BadEncoder("This file holds more than any encoder does.")
        return places

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all its tensors, by name."""
        return {name: tuple(place.shape) for name, place in self._places.items()}

    def sha256(self) -> str:
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()

    def tensor(self, name: str) -> F:
        """Raises BadEncoder."""
        place = self._places[name]
        kind, (start, end) = _DTYPES.get(place.dtype), place.data_offsets
        if kind is None:
            raise BadEncoder("This .safetensors file holds values of a kind that is not read here.")
        count = _count(place.shape) * _WIDTHS[kind]
        if not 0 <= start <= end <= self.size - self._begin or end - start != count:
            raise BadEncoder("This .safetensors file is not whole.")
        self._file.seek(self._begin + start)
        data = self._file.read(count)
        if len(data) != count:
            raise BadEncoder("This .safetensors file is not whole.")
        return _tensor(_checked_name(name), memoryview(data), kind, tuple(place.shape))


# --------------------------------------------------------------------------------------------------------------- pth


def _from_pth(data: bytes) -> dict[str, F]:
    entries = _entries(data)
    pickles = [name for name in entries if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise BadEncoder("This zip is no .pth file of torch.")
    root = pickles[0].removesuffix("data.pkl")
    if bytes(entries.get(f"{root}byteorder", b"little")) != b"little":
        raise BadEncoder("This .pth file was written by a big-endian machine, which is not read here.")
    described = _described(bytes(entries[pickles[0]][: _MAX_HEAD + 1]))
    _check_total([tensor.count for tensor in described.values()])
    found = {}
    for name, tensor in described.items():
        storage = entries.get(f"{root}data/{tensor.storage.key}")
        width = _WIDTHS[tensor.storage.kind]
        if storage is None or len(storage) != tensor.storage.count * width:
            raise BadEncoder(f"This .pth file is not whole: the values of {name} are missing.")
        start = tensor.offset * width
        found[name] = _tensor(name, storage[start : start + tensor.count * width], tensor.storage.kind, tensor.shape)
    return found


_BROKEN_ZIP = "This .pth file is not whole: its zip directory cannot be read."


def _entries(data: bytes) -> dict[str, memoryview]:
    """Name → content of a zip whose entries are all uncompressed. Nothing is copied.

    https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
    """
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if end < 0 or end + 22 > len(data):
        raise BadEncoder(_BROKEN_ZIP)
    count, size, at = struct.unpack_from("<HII", data, end + 10)
    if count > _MAX_ENTRIES or size > _MAX_HEAD or at + size > end:
        raise BadEncoder(_BROKEN_ZIP)
    whole = memoryview(data)
    found: dict[str, memoryview] = {}
    total = 0
    try:
        for _ in range(count):
            if data[at : at + 4] != b"PK\x01\x02":
                raise BadEncoder(_BROKEN_ZIP)
            method, crc, packed, length, named, extra, comment = struct.unpack_from("<10xH4xIIIHHH", data, at)
            (header,) = struct.unpack_from("<I", data, at + 42)
            name = data[at + 46 : at + 46 + named].decode()
            at += 46 + named + extra + comment
            if method != 0 or packed != length:
                raise BadEncoder("This .pth file is compressed, which torch never does: it is not opened.")
            if data[header : header + 4] != b"PK\x03\x04":
                raise BadEncoder(_BROKEN_ZIP)
            start = header + 30 + sum(struct.unpack_from("<HH", data, header + 26))
            content = whole[start : start + length]
            if len(content) != length or name in found:
                raise BadEncoder(_BROKEN_ZIP)
            # Entries that lie over each other would make much out of little.
            total += length
            if total > len(data):
                raise BadEncoder(_BROKEN_ZIP)
            found[name] = content
            if zlib.crc32(content) != crc:
                raise BadEncoder(f"This .pth file is damaged: the checksum of {name[:80]} is wrong.")
    except (struct.error, UnicodeDecodeError):
        raise BadEncoder(_BROKEN_ZIP) from None
    return found


# -------------------------------------------------------------------------------------------------------- the pickle


class _Storage:
    """Values of a record in the zip. `count` and `kind` are what the pickle says of them."""

    __slots__ = ("count", "key", "kind")

    def __init__(self, key: str, kind: str, count: int) -> None:
        self.key, self.kind, self.count = key, kind, count


class _Described:
    """A tensor, as the pickle describes it: it lies in one piece."""

    __slots__ = ("count", "offset", "shape", "storage")

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...]) -> None:
        self.storage, self.offset, self.shape, self.count = storage, offset, shape, math.prod(shape)


class _Named:
    """An OrderedDict: pairs in the order in which they were put in. What is an attribute of it is not kept."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []


_BROKEN_PICKLE = "The pickle in this .pth file cannot be read."
_MARK = object()
_KNOWN = {
    "collections.OrderedDict": _Named,
    "torch._utils._rebuild_tensor_v2": _Described,
    "torch.HalfStorage": "float16",
    "torch.FloatStorage": "float32",
    "torch.BFloat16Storage": "bfloat16",
}
_CONSTANTS: Mapping[str, object] = {"NEWTRUE": True, "NEWFALSE": False, "NONE": None}
_NUMBERS = frozenset({"BININT", "BININT1", "BININT2"})
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_WORDS: Mapping[int, tuple[str, str]] = {
    word[0]: (name, form)
    for word, name, form in (
        (b"\x80", "PROTO", "<B"),
        (b"c", "GLOBAL", "lines"),
        (b"X", "BINUNICODE", "text"),
        (b"J", "BININT", "<i"),
        (b"K", "BININT1", "<B"),
        (b"M", "BININT2", "<H"),
        (b"q", "BINPUT", "<B"),
        (b"r", "LONG_BINPUT", "<I"),
        (b"h", "BINGET", "<B"),
        (b"j", "LONG_BINGET", "<I"),
        (b"\x88", "NEWTRUE", ""),
        (b"\x89", "NEWFALSE", ""),
        (b"N", "NONE", ""),
        (b"(", "MARK", ""),
        (b")", "EMPTY_TUPLE", ""),
        (b"\x85", "TUPLE1", ""),
        (b"\x86", "TUPLE2", ""),
        (b"\x87", "TUPLE3", ""),
        (b"t", "TUPLE", ""),
        (b"}", "EMPTY_DICT", ""),
        (b"s", "SETITEM", ""),
        (b"u", "SETITEMS", ""),
        (b"Q", "BINPERSID", ""),
        (b"R", "REDUCE", ""),
        (b"b", "BUILD", ""),
        (b".", "STOP", ""),
    )
}
"""Of the words of pickles (https://docs.python.org/3/library/pickletools.html) those that tensors are made of: how each is
called, and how what follows it is written."""


def _read(pickled: bytes) -> Iterator[tuple[str, Any]]:
    """Each word with what belongs to it. Stops with BadEncoder before a word that is not known."""
    at = 0
    while at < len(pickled):
        if pickled[at] not in _WORDS:
            raise BadEncoder("The pickle in this .pth file does what a pickle of tensors never does: it is not opened.")
        name, form = _WORDS[pickled[at]]
        at += 1
        if form == "lines":
            end = pickled.index(b"\n", pickled.index(b"\n", at) + 1)
            yield name, pickled[at:end].decode().replace("\n", ".")
            at = end + 1
        elif form == "text":
            (length,) = struct.unpack_from("<I", pickled, at)
            if length > len(pickled) - at - 4:
                raise BadEncoder(_BROKEN_PICKLE)
            yield name, pickled[at + 4 : at + 4 + length].decode()
            at += 4 + length
        elif form:
            yield name, struct.unpack_from(form, pickled, at)[0]
            at += struct.calcsize(form)
        else:
            yield name, None


def _described(pickled: bytes) -> dict[str, _Described]:
    """What a pickle says of its tensors, by name. Raises BadEncoder at the first word that a pickle of tensors does not have."""
    if len(pickled) > _MAX_HEAD:
        raise BadEncoder("The pickle in this .pth file is larger than that of any small encoder.")
    try:
        top = _last(pickled)
    except (ValueError, IndexError, KeyError, struct.error):
        # It ends in the middle, or takes from the stack what is not there.
        raise BadEncoder(_BROKEN_PICKLE) from None
    if not isinstance(top, _Named):
        raise BadEncoder("This .pth file holds something else than named tensors.")
    found: dict[str, _Described] = {}
    for name, tensor in top.pairs:
        if not isinstance(tensor, _Described):
            raise BadEncoder("This .pth file holds something else than named tensors.")
        found[_checked_name(name)] = tensor
    return found


def _last(pickled: bytes) -> object:
    """What the pickle leaves. All that its words can do here is to fill lists and tuples."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        at = len(stack) - 1
        while stack[at] is not _MARK:  # from the top: it costs what is taken, or it is the end
            at -= 1
        found = stack[at + 1 :]
        del stack[at:]
        return found

    for word, argument in _read(pickled):
        match word:
            case "PROTO":
                pass
            case "STOP":
                return stack.pop()
            case "GLOBAL":
                if argument not in _KNOWN:
                    told = argument[:80] if argument.isprintable() else "something"
                    raise BadEncoder(f"This .pth file would run {told}: it is not opened.")
                stack.append(_KNOWN[argument])
            case "MARK":
                stack.append(_MARK)
            case name if name in _NUMBERS or name == "BINUNICODE":
                stack.append(argument)
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case name if name in _TUPLES:
                many = _TUPLES[name]
                held = tuple(stack[len(stack) - many :])
                del stack[len(stack) - many :]
                stack.append(held)
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "EMPTY_DICT":
                stack.append(_Named())
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_made(stack.pop(), arguments))
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _put(stack[-1], [key, value])
            case "SETITEMS":
                items = since_mark()
                _put(stack[-1], items)
            case "BUILD":
                stack.pop()  # attributes, which tensors do not need
    raise BadEncoder(_BROKEN_PICKLE)


def _put(target: object, items: list[Any]) -> None:
    if not isinstance(target, _Named) or len(items) % 2:
        raise BadEncoder(_BROKEN_PICKLE)
    target.pairs.extend(zip(items[::2], items[1::2], strict=True))


def _storage(told: object) -> _Storage:
    match told:
        case ("storage", str(kind), str(key), str(), int(count)) if kind in _WIDTHS and key.isdecimal() and count >= 0:
            return _Storage(key, kind, count)
    raise BadEncoder("This .pth file keeps its values in a way that is not known here.")


def _made(what: object, arguments: object) -> _Named | _Described:
    """The two things that a pickle of tensors makes."""
    if what is _Named and arguments == ():
        return _Named()
    if what is _Described and isinstance(arguments, tuple) and len(arguments) >= 4:
        storage, offset, shape, strides = arguments[:4]
        if isinstance(storage, _Storage) and type(offset) is int and isinstance(shape, tuple):
            count = _count(shape)
            if not _is_in_one_piece(shape, strides) or not 0 <= offset <= storage.count - count:
                raise BadEncoder("A tensor in this file does not lie in one piece inside its values.")
            return _Described(storage, offset, shape)
    raise BadEncoder("This .pth file makes something else than tensors: it is not opened.")


def _is_in_one_piece(shape: tuple[int, ...], strides: object) -> bool:
    """In the order of its indexes, without gaps. The stride along a side of 1 says nothing."""
    if not isinstance(strides, tuple) or len(strides) != len(shape):
        return False
    step = 1
    for side, stride in zip(reversed(shape), reversed(strides), strict=True):
        if side != 1 and (type(stride) is not int or stride != step):
            return False
        step *= side
    return True
