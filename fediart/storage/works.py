"""Questions about works, and the changes of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, exists, func, insert, select, text, update

from fediart.domain.moderation import Place
from fediart.domain.works import Mention, ReplyPolicy, ShownWork, Visibility, Work, WorkState
from fediart.storage import images as image_rows
from fediart.storage.blocks import are_apart
from fediart.storage.policies import following_softens
from fediart.storage.shown import WORK_COLUMNS, work_from, works_shown
from fediart.storage.tables import (
    actors,
    blocks,
    boosts,
    follows,
    images,
    likes,
    notifications,
    reviews,
    timeline,
    tombstones,
    work_addresses,
    work_mentions,
    work_tags,
    works,
)
from fediart.storage.visible import (
    in_profile,
    in_public_lists,
    in_public_lists_bound,
    listed_for,
    listed_for_bound,
    published_to,
    visible_to,
    visible_to_bound,
)

MAX_PAGE = 40
MAX_THREAD = 200


_LOCAL_ACTORS = select(actors.c.id).where(actors.c.host == "")


def work_by_id(db: Connection, work_id: int) -> Work | None:
    """For acts, which judge themselves: no regard to who may see it."""
    row = db.execute(select(*WORK_COLUMNS).where(works.c.id == work_id)).first()
    return work_from(row) if row else None


_BY_URI = select(*WORK_COLUMNS).where(works.c.uri == bindparam("uri"))


def work_by_uri(db: Connection, uri: str) -> Work | None:
    row = db.execute(_BY_URI, {"uri": uri}).first()
    return work_from(row) if row else None


def may_see(db: Connection, work_id: int, viewer: int | None) -> bool:
    return db.execute(select(works.c.id).where(works.c.id == work_id, visible_to(viewer))).first() is not None


def is_for_host(db: Connection, work_id: int, actor_id: int, host: str) -> bool:
    """Was this work of a local artist, one that is not for everybody, published to somebody on this other server?"""
    query = select(works.c.id).where(works.c.id == work_id, works.c.actor_id == actor_id, published_to(host))
    return db.execute(query).first() is not None


def _cut(
    query: Select[Any], column: Any, max_id: int | None, min_id: int | None, since_id: int | None, limit: int
) -> tuple[Select[Any], bool]:
    """One page of a query newest first; `min_id` pages upwards. True when the rows come oldest first."""
    if max_id is not None:
        query = query.where(column < max_id)
    if since_id is not None:
        query = query.where(column > since_id)
    if min_id is not None:
        return query.where(column > min_id).order_by(column).limit(limit), True
    return query.order_by(column.desc()).limit(limit), False


def page_ids(
    db: Connection,
    query: Select[Any],
    column: Any,
    *,
    max_id: int | None = None,
    min_id: int | None = None,
    since_id: int | None = None,
    limit: int = 20,
    viewer: int | None = None,
) -> list[int]:
    """The ids of one page, newest first. `viewer`: the parameter of that name, where the query has one."""
    cut, ascending = _cut(query, column, max_id, min_id, since_id, max(1, min(limit, MAX_PAGE)))
    ids = list(db.execute(cut, {"viewer": viewer} if viewer is not None else {}).scalars())
    return ids[::-1] if ascending else ids


def works_of(
    db: Connection,
    actor_id: int,
    viewer: int | None,
    *,
    max_id: int | None = None,
    min_id: int | None = None,
    since_id: int | None = None,
    limit: int = 20,
    only_media: bool = False,
    exclude_replies: bool = False,
) -> list[ShownWork]:
    """What an actor published, newest first, as the viewer may see it."""
    query = select(works.c.id).where(works.c.actor_id == actor_id, works.c.state == WorkState.PUBLISHED, visible_to(viewer))
    query = query.where(in_profile(viewer, softens=_looker(db, viewer) == "softened"))
    if only_media:
        query = query.where(exists(select(images.c.id).where(images.c.work_id == works.c.id)))
    if exclude_replies:
        query = query.where(works.c.in_reply_to_uri.is_(None))
    ids = page_ids(db, query, works.c.id, max_id=max_id, min_id=min_id, since_id=since_id, limit=limit)
    return works_shown(db, ids, viewer, place=Place.ACCOUNT)


def count_open_works(db: Connection, actor_id: int) -> int:
    return db.execute(select(func.count()).select_from(works).where(works.c.actor_id == actor_id, visible_to(None))).scalar_one()


# Put together once, by who looks: a stranger; a member; one for whom following makes up for what the policy says.
_OPEN = (works.c.state == WorkState.PUBLISHED, works.c.visibility == Visibility.PUBLIC)
_MAY_LIST = {
    "stranger": (visible_to(None), listed_for(None), in_public_lists(None, softens=False)),
    "member": (visible_to_bound(), listed_for_bound(), in_public_lists_bound(softens=False)),
    "softened": (visible_to_bound(), listed_for_bound(), in_public_lists_bound(softens=True)),
}
_PUBLIC = {
    looker: select(works.c.id).where(*_OPEN, works.c.in_reply_to_uri.is_(None), *may_list)
    for looker, may_list in _MAY_LIST.items()
}
_TAGGED = {
    looker: select(works.c.id).select_from(work_tags.join(works, works.c.id == work_tags.c.work_id)).where(*_OPEN, *may_list)
    for looker, may_list in _MAY_LIST.items()
}


def _looker(db: Connection, viewer: int | None) -> str:
    if viewer is None:
        return "stranger"
    return "softened" if following_softens(db) else "member"


def public_works(
    db: Connection,
    viewer: int | None,
    *,
    max_id: int | None = None,
    min_id: int | None = None,
    since_id: int | None = None,
    limit: int = 20,
    local: bool = True,
    only_media: bool = False,
) -> list[ShownWork]:
    query = _PUBLIC[_looker(db, viewer)]
    if local:
        query = query.where(works.c.actor_id.in_(_LOCAL_ACTORS))
    if only_media:
        query = query.where(exists(select(images.c.id).where(images.c.work_id == works.c.id)))
    ids = page_ids(db, query, works.c.id, max_id=max_id, min_id=min_id, since_id=since_id, limit=limit, viewer=viewer)
    return works_shown(db, ids, viewer, place=Place.PUBLIC)


def works_tagged(
    db: Connection,
    tag: str,
    viewer: int | None,
    *,
    max_id: int | None = None,
    min_id: int | None = None,
    since_id: int | None = None,
    limit: int = 20,
    local: bool = False,
) -> list[ShownWork]:
    """Public works with a hashtag, newest first; `local`: only those made here."""
    query = _TAGGED[_looker(db, viewer)].where(work_tags.c.tag == tag.lower())
    if local:
        query = query.where(works.c.actor_id.in_(_LOCAL_ACTORS))
    ids = page_ids(db, query, works.c.id, max_id=max_id, min_id=min_id, since_id=since_id, limit=limit, viewer=viewer)
    return works_shown(db, ids, viewer, place=Place.PUBLIC)


def drafts_of(db: Connection, actor_id: int) -> list[ShownWork]:
    """What is not out yet: drafts, and works that wait for a moderator or for their pictures."""
    query = (
        select(works.c.id)
        .where(works.c.actor_id == actor_id, works.c.state.in_([WorkState.DRAFT, WorkState.HELD, WorkState.WAITING]))
        .order_by(works.c.id.desc())
        .limit(100)
    )
    return works_shown(db, list(db.execute(query).scalars()), actor_id)


def thread_of(db: Connection, work_id: int, viewer: int | None) -> tuple[list[ShownWork], list[ShownWork]]:
    """(what it answers, oldest first; the answers to it, oldest first, those to answers included)."""
    above: list[int] = []
    at: int | None = work_id
    while at is not None and len(above) < 40:
        at = db.execute(select(works.c.in_reply_to_id).where(works.c.id == at)).scalar()
        if at is None or at in above or at == work_id:
            break
        above.append(at)
    below: list[int] = []
    level = [work_id]
    while level and len(below) < MAX_THREAD:
        query = select(works.c.id).where(works.c.in_reply_to_id.in_(level), works.c.state == WorkState.PUBLISHED)
        query = query.where(not_blocked_by_answered)
        level = [i for i in db.execute(query.order_by(works.c.id).limit(MAX_THREAD)).scalars() if i not in below]
        below.extend(level)
    return (
        works_shown(db, above[::-1], viewer, place=Place.THREAD),
        works_shown(db, sorted(below[:MAX_THREAD]), viewer, place=Place.THREAD),
    )


_ANSWERED = works.alias("answered")
not_blocked_by_answered = ~exists(
    select(blocks.c.actor_id)
    .select_from(blocks.join(_ANSWERED, _ANSWERED.c.actor_id == blocks.c.actor_id))
    .where(_ANSWERED.c.id == works.c.in_reply_to_id, blocks.c.target_id == works.c.actor_id)
)
"""Who is blocked by whom they answer stands under that work for nobody."""


def may_answer(db: Connection, work: Work, actor_id: int) -> bool:
    """Do the artist of this work, and of what it answers itself, let the actor answer?

    Whoever a work names may answer it, unless one of both blocks the other. Of works of other servers only this one is asked,
    and only for actors of ours: between others it is theirs to see to.
    """
    at: Work | None = work
    seen: set[int] = set()
    while at is not None and at.id not in seen and len(seen) < 40:
        seen.add(at.id)
        if not _lets_answer(db, at, actor_id, is_above=at.id != work.id):
            return False
        at = work_by_id(db, at.in_reply_to_id) if at.in_reply_to_id is not None else None
    return True


def _lets_answer(db: Connection, work: Work, actor_id: int, *, is_above: bool) -> bool:
    if work.actor_id == actor_id:
        return True
    both = select(actors.c.id, actors.c.host).where(actors.c.id.in_([work.actor_id, actor_id]))
    hosts = {row.id: row.host for row in db.execute(both)}
    if hosts[work.actor_id] != "":
        return is_above or hosts[actor_id] != "" or is_let_in(db, work, actor_id, work.reply_policy)
    return not are_apart(db, work.actor_id, actor_id) and is_let_in(db, work, actor_id, work.reply_policy)


def is_let_in(db: Connection, work: Work, actor_id: int, policy: str) -> bool:
    """Is the actor among those of a ReplyPolicy ('': everyone)? Whoever the work names always is."""
    if policy in ("", ReplyPolicy.EVERYONE):
        return True
    mentioned = work_mentions.join(actors, actors.c.uri == work_mentions.c.uri)
    named = select(actors.c.id).select_from(mentioned).where(work_mentions.c.work_id == work.id, actors.c.id == actor_id)
    if db.execute(named).first() is not None:
        return True
    follow = select(follows.c.id).where(
        follows.c.follower_id == actor_id, follows.c.followee_id == work.actor_id, follows.c.state == "accepted"
    )
    return policy == ReplyPolicy.FOLLOWERS and db.execute(follow).first() is not None


def insert_work(
    db: Connection,
    values: dict[str, Any],
    *,
    to: Iterable[str] = (),
    cc: Iterable[str] = (),
    tags: Iterable[str] = (),
    mentions: Sequence[Mention] = (),
) -> None:
    db.execute(insert(works).values(**values))
    put_surroundings(db, values["id"], to=to, cc=cc, tags=tags, mentions=mentions)


@dataclass(frozen=True, slots=True)
class Room:
    """For a work that is not here yet. `has_replies`: what answers it came first."""

    id: int
    has_replies: bool


def room_for(db: Connection, uri: str, actor_uri: str, wanted: int) -> Room | None:
    """Where a work may go, at best at the id `wanted`; None when it is here, or was deleted already."""
    row = db.execute(_IS_NEW, {"uri": uri, "actor_uri": actor_uri, "id": wanted}).one()
    if row[0] is not None or row[1] is not None:
        return None
    while row[2] is not None:
        wanted += 1
        row = db.execute(_IS_NEW, {"uri": uri, "actor_uri": actor_uri, "id": wanted}).one()
    return Room(wanted, row[3] is not None)


_IS_NEW = text(
    "SELECT (SELECT 1 FROM works WHERE uri = :uri), "
    "(SELECT 1 FROM tombstones WHERE uri = :uri AND actor_uri = :actor_uri), "
    "(SELECT 1 FROM works WHERE id = :id), "
    "(SELECT 1 FROM works WHERE in_reply_to_uri = :uri AND in_reply_to_id IS NULL LIMIT 1)"
)


_INSERT, _INSERT_ADDRESSES = insert(works), insert(work_addresses)


def insert_whole(
    db: Connection, work: Work, *, to: Iterable[str], cc: Iterable[str], tags: Iterable[str], mentions: Sequence[Mention]
) -> None:
    """A new work as it is."""
    db.execute(_INSERT, {name: getattr(work, name) for name in Work.__dataclass_fields__})
    _insert_surroundings(db, work.id, to=to, cc=cc, tags=tags, mentions=mentions)


def put_surroundings(
    db: Connection,
    work_id: int,
    *,
    to: Iterable[str],
    cc: Iterable[str],
    tags: Iterable[str],
    mentions: Sequence[Mention],
) -> None:
    """Replace a work's addresses, hashtags and mentions."""
    for table in (work_addresses, work_tags, work_mentions):
        db.execute(delete(table).where(table.c.work_id == work_id))
    _insert_surroundings(db, work_id, to=to, cc=cc, tags=tags, mentions=mentions)


