"""Questions about reviews and reports, files that were cleared, what artists showed; and the changes of their rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, exists, func, insert, or_, select, update

from fediart.domain.origin import origin_from
from fediart.domain.reviews import Decision, Proof, Review, ReviewKind, ReviewState, ShownReview
from fediart.domain.verdicts import JudgedPicture
from fediart.ids import new_id
from fediart.storage import reports as report_rows
from fediart.storage.actors import shown_actors
from fediart.storage.shown import works_shown
from fediart.storage.tables import cleared_files, images, report_works, reports, review_files, reviews, works

_COLUMNS = tuple(reviews.c[name] for name in Review.__dataclass_fields__)
_PROOF = tuple(review_files.c[name] for name in Proof.__dataclass_fields__)
_OPEN = (ReviewState.OPEN, ReviewState.ASKED)
MAX_EARLIER = 8


def _review(row: Row[Any]) -> Review:
    values = {name: getattr(row, name) for name in Review.__dataclass_fields__}
    kinds = {"kind": ReviewKind(row.kind), "state": ReviewState(row.state), "decision": Decision(row.decision)}
    return Review(**{**values, **kinds})


def review_by_id(db: Connection, review_id: int) -> Review | None:
    row = db.execute(select(*_COLUMNS).where(reviews.c.id == review_id)).first()
    return _review(row) if row else None


def open_review(
    db: Connection,
    kind: ReviewKind,
    *,
    actor_id: int,
    work_id: int | None,
    now: int,
    rule: str = "",
    evidence: str = "",
    words: str = "",
    report_id: int | None = None,
    earlier_id: int | None = None,
) -> int:
    """Put something before the moderators. Returns its id."""
    id_ = new_id(now)
    values = {"rule": rule, "evidence": evidence, "words": words, "report_id": report_id, "earlier_id": earlier_id}
    db.execute(
        insert(reviews).values(
            id=id_, kind=kind, actor_id=actor_id, work_id=work_id, state=ReviewState.OPEN, opened_at=now, **values
        )
    )
    return id_


def change_review(db: Connection, review_id: int, /, **values: Any) -> None:
    db.execute(update(reviews).where(reviews.c.id == review_id).values(**values))


def open_for_reports(db: Connection, now: int, limit: int = 100) -> int:
    """Open reports come before the moderators: once for each work that they name, or by themselves. Returns how many were new.

    `limit`: of reports, the oldest first; what is over it comes with the next call.
    """
    count = 0
    new = select(reports.c.id, reports.c.actor_id, reports.c.category).where(reports.c.state == "open", ~_is_reviewed())
    for row in db.execute(new.order_by(reports.c.id).limit(limit)).all():
        named = (
            select(works.c.id).join(report_works, report_works.c.work_id == works.c.id).where(report_works.c.report_id == row.id)
        )
        for work_id in list(db.execute(named).scalars()) or [None]:
            about = {"actor_id": row.actor_id, "work_id": work_id, "report_id": row.id}
            open_review(db, ReviewKind.REPORT, rule=row.category[:16], now=now, **about)
            count += 1
    return count


def has_new_reports(db: Connection) -> bool:
    return db.execute(select(reports.c.id).where(reports.c.state == "open", ~_is_reviewed()).limit(1)).first() is not None


def _is_reviewed() -> Any:
    return exists(select(reviews.c.id).where(reviews.c.report_id == reports.c.id))


def end_report(db: Connection, report_id: int, now: int, closed_by: int | None) -> None:
    """Once nothing that it brought before the moderators is open any more."""
    still = select(reviews.c.id).where(reviews.c.report_id == report_id, reviews.c.state.in_(_OPEN))
    if db.execute(still.limit(1)).first() is None:
        report_rows.close_report(db, report_id, closed_by, now)


def _is_open() -> Any:
    """Not of a report that was closed in another way."""
    closed = select(reports.c.id).where(reports.c.id == reviews.c.report_id, reports.c.state != "open")
    return and_(reviews.c.state.in_(_OPEN), ~exists(closed))


def open_reviews(db: Connection, *, max_id: int | None = None, limit: int = 20) -> list[Review]:
    """What waits for a moderator, newest first."""
    query = select(*_COLUMNS).where(_is_open())
    if max_id is not None:
        query = query.where(reviews.c.id < max_id)
    return [_review(row) for row in db.execute(query.order_by(reviews.c.id.desc()).limit(limit))]


def count_open(db: Connection) -> dict[ReviewKind, int]:
    query = select(reviews.c.kind, func.count()).where(_is_open()).group_by(reviews.c.kind)
    return {ReviewKind(row[0]): row[1] for row in db.execute(query)}


def open_on_work(db: Connection, work_id: int, *kinds: ReviewKind) -> list[Review]:
    """What is open about a work, oldest first."""
    wanted = (reviews.c.work_id == work_id, _is_open(), reviews.c.kind.in_(kinds or tuple(ReviewKind)))
    return [_review(row) for row in db.execute(select(*_COLUMNS).where(*wanted).order_by(reviews.c.id))]


_AGAINST = (Decision.REMOVED, Decision.UPHELD, Decision.LABELLED)


def last_against(db: Connection, work_id: int) -> Review | None:
    """The last decision that was against a work's artist."""
    wanted = (reviews.c.work_id == work_id, reviews.c.decision.in_(_AGAINST))
    row = db.execute(select(*_COLUMNS).where(*wanted).order_by(reviews.c.decided_at.desc(), reviews.c.id.desc())).first()
    return _review(row) if row else None


