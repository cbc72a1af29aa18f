"""What looking at who asks (`web/crawlers`) costs a request: CPU of the same requests with that layer and without it.

The whole application is called in this process, without a network: `/robots.txt`, a picture that is not there, a page, and a
document for other servers, as a browser, a server of the fediverse and a client program ask for them. With and without take
turns. All is switched on: refusal by name, a limit that is never reached, the page that asks for work with a pass in hand.
`door_new_names` gives another name with each request, so that nothing can be remembered.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from benchmarks.report import Figure, arguments, tell
from fediart.config import load_config
from fediart.domain.policy import AiPolicy, Enforce, ProofOfWork, Reserve, RobotsList
from fediart.instance import Instance, open_instance
from fediart.studio.open_account import open_account
from fediart.studio.sign_in import grant_token
from fediart.web.app import create_app
from fediart.web.crawlers import Crawlers
from fediart.web.gate import Gate, pass_cookie

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
PEER = "Mastodon/4.3.8 (http.rb/5.2.0; +https://art.example/)"
ADDRESS, NETWORK = "203.0.113.9", "203.0.113.0/24"


def scope(path: str, user_agent: str, **headers: str) -> Scope:
    held = {"host": "localhost:8000", "user-agent": user_agent, **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in held.items()],
        "client": (ADDRESS, 1),
        "server": ("localhost", 8000),
        "state": {},
    }


async def status(app: ASGIApp, asked: Scope) -> int:
    found = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal found
        found = message.get("status", found)

    await app({**asked, "state": {}}, receive, send)
    return found


def door_of(app: Any) -> tuple[Any, Crawlers]:
    """(the layer before the door, the door)."""
    while not isinstance(app._app, Crawlers):
        app = app._app
    return app, app._app


async def cpu_ms(app: ASGIApp, asked: list[Scope], wanted: int) -> float:
    began = time.process_time_ns()
    for each in asked:
        if (found := await status(app, each)) != wanted:
            raise SystemExit(f"{each['path']} answered {found}, not {wanted}.")
    return (time.process_time_ns() - began) / 1e6 / len(asked)


def kinds(instance: Instance, token: str, count: int, turn: int) -> dict[str, tuple[list[Scope], int]]:
    """Name → (requests, what they are answered)."""
    cookie = f"{pass_cookie(instance)}={Gate(instance).pass_for(NETWORK)}"
    page = scope("/about", FIREFOX, accept="text/html", cookie=cookie)
    document = scope("/users/ana", PEER, accept="application/activity+json", signature="x")
    program = scope("/api/v1/instance", FIREFOX, accept="application/json", authorization=f"Bearer {token}")
    return {
        "page": ([page] * count, 200),
        "document": ([document] * count, 200),
        "program": ([program] * count, 200),
        "file": ([scope("/media/ab/cd.jpg", FIREFOX)] * count, 404),
        "new_names": (
            [scope("/robots.txt", f"{FIREFOX} reader {turn}.{number} " + "word " * 20) for number in range(count)],
            200,
        ),
    }


async def measured(folder: Path, count: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Name → CPU in ms per request (with, without): medians of rounds in which they take turns."""
    settings = {"cloak.fetch_encoders": False, "log.level": "error"}
    async with open_instance(load_config(None, {}, settings), folder) as instance:
        await open_account(instance, "ana", "a password to measure with")
        token = await grant_token(instance, "ana", "read", "bench")
        instance.policy = replace(
            AiPolicy(),
            reserve=Reserve(robots_list=RobotsList.ALL),
            enforce=Enforce(rate_limit_anonymous="999999/s", proof_of_work=ProofOfWork.ALWAYS),
        )
        app = create_app(instance)
        before, door = door_of(app)
        took: dict[str, tuple[list[float], list[float]]] = {}
        for turn in range(rounds + 1):
            for name, (asked, wanted) in kinds(instance, token, count, turn).items():
                for index, layer in enumerate((door, door._app)):
                    before._app = layer
                    cpu = await cpu_ms(app, asked, wanted)
                    if turn:  # the first round warms up
                        took.setdefault(name, ([], []))[index].append(cpu)
        return {name: (statistics.median(held[0]), statistics.median(held[1])) for name, held in took.items()}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="requests per kind and round")
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as folder:
        found = asyncio.run(measured(Path(folder), chosen.requests, chosen.rounds))
    words = {
        "page": "a page for a browser with a pass",
        "document": "a document for another server",
        "program": "a client program's request",
        "file": "a file",
        "new_names": "robots.txt, each time by another name",
    }
    figures = []
    for name, (with_, without) in found.items():
        figures.append(Figure(f"door_{name}_ms", f"{words[name]}: CPU more than without", with_ - without, "ms", most=0.2))
        figures.append(Figure(f"with_{name}_ms", "  whole request, with", with_, "ms"))
        figures.append(Figure(f"ratio_{name}", "  with to without", with_ / without, "x"))
    tell("door", figures, **vars(chosen))


if __name__ == "__main__":
    main()