def put_addresses(db: Connection, work_id: int, *, to: Iterable[str], cc: Iterable[str]) -> None:
    """Replace a work's addresses."""
    db.execute(delete(work_addresses).where(work_addresses.c.work_id == work_id))
    _insert_surroundings(db, work_id, to=to, cc=cc, tags=(), mentions=())


def _insert_surroundings(
    db: Connection,
    work_id: int,
    *,
    to: Iterable[str],
    cc: Iterable[str],
    tags: Iterable[str],
    mentions: Sequence[Mention],
) -> None:
    parts = dict.fromkeys(cc, "cc") | dict.fromkeys(to, "to")
    if parts:
        db.execute(_INSERT_ADDRESSES, [{"work_id": work_id, "uri": uri, "part": part} for uri, part in parts.items()])
    if named := {tag.lower() for tag in tags}:
        db.execute(insert(work_tags), [{"work_id": work_id, "tag": tag} for tag in sorted(named)])
    if people := {mention.uri: mention for mention in mentions}:
        db.execute(
            insert(work_mentions),
            [{"work_id": work_id, "uri": m.uri, "acct": m.acct, "url": m.url} for m in people.values()],
        )


def addresses_of(db: Connection, work_id: int) -> tuple[list[str], list[str]]:
    """(to, cc) as they were said."""
    rows = list(db.execute(select(work_addresses.c.uri, work_addresses.c.part).where(work_addresses.c.work_id == work_id)))
    return [row.uri for row in rows if row.part == "to"], [row.uri for row in rows if row.part == "cc"]


