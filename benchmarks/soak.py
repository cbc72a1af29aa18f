"""A server under a constant load for an hour: does anything grow, does anything fall behind, was everything kept?

`fediart serve` as an admin runs it (limits on, pictures cloaked with the texture, SQLite), and beside it
`load/fediverse.py`: 200 hosts, one in twenty of them failing or hanging, that send signed activities, one in twenty faulty;
readers; artists who upload. Every few seconds the server is looked at from outside: memory, file handles by kind, threads,
the write-ahead log, how long the oldest job has been due. At the end all that was accepted is looked for in the database,
and all that was posted is read.

The exit status is 1 when a target is missed: also when this machine could not keep the pace.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from benchmarks.inbox import sender_values
from benchmarks.load.fediverse import Expected, Plan, Told
from benchmarks.load.procstat import measure
from benchmarks.report import Figure, arguments, tell
from benchmarks.server import ROOT, Member, Place, Server, environment, free_port, make_place, serving
from benchmarks.start import drawn
from benchmarks.steady import Series, drift_percent, floor_growth, growth_percent, share_below
from fediart.activitypub.signatures.keys import generate_rsa_pair
from fediart.domain.follows import Follow, FollowState
from fediart.ids import new_id
from fediart.storage import actors, follows

NAMES = ("mira", "noor", "lena", "tomo", "ines")
FOLLOWERS_PER_HOST = 2
MOST_BETWEEN_S = 5.0
"""Between two looks at the server."""

HANDLES_MORE = 0
GIVEN_UP = ("fediart_jobs_total", "fediart_arrivals_total")
PICTURES = frozenset({"cloak", "recloak", "copy"})
"""Jobs that wait for a processor by design."""

PRODUCTION = {
    "FEDIART_LIMITS__ENABLED": "true",
    "FEDIART_SERVER__TRUSTED_PROXIES": "['127.0.0.0/8']",
    "FEDIART_METRICS__LOCAL": "true",
    "FEDIART_CLOAK__BACKEND": "texture",
    "FEDIART_MEDIA__REMOTE_CACHE_BYTES": "20000000",
}
"""What is measured is not a server with its limits off; readers come through a proxy, each from an address of their own."""


@dataclass(slots=True)
class Samples:
    """What was seen of the server, row by row. Sizes in MB, of the server's own process but for `children`."""

    at: list[float] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)
    pss: list[float] = field(default_factory=list)
    private: list[float] = field(default_factory=list)
    children: list[float] = field(default_factory=list)
    handles: list[float] = field(default_factory=list)
    threads: list[float] = field(default_factory=list)
    wal: list[float] = field(default_factory=list)
    job_lag: list[float] = field(default_factory=list)
    delivery_lag: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    kinds: list[dict[str, int]] = field(default_factory=list)
    """Handles: socket, pipe, anon_inode …, and files by their name."""
    silent: int = 0
    """Looks at which the server did not tell its figures within a minute; these are left out of the lags."""


def memory_of(pid: int) -> tuple[float, float, float]:
    """(RSS, PSS, what is of this process only) in MB."""
    found = collections.Counter[str]()
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, size, *_ = line.split()
        found[name] += int(size)
    private = found["Private_Clean:"] + found["Private_Dirty:"]
    return found["Rss:"] / 1000, found["Pss:"] / 1000, private / 1000


def handles_of(pid: int) -> dict[str, int]:
    found = collections.Counter[str]()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(entry.path)
            kind = Path(target).name if target.startswith("/") else target.partition(":")[0]
            found[kind] += 1
    return dict(found)


def threads_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


_METRIC = re.compile(r"^(\w+)(?:\{(.*)\})? ([0-9.e+-]+)$", re.MULTILINE)


def metrics_of(server: Server) -> dict[tuple[str, str], float]:
    """(name, labels as they stand there) → value."""
    status, body = server.ask("GET", "/metrics")
    if status != 200:
        raise SystemExit(f"/metrics answered {status}.")
    return {(name, labels): float(value) for name, labels, value in _METRIC.findall(body.decode())}


def lag_of(metrics: Mapping[tuple[str, str], float]) -> tuple[float, float, float]:
    """(seconds that the oldest job has been due, and the oldest delivery; jobs that are due). Without pictures."""
    jobs = [
        value
        for (name, labels), value in metrics.items()
        if name == "fediart_oldest_job_seconds" and not any(f'kind="{kind}"' in labels for kind in PICTURES)
    ]
    due = sum(value for (name, labels), value in metrics.items() if name == "fediart_jobs_waiting" and 'state="due"' in labels)
    return max(jobs, default=0.0), metrics.get(("fediart_oldest_delivery_seconds", ""), 0.0), due


