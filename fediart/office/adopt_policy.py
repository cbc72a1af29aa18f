"""The admin's word on AI-made pictures: a new revision of the policy, and the job that looks at what is stored by it."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from fediart.domain.policy import AiPolicy, Reserve, RobotsList
from fediart.errors import BadInput
from fediart.instance import Instance
from fediart.media.c2pa import MISSING, is_installed
from fediart.outbox.restate import RESTATE, restate_all
from fediart.storage import accounts, jobs, policies

REJUDGE = "rejudge"
"""The kind of the job."""


async def adopt_policy(instance: Instance, policy: AiPolicy, account_id: int | None) -> AiPolicy:
    """Make it the one that holds, at once, and have what is stored judged again. Returns it with its number.

    `account_id` None: from the shell. A server that runs beside learns of it by the job. Raises BadInput where a package
    that it needs is missing.
    """
    adopted = await instance.storage.write(_adopt, policy, instance.clock(), account_id)
    instance.policy = adopted
    instance.wake(REJUDGE, RESTATE)
    return adopted


def _in_files(policy: AiPolicy) -> Reserve:
    """What of it the files of the artists' works say, or how."""
    return replace(policy.reserve, ask_artists=False, robots_list=RobotsList.OFF, rsl=False)


def _adopt(db: Connection, policy: AiPolicy, now: int, account_id: int | None) -> AiPolicy:
    if policy.reserve.c2pa and not is_installed():
        raise BadInput(MISSING)
    before = policies.current_policy(db)
    adopted = policies.add_policy(db, policy, now, account_id)
    if before is not None and _in_files(before) != _in_files(adopted):
        for actor_id in accounts.actor_ids(db):
            restate_all(db, actor_id, now)
    jobs.add_job(db, REJUDGE, {"number": adopted.number}, now=now)
    return adopted
