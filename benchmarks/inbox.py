"""What a signed Create costs, and how many a server takes, beside a rival with an ORM session and a commit per request.

Four runs, one after another in each round, so that all see the same weather of the machine:

* `serve`: our server with notes of many actors on several hosts: acks per second, CPU until all notes are in the homes.
* `one actor`: the same from a single actor, whose notes are handled one after another.
* `accepting`: our server with nobody at work on the jobs: what taking a delivery costs by itself.
* `rival`: benchmarks/rival_inbox.py.

`--database postgresql` compares two of our servers instead: one on SQLite, one on a PostgreSQL that is started for it. What
PostgreSQL's own processes spend is told beside.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from benchmarks.load import procstat
from benchmarks.load.burst import pack
from benchmarks.report import Figure, arguments, tell
from benchmarks.server import ROOT, Member, Place, Server, environment, free_port, make_place, serving
from fediart.activitypub.signatures.keys import generate_rsa_pair
from fediart.activitypub.signatures.sign import sign_request
from fediart.clock import to_iso
from fediart.domain.follows import Follow, FollowState
from fediart.ids import new_id
from fediart.storage import actors, follows
from tests.postgres import Postgres, a_postgres

FOLLOWERS = ("noor", "lena", "tomo")
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
WORDS = (
    "The second wash dried overnight and the paper kept its tooth, so the mountain could be glazed a third time without "
    "lifting the ochre below. I left the lower edge alone: the water there is only the white of the sheet."
)


@dataclass(frozen=True, slots=True)
class Run:
    """One burst against one server. CPU in seconds; `cpu_all` and `seconds_all` until everything is in the homes."""

    accepted: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_acks: float
    cpu_all: float
    seconds_all: float
    cpu_beside: float = 0
    """Of the database server's processes, `cpu_all` is without it."""


def sender_uri(number: int) -> str:
    return f"http://art{number % 8}.bench.test/users/painter{number}"


def sender_values(uri: str, public_pem: str, now: int) -> dict[str, object]:
    """The row of a remote actor, as if it had been fetched."""
    host = urlsplit(uri).netloc
    return {
        "uri": uri,
        "host": host,
        "username": uri.rsplit("/", 1)[1],
        "kind": "Person",
        "url": uri,
        "inbox": f"{uri}/inbox",
        "shared_inbox": f"http://{host}/inbox",
        "followers_uri": f"{uri}/followers",
        "public_key_id": f"{uri}#main-key",
        "public_key_pem": public_pem,
        "fetched_at": now,
    }


def create_of(uri: str, serial: str) -> bytes:
    """A Create of about 1.4 kB, shaped like what the common servers send: a text with two hashtags."""
    note_uri, now = f"{uri}/statuses/{serial}", to_iso(time.time_ns() // 1_000_000)
    host = urlsplit(uri).netloc
    content = (
        f'<p>{WORDS} <a href="http://{host}/tags/watercolour" class="mention hashtag" rel="tag">#<span>watercolour</span></a></p>'
    )
    to, cc = [PUBLIC], [f"{uri}/followers"]
    note = {
        "id": note_uri,
        "type": "Note",
        "summary": None,
        "inReplyTo": None,
        "published": now,
        "url": f"http://{host}/@{uri.rsplit('/', 1)[1]}/{serial}",
        "attributedTo": uri,
        "to": to,
        "cc": cc,
        "sensitive": False,
        "content": content,
        "contentMap": {"en": content},
        "attachment": [],
        "tag": [{"type": "Hashtag", "href": f"http://{host}/tags/{tag}", "name": f"#{tag}"} for tag in ("watercolour", "wip")],
    }
    activity = {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": f"{note_uri}/activity",
        "type": "Create",
        "actor": uri,
        "published": now,
        "to": to,
        "cc": cc,
        "object": note,
    }
    return json.dumps(activity).encode()


def signed_creates(count: int, senders: Sequence[str], private_pem: str, port: int, mark: str) -> list[bytes]:
    """Whole requests to the shared inbox, each with its own note and signature."""
    url, found = f"http://localhost:{port}/inbox", []
    for number in range(count):
        uri = senders[number % len(senders)]
        body = create_of(uri, f"{mark}{number}")
        headers = sign_request("POST", url, body, f"{uri}#main-key", private_pem, time.time_ns() // 1_000_000)
        head = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "content-length": str(len(body))}.items())
        found.append(f"POST /inbox HTTP/1.1\r\n{head}\r\n".encode() + body)
    return found