def look(server: Server, place: Place, samples: Samples, began: float) -> None:
    pid = server.process.pid
    rss, pss, private = memory_of(pid)
    kinds = handles_of(pid)
    wal = place.database.with_name(place.database.name + "-wal")
    try:
        jobs, deliveries, waiting = lag_of(metrics_of(server))
    except TimeoutError:
        server.hang_up()
        samples.silent += 1
    else:
        samples.job_lag.append(jobs)
        samples.delivery_lag.append(deliveries)
        samples.waiting.append(waiting)
    samples.at.append(time.monotonic() - began)
    samples.rss.append(rss)
    samples.pss.append(pss)
    samples.private.append(private)
    samples.children.append(server.rss() - rss)
    samples.handles.append(sum(kinds.values()))
    samples.threads.append(threads_of(pid))
    samples.wal.append(wal.stat().st_size / 1e6 if wal.exists() else 0.0)
    samples.kinds.append(kinds)


def fill(plan: Plan, db: Connection, members: Mapping[str, Member]) -> None:
    """Every author is followed by everyone here, and on every host somebody follows everyone here."""
    now = time.time_ns() // 1_000_000

    def known(uri: str) -> int:
        actor = actors.save_remote_actor(db, new_id(now), sender_values(uri, plan.public_pem, now))
        return actor.id

    for number in range(plan.authors):
        author = known(plan.author(number))
        for member in members.values():
            id_ = new_id(now)
            follows.put_follow(db, Follow(id_, member.actor_id, author, f"urn:follow:{id_}", FollowState.ACCEPTED, True))
    for host in range(plan.hosts):
        for number in range(FOLLOWERS_PER_HOST):
            uri = f"{plan.base(host)}/users/friend{number}"
            friend = known(uri)
            for member in members.values():
                id_ = new_id(now)
                follows.put_follow(db, Follow(id_, friend, member.actor_id, f"{uri}/follow/{id_}", FollowState.ACCEPTED, True))


