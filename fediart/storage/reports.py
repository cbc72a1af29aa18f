"""Reports: what somebody complains of, from here or another server. They are decided elsewhere; here they come in."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select, update

from fediart.domain.actors import Actor
from fediart.domain.moderation import MAX_CASES_OF_HOST, MAX_CASES_OF_PERSON, Report, ReportOverflow
from fediart.storage.tables import actors, report_overflows, report_works, reports

_COLUMNS = tuple(reports.c[name] for name in Report.__dataclass_fields__)


def add_report(db: Connection, report: Report, works: Sequence[int]) -> bool:
    """False, and nothing is added, when it is there already: by its uri, or open and saying the same of the same works."""
    if report.uri is not None and db.execute(select(reports.c.id).where(reports.c.uri == report.uri)).first() is not None:
        return False
    same = select(reports.c.id).where(
        reports.c.reporter_id == report.reporter_id,
        reports.c.actor_id == report.actor_id,
        reports.c.category == report.category,
        reports.c.comment == report.comment,
        reports.c.state == "open",
    )
    for id_ in db.execute(same).scalars():
        if set(works_of_report(db, id_)) == set(works):
            return False
    db.execute(insert(reports).values(**{name: getattr(report, name) for name in Report.__dataclass_fields__}))
    if works:
        db.execute(insert(report_works), [{"report_id": report.id, "work_id": work_id} for work_id in sorted(set(works))])
    return True


def works_of_report(db: Connection, report_id: int) -> list[int]:
    query = select(report_works.c.work_id).where(report_works.c.report_id == report_id).order_by(report_works.c.work_id)
    return list(db.execute(query).scalars())


def report_by_id(db: Connection, report_id: int) -> Report | None:
    row = db.execute(select(*_COLUMNS).where(reports.c.id == report_id)).first()
    return Report(*row) if row else None


def reports_in(db: Connection, state: str, *, max_id: int | None = None, limit: int = 50) -> list[Report]:
    """Newest first."""
    query = select(*_COLUMNS).where(reports.c.state == state)
    if max_id is not None:
        query = query.where(reports.c.id < max_id)
    return [Report(*row) for row in db.execute(query.order_by(reports.c.id.desc()).limit(max(1, min(limit, 200))))]


def count_open(db: Connection) -> int:
    """How many wait for a decision."""
    return db.execute(select(func.count()).select_from(reports).where(reports.c.state == "open")).scalar_one()


def count_cases(db: Connection, *, reporter_id: int | None = None, host: str | None = None) -> int:
    """How many decisions the open reports of one reporter, or of one host, ask for: one for each work named, or for a person."""
    query = select(func.count()).select_from(reports.outerjoin(report_works, report_works.c.report_id == reports.c.id))
    query = query.where(reports.c.state == "open")
    if reporter_id is not None:
        query = query.where(reports.c.reporter_id == reporter_id)
    if host is not None:
        query = query.where(reports.c.reporter_id.in_(select(actors.c.id).where(actors.c.host == host)))
    return db.execute(query).scalar_one()


def room_for(db: Connection, reporter: Actor) -> int:
    """How many more decisions may be asked of the moderators by somebody of another server."""
    room = MAX_CASES_OF_HOST - count_cases(db, host=reporter.host)
    if reporter.kind in _SPEAKS_FOR_ITS_HOST:
        return max(0, room)
    return max(0, min(room, MAX_CASES_OF_PERSON - count_cases(db, reporter_id=reporter.id)))


_SPEAKS_FOR_ITS_HOST = frozenset({"Application", "Service"})


def add_overflow(db: Connection, host: str, left_out: int, now: int) -> None:
    """So many decisions more were asked for than there was room."""
    held = db.execute(select(report_overflows).where(report_overflows.c.host == host)).first()
    if held is None:
        db.execute(insert(report_overflows).values(host=host, left_out=left_out, first_at=now, last_at=now))
        return
    more = {"left_out": held.left_out + left_out, "last_at": now}
    db.execute(update(report_overflows).where(report_overflows.c.host == host).values(**more))


def overflows(db: Connection, limit: int = 20) -> list[ReportOverflow]:
    """The latest first."""
    query = select(report_overflows).order_by(report_overflows.c.last_at.desc(), report_overflows.c.host).limit(limit)
    return [ReportOverflow(*row) for row in db.execute(query)]


def forget_overflows(db: Connection, before: int) -> None:
    db.execute(delete(report_overflows).where(report_overflows.c.last_at < before))


def close_report(db: Connection, report_id: int, account_id: int | None, now: int) -> bool:
    """False when it was closed before."""
    still = (reports.c.id == report_id, reports.c.state == "open")
    closed = update(reports).where(*still).values(state="closed", closed_at=now, closed_by=account_id)
    return db.execute(closed).rowcount == 1
