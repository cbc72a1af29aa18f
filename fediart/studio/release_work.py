"""The jobs behind publishing: a picture is cloaked; a work whose pictures are all ready goes out.

If a picture cannot be cloaked its work goes back to being a draft. Nothing uncloaked leaves unless its artist said so.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import structlog
from sqlalchemy import Connection

from fediart.domain.images import Image, ImageState, Purpose, Rendition
from fediart.domain.notifications import NotificationKind
from fediart.domain.origin import Signal, origin_text
from fediart.domain.works import Work, WorkState
from fediart.errors import BadInput, CloakFailed, EncoderFailed
from fediart.ids import new_id
from fediart.instance import DELIVERY, Instance
from fediart.media.pipeline import RenderResult, render
from fediart.outbox.announce_work import announce_actor, announce_work
from fediart.outbox.restate import said_for, stated
from fediart.storage import accounts, actors, files, images, jobs, notifications, reviews, works
from fediart.studio.arrange_images import discard
from fediart.studio.estimate_cloak import learn, strength_of
from fediart.studio.hold_work import keep_back, read_unread
from fediart.studio.render_image import (
    discard_scratch,
    facts_of,
    goes_without,
    prepare_scratch,
    put_files,
    reporter,
    request_of,
    resumed_at,
    rights_for,
)
from fediart.studio.suspect_image import suspicions, with_suspicions
from fediart.timeline.place import place_work

log = structlog.get_logger("fediart.studio")


async def cloak_image(instance: Instance, image_id: int) -> None:
    """Make an image's renditions: cloaked, unless its artist said otherwise. Ended early by `Instance.stop_render`."""
    if not await instance.storage.write(_begin, image_id):
        return
    image = await instance.storage.read(images.image_by_id, image_id)
    account = await instance.storage.read(accounts.account_of_actor, image.actor_id) if image is not None else None
    if image is None or account is None or image.vault_key is None:
        return
    scratch = instance.scratch(image_id)
    rights = await rights_for(instance, image)
    request = await asyncio.to_thread(request_of, instance, image, account, scratch, rights, scratch=scratch)
    is_fresh = await asyncio.to_thread(prepare_scratch, request)
    is_again = False
    began = time.monotonic()
    task = instance.renders[image_id] = asyncio.create_task(render(request, reporter(instance, _progress, image_id)))
    try:
        if not await instance.storage.read(_is_cloaking, image_id):
            task.cancel()  # it was stopped before anybody could see that it runs
        result = await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise  # the server ends: what was begun stays
        await instance.storage.write(_let_go, image_id, image.actor_id, instance.clock())
        if await instance.storage.read(images.image_by_id, image_id) is None:
            await _throw_away(instance, image_id)
    except (BadInput, CloakFailed) as problem:
        is_again = isinstance(problem, EncoderFailed) and await goes_without(instance, problem)
        if not is_again:
            instance.metrics.refusals.count(problem.name)
            await _fail(instance, image, problem.message, problem.detail)
            await _throw_away(instance, image_id)
    else:
        seconds = time.monotonic() - began
        await _keep(instance, image, result, await suspicions(instance, image))
        await _throw_away(instance, image_id)
        if is_fresh:
            await learn(instance, strength_of(instance, image), result.width * result.height / 1e6, seconds)
    finally:
        if instance.renders.get(image_id) is task:
            del instance.renders[image_id]
        if not task.done():
            task.cancel()
    if is_again:
        await cloak_image(instance, image_id)
    instance.wake("release")


def _begin(db: Connection, image_id: int) -> bool:
    """False when there is nothing to do: it is ready, failed, paused or gone."""
    image = images.image_by_id(db, image_id)
    if image is None or image.state not in (ImageState.WAITING, ImageState.CLOAKING) or image.vault_key is None:
        return False
    images.change_image(db, image_id, state=ImageState.CLOAKING, progress=0.0)
    return True


def _is_cloaking(db: Connection, image_id: int) -> bool:
    image = images.image_by_id(db, image_id)
    return image is not None and image.state == ImageState.CLOAKING


def _let_go(db: Connection, image_id: int, actor_id: int, now: int) -> None:
    """It was stopped. Whoever did that said what becomes of it; should nobody have, it is done once more."""
    if _is_cloaking(db, image_id):
        images.change_image(db, image_id, state=ImageState.WAITING, progress=0)
        jobs.ask_again(db, "cloak", {"image_id": image_id}, now=now, owner=actor_id)


