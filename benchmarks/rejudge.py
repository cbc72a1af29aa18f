"""A changed AI-art policy over stored works: works judged per second, and what others' small writes wait meanwhile.

Our own database with works of other servers, some tagged, some labelled by their authors, some whose files say something. Two
revisions are adopted in turn, each the other way round, so that every run has the same work: of the signed works the verdict
changes. Beside it one small write after another is made, as a like or a seen notification is one, with a pause between; the
same without a change of policy is the baseline. `--removed` adds a run whose policy keeps nothing of the tagged works.

SQLite in a file, in this process: the writer's thread and the event loop share its processor time, as in the server.
"""

from __future__ import annotations

import asyncio
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, insert

from benchmarks.report import Figure, arguments, tell
from fediart.config import load_config
from fediart.domain.policy import AiPolicy, RemoteAction
from fediart.ids import new_id
from fediart.instance import Instance, open_instance
from fediart.office.rejudge_works import BATCH, judge_some, rejudge_works
from fediart.storage import policies, settings, verdicts
from fediart.storage.tables import actors, images, work_addresses, work_tags, works

FIRST_MS = 1_700_000_000_000
PAUSE_S = 0.002
ORIGIN = '{"signals":[{"level":"declared","source":"iptc","evidence":"It says so."}],"sha256":"%064x","c2pa":"absent"}'
Row = dict[str, Any]


def filling(count: int, seed: int = 5) -> Iterator[tuple[Any, Row]]:
    """(table, row): works with three hashtags each; of ten one is tagged as AI-made, one labelled, and one's file says so."""
    chance = random.Random(seed)
    for number in range(200):
        host = f"art{number % 40}.bench.test"
        uri = f"https://{host}/users/painter{number}"
        yield (
            actors,
            {
                "id": number + 1,
                "uri": uri,
                "host": host,
                "username": f"painter{number}",
                "kind": "Person",
                "url": uri,
                "inbox": f"{uri}/inbox",
                "public_key_id": f"{uri}#main-key",
                "public_key_pem": "",
                "created_at": FIRST_MS,
                "fetched_at": FIRST_MS,
            },
        )
    for number in range(count):
        id_, actor = new_id(FIRST_MS + number * 60_000), chance.randrange(200)
        uri = f"https://art{actor % 40}.bench.test/statuses/{id_}"
        yield (
            works,
            {
                "id": id_,
                "uri": uri,
                "url": uri,
                "actor_id": actor + 1,
                "state": "published",
                "visibility": "public",
                "content": "<p>The second wash dried overnight and the paper kept its tooth.</p>",
                "published_at": FIRST_MS,
                "arrived_at": FIRST_MS,
                "self_label": "ai-generated" if number % 10 == 1 else "",
            },
        )
        yield work_addresses, {"work_id": id_, "uri": "https://www.w3.org/ns/activitystreams#Public", "part": "to"}
        tags = chance.sample(["oil", "ink", "gouache", "wip", "commission", "sketch"], 3) + (
            ["aiart"] if number % 10 == 0 else []
        )
        for tag in tags:
            yield work_tags, {"work_id": id_, "tag": tag}
        yield (
            images,
            {
                "id": id_,
                "actor_id": actor + 1,
                "work_id": id_,
                "purpose": "remote",
                "state": "evicted",
                "used_at": FIRST_MS,
                "created_at": FIRST_MS,
                "origin": ORIGIN % number if number % 10 == 2 else None,
            },
        )


def fill(db: Connection, count: int) -> None:
    rows: dict[Any, list[Row]] = {}
    for table, row in filling(count):
        rows.setdefault(table, []).append(row)
    for table in (actors, works, work_addresses, work_tags, images):
        db.execute(insert(table), rows[table])


@dataclass(frozen=True, slots=True)
class Run:
    """`seconds` of the job; waits in ms of the small writes meanwhile."""

    seconds: float
    waits: list[float]


async def beside(instance: Instance, job: Awaitable[None]) -> Run:
    """Do the job with small writes beside it."""
    waits: list[float] = []
    running = asyncio.ensure_future(job)
    began = time.perf_counter()
    while not running.done():
        asked = time.perf_counter()
        await instance.storage.write(settings.put_setting, "bench", str(asked))
        waits.append((time.perf_counter() - asked) * 1000)
        await asyncio.sleep(PAUSE_S)
    await running
    return Run(time.perf_counter() - began, waits)


async def rejudged(instance: Instance, wanted: AiPolicy, count: int) -> Run:
    adopted = await instance.storage.write(policies.add_policy, wanted, instance.clock(), None)
    run = await beside(instance, rejudge_works(instance, adopted.number))
    progress = await instance.storage.read(verdicts.rejudge_progress)
    if progress != (count, count, adopted.number):
        raise SystemExit(f"The run ended at {progress}.")
    return run


