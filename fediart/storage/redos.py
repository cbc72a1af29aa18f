"""Questions about cloaking old works again: which pictures need it, what a run has done, whose turn is next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Row, Select, and_, case, delete, func, insert, literal, select, update

from fediart.domain.cloaks import Redo, RedoState, Turn, TurnState
from fediart.domain.images import ImageState, Purpose
from fediart.domain.works import WorkState
from fediart.storage.tables import images, redo_turns, redos, works

_COLUMNS = tuple(redos.c[name] for name in Redo.__dataclass_fields__)
_COUNTED = (TurnState.REDONE, TurnState.FAILED, TurnState.LOST, TurnState.DROPPED)


class Cloaked(NamedTuple):
    """A cloaked picture of a published work."""

    id: int
    method: str | None
    strength: str
    width: int
    height: int
    vault_key: str | None


def _pictures(actor_id: int | None, *columns: Any) -> Select[Any]:
    query = (
        select(*columns)
        .select_from(images.join(works, works.c.id == images.c.work_id))
        .where(
            works.c.state == WorkState.PUBLISHED,
            images.c.purpose == Purpose.WORK,
            images.c.state == ImageState.READY,
            images.c.cloak,
        )
    )
    return query if actor_id is None else query.where(images.c.actor_id == actor_id)


def cloaked_pictures(db: Connection, actor_id: int | None) -> list[Cloaked]:
    """Of one artist, or (None) of all."""
    names = ("id", "cloak_method", "cloak_strength", "width", "height", "vault_key")
    rows = db.execute(_pictures(actor_id, *(images.c[name] for name in names)))
    return [Cloaked(row[0], row[1], row[2], row[3] or 0, row[4] or 0, row[5]) for row in rows]


def reports(db: Connection, methods: Sequence[str] | None, limit: int) -> list[tuple[str, int, int]]:
    """(report, width, height) of pictures that were cloaked here last: by one of these methods, or (None) by any."""
    query = select(images.c.cloak_report, images.c.width, images.c.height).where(images.c.cloak_report.is_not(None))
    if methods is not None:
        query = query.where(images.c.cloak_method.in_(methods))
    rows = db.execute(query.order_by(images.c.id.desc()).limit(limit))
    return [(row[0], row[1] or 0, row[2] or 0) for row in rows]


def _redo(row: Row[Any] | None) -> Redo | None:
    return Redo(**{**row._asdict(), "state": RedoState(row.state)}) if row else None


def redo_by_id(db: Connection, redo_id: int) -> Redo | None:
    return _redo(db.execute(select(*_COLUMNS).where(redos.c.id == redo_id)).first())


def running_redos(db: Connection) -> list[Redo]:
    rows = db.execute(select(*_COLUMNS).where(redos.c.state == RedoState.RUNNING).order_by(redos.c.id))
    return [redo for row in rows if (redo := _redo(row))]


def running_redo(db: Connection, actor_id: int | None) -> Redo | None:
    """The run that has this artist's pictures in hand, be it for all; for None: one of all."""
    return next((redo for redo in running_redos(db) if redo.actor_id in (None, actor_id)), None)


def last_redo(db: Connection, actor_id: int | None) -> Redo | None:
    """The newest run of exactly this artist, or (None) of all."""
    whose = redos.c.actor_id.is_(None) if actor_id is None else redos.c.actor_id == actor_id
    return _redo(db.execute(select(*_COLUMNS).where(whose).order_by(redos.c.id.desc()).limit(1)).first())


def insert_redo(db: Connection, redo_id: int, actor_id: int | None, methods: Mapping[str, str], now: int, *, every: bool) -> int:
    """A run over all that is behind the method of its strength, or over everything. Returns how many pictures that are."""
    db.execute(insert(redos).values(id=redo_id, actor_id=actor_id, every=every, state=RedoState.RUNNING, started_at=now))
    chosen = _pictures(actor_id, literal(redo_id, BigInteger), images.c.id, images.c.work_id, literal(TurnState.WAITING.value))
    if not every:
        method = case(dict(methods), value=images.c.cloak_strength)
        chosen = chosen.where(func.coalesce(images.c.cloak_method, "") != method)
    db.execute(insert(redo_turns).from_select(["redo_id", "image_id", "work_id", "state"], chosen))
    count = db.execute(select(func.count()).where(redo_turns.c.redo_id == redo_id)).scalar_one()
    db.execute(update(redos).where(redos.c.id == redo_id).values(pictures=count))
    return count