async def _throw_away(instance: Instance, image_id: int) -> None:
    await discard_scratch(instance.scratch(image_id))


GIVEN_UP = (
    "This picture could not be prepared here, though it was tried several times. A smaller one or a weaker cloak may do; the "
    "server's log says what was the matter."
)


async def give_up_image(instance: Instance, image_id: int) -> None:
    """It failed again and again for a reason that is ours: its artist hears it, and the work stays a draft."""
    image = await instance.storage.read(images.image_by_id, image_id)
    if image is not None and image.state != ImageState.READY:
        await _fail(instance, image, GIVEN_UP, None)
        await _throw_away(instance, image_id)


async def give_up_release(instance: Instance, work_id: int) -> None:
    """The work goes back to being a draft."""
    words = "This work could not be published. The server's log says why; publish it again when that is mended."
    await instance.storage.write(works.step_work, work_id, WorkState.WAITING, WorkState.DRAFT, problem=words)


def _progress(db: Connection, image_id: int, share: float) -> None:
    image = images.image_by_id(db, image_id)
    if image is not None and image.state == ImageState.CLOAKING:
        images.change_image(db, image_id, progress=round(share, 3))


async def _fail(instance: Instance, image: Image, message: str, detail: str | None) -> None:
    log.warning("image.failed", image=image.id, reason=message, detail=detail)
    await instance.storage.write(_put_failure, image.id, message, instance.clock())


def _put_failure(db: Connection, image_id: int, message: str, now: int) -> None:
    image = images.image_by_id(db, image_id)
    if image is None or image.state == ImageState.PAUSED or jobs.is_free(db, "cloak", {"image_id": image_id}):
        return  # it was stopped or chosen anew meanwhile: this is no answer to that
    images.change_image(db, image_id, state=ImageState.FAILED, progress=0, problem=message)
    if image.work_id is not None:
        problem = f"{image.original_name}: {message}"
        if works.step_work(db, image.work_id, WorkState.HELD, WorkState.DRAFT, problem=problem):
            reviews.withdraw_reviews(db, image.work_id, now)
        works.step_work(db, image.work_id, WorkState.WAITING, WorkState.DRAFT, problem=problem)


async def _keep(instance: Instance, image: Image, result: RenderResult, found: list[Signal]) -> None:
    """Files first, then the row: what a row names is on disk. `found`: what detectors say of it."""
    facts = facts_of(instance, image, result)
    if found and result.origin is not None:
        facts["origin"] = origin_text(with_suspicions(result.origin, found))
    made = await put_files(instance, image, result)
    unused = await instance.storage.write(_put_ready, image.id, made, facts, instance.clock())
    await discard(instance, unused, [])
    log.info("image.ready", image=image.id, cloaked=image.cloak, resumed=resumed_at(result))
    if image.purpose in (Purpose.AVATAR, Purpose.HEADER):
        await show_portrait(instance, image)


def _put_ready(db: Connection, image_id: int, made: list[Rendition], facts: dict[str, Any], now: int) -> list[str]:
    image = images.image_by_id(db, image_id)
    if image is None or image.state != ImageState.CLOAKING:
        # It was taken away, stopped, or its cloak was switched, while it was rendered: these files are nobody's.
        return [rendition.name for rendition in made if not images.name_is_used(db, rendition.name)]
    unused = images.put_renditions(db, image_id, made)
    images.change_image(db, image_id, state=ImageState.READY, progress=1.0, problem="", **facts)
    if image.work_id is not None:
        work = works.work_by_id(db, image.work_id)
        if work is not None and work.state == WorkState.WAITING:
            jobs.add_job(db, "release", {"work_id": work.id}, now=now)
    return unused


async def show_portrait(instance: Instance, image: Image) -> None:
    """A cloaked avatar or header takes the place of the old one, and followers are told."""
    column = "avatar_image_id" if image.purpose == Purpose.AVATAR else "header_image_id"

    def act(db: Connection, now: int) -> tuple[list[str], list[str]]:
        actor = actors.actor_by_id(db, image.actor_id)
        if actor is None:
            return [], []
        old = getattr(actor, column)
        failed = [held.id for held in images.failed_portraits(db, actor.id) if held.purpose == image.purpose]
        actors.change_actor(db, actor.id, **{column: image.id})
        announce_actor(db, instance.identifiers, actor.id, now)
        names, keys = images.drop_images(db, [id_ for id_ in (old, *failed) if id_ not in (None, image.id)])
        files.retire(db, names, now)
        return names, keys

    names, keys = await instance.storage.write(act, instance.clock())
    await discard(instance, names, keys)
    instance.wake(DELIVERY)


