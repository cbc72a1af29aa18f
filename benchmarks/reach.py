"""How soon is a work with 1,000 followers on 800 hosts, while a tenth of the hosts hangs?

An artist posts whom many hosts follow, twice, the second time while the server waits for those that hang. What the request
itself takes is held against that of an artist with one follower, on the same server. A host counts as reached when the
last of its inboxes had the work.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from benchmarks.report import Figure, arguments, tell
from benchmarks.server import Member, Server, make_place, serving
from benchmarks.sink import Sink, put_followers, sinking
from fediart.activitypub.signatures.keys import generate_rsa_pair

PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Reached:
    """One work. Seconds of the request, wall and CPU; until a share of the live hosts had it; CPU until all had.

    `most_open`: requests or connections at one host that hangs, at one time.
    """

    answered: float
    answered_cpu: float
    half: float
    most: float
    last: float
    cpu: float
    most_open: int


@dataclass(frozen=True, slots=True)
class Run:
    """One server. `calm`: seconds of posts to one follower, wall. `peak_mb`: its most memory, seen every tenth of a second."""

    calm: Sequence[float]
    first: Reached
    second: Reached
    peak_mb: float


class _Memory:
    """The most that a server was seen to have, while the block runs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak = 0.0

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.peak = max(self.peak, self._server.rss())

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _post(server: Server, token: str, words: str) -> tuple[float, float]:
    """Seconds of the request: wall, CPU of the server."""
    server.ask("GET", "/healthz")  # a connection that stood idle for long was let go
    before, began = server.cpu(), time.perf_counter()
    server.api("POST", "/api/v1/statuses", token, {"status": words})
    return time.perf_counter() - began, server.cpu() - before


def _reach(server: Server, token: str, sink: Sink, inboxes: Sequence[str], words: str) -> Reached:
    """`inboxes`: of live hosts, all that must hear."""
    sink.reset()
    before, began = server.cpu(), time.time()
    answered, answered_cpu = _post(server, token, words)
    names = [inbox.split("//")[1] for inbox in inboxes]
    end = time.monotonic() + PATIENCE_S
    while not set(names) <= (found := sink.arrivals()).at.keys():
        if time.monotonic() > end:
            raise SystemExit(f"Only {len(found.at)} of {len(names)} inboxes were reached.")
        time.sleep(0.1)
    hosts: dict[str, float] = {}
    for name in names:
        host = name.split("/")[0]
        hosts[host] = max(hosts.get(host, 0), found.at[name] - began)
    when = sorted(hosts.values())
    half, most = (when[-(-len(when) * share // 100) - 1] for share in (50, 95))
    return Reached(answered, answered_cpu, half, most, when[-1], server.cpu() - before, max(found.most_open.values(), default=0))


def _run(data: Path, sink: Sink, cert: Path | None, count: int, calm_posts: int, *, shared: bool) -> Run:
    _, public_pem = generate_rsa_pair()

    def fill(db: Connection, members: dict[str, Member]) -> None:
        put_followers(db, members["mira"].actor_id, sink, range(count), public_pem, shared=shared)
        lonely = next(number for number in range(count, 2 * count + sink.hosts) if sink.lives(number))
        put_followers(db, members["noor"].actor_id, sink, range(lonely, lonely + 1), public_pem, shared=shared)

    place = make_place(data, ["mira", "noor"], fill)
    live = [number for number in range(count) if sink.lives(number)]
    inboxes = [sink.shared_inbox(number) if shared else sink.inbox(number) for number in live]
    mira, noor = (place.members[name].token for name in ("mira", "noor"))
    with serving(place, extra={"SSL_CERT_FILE": str(cert)} if cert else None) as server, _Memory(server) as memory:
        server.ask("GET", "/@mira")
        calm = []
        for number in range(calm_posts + 1):
            calm.append(_post(server, noor, f"Evening {number} #fediart")[0])
            time.sleep(0.3)
        first = _reach(server, mira, sink, inboxes, "The first evening #fediart")
        second = _reach(server, mira, sink, inboxes, "The second evening #fediart")
        return Run(calm[1:], first, second, memory.peak)


def _figures(way: str, runs: Sequence[Run]) -> list[Figure]:
    calm = statistics.median(seconds for run in runs for seconds in run.calm)

    def worst(which: str, name: str) -> float:
        value: float = max(getattr(getattr(run, which), name) for run in runs)
        return value

    answered = statistics.median(run.first.answered for run in runs)
    return [
        Figure(f"{way}_calm_ms", f"{way} inboxes, a post to one follower: wall", calm * 1000, "ms"),
        Figure(f"{way}_post_ms", "  a post to all: wall", answered * 1000, "ms", most=300),
        Figure(f"{way}_post_cpu_ms", "  … CPU", statistics.median(run.first.answered_cpu for run in runs) * 1000, "ms"),
        Figure(f"{way}_post_ratio", "  … beside that to one", answered / calm, "x"),
        Figure(
            f"{way}_post_worst_ms",
            "  … the slowest of all runs, the second post too",
            1000 * max(worst("first", "answered"), worst("second", "answered")),
            "ms",
        ),
        Figure(f"{way}_half_s", "  half of the live hosts had it after", worst("first", "half"), "s"),
        Figure(f"{way}_most_s", "  95 of 100 after", worst("first", "most"), "s", most=60),
        Figure(f"{way}_last_s", "  the last after", worst("first", "last"), "s"),
        Figure(f"{way}_cpu_s", "  CPU until then", worst("first", "cpu"), "s"),
        Figure(
            f"{way}_second_most_s",
            "  a second post, while it waits for those that hang: 95 of 100",
            worst("second", "most"),
            "s",
            most=60,
        ),
        Figure(f"{way}_second_cpu_s", "  … CPU", worst("second", "cpu"), "s"),
        Figure(
            f"{way}_most_open",
            "  at one that hangs, at one time",
            max(worst("first", "most_open"), worst("second", "most_open")),
            "",
            most=1,
        ),
        Figure(f"{way}_peak_mb", "  memory of the server, most", max(run.peak_mb for run in runs), "MB"),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--followers", type=int, default=1000)
    parser.add_argument("--hosts", type=int, default=800, help="addresses of this machine, from 127.0.1.1")
    parser.add_argument("--hanging", type=float, default=0.1, help="share of the hosts that never answers")
    parser.add_argument("--tls", action="store_true", help="https to every host")
    parser.add_argument("--calm-posts", type=int, default=7, help="to one follower, after a first one that is not counted")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    runs: dict[str, list[Run]] = {"personal": [], "shared": []}
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as temporary:
        folder = Path(temporary)
        with sinking(folder, chosen.hosts, chosen.tls, chosen.hanging) as (sink, cert):
            for turn in range(chosen.rounds):
                for way, found in runs.items():
                    found.append(
                        _run(folder / f"{way}{turn}", sink, cert, chosen.followers, chosen.calm_posts, shared=way == "shared")
                    )
    tell("reach", [figure for way, found in runs.items() for figure in _figures(way, found)], **vars(chosen))


if __name__ == "__main__":
    main()
