"""The benchmarks run, at a tiny size, and print what is expected of them. How fast anything is, is not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def figures_of(name: str, *options: str) -> dict[str, float]:
    """Run one and read its last line. It exits with a reason when what it measured did not really happen."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    table, line = done.stdout.strip().rsplit("\n", 1)
    told: dict[str, Any] = json.loads(line)
    assert told["benchmark"] == name
    assert table.splitlines()[0] == name
    assert len(table.splitlines()) == 1 + len(told["figures"])
    assert set(told["targets"]) <= set(told["figures"])
    assert set(told["missed"]) <= set(told["targets"])
    found: dict[str, float] = told["figures"]
    return found


def test_the_inbox_benchmark_measures_ours_and_the_rival() -> None:
    found = figures_of("inbox", "--notes", "30", "--rival-notes", "20", "--senders", "3", "--rounds", "1", "--concurrency", "8")
    assert {"acks_per_s", "rival_acks_per_s", "ratio_acks", "cpu_accept_ms", "cpu_with_processing_ms", "cpu_one_actor_ms"} <= set(
        found
    )
    assert found["ratio_acks"] == pytest.approx(found["acks_per_s"] / found["rival_acks_per_s"], rel=0.01)


def test_the_home_benchmark_measures_few_and_many_follows(tmp_path: Path) -> None:
    size = ("--works", "3000", "--authors", "600", "--accounts", "1", "--calls", "10", "--requests", "10", "--rounds", "1")
    found = figures_of("home", *size, "--keep", str(tmp_path))
    assert {"query_many_ms", "query_few_ms", "ratio_query", "page_many_ms", "request_empty_ms", "request_more_ms"} <= set(found)
    assert found["query_many_ms"] > 0
    assert (tmp_path / "data" / "fediart.sqlite").exists()


def test_the_fan_out_benchmark_measures_personal_and_shared_inboxes() -> None:
    found = figures_of("fanout", "--followers", "10", "--hosts", "4", "--picture", "0", "--rounds", "1")
    assert {"first_cpu_s", "second_cpu_s", "shared_first_cpu_s", "bare_first_cpu_s", "ratio_first", "last_s"} <= set(found)
    assert found["first_cpu_s"] > 0


def test_the_start_benchmark_measures_start_idling_and_pages_beside_a_cloak() -> None:
    size = ("--starts", "1", "--idle", "0.5", "--width", "800", "--works", "1", "--rounds", "1", "--calm-looks", "3")
    found = figures_of("start", *size)
    assert {"start_s", "idle_mb", "idle_cpu_percent", "accepted_s", "ratio_home", "ratio_profile"} <= set(found)
    assert found["looks_cloaking"] > 0


def test_the_cloak_benchmark_measures_cpu_and_memory_of_the_child() -> None:
    found = figures_of("cloak_cost", "--sizes", "8", "--shrink", "8", "--rounds", "1")
    assert {"cpu_per_mp_8", "cloak_per_mp_8", "ratio_8", "peak_8_mb", "plain_peak_8_mb"} <= set(found)
    assert found["peak_8_mb"] > found["plain_peak_8_mb"] > 10