def was_asked_about(db: Connection, work_id: int, earlier_id: int | None) -> bool:
    """Did its artist ask a moderator about this decision (None: about what the policy said of the work)?"""
    same = reviews.c.earlier_id.is_(None) if earlier_id is None else reviews.c.earlier_id == earlier_id
    wanted = (reviews.c.work_id == work_id, reviews.c.kind == ReviewKind.APPEAL, same)
    kept = reviews.c.decision != Decision.WITHDRAWN
    return db.execute(select(reviews.c.id).where(*wanted, kept).limit(1)).first() is not None


def withdraw_reviews(db: Connection, work_id: int, now: int) -> None:
    """Its artist took the work back: what was held or asked is not decided any more. Reports stay."""
    mine = (reviews.c.work_id == work_id, reviews.c.state.in_(_OPEN), reviews.c.kind != ReviewKind.REPORT)
    done = {"state": ReviewState.DECIDED, "decision": Decision.WITHDRAWN, "decided_at": now}
    db.execute(update(reviews).where(*mine).values(**done))


def move_reviews(db: Connection, work_id: int, draft_id: int) -> None:
    """A work is a draft again, under another id."""
    db.execute(update(reviews).where(reviews.c.work_id == work_id).values(work_id=draft_id))


def reviews_of(db: Connection, actor_id: int, *, limit: int = 100) -> list[Review]:
    """What was or is before the moderators of an artist's, and she may know of, newest first."""
    query = select(*_COLUMNS).where(reviews.c.actor_id == actor_id).order_by(reviews.c.id.desc()).limit(limit)
    found = [_review(row) for row in db.execute(query)]
    return [review for review in found if review.is_for_artist and review.decision != Decision.WITHDRAWN]


def review_shown(db: Connection, review_id: int) -> ShownReview | None:
    """With all that a moderator must see, whoever may see the work otherwise."""
    review = review_by_id(db, review_id)
    if review is None:
        return None
    report = report_rows.report_by_id(db, review.report_id) if review.report_id else None
    people = shown_actors(db, [review.actor_id, *([report.reporter_id] if report else [])])
    seen = works_shown(db, [review.work_id], review.actor_id) if review.work_id else []
    hashes = [item.image.original_sha256 for item in seen[0].images if item.image.original_sha256] if seen else []
    return ShownReview(
        review=review,
        artist=people[review.actor_id],
        work=seen[0] if seen else None,
        report=report,
        reporter=people.get(report.reporter_id) if report else None,
        earlier=tuple(_earlier(db, review, hashes)),
        proof=tuple(proof_of(db, review_id)),
        cleared=frozenset(cleared_among(db, hashes)),
    )


