"""Encoder files: what is right is read exactly, what is hostile gets nowhere, and the shelf gives out what it vouches for."""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import pickletools
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from fediart.config import Config
from fediart.errors import BadEncoder, ConfigError, NotFound
from fediart.media.cloak.catalogue import CATALOGUE, Encoder, check_names
from fediart.media.cloak.encoder_files import MAX_BYTES
from fediart.media.cloak.layers import Block, Convolution, Frames, layers_of
from fediart.media.cloak.shelf import Shelf, own_folder
from fediart.media.cloak.weights import F, read_weights, weights_of
from tests.tiny_encoder import (
    KINDS,
    NEW_DICT,
    coded,
    number,
    numbers,
    pickled,
    pth,
    safetensors,
    steps,
    tensor,
    text,
    tiny_encoder,
    tiny_weights,
    zipped,
)

WEIGHTS = tiny_weights("plain")
PICKLE = pickled({name: tensor(str(at), values.shape) for at, (name, values) in enumerate(list(WEIGHTS.items())[:4])})


def refusal(data: bytes) -> str:
    with pytest.raises(BadEncoder) as caught:
        weights_of(data)
    return caught.value.message


@contextmanager
def little_memory(most_mb: float) -> Iterator[None]:
    """What Python and numpy allocate in the block stays below."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most_mb * 1e6
    finally:
        tracemalloc.stop()


# --------------------------------------------------------------------------------------------------- what is right


@pytest.mark.parametrize("form", [pth, safetensors])
@pytest.mark.parametrize("kind", ["float16", "float32", "bfloat16"])
def test_an_encoder_file_is_read_exactly_as_it_was_written(form: Callable[..., bytes], kind: str) -> None:
    for family in KINDS:
        written = tiny_weights(family)
        found = weights_of(form(written, kind=kind))
        assert list(found) == list(written)
        for name, values in written.items():
            if kind == "bfloat16":
                kept = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
            else:
                kept = values.astype(kind).astype(np.float32)
            assert found[name].dtype == np.float32
            assert np.array_equal(found[name], kept), name


def test_the_file_that_the_project_writes_is_what_other_readers_of_zips_and_pickles_see_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tiny_encoder(tmp_path / "tiny.pth")) as archive:
        assert archive.testzip() is None
        words = [word.name for word, _, _ in pickletools.genops(archive.read("tiny/data.pkl"))]
        assert words[:2] == ["PROTO", "GLOBAL"]
        assert words[-2:] == ["BUILD", "STOP"]
        assert words.count("BINPERSID") == len(WEIGHTS)


@pytest.mark.parametrize(
    ("kind", "downscale", "halvings", "pools", "is_video"),
    [("plain", 8, 3, False, False), ("pooled", 8, 3, True, False), ("deep", 32, 5, False, False), ("video", 8, 3, False, True)],
)
def test_the_layers_of_each_kind_of_encoder_are_told_by_its_tensors(
    kind: str, downscale: int, halvings: int, pools: bool, is_video: bool
) -> None:
    layers = layers_of(tiny_weights(kind, width=12, channels=7, blocks=2))
    assert (layers.downscale, layers.channels, layers.pools, layers.is_video) == (downscale, 7, pools, is_video)
    assert sum(isinstance(layer, Convolution) and layer.stride == 2 for layer in layers.order) == halvings
    blocks = [layer for layer in layers.order if isinstance(layer, Block)]
    assert len(blocks) == (6 if kind == "video" else 7)
    assert {block.remembers for block in blocks} == {is_video}
    assert sum(block.branch is not None for block in blocks) == (2 if pools else 0)
    assert [layer.count for layer in layers.order if isinstance(layer, Frames)] == ([2, 2, 1] if is_video else [])


def test_an_encoder_beside_its_decoder_is_found_by_its_names() -> None:
    for prefix in ("encoder.", "encoder.layers."):
        both = {f"{prefix}{name}": values for name, values in WEIGHTS.items()} | {"decoder.layers.0.weight": WEIGHTS["0.weight"]}
        assert layers_of(both).downscale == 8


def test_a_block_that_widens_has_a_convolution_for_what_came_in() -> None:
    weights = dict(WEIGHTS)
    weights["7.skip.weight"] = np.ones((8, 8, 1, 1), np.float32)
    with pytest.raises(BadEncoder, match="layer 7"):
        layers_of(weights)
    wide = {
        "7.conv.0.weight": np.ones((16, 8, 3, 3), np.float32), "7.conv.0.bias": np.ones(16, np.float32),
        "7.conv.2.weight": np.ones((16, 16, 3, 3), np.float32), "7.conv.2.bias": np.ones(16, np.float32),
        "7.conv.4.weight": np.ones((16, 16, 3, 3), np.float32), "7.conv.4.bias": np.ones(16, np.float32),
        "7.skip.weight": np.ones((16, 8, 1, 1), np.float32), "8.weight": np.ones((4, 16, 3, 3), np.float32),
    }  # fmt: skip
    block = layers_of({**WEIGHTS, **wide}).order[-2]
    assert isinstance(block, Block)
    assert block.skip is not None
    del wide["7.skip.weight"]
    with pytest.raises(BadEncoder, match="layer 7"):
        layers_of({**WEIGHTS, **wide})


# ------------------------------------------------------------------------------------------- what is not an encoder


def test_tensors_of_another_network_are_refused() -> None:
    decoder = {
        "1.weight": np.ones((8, 4, 3, 3), np.float32), "1.bias": np.ones(8, np.float32),
        "3.conv.0.weight": np.ones((8, 8, 3, 3), np.float32),
    }  # fmt: skip
    only = {"0.weight": np.ones((4, 3, 3, 3), np.float32), "0.bias": np.ones(4, np.float32)}
    others: dict[str, Mapping[str, F]] = {
        "layer 0": decoder,
        "other names": {"encoder.conv_in.weight": np.ones((128, 3, 3, 3), np.float32)},
        "smaller": only,
        "no layers": {},
    }
    for words, weights in others.items():
        with pytest.raises(BadEncoder, match=words):
            layers_of(weights)
    with pytest.raises(BadEncoder, match="other names"):
        layers_of({**WEIGHTS, "١.weight": WEIGHTS["2.weight"]})
    with pytest.raises(BadEncoder, match="other names"):
        layers_of({**WEIGHTS, "999999999999.weight": WEIGHTS["2.weight"]})


@given(st.sampled_from(KINDS), st.data())
def test_a_tensor_taken_away_added_or_of_another_shape_is_noticed(kind: str, data: st.DataObject) -> None:
    weights = dict(tiny_weights(kind))
    name = data.draw(st.sampled_from([name for name in weights if not name.startswith("decoder")]))
    change = data.draw(st.sampled_from(["away", "another", "longer", "flat"]))
    if change == "away":
        del weights[name]
    elif change == "another":
        weights[name + "x"] = weights[name]
    elif change == "longer":
        weights[name] = np.concatenate([weights[name], weights[name][:1]])
    else:
        weights[name] = weights[name].reshape(-1, 1)
    if change == "away" and re.fullmatch(r"(encoder\.)?\d+\.bias", name) and not name.endswith(f"{max_number(kind)}.bias"):
        # A convolution that loses its bias is one that halves.
        assert layers_of(weights).downscale >= layers_of(tiny_weights(kind)).downscale
        return
    with pytest.raises(BadEncoder):
        layers_of(weights)


def max_number(kind: str) -> int:
    return max(int(name.removeprefix("encoder.").split(".")[0]) for name in tiny_weights(kind) if "decoder" not in name)


# ------------------------------------------------------------------------------------------------------ what is hostile


class _Bait:
    def __init__(self, marker: Path) -> None:
        self.command = f"touch {marker}"

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_a_command_runs_nothing(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "was-run"
    bait = pickle.dumps({"0.weight": _Bait(marker)}, protocol)
    told = refusal(pth(WEIGHTS, pickle=bait))
    assert "it is not opened" in told
    assert not marker.exists()
    pickle.loads(bait)
    assert marker.exists(), "the bait is a live one"


def test_what_a_pickle_would_call_is_named() -> None:
    assert "posix.system" in refusal(pth(WEIGHTS, pickle=b"\x80\x02cposix\nsystem\n" + text("true") + b"\x85R."))


@pytest.mark.parametrize(
    "words",
    [
        b"cbuiltins\neval\n" + text("1") + b"\x85R.",
        b"cos\nsystem\n.",
        b"ctorch\nload\n.",
        b"ctorch._utils\n_rebuild_tensor\n.",
        b"ctorch._utils\n_rebuild_tensor_v2\n" + text("x") + b"\x85R.",
        b"ctorch._utils\n_rebuild_tensor_v2\n.",
        b"ctorch\nHalfStorage\n)R.",
        b"ccollections\nOrderedDict\n(" + NEW_DICT + b"tR.",
        b"(ios\nsystem\n.",
        b"ccollections\nOrderedDict\n)\x81.",
        NEW_DICT + NEW_DICT + b"b" + b"2.",
        NEW_DICT + text("0.weight") + text("no tensor") + b"s.",
        NEW_DICT + number(7) + tensor("0", (8, 3, 3, 3)) + b"s.",
        text("s") + text("x") + text("y") + b"s.",
        text("storage") + b"Q.",
        b"Pstorage\n.",
        b"S'\\q'\n.",
        b"(t.",
        b"t.",
        b"u.",
        b"s.",
        b"R.",
        b"Q.",
        b"\x85.",
        b"h\x05.",
        b".",
        b"",
        b"\xff\xfe",
        NEW_DICT,
        b"\x80\x09.",
    ],
)
def test_a_pickle_of_anything_but_tensors_is_refused(words: bytes) -> None:
    refusal(pth(WEIGHTS, pickle=b"\x80\x02" + words))


def test_a_pickle_cannot_make_much_out_of_little() -> None:
    """Larger ones of these cost Python's own unpickler gigabytes, minutes, or its stack."""
    far_memo = b"\x80\x02" + NEW_DICT + b"r" + struct.pack("<I", 0x7FFFFFFF) + b"."
    deep = b"\x80\x02" + NEW_DICT + b")" + b"\x85" * 60_000 + number(1) + b"s."
    copies = b"\x80\x02}q\x00(" + b"".join(text(str(n)) + b"K\x00" for n in range(2_000)) + b"u"
    attributes = copies + (NEW_DICT + b"h\x00b") * 2_000 + b"."
    copies += (b"ccollections\nOrderedDict\nh\x00\x85R") * 2_000 + b"."
    marks = b"\x80\x02" + b"K\x00" * 30_000 + b"(t" * 15_000 + b"."
    with little_memory(60):
        assert weights_of(pth({}, pickle=far_memo)) == weights_of(pth({}, pickle=attributes)) == {}
        for bomb in (deep, copies, marks):
            refusal(pth(WEIGHTS, pickle=bomb))
    assert "larger than that of any small encoder" in refusal(pth(WEIGHTS, pickle=b"\x80\x02" + b"K\x00" * (1 << 20)))


