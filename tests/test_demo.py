"""The main job, end to end, as the README's third command: two real processes, one cloaked picture."""

from __future__ import annotations

from pathlib import Path

from tests.demo import check_demo


def test_a_cloaked_work_arrives_in_the_followers_home_and_the_original_does_not(tmp_path: Path) -> None:
    check_demo(tmp_path)
