"""An answer to a local work goes on to those who follow its artist, so that they see the same talk (ActivityPub 7.1.2).

Only one that carries an integrity proof: theirs is a server that has no other reason to believe us. Of others they find out by
asking. What still says to whom it goes blindly stays here: taken out of it, its proof would be wrong. Bounded, because every
answer of a stranger would otherwise cost as many requests as the artist has servers to tell.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from fediart.activitypub.addressing import has_blind_addresses
from fediart.activitypub.identifiers import Identifiers, host_of
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.domain.moderation import Standing
from fediart.domain.policy import RemoteAction
from fediart.domain.works import Work
from fediart.instance import DELIVERY
from fediart.storage import actors, deliveries, follows, works

MOST_BYTES = 65_536
MOST_AN_HOUR = 60
"""Of all answers to one artist's works."""

HOUR_MS = 3600 * 1000
_SHOWN_TO_ALL = (RemoteAction.ALLOW, RemoteAction.LABEL, RemoteAction.COLLAPSE)


def forward_answer(
    db: Connection, ids: Identifiers, sender: Actor, activity: ParsedActivity, work: Work, now: int
) -> tuple[str, ...]:
    """Pass on what `sender` said of its own `work`, if that answers a local one. An act. Returns the crews to wake.

    A change and a removal go where the answer went: only after it, and a removal whatever the bound.
    """
    artist = _artist_answered(db, work)
    if artist is None or not activity.has_proof or has_blind_addresses(activity.raw) or deliveries.was_said(db, activity.uri):
        return ()
    is_removal = activity.type == "Delete"
    if activity.type != "Create" and not deliveries.was_forwarded(db, work.id):
        return ()
    if not is_removal and (not _may_go_on(sender, work) or _has_enough(db, ids, artist, now)):
        return ()
    body = msgspec.json.encode(activity.raw)
    told = [(inbox, host) for inbox in follows.inboxes_of_followers(db, artist.id) if (host := host_of(inbox)) != sender.host]
    if not told or len(body) > MOST_BYTES:
        return ()
    deliveries.say(db, uri=activity.uri, actor_id=artist.id, body=body, inboxes=told, now=now, work_id=work.id)
    return (DELIVERY,)


def _artist_answered(db: Connection, work: Work) -> Actor | None:
    """Whose followers shall hear of it, if anybody's: both works are for everybody."""
    if not work.visibility.is_open or work.in_reply_to_id is None:
        return None
    answered = works.work_by_id(db, work.in_reply_to_id)
    artist = actors.actor_by_id(db, answered.actor_id) if answered is not None and answered.visibility.is_open else None
    return artist if artist is not None and artist.is_local and not artist.is_suspended else None


def _may_go_on(sender: Actor, work: Work) -> bool:
    """What moderators or the policy keep from people here is not carried to others."""
    return sender.standing == Standing.GOOD and work.verdict.action in _SHOWN_TO_ALL


def _has_enough(db: Connection, ids: Identifiers, artist: Actor, now: int) -> bool:
    return deliveries.count_forwarded(db, artist.id, since=now - HOUR_MS, but_of=f"{ids.base_url}/") >= MOST_AN_HOUR