def one(described: bytes, data: bytes = bytes(200)) -> bytes:
    """A file of one tensor, described like this; its storage holds 100 numbers of 16 bit."""
    return zipped({"tiny/data.pkl": pickled({"0.weight": described}), "tiny/data/0": data})


@pytest.mark.parametrize(
    "described",
    [
        tensor("0", (101,)),
        tensor("0", (100,), count=101),
        tensor("0", (50,), count=50),
        tensor("0", (50,), offset=51, count=100),
        tensor("0", (50,), offset=-1, count=100),
        tensor("0", (50,), strides=(2,), count=100),
        tensor("0", (10, 10), strides=(1, 10)),
        tensor("0", (10, 10), strides=(10,)),
        tensor("0", (10, 10), strides=(0, 0)),
        tensor("0", (0,), count=100),
        tensor("0", (-1,), count=100),
        tensor("0", (1, 1, 1, 1, 1, 100)),
        tensor("0", (65_537,)),
        tensor("1", (100,)),
        tensor("../data/0", (100,)),
        tensor("0", (51,), kind="float32"),
        tensor("0", (100,)).replace(b"HalfStorage", b"LongStorage"),
        tensor("0", (100,)).replace(number(0) + numbers((100,)), text("0") + numbers((100,))),
        tensor("0", (100,)).replace(numbers((100,)), b"(" + text("100") + b"t"),
        tensor("0", (100,)).replace(numbers((100,)), b"(\x88t"),
    ],
)
def test_a_tensor_that_lies_about_its_place_is_refused(described: bytes) -> None:
    assert len(weights_of(one(tensor("0", (100,))))["0.weight"]) == 100
    refusal(one(described))


