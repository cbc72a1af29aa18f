"""The plug-in point for detectors: an installed package's word is for moderators only, and all it can do is hold."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from fediart.domain.policy import Preset
from fediart.media.detectors import are_there
from tests.judged import (
    a_file,
    a_moderator,
    adopt,
    becomes,
    decide,
    sent_out,
    waiting,
    words_of,
)
from tests.people import people_of
from tests.world import a_world

_PROGRAM = """
class Oracle:
    def look(self, original):
        return f"It has six fingers, and {len(original.read_bytes())} bytes."

class Broken:
    def look(self, original):
        raise ValueError("a mistake of this package's")

class Silent:
    def look(self, original):
        return None
"""


@pytest.fixture
def detectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed for this process and those that it starts."""
    package = tmp_path / "detectors"
    held = package / "some_detectors-1.dist-info"
    held.mkdir(parents=True)
    (package / "some_detectors.py").write_text(_PROGRAM)
    (held / "METADATA").write_text("Metadata-Version: 2.1\nName: some-detectors\nVersion: 1\n")
    lines = (
        "broken = some_detectors:Broken",
        "gone = not_there:Gone",
        "oracle = some_detectors:Oracle",
        "silent = some_detectors:Silent",
    )
    (held / "entry_points.txt").write_text("\n".join(["[fediart.ai_detectors]", *lines, ""]))
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.syspath_prepend(str(package))
    importlib.invalidate_caches()


def test_none_is_there_unless_somebody_installs_one() -> None:
    assert not are_there()


@pytest.mark.anyio
@pytest.mark.usefixtures("detectors")
async def test_a_detector_may_only_hold_and_what_it_says_is_for_moderators(tmp_path: Path) -> None:
    """Others that are broken, missing or silent change nothing."""
    assert are_there()
    async with a_world(tmp_path / "data") as world, people_of(world.instance) as people:
        instance, mira, vera = world.instance, await people.person("mira"), await a_moderator(people, "vera")
        work_id = await sent_out(mira, a_file(None), declaration="digital")
        await becomes(instance, work_id, "held")
        (review,) = await waiting(instance)
        assert (review.rule, review.evidence) == ("detector", "")
        shown = words_of(await vera.browser.get(f"/admin/review/{review.id}"))
        assert "The detector oracle says It has six fingers, and" in shown
        for path in (f"/@mira/{work_id}", "/decisions", f"/decisions/{review.id}", "/notifications"):
            text = (await mira.browser.get(path)).text
            assert "six fingers" not in text, path
            assert "oracle" not in text, path
        assert "A moderator looks at it first." in words_of(await mira.browser.get(f"/@mira/{work_id}"))
        await mira.browser.send(f"/works/{work_id}/take-back", page="/search")
        page = await mira.browser.get(f"/compose/{work_id}")
        assert "six fingers" not in page.text
        assert "The file says" not in page.text
        again = await mira.browser.send(f"/compose/{work_id}", {"action": "publish-anyway"}, page=f"/compose/{work_id}")
        (second,) = await waiting(instance)
        await decide(vera, second.id, "clear")
        await becomes(instance, int(again.headers["location"].rpartition("/")[2]), "published")
        await becomes(instance, await sent_out(mira, a_file(None)), "published")


@pytest.mark.anyio
@pytest.mark.usefixtures("detectors")
async def test_where_generated_art_may_be_shown_a_detector_does_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path / "data") as world, people_of(world.instance) as people:
        await adopt(world.instance, Preset.LABEL_ONLY)
        mira = await people.person("mira")
        work = await becomes(world.instance, await sent_out(mira, a_file(None)), "published")
        assert work.self_label == ""
