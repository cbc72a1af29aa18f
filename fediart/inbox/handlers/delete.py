"""Delete: a post is gone, or a whole account."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.works import Work
from fediart.inbox.forward import forward_answer
from fediart.inbox.outcome import NOTHING, Done, Later, left
from fediart.instance import DELIVERY, Instance
from fediart.outbox.react import tell_unboost
from fediart.storage import actors, departures, quotes, reactions, works


def handle_delete(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int
) -> Done | Later:
    if activity.object_uri is None or not same_host(activity.object_uri, sender.uri):
        return left("what it deletes is on another host")
    if activity.object_uri == sender.uri:
        return partial(_remove_actor, instance, sender)
    return _remove(db, instance, sender, activity, activity.object_uri, now)


async def _remove_actor(instance: Instance, sender: Actor) -> Done:
    """All that is theirs: works, likes, boosts, follows, pictures, what others were told of them."""
    instance.signers.forget(sender.uri)
    await instance.storage.write(departures.mark_gone, sender.id)
    names: list[str] = []
    is_last = False
    while not is_last:
        part = await instance.storage.write(departures.remove_part, sender.id)
        names += part.names
        is_last = part.is_last
    return Done(discard=tuple(names))


def _remove(db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, uri: str, now: int) -> Done:
    work = works.work_by_uri(db, uri)
    quotes.drop_quotes_by(db, uri, sender.id)
    if work is None:
        works.put_tombstone(db, uri, sender.uri, now)  # its Create may still be on the way
        return NOTHING
    if work.actor_id != sender.id:
        return NOTHING
    crews = forward_answer(db, instance.identifiers, sender, activity, work, now)
    _take_back_boosts(db, sender, work, now)
    return Done(wake=(DELIVERY, *crews), discard=tuple(works.remove_work(db, work, sender.uri, now)[0]))


def _take_back_boosts(db: Connection, sender: Actor, work: Work, now: int) -> None:
    """Who has the work from a boost of ours hears no Delete of its author, who does not know them."""
    for booster_id, uri in reactions.local_boosts(db, work.id):
        booster = actors.actor_by_id(db, booster_id)
        if booster is not None:
            tell_unboost(db, booster, work, sender, uri, now)
