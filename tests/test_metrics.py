"""The figures: who may have them, what they count, that their labels stay few, and that the dashboard asks for what is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from fediart.config import load_config
from fediart.errors import ConfigError
from fediart.metrics import MOST_SETS, OTHER, Counter, Histogram
from fediart.office.prune import keep_sightings, sweep_uploads
from fediart.storage.jobs import NEVER, add_job
from fediart.web.app import create_app
from tests.far_server import artist_uri, follow, settled
from tests.people import people_of
from tests.postgres import Postgres
from tests.scene import a_scene
from tests.waiting import until
from tests.world import World, a_world

TOKEN = "a-long-enough-token"
DASHBOARD = Path(__file__).resolve().parents[1] / "docs" / "grafana-dashboard.json"
DOCS = DASHBOARD.with_name("metrics.md")
pytestmark = pytest.mark.anyio


def read(page: str) -> dict[str, float]:
    """Every sample of the page: its name with its labels → its value."""
    samples = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r'[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)+\})? [0-9.e+-]+', line), line
            name, _, value = line.rpartition(" ")
            assert name not in samples, f"{name} stands there twice"
            samples[name] = float(value)
    return samples


def names_of(page: str) -> dict[str, str]:
    """Name → type, of the figures that the page says there are."""
    return dict(re.findall(r"(?m)^# TYPE ([a-z_]+) (counter|gauge|histogram)$", page))


async def figures(client: httpx.AsyncClient) -> dict[str, float]:
    answer = await client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["cache-control"] == "no-store"
    return read(answer.text)


async def test_nobody_gets_them_without_the_token_or_from_afar(prepared: Path, tmp_path: Path) -> None:
    copied = tmp_path / "data"
    subprocess.run(["cp", "-r", prepared, copied], check=True)

    async def asked(app: Any, host: str, client: str = "127.0.0.1", **headers: str) -> int:
        transport = httpx.ASGITransport(app, client=(client, 5))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http:
            return (await http.get("/metrics", headers={k.replace("_", "-"): v for k, v in headers.items()})).status_code

    async with a_world(copied, jobs=False) as world:
        off = create_app(world.instance)
        assert await asked(off, "localhost:8000") == 404
        assert await asked(off, "localhost:8000", authorization="Bearer ") == 404

    async with a_world(copied, jobs=False, **{"metrics.token": TOKEN, "metrics.local": False}) as world:
        app = create_app(world.instance)
        right = f"Bearer {TOKEN}"
        assert await asked(app, "localhost:8000", authorization=right) == 200
        assert await asked(app, "localhost:8000", "203.0.113.9", authorization=right, x_forwarded_for="203.0.113.8") == 200
        for wrong in (f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}"):
            assert await asked(app, "localhost:8000", authorization=wrong) == 404, wrong
        assert await asked(app, "localhost:8000") == 404

    async with a_world(copied, jobs=False, **{"metrics.local": True}) as world:
        app = create_app(world.instance)
        for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000", "127.0.0.1", "[::1]"):
            assert await asked(app, host) == 200, host
        assert await asked(app, "localhost:8000", "203.0.113.9") == 404
        # A proxy on this machine: it asks for the public name, or says for whom.
        assert await asked(app, "art.example") == 421
        assert await asked(app, "localhost:8000", x_forwarded_for="203.0.113.9") == 404
        assert await asked(app, "localhost:8000", forwarded="for=203.0.113.9") == 404


def test_a_token_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 16"):
        load_config(None, {}, {"metrics.token": "short"})
    with pytest.raises(ConfigError, match="at least 0"):
        load_config(None, {}, {"log.slow_request_ms": -1})


async def test_what_happens_is_counted(prepared: Path, tmp_path: Path) -> None:
    settings = {"metrics.token": TOKEN}
    async with a_scene(prepared, tmp_path, **settings) as scene:
        world = scene.world
        instance, stranger = world.instance, world.stranger
        await follow(world, scene.ana)
        twice = scene.ana.create(scene.ana.note())
        await scene.heard(scene.ana, twice)
        await scene.heard(scene.ana, twice)
        await scene.heard(scene.ana, scene.ana.activity("Like", "https://nowhere.example/1"))
        await scene.heard(scene.ana, scene.ana.activity("Juggle", "https://nowhere.example/1"))
        await scene.ana.says(world, scene.ana.activity("Like", "https://nowhere.example/2"), key=scene.ana.number + 1)
        await scene.ana.says(world, scene.ana.activity("Like", "https://nowhere.example/3", actor=scene.bo.uri))
        assert (await stranger.post("/inbox", content=b"{}")).status_code == 400
        assert (await stranger.post("/inbox", content=b"x" * 2_000_000)).status_code == 413
        assert (await stranger.post("/inbox", content=b"", headers={"content-encoding": "gzip"})).status_code == 415
        work = await scene.post()
        image = await world.upload()
        await until(lambda: _is_ready(world, image["id"]))
        assert (await stranger.get("/@mira")).status_code == 200
        assert (await stranger.get(f"/@mira/{work['id']}")).status_code == 200
        for nonsense in range(30):
            assert (await stranger.get(f"/no-{nonsense}")).status_code == 404
        assert (await stranger.request("JUGGLE", "/@mira")).status_code == 405
        assert (await stranger.get("/@nobody")).status_code == 404
        assert (await stranger.get("/@mira", headers={"user-agent": "GPTBot/1.1"})).status_code == 403
        assert (await stranger.get("/@mira", headers={"host": "elsewhere.example"})).status_code == 421
        assert await settled(world) == []
        await keep_sightings(instance)
        found = await figures(stranger)

        requests = {key: value for key, value in found.items() if key.startswith("fediart_requests_total")}
        assert requests['fediart_requests_total{method="GET",route="/@{name}",status="200"}'] == 1
        assert requests['fediart_requests_total{method="GET",route="/@{name}/{work_id}",status="200"}'] == 1
        assert requests['fediart_requests_total{method="GET",route="none",status="404"}'] == 30
        assert requests['fediart_requests_total{method="GET",route="none",status="421"}'] == 1
        assert requests['fediart_requests_total{method="other",route="/@{name}",status="405"}'] == 1
        assert requests['fediart_requests_total{method="POST",route="/inbox",status="413"}'] == 1
        assert found['fediart_request_seconds_count{route="/@{name}/{work_id}"}'] == 1
        assert found['fediart_request_seconds_bucket{route="/@{name}/{work_id}",le="+Inf"}'] == 1

        def refused(reason: str) -> float:
            return found[f'fediart_refusals_total{{reason="{reason}"}}']

        assert refused("no_such_address") == 30
        assert refused("not_found") == 1
        assert refused("no_such_method") == refused("ai_agent") == refused("unknown_host") == 1

        def inbox(outcome: str, reason: str) -> float:
            return found[f'fediart_inbox_total{{outcome="{outcome}",reason="{reason}"}}']

        assert inbox("taken", "repeated") == inbox("taken", "unknown_type") == 1
        assert inbox("taken", "new") >= 3
        assert inbox("refused", "not_understood") == inbox("refused", "too_large") == inbox("refused", "compressed") == 1
        assert inbox("refused", "not_its_actor") == inbox("refused", "signature_wrong") == 1
        assert found['fediart_arrivals_total{type="Create",outcome="done"}'] == 1
        assert found['fediart_arrivals_total{type="Like",outcome="left"}'] == 1
        assert found['fediart_arrivals_left_total{reason="what it likes is not here, or not for its sender"}'] == 1
        assert found['fediart_jobs_total{kind="cloak",outcome="done"}'] == 1
        assert found['fediart_deliveries_total{outcome="delivered"}'] >= 1
        assert found['fediart_remote_requests_total{outcome="answered"}'] >= 2
        assert found['fediart_cloak_seconds_count{strength="standard"}'] == 1
        assert found['fediart_deliveries_waiting{state="due"}'] == 0
        assert found["fediart_oldest_delivery_seconds"] == 0
        assert found['fediart_media_bytes{kind="originals"}'] > 1_000
        assert found['fediart_media_bytes{kind="public"}'] > 1_000
        assert found["fediart_database_bytes"] > 100_000
        assert 0 < found["fediart_disk_free_bytes"] <= found["fediart_disk_size_bytes"]
        assert found['fediart_peers{state="known"}'] == 1
        assert found["process_resident_memory_bytes"] > 10_000_000
        assert found["process_open_fds"] > 5
        assert found["process_cpu_seconds_total"] > 0

        scene.far.judge = lambda asked: 503 if asked.method == "POST" else None
        await scene.ana.says(world, scene.ana.activity("Follow", artist_uri(world)))
        await until(lambda: instance.metrics.deliveries_done.held("deferred"))
        await settled(world)
        found = await figures(stranger)
        assert found['fediart_deliveries_waiting{state="later"}'] == 1
        assert found['fediart_peers{state="failing"}'] == 1
        assert instance.storage.waiting_writes == found["fediart_database_write_queue"] == 0


async def _is_ready(world: World, image_id: str) -> bool:
    return bool((await world.client.get(f"/api/v1/media/{image_id}")).json()["url"])


async def test_a_queue_is_told_by_kind_and_age(prepared: Path, tmp_path: Path) -> None:
    copied = tmp_path / "data"
    subprocess.run(["cp", "-r", prepared, copied], check=True)
    async with a_world(copied, jobs=False, **{"metrics.token": TOKEN}) as world:
        now = world.instance.clock()

        def queue(db: Any) -> None:
            for kind, run_at, leased_until in (
                ("cloak", now - 90_000, 0),
                ("cloak", now - 30_000, 0),
                ("cloak", now + 60_000, 0),
                ("cloak", NEVER, 0),
                ("lapse", now - 10_000, now + 60_000),
            ):
                add_job(db, kind, {"n": kind}, now=now, run_at=run_at)
                db.execute(
                    text("UPDATE jobs SET leased_until = :until WHERE run_at = :at"), {"until": leased_until, "at": run_at}
                )

        await world.instance.storage.write(queue)
        found = await figures(world.stranger)
        held = {
            (kind, state): found[f'fediart_jobs_waiting{{kind="{kind}",state="{state}"}}']
            for kind in ("cloak", "lapse")
            for state in ("due", "later", "in_hand", "held")
        }
        assert held == {
            **{("cloak", state): count for state, count in (("due", 2), ("later", 1), ("in_hand", 0), ("held", 1))},
            **{("lapse", state): count for state, count in (("due", 0), ("later", 0), ("in_hand", 1), ("held", 0))},
        }
        assert 90 <= found['fediart_oldest_job_seconds{kind="cloak"}'] < 900
        assert found['fediart_oldest_job_seconds{kind="lapse"}'] == 0


def test_labels_stay_few_and_are_written_so_that_they_can_be_read() -> None:
    counter = Counter("fediart_tries_total", "Tries.", "of")
    for number in range(MOST_SETS + 50):
        counter.count(f"stranger-{number}")
    lines = [line for line in counter.lines() if not line.startswith("#")]
    assert len(lines) == MOST_SETS + 1
    assert counter.held(OTHER) == 50
    odd = Counter("fediart_odd_total", "Odd.", "of")
    odd.count('a "b" \\ c\nd')
    assert list(odd.lines())[-1] == 'fediart_odd_total{of="a \\"b\\" \\\\ c\\nd"} 1'
    spread = Histogram("fediart_wait_seconds", "Wait.", bounds=(0.5, 1.0))
    for seconds in (0.1, 0.5, 0.7, 3.0):
        spread.observe(seconds)
    assert [line for line in spread.lines() if not line.startswith("#")] == [
        'fediart_wait_seconds_bucket{le="0.5"} 2',
        'fediart_wait_seconds_bucket{le="1"} 3',
        'fediart_wait_seconds_bucket{le="+Inf"} 4',
        "fediart_wait_seconds_sum 4.3",
        "fediart_wait_seconds_count 4",
    ]


# ------------------------------------------------------------------------------------------------------- the dashboard


async def test_the_dashboard_asks_for_what_is_there(prepared: Path, tmp_path: Path) -> None:
    copied = tmp_path / "data"
    subprocess.run(["cp", "-r", prepared, copied], check=True)
    async with a_world(copied, jobs=False, **{"metrics.token": TOKEN}) as world:
        page = (await world.stranger.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})).text
        labels = {figure.name: set(figure.labels) for figure in world.instance.metrics.all()}
    kinds = names_of(page)
    assert set(kinds) == set(labels)
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    asked = [(panel["title"], target["expr"], target["legendFormat"]) for panel in panels for target in panel["targets"]]
    assert len(asked) > 25
    used: set[str] = set()
    for title, query, legend in asked:
        found = _names_in(query)
        assert found, (title, query)
        for name in found:
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            base = base if kinds.get(base) == "histogram" else name
            assert base in kinds, f"{title}: {name} is not there"
            assert (base != name) == (kinds[base] == "histogram"), f"{title}: {name}"
            assert (kinds[base] != "gauge") == bool(re.search(rf"(rate|increase)\({name}", query)), f"{title}: {query}"
            used.add(base)
        known = set().union(*(labels[name] for name in labels if any(part.startswith(name) for part in found))) | {
            "le",
            "instance",
        }
        for by in re.findall(r"by \(([a-z, ]+)\)", query):
            assert set(by.split(", ")) <= known, f"{title}: {query}"
        matched = set(re.findall(r'[{,]([a-z]+)(?:=~|!~|!=|=)"', query))
        assert matched <= known, f"{title}: {query}"
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= known, f"{title}: {legend}"
        assert query.count("(") == query.count(")")
    assert set(kinds) - used <= {"fediart_info"}
    assert "label_values(fediart_info, instance)" in json.dumps(dashboard["templating"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    told = set(re.findall(r"`((?:fediart|process)_[a-z_]+)`", DOCS.read_text(encoding="utf-8")))
    assert told == set(kinds)


def _names_in(query: str) -> set[str]:
    return set(re.findall(r"\b(?:fediart|process)_[a-z_]+", re.sub(r'"[^"]*"', '""', query)))


# -------------------------------------------------------------------------------------------------------- slow requests

SLOW = """
import asyncio, sys
from pathlib import Path
from starlette.routing import Route
from starlette.responses import PlainTextResponse
from sqlalchemy import text
from fediart.instance import token_hash
from fediart.media.pipeline import backend_version
from fediart.observe import set_up_logs
from tests.far_server import a_far_server
from tests.people import people_of
from tests.world import a_world

