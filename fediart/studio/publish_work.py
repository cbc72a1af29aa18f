"""From draft to published: saved, then released as soon as every picture is ready. Until then nothing leaves."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from fediart.activitypub.addressing import address
from fediart.domain.actors import Account, Actor
from fediart.domain.declarations import Declaration
from fediart.domain.images import ImageState
from fediart.domain.policy import LocalAction
from fediart.domain.verdicts import MODERATED_REJECT, not_published
from fediart.domain.works import MAX_TEXT, MAX_WARNING, Mention, Visibility, Work, WorkState
from fediart.errors import BadInput, FediartError, NotAllowed, NotFound
from fediart.ids import new_id, time_of
from fediart.instance import Instance
from fediart.remote.bring_home import bring_handle
from fediart.storage import actors, images, jobs, works
from fediart.studio.hold_work import hold_work, read_unread, verdict_on
from fediart.studio.release_work import ASKS_WEAK, SUSPENDED, release_work
from fediart.text.compose import MentionTarget, compose, find_mentions

log = structlog.get_logger("fediart.studio")

MOVED = (
    "Not published, and nothing is lost: your account has moved, and nobody follows you here any more. To publish here again, "
    "take the move back under Settings, Moving and leaving."
)


@dataclass(frozen=True, slots=True)
class Draft:
    """What an artist typed. `declaration` None: as it was."""

    text: str = ""
    warning: str = ""
    sensitive: bool = False
    visibility: Visibility = Visibility.PUBLIC
    in_reply_to_id: int | None = None
    language: str | None = None
    declaration: Declaration | None = None
    reply_policy: str = ""
    """A ReplyPolicy, or '' for what the artist's account says."""
    quote_policy: str | None = None
    """A QuotePolicy, or '' for what the artist's account says; None: as it was."""


async def start_draft(instance: Instance, account: Account, draft: Draft | None = None) -> int:
    """An empty draft (or a filled one). Returns its id, which changes when it is published.

    Raises NotFound, and leaves no draft, when what it answers is not there for this artist.
    """

    def act(db: Connection) -> int:
        work_id = _insert_draft(db, account.actor_id, new_id(instance.clock()), instance.identifiers.base_url)
        if draft is not None:
            _save_draft(db, account, work_id, draft)
        return work_id

    return await instance.storage.write(act)


def _insert_draft(db: Connection, actor_id: int, work_id: int, base_url: str) -> int:
    placeholder = f"{base_url}/drafts/{work_id}"
    works.insert_work(
        db,
        {
            "id": work_id,
            "uri": placeholder,
            "url": placeholder,
            "actor_id": actor_id,
            "state": WorkState.DRAFT,
            "visibility": Visibility.PUBLIC,
            "published_at": time_of(work_id),
            "arrived_at": time_of(work_id),
        },
    )
    return work_id


def check_draft(draft: Draft) -> None:
    """Raises BadInput in words for the artist."""
    if len(draft.text) > MAX_TEXT:
        raise BadInput(f"The text has {len(draft.text)} characters; at most {MAX_TEXT} fit. Nothing was lost: please shorten it.")
    if len(draft.warning) > MAX_WARNING:
        raise BadInput(f"The content warning has {len(draft.warning)} characters; at most {MAX_WARNING} fit.")


async def save_draft(instance: Instance, account: Account, work_id: int, draft: Draft) -> None:
    """Keep what was typed, also when it is too long to be published."""
    await instance.storage.write(_save_draft, account, work_id, draft)


def _save_draft(db: Connection, account: Account, work_id: int, draft: Draft) -> None:
    work = own_work(db, account, work_id)
    if work.state != WorkState.DRAFT:
        raise BadInput("This work is on its way already. Open it to edit it.")
    parent = _parent(db, account.actor_id, draft.in_reply_to_id)
    works.change_work(
        db,
        work_id,
        source=draft.text[: MAX_TEXT * 4],
        warning=draft.warning[: MAX_WARNING * 4],
        sensitive=draft.sensitive or bool(draft.warning.strip()),
        visibility=draft.visibility,
        language=draft.language,
        reply_policy=draft.reply_policy,
        in_reply_to_id=parent.id if parent else None,
        in_reply_to_uri=parent.uri if parent else None,
        **({"declaration": draft.declaration} if draft.declaration is not None else {}),
        **({"quote_policy": draft.quote_policy} if draft.quote_policy is not None else {}),
    )


def _parent(db: Connection, viewer: int, work_id: int | None) -> Work | None:
    if work_id is None:
        return None
    work = works.work_by_id(db, work_id) if works.may_see(db, work_id, viewer) else None
    if work is None:
        raise NotFound("The work you answer is not there any more.")
    if not works.may_answer(db, work, viewer):
        raise NotAllowed("Its artist does not take a reply to this work from everyone, and not from you.")
    return work


def own_work(db: Connection, account: Account, work_id: int) -> Work:
    work = works.work_by_id(db, work_id)
    if work is None or work.actor_id != account.actor_id or work.state == WorkState.DELETED:
        raise NotFound("This work is not there any more.")
    return work


async def resolve_mentions(instance: Instance, text: str) -> dict[str, MentionTarget]:
    """Who is meant by the @names of a text; those that cannot be found stay plain text."""
    found: dict[str, MentionTarget] = {}
    for acct in find_mentions(text)[:20]:
        actor = await bring_handle(instance.seeker, acct)
        if actor is not None:
            found[acct] = MentionTarget(url=actor.url, uri=actor.uri, acct=acct_of(instance, actor))
    return found


