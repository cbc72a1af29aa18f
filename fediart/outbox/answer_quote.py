"""An artist's answer to who wants to quote a work: a stamp, or no; and the stamp taken back. Acts.

https://codeberg.org/fediverse/fep/src/branch/main/fep/044f/fep-044f.md (FEP-044f)
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from fediart.activitypub.builders.quote import build_quote_answer, build_stamp, build_stamp_removal
from fediart.activitypub.identifiers import Identifiers
from fediart.domain.actors import Actor
from fediart.domain.quotes import Quote
from fediart.domain.works import Work
from fediart.ids import new_id
from fediart.outbox.announce_work import say
from fediart.storage import actors, follows, quotes, works


def answer_quote(
    db: Connection, ids: Identifiers, artist: Actor, quoter: Actor, request: dict[str, Any], stamp: str | None, now: int
) -> None:
    """Accept with a stamp, or Reject without. `request`: the QuoteRequest, as far as it is given back."""
    document = build_quote_answer(ids.activity_uri(new_id(now)), artist.uri, quoter.uri, request, stamp)
    say(db, document, actor_id=artist.id, inboxes=[quoter.inbox], now=now)


def stamp_document(ids: Identifiers, artist: Actor, work: Work, quote: Quote) -> dict[str, Any]:
    return build_stamp(ids.stamp_uri(work.uri, quote.id), artist.uri, work.uri, quote.uri)


def take_back_stamp(db: Connection, ids: Identifiers, artist: Actor, work: Work, quote: Quote, now: int) -> None:
    """The post may not quote the work any more: its server is told, and those of the artist's followers."""
    if not quotes.drop_quote(db, quote.id):
        return
    stamp = stamp_document(ids, artist, work, quote)
    works.put_tombstone(db, stamp["id"], artist.uri, now)
    quoter = actors.actor_by_id(db, quote.actor_id)
    inboxes = follows.inboxes_of_followers(db, artist.id)
    if quoter is not None and not quoter.is_local and (quoter.shared_inbox or quoter.inbox) not in inboxes:
        inboxes.append(quoter.inbox)
    say(db, build_stamp_removal(stamp), actor_id=artist.id, inboxes=inboxes, now=now)


def take_back_stamps_on(db: Connection, ids: Identifiers, artist: Actor, work: Work, now: int) -> None:
    """Before a work goes."""
    for quote in quotes.quotes_on(db, work.id):
        take_back_stamp(db, ids, artist, work, quote, now)


def take_back_stamps_of(db: Connection, ids: Identifiers, artist: Actor, quoter: Actor, now: int) -> None:
    """When an artist blocks somebody."""
    for quote in quotes.quotes_between(db, artist.id, quoter.id):
        work = works.work_by_id(db, quote.work_id)
        if work is not None:
            take_back_stamp(db, ids, artist, work, quote, now)
