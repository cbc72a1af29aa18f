"""Questions about who follows whom."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, text, update

from fediart.domain.follows import Follow, FollowState, Relationship, origin_of
from fediart.domain.listed import Listed, listed
from fediart.domain.moderation import Standing
from fediart.domain.works import ShownActor
from fediart.storage.actors import shown_actors
from fediart.storage.tables import actors, blocks, follows, host_mutes, mutes

_COLUMNS = tuple(follows.c[name] for name in Follow.__dataclass_fields__)


def follow_between(db: Connection, follower_id: int, followee_id: int) -> Follow | None:
    row = db.execute(select(*_COLUMNS).where(follows.c.follower_id == follower_id, follows.c.followee_id == followee_id)).first()
    return Follow(row[0], row[1], row[2], row[3], FollowState(row[4]), row[5]) if row else None


def put_follow(db: Connection, follow: Follow) -> None:
    """Insert, or renew with a new uri and state, what one actor is to another."""
    db.execute(delete(follows).where(follows.c.follower_id == follow.follower_id, follows.c.followee_id == follow.followee_id))
    db.execute(insert(follows).values(**{name: getattr(follow, name) for name in Follow.__dataclass_fields__}))


def accept_follow(db: Connection, follower_id: int, followee_id: int) -> bool:
    """True when a request was waiting."""
    waiting = (follows.c.follower_id == follower_id, follows.c.followee_id == followee_id, follows.c.state == "requested")
    return db.execute(update(follows).where(*waiting).values(state=FollowState.ACCEPTED)).rowcount == 1


def drop_follow(db: Connection, follower_id: int, followee_id: int) -> bool:
    gone = delete(follows).where(follows.c.follower_id == follower_id, follows.c.followee_id == followee_id)
    return db.execute(gone).rowcount == 1


def show_boosts(db: Connection, follower_id: int, followee_id: int, on: bool) -> None:
    db.execute(
        update(follows).where(follows.c.follower_id == follower_id, follows.c.followee_id == followee_id).values(show_boosts=on)
    )


# Asked with every arrival, so put together once.
_LOCAL_FOLLOWERS = text(
    "SELECT follows.follower_id, follows.show_boosts FROM follows JOIN accounts ON accounts.actor_id = follows.follower_id "
    "WHERE follows.followee_id = :actor_id AND follows.state = 'accepted'"
)


def local_followers(db: Connection, actor_id: int, *, of_boosts: bool = False) -> list[int]:
    """Local actors whose accepted follow brings this actor's works (or boosts) into their home."""
    return [row[0] for row in db.execute(_LOCAL_FOLLOWERS, {"actor_id": actor_id}) if row[1] or not of_boosts]


def drop_follows_of(db: Connection, actor_id: int) -> None:
    """An actor is gone: nobody follows it, and it follows nobody."""
    db.execute(delete(follows).where(or_(follows.c.follower_id == actor_id, follows.c.followee_id == actor_id)))


def inboxes_of_followers(db: Connection, actor_id: int) -> list[str]:
    """One inbox for each remote place that must hear of this actor's works: the shared one where there is one."""
    joined = follows.join(actors, actors.c.id == follows.c.follower_id)
    inbox = func.coalesce(actors.c.shared_inbox, actors.c.inbox)
    query = (
        select(inbox)
        .select_from(joined)
        .where(follows.c.followee_id == actor_id, follows.c.state == "accepted", actors.c.host != "", ~actors.c.gone)
        .where(actors.c.standing != Standing.SUSPENDED)
        .distinct()
    )
    return list(db.execute(query).scalars())


def relationships(db: Connection, actor_id: int, ids: Sequence[int]) -> list[Relationship]:
    mine = {
        row.followee_id: row
        for row in db.execute(select(*_COLUMNS).where(follows.c.follower_id == actor_id, follows.c.followee_id.in_(ids)))
    }
    theirs = {
        row.follower_id: row.state
        for row in db.execute(select(*_COLUMNS).where(follows.c.followee_id == actor_id, follows.c.follower_id.in_(ids)))
    }
    blocked = set(
        db.execute(select(blocks.c.target_id).where(blocks.c.actor_id == actor_id, blocks.c.target_id.in_(ids))).scalars()
    )
    of_mutes = select(mutes.c.target_id, mutes.c.notifications).where(mutes.c.actor_id == actor_id, mutes.c.target_id.in_(ids))
    muted = {row[0]: row[1] for row in db.execute(of_mutes)}
    of_hosts = actors.join(host_mutes, host_mutes.c.host == actors.c.host)
    by_host = select(actors.c.id).select_from(of_hosts).where(host_mutes.c.actor_id == actor_id, actors.c.id.in_(ids))
    host_muted = set(db.execute(by_host).scalars())
    return [
        Relationship(
            actor_id=id_,
            following=id_ in mine and mine[id_].state == "accepted",
            requested=id_ in mine and mine[id_].state == "requested",
            requested_by=theirs.get(id_) == "requested",
            followed_by=theirs.get(id_) == "accepted",
            showing_boosts=id_ in mine and bool(mine[id_].show_boosts),
            blocking=id_ in blocked,
            muting=id_ in muted,
            muting_notifications=bool(muted.get(id_, False)),
            host_muted=id_ in host_muted,
        )
        for id_ in ids
    ]