def share(waits: Sequence[float], part: float) -> float:
    return sorted(waits)[min(len(waits) - 1, int(len(waits) * part))]


async def acts_cpu(instance: Instance, wanted: AiPolicy) -> list[float]:
    """CPU in ms of each act of a run: what the writer is held for, whatever else the machine does."""
    policy = await instance.storage.write(policies.add_policy, wanted, instance.clock(), None)
    held: verdicts.Rejudging | None = verdicts.Rejudging(policy.number, verdicts.NEWEST, 0, 0)
    took: list[float] = []

    def act(db: Connection, before: verdicts.Rejudging) -> verdicts.Rejudging | None:
        began = time.thread_time_ns()
        step = judge_some(db, policy, before)
        took.append((time.thread_time_ns() - began) / 1e6)
        return step.held if step is not None else None

    while held is not None and held.before:
        held = await instance.storage.write(act, held)
    return took


@dataclass(frozen=True, slots=True)
class Measured:
    """`calm`: as long as the runs, without one. `removing`: the run that removes. `acts`: CPU in ms of each act of a run."""

    runs: list[Run]
    calm: list[Run]
    removing: Run | None
    acts: list[float]


async def measure(folder: Path, count: int, rounds: int, removed: bool) -> Measured:
    config = load_config(None, {}, {"cloak.fetch_encoders": False, "log.level": "error"})
    async with open_instance(config, folder) as instance:
        await instance.storage.write(fill, count)
        usual = instance.policy
        other = replace(
            usual,
            remote=replace(
                usual.remote, self_label=RemoteAction.LABEL, hashtag=RemoteAction.COLLAPSE, declared=RemoteAction.FILTER
            ),
        )
        await rejudged(instance, usual, count)  # every work has its verdict, as if it had been judged when it came
        runs, calm = [], []
        for _ in range(rounds):
            for policy in (other, usual):
                runs.append(await rejudged(instance, policy, count))
                calm.append(await beside(instance, asyncio.sleep(runs[-1].seconds)))
        acts = await acts_cpu(instance, other)
        last = None
        if removed:
            strict = replace(usual, remote=replace(usual.remote, hashtag=RemoteAction.REJECT))
            adopted = await instance.storage.write(policies.add_policy, strict, instance.clock(), None)
            last = await beside(instance, rejudge_works(instance, adopted.number))
            if await instance.storage.read(verdicts.count_judged) != count - (count + 9) // 10:
                raise SystemExit("Not what is tagged was removed.")
    return Measured(runs, calm, last, acts)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = arguments(__doc__)
    parser.add_argument("--works", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3, help="there and back")
    parser.add_argument("--removed", action="store_true", help="and a run that removes a tenth of the works")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fediart-bench-") as folder:
        found = asyncio.run(measure(Path(folder), chosen.works, chosen.rounds, chosen.removed))
    runs, last = found.runs, found.removing
    waits = [wait for run in runs for wait in run.waits]
    usual = [wait for run in found.calm for wait in run.waits]
    rate = statistics.median(chosen.works / run.seconds for run in runs)
    figures = [
        Figure("works_per_s", f"{chosen.works} stored works judged again: works per second, median", rate, "/s", least=1_000),
        Figure("slowest_works_per_s", "  the slowest run", min(chosen.works / run.seconds for run in runs), "/s"),
        Figure("act_ms", f"one act of {BATCH} works: CPU, median", statistics.median(found.acts), "ms"),
        Figure("act_longest_ms", "  the longest", max(found.acts), "ms", most=50),
        Figure("write_p50_ms", "a small write meanwhile: median", statistics.median(waits), "ms"),
        Figure("write_p99_ms", "  99 of 100 within", share(waits, 0.99), "ms", most=50),
        Figure("write_longest_ms", "  the longest", max(waits), "ms", most=50),
        Figure("calm_p50_ms", "the same write at any other time: median", statistics.median(usual), "ms"),
        Figure("calm_p99_ms", "  99 of 100 within", share(usual, 0.99), "ms"),
        Figure("calm_longest_ms", "  the longest", max(usual), "ms"),
        Figure("delay_p99_ms", "  more meanwhile: 99 of 100", share(waits, 0.99) - share(usual, 0.99), "ms", most=50),
        Figure("ratio_p99", "  99 of 100: meanwhile to any other time", share(waits, 0.99) / share(usual, 0.99), "x"),
        Figure("writes", "small writes measured", len(waits), ""),
    ]
    if last is not None:
        figures += [
            Figure("removed_per_s", "works per second where a tenth is removed", chosen.works / last.seconds, "/s"),
            Figure("removed_p99_ms", "  a small write meanwhile: 99 of 100 within", share(last.waits, 0.99), "ms", most=50),
            Figure("removed_longest_ms", "  the longest", max(last.waits), "ms", most=50),
        ]
    tell("rejudge", figures, **vars(chosen))


if __name__ == "__main__":
    main()
