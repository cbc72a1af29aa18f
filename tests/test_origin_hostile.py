"""Broken and hostile metadata: it costs little, fetches nothing, and no upload is refused for it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from fediart.domain.origin import Level
from fediart.media.origin.allowance import Allowance, OriginLimits
from fediart.media.origin.containers import Source
from fediart.media.origin.read import Reading, read_origin
from fediart.studio.add_image import add_image
from tests.hostile_origins import FILES, with_xmp
from tests.origin_samples import A1111_TEXT, ai_xmp, generated, human, jpeg, png, xmp
from tests.test_origin import is_ready, kept
from tests.waiting import until
from tests.world import a_world

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.anyio
LONG = os.environ.get("FEDIART_LONG") == "1"


def test_each_hostile_file_takes_at_most_half_a_second_of_processor_time_and_100_mb() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.hostile_origins"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, ""), (done.stdout.splitlines()[-1:], done.stderr)
    assert done.stdout.splitlines() == list(FILES)


def test_what_comes_before_the_harm_is_still_found(tmp_path: Path) -> None:
    """A reader that gives up at once would be quick too."""
    for name, level in {
        "one packed field": Level.GENERATOR,
        "a packed packet": Level.DECLARED,
        "words that nearly fit": None,
    }.items():
        (tmp_path / "picture").write_bytes(FILES[name]())
        assert read_origin(tmp_path / "picture").level == level, name
    body = f"<Iptc4xmpExt:DigitalSourceType>{'x' * 2_000_000}"
    for packet in (ai_xmp() + b"<<<>>>", ai_xmp().replace(b"</rdf:Description>", body.encode())):
        (tmp_path / "picture").write_bytes(with_xmp(packet.decode()))
        assert read_origin(tmp_path / "picture").level == Level.DECLARED


def test_when_time_or_bytes_run_out_what_was_found_so_far_is_told(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(png({"parameters": A1111_TEXT, "Comment": "x" * 5_000}))
    assert read_origin(path).level == Level.GENERATOR
    assert read_origin(path, limits=OriginLimits(bytes=2_000)).level == Level.GENERATOR
    assert read_origin(path, limits=OriginLimits(bytes=10)).level is None
    assert read_origin(path, limits=OriginLimits(seconds=-1)).level is None


@pytest.mark.row(37)
def test_no_file_cut_off_or_changed_anywhere_makes_the_reader_fail() -> None:
    random.seed(5)
    samples = [data for data, _, _ in generated().values()] + [data for data, _ in human().values()]
    samples.append(FILES["items without end"]()[:3_000])
    for data in samples:
        for _ in range(400 if LONG else 40):
            broken = bytearray(data)
            reach = min(len(data), random.choice((64, 600, 3000)))
            for _ in range(random.choice((0, 1, 3, 12))):
                broken[random.randrange(reach)] = random.choice((0, 1, 0x7F, 0xFF, random.randrange(256)))
            cut = random.choice((len(broken), random.randrange(len(broken))))
            Reading(Allowance(OriginLimits())).walk(Source(io.BytesIO(bytes(broken[:cut]))))


@contextlib.asynccontextmanager
async def counting_server(asked_for: list[str]) -> AsyncIterator[str]:
    """Its address. Whatever connects is noted."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked_for.append((await reader.readline()).decode("latin-1"))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_picture_is_taken_and_prepared_whatever_its_metadata_is(tmp_path: Path) -> None:
    """Also what a decoder would refuse for its texts alone. Nothing that a file names is fetched."""
    asked_for: list[str] = []
    async with counting_server(asked_for) as url, a_world(tmp_path) as world:
        fetching = {
            "an entity": with_xmp(f'<!DOCTYPE x [<!ENTITY % d SYSTEM "{url}/d">%d;<!ENTITY f SYSTEM "{url}/f">]><x>&f;</x>'),
            "credentials elsewhere": jpeg(xmp=xmp("", f'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{url}/m"')),
        }
        sent = {}
        for name, data in {**fetching, **{name: FILES[name]() for name in PICTURES}}.items():
            (tmp_path / "sent").write_bytes(data)
            sent[name] = await add_image(world.instance, world.artist, tmp_path / "sent", name, cloak=False)
        for name, image_id in sent.items():
            await until(partial(is_ready, world, image_id))
            assert (await kept(world, image_id)).level in (None, Level.INFO, Level.DECLARED, Level.GENERATOR), name
        elsewhere = await kept(world, sent["credentials elsewhere"])
        assert [(signal.level, signal.source) for signal in elsewhere.signals] == [(Level.INFO, "c2pa")]
        assert (await kept(world, sent["one packed field"])).level == Level.GENERATOR
    assert asked_for == []


PICTURES = (
    "one packed field",
    "hundreds of packed fields",
    "a packed packet",
    "a million empty chunks",
    "Exif that names itself",
)
"""Those of the files that are pictures, and that a decoder which reads everything has trouble with."""
