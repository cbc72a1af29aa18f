"""What the policy says to a work of an artist of ours before it goes out; and a work that goes to the moderators first."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from fediart.domain.origin import origin_text
from fediart.domain.policy import AiPolicy, LocalAction
from fediart.domain.reviews import MAX_WORDS, ReviewKind, appeal_problem
from fediart.domain.verdicts import WorkVerdict, judge_work, not_published
from fediart.domain.works import Work, WorkState
from fediart.errors import BadInput
from fediart.instance import Instance
from fediart.media.origin.read import read_origin
from fediart.storage import images, reviews, works


def verdict_on(db: Connection, policy: AiPolicy, work: Work) -> WorkVerdict:
    """By what is known now of its pictures' files."""
    read, _ = reviews.judged_pictures(db, work.id)
    return judge_work(policy, work.declaration, read, moderated=work.moderated, label=work.self_label)


def put_label(db: Connection, work: Work, verdict: WorkVerdict) -> bool:
    """The label that goes out with a work that may be shown, on its row. True when that changed."""
    action = verdict.action.value if verdict.action != LocalAction.ALLOW else ""
    held = (work.self_label, work.verdict_action, work.verdict_rule, work.verdict_label)
    wanted = (verdict.label, action, verdict.rule if action else "", verdict.label)
    if held == wanted:
        return False
    names = ("self_label", "verdict_action", "verdict_rule", "verdict_label")
    works.change_work(db, work.id, **dict(zip(names, wanted, strict=True)))
    return True


def check_appeal(db: Connection, policy: AiPolicy, work: Work, words: str, now: int) -> int | None:
    """The decision that is asked about, or None where no moderator decided yet. Raises BadInput when it cannot be asked about."""
    if not words.strip():
        raise BadInput("Please write a few words to the moderators: what they should know about this work.")
    if len(words) > MAX_WORDS:
        raise BadInput(f"These words have {len(words)} characters; at most {MAX_WORDS} fit.")
    earlier = reviews.last_against(db, work.id)
    earlier_id = earlier.id if earlier is not None else None
    problem = appeal_problem(earlier, reviews.was_asked_about(db, work.id, earlier_id), policy.review, now)
    if problem is not None:
        raise BadInput(problem)
    return earlier_id


def hold_work(
    db: Connection, policy: AiPolicy, work: Work, before: WorkState, verdict: WorkVerdict, now: int, words: str
) -> None:
    """A work goes before the moderators. `words`: its artist's, where she asks them; '' where the policy does."""
    kind = ReviewKind.APPEAL if words else ReviewKind.HELD
    earlier_id = check_appeal(db, policy, work, words, now) if words else None
    if not works.step_work(db, work.id, before, WorkState.HELD, problem=""):
        return
    evidence = verdict.reason if verdict.rule != "moderator" else ""
    reviews.open_review(
        db,
        kind,
        actor_id=work.actor_id,
        work_id=work.id,
        now=now,
        rule=verdict.rule,
        evidence=evidence,
        words=words,
        earlier_id=earlier_id,
    )


def keep_back(db: Connection, policy: AiPolicy, work_id: int, now: int) -> bool:
    """Does a waiting work not go out now? The last word before anything leaves, by the policy of this moment.

    It goes to the moderators, or back to its draft with the reason, or on waiting where a file was not read yet. One that
    goes out gets its label.
    """
    work = works.work_by_id(db, work_id)
    if work is None or work.state != WorkState.WAITING:
        return True
    _, unread = reviews.judged_pictures(db, work_id)
    if unread:
        return True
    verdict = verdict_on(db, policy, work)
    if verdict.action == LocalAction.HOLD:
        hold_work(db, policy, work, WorkState.WAITING, verdict, now, "")
        return True
    if verdict.action in (LocalAction.ASK, LocalAction.REJECT):
        works.step_work(db, work_id, WorkState.WAITING, WorkState.DRAFT, problem=not_published(verdict))
        return True
    put_label(db, work, verdict)
    return False


async def read_unread(instance: Instance, work_id: int) -> None:
    """Pictures of a work from before this server read files: they are read now."""
    _, unread = await instance.storage.read(reviews.judged_pictures, work_id)
    for image_id in unread:
        image = await instance.storage.read(images.image_by_id, image_id)
        if image is not None and image.vault_key is not None:
            origin = await asyncio.to_thread(read_origin, instance.vault.path(image.vault_key), sha256=image.original_sha256)
            await instance.storage.write(images.change_image, image_id, origin=origin_text(origin))