def followers_of(db: Connection, actor_id: int, *, max_id: int | None = None, limit: int = 40) -> Listed[ShownActor]:
    """Who follows this actor, the newest first; cut by the ids of the follows."""
    return _people(db, follows.c.follower_id, follows.c.followee_id == actor_id, FollowState.ACCEPTED, max_id, limit)


def following_of(db: Connection, actor_id: int, *, max_id: int | None = None, limit: int = 40) -> Listed[ShownActor]:
    """Whom this actor follows, the newest first; cut by the ids of the follows."""
    return _people(db, follows.c.followee_id, follows.c.follower_id == actor_id, FollowState.ACCEPTED, max_id, limit)


def requests_to(db: Connection, actor_id: int, *, max_id: int | None = None, limit: int = 40) -> Listed[ShownActor]:
    """Who asks to follow, the newest first."""
    return _people(db, follows.c.follower_id, follows.c.followee_id == actor_id, FollowState.REQUESTED, max_id, limit)


def _people(
    db: Connection, who: ColumnElement[int], of: ColumnElement[bool], state: FollowState, max_id: int | None, limit: int
) -> Listed[ShownActor]:
    limit = max(1, min(limit, 80))
    query = select(follows.c.id, who).where(of, follows.c.state == state)
    if max_id is not None:
        query = query.where(follows.c.id < max_id)
    rows = db.execute(query.order_by(follows.c.id.desc()).limit(limit)).all()
    people = shown_actors(db, [row[1] for row in rows])
    return listed([people[row[1]] for row in rows if row[1] in people], [row[0] for row in rows], limit)


def all_requests_to(db: Connection, actor_id: int) -> list[Follow]:
    rows = db.execute(select(*_COLUMNS).where(follows.c.followee_id == actor_id, follows.c.state == "requested")).all()
    return [Follow(row[0], row[1], row[2], row[3], FollowState(row[4]), row[5]) for row in rows]


def count_requests(db: Connection, actor_id: int) -> int:
    query = select(func.count()).where(follows.c.followee_id == actor_id, follows.c.state == "requested")
    return db.execute(query).scalar_one()


def counts(db: Connection, actor_id: int) -> tuple[int, int]:
    """(followers, following), accepted ones."""
    accepted = follows.c.state == "accepted"
    return (
        db.execute(select(func.count()).where(follows.c.followee_id == actor_id, accepted)).scalar_one(),
        db.execute(select(func.count()).where(follows.c.follower_id == actor_id, accepted)).scalar_one(),
    )


def uris(db: Connection, actor_id: int, *, followers: bool, after: int | None, limit: int) -> list[tuple[int, str]]:
    """(follow id, actor uri), newest first: a page of the followers or following collection."""
    me, other = (follows.c.followee_id, follows.c.follower_id) if followers else (follows.c.follower_id, follows.c.followee_id)
    query = (
        select(follows.c.id, actors.c.uri)
        .select_from(follows.join(actors, actors.c.id == other))
        .where(me == actor_id, follows.c.state == "accepted")
    )
    if after is not None:
        query = query.where(follows.c.id < after)
    return [(row[0], row[1]) for row in db.execute(query.order_by(follows.c.id.desc()).limit(limit))]


def followers_on(db: Connection, actor_id: int, origin: str) -> list[str]:
    """The addresses of the followers that one server has."""
    query = (
        select(actors.c.uri)
        .select_from(follows.join(actors, actors.c.id == follows.c.follower_id))
        .where(follows.c.followee_id == actor_id, follows.c.state == "accepted")
        .where(actors.c.uri.startswith(f"{origin}/", autoescape=True))
    )
    return sorted(uri for uri in db.execute(query).scalars() if origin_of(uri) == origin)


def local_follows_of(db: Connection, actor_id: int) -> list[tuple[int, str, str]]:
    """(actor, its address, state) of everybody here who follows an actor or asks to."""
    joined = follows.join(actors, actors.c.id == follows.c.follower_id)
    query = select(actors.c.id, actors.c.uri, follows.c.state).select_from(joined)
    rows = db.execute(query.where(follows.c.followee_id == actor_id, actors.c.host == ""))
    return [(row[0], row[1], row[2]) for row in rows]


def follow_of_uri(db: Connection, uri: str) -> Follow | None:
    row = db.execute(select(*_COLUMNS).where(follows.c.uri == uri)).first()
    return Follow(row[0], row[1], row[2], row[3], FollowState(row[4]), row[5]) if row else None


def pairs_of(db: Connection, actor_id: int) -> list[tuple[int, int]]:
    """(follower, followee) of every follow and request of this actor's, either way."""
    mine = or_(follows.c.follower_id == actor_id, follows.c.followee_id == actor_id)
    return [(row[0], row[1]) for row in db.execute(select(follows.c.follower_id, follows.c.followee_id).where(mine))]
