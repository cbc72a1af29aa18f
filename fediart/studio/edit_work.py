"""A published work gets new words. Its pictures and who may see it stay: copies elsewhere cannot be called back."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.works import Mention, WorkState
from fediart.errors import BadInput
from fediart.instance import DELIVERY, Instance
from fediart.outbox.announce_work import announce_edit
from fediart.storage import works
from fediart.studio.publish_work import Draft, check_draft, own_work, resolve_mentions
from fediart.text.compose import MentionTarget, compose


async def edit_work(instance: Instance, account: Account, work_id: int, draft: Draft) -> None:
    """Only text, warning and sensitivity of `draft` count."""
    check_draft(draft)
    people = await resolve_mentions(instance, draft.text)
    await instance.storage.write(_edit, instance, account, work_id, draft, people, instance.clock())
    instance.wake(DELIVERY)


def _edit(
    db: Connection, instance: Instance, account: Account, work_id: int, draft: Draft, people: dict[str, MentionTarget], now: int
) -> None:
    work = own_work(db, account, work_id)
    if work.state != WorkState.PUBLISHED:
        raise BadInput("This work is not published yet: change it in its draft.")
    composed = compose(draft.text, resolve_mention=people, tag_url=instance.identifiers.tag_url)
    works.change_work(
        db,
        work_id,
        source=draft.text,
        content=composed.html,
        warning=draft.warning,
        sensitive=draft.sensitive or bool(draft.warning.strip()),
        edited_at=max(now, (work.edited_at or 0) + 1),
    )
    mentions = [Mention(people[acct].uri, people[acct].acct, people[acct].url) for acct in composed.mentions if acct in people]
    to, cc = works.addresses_of(db, work_id)
    cc += [mention.uri for mention in mentions if mention.uri not in (*to, *cc)]
    works.put_surroundings(db, work_id, to=to, cc=cc, tags=composed.hashtags, mentions=mentions)
    announce_edit(db, instance.identifiers, work_id, now)
