"""After a change of the policy: what is stored is judged by the new revision.

The newest works first, some at a time, each time in one short act, so that nobody else's write waits long. How far it has
come stands in the same act: whatever ends the process, the job goes on from there. Where a newer revision holds it stops:
that one has a job of its own.

What the admin's policy does not keep is removed with its files, as if its author had deleted it. Everything else is only
shown in another way (`domain/showing`), and in the old one again when a milder revision comes: homes keep their entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from fediart.domain.policy import AiPolicy, PostVerdict, RemoteAction, judge_post
from fediart.instance import Instance
from fediart.storage import policies, verdicts, works
from fediart.storage.verdicts import Judged, Rejudging

log = structlog.get_logger("fediart.office")

BATCH = 30
"""Works judged in one act: a few ms of the writer, for so long others wait. Figures: benchmarks/rejudge.py."""

REMOVED = 20
"""Works removed in one act: each goes from a dozen tables."""


@dataclass(frozen=True, slots=True)
class Step:
    """One act's end. `rejected`: not kept, and to be removed before the run goes on from `held`."""

    held: Rejudging
    rejected: Sequence[tuple[Judged, PostVerdict]]


async def rejudge_works(instance: Instance, number: int) -> None:
    """`number`: the revision that asked for it."""
    policy = await instance.storage.read(policies.current_policy)
    if policy is None:
        return
    instance.policy = policy  # from here on what arrives is judged by it, also where the shell adopted it
    if policy.number != number:
        log.info("rejudge.superseded", number=number, by=policy.number)
        return
    held = await instance.storage.read(verdicts.rejudging)
    if held is None or held.number != number:
        total = await instance.storage.read(verdicts.count_judged)
        held = Rejudging(number, verdicts.NEWEST, 0, total)
    while held.before:
        step = await instance.storage.write(judge_some, policy, held)
        if step is None:
            log.info("rejudge.superseded", number=number)
            return
        if step.rejected:
            await _remove(instance, step)
        held = step.held
    log.info("rejudge.done", number=number, works=held.done)


async def give_up_rejudging(instance: Instance, number: int) -> None:
    """What was judged stays so; the rest is as it was."""


def judge_some(db: Connection, policy: AiPolicy, held: Rejudging) -> Step | None:
    """The works after `held`, and how far that comes. None: a newer revision holds."""
    if policies.current_number(db) != policy.number:
        return None
    some = verdicts.judged_before(db, held.before, BATCH)
    found = [(judged, judge_post(policy, judged.signs)) for judged in some]
    verdicts.put_verdicts(db, [(judged.work_id, verdict) for judged, verdict in found if verdict != judged.verdict])
    done = held.done + len(some)
    if len(some) < BATCH:
        following = Rejudging(policy.number, 0, done, done)
    else:
        following = Rejudging(policy.number, some[-1].work_id, done, max(held.total, done))
    # What a moderator removed is kept, hidden: without its row it could come again, and nobody would remember.
    rejects = [(judged, verdict) for judged, verdict in found if verdict.action == RemoteAction.REJECT]
    rejected = [(judged, verdict) for judged, verdict in rejects if judged.signs.moderated is None]
    if not rejected:
        verdicts.put_rejudging(db, following)
    return Step(following, rejected)


async def _remove(instance: Instance, step: Step) -> None:
    """They are shown in no list since the step's act; the last act of these says that the step is done."""
    names: list[str] = []
    ids = [judged.work_id for judged, _ in step.rejected]
    for start in range(0, len(ids), REMOVED):
        done = step.held if start + REMOVED >= len(ids) else None
        names += await instance.storage.write(_remove_some, ids[start : start + REMOVED], done)
    await asyncio.to_thread(instance.files.discard_all, names)
    log.info("policy.rejected", works=len(ids), hosts=sorted({judged.signs.host for judged, _ in step.rejected}))


def _remove_some(db: Connection, ids: Sequence[int], done: Rejudging | None) -> list[str]:
    names, _ = works.remove_works(db, ids)
    if done is not None:
        verdicts.put_rejudging(db, done)
    return names