def test_a_stride_along_a_side_of_one_says_nothing_and_two_tensors_may_share_a_storage() -> None:
    assert weights_of(one(tensor("0", (10, 1, 10), strides=(10, 77, 1))))["0.weight"].shape == (10, 1, 10)
    named = {"a": tensor("0", (10,), count=20), "b": tensor("0", (2, 5), offset=10, count=20)}
    values = np.arange(20, dtype=np.float32)
    found = weights_of(zipped({"x/data.pkl": pickled(named), "x/data/0": coded(values, "float16")}))
    assert found["a"].tolist() == list(range(10))
    assert found["b"].tolist() == [list(range(10, 15)), list(range(15, 20))]


def test_tensors_that_share_a_storage_cannot_become_more_than_an_encoder_has() -> None:
    side = 1_000
    described = tensor("0", (side, side), strides=steps((side, side)))
    data = bytes(2 * side * side)
    few = {str(n): described for n in range(2)}
    many = {str(n): described for n in range(40)}
    assert len(weights_of(zipped({"x/data.pkl": pickled(few), "x/data/0": data}))) == 2
    with little_memory(60):
        assert "more than any small encoder" in refusal(zipped({"x/data.pkl": pickled(many), "x/data/0": data}))
        small = {str(n): tensor("0", (1,), count=side * side) for n in range(1_025)}
        assert "more than any small encoder" in refusal(zipped({"x/data.pkl": pickled(small), "x/data/0": data}))


