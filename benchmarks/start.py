"""How soon a server answers, what it takes while nobody asks, and whether a cloak at work is felt by others.

* Start: from the start of the process to the first 200, with .pyc files and a database that is there (a second start).
* Idle: memory, and the share of one core, over twenty seconds without a request.
* Upload: how long a 12 MP JPEG takes to be accepted while another one is being cloaked.
* Pages: the median of the home page and of a profile, asked for one after the other with pauses, while a cloak runs and
  while none does, in turns.
"""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Figure, arguments, tell
from benchmarks.server import ROOT, Place, Server, environment, make_place, serving

PAUSE_S = 0.03
"""Between two pages: a reader, not a load test."""


def drawn(program: str, *given: int, folder: Path) -> bytes:
    """The picture that an imported function draws, in a process of its own: this one stays small."""
    path = folder / "drawn.jpg"
    line = f"import sys; {program} as draw; open(sys.argv[1], 'wb').write(draw(*map(int, sys.argv[2:])))"
    command = [sys.executable, "-c", line, str(path), *map(str, given)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True)
    return path.read_bytes()


def started_in(place: Place) -> tuple[float, float]:
    """(wall, CPU) seconds from the start of a process to its first 200. A bare socket asks: that costs next to nothing."""
    command = ["-m", "fediart", "serve", "--data", str(place.data), "--port", str(place.port)]
    server = Server(command, place.port, place.data / "server.log")
    try:
        question = f"GET /healthz HTTP/1.1\r\nhost: localhost:{place.port}\r\nconnection: close\r\n\r\n".encode()
        while time.perf_counter() - server.began < 60 and server.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", place.port), timeout=5) as line:
                    line.sendall(question)
                    if line.recv(64).startswith(b"HTTP/1.1 200"):
                        return time.perf_counter() - server.began, server.cpu()
            except OSError:
                time.sleep(0.005)
        raise SystemExit("The server did not come up: " + (place.data / "server.log").read_text(errors="replace")[-2000:])
    finally:
        server.stop()


class Uploads:
    """Pictures to the client API, on connections of their own."""

    def __init__(self, place: Place) -> None:
        self._port = place.port
        self._token = place.members["mira"].token

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection("localhost", self._port, timeout=120)
        headers = {"authorization": f"Bearer {self._token}"} | ({"content-type": kind} if kind else {})
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            found: dict[str, object] = json.loads(answer.read())
            return answer.status, found
        finally:
            connection.close()

    def send(self, picture: bytes) -> tuple[str, float]:
        """(id, seconds until it was accepted)."""
        edge = "fediart-benchmark"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        body = head.encode() + picture + f"\r\n--{edge}--\r\n".encode()
        began = time.perf_counter()
        status, answer = self._ask("POST", "/api/v2/media", body, f"multipart/form-data; boundary={edge}")
        if status not in (200, 202):
            raise SystemExit(f"The upload answered {status}: {answer}")
        return str(answer["id"]), time.perf_counter() - began

    def is_ready(self, id_: str) -> bool:
        status, answer = self._ask("GET", f"/api/v1/media/{id_}")
        if status not in (200, 206):
            raise SystemExit(f"The picture answered {status}: {answer}")
        return status == 200

    def wait(self, id_: str) -> None:
        while not self.is_ready(id_):
            time.sleep(0.2)

    def post(self, words: str, media: Sequence[str]) -> None:
        body = json.dumps({"status": words, "media_ids": list(media)}).encode()
        status, answer = self._ask("POST", "/api/v1/statuses", body, "application/json")
        if status != 200:
            raise SystemExit(f"The post answered {status}: {answer}")


def is_cloaking(server: Server) -> bool:
    """Does a child of the server run that renders a picture?"""
    try:
        found = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        return any(b"fediart.media.child" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found)
    except OSError:
        return False


def wait_for_cloak(server: Server) -> None:
    end = time.monotonic() + 20
    while not is_cloaking(server):
        if time.monotonic() > end:
            raise SystemExit("No cloak began.")
        time.sleep(0.01)


class Pages:
    """Wall times in ms of pages, while a cloak runs and while none does."""

    def __init__(self, server: Server, place: Place) -> None:
        self._server = server
        self._cookie = f"fediart-{place.port}={place.members['mira'].session}"
        self.took: dict[tuple[str, bool], list[float]] = {}

    def look(self, cloaking: bool) -> None:
        """Each page once; what began under the other weather does not count."""
        for path in ("/home", "/@mira"):
            began = time.perf_counter()
            status, body = self._server.ask("GET", path, cookie=self._cookie)
            took = (time.perf_counter() - began) * 1000
            if status != 200 or b"evening" not in body:
                raise SystemExit(f"{path} answered {status}.")
            if is_cloaking(self._server) == cloaking:
                self.took.setdefault((path, cloaking), []).append(took)
            time.sleep(PAUSE_S)

    def median(self, path: str, cloaking: bool) -> float:
        return statistics.median(self.took[path, cloaking])


