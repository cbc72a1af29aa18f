"""A moderator decides on what was held, reported, or asked: clear, label, ask for proof, remove. Each with a reason.

Nothing of a decision on another server's work leaves this server: an accusation is never federated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.declarations import LABELS
from fediart.domain.images import Rendition
from fediart.domain.moderation import ReportCategory
from fediart.domain.notifications import NotificationKind
from fediart.domain.reviews import MAX_WORDS, Decision, Review, ReviewKind, ReviewState, Verb, deciding_problem
from fediart.domain.verdicts import MODERATED_ALLOW, MODERATED_LABEL, MODERATED_REJECT
from fediart.domain.works import Work, WorkState
from fediart.errors import BadInput, NotAllowed, NotFound
from fediart.ids import new_id, time_of
from fediart.instance import DELIVERY, Instance
from fediart.office.prune import discard_retired
from fediart.outbox.announce_work import announce_edit, announce_removal
from fediart.outbox.answer_quote import take_back_stamps_on
from fediart.storage import accounts, actors, audit, files, images, jobs, notifications, reviews, works

log = structlog.get_logger("fediart.office")


@dataclass(frozen=True, slots=True)
class Said:
    """What a moderator says. `reason` is for the artist, `note` for moderators. `label`: which one, where it gets one."""

    verb: Verb
    reason: str
    note: str = ""
    label: str = "ai-generated"


Renamed = dict[int, list[Rendition]]
"""Image → its renditions under secret names."""


async def decide_review(instance: Instance, account: Account | None, review_id: int, said: Said) -> None:
    """`account` None: from the shell. Raises BadInput or NotAllowed in words for the moderator."""
    said = replace(said, reason=said.reason.strip(), note=said.note.strip())
    if not said.reason:
        raise BadInput("A decision needs a reason: its artist reads it.")
    if len(said.reason) > MAX_WORDS or len(said.note) > MAX_WORDS:
        raise BadInput(f"A reason and a note have at most {MAX_WORDS} characters.")
    if said.label not in ("ai-generated", "ai-assisted"):
        raise BadInput("There is no such label.")
    renamed = await _secret_copies(instance, review_id) if said.verb == Verb.REMOVE else {}
    try:
        keys = await instance.storage.write(_decide, instance, account, review_id, said, renamed, instance.clock())
    finally:
        await _discard_unused(instance, renamed)
    for key in keys:
        await asyncio.to_thread(instance.vault.discard, key)
    await discard_retired(instance)
    instance.wake("release", DELIVERY)
    log.info("review.decided", review=review_id, verb=said.verb)


def may_decide(db: Connection, instance: Instance, account: Account | None, review: Review) -> str | None:
    """Why this moderator cannot decide this, or None."""
    earlier = reviews.review_by_id(db, review.earlier_id) if review.earlier_id is not None else None
    others = accounts.moderator_ids(db) - {account.id if account else 0}
    account_id, actor_id = (account.id, account.actor_id) if account else (None, None)
    return deciding_problem(review, earlier, account_id, actor_id, others, instance.policy.review)


def _decide(
    db: Connection, instance: Instance, account: Account | None, review_id: int, said: Said, renamed: Renamed, now: int
) -> list[str]:
    """Returns the vault keys of what its artist had shown."""
    review = reviews.review_by_id(db, review_id)
    if review is None:
        raise NotFound("There is no such review.")
    if not review.is_open:
        raise BadInput("This was decided already.")
    problem = may_decide(db, instance, account, review)
    if problem is not None:
        raise NotAllowed(problem)
    work = works.work_by_id(db, review.work_id) if review.work_id is not None else None
    by = account.id if account else None
    deed = _Deed(db, instance, review, work, said, renamed, now, by)
    if work is None and said.verb != Verb.CLEAR:
        raise BadInput("There is no work (any more) on which this could be decided; it can only be cleared.")
    audit.write_down(db, by, f"review-{said.verb}", _subject(review, work), said.reason, now)
    if said.verb == Verb.ASK:
        return _ask(deed)
    is_report = review.kind == ReviewKind.REPORT and review.work_id is not None
    same = reviews.open_on_work(db, review.work_id or 0, ReviewKind.REPORT) if is_report else []
    decision, work_id = _VERBS[said.verb](deed)
    keys: list[str] = []
    for one in {review.id: review, **{other.id: other for other in same}}.values():
        said_of = {"reason": said.reason, "note": said.note or one.note, "decided_at": now, "decided_by": by}
        reviews.change_review(db, one.id, state=ReviewState.DECIDED, decision=decision, work_id=work_id, **said_of)
        keys += reviews.drop_proof(db, one.id)
        if one.report_id is not None:
            reviews.end_report(db, one.report_id, now, by)
    if review.kind != ReviewKind.REPORT or decision != Decision.CLEARED or review.state == ReviewState.ASKED:
        _tell_artist(db, instance, review.actor_id, now)
    return keys


@dataclass(frozen=True, slots=True)
class _Deed:
    db: Connection
    instance: Instance
    review: Review
    work: Work | None
    said: Said
    renamed: Renamed
    now: int
    by: int | None

    @property
    def is_ours(self) -> bool:
        actor = actors.actor_by_id(self.db, self.review.actor_id)
        return actor is not None and actor.is_local


def _subject(review: Review, work: Work | None) -> str:
    return f"review {review.id} ({review.kind}), {work.uri if work is not None else 'no work'}"


def _tell_artist(db: Connection, instance: Instance, actor_id: int, now: int) -> None:
    """One line in the artist's news, which leads to all decisions. It comes from the server, not from one moderator."""
    sender = instance.instance_actor.id
    notifications.drop_notification(db, actor_id, NotificationKind.DECISION, sender)
    notifications.notify(
        db, id_=new_id(now), actor_id=actor_id, kind=NotificationKind.DECISION, from_actor_id=sender, work_id=None
    )


