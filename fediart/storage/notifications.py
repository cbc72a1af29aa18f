"""What accounts are told."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import BigInteger, Connection, bindparam, delete, func, insert, select, update

from fediart.domain.listed import Listed, listed
from fediart.domain.moderation import Place
from fediart.domain.notifications import NotificationKind, ShownNotification
from fediart.domain.policy_words import PolicyChange
from fediart.ids import new_id
from fediart.storage.actors import shown_actors
from fediart.storage.emojis import emojis_in, those_in
from fediart.storage.policies import change_by
from fediart.storage.shown import works_shown
from fediart.storage.tables import accounts, actors, likes, notifications
from fediart.storage.visible import heard_by_bound

# Asked with every page and every arrival, so put together once.
_HEARD = select(actors.c.id).where(actors.c.id == bindparam("sender", type_=BigInteger), heard_by_bound(actors.c.id))
_NOTICES = select(notifications).where(
    notifications.c.actor_id == bindparam("viewer", type_=BigInteger), heard_by_bound(notifications.c.from_actor_id)
)
_UNSEEN = select(func.count()).where(
    notifications.c.actor_id == bindparam("viewer", type_=BigInteger),
    ~notifications.c.seen,
    heard_by_bound(notifications.c.from_actor_id),
)


def notify(db: Connection, *, id_: int, actor_id: int, kind: NotificationKind, from_actor_id: int, work_id: int | None) -> None:
    """Tell a local actor something, once; nobody is told of their own doing, nor of whom they do not want to hear."""
    if actor_id == from_actor_id:
        return
    if db.execute(select(accounts.c.id).where(accounts.c.actor_id == actor_id)).first() is None:
        return
    if db.execute(_HEARD, {"sender": from_actor_id, "viewer": actor_id}).first() is None:
        return
    same = select(notifications.c.id).where(
        notifications.c.actor_id == actor_id,
        notifications.c.kind == kind,
        notifications.c.from_actor_id == from_actor_id,
        notifications.c.work_id.is_(None) if work_id is None else notifications.c.work_id == work_id,
    )
    if db.execute(same).first() is None:
        db.execute(
            insert(notifications).values(id=id_, actor_id=actor_id, kind=kind, from_actor_id=from_actor_id, work_id=work_id)
        )


def tell_of_policy(db: Connection, revision: int, sender_id: int, now: int, *, but: int | None) -> None:
    """Everyone here is told that the policy has this revision, but who adopted it (an account)."""
    told = {"kind": NotificationKind.POLICY, "from_actor_id": sender_id, "revision": revision}
    query = select(accounts.c.actor_id).order_by(accounts.c.id)
    people = db.execute(query if but is None else query.where(accounts.c.id != but)).scalars().all()
    if people:
        db.execute(insert(notifications), [{"id": new_id(now), "actor_id": actor_id, **told} for actor_id in people])


def drop_notification(db: Connection, actor_id: int, kind: NotificationKind, from_actor_id: int) -> None:
    """What it told is not so any more."""
    db.execute(
        delete(notifications).where(
            notifications.c.actor_id == actor_id, notifications.c.kind == kind, notifications.c.from_actor_id == from_actor_id
        )
    )


def notifications_of(
    db: Connection, actor_id: int, *, max_id: int | None = None, limit: int = 20, without: Collection[NotificationKind] = ()
) -> Listed[ShownNotification]:
    """Newest first. One about a work that is gone (or not for these eyes any more) is left out."""
    query = _NOTICES.where(notifications.c.kind.not_in(without)) if without else _NOTICES
    if max_id is not None:
        query = query.where(notifications.c.id < max_id)
    limit = max(1, min(limit, 80))
    rows = list(db.execute(query.order_by(notifications.c.id.desc()).limit(limit), {"viewer": actor_id}))
    people = shown_actors(db, [row.from_actor_id for row in rows])
    shown = {
        work.work.id: work
        for work in works_shown(db, [row.work_id for row in rows if row.work_id], actor_id, place=Place.NOTIFICATIONS)
    }
    hosts = {id_: shown.actor.host for id_, shown in people.items()}
    changes = _changes(db, {row.revision for row in rows if row.revision is not None})
    faces = _faces(db, [row.work_id for row in rows if row.kind == NotificationKind.LIKE])
    known = emojis_in(db, [(hosts.get(actor_id, ""), face) for (actor_id, _), face in faces.items()])
    told = [
        ShownNotification(
            row.id,
            NotificationKind(row.kind),
            people[row.from_actor_id],
            shown.get(row.work_id),
            row.seen,
            face := faces.get((row.from_actor_id, row.work_id), "") if row.kind == NotificationKind.LIKE else "",
            those_in(known, hosts[row.from_actor_id], face),
            changes.get(row.revision),
        )
        for row in rows
        if row.from_actor_id in people and (row.work_id is None or row.work_id in shown)
    ]
    return listed(told, [row.id for row in rows], limit)


def _faces(db: Connection, work_ids: list[int]) -> dict[tuple[int, int], str]:
    """(actor, work) → what their like was said with, where it was said with something."""
    if not work_ids:
        return {}
    query = select(likes.c.actor_id, likes.c.work_id, likes.c.face).where(likes.c.work_id.in_(work_ids), likes.c.face != "")
    return {(row[0], row[1]): row[2] for row in db.execute(query)}


def _changes(db: Connection, numbers: Collection[int]) -> dict[int, PolicyChange]:
    found = {number: change_by(db, number) for number in numbers}
    return {number: change for number, change in found.items() if change is not None}


def unseen_count(db: Connection, actor_id: int) -> int:
    return db.execute(_UNSEEN, {"viewer": actor_id}).scalar_one()


def mark_seen(db: Connection, actor_id: int) -> None:
    db.execute(update(notifications).where(notifications.c.actor_id == actor_id, ~notifications.c.seen).values(seen=True))
