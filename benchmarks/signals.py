"""What telling what is reserved costs a page, a file and a document: CPU of the same requests with all signals and with none.

The whole application is called in this process, without a network, about an artist with works that have pictures. With:
headers, page marks, RSL, TDMRep and the refusal of crawlers, as the preset says. Without: nothing is reserved, RSL, TDMRep and
the refusal are switched off; under which licence a work is, and by whom, still stands in page and document. They take turns.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.door import FIREFOX, PEER, cpu_ms, scope
from benchmarks.report import Figure, arguments, tell
from fediart.config import load_config
from fediart.domain.policy import AiPolicy, Enforce, Reserve, RobotsList
from fediart.domain.reservations import Answer
from fediart.instance import Instance, open_instance
from fediart.jobs.runner import running_jobs
from fediart.media.sample import draw_sample
from fediart.observe import set_up_logs
from fediart.storage import works
from fediart.studio.add_image import add_image
from fediart.studio.open_account import open_account
from fediart.studio.publish_work import Draft, publish_work, start_draft
from fediart.web.app import create_app

ON = AiPolicy(enforce=Enforce(rate_limit_anonymous="off"))
OFF = replace(
    ON,
    reserve=Reserve(
        Answer.ALLOW, Answer.ALLOW, Answer.ALLOW, robots_list=RobotsList.OFF, embed_xmp=False, rsl=False, tdmrep=False
    ),
    enforce=Enforce(block_user_agents=False, rate_limit_anonymous="off"),
)


async def an_artist(instance: Instance, folder: Path, count: int) -> tuple[int, str]:
    """(id of the last work, name of its file) of ana, who shows so many works of one picture."""
    ana = await open_account(instance, "ana", "a password to measure with")
    path, work_id = folder / "evening.jpg", 0
    for number in range(count):
        path.write_bytes(draw_sample(160, 120, number))
        draft = await start_draft(instance, ana, Draft(f"Evening {number} #oil"))
        await add_image(instance, ana, path, "evening.jpg", work_id=draft, alt="an evening", cloak=False)
        work_id = await publish_work(instance, ana, draft)
    while True:
        shown = await instance.storage.read(works.works_of, ana.actor_id, None, limit=40)
        if len(shown) == count:
            break
        await asyncio.sleep(0.1)
    public = shown[0].images[0].public
    assert public is not None  # it is published
    return work_id, public.name


async def measured(folder: Path, shown: int, count: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Name → CPU in ms per request (on, off): medians of rounds in which they take turns."""
    settings = {"cloak.fetch_encoders": False, "log.level": "error"}
    async with open_instance(load_config(None, {}, settings), folder) as instance:
        async with running_jobs(instance):
            work_id, name = await an_artist(instance, folder, shown)
        app = create_app(instance)
        kinds = {
            "work": scope(f"/@ana/{work_id}", FIREFOX, accept="text/html"),
            "profile": scope("/@ana", FIREFOX, accept="text/html"),
            "file": scope(f"/media/{name}", FIREFOX),
            "document": scope(f"/users/ana/statuses/{work_id}", PEER, accept="application/activity+json"),
        }
        took: dict[str, tuple[list[float], list[float]]] = {}
        for turn in range(rounds + 1):
            for kind, asked in kinds.items():
                for index, policy in enumerate((ON, OFF)):
                    instance.policy = policy
                    cpu = await cpu_ms(app, [asked] * count, 200)
                    if turn:  # the first round warms up
                        took.setdefault(kind, ([], []))[index].append(cpu)
        return {kind: (statistics.median(held[0]), statistics.median(held[1])) for kind, held in took.items()}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--works", type=int, default=20, help="works of the artist")
    parser.add_argument("--requests", type=int, default=200, help="requests per kind and round")
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    set_up_logs("error", "console")
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as folder:
        found = asyncio.run(measured(Path(folder), chosen.works, chosen.requests, chosen.rounds))
    words = {"work": "a work's page", "profile": "an artist's page", "file": "a picture's file", "document": "a document"}
    figures = []
    for kind, (on, off) in found.items():
        figures.append(Figure(f"signals_{kind}_ms", f"{words[kind]}: CPU more than with all off", on - off, "ms", most=0.3))
        figures.append(Figure(f"on_{kind}_ms", "  whole request, on", on, "ms"))
        figures.append(Figure(f"ratio_{kind}", "  on to off", on / off, "x"))
    tell("signals", figures, **vars(chosen))


if __name__ == "__main__":
    main()