def fill(uploads: Uploads, folder: Path, works: int) -> None:
    """A portfolio: works with a picture each, so that the pages are as long as real ones."""
    program = "from fediart.media.sample import draw_sample"
    small = [drawn(program, 640, 480, seed, folder=folder) for seed in range(works)]
    for number, picture in enumerate(small):
        id_, _ = uploads.send(picture)
        uploads.wait(id_)
        uploads.post(f"The evening, number {number} #fediart", [id_])
    for number in range(works * 3):
        uploads.post(f"A note on an evening, number {number}", [])


def with_and_without(server: Server, uploads: Uploads, pages: Pages, pictures: Sequence[bytes], calm_looks: int) -> list[float]:
    """In turns: one picture is cloaked and another comes in meanwhile, then calm. Returns the seconds of acceptance."""
    accepted = []
    for first, second in zip(pictures[::2], pictures[1::2], strict=True):
        one, _ = uploads.send(first)
        wait_for_cloak(server)
        two, seconds = uploads.send(second)
        accepted.append(seconds)
        while not uploads.is_ready(two):
            if is_cloaking(server):
                pages.look(cloaking=True)
            else:
                time.sleep(0.02)
        uploads.wait(one)
        time.sleep(0.5)
        for _ in range(calm_looks):
            pages.look(cloaking=False)
    return accepted


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--idle", type=float, default=20, help="seconds")
    parser.add_argument("--width", type=int, default=4000, help="of the uploaded pictures; the height is three quarters")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of pictures")
    parser.add_argument("--works", type=int, default=6, help="works with a picture on the pages, and three times as many without")
    parser.add_argument("--calm-looks", type=int, default=60, help="times that each page is asked for between cloaks")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as temporary:
        folder = Path(temporary)
        program = "from benchmarks.load.fediload import jpeg12"
        pictures = [drawn(program, seed, chosen.width, folder=folder) for seed in range(chosen.rounds * 2)]
        place = make_place(folder / "data", ["mira"], sessions=True)
        started_in(place)  # once, for the .pyc files
        starts = [started_in(place) for _ in range(chosen.starts)]
        with serving(place) as server:
            server.hang_up()
            time.sleep(min(2.0, chosen.idle))
            before = server.cpu()
            time.sleep(chosen.idle)
            idle_cpu, idle_mb = (server.cpu() - before) / chosen.idle * 100, server.rss()
            uploads, pages = Uploads(place), Pages(server, place)
            fill(uploads, folder, chosen.works)
            time.sleep(1)
            accepted = with_and_without(server, uploads, pages, pictures, chosen.calm_looks)
            used_mb = server.rss()
    home, profile = ([pages.median(path, cloaking) for cloaking in (False, True)] for path in ("/home", "/@mira"))
    tell(
        "start",
        [
            Figure("start_s", "start to the first 200", statistics.median(wall for wall, _ in starts), "s", most=2),
            Figure("start_worst_s", "  the slowest", max(wall for wall, _ in starts), "s"),
            Figure("start_cpu_s", "  its CPU", statistics.median(cpu for _, cpu in starts), "s"),
            Figure("idle_mb", "idle: memory (RSS)", idle_mb, "MB", most=120),
            Figure("idle_cpu_percent", "idle: CPU, of one core", idle_cpu, "%", most=1),
            Figure("used_mb", "memory after all this", used_mb, "MB"),
            Figure("accepted_s", "upload accepted while a cloak runs", statistics.median(accepted), "s", most=1),
            Figure("accepted_worst_s", "  the slowest", max(accepted), "s"),
            Figure("picture_mb", "  size of the file", len(pictures[0]) / 1e6, "MB"),
            Figure("home_ms", "home page: median", home[0], "ms"),
            Figure("home_cloaking_ms", "  while a cloak runs", home[1], "ms"),
            Figure("ratio_home", "  the second to the first", home[1] / home[0], "x", most=2),
            Figure("profile_ms", "profile: median", profile[0], "ms"),
            Figure("profile_cloaking_ms", "  while a cloak runs", profile[1], "ms"),
            Figure("ratio_profile", "  the second to the first", profile[1] / profile[0], "x", most=2),
            Figure("looks_cloaking", "pages seen while a cloak ran", sum(len(t) for (_, c), t in pages.took.items() if c)),
        ],
        **vars(chosen),
    )


if __name__ == "__main__":
    main()