def _earlier(db: Connection, review: Review, hashes: Sequence[str]) -> list[Review]:
    same_file = select(images.c.work_id).where(images.c.original_sha256.in_(hashes), images.c.work_id.is_not(None))
    wanted = or_(reviews.c.actor_id == review.actor_id, reviews.c.work_id.in_(same_file))
    decided = (reviews.c.state == ReviewState.DECIDED, reviews.c.decision != Decision.WITHDRAWN, reviews.c.id != review.id)
    query = select(*_COLUMNS).where(wanted, *decided).order_by(reviews.c.decided_at.desc()).limit(MAX_EARLIER)
    return [_review(row) for row in db.execute(query)]


# ------------------------------------------------------------------------------------------------- cleared files


def cleared_among(db: Connection, hashes: Iterable[str]) -> set[str]:
    query = select(cleared_files.c.sha256).where(cleared_files.c.sha256.in_(list(hashes)))
    return set(db.execute(query).scalars())


def clear_files(db: Connection, hashes: Collection[str], now: int, cleared_by: int | None) -> None:
    """No rule fires for these files again, whoever uploads them."""
    for sha256 in sorted(set(hashes) - cleared_among(db, hashes)):
        db.execute(insert(cleared_files).values(sha256=sha256, cleared_at=now, cleared_by=cleared_by))


def hashes_of_work(db: Connection, work_id: int) -> list[str]:
    query = select(images.c.original_sha256).where(images.c.work_id == work_id, images.c.original_sha256.is_not(None))
    return list(db.execute(query).scalars())


def judged_pictures(db: Connection, work_id: int) -> tuple[list[JudgedPicture], list[int]]:
    """(what is known of a work's pictures, in order; ids of those whose files were not read yet)."""
    columns = (images.c.id, images.c.original_name, images.c.origin, images.c.original_sha256)
    rows = db.execute(select(*columns).where(images.c.work_id == work_id).order_by(images.c.position, images.c.id)).all()
    cleared = cleared_among(db, [row.original_sha256 for row in rows if row.original_sha256])
    read = [row for row in rows if row.origin is not None]
    found = [JudgedPicture(row.original_name, origin_from(row.origin), row.original_sha256 in cleared) for row in read]
    return found, [row.id for row in rows if row.origin is None]


# --------------------------------------------------------------------------------------------- what artists show


def add_proof(db: Connection, proof: Proof) -> None:
    values = {name: getattr(proof, name) for name in Proof.__dataclass_fields__}
    db.execute(insert(review_files).values(media_type="application/octet-stream", **values))


def proof_of(db: Connection, review_id: int) -> list[Proof]:
    rows = db.execute(select(*_PROOF).where(review_files.c.review_id == review_id).order_by(review_files.c.id))
    return [Proof(*row) for row in rows]


def drop_proof(db: Connection, review_id: int) -> list[str]:
    """Returns the vault keys of the files."""
    keys = list(db.execute(select(review_files.c.vault_key).where(review_files.c.review_id == review_id)).scalars())
    db.execute(delete(review_files).where(review_files.c.review_id == review_id))
    return keys


def forget_proof(db: Connection, before: int) -> list[str]:
    """Remove what was added before, and what is decided; returns the vault keys of the files."""
    decided = select(reviews.c.id).where(reviews.c.state == ReviewState.DECIDED)
    over = or_(review_files.c.added_at < before, review_files.c.review_id.in_(decided))
    keys = list(db.execute(select(review_files.c.vault_key).where(over)).scalars())
    db.execute(delete(review_files).where(over))
    return keys
