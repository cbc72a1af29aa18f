"""What it costs to tell 500 followers on 120 hosts of a work: CPU of the server until the last one has heard.

Each way of telling starts a server of its own, so that its first work finds no connection open and its second finds
those of the first: to personal inboxes with words only, the same with one picture (cloaked before the clock), and to
shared inboxes. The hosts are 127.0.1.1 to 127.0.1.120, one sink behind all of them; followers are rows, put in before
the start. `--tls` speaks https, as between real servers, with certificates made for the run.

Beside it in the same run: the bare cost, a loop that only signs and POSTs as often, over the same client library.
How soon those who live have a work while others hang: benchmarks/reach.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import ssl
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from sqlalchemy import Connection

from benchmarks.report import Figure, arguments, tell
from benchmarks.server import Member, Place, Server, make_place, serving
from benchmarks.sink import Sink, put_followers, sinking
from fediart.activitypub.signatures.keys import generate_rsa_pair
from fediart.activitypub.signatures.sign import sign_request
from fediart.media.sample import draw_sample


@dataclass(frozen=True, slots=True)
class Told:
    """One work: CPU seconds of the server, and wall seconds until the answer and until the last inbox had it."""

    cpu: float
    answered: float
    last: float


def artist_with_followers(data: Path, sink: Sink, count: int, *, shared: bool) -> Place:
    _, public_pem = generate_rsa_pair()

    def fill(db: Connection, members: dict[str, Member]) -> None:
        put_followers(db, members["mira"].actor_id, sink, range(count), public_pem, shared=shared)

    return make_place(data, ["mira"], fill)


def deliveries_left(database: Path) -> int:
    """Asked of the file itself, which costs the server nothing."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        count: int = db.execute("SELECT count(*) FROM deliveries").fetchone()[0]
        return count
    finally:
        db.close()