def _ask(deed: _Deed) -> list[str]:
    """Its artist is asked to show how it was made."""
    if not deed.is_ours:
        raise BadInput("Only an artist of this server can be asked.")
    note = {"note": deed.said.note} if deed.said.note else {}
    reviews.change_review(deed.db, deed.review.id, state=ReviewState.ASKED, reason=deed.said.reason, **note)
    _tell_artist(deed.db, deed.instance, deed.review.actor_id, deed.now)
    return []


def _clear(deed: _Deed) -> tuple[Decision, int | None]:
    work = deed.work
    about_making = deed.review.kind != ReviewKind.REPORT or deed.review.rule == ReportCategory.AI_MADE
    if work is not None and deed.is_ours and about_making:
        reviews.clear_files(deed.db, reviews.hashes_of_work(deed.db, work.id), deed.now, deed.by)
        if deed.review.kind != ReviewKind.REPORT:
            _unlabel(deed, work)
        _let_out(deed, work)
    return Decision.CLEARED, deed.review.work_id


def _unlabel(deed: _Deed, work: Work) -> None:
    values = {"moderated": MODERATED_ALLOW, "self_label": "", "verdict_action": "", "verdict_rule": "", "verdict_label": ""}
    works.change_work(deed.db, work.id, **values)
    if work.self_label:
        _announce(deed, work)


def _let_out(deed: _Deed, work: Work) -> None:
    """A held work goes out as soon as its pictures are ready."""
    if works.step_work(deed.db, work.id, WorkState.HELD, WorkState.WAITING, problem=""):
        jobs.add_job(deed.db, "release", {"work_id": work.id}, now=deed.now)


def _announce(deed: _Deed, work: Work) -> None:
    """Other servers hear that a published work of ours was changed."""
    if work.state == WorkState.PUBLISHED and deed.is_ours:
        works.change_work(deed.db, work.id, edited_at=max(deed.now, (work.edited_at or 0) + 1))
        announce_edit(deed.db, deed.instance.identifiers, work.id, deed.now)


def _label(deed: _Deed) -> tuple[Decision, int | None]:
    work = deed.work
    assert work is not None  # asked before
    label = deed.said.label
    said: dict[str, Any] = {"verdict_action": "label", "verdict_rule": "moderator", "verdict_label": label}
    works.change_work(deed.db, work.id, moderated=MODERATED_LABEL, **said, **({"self_label": label} if deed.is_ours else {}))
    if deed.is_ours:
        _announce(deed, work)
        _let_out(deed, work)
    return Decision.LABELLED, work.id


