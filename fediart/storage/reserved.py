"""Questions about what is reserved and allowed: of a file in the public store, and who says something else than the instance."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, select, update

from fediart.domain.choices import Choices
from fediart.domain.licences import Licensing
from fediart.domain.reservations import Reservation, reservation_from, reservation_text
from fediart.domain.works import Visibility, WorkState
from fediart.storage.tables import accounts, actors, images, renditions, works
from fediart.storage.visible import not_suspended

SAME_FILE = 20
"""One file may be of several pictures, where the content is the same. Of so many it is looked who says what."""


@dataclass(frozen=True, slots=True)
class SaidOfFile:
    """What was said of one picture that a file is of. None: nothing. `origin`: what came with another server's."""

    work: Reservation | None
    artist: Reservation | None
    origin: Reservation | None


_OF_FILE = (
    select(works.c.reservation, accounts.c.reservation, images.c.reservation)
    .select_from(
        renditions.join(images, renditions.c.image_id == images.c.id)
        .outerjoin(works, works.c.id == images.c.work_id)
        .outerjoin(accounts, accounts.c.actor_id == images.c.actor_id)
    )
    .where(renditions.c.name == bindparam("name"))
    .limit(SAME_FILE)
)


def said_of_file(db: Connection, name: str) -> tuple[SaidOfFile, ...]:
    rows = db.execute(_OF_FILE, {"name": name}).all()
    return tuple(SaidOfFile(*(reservation_from(text) for text in row)) for row in rows)


def artists_who_chose(db: Connection, limit: int) -> list[tuple[str, Reservation]]:
    """(username, choice), oldest account first."""
    query = (
        select(actors.c.username, accounts.c.reservation)
        .select_from(accounts.join(actors, accounts.c.actor_id == actors.c.id))
        .where(accounts.c.reservation.is_not(None), not_suspended(actors.c.id))
        .order_by(accounts.c.id)
        .limit(limit)
    )
    return [(name, held) for name, text in db.execute(query) if (held := reservation_from(text)) is not None]


def works_with_a_choice(db: Connection, limit: int) -> list[tuple[str, int, Reservation]]:
    """(username, work id, choice) of local works that anybody may see and that are reserved apart from their artist's others."""
    query = (
        select(actors.c.username, works.c.id, works.c.reservation)
        .select_from(works.join(actors, works.c.actor_id == actors.c.id))
        .where(
            works.c.reservation.is_not(None),
            actors.c.host == "",
            works.c.state == WorkState.PUBLISHED,
            works.c.visibility.in_([Visibility.PUBLIC, Visibility.UNLISTED]),
            not_suspended(works.c.actor_id),
        )
        .order_by(works.c.id.desc())
        .limit(limit)
    )
    return [(name, id_, held) for name, id_, text in db.execute(query) if (held := reservation_from(text)) is not None]


def put_choices(db: Connection, account_id: int, choices: Choices) -> None:
    db.execute(
        update(accounts)
        .where(accounts.c.id == account_id)
        .values(
            reservation=reservation_text(choices.reservation),
            tell_cloaked=choices.tell_cloaked,
            **licence_columns(choices.licensing),
        )
    )


def _to_restate(actor_id: int, since: int | None) -> tuple[ColumnElement[bool], ...]:
    """Published works with pictures whose terms are not wholly their own. `since`: instead, those edited since then (ms)."""
    published = (works.c.actor_id == actor_id, works.c.state == WorkState.PUBLISHED)
    if since is not None:
        return (*published, works.c.edited_at >= since)
    has_pictures = exists(select(images.c.id).where(images.c.work_id == works.c.id))
    return (*published, (works.c.reservation.is_(None)) | (works.c.licence == ""), has_pictures)


def next_to_restate(db: Connection, actor_id: int, before: int | None, since: int | None = None) -> int | None:
    """The newest of the works whose files say what their artist says of all works, older than `before`.

    `since`: of the works that were edited since then.
    """
    query = select(func.max(works.c.id)).where(*_to_restate(actor_id, since))
    return db.execute(query if before is None else query.where(works.c.id < before)).scalar()


def count_to_restate(db: Connection, actor_id: int, since: int | None = None) -> int:
    return db.execute(select(func.count()).select_from(works).where(*_to_restate(actor_id, since))).scalar_one()


def licence_columns(licensing: Licensing | None) -> dict[str, str]:
    """As an account and a work hold it; None: nothing was chosen."""
    if licensing is None:
        return {"licence": "", "licence_text": ""}
    return {"licence": licensing.licence.value, "licence_text": licensing.text}