def change_work(db: Connection, work_id: int, **values: Any) -> None:
    db.execute(update(works).where(works.c.id == work_id).values(**values))


def step_work(db: Connection, /, work_id: int, before: WorkState, after: WorkState, **values: Any) -> bool:
    """Take a work from one state to the next; False when it was not in `before` (somebody else was faster)."""
    changed = db.execute(update(works).where(works.c.id == work_id, works.c.state == before).values(state=after, **values))
    return changed.rowcount == 1


def renumber_work(db: Connection, old: int, new: int, *, uri: str, url: str) -> None:
    """Give a draft the id of the moment it is published, so that order by id stays order by time."""
    row = db.execute(select(works).where(works.c.id == old)).mappings().one()
    db.execute(insert(works).values(**{**row, "id": new, "uri": uri, "url": url}))
    for table in (images, work_addresses, work_tags, work_mentions, reviews):
        db.execute(update(table).where(table.c.work_id == old).values(work_id=new))
    db.execute(delete(works).where(works.c.id == old))


def count_change(db: Connection, work_id: int, *, likes: int = 0, boosts: int = 0, replies: int = 0) -> None:
    db.execute(
        update(works)
        .where(works.c.id == work_id)
        .values(likes=works.c.likes + likes, boosts=works.c.boosts + boosts, replies=works.c.replies + replies)
    )