ASKS_WEAK = "Not out yet, and nothing is lost: a picture takes only a weak cloak. Say at that picture what is to be done."
"""On a work that came back from waiting with a question. Once that is answered it goes on."""


SUSPENDED = "Not published: this account is suspended."
NOT_TAKEN = "Not published: the artist of the work that it answers does not take a reply from you any more."


async def release_work(instance: Instance, work_id: int) -> None:
    """Publish a waiting work whose pictures are all ready. Otherwise do nothing: the last picture calls again.

    The policy is asked once more. When its artist must say first whether a weak cloak will do, it goes back to its draft,
    and nothing is lost.
    """
    work = await instance.storage.read(works.work_by_id, work_id)
    if work is None or work.state != WorkState.WAITING:
        return
    author = await instance.storage.read(actors.actor_by_id, work.actor_id)
    if author is not None and author.is_suspended:
        await instance.storage.write(works.step_work, work_id, WorkState.WAITING, WorkState.DRAFT, problem=SUSPENDED)
        return
    if not await instance.storage.read(_may_still_answer, work):
        await instance.storage.write(works.step_work, work_id, WorkState.WAITING, WorkState.DRAFT, problem=NOT_TAKEN)
        return
    pictures = (await instance.storage.read(images.images_of_works, [work_id])).get(work_id, [])
    if any(shown.image.state != ImageState.READY for shown in pictures):
        return
    if any(shown.image.asks for shown in pictures):
        await instance.storage.write(works.step_work, work_id, WorkState.WAITING, WorkState.DRAFT, problem=ASKS_WEAK)
        return
    await read_unread(instance, work_id)
    # Before any of its files gets a name that others could know.
    if await instance.storage.write(keep_back, instance.policy, work_id, instance.clock()):
        return
    named: list[tuple[int, list[Rendition]]] = []
    for shown in pictures:
        # What is reserved, allowed and said of it may have been chosen since it was rendered. In an open work the files get
        # their contents' names, which may be cached for ever.
        image = dataclasses.replace(shown.image, secret_names=not work.visibility.is_open)
        said = await said_for(instance, image)
        named.append((image.id, await asyncio.to_thread(stated, instance, image, shown.renditions, said)))
    unused = await instance.storage.write(_release, instance, work_id, named, instance.clock())
    await discard(instance, unused, [])
    log.info("work.released", work=work_id)
    instance.wake(DELIVERY)


def _may_still_answer(db: Connection, work: Work) -> bool:
    """It may have waited for days, for its pictures or for a moderator."""
    parent = works.work_by_id(db, work.in_reply_to_id) if work.in_reply_to_id is not None else None
    return parent is None or works.may_answer(db, parent, work.actor_id)


def _release(db: Connection, instance: Instance, work_id: int, named: list[tuple[int, list[Rendition]]], now: int) -> list[str]:
    if keep_back(db, instance.policy, work_id, now):
        # The policy changed, or its artist took it back, in this very moment: the names were for nothing.
        made = [rendition.name for _, renditions in named for rendition in renditions]
        return [name for name in made if not images.name_is_used(db, name)]
    work = works.work_by_id(db, work_id)
    if work is None or not works.step_work(db, work_id, WorkState.WAITING, WorkState.PUBLISHED):
        return []
    unused: list[str] = []
    for image_id, renditions in named:
        unused += images.put_renditions(db, image_id, renditions)
        images.change_image(db, image_id, secret_names=not work.visibility.is_open)
    author = actors.actor_by_id(db, work.actor_id)
    assert author is not None  # a local work has its author
    place_work(db, work, author)
    if work.in_reply_to_id is not None:
        works.count_change(db, work.in_reply_to_id, replies=1)
    _tell_mentioned(db, work, now)
    announce_work(db, instance.identifiers, work_id, now)
    return unused


def _tell_mentioned(db: Connection, work: Work, now: int) -> None:
    """Local people it is addressed to by name hear of it."""
    to, cc = works.addresses_of(db, work.id)
    for actor in actors.actors_by_uri(db, [*to, *cc]).values():
        if actor.is_local:
            notifications.notify(
                db,
                id_=new_id(now),
                actor_id=actor.id,
                kind=NotificationKind.MENTION,
                from_actor_id=work.actor_id,
                work_id=work.id,
            )
