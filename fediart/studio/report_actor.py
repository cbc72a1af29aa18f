"""Somebody here reports a person or their works to the moderators, and if they like to the server where that person is."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.moderation import MAX_CASES_OF_PERSON, MAX_COMMENT, MAX_REPORTED, Report, ReportCategory
from fediart.errors import BadInput, NotFound, TooMany
from fediart.ids import new_id
from fediart.instance import DELIVERY, Instance
from fediart.outbox.react import tell_flag
from fediart.storage import actors, reports, works
from fediart.storage.blocks import hides_from


async def report_actor(
    instance: Instance,
    account: Account,
    target_id: int,
    *,
    category: ReportCategory = ReportCategory.OTHER,
    comment: str = "",
    work_ids: Sequence[int] = (),
    forward: bool = False,
) -> Report:
    """Returns it as it was kept. What is not this person's work, or not for the reporter's eyes, is left out.

    `forward`: their server is told what is reported and why, by this server, never by whom. Raises BadInput, NotFound, TooMany.
    """
    if len(comment) > MAX_COMMENT:
        raise BadInput(f"Your words have {len(comment)} characters; at most {MAX_COMMENT} fit. Nothing was sent yet.")

    def act(db: Connection, now: int) -> Report:
        target = actors.actor_by_id(db, target_id)
        if target is None or hides_from(db, target, account.actor_id):
            raise NotFound("This account is not there any more.")
        if target.id == account.actor_id:
            raise BadInput("This is you.")
        reported = [works.work_by_id(db, id_) for id_ in work_ids[:MAX_REPORTED] if works.may_see(db, id_, account.actor_id)]
        theirs = [work for work in reported if work is not None and work.actor_id == target.id]
        asked_for = reports.count_cases(db, reporter_id=account.actor_id) + max(1, len(theirs))
        if asked_for > MAX_CASES_OF_PERSON:
            raise TooMany(
                "Much of what you reported still waits for a moderator. Please wait until it was looked at.", retry_after=3600
            )
        goes_on = forward and not target.is_local
        report = Report(
            id=new_id(now),
            reporter_id=account.actor_id,
            actor_id=target.id,
            category=category,
            comment=comment.strip(),
            uri=None,
            forwarded=goes_on,
            state="open",
            created_at=now,
        )
        if reports.add_report(db, report, [work.id for work in theirs]) and goes_on:
            open_ones = [work.uri for work in theirs if work.visibility.is_open]
            words = f"{category.in_words}. {report.comment}".strip() if category != ReportCategory.OTHER else report.comment
            tell_flag(db, instance.identifiers, instance.instance_actor, target, open_ones, words, now)
        return report

    report = await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)
    return report