def remove_work(db: Connection, work: Work, actor_uri: str, now: int, *, tombstone: bool = True) -> tuple[list[str], list[str]]:
    """Remove a work and all that hangs on it, leaving a tombstone. Returns (public file names, vault keys) now unused."""
    if tombstone:
        put_tombstone(db, work.uri, actor_uri, now)
    names, keys = image_rows.drop_images(db, list(db.execute(select(images.c.id).where(images.c.work_id == work.id)).scalars()))
    for table in (likes, boosts, timeline, notifications, work_addresses, work_tags, work_mentions):
        db.execute(delete(table).where(table.c.work_id == work.id))
    if work.in_reply_to_id is not None and work.state == WorkState.PUBLISHED:
        count_change(db, work.in_reply_to_id, replies=-1)
    db.execute(update(works).where(works.c.in_reply_to_id == work.id).values(in_reply_to_id=None))
    db.execute(delete(works).where(works.c.id == work.id))
    return names, keys


def remove_works(db: Connection, ids: Sequence[int]) -> tuple[list[str], list[str]]:
    """Remove many, without tombstones. Returns (public file names, vault keys) that are unused now."""
    names, keys = image_rows.drop_images(db, list(db.execute(select(images.c.id).where(images.c.work_id.in_(ids))).scalars()))
    for table in (likes, boosts, timeline, notifications, work_addresses, work_tags, work_mentions):
        db.execute(delete(table).where(table.c.work_id.in_(ids)))
    answered = db.execute(
        select(works.c.in_reply_to_id, func.count())
        .where(works.c.id.in_(ids), works.c.in_reply_to_id.is_not(None), works.c.state == WorkState.PUBLISHED)
        .group_by(works.c.in_reply_to_id)
    ).all()
    for parent, answers in answered:
        count_change(db, parent, replies=-answers)
    db.execute(update(works).where(works.c.in_reply_to_id.in_(ids)).values(in_reply_to_id=None))
    db.execute(delete(works).where(works.c.id.in_(ids)))
    return names, keys


