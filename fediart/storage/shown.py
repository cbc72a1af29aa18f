"""Works with all that a page or the client API shows of them, gathered in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, BindParameter, Connection, Row, bindparam, func, literal, select, union_all

from fediart.domain.declarations import Declaration
from fediart.domain.images import ShownImage
from fediart.domain.moderation import Filter, FilterAction, FilterHit, Place, hits
from fediart.domain.policy import RemoteAction
from fediart.domain.showing import STRANGER, Looker, Showing, showing_of
from fediart.domain.works import Mention, ShownWork, Visibility, Work, WorkState
from fediart.storage.actors import shown_actors
from fediart.storage.emojis import emojis_in, those_in
from fediart.storage.filters import filters_of
from fediart.storage.images import images_of_works
from fediart.storage.policies import following_softens
from fediart.storage.tables import (
    accounts,
    activities,
    actors,
    boosts,
    delivery_counts,
    follows,
    likes,
    work_mentions,
    work_tags,
    works,
)
from fediart.storage.visible import (
    listed_for,
    listed_for_bound,
    not_blocked,
    not_muted,
    not_suspended,
    visible_to,
    visible_to_bound,
)
from fediart.text.sanitise import plain_text

WORK_COLUMNS = tuple(works.c[name] for name in Work.__dataclass_fields__)


_STATE, _VISIBILITY, _DECLARATION = (
    tuple(Work.__dataclass_fields__).index(name) for name in ("state", "visibility", "declaration")
)


def work_from(row: Row[Any]) -> Work:
    """Of a row of WORK_COLUMNS."""
    values = list(row)
    values[_STATE], values[_VISIBILITY] = WorkState(values[_STATE]), Visibility(values[_VISIBILITY])
    values[_DECLARATION] = Declaration(values[_DECLARATION])
    return Work(*values)


# Asked with every page of a timeline, so put together once.
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_WORKS = select(*WORK_COLUMNS).where(works.c.id.in_(_IDS))
_SEEN = _WORKS.where(visible_to_bound())
_SEEN_BY_STRANGERS = _WORKS.where(visible_to(None))
_LISTED = _SEEN.where(listed_for_bound())
_LISTED_FOR_STRANGERS = _SEEN_BY_STRANGERS.where(listed_for(None))
_EMPTY = literal("")
_NOBODY = 0
_NO_ACTOR = literal(_NOBODY, BigInteger)
_AROUND = union_all(
    select(literal("tag").label("part"), work_tags.c.work_id, work_tags.c.tag, _EMPTY, _EMPTY, _NO_ACTOR).where(
        work_tags.c.work_id.in_(_IDS)
    ),
    select(
        literal("mention"),
        work_mentions.c.work_id,
        work_mentions.c.uri,
        work_mentions.c.acct,
        func.coalesce(actors.c.url, work_mentions.c.url),
        func.coalesce(actors.c.id, _NO_ACTOR),
    )
    .select_from(work_mentions.outerjoin(actors, actors.c.uri == work_mentions.c.uri))
    .where(work_mentions.c.work_id.in_(_IDS)),
    *(
        select(literal(part), table.c.work_id, _EMPTY, _EMPTY, _EMPTY, _NO_ACTOR).where(
            table.c.actor_id == bindparam("viewer", type_=BigInteger), table.c.work_id.in_(_IDS)
        )
        for part, table in (("like", likes), ("boost", boosts))
    ),
)
"""(part, work id, three texts, actor id): hashtags, mentions, and whether the viewer liked or boosted it."""
_AUTHORS = select(works.c.id, works.c.actor_id).where(works.c.id.in_(_IDS))
_WISH = select(accounts.c.ai_view).where(accounts.c.actor_id == bindparam("viewer", type_=BigInteger))
_FOLLOWED = select(follows.c.followee_id).where(
    follows.c.follower_id == bindparam("viewer", type_=BigInteger),
    follows.c.followee_id.in_(_IDS),
    follows.c.state == "accepted",
)


def works_shown(
    db: Connection,
    ids: Sequence[int],
    viewer: int | None,
    entries: Sequence[tuple[int, int, int | None]] | None = None,
    *,
    by_link: bool = False,
    place: Place | None = None,
) -> list[ShownWork]:
    """Works in the order of `ids`; those the viewer may not see, or that are in none of their lists, are left out.

    `entries` gives (entry id, work id, booster id or None) where the list is a timeline; `ids` is then ignored.
    `place`: the list in which they stand. What the viewer muted or filters, and what is limited, is left out there too.
    `by_link`: it is no list. What the policy shows to nobody is then shown with its pictures behind a click.
    """
    lines: list[tuple[int, int, int | None]] = list(entries) if entries is not None else [(id_, id_, None) for id_ in ids]
    wanted = list({line[1] for line in lines})
    if not wanted:
        return []
    rows = db.execute(_STATEMENTS[viewer is None, place in _LISTS], {"ids": wanted, "viewer": viewer}).all()
    found = {row[0]: work_from(row) for row in rows}
    showings = _showings(db, list(found.values()), viewer, by_link)
    found = {id_: work for id_, work in found.items() if showings.get(id_) != Showing.HIDE}
    if not found:
        return []
    if viewer is not None and place in _LISTS:
        lines = _without_hushed_boosters(db, lines, viewer)
    held = list(found)
    people = shown_actors(db, [work.actor_id for work in found.values()] + [line[2] for line in lines if line[2]])
    pictures = images_of_works(db, held)
    tags: dict[int, list[str]] = {}
    mentions: dict[int, list[Mention]] = {}
    marked: set[tuple[str, int]] = set()
    for part, work_id, text, acct, url, actor_id in db.execute(_AROUND, {"ids": held, "viewer": viewer or _NOBODY}).all():
        if part == "tag":
            tags.setdefault(work_id, []).append(text)
        elif part == "mention":
            mentions.setdefault(work_id, []).append(Mention(text, acct, url, actor_id or None))
        else:
            marked.add((part, work_id))
    answered = [work.in_reply_to_id for work in found.values() if work.in_reply_to_id is not None]
    authors: dict[int | None, int] = {row[0]: row[1] for row in db.execute(_AUTHORS, {"ids": answered})} if answered else {}
    held_filters = filters_of(db, viewer) if viewer is not None and place is not None else []
    fitting = {
        id_: _hits(held_filters, place, found[id_], pictures.get(id_, []), tags.get(id_, []))
        for id_ in (held if held_filters else [])
        if found[id_].actor_id != viewer
    }
    hosts = {work.id: people[work.actor_id].actor.host for work in found.values()}
    emojis = emojis_in(db, [(hosts[work.id], f"{work.warning} {work.content}") for work in found.values()])
    told = _deliveries(db, [id_ for id_ in held if viewer is not None and found[id_].actor_id == viewer])
    return [
        ShownWork(
            work=found[work_id],
            author=people[found[work_id].actor_id],
            images=tuple(pictures.get(work_id, ())),
            tags=tuple(tags.get(work_id, ())),
            mentions=tuple(mentions.get(work_id, ())),
            liked=("like", work_id) in marked,
            boosted=("boost", work_id) in marked,
            entry_id=entry_id,
            booster=people.get(booster) if booster else None,
            answers_actor_id=authors.get(found[work_id].in_reply_to_id),
            deliveries=told.get(work_id),
            showing=showings.get(work_id, Showing.PLAIN),
            filtered=fitting.get(work_id, ()),
            emojis=those_in(emojis, hosts[work_id], f"{found[work_id].warning} {found[work_id].content}") if emojis else (),
        )
        for entry_id, work_id, booster in lines
        if work_id in found and not any(hit.filter.action == FilterAction.HIDE for hit in fitting.get(work_id, ()))
    ]


def _showings(db: Connection, seen: Sequence[Work], viewer: int | None, by_link: bool) -> dict[int, Showing]:
    """How those are shown of which there is something to say. Where there is nothing, which is usual, nothing is asked."""
    told = [work for work in seen if work.is_said_ai or work.verdict.action != RemoteAction.ALLOW]
    if not told:
        return {}
    wish, followed = Showing.PLAIN, set[int]()
    if viewer is not None:
        wish = Showing(db.execute(_WISH, {"viewer": viewer}).scalar() or "")
        if following_softens(db):
            authors = {work.actor_id for work in told}
            followed = set(db.execute(_FOLLOWED, {"viewer": viewer, "ids": list(authors)}).scalars())

    def looker(work: Work) -> Looker:
        return STRANGER if viewer is None else Looker(work.actor_id == viewer, work.actor_id in followed, wish)

    return {work.id: showing_of(work.verdict, work.is_said_ai, looker(work), by_link=by_link) for work in told}


_LISTS = frozenset({Place.HOME, Place.PUBLIC, Place.THREAD})
"""Where what is muted or limited is away. On the pages of who published it, it is not: one asked for it by name. Of
notifications it is judged by who sent them."""

_STATEMENTS = {
    (True, False): _SEEN_BY_STRANGERS,
    (False, False): _SEEN,
    (True, True): _LISTED_FOR_STRANGERS,
    (False, True): _LISTED,
}
"""By (is a stranger, is a list)."""


def _without_hushed_boosters(
    db: Connection, lines: list[tuple[int, int, int | None]], viewer: int
) -> list[tuple[int, int, int | None]]:
    """A boost by whom the viewer blocks or mutes, or who is suspended, shows nothing."""
    boosters = {line[2] for line in lines if line[2]}
    if not boosters:
        return lines
    me = literal(viewer, BigInteger)
    heard = (not_blocked(me, actors.c.id), not_suspended(actors.c.id), not_muted(me, actors.c.id))
    kept = set(db.execute(select(actors.c.id).where(actors.c.id.in_(boosters), *heard)).scalars())
    return [line for line in lines if not line[2] or line[2] in kept]


def _hits(
    filters: Sequence[Filter], place: Place | None, work: Work, pictures: Sequence[ShownImage], tags: Sequence[str]
) -> tuple[FilterHit, ...]:
    """Its words are read as a person reads them: without markup, with the warning, the descriptions and the hashtags."""
    if place is None:
        return ()
    parts = [work.warning, plain_text(work.content), *(shown.image.alt for shown in pictures), *(f"#{tag}" for tag in tags)]
    return hits(filters, place, "\n".join(parts))


def _deliveries(db: Connection, ids: Sequence[int]) -> dict[int, tuple[int, int, int]]:
    if not ids:
        return {}
    joined = activities.join(delivery_counts, delivery_counts.c.activity_id == activities.c.id)
    rows = db.execute(
        select(activities.c.work_id, delivery_counts.c.planned, delivery_counts.c.delivered, delivery_counts.c.failed)
        .select_from(joined)
        .where(activities.c.work_id.in_(ids))
        .order_by(activities.c.id.desc())
    )
    # The first activity about a work is its Create: later ones overwrite nothing.
    return {row.work_id: (row.planned, row.delivered, row.failed) for row in rows}


def work_seen_by(db: Connection, work_id: int, viewer: int | None) -> ShownWork | None:
    """One that was asked for by its address."""
    found = works_shown(db, [work_id], viewer, by_link=True)
    return found[0] if found else None