def waiting_ids(db: Connection) -> set[int]:
    """Pictures that a run has yet to make anew."""
    on = select(redos.c.id).where(redos.c.state == RedoState.RUNNING)
    waiting = (redo_turns.c.redo_id.in_(on), redo_turns.c.state == TurnState.WAITING)
    return set(db.execute(select(redo_turns.c.image_id).where(*waiting)).scalars())


def work_to_swap(db: Connection, redo_id: int) -> int | None:
    """A work with pictures that are staged, and none that waits any more."""
    other = redo_turns.alias("other")
    waits = select(other.c.image_id).where(
        other.c.redo_id == redo_id, other.c.work_id == redo_turns.c.work_id, other.c.state == TurnState.WAITING
    )
    query = select(redo_turns.c.work_id).where(redo_turns.c.redo_id == redo_id, redo_turns.c.state == TurnState.STAGED)
    return db.execute(query.where(~waits.exists()).limit(1)).scalar()


def next_turn(db: Connection, redo_id: int) -> Turn | None:
    """The newest works come first, and the pictures of one after another."""
    query = select(redo_turns.c.redo_id, redo_turns.c.image_id, redo_turns.c.work_id).where(
        redo_turns.c.redo_id == redo_id, redo_turns.c.state == TurnState.WAITING
    )
    row = db.execute(query.order_by(redo_turns.c.work_id.desc(), redo_turns.c.image_id).limit(1)).first()
    return Turn(*row) if row else None


def staged(db: Connection, redo_id: int, work_id: int | None = None) -> list[tuple[int, str]]:
    """(image id, result) of what is staged, of one work or of all."""
    query = select(redo_turns.c.image_id, redo_turns.c.result).where(
        redo_turns.c.redo_id == redo_id, redo_turns.c.state == TurnState.STAGED
    )
    if work_id is not None:
        query = query.where(redo_turns.c.work_id == work_id)
    return [(row[0], row[1] or "{}") for row in db.execute(query.order_by(redo_turns.c.image_id))]


def end_turn(
    db: Connection, redo_id: int, image_ids: Sequence[int], state: TurnState, *, result: str | None = None, problem: str = ""
) -> None:
    """`result`: what is kept of a staged picture until it is shown. `problem` in words for its artist."""
    mine = and_(redo_turns.c.redo_id == redo_id, redo_turns.c.image_id.in_(list(image_ids)))
    db.execute(update(redo_turns).where(mine).values(state=state, result=result, problem=problem))
    _count(db, redo_id)


def _count(db: Connection, redo_id: int) -> None:
    query = select(redo_turns.c.state, func.count()).where(redo_turns.c.redo_id == redo_id).group_by(redo_turns.c.state)
    counts = {row[0]: row[1] for row in db.execute(query)}
    values = {state.value: counts.get(state.value, 0) for state in _COUNTED}
    db.execute(update(redos).where(redos.c.id == redo_id).values(**values))


def end_redo(db: Connection, redo_id: int, state: RedoState, now: int) -> bool:
    """False when it has ended already. Of its pictures only those stay that something was the matter with."""
    ended = update(redos).where(redos.c.id == redo_id, redos.c.state == RedoState.RUNNING).values(state=state, ended_at=now)
    if db.execute(ended).rowcount != 1:
        return False
    told = redo_turns.c.state.in_((TurnState.FAILED, TurnState.LOST))
    db.execute(delete(redo_turns).where(redo_turns.c.redo_id == redo_id, ~told))
    return True


def troubles(db: Connection, redo_id: int, limit: int = 50) -> list[tuple[int, str, str]]:
    """(work id, the picture's name, what is the matter) of pictures that keep their older cloak."""
    query = (
        select(redo_turns.c.work_id, images.c.original_name, redo_turns.c.problem)
        .select_from(redo_turns.join(images, images.c.id == redo_turns.c.image_id))
        .where(redo_turns.c.redo_id == redo_id, redo_turns.c.state.in_((TurnState.FAILED, TurnState.LOST)))
    )
    return [(row[0], row[1], row[2]) for row in db.execute(query.order_by(redo_turns.c.image_id).limit(limit))]
