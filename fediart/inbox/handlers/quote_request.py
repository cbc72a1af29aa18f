"""QuoteRequest: somebody wants to quote a work of ours (FEP-044f). Answered at once, as its artist has settled it."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.parsers import fields
from fediart.activitypub.parsers.particulars import quoted_uri
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.notifications import NotificationKind
from fediart.domain.quotes import Quote
from fediart.domain.works import WorkState
from fediart.errors import ParseError
from fediart.ids import new_id
from fediart.inbox.outcome import Done, left
from fediart.instance import DELIVERY, Instance
from fediart.outbox.answer_quote import answer_quote
from fediart.storage import actors, notifications, quotes, works

MAX_QUOTES = 1_000
"""Of one work: so many stamps are kept."""


def handle_quote_request(
    db: Connection, instance: Instance, sender: Actor, activity: ParsedActivity, _read: None, now: int
) -> Done:
    work = works.work_by_uri(db, activity.object_uri or "")
    artist = actors.actor_by_id(db, work.actor_id) if work is not None else None
    if work is None or artist is None or not artist.is_local or artist.is_suspended or work.state != WorkState.PUBLISHED:
        return left("what it wants to quote is not here")
    if not works.may_see(db, work.id, None) and not works.may_see(db, work.id, sender.id):
        return left("what it wants to quote is not here")
    uri = _quoting(activity, sender, work.uri)
    ids = instance.identifiers
    stamp = None
    if quotes.may_quote(db, work, sender.id) and len(quotes.quotes_on(db, work.id)) < MAX_QUOTES:
        quote, is_new = quotes.put_quote(db, Quote(new_id(now), work.id, sender.id, uri))
        stamp = ids.stamp_uri(work.uri, quote.id)
        if is_new:
            notifications.notify(
                db, id_=new_id(now), actor_id=artist.id, kind=NotificationKind.QUOTE, from_actor_id=sender.id, work_id=work.id
            )
    # As it was received, but of the post only its id: up to a megabyte would go back.
    request = {"id": activity.uri, "actor": sender.uri, "object": work.uri, "instrument": uri}
    answer_quote(db, ids, artist, sender, request, stamp, now)
    return Done(wake=(DELIVERY,))


def _quoting(activity: ParsedActivity, sender: Actor, work_uri: str) -> str:
    """The id of the post that quotes. Raises ParseError when it is not its sender's, or does not quote this work."""
    post = fields.first(activity.raw.get("instrument"))
    uri = fields.uri(post)
    if uri is None or not same_host(uri, sender.uri):
        raise ParseError("A request to quote names the post that quotes, on its sender's own host.")
    if isinstance(post, dict) and fields.uri(fields.first(post.get("attributedTo"))) not in (None, sender.uri):
        raise ParseError("The post that would quote is somebody else's.")
    if isinstance(post, dict) and quoted_uri(post) not in (None, work_uri):
        raise ParseError("This post quotes something else than it asks for.")
    return uri
