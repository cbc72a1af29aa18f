"""The policy's word on a stored work of another server: given anew when what it says of itself, or its files say, has changed."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection

from fediart.domain.policy import AiPolicy, PostSigns, PostVerdict, RemoteAction, judge_post
from fediart.storage import verdicts, works

log = structlog.get_logger("fediart.timeline")


def judge_again(db: Connection, policy: AiPolicy, work_id: int, now: int) -> list[str]:
    """Store the verdict, or remove what the policy does not keep. Returns names of files that no row names any more."""
    held = verdicts.judged_work(db, work_id)
    if held is None:
        return []
    verdict = judge_post(policy, held.signs)
    if verdict.action == RemoteAction.REJECT:
        return remove_rejected(db, work_id, held.signs, verdict, now)
    if verdict != held.verdict:
        verdicts.put_verdicts(db, [(work_id, verdict)])
    return []


def remove_rejected(db: Connection, work_id: int, signs: PostSigns, verdict: PostVerdict, now: int) -> list[str]:
    """As if its author had deleted it, but that nothing stands against its coming again: a policy can become milder.

    Returns names of files that no row names any more.
    """
    work = works.work_by_id(db, work_id)
    if work is None:
        return []
    tell_rejected(work.uri, signs, verdict)
    return works.remove_work(db, work, signs.actor_uri, now, tombstone=False)[0]


def tell_rejected(uri: str, signs: PostSigns, verdict: PostVerdict) -> None:
    """The one name under which it stands in the log, to be counted: never in an answer to anybody."""
    log.info("policy.rejected", uri=uri[:500], host=signs.host, rule=verdict.rule)
