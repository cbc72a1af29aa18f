"""Who quotes works of this server, and who may."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from fediart.domain.listed import Listed, listed
from fediart.domain.moderation import Standing
from fediart.domain.quotes import Quote, ShownQuote
from fediart.domain.works import QuotePolicy, Work, quote_policy_of
from fediart.storage.actors import choices_of, shown_actors
from fediart.storage.blocks import are_apart
from fediart.storage.shown import works_shown
from fediart.storage.tables import actors, follows, quotes, works
from fediart.storage.works import may_see

_COLUMNS = tuple(quotes.c[name] for name in Quote.__dataclass_fields__)


def _quote(row: Row[Any]) -> Quote:
    return Quote(row.id, row.work_id, row.actor_id, row.uri)


def may_quote(db: Connection, work: Work, actor_id: int) -> bool:
    """Does the artist of this local work let the actor quote it? Only what everybody may see can be quoted.

    Whom moderators limited counts as one of the followers or as nobody.
    """
    if not may_see(db, work.id, None) or are_apart(db, work.actor_id, actor_id):
        return False
    if work.actor_id == actor_id:
        return True
    policy = quote_policy_of(work, choices_of(db, [work.actor_id]).get(work.actor_id))
    standing = db.execute(select(actors.c.standing).where(actors.c.id == actor_id)).scalar_one()
    if policy == QuotePolicy.EVERYONE and standing == Standing.GOOD:
        return True
    follow = select(follows.c.id).where(
        follows.c.follower_id == actor_id, follows.c.followee_id == work.actor_id, follows.c.state == "accepted"
    )
    return policy != QuotePolicy.NOBODY and db.execute(follow).first() is not None


def put_quote(db: Connection, quote: Quote) -> tuple[Quote, bool]:
    """(the quote, whether it is new): the one that was there before keeps its stamp."""
    same = select(*_COLUMNS).where(quotes.c.work_id == quote.work_id, quotes.c.uri == quote.uri)
    row = db.execute(same).first()
    if row is not None:
        return _quote(row), False
    db.execute(insert(quotes).values(**{name: getattr(quote, name) for name in Quote.__dataclass_fields__}))
    return quote, True


def quote_by_id(db: Connection, quote_id: int, work_id: int | None = None) -> Quote | None:
    query = select(*_COLUMNS).where(quotes.c.id == quote_id)
    if work_id is not None:
        query = query.where(quotes.c.work_id == work_id)
    row = db.execute(query).first()
    return _quote(row) if row is not None else None


def quotes_on(db: Connection, work_id: int) -> list[Quote]:
    return [_quote(row) for row in db.execute(select(*_COLUMNS).where(quotes.c.work_id == work_id))]


def quotes_between(db: Connection, artist_id: int, quoter_id: int) -> list[Quote]:
    """By the one, of works of the other."""
    joined = quotes.join(works, works.c.id == quotes.c.work_id)
    query = select(*_COLUMNS).select_from(joined).where(works.c.actor_id == artist_id, quotes.c.actor_id == quoter_id)
    return [_quote(row) for row in db.execute(query)]


def quotes_of_artist(db: Connection, artist_id: int, *, max_id: int | None = None, limit: int = 50) -> Listed[ShownQuote]:
    """What quotes an artist's works, the newest first."""
    joined = quotes.join(works, works.c.id == quotes.c.work_id)
    query = select(*_COLUMNS).select_from(joined).where(works.c.actor_id == artist_id)
    if max_id is not None:
        query = query.where(quotes.c.id < max_id)
    found = [_quote(row) for row in db.execute(query.order_by(quotes.c.id.desc()).limit(limit))]
    people = shown_actors(db, [quote.actor_id for quote in found])
    shown = {item.work.id: item for item in works_shown(db, [quote.work_id for quote in found], artist_id)}
    items = [
        ShownQuote(quote, people[quote.actor_id], shown[quote.work_id])
        for quote in found
        if quote.actor_id in people and quote.work_id in shown
    ]
    return listed(items, [quote.id for quote in found], limit)


def known_quotes(db: Connection, work_id: int, *, max_id: int | None = None, limit: int = 20) -> list[int]:
    """Of the posts that quote a work those that are here, as works: their ids, the newest first."""
    query = select(works.c.id).select_from(quotes.join(works, works.c.uri == quotes.c.uri)).where(quotes.c.work_id == work_id)
    if max_id is not None:
        query = query.where(works.c.id < max_id)
    return list(db.execute(query.order_by(works.c.id.desc()).limit(limit)).scalars())


def drop_quote(db: Connection, quote_id: int) -> bool:
    return db.execute(delete(quotes).where(quotes.c.id == quote_id)).rowcount == 1


def drop_quotes_by(db: Connection, uri: str, actor_id: int) -> None:
    """The post that quoted is gone."""
    db.execute(delete(quotes).where(quotes.c.uri == uri, quotes.c.actor_id == actor_id))
