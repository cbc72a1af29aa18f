"""The benchmarks run, at a tiny size, and print what is expected of them. How fast anything is, is not judged here."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_encoder import tiny_decoder, tiny_encoder

ROOT = Path(__file__).resolve().parents[1]
TINY = {
    "start": "--starts 1 --idle 0.5 --width 800 --works 1 --rounds 1 --calm-looks 3",
    "restart": "--works 3 --hosts 40 --failing 10 --rounds 1 --work 0.3 --pages 2",
    "inbox": "--notes 30 --rival-notes 20 --senders 3 --rounds 1 --concurrency 8",
    "fanout": "--followers 10 --hosts 4 --picture 0 --rounds 1",
    "reach": "--followers 12 --hosts 10 --hanging 0.2 --tls --calm-posts 1 --rounds 1",
    "origin": "--width 400 --rounds 1",
    "backup": "--works 20 --original 20000 --rounds 1",
    "door": "--requests 20 --rounds 1",
    "signals": "--works 2 --requests 3 --rounds 1",
    "cloak_cost": "--sizes 8 --shrink 8 --rounds 1",
    "rejudge": "--works 300 --rounds 1 --removed",
    "home": "--works 3000 --authors 600 --accounts 1 --calls 10 --requests 10 --rounds 1",
}
Figures = Callable[[str], dict[str, float]]


def run_tiny(name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *TINY[name].split()]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150)


@pytest.fixture(scope="module")
def figures_of() -> Iterator[Figures]:
    """What a benchmark measured. They run side by side: mostly they wait for servers to start."""
    with ThreadPoolExecutor(len(TINY)) as pool:
        runs = {name: pool.submit(run_tiny, name) for name in TINY}

        def figures(name: str) -> dict[str, float]:
            done = runs[name].result()
            # It ends with a reason when what it measured did not really happen.
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

        yield figures


def test_the_door_benchmark_measures_each_kind_with_and_without(figures_of: Figures) -> None:
    found = figures_of("door")
    kinds = {"page", "document", "program", "file", "new_names"}
    assert set(found) == {
        f"{what}_{kind}{unit}" for kind in kinds for what, unit in (("door", "_ms"), ("with", "_ms"), ("ratio", ""))
    }
    assert all(found[f"ratio_{kind}"] > 0 for kind in kinds)


def test_the_backup_benchmark_measures_tar_and_each_kind_of_backup(figures_of: Figures) -> None:
    found = figures_of("backup")
    for kind in ("tar", "backup", "sealed", "verified", "untar", "restore"):
        assert found[f"{kind}_mb_per_s"] > 0
    assert found["ratio"] == pytest.approx(found["backup_mb_per_s"] / found["tar_mb_per_s"], rel=0.01, abs=0.001)
    assert found["size_mb"] > 20 * 0.02


def test_the_signals_benchmark_asks_each_kind_with_and_without(figures_of: Figures) -> None:
    found = figures_of("signals")
    kinds = ("work", "profile", "file", "document")
    assert set(found) == {
        f"{what}_{kind}{unit}" for kind in kinds for what, unit in (("signals", "_ms"), ("on", "_ms"), ("ratio", ""))
    }
    assert all(found[f"on_{kind}_ms"] > 0 for kind in kinds)


def test_the_inbox_benchmark_measures_ours_and_the_rival(figures_of: Figures) -> None:
    found = figures_of("inbox")
    wanted = {"acks_per_s", "rival_acks_per_s", "ratio_acks", "cpu_accept_ms", "cpu_with_processing_ms", "cpu_one_actor_ms"}
    assert wanted <= set(found)
    assert found["ratio_acks"] == pytest.approx(found["acks_per_s"] / found["rival_acks_per_s"], rel=0.01)


def test_the_home_benchmark_measures_few_and_many_follows(figures_of: Figures) -> None:
    found = figures_of("home")
    assert {"query_many_ms", "query_few_ms", "ratio_query", "page_many_ms", "request_empty_ms", "request_more_ms"} <= set(found)
    assert found["query_many_ms"] > 0


def test_the_fan_out_benchmark_measures_personal_and_shared_inboxes(figures_of: Figures) -> None:
    found = figures_of("fanout")
    assert {"first_cpu_s", "second_cpu_s", "shared_first_cpu_s", "bare_first_cpu_s", "ratio_first", "last_s"} <= set(found)
    assert found["first_cpu_s"] > 0


def test_the_reach_benchmark_meets_hosts_that_hang_and_reaches_the_others(figures_of: Figures) -> None:
    found = figures_of("reach")
    for way in ("personal", "shared"):
        assert found[f"{way}_most_open"] == 1  # they were asked, one request at a time
        assert 0 < found[f"{way}_half_s"] <= found[f"{way}_most_s"] <= found[f"{way}_last_s"]
        assert found[f"{way}_post_ratio"] == pytest.approx(found[f"{way}_post_ms"] / found[f"{way}_calm_ms"], rel=0.01)


def test_the_start_benchmark_measures_start_idling_and_pages_beside_a_cloak(figures_of: Figures) -> None:
    found = figures_of("start")
    assert {"start_s", "idle_mb", "idle_cpu_percent", "accepted_s", "ratio_home", "ratio_profile"} <= set(found)
    assert found["looks_cloaking"] > 0


def test_the_restart_benchmark_measures_a_full_and_an_empty_queue(figures_of: Figures) -> None:
    found = figures_of("restart")
    assert {"restart_s", "restart_cpu_s", "empty_s", "empty_cpu_s", "ratio_cpu", "page_ms"} <= set(found)
    assert found["waiting"] == 3 * 40


def test_the_origin_benchmark_measures_header_reading_and_rights_together(figures_of: Figures) -> None:
    found = figures_of("origin")
    for name in ("jpeg", "webp", "png"):
        parts = found[f"{name}_header_ms"] + found[f"{name}_origin_ms"] + found["xmp_ms"]
        assert found[f"{name}_all_ms"] == pytest.approx(parts, abs=0.001)
        assert found[f"{name}_origin_ms"] > 0


def test_the_cloak_benchmark_measures_cpu_and_memory_of_the_child(figures_of: Figures) -> None:
    found = figures_of("cloak_cost")
    assert {"cpu_per_mp_8", "cloak_per_mp_8", "ratio_8", "peak_8_mb", "plain_peak_8_mb"} <= set(found)
    assert found["peak_8_mb"] > found["plain_peak_8_mb"] > 10


def test_the_rejudge_benchmark_measures_the_run_and_what_others_wait(figures_of: Figures) -> None:
    found = figures_of("rejudge")
    assert found["works_per_s"] >= found["slowest_works_per_s"] > 0
    assert 0 < found["act_ms"] <= found["act_longest_ms"]
    assert 0 < found["write_p50_ms"] <= found["write_p99_ms"] <= found["write_longest_ms"]
    assert found["removed_per_s"] > 0


def test_the_evaluation_of_the_cloak_measures_it_beside_noise(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "one_encoder.pth", "plain", 1)
    tiny_encoder(tmp_path / "two_encoder.pth", "deep", 2)
    tiny_decoder(tmp_path / "one_decoder.pth", "plain", 1)
    docs = tmp_path / "page.md"
    docs.write_text("Before\n<!-- evaluation: begin -->\nold\n<!-- evaluation: end -->\nAfter\n")
    options = f"--encoders {tmp_path} --out {tmp_path}/out --docs {docs} --size 160 --only 1 --averaging 4 --processes 1"
    command = [sys.executable, "-m", "benchmarks.cloak", *options.split(), "--views", "clean", "half", "tv", "nlm"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((tmp_path / "out.json").read_text())
    assert {result["ppd"] for result in told["results"]} == {33.0, 67.0}
    for result in told["results"]:
        methods = result["methods"]
        assert {"uniform", "luminance", "texture", "encoders standard", "without one", "Mist kind"} <= set(methods)
        # All as visible as each other, and no more visible than the cloak was.
        for method in methods.values():
            assert 0.8 * result["wanted"] < method["flip"] <= result["wanted"] + 1e-6
            assert method["round trip"]["one"] > 0
        steered = methods["encoders standard"]["cells"]
        assert steered["one clean"]["d"] > methods["luminance"]["cells"]["one clean"]["d"]
        assert set(steered) == {f"{name} {view}" for name in ("one", "two") for view in ("clean", "half", "tv", "nlm")}
    assert 0 <= told["averaging"]["mean"] < 0.3
    written = docs.read_text()
    assert written.startswith("Before")
    assert written.endswith("After\n")
    assert "encoder two" in written
    assert "old" not in written
    assert "data:image/jpeg" in (tmp_path / "out.html").read_text()


def test_the_mimicry_benchmark_tries_each_mimic_on_each_portfolio(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "tiny_encoder.pth", "pooled", 3)
    tiny_decoder(tmp_path / "tiny_decoder.pth", "pooled", 3)
    tiny_encoder(tmp_path / "other_encoder.pth", "deep", 4)
    written, page = tmp_path / "figures.json", tmp_path / "page.html"
    command = [sys.executable, "-m", "benchmarks.mimicry", "--quick", "--encoders", str(tmp_path)]
    command += ["--json", str(written), "--html", str(page)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.strip().rsplit("\n", 1)[1])
    assert told["benchmark"] == "mimicry"
    assert told["targets"] == {"texture_quilt_waves": "at least 6", "encoders_quilt_waves": "at least 20"}
    found = json.loads(written.read_text())
    variants = {one["name"]: one for one in found["variants"]}
    assert list(variants) == ["clean", "noise", "blocks", "texture", "encoders", "left_out"]
    assert variants["left_out"]["what"] == "steered by other alone"
    keys = {(row["variant"], row["treatment"], row["mimic"], row["features"]) for row in found["rows"]}
    treatments, mimics, features = ("as posted", "TV", "NLM"), ("wct", "quilt", "model"), ("waves", "other")
    assert keys == set(itertools.product(variants, treatments, mimics, features))
    assert len(keys) == len(found["rows"])
    # Noise is as visible as the most visible cloak, picture by picture, and its figures are its own.
    cloaks = zip(*(variants[name]["flip"] for name in ("texture", "encoders", "left_out")), strict=True)
    most = [max(flips) for flips in cloaks]
    for name in ("noise", "blocks"):
        for flip, wanted in zip(variants[name]["flip"], most, strict=True):
            assert wanted <= flip <= 1.02 * wanted
    # Each portfolio, and each denoiser, leaves its mark on what is made.
    assert len({row["distance"] for row in found["rows"]}) == len(found["rows"])
    assert all(row["over_clean"] == 0 for row in found["rows"] if (row["variant"], row["treatment"]) == ("clean", "as posted"))
    for row in found["rows"]:
        if row["treatment"] == "as posted":
            posted = row["over_clean"]
            assert posted == pytest.approx(row["over_clean_treated_alike"])
            if row["mimic"] == "quilt" and row["variant"] != "clean":
                key = f"{row['variant']}_quilt_{row['features']}"
                assert told["figures"][key] == pytest.approx(posted, abs=1e-4)
    html = page.read_text()
    assert html.count("<tr>") == len(variants) * len(treatments)
    assert html.count("data:image/jpeg;base64,") == 2 + 7 * len(variants) * len(treatments)
    assert "http" not in html


def test_the_mimicry_benchmark_says_what_is_missing(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "tiny_encoder.pth")
    command = [sys.executable, "-m", "benchmarks.mimicry", "--quick", "--encoders", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert done.returncode == 1
    assert done.stderr.strip() == f"In {tmp_path} there is no NAME_encoder.pth with its NAME_decoder.pth."
