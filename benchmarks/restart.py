"""How soon a server that was killed answers again while 100,000 deliveries wait for thousands of hosts, and what that costs.

The hosts are addresses of 127.0.0.0/8 at which nobody listens, so that the server is at work on its queue from the first
moment on. Each round starts the server, asks for a page until it is there, lets it work for a moment, and kills it
(SIGKILL), with deliveries in hand.

Beside it in the same run: the same server, killed in the same way, with nothing that waits.
"""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert

from benchmarks.report import Figure, arguments, tell
from benchmarks.server import Member, Place, Server, make_place
from fediart.domain.hosts import Host
from fediart.ids import new_id
from fediart.storage import tables as t
from fediart.storage.hosts import put_host

PAGE = "/@mira"
PORT = 9
"""Nobody listens there."""


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of a process to its first page, wall and CPU; then the median of some pages, in ms."""

    wall: float
    cpu: float
    page_ms: float


def address(number: int) -> str:
    """Of so many loopback addresses as wanted, each a host of its own."""
    return f"127.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}:{PORT}"


def queue(works: int, hosts: int, failing: int) -> Callable[[Connection, dict[str, Member]], None]:
    """A Create to each host for each work. The first `failing` hosts have been away for an hour, and are due for a retry."""

    def fill(db: Connection, members: dict[str, Member]) -> None:
        now = time.time_ns() // 1_000_000
        author = members["mira"].actor_id
        for work in range(works):
            said = new_id(now - 3_600_000 + work)
            uri = f"http://localhost/works/{work}/activity"
            body = b'{"type":"Create","content":"' + b"evening " * 150 + b'"}'
            db.execute(insert(t.activities).values(id=said, uri=uri, actor_id=author, work_id=work, body=body))
            db.execute(insert(t.delivery_counts).values(activity_id=said, planned=hosts))
            rows = []
            for number in range(hosts):
                host, was_tried = address(number), work == 0 and number < failing
                row = {"id": new_id(now - 3_600_000 + work), "activity_id": said, "inbox": f"http://{host}/inbox", "lane": host}
                rows.append(row | {"run_at": now + (number * 100 if was_tried else -3_600_000), "attempts": 4 * was_tried})
            db.execute(insert(t.deliveries), rows)
        for number in range(failing):
            put_host(db, Host(address(number)).failed(now - 3_600_000, "The other server cannot be reached."))

    return fill


def waiting_in(place: Place) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{place.database}?mode=ro", uri=True, timeout=20)) as db:
        count: int = db.execute("SELECT count(*) FROM deliveries").fetchone()[0]
        return count


def in_hand_in(place: Place) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{place.database}?mode=ro", uri=True, timeout=20)) as db:
        count: int = db.execute("SELECT count(*) FROM deliveries WHERE leased_until > 0").fetchone()[0]
        return count


def started_and_killed(place: Place, work_s: float, pages: int) -> Start:
    command = ["-m", "fediart", "serve", "--data", str(place.data), "--port", str(place.port)]
    server = Server(command, place.port, place.data / "server.log")
    try:
        question = f"GET {PAGE} HTTP/1.1\r\nhost: localhost:{place.port}\r\nconnection: close\r\n\r\n".encode()
        while time.perf_counter() - server.began < 120 and server.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", place.port), timeout=60) as line:
                line.sendall(question)
                if line.recv(64).startswith(b"HTTP/1.1 200"):
                    wall, cpu = time.perf_counter() - server.began, server.cpu()
                    return Start(wall, cpu, _pages(server, pages, work_s))
            time.sleep(0.005)
        raise SystemExit("The server did not come up: " + (place.data / "server.log").read_text(errors="replace")[-2000:])
    finally:
        server.process.kill()
        server.process.wait(20)


def _pages(server: Server, pages: int, work_s: float) -> float:
    """The median time in ms of pages that are asked for while it works for `work_s`."""
    took = []
    for _ in range(pages):
        began = time.perf_counter()
        if server.ask("GET", PAGE)[0] != 200:
            raise SystemExit("A page was not served.")
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(work_s / pages)
    server.hang_up()
    return statistics.median(took)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--works", type=int, default=50)
    parser.add_argument("--hosts", type=int, default=2000, help="each hears of every work: works times hosts deliveries wait")
    parser.add_argument("--failing", type=int, default=500, help="hosts that have been away for an hour")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=float, default=2, help="seconds that it works before it is killed")
    parser.add_argument("--pages", type=int, default=20, help="asked for meanwhile")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as temporary:
        folder = Path(temporary)
        full = make_place(folder / "full", ["mira"], queue(chosen.works, chosen.hosts, chosen.failing))
        empty = make_place(folder / "empty", ["mira"])
        planned = chosen.works * chosen.hosts
        starts: dict[str, list[Start]] = {"full": [], "empty": []}
        in_hand = 0
        started_and_killed(full, chosen.work, chosen.pages)  # once, for the .pyc files and for what it has in hand then
        for _ in range(chosen.rounds):
            in_hand = max(in_hand, in_hand_in(full))
            for name, place in (("empty", empty), ("full", full)):
                starts[name].append(started_and_killed(place, chosen.work, chosen.pages))
        waiting = waiting_in(full)
    if waiting != planned:
        raise SystemExit(f"Of {planned} deliveries that nobody took {waiting} wait.")

    def median(name: str, part: str) -> float:
        return statistics.median(getattr(start, part) for start in starts[name])

    tell(
        "restart",
        [
            Figure("restart_s", "killed, with a full queue: start to the first page", median("full", "wall"), "s", most=5),
            Figure("restart_worst_s", "  the slowest", max(start.wall for start in starts["full"]), "s"),
            Figure("restart_cpu_s", "  its CPU", median("full", "cpu"), "s"),
            Figure("empty_s", "with an empty one", median("empty", "wall"), "s"),
            Figure("empty_cpu_s", "  its CPU", median("empty", "cpu"), "s"),
            Figure("ratio_cpu", "  the first to the second, CPU", median("full", "cpu") / median("empty", "cpu"), "x", most=1.5),
            Figure("page_ms", "a page while it works on its queue: median", median("full", "page_ms"), "ms"),
            Figure("empty_page_ms", "  while it has nothing to do", median("empty", "page_ms"), "ms"),
            Figure("waiting", "deliveries that wait", waiting),
            Figure("in_hand", "  in hand when it was killed, at most", in_hand),
        ],
        **vars(chosen),
    )


if __name__ == "__main__":
    main()
