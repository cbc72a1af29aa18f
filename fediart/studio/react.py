"""Likes and boosts of local artists."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account, Actor
from fediart.domain.notifications import NotificationKind
from fediart.domain.works import Work, WorkState
from fediart.errors import BadInput, NotAllowed, NotFound
from fediart.ids import new_id
from fediart.instance import DELIVERY, Instance
from fediart.outbox.react import tell_boost, tell_like, tell_unboost, tell_unlike
from fediart.storage import actors, notifications, reactions, timelines, works
from fediart.timeline.place import place_boost


def _parties(db: Connection, account: Account, work_id: int) -> tuple[Actor, Work, Actor]:
    work = works.work_by_id(db, work_id)
    if work is None or work.state != WorkState.PUBLISHED or not works.may_see(db, work_id, account.actor_id):
        raise NotFound("This work is not there any more.")
    actor, author = actors.actor_by_id(db, account.actor_id), actors.actor_by_id(db, work.actor_id)
    assert actor is not None  # rows that a foreign key holds
    assert author is not None
    return actor, work, author


async def like(instance: Instance, account: Account, work_id: int) -> None:
    def act(db: Connection, now: int) -> None:
        actor, work, author = _parties(db, account, work_id)
        if not works.is_let_in(db, work, actor.id, work.like_policy):
            raise NotAllowed("Its author does not take likes of this post from everyone, and not from you.")
        id_ = new_id(now)
        uri = f"{actor.uri}#likes/{id_}"
        if reactions.put_reaction(db, "like", id_=id_, actor_id=actor.id, work_id=work.id, uri=uri):
            tell_like(db, actor, work, author, uri, now)
            notifications.notify(
                db, id_=new_id(now), actor_id=author.id, kind=NotificationKind.LIKE, from_actor_id=actor.id, work_id=work.id
            )

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


async def unlike(instance: Instance, account: Account, work_id: int) -> None:
    def act(db: Connection, now: int) -> None:
        actor, work, author = _parties(db, account, work_id)
        row = reactions.drop_reaction(db, "like", actor.id, work.id)
        if row is not None:
            tell_unlike(db, actor, work, author, row.uri, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


async def boost(instance: Instance, account: Account, work_id: int) -> None:
    def act(db: Connection, now: int) -> None:
        actor, work, author = _parties(db, account, work_id)
        if not work.visibility.is_open:
            raise BadInput("This work was not published to everyone, so it cannot be boosted.")
        if not works.is_let_in(db, work, actor.id, work.boost_policy):
            raise NotAllowed("Its author does not let everyone boost this post, and not you.")
        id_ = new_id(now)
        uri = f"{actor.uri}/boosts/{id_}"
        if reactions.put_reaction(db, "boost", id_=id_, actor_id=actor.id, work_id=work.id, uri=uri):
            place_boost(db, boost_id=id_, work=work, booster=actor)
            tell_boost(db, actor, work, author, uri, now)
            notifications.notify(
                db, id_=new_id(now), actor_id=author.id, kind=NotificationKind.BOOST, from_actor_id=actor.id, work_id=work.id
            )

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


async def unboost(instance: Instance, account: Account, work_id: int) -> None:
    def act(db: Connection, now: int) -> None:
        actor, work, author = _parties(db, account, work_id)
        row = reactions.drop_reaction(db, "boost", actor.id, work.id)
        if row is not None:
            timelines.take_entry(db, row.id)
            tell_unboost(db, actor, work, author, row.uri, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)