set_up_logs("info", "json")

async def slow(request):
    instance = request.app.state.instance
    def question(db):
        for _ in range(3):
            db.execute(text("SELECT 1"))
    await instance.storage.read(question)
    await instance.storage.write(question)
    await instance.client.request("GET", request.query_params["of"])
    return PlainTextResponse("done")

async def main():
    settings = {"log.slow_request_ms": int(sys.argv[2])}
    world_here = a_world(Path(sys.argv[1]), jobs=False, **settings)
    async with a_far_server() as far, world_here as world, people_of(world.instance) as people:
        inner = people.app
        while not hasattr(inner, "routes"):
            inner = inner._app
        inner.routes.insert(0, Route("/slow/{id}/{key}", slow))
        client = await people.client("hush-token", cookies={"fediart-8000": "hush-cookie"})
        answer = await client.get("/slow/17/hush-path", params={"of": far.url + "/hush-query", "token": "hush-parameter"})
        print(answer.status_code, answer.headers["x-request-id"])

asyncio.run(main())
"""


@pytest.mark.parametrize(("threshold", "times"), [(0, 1), (600_000, 0)])
def test_a_slow_request_is_explained_without_secrets(threshold: int, times: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW, str(tmp_path), str(threshold)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    status, request_id = ran.stdout.split()
    assert status == "200"
    told = [json.loads(line) for line in ran.stderr.splitlines() if "request.slow" in line]
    assert len(told) == times
    assert "hush" not in ran.stderr
    for line in told:
        assert line["request"] == request_id
        assert (line["method"], line["route"], line["of"], line["status"]) == ("GET", "/slow/{id}/{key}", {"id": "17"}, 200)
        assert line["statements"] >= 6
        assert line["database_times"] >= 2
        assert line["remote_times"] == 1
        assert 0 <= line["database_ms"] + line["remote_ms"] <= line["ms"] + 2


async def test_the_same_questions_on_postgresql(postgres: Postgres, tmp_path: Path) -> None:
    settings = {"storage.database": postgres.new_database(), "metrics.token": TOKEN}
    async with a_world(tmp_path, jobs=False, **settings) as world, people_of(world.instance) as people:
        ada = await people.person("ada")
        await world.instance.storage.write(lambda db: db.execute(text("UPDATE accounts SET role = 'owner'")))
        world.instance.sightings.heard("art.example")
        world.instance.sightings.reached("art.example")
        await keep_sightings(world.instance)
        world.instance.sightings.heard("art.example")
        await keep_sightings(world.instance)
        found = await figures(world.stranger)
        assert found["fediart_database_bytes"] > 1_000_000
        assert found['fediart_peers{state="known"}'] == 1
        assert found["fediart_database_write_queue"] == 0
        await world.upload()
        assert (await figures(world.stranger))['fediart_jobs_waiting{kind="cloak",state="due"}'] == 1
        for page, said in (
            ("server", "1 due"),
            ("peers", "art.example"),
            ("peers?failing=1&name=art", "None is"),
            ("accounts", "@ada"),
        ):
            answer = await ada.browser.get(f"/admin/{page}")
            assert (answer.status_code, said in answer.text) == (200, True), page
        draft = (await ada.browser.send("/compose")).headers["location"]
        trusted = {"x-form-token": await ada.browser.form_token(draft), "upload-length": "10"}
        begun = await ada.browser.http.post(f"{draft}/uploads", headers=trusted)
        assert (await ada.browser.http.head(begun.headers["location"])).headers["upload-offset"] == "0"
        await sweep_uploads(world.instance)