def _remove(deed: _Deed) -> tuple[Decision, int | None]:
    work = deed.work
    assert work is not None  # asked before
    is_second = deed.review.kind == ReviewKind.APPEAL and deed.review.earlier_id is not None
    decision = Decision.UPHELD if is_second else Decision.REMOVED
    if not deed.is_ours:
        said = {"verdict_action": "reject", "verdict_rule": "moderator"}
        works.change_work(deed.db, work.id, moderated=MODERATED_REJECT, **said)
        return decision, work.id
    if work.state == WorkState.PUBLISHED:
        return decision, _back_to_draft(deed, work)
    works.step_work(deed.db, work.id, WorkState.HELD, WorkState.DRAFT)
    works.change_work(deed.db, work.id, moderated=MODERATED_REJECT, problem=_problem(deed))
    return decision, work.id


def _problem(deed: _Deed) -> str:
    return f"A moderator decided that this work cannot be shown here: {deed.said.reason}"


def _back_to_draft(deed: _Deed, work: Work) -> int:
    """A published work is withdrawn everywhere; its artist keeps it, originals too, as a draft. Returns the draft's id."""
    db, ids, now = deed.db, deed.instance.identifiers, deed.now
    author = actors.actor_by_id(db, work.actor_id)
    assert author is not None  # it is ours
    draft_id = new_id(now)
    placeholder = f"{ids.base_url}/drafts/{draft_id}"
    take_back_stamps_on(db, ids, author, work, now)
    announce_removal(db, ids, work.id, now)
    works.insert_work(
        db,
        {
            **{name: getattr(work, name) for name in _KEPT},
            "id": draft_id,
            "uri": placeholder,
            "url": placeholder,
            "actor_id": work.actor_id,
            "state": WorkState.DRAFT,
            "published_at": time_of(draft_id),
            "arrived_at": time_of(draft_id),
            "moderated": MODERATED_REJECT,
            "problem": _problem(deed),
        },
    )
    unused: list[str] = []
    for shown in images.images_of_works(db, [work.id]).get(work.id, []):
        image_id = shown.image.id
        images.change_image(db, image_id, work_id=draft_id, secret_names=True)
        unused += images.put_renditions(db, image_id, deed.renamed.get(image_id, []))
    reviews.move_reviews(db, work.id, draft_id)
    names, _ = works.remove_work(db, work, author.uri, now, tombstone=work.visibility.is_open)
    files.retire(db, [*unused, *names], now)
    return draft_id


_KEPT = (
    *("visibility", "warning", "sensitive", "source", "language", "in_reply_to_uri", "in_reply_to_id"),
    *("declaration", "reservation", "licence", "licence_text", "reply_policy", "quote_policy"),
)
"""What a work that goes back to being a draft keeps."""


async def _secret_copies(instance: Instance, review_id: int) -> Renamed:
    """A published work's files under names that nobody knows, made before the rows change."""
    review = await instance.storage.read(reviews.review_by_id, review_id)
    work = await instance.storage.read(works.work_by_id, review.work_id) if review is not None and review.work_id else None
    if work is None or work.state != WorkState.PUBLISHED:
        return {}
    actor = await instance.storage.read(actors.actor_by_id, work.actor_id)
    if actor is None or not actor.is_local:
        return {}
    held = (await instance.storage.read(images.images_of_works, [work.id])).get(work.id, [])
    return {shown.image.id: await asyncio.to_thread(_renamed, instance, shown.renditions) for shown in held}


def _renamed(instance: Instance, held: tuple[Rendition, ...]) -> list[Rendition]:
    out = []
    for rendition in held:
        path = instance.files.path(rendition.name)
        name = instance.files.put(path.read_bytes(), path.suffix.lstrip("."), secret=True)
        out.append(replace(rendition, name=name))
    return out


async def _discard_unused(instance: Instance, renamed: Renamed) -> None:
    """Where the decision was not taken after all, what was made for it goes."""
    names = [rendition.name for made in renamed.values() for rendition in made]
    if names:
        used = await instance.storage.read(images.names_used, names)
        await asyncio.to_thread(instance.files.discard_all, [name for name in names if name not in used])


_VERBS: dict[Verb, Callable[[_Deed], tuple[Decision, int | None]]] = {
    Verb.CLEAR: _clear,
    Verb.LABEL: _label,
    Verb.REMOVE: _remove,
}

LABEL_CHOICES = {name: words for name, words in LABELS.items() if name != "no-generative-ai"}
"""Those that a moderator can put on a work."""
