"""The policy's word on a stored work of another server: given anew when what it says of itself, or its files say, has changed."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection

from fediart.domain.policy import AiPolicy, PostSigns, PostVerdict, RemoteAction, judge_post
from fediart.storage import verdicts, works

log = structlog.get_logger("fediart.timeline")


def judge_again(db: Connection, policy: AiPolicy, work_id: int) -> list[str]:
    """Store the verdict, or remove what the policy does not keep. Returns names of files that no row names any more."""
    held = verdicts.judged_work(db, work_id)
    if held is None:
        return []
    verdict = judge_post(policy, held.signs)
    if verdict.action == RemoteAction.REJECT:
        tell_rejected(held.signs, verdict)
        # As if its author had deleted it, but that nothing stands against its coming again: a policy can become milder.
        return works.remove_works(db, [work_id])[0]
    if verdict != held.verdict:
        verdicts.put_verdicts(db, [(work_id, verdict)])
    return []


def tell_rejected(signs: PostSigns, verdict: PostVerdict) -> None:
    """The one name under which it stands in the log, to be counted; the sender hears what everybody hears."""
    log.info("policy.rejected", works=1, hosts=[signs.host], rule=verdict.rule)