def acct_of(instance: Instance, actor: Actor) -> str:
    """`mira@art.example`, also for a local actor."""
    return f"{actor.username}@{actor.host or instance.identifiers.account_domain}"


async def publish_work(instance: Instance, account: Account, work_id: int, *, ask_if_weak: bool = False, appeal: str = "") -> int:
    """The artist's word that it may go out. Returns the work's final id; it is released when its pictures are ready.

    Where the policy wants a moderator to look first, it is held. Where the policy asks something or forbids it, this raises
    BadInput with the reason. `appeal`: then her words to the moderators, who are asked instead; '' if she does not ask them.

    `ask_if_weak`: it is held back when a picture takes only a weak cloak and nothing was said to that. Not for client
    programs, which cannot be asked: there it goes out as cloaked as it can be.
    """
    work = await instance.storage.read(own_work, account, work_id)
    mentions = await resolve_mentions(instance, work.source)
    await read_unread(instance, work_id)
    now = instance.clock()
    final = await instance.storage.write(_queue, instance, account, work_id, mentions, now, ask_if_weak, appeal)
    try:
        # At once where there is nothing to wait for: a reply stands in the next page, and a client is told the lasting
        # names of files. The job is behind it.
        await release_work(instance, final)
    except FediartError as problem:
        log.warning("work.release_deferred", work=final, reason=problem.message, detail=problem.detail)
    instance.wake("release", "cloak")
    return final


def _queue(
    db: Connection,
    instance: Instance,
    account: Account,
    work_id: int,
    people: dict[str, MentionTarget],
    now: int,
    ask_if_weak: bool,
    appeal: str,
) -> int:
    work = own_work(db, account, work_id)
    if work.state != WorkState.DRAFT:
        return work.id
    check_draft(Draft(work.source, work.warning))
    _parent(db, account.actor_id, work.in_reply_to_id)
    pictures = images.images_of_works(db, [work_id]).get(work_id, [])
    if not pictures and not work.source.strip():
        raise BadInput("There is nothing to publish yet: add a picture or write something.")
    failed = [shown.image for shown in pictures if shown.image.state == ImageState.FAILED]
    if failed:
        names = ", ".join(image.original_name or "a picture" for image in failed)
        raise BadInput(f"Not published: {names} could not be prepared. Remove it, or replace it, and publish again.")
    if not ask_if_weak:
        for shown in pictures:
            images.change_image(db, shown.image.id, weak_accepted=True)
    elif any(shown.image.asks for shown in pictures):
        raise BadInput(ASKS_WEAK)
    verdict = verdict_on(db, instance.policy, work)
    if verdict.action in (LocalAction.ASK, LocalAction.REJECT) and not appeal:
        raise BadInput(not_published(verdict))
    is_held = verdict.action == LocalAction.HOLD or (bool(appeal) and verdict.action != LocalAction.ALLOW)
    resume_images(db, work_id, account.actor_id, now)
    author = actors.actor_by_id(db, account.actor_id)
    assert author is not None  # an account always has its actor
    if author.is_suspended:
        raise NotAllowed(SUSPENDED)
    if author.has_moved:
        raise NotAllowed(MOVED)
    composed = compose(work.source, resolve_mention=people, tag_url=instance.identifiers.tag_url)
    mentions = [Mention(people[acct].uri, people[acct].acct, people[acct].url) for acct in composed.mentions if acct in people]
    to, cc = address(work.visibility, author.followers_uri or "", _answered(db, work, mentions))
    final = new_id(now)
    ids = instance.identifiers
    works.renumber_work(db, work_id, final, uri=ids.work_uri(author.username, final), url=ids.work_url(author.username, final))
    said = {"content": composed.html, "published_at": now, "arrived_at": now, "problem": ""}
    works.change_work(db, final, **said, reply_policy=work.reply_policy or account.reply_policy)
    if work.moderated != MODERATED_REJECT:
        # What a moderator said was said of the pictures that it had; a draft's can change.
        works.change_work(db, final, moderated=None)
    works.put_surroundings(db, final, to=to, cc=cc, tags=composed.hashtags, mentions=mentions)
    queued = own_work(db, account, final)
    if is_held:
        hold_work(db, instance.policy, queued, WorkState.DRAFT, verdict, now, appeal)
    else:
        works.step_work(db, final, WorkState.DRAFT, WorkState.WAITING)
        jobs.add_job(db, "release", {"work_id": final}, now=now)
    return final


def resume_images(db: Connection, work_id: int, actor_id: int, now: int) -> None:
    """Pictures that were stopped are prepared after all."""
    for shown in images.images_of_works(db, [work_id]).get(work_id, []):
        if shown.image.state == ImageState.PAUSED:
            images.change_image(db, shown.image.id, state=ImageState.WAITING)
            jobs.ask_again(db, "cloak", {"image_id": shown.image.id}, now=now, owner=actor_id)


def _answered(db: Connection, work: Work, mentions: list[Mention]) -> list[str]:
    """Whom it is addressed to besides the audience: those mentioned, and the author of what it answers."""
    uris = [mention.uri for mention in mentions]
    parent = works.work_by_id(db, work.in_reply_to_id) if work.in_reply_to_id else None
    author = actors.actor_by_id(db, parent.actor_id) if parent else None
    if author is not None and author.id != work.actor_id and author.uri not in uris:
        uris.append(author.uri)
    return uris
