"""A server under a constant load: the machinery at a small size, and that its judge knows a leak.

FEDIART_LONG=1 puts the hour in full in the place of the small size."""

from __future__ import annotations

import collections
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load.fediverse import Expected, Plan, Told
from benchmarks.soak import Samples, Soaked, figures_of, sentence
from benchmarks.steady import Series, drift_percent, floor_growth, growth_percent, share_below

ROOT = Path(__file__).resolve().parents[1]
LONG = os.environ.get("FEDIART_LONG") == "1"
SMALL = "--minutes 0.15 --deliveries 250 --reads 60 --uploads 2 --hosts 20 --width 320"
WARMING_UP = {"memory_growth_percent", "memory_drift_percent", "handles_growth", "threads_growth"}
"""What some seconds after a start cannot say."""


def soaked(options: str, patience_s: float) -> tuple[int, dict[str, Any], str]:
    """(exit status, the line of JSON, everything that was said)"""
    command = [sys.executable, "-m", "benchmarks.soak", *options.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patience_s)
    said = done.stdout + done.stderr
    assert done.stdout.strip(), said[-3000:]
    return done.returncode, json.loads(done.stdout.strip().rsplit("\n", 1)[1]), said


@pytest.mark.row(65)
@pytest.mark.parametrize("options", ["" if LONG else SMALL], ids=["an hour" if LONG else "seconds"])
def test_under_constant_load_nothing_grows_nothing_is_lost_and_nothing_falls_behind(options: str) -> None:
    status, told, said = soaked(options, 5_400 if LONG else 400)
    figures, missed = told["figures"], set(told["missed"])
    assert missed <= (set() if LONG else WARMING_UP), said[-4000:]
    assert status == bool(missed)
    assert figures["memory_growth_percent"] < 200
    assert said.startswith("Not held over" if missed else "Held for")
    assert figures["kept"] > 150
    assert figures["missing"] == figures["wrong"] == figures["errors"] == figures["unread"] == figures["unheard"] == 0
    assert figures["taken_out"] > figures["posted"] * 18
    assert figures["refused_out"] > 0
    assert set(told["targets"]) > WARMING_UP


def hour(value: Callable[[float], float], spread: float = 0.0) -> Series:
    """An hour of looks, 5 s apart. `value` of 0 to 1; `spread` of a noise around it."""
    noise = random.Random(1)
    at = [5.0 * number for number in range(720)]
    return Series(at, [value(second / 3600) + noise.uniform(-spread, spread) for second in at])


def warm(part: float) -> float:
    """A server that takes what it needs in the first tenth, and keeps it."""
    return 130 + 60 * min(1.0, part / 0.1)


def nothing_grows(part: float) -> float:
    return warm(part) + 8 * (part % 0.01 < 0.001)  # now and then a spike


LEAKS: dict[str, Callable[[float], float]] = {
    "steadily": lambda part: warm(part) * (1 + 0.08 * part),
    "in steps": lambda part: warm(part) * (1 + 0.02 * int(part * 5)),
    "late": lambda part: warm(part) * (1 + 0.1 * max(0.0, part - 0.5) / 0.4),
}


def test_what_only_warms_up_and_has_spikes_does_not_grow() -> None:
    for spread in (0.0, 3.0):
        series = hour(nothing_grows, spread)
        assert series.early == pytest.approx(190, abs=3)
        assert abs(growth_percent(series)) < 1
        assert abs(drift_percent(series)) < 1


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_seen_whether_it_is_steady_comes_in_steps_or_late(leak: str) -> None:
    """Those that the whole hour is long enough for: from 6 % on."""
    series = hour(LEAKS[leak], 2.0)
    assert max(growth_percent(series), drift_percent(series)) > 5


def test_the_slope_is_that_of_the_leak_and_no_single_look_bends_it() -> None:
    series = hour(lambda part: 200 + 10 * part)
    assert series.slope() * 3600 == pytest.approx(10)
    bent = Series(series.at, [*series.values[:700], 5000.0, *series.values[701:]])
    assert bent.slope() * 3600 == pytest.approx(10, rel=0.02)


def test_handles_that_come_and_go_are_no_leak_but_those_that_stay_are() -> None:
    def busy(part: float) -> float:
        return 40 + int(part * 720) * 7 % 60

    assert floor_growth(hour(busy)) == 0
    assert floor_growth(hour(lambda part: busy(part) + int(part * 3))) == 2


def test_ninety_nine_of_a_hundred_are_below_the_share() -> None:
    assert share_below([], 0.99) == 0
    assert share_below([*[1.0] * 99, 70.0], 0.98) == 1
    assert share_below([*[1.0] * 90, *[70.0] * 10], 0.99) == 70


def test_the_report_of_a_leaking_run_is_missed_and_says_what_was_not_held() -> None:
    """The same figures that the benchmark prints, from a run whose samples and findings are made up."""
    held = figures_of(made_up(nothing_grows))
    assert [figure.key for figure in held if figure.is_met is False] == []
    assert sentence(held, 60) == "Held for 60 minutes: nothing grew beyond its bound, nothing fell behind, nothing was lost."
    run = made_up(LEAKS["steadily"])
    run.samples.handles[-150:] = [value + 1 for value in run.samples.handles[-150:]]
    run.samples.wal[300] = 65.0
    run.samples.job_lag[100:120] = [61.0] * 20
    run.told.deliveries_per_s, run.told.wrong = 26.0, {"Like: 500": 1}
    run.went_missing.append("somebody's note")
    run.errors["inbox.crashed"] += 1
    run.expected.posts["the work"] = [61.0] * 5
    found = figures_of(run)
    assert {figure.key for figure in found if figure.is_met is False} == {
        "memory_growth_percent",
        "memory_drift_percent",
        "handles_growth",
        "wal_mb",
        "job_lag_p99_s",
        "delivery_lag_p99_s",
        "unheard",
        "errors",
        "missing",
        "wrong",
        "deliveries_per_s",
    }
    assert sentence(found, 60).startswith("Not held over 60 minutes: grown; ")


def made_up(memory: Callable[[float], float]) -> Soaked:
    plan = Plan(
        port=1,
        far_port=2,
        seconds=3600,
        deliveries=100_000,
        reads=20_000,
        uploads=1,
        hosts=10,
        failing=1,
        hanging=1,
        authors=5,
        strangers=5,
        members=[],
        works=[],
        private_pem="",
        public_pem="",
        picture="",
        folder="",
    )
    series = hour(memory)
    calm = [1.0] * len(series.at)
    samples = Samples(
        at=list(series.at),
        rss=list(series.values),
        pss=list(series.values),
        private=list(series.values),
        children=calm,
        handles=[40.0] * len(series.at),
        threads=calm,
        wal=list(calm),
        job_lag=list(calm),
        delivery_lag=calm,
        waiting=calm,
    )
    told = Told(deliveries_per_s=100_000 / 3600, reads_per_s=20_000 / 3600, uploads=1)
    return Soaked(plan, samples, told, Expected(posts={"a work": [0.5] * 8}), [], collections.Counter(), 0, 1.0, 1.0)