@pytest.mark.parametrize("form", [pth, safetensors])
@pytest.mark.parametrize("kind", ["float16", "float32", "bfloat16"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_are_refused(form: Callable[..., bytes], kind: str, value: float) -> None:
    weights = {**WEIGHTS, "8.bias": np.array([0, 1, value, 2], np.float32)}
    assert refusal(form(weights, kind=kind)) == "The tensor 8.bias holds values that are no numbers."


@pytest.mark.parametrize("form", [pth, safetensors])
@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "\x1b[31m"])
def test_a_name_that_would_disturb_a_log_is_refused(form: Callable[..., bytes], name: str) -> None:
    assert "name that cannot be" in refusal(form({**WEIGHTS, name: WEIGHTS["8.bias"]}))


def test_a_compressed_zip_is_not_unpacked() -> None:
    entries = {"tiny/data.pkl": pickled({"0.weight": tensor("0", (8, 3, 3, 3))}), "tiny/data/0": bytes(80_000_000)}
    bomb = zipped(entries, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with little_memory(2):
        assert "compressed" in refusal(bomb)


def _directory(archive: bytes) -> tuple[int, int, int]:
    """(where the end record is, number of entries, where the directory is)"""
    end = archive.rindex(b"PK\x05\x06")
    count, _, at = struct.unpack_from("<HII", archive, end + 10)
    return end, count, at


def _changed(archive: bytes, at: int, form: str, *values: int) -> bytes:
    out = bytearray(archive)
    struct.pack_into(form, out, at, *values)
    return bytes(out)


def test_a_zip_whose_directory_lies_is_refused() -> None:
    good = pth(WEIGHTS)
    end, count, at = _directory(good)
    second = at + 46 + sum(struct.unpack_from("<HHH", good, at + 28))
    lies = {
        "more entries than there are": _changed(good, end + 10, "<H", count + 1),
        "far more": _changed(good, end + 10, "<H", 65_535),
        "a directory beyond the end": _changed(good, end + 16, "<I", len(good)),
        "a directory that is huge": _changed(good, end + 12, "<I", 0xFFFFFFFF),
        "an entry beyond the end": _changed(good, second + 42, "<I", len(good) - 4),
        "an entry that is no entry": _changed(good, second + 42, "<I", 1),
        "an entry longer than the file": _changed(good, second + 20, "<II", len(good), len(good)),
        "another checksum": _changed(good, second + 16, "<I", 7),
        "a name without end": _changed(good, second + 28, "<H", 65_535),
        "no end": good[:end],
        "half an end": good[: end + 10],
        "nothing but a start": b"PK\x03\x04",
        "no pickle": zipped({"a/b": b"c"}),
        "two pickles": zipped({"a/data.pkl": PICKLE, "b/data.pkl": PICKLE}),
        "numbers the other way round": pth(WEIGHTS).replace(b"little", b"biglit"),
    }
    for what, archive in lies.items():
        assert refusal(archive), what
    big = zipped({"t/data.pkl": pickled({"0.weight": tensor("0", (8,))}), "t/byteorder": b"big", "t/data/0": bytes(16)})
    assert "big-endian" in refusal(big)


def test_entries_that_lie_over_each_other_are_refused() -> None:
    entries = {"t/data.pkl": pickled({"0.weight": tensor("0", (8,))}), "t/data/0": bytes(100_000)}
    entries |= {f"t/more/{n}": b"" for n in range(50)}
    archive = bytearray(zipped(entries))
    end, count, at = _directory(bytes(archive))
    places = []
    for _ in range(count):
        places.append(at)
        at += 46 + sum(struct.unpack_from("<HHH", archive, at + 28))
    for place in places[2:]:
        archive[place + 16 : place + 28] = archive[places[1] + 16 : places[1] + 28]
        archive[place + 42 : place + 46] = archive[places[1] + 42 : places[1] + 46]
    assert "zip directory" in refusal(bytes(archive))
    assert end


@given(st.integers(0, 10**9))
def test_a_truncated_file_is_refused_wherever_it_ends(cut: int) -> None:
    for whole in (pth(WEIGHTS), safetensors(WEIGHTS)):
        refusal(whole[: cut % len(whole)])


@given(st.integers(0, 10**9), st.integers(1, 255), st.booleans())
def test_a_changed_byte_changes_no_number_unseen(at: int, by: int, in_head: bool) -> None:
    good = bytearray(pth(WEIGHTS))
    # Half of the trials fall into the pickle and the directory, where the structure is.
    first = _directory(bytes(good))[2] if in_head else 0
    at = first + at % (len(good) - first)
    good[at] ^= by
    try:
        found = weights_of(bytes(good))
    except BadEncoder:
        return
    wanted = weights_of(pth(WEIGHTS))
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[name], values) for name, values in wanted.items())