def ids_of(db: Connection, actor_id: int, limit: int) -> list[int]:
    """Of works in every state."""
    return list(db.execute(select(works.c.id).where(works.c.actor_id == actor_id).order_by(works.c.id).limit(limit)).scalars())


def put_tombstone(db: Connection, uri: str, actor_uri: str, now: int) -> None:
    if not has_tombstone(db, uri):
        db.execute(insert(tombstones).values(uri=uri, actor_uri=actor_uri, created_at=now))


def has_tombstone(db: Connection, uri: str, actor_uri: str | None = None) -> bool:
    query = select(tombstones.c.uri).where(tombstones.c.uri == uri)
    if actor_uri is not None:
        query = query.where(tombstones.c.actor_uri == actor_uri)
    return db.execute(query).first() is not None


def forget_tombstones(db: Connection, before: int, *, but_of: str) -> None:
    """Those of other servers: what they stand against does not come any more. Ours stay, and say 410, for good."""
    ours = tombstones.c.uri.startswith(but_of, autoescape=True)
    db.execute(delete(tombstones).where(tombstones.c.created_at < before, ~ours))


def take_tombstone(db: Connection, uri: str, actor_uri: str) -> bool:
    """Was there one of this actor? It is gone then: it has stopped what it was put up against."""
    gone = delete(tombstones).where(tombstones.c.uri == uri, tombstones.c.actor_uri == actor_uri)
    return db.execute(gone).rowcount == 1


_ADOPT = text("UPDATE works SET in_reply_to_id = :id WHERE in_reply_to_uri = :uri AND in_reply_to_id IS NULL")


def adopt_replies(db: Connection, uri: str, work_id: int) -> None:
    """Answers that arrived before the work they answer find it now, but those that its artist (or one above) does not let in."""
    found = db.execute(_ADOPT, {"uri": uri, "id": work_id}).rowcount
    if not found:
        return
    work = work_by_id(db, work_id)
    for reply_id, actor_id in db.execute(select(works.c.id, works.c.actor_id).where(works.c.in_reply_to_id == work_id)).all():
        if work is not None and not may_answer(db, work, actor_id):
            change_work(db, reply_id, in_reply_to_id=None)
            found -= 1
    count_change(db, work_id, replies=found)
