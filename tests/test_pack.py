"""One archive, however it is written: a file at a time into any sink, or several at once at their places."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from fediart.archive.copying import BUFFER, Part, copy_parts
from fediart.archive.gather import GatheringFile
from fediart.archive.pack import SMALL, PackWriter, Sink, read_pack
from fediart.errors import BadArchive

MOMENT = 1_795_960_283
SIZES = (0, 1, 511, 512, BUFFER - 512, BUFFER - 511, BUFFER, BUFFER + 1, 2 * BUFFER - 512, 3 * BUFFER + 7, SMALL + 1)
"""Around those of a block, of a thread's buffer, and of what is held as a whole."""

WRITTEN_IN_2026 = "acc35c9dfafeb2965dd967509671c5e286ee8a6507fd6376e3dc9d9009937a41"
"""SHA-256 of the archive of these files that fediart wrote when it wrote one file after another only."""


def content(size: int) -> bytes:
    return (b"ochre and umber, " * (size // 17 + 1))[:size]


@pytest.fixture
def pictures(tmp_path: Path) -> list[tuple[str, str]]:
    for number, size in enumerate(SIZES):
        (tmp_path / f"{number:02}").write_bytes(content(size))
    return [(f"media/{number:02}", str(tmp_path / f"{number:02}")) for number in range(len(SIZES))]


def write(out: Sink, pictures: list[tuple[str, str]]) -> int:
    with PackWriter(out, MOMENT) as pack:
        pack.add("about.json", b"{}")
        pack.add_files(pictures)
        pack.add("kept/last", b"x")
        pack.finish()
        assert pack.entries == len(pictures) + 2
        return pack.size


def in_turn(file: Path, pictures: list[tuple[str, str]]) -> None:
    out = io.BytesIO()
    assert write(out, pictures) == len(out.getvalue())
    file.write_bytes(out.getvalue())


def at_once(file: Path, pictures: list[tuple[str, str]]) -> None:
    with GatheringFile(file) as out:
        assert out.takes_places
        assert write(out, pictures) > 0
        out.sync()


@pytest.mark.parametrize("way", [in_turn, at_once])
def test_an_archive_is_the_same_to_the_byte_whoever_writes_it_and_is_read_as_it_was(
    way: Callable[[Path, list[tuple[str, str]]], None], pictures: list[tuple[str, str]], tmp_path: Path
) -> None:
    way(tmp_path / "archive", pictures)
    assert hashlib.sha256((tmp_path / "archive").read_bytes()).hexdigest() == WRITTEN_IN_2026
    with (tmp_path / "archive").open("rb") as source:
        found = {entry.name: entry.read(1 << 30) for entry in read_pack(source)}
    assert list(found) == ["about.json", *(name for name, _ in pictures), "kept/last"]
    assert [found[name] for name, _ in pictures] == [content(size) for size in SIZES]


def test_a_file_that_goes_or_gets_shorter_while_it_is_copied_ends_the_copy(
    pictures: list[tuple[str, str]], tmp_path: Path
) -> None:
    name, path = pictures[-1]
    part = Part(name, path, SIZES[-1] + 1, bytes(512), 0, 8 << 20)
    with GatheringFile(tmp_path / "archive") as out, pytest.raises(BadArchive, match="media/10 became shorter"):
        list(copy_parts(out, [part]))
    with GatheringFile(tmp_path / "archive") as out, pytest.raises(FileNotFoundError):
        write(out, [*pictures, ("media/gone", str(tmp_path / "gone"))])