def burst(requests: list[bytes], server: Server, concurrency: int, folder: Path) -> tuple[dict[str, object], float, float]:
    """Send them from a process of its own. Returns (its answer, CPU of the server, when it began)."""
    path = folder / "requests"
    pack(requests, path)
    command = [sys.executable, "-m", "benchmarks.load.burst", str(server.port), str(concurrency), str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin is not None  # both were asked for
        assert program.stdout is not None
        program.stdout.readline()
        before, began = server.cpu(), time.perf_counter()
        program.stdin.write("\n")
        program.stdin.flush()
        told = json.loads(program.stdout.readline())
        return told, server.cpu() - before, began


Entries = Callable[[], tuple[int, int]]
"""(jobs that wait, rows in the homes): asked of the database itself, which costs the server nothing."""


def entries_of_file(database: Path) -> tuple[int, int]:
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        return (
            db.execute("SELECT count(*) FROM jobs").fetchone()[0],
            db.execute("SELECT count(*) FROM timeline").fetchone()[0],
        )
    finally:
        db.close()


def wait_for_homes(entries: Entries, rows: int, patience_s: float = 20) -> None:
    """Until no job waits and the homes hold so many rows; ends the program when nothing moves for `patience_s`."""
    last, since = (-1, -1), time.perf_counter()
    while time.perf_counter() - since < patience_s:
        now = entries()
        if now[0] == 0 and now[1] >= rows:
            return
        if now != last:
            last, since = now, time.perf_counter()
        time.sleep(0.05)
    raise SystemExit(f"Nothing moves: {last[0]} jobs wait, {last[1]} of {rows} rows are in the homes.")


class Bench:
    """Everything the runs share. Each run gets a fresh copy of the database."""

    def __init__(self, folder: Path, notes: int, senders: int, concurrency: int, postgres: Postgres | None = None) -> None:
        self.folder, self.notes, self.concurrency, self.postgres = folder, notes, concurrency, postgres
        self.senders = [sender_uri(number) for number in range(senders)]
        self.private_pem, self.public_pem = generate_rsa_pair()
        self._runs = 0
        self._made = postgres.new_database() if postgres else ""
        self.place = make_place(folder / "made", FOLLOWERS, self._fill, database=self._made)

    def _fill(self, db: Connection, members: dict[str, Member]) -> None:
        now = time.time_ns() // 1_000_000
        for uri in self.senders:
            actor = actors.save_remote_actor(db, new_id(now), sender_values(uri, self.public_pem, now))
            for member in members.values():
                follow_id = new_id(now)
                follow = Follow(follow_id, member.actor_id, actor.id, f"urn:follow:{follow_id}", FollowState.ACCEPTED, True)
                follows.put_follow(db, follow)

    def _copy(self) -> Place:
        self._runs += 1
        data = self.folder / f"run{self._runs}"
        shutil.copytree(self.place.data, data)
        return Place(data, self.place.port, self.place.members)

    def _database(self, data: Path) -> tuple[str, Entries, Callable[[], float]]:
        """A copy of what was made, for a run: (its address, empty for the file; who asks it; CPU seconds of its server)."""
        if self.postgres is None:
            return "", partial(entries_of_file, data / "fediart.sqlite"), lambda: 0.0
        postgres = self.postgres
        address = postgres.address(postgres.copy_of(make_url(self._made).database or ""))

        def entries() -> tuple[int, int]:
            jobs, rows = postgres.ask(address, "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM timeline)").split("|")
            return int(jobs), int(rows)

        return address, entries, lambda: float(procstat.measure([postgres.server.get_pid() or 0])["cpu_s"])

    def ours(self, *, senders: int | None = None, jobs: bool = True) -> Run:
        place = self._copy()
        address, entries, beside = self._database(place.data)
        program = ("-m", "fediart", "serve") if jobs else ("-m", "benchmarks.accepting")
        who = self.senders[:senders]
        warm = signed_creates(self.notes // 10 + 1, who, self.private_pem, place.port, "warm")
        hot = signed_creates(self.notes, who, self.private_pem, place.port, "hot")
        with serving(place, program, {"FEDIART_STORAGE__DATABASE": address} if address else None) as server:
            server.hang_up()
            burst(warm, server, self.concurrency, place.data)
            if jobs:
                wait_for_homes(entries, len(warm) * len(FOLLOWERS))
            time.sleep(0.3)
            before, before_beside = server.cpu(), beside()
            told, cpu_acks, began = burst(hot, server, self.concurrency, place.data)
            if jobs:
                wait_for_homes(entries, (len(warm) + len(hot)) * len(FOLLOWERS))
            seconds_all, cpu_all = time.perf_counter() - began, server.cpu() - before
            cpu_beside = beside() - before_beside
            self._check(server, place, jobs)
        shutil.rmtree(place.data)
        return replace(self._run(told, cpu_acks, cpu_all, seconds_all), cpu_beside=cpu_beside)

    def _check(self, server: Server, place: Place, jobs: bool) -> None:
        """The server itself agrees that nothing waits, and a follower sees the notes."""
        waiting = server.api("GET", "/healthz", "")["jobs"]["waiting"]
        home = server.api("GET", "/api/v1/timelines/home?limit=20", place.members[FOLLOWERS[-1]].token)
        if jobs and (waiting or len(home) != min(20, self.notes) or "second wash" not in home[0]["content"]):
            raise SystemExit(f"Not all is done: {waiting} jobs wait, the home shows {len(home)} works.")
        if not jobs and waiting < self.notes:
            raise SystemExit(f"Only {waiting} jobs were written.")

    def rival(self, notes: int, pool: int) -> Run:
        self._runs += 1
        data, port = self.folder / f"run{self._runs}", free_port()
        data.mkdir()
        followers = [member.actor_id for member in self.place.members.values()]
        told = {
            "keys": {f"{uri}#main-key": self.public_pem for uri in self.senders},
            "followers": dict.fromkeys(self.senders, followers),
            "pool": pool,
        }
        (data / "rival.json").write_text(json.dumps(told))
        warm = signed_creates(notes // 10 + 1, self.senders, self.private_pem, port, "warm")
        hot = signed_creates(notes, self.senders, self.private_pem, port, "hot")
        with serving(Place(data, port), ("-m", "benchmarks.rival_inbox")) as server:
            server.hang_up()
            burst(warm, server, self.concurrency, data)
            answer, cpu, _ = burst(hot, server, self.concurrency, data)
        db = sqlite3.connect(data / "rival.sqlite")
        held = db.execute("SELECT count(*) FROM timeline").fetchone()[0]
        db.close()
        shutil.rmtree(data)
        if held != (len(warm) + len(hot)) * len(followers):
            raise SystemExit(f"The rival placed only {held} rows.")
        return self._run(answer, cpu, cpu, float(str(answer["seconds"])), notes)

    def _run(self, told: dict[str, object], cpu_acks: float, cpu_all: float, seconds_all: float, notes: int = 0) -> Run:
        statuses = told["statuses"]
        if statuses != {"202": notes or self.notes}:
            raise SystemExit(f"Not every delivery was accepted: {statuses}")
        seconds, p50, p99 = (float(str(told[name])) for name in ("seconds", "p50_ms", "p99_ms"))
        return Run(notes or self.notes, seconds, p50, p99, cpu_acks, cpu_all, seconds_all)


COSTS: dict[str, Callable[[Run], float]] = {
    "acks": lambda run: run.accepted / run.seconds,
    "p50": lambda run: run.p50_ms,
    "p99": lambda run: run.p99_ms,
    "cpu_acks": lambda run: run.cpu_acks / run.accepted * 1000,
    "cpu_all": lambda run: run.cpu_all / run.accepted * 1000,
    "cpu_beside": lambda run: run.cpu_beside / run.accepted * 1000,
    "placed": lambda run: run.accepted / run.seconds_all,
}


def middle(runs: Sequence[Run], what: str) -> float:
    """The median over the rounds of a cost in ms per delivery, or of a rate per second."""
    return statistics.median(COSTS[what](run) for run in runs)


def beside_each_other(chosen: argparse.Namespace) -> list[Figure]:
    """SQLite and PostgreSQL, one after the other in each round."""
    runs: dict[str, list[Run]] = {"sqlite": [], "postgresql": []}
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as folder, a_postgres(is_durable=True) as postgres:
        benches = {
            name: Bench(Path(folder) / name, chosen.notes, chosen.senders, chosen.concurrency, server)
            for name, server in (("sqlite", None), ("postgresql", postgres))
        }
        for _ in range(chosen.rounds):
            for name, bench in benches.items():
                runs[name].append(bench.ours())
    ratio = statistics.median(
        COSTS["cpu_all"](theirs) / COSTS["cpu_all"](file) for file, theirs in zip(runs["sqlite"], runs["postgresql"], strict=True)
    )
    return [
        Figure("cpu_ratio", "our CPU on PostgreSQL to that on SQLite", ratio, "x", most=2.0),
        *(
            Figure(f"{name}_{what}", f"  {words}, {name}", middle(runs[name], what), unit)
            for what, words, unit in (
                ("cpu_all", "CPU with processing into 3 homes", "ms"),
                ("cpu_acks", "CPU at the last ack", "ms"),
                ("acks", "acks per second", "/s"),
                ("p99", "ack, 99 of 100 within", "ms"),
                ("placed", "in the homes", "/s"),
            )
            for name in runs
        ),
        Figure("postgresql_beside", "  CPU of PostgreSQL's own processes", middle(runs["postgresql"], "cpu_beside"), "ms"),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--notes", type=int, default=2000, help="deliveries to our server in each run")
    parser.add_argument("--rival-notes", type=int, default=600, help="deliveries to the rival in each run")
    parser.add_argument("--rival-pool", type=int, default=5, help="database connections of the rival")
    parser.add_argument("--senders", type=int, default=40, help="actors whose notes are sent")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=32)
    chosen = parser.parse_args()
    if chosen.database == "postgresql":
        tell("inbox", beside_each_other(chosen), **vars(chosen))
        return
    serve: list[Run] = []
    one: list[Run] = []
    accepting: list[Run] = []
    rival: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as folder:
        bench = Bench(Path(folder), chosen.notes, chosen.senders, chosen.concurrency)
        for _ in range(chosen.rounds):
            serve.append(bench.ours())
            rival.append(bench.rival(chosen.rival_notes, chosen.rival_pool))
            accepting.append(bench.ours(jobs=False))
            one.append(bench.ours(senders=1))
    figures = [
        Figure("acks_per_s", "acks per second", middle(serve, "acks"), "/s"),
        Figure("rival_acks_per_s", "  the rival", middle(rival, "acks"), "/s"),
        Figure("ratio_acks", "  ours to the rival's", middle(serve, "acks") / middle(rival, "acks"), "x", least=5),
        Figure("ratio_acks_accepting", "  with the jobs at rest", middle(accepting, "acks") / middle(rival, "acks"), "x"),
        Figure("cpu_accept_ms", "CPU per accepted delivery", middle(accepting, "cpu_acks"), "ms", most=0.9),
        Figure("cpu_at_last_ack_ms", "  at the last ack, with jobs at work", middle(serve, "cpu_acks"), "ms"),
        Figure("cpu_with_processing_ms", "CPU with processing into 3 homes", middle(serve, "cpu_all"), "ms", most=2.0),
        Figure("cpu_one_actor_ms", "  all from one actor", middle(one, "cpu_all"), "ms", most=2.0),
        Figure("rival_cpu_ms", "  the rival", middle(rival, "cpu_acks"), "ms"),
        Figure("ratio_cpu", "  the rival's to ours", middle(rival, "cpu_acks") / middle(serve, "cpu_all"), "x"),
        Figure("ack_p50_ms", "ack, median", middle(serve, "p50"), "ms"),
        Figure("ack_p99_ms", "ack, 99 of 100 within", middle(serve, "p99"), "ms"),
        Figure("placed_per_s", "in the homes", middle(serve, "placed"), "/s"),
        Figure("placed_one_actor_per_s", "  all from one actor", middle(one, "placed"), "/s"),
    ]
    tell("inbox", figures, **vars(chosen))


if __name__ == "__main__":
    main()
