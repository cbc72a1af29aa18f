"""What one page of a home costs among a million works, for who follows five artists and for who follows five hundred.

The database has our real tables, filled by bulk inserts: works of authors with Zipf's distribution (a few post much, most
post little), every one public and without a picture; accounts that follow 5 or 500 of them, chosen at random, their homes
filled as they are when works arrive, and one account that follows nobody. `--keep FOLDER` keeps the database for later runs.

CPU of the query is that of the thread that runs it; of a request that of the whole server, less what the same request
costs for the empty home.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Connection, create_engine

from benchmarks.report import Figure, arguments, tell
from benchmarks.server import Member, Place, Server, make_place, serving
from fediart.ids import time_of
from fediart.storage.engine import database_url, open_storage
from fediart.storage.timelines import home_entries, home_of

FEW, MANY = 5, 500
KEEP = 5_000
"""Entries of a home, as many as `timeline.place` keeps."""
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
CONTENT = (
    "<p>The second wash dried overnight and the paper kept its tooth, so the mountain could be glazed a third time without "
    'the ochre below untouched. <a href="http://art.bench.test/tags/wip" class="hashtag" rel="tag">#<span>wip</span></a></p>'
)
FIRST_MS = 1_700_000_000_000
YEAR_MS = 365 * 86_400_000


class Filling:
    """Puts works, authors, follows and homes into a migrated database, the same for the same seed."""

    def __init__(self, works: int, authors: int, members: Sequence[Member], many: int) -> None:
        self.random = random.Random(41)
        self.works, self.authors, self.many = works, authors, many
        self.members = members
        self.ids = [((FIRST_MS + number * YEAR_MS // works) << 16) | (number & 0xFFFF) for number in range(works)]
        weights = [1 / (rank + 1) for rank in range(authors)]
        self.author_of = self.random.choices(range(authors), weights, k=works)

    def follows_of(self, member: Member) -> list[int]:
        count = {"few": FEW, "many": self.many, "none": 0}[member.name.rstrip("0123456789")]
        return self.random.sample(range(self.authors), min(count, self.authors))

    def actor_rows(self) -> Iterator[tuple[object, ...]]:
        for number in range(self.authors):
            host = f"art{number % 200}.bench.test"
            uri = f"http://{host}/users/painter{number}"
            yield (
                actor_id(number), uri, host, f"painter{number}", "Person", f"Painter {number}", uri, f"{uri}/inbox",
                f"http://{host}/inbox", f"{uri}/followers", f"{uri}#main-key", "", FIRST_MS, FIRST_MS,
            )  # fmt: skip

    def work_rows(self) -> Iterator[tuple[object, ...]]:
        for id_, author in zip(self.ids, self.author_of, strict=True):
            uri = f"http://art{author % 200}.bench.test/users/painter{author}/statuses/{id_}"
            yield (id_, uri, uri, actor_id(author), "published", "public", CONTENT, "en", time_of(id_), time_of(id_))

    def address_rows(self) -> Iterator[tuple[object, ...]]:
        for id_, author in zip(self.ids, self.author_of, strict=True):
            yield id_, PUBLIC, "to"
            yield id_, f"http://art{author % 200}.bench.test/users/painter{author}/followers", "cc"

    def fill(self, path: Path) -> None:
        db = sqlite3.connect(path)
        db.execute("PRAGMA synchronous=OFF")  # while it is filled; the server opens it with FULL
        db.execute("PRAGMA cache_size=-400000")
        with db:
            _insert(db, "actors", ACTOR_COLUMNS, self.actor_rows())
            _insert(db, "works", WORK_COLUMNS, self.work_rows())
            _insert(db, "work_addresses", ("work_id", "uri", "part"), self.address_rows())
            of: dict[int, list[int]] = {}
            for id_, author in zip(self.ids, self.author_of, strict=True):
                of.setdefault(author, []).append(id_)
            for turn, member in enumerate(self.members):
                followed = self.follows_of(member)
                rows = (
                    (((turn + 1) << 20) + n, member.actor_id, actor_id(a), f"urn:{turn}:{n}", "accepted")
                    for n, a in enumerate(followed)
                )
                _insert(db, "follows", ("id", "follower_id", "followee_id", "uri", "state"), rows)
                held = sorted(id_ for author in followed for id_ in of.get(author, ()))[-KEEP:]
                _insert(db, "timeline", ("actor_id", "entry_id", "work_id"), ((member.actor_id, id_, id_) for id_ in held))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()


ACTOR_COLUMNS = (
    "id", "uri", "host", "username", "kind", "name", "url", "inbox", "shared_inbox", "followers_uri",
    "public_key_id", "public_key_pem", "created_at", "fetched_at",
)  # fmt: skip
WORK_COLUMNS = ("id", "uri", "url", "actor_id", "state", "visibility", "content", "language", "published_at", "arrived_at")


def actor_id(author: int) -> int:
    return ((FIRST_MS - 1) << 16) + author


def _insert(db: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterator[tuple[object, ...]]) -> None:
    db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)


def built(folder: Path, works: int, authors: int, accounts: int, many: int) -> Place:
    """The place to measure: made now, or as it was kept."""
    note = folder / "bench.json"
    wanted = {"works": works, "authors": authors, "accounts": accounts, "many": many}
    if note.exists():
        held = json.loads(note.read_text())
        if held["wanted"] != wanted:
            raise SystemExit(f"{folder} holds another database: {held['wanted']}. Choose another folder.")
        return Place(folder / "data", held["port"], {name: Member(**member) for name, member in held["members"].items()})
    names = [f"{kind}{number}" for kind in ("few", "many") for number in range(accounts)] + ["none"]
    place = make_place(folder / "data", names)
    Filling(works, authors, list(place.members.values()), many).fill(place.database)
    members = {name: asdict(member) for name, member in place.members.items()}
    note.write_text(json.dumps({"wanted": wanted, "port": place.port, "members": members}))
    return place


def cursors(db: Connection, member: Member, count: int) -> list[int | None]:
    """Where pages are cut: half of them the newest page, the others anywhere in the home."""
    held = [row[0] for row in db.exec_driver_sql("SELECT entry_id FROM timeline WHERE actor_id = ?", (member.actor_id,))]
    chance = random.Random(member.actor_id)
    return [None if n % 2 == 0 or not held else chance.choice(held) for n in range(count)]


def query_cpu(place: Place, question: Callable[..., object], kinds: Sequence[str], each: int) -> dict[str, list[float]]:
    """CPU in ms of each call, for each kind of account; the kinds take turns."""
    engine = create_engine(database_url("", place.data))
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    with engine.connect() as db:
        for pragma in ("query_only=ON", "cache_size=-8000", "temp_store=MEMORY"):
            db.exec_driver_sql(f"PRAGMA {pragma}")
        for number in range(sum(name.startswith("few") for name in place.members)):
            for kind in kinds:
                member = place.members[f"{kind}{number}"]
                for cursor in cursors(db, member, each):
                    began = time.thread_time_ns()
                    question(db, member.actor_id, max_id=cursor, limit=20)
                    took[kind].append((time.thread_time_ns() - began) / 1e6)
    engine.dispose()
    return took


async def async_cpu(place: Place, question: Callable[..., object], count: int) -> float:
    """CPU in ms of a question asked as the server asks it, through the async engine and its threads: the mean."""
    storage = open_storage(database_url("", place.data))
    try:
        actor = place.members["many0"].actor_id
        for _ in range(20):
            await storage.read(question, actor, limit=20)
        began = time.process_time_ns()
        for _ in range(count):
            await storage.read(question, actor, limit=20)
        return (time.process_time_ns() - began) / 1e6 / count
    finally:
        await storage.close()


def request_cpu(server: Server, member: Member, count: int) -> tuple[float, float]:
    """(CPU of the server per request, wall time of the median request), in ms."""
    took, before = [], server.cpu()
    for _ in range(count):
        began = time.perf_counter()
        status, _ = server.ask("GET", "/api/v1/timelines/home?limit=20", token=member.token)
        took.append((time.perf_counter() - began) * 1000)
        if status != 200:
            raise SystemExit(f"The home answered {status}.")
    return (server.cpu() - before) / count * 1000, statistics.median(took)


def requests(place: Place, count: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Of each kind the median over rounds in which the kinds take turns."""
    found: dict[str, list[tuple[float, float]]] = {"none": [], "few0": [], "many0": []}
    with serving(place) as server:
        for name in found:
            shown = len(server.api("GET", "/api/v1/timelines/home?limit=20", place.members[name].token))
            if (shown == 0) != (name == "none"):
                raise SystemExit(f"The home of {name} shows {shown} works.")
            request_cpu(server, place.members[name], count // 4 + 1)
        for _ in range(rounds):
            for name, results in found.items():
                results.append(request_cpu(server, place.members[name], count))
    return {
        name: (statistics.median(cpu for cpu, _ in results), statistics.median(wall for _, wall in results))
        for name, results in found.items()
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--works", type=int, default=1_000_000)
    parser.add_argument("--authors", type=int, default=5_000)
    parser.add_argument("--accounts", type=int, default=20, help=f"accounts that follow {FEW}, and as many that follow {MANY}")
    parser.add_argument("--calls", type=int, default=100, help="queries per account")
    parser.add_argument("--requests", type=int, default=200, help="requests per round and kind of account")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder for the database, kept and used again")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as temporary:
        folder = chosen.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        place = built(folder, chosen.works, chosen.authors, chosen.accounts, MANY)
        built_in = time.perf_counter() - began
        query = query_cpu(place, home_entries, ("few", "many"), chosen.calls)
        page = query_cpu(place, home_of, ("few", "many"), chosen.calls)
        query_async, page_async = (asyncio.run(async_cpu(place, asked, chosen.calls * 5)) for asked in (home_entries, home_of))
        http = requests(place, chosen.requests, chosen.rounds)
        size = place.database.stat().st_size / 1e6
    p50 = {(name, kind): statistics.median(of[kind]) for name, of in (("query", query), ("page", page)) for kind in of}
    p99 = {(name, kind): sorted(of[kind])[int(len(of[kind]) * 0.99)] for name, of in (("query", query),) for kind in of}
    more = http["many0"][0] - http["none"][0]
    tell(
        "home",
        [
            Figure("query_many_ms", f"query, {MANY} follows: CPU, median", p50["query", "many"], "ms", most=0.3),
            Figure("query_many_p99_ms", "  99 of 100 within", p99["query", "many"], "ms"),
            Figure("query_few_ms", f"query, {FEW} follows: CPU, median", p50["query", "few"], "ms", most=0.3),
            Figure("ratio_query", f"  {MANY} follows to {FEW}", p50["query", "many"] / p50["query", "few"], "x", most=1.5),
            Figure("query_async_ms", "query through the async engine: CPU, mean", query_async, "ms"),
            Figure("page_many_ms", f"whole page, {MANY} follows: CPU, median", p50["page", "many"], "ms"),
            Figure("page_few_ms", f"whole page, {FEW} follows: CPU, median", p50["page", "few"], "ms"),
            Figure("ratio_page", f"  {MANY} follows to {FEW}", p50["page", "many"] / p50["page", "few"], "x", most=1.5),
            Figure("page_async_ms", "whole page through the async engine: CPU, mean", page_async, "ms"),
            Figure("request_empty_ms", "API request, empty home: CPU", http["none"][0], "ms"),
            Figure("request_many_ms", f"API request, {MANY} follows: CPU", http["many0"][0], "ms"),
            Figure("request_few_ms", f"API request, {FEW} follows: CPU", http["few0"][0], "ms"),
            Figure("request_more_ms", "  more than the empty one", more, "ms", most=1.5),
            Figure("ratio_request", f"  {MANY} follows to {FEW}", http["many0"][0] / http["few0"][0], "x", most=1.5),
            Figure("request_many_wall_ms", f"API request, {MANY} follows: wall, median", http["many0"][1], "ms"),
            Figure("database_mb", "database", size, "MB"),
            Figure("built_s", "  made in", built_in, "s"),
        ],
        **{name: value for name, value in vars(chosen).items() if name != "keep"},
    )


if __name__ == "__main__":
    main()