@contextlib.contextmanager
def beside(plan: Plan, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The rest of the fediverse, listening."""
    path = folder / "plan.json"
    path.write_bytes(msgspec.json.encode(plan))
    command = [sys.executable, "-m", "benchmarks.load.fediverse", str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin is not None  # both were asked for
        assert program.stdout is not None
        try:
            if program.stdout.readline().strip() != "ready":
                raise SystemExit("The far hosts did not come up.")
            yield program
        finally:
            program.terminate()
            program.wait(20)


def errors_in(log: Path) -> collections.Counter[str]:
    """What the log says that nobody should have to read: errors, traces, lines that are no JSON. By event."""
    found = collections.Counter[str]()
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                said = json.loads(line)
            except ValueError:
                if "Traceback" in line or not line.startswith((" ", "INFO", "\n")):
                    found[line.strip()[:100]] += 1
                continue
            if said.get("level") in ("error", "critical") or "exception" in said or "exc_info" in said:
                found[str(said.get("event"))] += 1
    return found


def missing(database: Path, expected: Expected) -> list[str]:
    """What was answered with 202, and is not so in the database."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        notes: dict[str, str] = dict(db.execute("SELECT uri, content FROM works").fetchall())
        said = {uri for (uri,) in db.execute("SELECT uri FROM likes UNION ALL SELECT uri FROM boosts")}
    finally:
        db.close()
    found = []
    for uri, edition in expected.notes.items():
        if edition == 0 and uri in notes:
            found.append(f"{uri} is still here")
        elif edition and f"edition {edition}:" not in notes.get(uri, ""):
            found.append(f"{uri} is not here in edition {edition}")
    for uri, is_said in {**expected.likes, **expected.boosts}.items():
        if (uri in said) != is_said:
            found.append(f"{uri} is {'not ' if is_said else 'still '}here")
    return found


def wait_until_done(server: Server, patience_s: float = 120) -> None:
    """Until no job is due or in hand; deliveries to hosts that fail may wait."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        metrics = metrics_of(server)
        busy = [
            value
            for (name, labels), value in metrics.items()
            if name == "fediart_jobs_waiting" and ('state="due"' in labels or 'state="in_hand"' in labels)
        ]
        if sum(busy) == 0:
            return
        time.sleep(0.2)


def planned(folder: Path, chosen: argparse.Namespace) -> Plan:
    """All but what only a made place knows. One host in forty fails, and as many hang."""
    private_pem, public_pem = generate_rsa_pair()
    picture = folder / "picture.jpg"
    picture.write_bytes(
        drawn("from fediart.media.sample import draw_sample", chosen.width, chosen.width * 3 // 4, 3, folder=folder)
    )
    bad = max(1, chosen.hosts // 40)
    return Plan(
        port=0,
        far_port=free_port(),
        seconds=chosen.minutes * 60,
        deliveries=chosen.deliveries,
        reads=chosen.reads,
        uploads=chosen.uploads,
        hosts=chosen.hosts,
        failing=bad,
        hanging=bad,
        authors=chosen.hosts * 5,
        strangers=chosen.hosts * 5,
        members=[],
        works=[],
        private_pem=private_pem,
        public_pem=public_pem,
        picture=str(picture),
        folder=str(folder),
    )


@dataclass(frozen=True, slots=True)
class Soaked:
    """What one run came to. CPU in seconds, of the time that was planned."""

    plan: Plan
    samples: Samples
    told: Told
    expected: Expected
    went_missing: list[str]
    errors: collections.Counter[str]
    given_up: float
    cpu_s: float
    far_cpu_s: float


def soak(folder: Path, chosen: argparse.Namespace) -> Soaked:
    plan = planned(folder, chosen)
    place = make_place(folder / "data", NAMES, lambda db, members: fill(plan, db, members), sessions=True)
    with serving(place, extra=PRODUCTION) as server:
        works = [
            server.api(
                "POST", "/api/v1/statuses", place.members[NAMES[number % len(NAMES)]].token, {"status": f"Sketch {number}"}
            )
            for number in range(20)
        ]
        cookie = f"fediart-{place.port}"
        plan = dataclasses.replace(
            plan,
            port=place.port,
            members=[(one.name, one.token, f"{cookie}={one.session}") for one in place.members.values()],
            works=[(work["id"], work["uri"]) for work in works],
        )
        samples = Samples()
        with beside(plan, folder) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            before, began = server.cpu(), time.monotonic()
            program.stdin.write("\n")
            program.stdin.flush()
            every = min(MOST_BETWEEN_S, plan.seconds / 60)
            while time.monotonic() - began < plan.seconds:
                look(server, place, samples, began)
                time.sleep(max(0.0, began + len(samples.at) * every - time.monotonic()))
            cpu_s, far_cpu_s = server.cpu() - before, measure([program.pid])["cpu_s"]
            if program.stdout.readline().strip() != "sent":
                raise SystemExit("The far hosts broke down.")
            wait_until_done(server)
            metrics = metrics_of(server)
        told = msgspec.json.decode((folder / "told.json").read_bytes(), type=Told)
        expected = msgspec.json.decode((folder / "expected.json").read_bytes(), type=Expected)
        given_up = sum(value for (name, labels), value in metrics.items() if name in GIVEN_UP and "given_up" in labels)
        went_missing = missing(place.database, expected)
    return Soaked(plan, samples, told, expected, went_missing, errors_in(place.data / "server.log"), given_up, cpu_s, far_cpu_s)


def figures_of(run: Soaked) -> list[Figure]:
    samples, plan, told = run.samples, run.plan, run.told
    rss, private, handles, threads = (
        Series(samples.at, values) for values in (samples.rss, samples.private, samples.handles, samples.threads)
    )
    lags = [lag for found in run.expected.posts.values() for lag in found]
    unheard = len(run.expected.posts) * plan.healthy - len(lags)
    wanted = [count / plan.seconds for count in (plan.deliveries, plan.reads)]
    return [
        Figure("memory_mb", "memory after the first tenth", rss.early, "MB"),
        Figure("memory_end_mb", "  at the end", rss.late, "MB"),
        Figure("memory_growth_percent", "  grown", growth_percent(rss), "%", most=5),
        Figure("memory_drift_percent", "  by its fitted slope", drift_percent(rss), "%", most=5),
        Figure("memory_mb_per_h", "  slope", rss.slope() * 3600, "MB/h"),
        Figure("private_end_mb", "  of it private, at the end", private.late, "MB"),
        Figure("private_growth_percent", "  grown", growth_percent(private), "%"),
        Figure("children_mb", "children, at most", max(samples.children), "MB"),
        Figure("handles", "file handles, median at the end", handles.late),
        Figure("handles_growth", "  more than after the first tenth, always open", floor_growth(handles), most=HANDLES_MORE),
        Figure("threads", "threads, median at the end", threads.late),
        Figure("threads_growth", "  more than after the first tenth, always there", floor_growth(threads), most=0),
        Figure("wal_mb", "write-ahead log, at most", max(samples.wal), "MB", most=64),
        Figure("job_lag_p99_s", "oldest job due, 99 of 100 looks", share_below(samples.job_lag, 0.99), "s", most=60),
        Figure("silent", "looks that were not answered within a minute", samples.silent, most=0),
        Figure("delivery_lag_p99_s", "posted until a host has it, 99 of 100", share_below(lags, 0.99), "s", most=60),
        Figure("unheard", "works that a host never heard of", unheard, most=0),
        Figure("errors", "errors and traces in the log", sum(run.errors.values()), most=0),
        Figure("given_up", "jobs and arrivals given up", run.given_up, most=0),
        Figure("missing", "answered 202 and not so in the database", len(run.went_missing), most=0),
        Figure("kept", "  looked for", len(run.expected.notes) + len(run.expected.likes) + len(run.expected.boosts)),
        Figure("wrong", "answers that should have been others", sum(told.wrong.values()), most=0),
        Figure("unread", "posted works that cannot be read", told.unread, most=0),
        Figure("posted", "  posted", told.uploads, least=plan.uploads),
        Figure("deliveries_per_s", "deliveries in", told.deliveries_per_s, "/s", least=round(wanted[0] * 0.99, 4)),
        Figure("reads_per_s", "reads", told.reads_per_s, "/s", least=round(wanted[1] * 0.99, 4)),
        Figure("taken_out", "deliveries out that were taken", told.taken),
        Figure("refused_out", "  that failed or hung", told.refused),
        Figure("ack_p99_ms", "answer to a delivery, 99 of 100 within", told.ack_p99_ms, "ms"),
        Figure("read_p50_ms", "a read, median", told.read_p50_ms, "ms"),
        Figure("read_p99_ms", "  99 of 100 within", told.read_p99_ms, "ms"),
        Figure("cpu_share", "CPU of the server", run.cpu_s / plan.seconds, "cores"),
        Figure("far_cpu_share", "  of everything out there", run.far_cpu_s / plan.seconds, "cores"),
    ]


def sentence(figures: Sequence[Figure], minutes: float) -> str:
    missed = [figure.what.strip() for figure in figures if figure.is_met is False]
    if not missed:
        return f"Held for {minutes:g} minutes: nothing grew beyond its bound, nothing fell behind, nothing was lost."
    return f"Not held over {minutes:g} minutes: {'; '.join(missed)}."


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--deliveries", type=int, default=100_000, help="signed activities that come in, over the whole time")
    parser.add_argument("--reads", type=int, default=20_000, help="pages, timelines, documents and files that are read")
    parser.add_argument("--uploads", type=int, default=200, help="pictures that are uploaded, cloaked and posted")
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--width", type=int, default=1600, help="of the pictures")
    parser.add_argument("--samples", type=Path, help="file for everything that was sampled, as JSON")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as temporary:
        run = soak(Path(temporary), chosen)
    if chosen.samples is not None:
        chosen.samples.write_bytes(msgspec.json.encode(run.samples))
    figures = figures_of(run)
    tell_troubles(run)
    print(sentence(figures, chosen.minutes))
    tell("soak", figures, **{name: value for name, value in vars(chosen).items() if name != "samples"})
    sys.exit(any(figure.is_met is False for figure in figures))


def tell_troubles(run: Soaked) -> None:
    """To stderr, what lies behind the figures that should be nought, and which handles there were."""
    for what, count in [*run.told.wrong.items(), *run.errors.most_common(20)]:
        print(f"{count} times: {what}", file=sys.stderr)
    for what in run.went_missing[:20]:
        print(what, file=sys.stderr)
    for when, kinds in (
        ("after a tenth", run.samples.kinds[len(run.samples.kinds) // 10]),
        ("at the end", run.samples.kinds[-1]),
    ):
        print(f"handles {when}: {dict(sorted(kinds.items()))}", file=sys.stderr)


if __name__ == "__main__":
    main()