def uploaded(server: Server, token: str, seed: int, width: int) -> str:
    """A picture, cloaked. Its id."""
    edge = "fediart-benchmark"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = head.encode() + draw_sample(width, width * 3 // 4, seed) + f"\r\n--{edge}--\r\n".encode()
    status, answer = server.ask("POST", "/api/v2/media", token=token, body=body, kind=f"multipart/form-data; boundary={edge}")
    if status not in (200, 202):
        raise SystemExit(f"The upload answered {status}: {answer[:300]!r}")
    id_ = str(json.loads(answer)["id"])
    while server.api("GET", f"/api/v1/media/{id_}", token)["url"] is None:
        time.sleep(0.1)
    return id_


def tell_one(server: Server, place: Place, sink: Sink, expected: int, words: str, media: Sequence[str]) -> Told:
    sink.reset()
    before, began = server.cpu(), time.time()
    server.api("POST", "/api/v1/statuses", place.members["mira"].token, {"status": words, "media_ids": list(media)})
    answered = time.time() - began
    last = sink.wait_for(expected)
    while deliveries_left(place.database):
        time.sleep(0.02)
    time.sleep(0.1)
    heard, _ = sink.heard()
    if heard != expected:
        raise SystemExit(f"{heard} POSTs for {expected} inboxes.")
    return Told(server.cpu() - before, answered, last - began)


def two_works(place: Place, sink: Sink, cert: Path | None, expected: int, *, picture: int) -> tuple[Told, Told]:
    """The first work after the start, and the second. `picture`: width of theirs, 0 for none."""
    token = place.members["mira"].token
    with serving(place, extra={"SSL_CERT_FILE": str(cert)} if cert else None) as server:
        media = [[uploaded(server, token, seed, picture)] if picture else [] for seed in (1, 2)]
        server.ask("GET", "/@mira")
        time.sleep(0.5)
        first = tell_one(server, place, sink, expected, "The first evening #fediart", media[0])
        time.sleep(0.5)
        return first, tell_one(server, place, sink, expected, "The second evening #fediart", media[1])


async def bare(inboxes: list[str], cert: Path | None) -> tuple[float, float]:
    """CPU seconds to sign and POST to each, one at a time per host: with no connection open, and again with those."""
    private_pem, _ = generate_rsa_pair()
    body = os.urandom(700).hex().encode()
    trust = ssl.create_default_context(cafile=str(cert)) if cert else True
    lanes: dict[str, list[str]] = {}
    for inbox in inboxes:
        lanes.setdefault(inbox.split("/")[2], []).append(inbox)

    async def lane(client: aiohttp.ClientSession, urls: list[str]) -> None:
        for url in urls:
            headers = sign_request("POST", url, body, "http://bare.test/users/a#main-key", private_pem, time.time_ns() // 10**6)
            async with client.post(url, data=body, headers=headers) as answer:
                await answer.read()

    took = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=trust)) as client:
        for _ in range(2):
            before = time.process_time()
            await asyncio.gather(*(lane(client, urls) for urls in lanes.values()))
            took.append(time.process_time() - before)
    return took[0], took[1]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--followers", type=int, default=500)
    parser.add_argument("--hosts", type=int, default=120, help="addresses of this machine, from 127.0.1.1")
    parser.add_argument("--picture", type=int, default=1600, help="width of the picture; 0 leaves the works with one out")
    parser.add_argument("--tls", action="store_true", help="https to every host")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    ways = ("text", "picture", "shared") if chosen.picture else ("text", "shared")
    found: dict[str, list[tuple[Told, Told]]] = {way: [] for way in ways}
    floor: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as temporary:
        folder = Path(temporary)
        with sinking(folder, chosen.hosts, chosen.tls) as (sink, cert):
            for turn in range(chosen.rounds):
                for way, works in found.items():
                    place = artist_with_followers(folder / f"{way}{turn}", sink, chosen.followers, shared=way == "shared")
                    expected = min(chosen.followers, chosen.hosts) if way == "shared" else chosen.followers
                    works.append(two_works(place, sink, cert, expected, picture=chosen.picture if way == "picture" else 0))
                floor.append(asyncio.run(bare([sink.inbox(number) for number in range(chosen.followers)], cert)))

    def cpu(way: str, which: int) -> float:
        return statistics.median(works[which].cpu for works in found[way])

    bare_cpu = [statistics.median(took[which] for took in floor) for which in (0, 1)]
    with_picture = (
        [
            Figure("first_picture_cpu_s", "  with a picture, first: CPU", cpu("picture", 0), "s", most=1.6),
            Figure("second_picture_cpu_s", "  with a picture, second: CPU", cpu("picture", 1), "s", most=1.0),
        ]
        if chosen.picture
        else []
    )
    figures = [
        Figure("first_cpu_s", "personal inboxes, first work: CPU", cpu("text", 0), "s", most=1.6),
        Figure("second_cpu_s", "personal inboxes, second work: CPU", cpu("text", 1), "s", most=1.0),
        *with_picture,
        Figure("shared_first_cpu_s", "shared inboxes, first work: CPU", cpu("shared", 0), "s", most=0.7),
        Figure("shared_second_cpu_s", "shared inboxes, second work: CPU", cpu("shared", 1), "s", most=0.7),
        Figure("bare_first_cpu_s", "bare signing and POSTing, first: CPU", bare_cpu[0], "s"),
        Figure("bare_second_cpu_s", "bare signing and POSTing, second: CPU", bare_cpu[1], "s"),
        Figure("ratio_first", "  ours to the bare, first", cpu("text", 0) / bare_cpu[0], "x"),
        Figure("ratio_second", "  ours to the bare, second", cpu("text", 1) / bare_cpu[1], "x"),
        Figure("answered_s", "posting answered after", statistics.median(w[0].answered for w in found["text"]), "s"),
        Figure("last_s", "last follower had the first work after", statistics.median(w[0].last for w in found["text"]), "s"),
    ]
    tell("fanout", figures, **vars(chosen))


if __name__ == "__main__":
    main()
