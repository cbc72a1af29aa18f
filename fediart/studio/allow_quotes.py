"""Who may quote an artist's works: for all of them, for one; and leave that was given, taken back."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.quotes import Quote
from fediart.domain.works import QuotePolicy, WorkState
from fediart.errors import BadInput, NotFound
from fediart.instance import DELIVERY, Instance
from fediart.outbox.announce_work import announce_edit
from fediart.outbox.answer_quote import take_back_stamp
from fediart.storage import accounts, actors, quotes, works
from fediart.studio.publish_work import own_work


async def allow_quotes(instance: Instance, account: Account, policy: QuotePolicy) -> None:
    """From now on, for every work that says nothing else. Posts that quote already are left alone."""
    await instance.storage.write(accounts.put_quote_policy, account.id, policy)


async def allow_quotes_of(instance: Instance, account: Account, work_id: int, policy: QuotePolicy) -> None:
    """Of one published work: other servers are told, so that they offer it, or do not. Raises NotFound, BadInput."""

    def act(db: Connection, now: int) -> None:
        work = own_work(db, account, work_id)
        if work.state != WorkState.PUBLISHED:
            raise BadInput("This work is not published yet: change it in its draft.")
        works.change_work(db, work_id, quote_policy=policy)
        announce_edit(db, instance.identifiers, work_id, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


async def take_back(instance: Instance, account: Account, work_id: int, quote_uri: str) -> None:
    """The post `quote_uri` may not quote this work any more. Raises NotFound."""

    def which(db: Connection) -> Quote | None:
        return next((quote for quote in quotes.quotes_on(db, work_id) if quote.uri == quote_uri), None)

    await _take_back(instance, account, await instance.storage.read(which))


async def take_back_quote(instance: Instance, account: Account, quote_id: int) -> None:
    """By the id of its stamp. Raises NotFound."""
    await _take_back(instance, account, await instance.storage.read(quotes.quote_by_id, quote_id))


async def _take_back(instance: Instance, account: Account, quote: Quote | None) -> None:
    if quote is None:
        raise NotFound("This post does not quote a work of yours any more.")

    def act(db: Connection, now: int) -> None:
        work, artist = own_work(db, account, quote.work_id), actors.actor_by_id(db, account.actor_id)
        assert artist is not None  # an account always has its actor
        take_back_stamp(db, instance.identifiers, artist, work, quote, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)
