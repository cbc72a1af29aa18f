"""The admin's word on AI-made pictures: a new revision of the policy, the artists told,
and the job that looks at what is stored by it.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from fediart.domain.policy import AiPolicy, Reserve, RobotsList
from fediart.domain.policy_words import change_between
from fediart.errors import BadInput
from fediart.instance import Instance
from fediart.media.c2pa import MISSING, is_installed
from fediart.outbox.restate import RESTATE, restate_all
from fediart.storage import accounts, jobs, notifications, policies

REJUDGE = "rejudge"
"""The kind of the job."""


async def adopt_policy(instance: Instance, policy: AiPolicy, account_id: int | None) -> AiPolicy:
    """Make it the one that holds, at once, and have what is stored judged again. Returns it with its number.

    Everyone here hears of it, but who adopts it. `account_id` None: from the shell; a server that runs beside learns of it by
    the job. Raises BadInput where a package that it needs is missing.
    """
    adopted = await instance.storage.write(_adopt, policy, instance.instance_actor.id, instance.clock(), account_id)
    instance.policy = adopted
    instance.wake(REJUDGE, RESTATE)
    return adopted


def _in_files(policy: AiPolicy) -> Reserve:
    """What of it the files of the artists' works say, or how."""
    return replace(policy.reserve, ask_artists=False, robots_list=RobotsList.OFF, rsl=False)


def _adopt(db: Connection, policy: AiPolicy, sender_id: int, now: int, account_id: int | None) -> AiPolicy:
    if policy.reserve.c2pa and not is_installed():
        raise BadInput(MISSING)
    before = policies.current_policy(db)
    adopted = policies.add_policy(db, policy, now, account_id)
    if before is not None and change_between(before, adopted).lines:
        notifications.tell_of_policy(db, adopted.number, sender_id, now, but=account_id)
        if account_id is not None:
            accounts.put_policy_read(db, account_id, adopted.number, from_number=before.number)
    if before is not None and _in_files(before) != _in_files(adopted):
        for actor_id in accounts.actor_ids(db):
            restate_all(db, actor_id, now)
    jobs.add_job(db, REJUDGE, {"number": adopted.number}, now=now)
    return adopted
