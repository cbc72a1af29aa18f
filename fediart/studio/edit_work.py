"""A published work gets new words, or its artist says anew how it was made.

Its pictures stay: copies elsewhere cannot be called back. Who may see it: `narrow_work`.
"""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.declarations import Declaration
from fediart.domain.policy import AiPolicy, LocalAction
from fediart.domain.verdicts import JudgedPicture, judge_work
from fediart.domain.works import Mention, Work, WorkState
from fediart.errors import BadInput
from fediart.instance import DELIVERY, Instance
from fediart.outbox.announce_work import announce_edit
from fediart.outbox.restate import RESTATE_WORK, restate_work
from fediart.storage import reviews, works
from fediart.studio.hold_work import put_label
from fediart.studio.publish_work import Draft, check_draft, own_work, resolve_mentions
from fediart.text.compose import MentionTarget, compose


async def edit_work(instance: Instance, account: Account, work_id: int, draft: Draft) -> None:
    """Only text, warning, sensitivity, declaration, who may answer ('': as it was) and who may quote of `draft` count."""
    check_draft(draft)
    people = await resolve_mentions(instance, draft.text)
    await instance.storage.write(_edit, instance, account, work_id, draft, people, instance.clock())
    instance.wake(DELIVERY, RESTATE_WORK)


def _edit(
    db: Connection, instance: Instance, account: Account, work_id: int, draft: Draft, people: dict[str, MentionTarget], now: int
) -> None:
    work = own_work(db, account, work_id)
    if work.state != WorkState.PUBLISHED:
        raise BadInput("This work is not published yet: change it in its draft.")
    composed = compose(draft.text, resolve_mention=people, tag_url=instance.identifiers.tag_url)
    declaration = work.declaration if draft.declaration is None else draft.declaration
    if declaration != work.declaration:
        _declare(db, instance.policy, work, declaration)
    works.change_work(
        db,
        work_id,
        declaration=declaration,
        source=draft.text,
        content=composed.html,
        warning=draft.warning,
        sensitive=draft.sensitive or bool(draft.warning.strip()),
        reply_policy=draft.reply_policy or work.reply_policy,
        quote_policy=work.quote_policy if draft.quote_policy is None else draft.quote_policy,
        edited_at=max(now, (work.edited_at or 0) + 1),
    )
    mentions = [Mention(people[acct].uri, people[acct].acct, people[acct].url) for acct in composed.mentions if acct in people]
    to, cc = works.addresses_of(db, work_id)
    cc += [mention.uri for mention in mentions if mention.uri not in (*to, *cc)]
    works.put_surroundings(db, work_id, to=to, cc=cc, tags=composed.hashtags, mentions=mentions)
    announce_edit(db, instance.identifiers, work_id, now)
    if declaration != work.declaration:
        restate_work(db, work_id, now, quiet=True)


def _declare(db: Connection, policy: AiPolicy, work: Work, declaration: Declaration) -> None:
    """Raises BadInput where a work that is so made may not be here. What its files say was judged when it went out."""
    read, _ = reviews.judged_pictures(db, work.id)
    said = judge_work(policy, declaration, [JudgedPicture(item.name, item.origin, is_cleared=True) for item in read])
    if said.action == LocalAction.REJECT:
        raise BadInput(
            "By its policy on AI-made art this server does not show works that are made so, so it was not changed. "
            "If that is how it was made, please delete the work here."
        )
    verdict = judge_work(policy, declaration, read, moderated=work.moderated, label=work.self_label)
    if verdict.action in (LocalAction.ALLOW, LocalAction.LABEL):
        put_label(db, work, verdict)