@given(st.lists(st.tuples(st.integers(0, len(PICKLE) - 1), st.binary(max_size=3), st.integers(0, 3)), max_size=4))
def test_no_pickle_brings_the_reader_down(changes: list[tuple[int, bytes, int]]) -> None:
    changed = PICKLE
    for at, put, cut in changes:
        changed = changed[:at] + put + changed[at + cut :]
    try:
        found = weights_of(pth(WEIGHTS, pickle=changed))
    except BadEncoder:
        return
    assert all(isinstance(values, np.ndarray) for values in found.values())


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", struct.pack("<Q", 40) + b'{"a":']))
def test_no_bytes_bring_the_reader_down(data: bytes, start: bytes) -> None:
    refusal(start + data)


SAFE = safetensors({"a": WEIGHTS["8.bias"]})


@given(st.lists(st.tuples(st.integers(0, len(SAFE) - 1), st.binary(max_size=3), st.integers(0, 3)), max_size=3))
def test_no_safetensors_header_brings_the_reader_down(changes: list[tuple[int, bytes, int]]) -> None:
    changed = SAFE
    for at, put, cut in changes:
        changed = changed[:at] + put + changed[at + cut :]
    try:
        weights_of(changed)
    except BadEncoder:
        return


def with_header(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


@pytest.mark.parametrize(
    "data",
    [
        with_header(b'{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}', bytes(8)),
        with_header(b'{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,4]}}', bytes(8)),
        with_header(b'{"a":{"dtype":"F16","shape":[1],"data_offsets":[-2,0]}}', bytes(8)),
        with_header(b'{"a":{"dtype":"F16","shape":[1],"data_offsets":[8,10]}}', bytes(8)),
        with_header(b'{"a":{"dtype":"F16","shape":[-1],"data_offsets":[0,2]}}', bytes(8)),
        with_header(b'{"a":{"dtype":"F16","shape":[1.5],"data_offsets":[0,2]}}', bytes(8)),
        with_header(b'{"a":{"dtype":"F16","shape":[65536,65536,65536],"data_offsets":[0,2]}}', bytes(8)),
        with_header(b'{"a":[1]}'),
        with_header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        with_header(b"{" + b" " * (1 << 20) + b"}"),
        struct.pack("<Q", 1 << 62) + b"{}",
    ],
)  # fmt: skip
def test_a_safetensors_header_that_lies_is_refused(data: bytes) -> None:
    refusal(data)


def test_a_file_larger_than_any_encoder_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "huge.pth"
    path.write_bytes(b"PK\x03\x04")
    os.truncate(path, 50 * MAX_BYTES)
    with little_memory(3 * MAX_BYTES / 1e6), pytest.raises(BadEncoder, match="larger than 64 MB"):
        read_weights(path)
    with pytest.raises(BadEncoder, match="cannot be read"):
        read_weights(tmp_path / "absent.pth")
    with pytest.raises(BadEncoder, match="cannot be read"):
        read_weights(tmp_path)


def test_the_hash_is_checked_before_anything_else_is_looked_at(tmp_path: Path) -> None:
    path = tiny_encoder(tmp_path / "tiny.pth")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_weights(path, sha256).keys() == WEIGHTS.keys()
    for other in (pth(tiny_weights(seed=2)), b"no encoder at all", pth(WEIGHTS, pickle=b"\x80\x02cos\nsystem\n.")):
        path.write_bytes(other)
        with pytest.raises(BadEncoder, match="its sha256 is another"):
            read_weights(path, sha256)


# ---------------------------------------------------------------------------------------------------------- the shelf


def a_catalogue(folder: Path, *names: str, address: str = "https://far.example") -> dict[str, Encoder]:
    """Tiny encoders under these names, their files in `folder`."""
    found = {}
    for seed, name in enumerate(names, start=1):
        data = tiny_encoder(folder / f"{name}_encoder.pth", seed=seed).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        found[name] = Encoder(name, f"models of {name}", f"{address}/{name}", sha256, "MIT", 8, 4, len(data))
    return found


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "far").mkdir()
    return Shelf(tmp_path / "data" / "encoders", a_catalogue(tmp_path / "far", "one", "two"))


