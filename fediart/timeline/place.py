"""Where a work goes when it arrives or is released: into the homes of its author and of those who follow here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fediart.domain.actors import Actor
from fediart.domain.works import Visibility, Work
from fediart.storage import actors, follows, timelines, works

KEEP = 5_000
"""Entries kept per home."""


def place_work(db: Connection, work: Work, author: Actor, followers: Sequence[int] | None = None) -> None:
    """An answer comes to those only who follow both, as on other servers; everything else to every follower here.

    `followers`: the author's here, where they are known already.
    """
    homes = set(_audience(db, work, author, follows.local_followers(db, author.id) if followers is None else followers))
    if author.is_local:
        homes.add(author.id)
    if homes:
        timelines.place(db, sorted(homes), entry_id=work.id, work_id=work.id)


def _audience(db: Connection, work: Work, author: Actor, followers: Sequence[int]) -> Sequence[int]:
    if work.visibility == Visibility.MENTIONED:
        to, cc = works.addresses_of(db, work.id)
        named = {actor.id for actor in actors.actors_by_uri(db, [*to, *cc]).values() if actor.is_local}
        return [actor_id for actor_id in followers if actor_id in named]
    if work.in_reply_to_uri is None:
        return followers
    parent = works.work_by_id(db, work.in_reply_to_id) if work.in_reply_to_id else None
    if parent is None:
        return []
    if parent.actor_id == author.id:
        return followers
    both = set(follows.local_followers(db, parent.actor_id)) | {parent.actor_id}
    return [actor_id for actor_id in followers if actor_id in both]


def place_boost(db: Connection, *, boost_id: int, work: Work, booster: Actor) -> None:
    """A boost shows a work to those who follow the booster and do not have it yet."""
    if not work.visibility.is_open:
        return
    homes = follows.local_followers(db, booster.id, of_boosts=True)
    fresh = [home for home in timelines.without_entry_of(db, homes, work.id) if home != work.actor_id]
    timelines.place(db, fresh, entry_id=boost_id, work_id=work.id, booster_id=booster.id)
