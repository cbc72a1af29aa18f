"""The admin's word on AI-made pictures: a new revision of the policy, and the job that looks at what is stored by it."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.policy import AiPolicy
from fediart.instance import Instance
from fediart.storage import jobs, policies

REJUDGE = "rejudge"
"""The kind of the job."""


async def adopt_policy(instance: Instance, policy: AiPolicy, account_id: int | None) -> AiPolicy:
    """Make it the one that holds, at once, and have what is stored judged again. Returns it with its number.

    `account_id` None: from the shell. A server that runs beside learns of it by the job.
    """
    adopted = await instance.storage.write(_adopt, policy, instance.clock(), account_id)
    instance.policy = adopted
    instance.wake(REJUDGE)
    return adopted


def _adopt(db: Connection, policy: AiPolicy, now: int, account_id: int | None) -> AiPolicy:
    adopted = policies.add_policy(db, policy, now, account_id)
    jobs.add_job(db, REJUDGE, {"number": adopted.number}, now=now)
    return adopted