def test_a_known_file_lies_under_its_name_and_an_unknown_one_under_its_hash(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf.held() == []
    (tmp_path / "far" / "one_encoder.pth").rename(tmp_path / "downloaded")
    other = tiny_encoder(tmp_path / "mine.pth", seed=9)
    safe = tmp_path / "mine.safetensors"
    safe.write_bytes(safetensors(tiny_weights(seed=10)))
    for source in (tmp_path / "downloaded", other, safe):
        shelf.add(source)
        shelf.add(source)
    digits = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (other, safe)]
    held = {found.name: found for found in shelf.held()}
    assert set(held) == {"one", digits[0][:12], digits[1][:12]}
    assert (held["one"].mirrors, held["one"].licence) == ("models of one", "MIT")
    assert (held[digits[0][:12]].mirrors, held[digits[0][:12]].licence) == ("", "")
    names = {"one.pth", f"{digits[0][:12]}.pth", f"{digits[1][:12]}.safetensors"}
    assert {path.name for path in shelf.folder.iterdir()} == names
    for found in held.values():
        assert found.path == shelf.path(found.name)
        assert found.size == found.path.stat().st_size
        assert layers_of(read_weights(found.path, found.sha256)).channels == 4


def test_a_file_under_the_name_of_a_known_encoder_must_be_that_encoder(shelf: Shelf, tmp_path: Path) -> None:
    good = (tmp_path / "far" / "one_encoder.pth").read_bytes()
    changed = bytearray(good)
    changed[len(good) // 2] ^= 1
    for name in ("one.pth", "one_encoder.pth"):
        for data in (good[:-1], good + b"\0", bytes(changed), pth(tiny_weights(seed=5))):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(BadEncoder, match="not the file of the encoder one"):
                shelf.add(tmp_path / name)
    (tmp_path / "renamed.pth").write_bytes(pth(tiny_weights(seed=5)))
    assert shelf.add(tmp_path / "renamed.pth").name != "one"


def test_what_is_no_encoder_leaves_nothing_on_the_shelf(shelf: Shelf, tmp_path: Path) -> None:
    good = (tmp_path / "far" / "one_encoder.pth").read_bytes()
    decoder = {"1.weight": np.ones((8, 4, 3, 3), np.float32), "1.bias": np.ones(8, np.float32)}
    for data in (good[:-1], good[: len(good) // 2], b"", b"<html>", pth(decoder), pth(WEIGHTS, pickle=b"\x80\x02cos\nsystem\n.")):
        (tmp_path / "x.pth").write_bytes(data)
        with pytest.raises(BadEncoder):
            shelf.add(tmp_path / "x.pth")
    assert not shelf.folder.exists() or list(shelf.folder.iterdir()) == []


def test_a_file_that_changed_on_the_shelf_is_not_used_and_that_is_said_once(shelf: Shelf, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shelf.add(tmp_path / "far" / f"{name}_encoder.pth")
    unknown = shelf.add(tiny_encoder(tmp_path / "mine.pth", seed=9))
    # Both are readable encoders: only their hashes betray them.
    shelf.path("one").write_bytes(shelf.path("two").read_bytes())
    unknown.path.write_bytes(pth(tiny_weights(seed=12)))
    (shelf.folder / "put-here-by-hand.pth").write_bytes(pth(WEIGHTS))
    (shelf.folder / ".1234.part").write_bytes(b"half a file")
    (shelf.folder / "notes.txt").write_text("not an encoder")
    with capture_logs() as logs:
        assert [found.name for found in shelf.held()] == ["two"]
        assert [found.name for found in shelf.held()] == ["two"]
    assert {Path(line["file"]).name for line in logs} == {"one.pth", unknown.path.name, "put-here-by-hand.pth"}
    assert len(logs) == 3
    for name in ("one", unknown.name):
        with pytest.raises(BadEncoder, match=f"The encoder {name} is not used: .* Remove it"):
            shelf.path(name)
    assert [encoder.name for encoder in shelf.missing(["one", "two"])] == ["one"]
    shelf.add(tmp_path / "far" / "one_encoder.pth")
    assert [found.name for found in shelf.held()] == ["one", "two"]


def test_an_encoder_that_is_not_here_is_told_with_how_to_get_it(shelf: Shelf) -> None:
    with pytest.raises(BadEncoder, match=r"encoders fetch one .*encoders add FILE"):
        shelf.path("one")
    with pytest.raises(BadEncoder, match="encoders add FILE"):
        shelf.path("0123456789ab")
    for name in ("../one", "/etc/passwd", "one"):
        with pytest.raises(BadEncoder):
            shelf.path(name)


def test_a_removed_encoder_is_gone_also_when_it_was_another(shelf: Shelf, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shelf.add(tmp_path / "far" / f"{name}_encoder.pth")
    shelf.path("two").write_bytes(b"tampered")
    outside = tmp_path / "data" / "precious.pth"
    outside.write_bytes(b"precious")
    for name in ("three", "../precious", ""):
        with pytest.raises(NotFound):
            shelf.remove(name)
    shelf.remove("one")
    shelf.remove("two")
    assert list(shelf.folder.iterdir()) == []
    assert outside.exists()


@pytest.mark.parametrize(
    ("platform", "env", "folder"),
    [
        ("linux", {}, "/home/mira/.local/share/fediart/encoders"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/fediart/encoders"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "/home/mira/.local/share/fediart/encoders"),
        ("linux", {"XDG_DATA_HOME": ""}, "/home/mira/.local/share/fediart/encoders"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "/home/mira/Library/Application Support/fediart/encoders"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/fediart/encoders"),
        ("win32", {}, "/home/mira/AppData/Local/fediart/encoders"),
    ],
)
def test_without_a_server_encoders_lie_in_the_users_data_folder(platform: str, env: dict[str, str], folder: str) -> None:
    assert own_folder(env, Path("/home/mira"), platform) == Path(folder)


# ------------------------------------------------------------------------------------------------------ the catalogue


def test_every_small_encoder_of_the_catalogue_is_one_file_at_an_address_that_does_not_move() -> None:
    small = {name: encoder for name, encoder in CATALOGUE.items() if not encoder.is_full}
    assert set(small) == {"taesdxl", "taef1", "taew2_1", "taef2", "taesd", "taesd3", "taesana"}
    for name, encoder in small.items():
        assert encoder.name == name
        assert re.fullmatch(r"https://github\.com/madebyollin/\w+/raw/[0-9a-f]{40}/\w+\.pth", encoder.address)
        assert Path(encoder.address).stem.removesuffix("_encoder") == name
        assert re.fullmatch(r"[0-9a-f]{64}", encoder.sha256)
        assert (encoder.mirrors, encoder.licence) != ("", "")
        assert encoder.most_bytes == (encoder.size or 64 << 20)
    assert len({encoder.sha256 for encoder in CATALOGUE.values()}) == len(CATALOGUE)


def test_the_encoders_of_the_settings_are_known_and_a_misspelt_one_is_told() -> None:
    check_names("cloak.encoders", Config().cloak.encoders)
    with pytest.raises(ConfigError, match=r"^cloak\.encoders: there is no encoder taesdx1 .* Did you mean taesdxl\?$"):
        check_names("cloak.encoders", ["taef1", "taesdx1"])
    with pytest.raises(ConfigError, match="There are: taesdxl, taef1"):
        check_names("cloak.encoders", ["q"])
