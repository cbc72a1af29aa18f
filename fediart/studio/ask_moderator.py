"""An artist and the moderators: she asks them to look (again), shows how a work was made, or takes it back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.reviews import MAX_PROOF, MAX_WORDS, Proof, Review, ReviewKind
from fediart.domain.works import WorkState
from fediart.errors import BadInput, NotFound
from fediart.ids import new_id
from fediart.instance import Instance
from fediart.storage import audit, reviews, works
from fediart.studio.hold_work import check_appeal
from fediart.studio.publish_work import own_work, publish_work


async def ask_moderator(instance: Instance, account: Account, work_id: int, words: str) -> int:
    """Ask about what the policy, or a moderator, said of a work. What is not out is held until they have looked.

    Returns the work's id, which is another one when it was a draft. Raises BadInput when it cannot be asked about.
    """
    work = await instance.storage.read(own_work, account, work_id)
    if work.state == WorkState.DRAFT:
        if not words.strip():
            raise BadInput("Please write a few words to the moderators: what they should know about this work.")
        return await publish_work(instance, account, work_id, appeal=words.strip())
    await instance.storage.write(_ask, instance, account, work_id, words.strip(), instance.clock())
    return work_id


def _ask(db: Connection, instance: Instance, account: Account, work_id: int, words: str, now: int) -> None:
    """About the label of a published work, which stays as it is meanwhile."""
    work = own_work(db, account, work_id)
    if work.state != WorkState.PUBLISHED or not work.verdict_label:
        raise BadInput("There is nothing to ask about: this work waits already, or nothing was said against it.")
    if reviews.open_on_work(db, work_id, ReviewKind.APPEAL):
        raise BadInput("The moderators were asked already. You will hear from them.")
    earlier_id = check_appeal(db, instance.policy, work, words, now)
    reviews.open_review(
        db,
        ReviewKind.APPEAL,
        actor_id=work.actor_id,
        work_id=work_id,
        now=now,
        rule=work.verdict_rule,
        words=words,
        earlier_id=earlier_id,
    )


async def take_back(instance: Instance, account: Account, work_id: int) -> None:
    """A held work is a draft again. The moderators do not decide on it any more, and what was shown to them goes."""

    def act(db: Connection, now: int) -> list[str]:
        own_work(db, account, work_id)
        if not works.step_work(db, work_id, WorkState.HELD, WorkState.DRAFT, problem=""):
            raise BadInput("This work is not held any more: it was decided on, or is a draft already.")
        held = reviews.open_on_work(db, work_id, ReviewKind.HELD, ReviewKind.APPEAL)
        reviews.withdraw_reviews(db, work_id, now)
        audit.write_down(db, account.id, "take-back", f"work {work_id}", "", now)
        return [key for review in held for key in reviews.drop_proof(db, review.id)]

    for key in await instance.storage.write(act, instance.clock()):
        await asyncio.to_thread(instance.vault.discard, key)


def own_review(db: Connection, account: Account, review_id: int) -> Review:
    """What was decided, or waits to be, on a work of hers. Raises NotFound."""
    review = reviews.review_by_id(db, review_id)
    if review is None or review.actor_id != account.actor_id or not review.is_for_artist:
        raise NotFound("There is nothing here.")
    return review


async def show_proof(instance: Instance, account: Account, review_id: int, upload: Path, file_name: str) -> None:
    """A file for the moderators' eyes: layers, a sketch, a photograph. Nothing opens it here. Raises BadInput or NoRoom."""

    def act(db: Connection, key: str | None, now: int) -> None:
        review = own_review(db, account, review_id)
        if not review.takes_proof:
            raise BadInput("This was decided already, so nothing more is shown.")
        if len(reviews.proof_of(db, review_id)) >= MAX_PROOF:
            raise BadInput(f"At most {MAX_PROOF} files can be shown.")
        if key is not None:
            reviews.add_proof(db, Proof(new_id(now), review_id, key, file_name[-200:], size, now))

    await asyncio.to_thread(instance.reserve.check)
    size = upload.stat().st_size
    await instance.storage.read(act, None, 0)
    key = await asyncio.to_thread(instance.vault.put, upload)
    try:
        await instance.storage.write(act, key, instance.clock())
    except BaseException:
        await asyncio.to_thread(instance.vault.discard, key)
        raise


async def tell_moderators(instance: Instance, account: Account, review_id: int, words: str) -> None:
    """Her words to what waits to be decided; they take the place of those before."""
    if len(words) > MAX_WORDS:
        raise BadInput(f"These words have {len(words)} characters; at most {MAX_WORDS} fit.")

    def act(db: Connection) -> None:
        if not own_review(db, account, review_id).takes_proof:
            raise BadInput("This was decided already, so nothing more is said.")
        reviews.change_review(db, review_id, words=words.strip())

    await instance.storage.write(act)
