"""What an artist reserves or allows has changed: the public files say so too, and other servers hear of it.

A file's name is its content's, and a file is never changed. So the same pixels get another XMP packet and with it another
name; an Update tells others the new address; the old one answers 410. Copies that were made before stay as they were.

A run over all works of an artist is a chain of jobs, one for each work, newest first; a newer run ends an older one. Works of
words alone have no files: their documents say the new thing to whoever asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import structlog
from sqlalchemy import Connection

from fediart.domain.images import Image, Rendition, ShownImage, is_secret_name
from fediart.domain.rights import Assertions
from fediart.domain.works import WorkState
from fediart.errors import NotFound
from fediart.ids import new_id
from fediart.instance import DELIVERY, Instance
from fediart.media.xmp import build_packet, has_credentials, packet_of_jpeg, with_packet
from fediart.outbox.announce_work import announce_actor, announce_edit
from fediart.outbox.rights import said_of_image
from fediart.storage import actors, files, images, jobs, reserved, settings, works

log = structlog.get_logger("fediart.outbox")

RESTATE, RESTATE_WORK = "restate", "restate_work"
"""Kinds of jobs: one step of a run over an artist's works; one work alone."""


@dataclass(frozen=True, slots=True)
class Run:
    """`done` of `of` works. `before`: works older than this one are still to be done; None: it has only begun.

    `since`: only works that were edited since then, ms since 1970.
    `unheard`: nobody elsewhere has any of these files, so that a work does not count as edited by it.
    """

    number: int
    done: int
    of: int
    before: int | None = None
    since: int | None = None
    unheard: bool = False


def _key(actor_id: int) -> str:
    return f"restating {actor_id}"


def run_of(db: Connection, actor_id: int) -> Run | None:
    """The run that is on."""
    text = settings.setting(db, _key(actor_id))
    return msgspec.json.decode(text, type=Run) if text is not None else None


def _put_run(db: Connection, actor_id: int, run: Run, now: int) -> None:
    settings.put_setting(db, _key(actor_id), msgspec.json.encode(run).decode())
    jobs.add_job(db, RESTATE, {"actor_id": actor_id, "run": run.number}, now=now, lane=f"restate {actor_id}")


def restate_all(db: Connection, actor_id: int, now: int, *, unheard: bool = False) -> None:
    """Begin a run over all works of an artist. The crew RESTATE must be woken."""
    _put_run(db, actor_id, Run(new_id(now), 0, reserved.count_to_restate(db, actor_id), unheard=unheard), now)


def restate_since(db: Connection, actor_id: int, since: int, now: int) -> None:
    """Have others hear of the works that changed while nothing was said in an artist's name. The crew RESTATE must be woken.

    Where a run over all of hers is on, it was in vain so far, and begins anew.
    """
    if run_of(db, actor_id) is not None:
        restate_all(db, actor_id, now)
        return
    _put_run(db, actor_id, Run(new_id(now), 0, reserved.count_to_restate(db, actor_id, since), since=since), now)


def restate_work(db: Connection, work_id: int, now: int, *, quiet: bool = False) -> None:
    """Have one work's files say what holds for it. `quiet`: others hear of it only where a file changes."""
    jobs.add_job(db, RESTATE_WORK, {"work_id": work_id, "quiet": quiet}, now=now, lane=f"restate work {work_id}")


@dataclass(frozen=True, slots=True)
class Said:
    """What every file of a picture carries: an XMP packet, Content Credentials. None: it carries none."""

    packet: bytes | None
    assertions: Assertions | None


def stated(instance: Instance, image: Image, held: Sequence[Rendition], said: Said) -> list[Rendition]:
    """The renditions of a picture, each as a file that says this. Reads and writes files; those of before stay.

    Raises FileNotFoundError where one is not there any more.
    """
    made = []
    for rendition in held:
        data = instance.files.path(rendition.name).read_bytes()
        is_said = packet_of_jpeg(data) == said.packet and has_credentials(data) == (said.assertions is not None)
        if is_said and is_secret_name(rendition.name) == image.secret_names:
            made.append(rendition)
            continue
        new = data if is_said else signed(instance, with_packet(data, said.packet), said.assertions)
        suffix = rendition.name.rpartition(".")[2]
        name = instance.files.put(new, suffix, secret=image.secret_names)
        made.append(replace(rendition, name=name, bytes=len(new), sha256=_sha256(new)))
    return made


def signed(instance: Instance, data: bytes, assertions: Assertions | None) -> bytes:
    """A JPEG as it leaves: with Content Credentials, where there are any to give."""
    return instance.notary.sign(data, assertions, instance.clock()) if assertions is not None else data


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


async def said_for(instance: Instance, image: Image) -> Said:
    """As it stands now."""
    rights, assertions = await instance.storage.read(said_of_image, instance.identifiers, image)
    return Said(build_packet(rights) if rights is not None else None, assertions)


# --------------------------------------------------------------------------------------------------------- the jobs


async def restate_step(instance: Instance, actor_id: int, number: int) -> None:
    """One work of a run, or the artist's portraits first, or its end. Each leaves the job of the next step."""
    run = await instance.storage.read(run_of, actor_id)
    if run is None or run.number != number:
        return
    if run.before is None:
        await _restate_portraits(instance, actor_id)
    work_id = await instance.storage.read(reserved.next_to_restate, actor_id, run.before, run.since)
    if work_id is not None:
        await restate_one(instance, work_id, unheard=run.unheard)

    def go_on(db: Connection, now: int) -> None:
        held = run_of(db, actor_id)
        if held is None or held.number != number:
            return
        if work_id is None:
            settings.drop_setting(db, _key(actor_id))
        else:
            _put_run(db, actor_id, replace(held, done=held.done + 1, before=work_id), now)

    await instance.storage.write(go_on, instance.clock())
    instance.wake(RESTATE)


async def give_up_step(instance: Instance, actor_id: int, number: int) -> None:
    """A work failed again and again for a reason that is ours: its files say what they said, and the run goes on without it."""

    def act(db: Connection, now: int) -> None:
        run = run_of(db, actor_id)
        if run is None or run.number != number:
            return
        work_id = reserved.next_to_restate(db, actor_id, run.before, run.since)
        if work_id is None:
            settings.drop_setting(db, _key(actor_id))
        else:
            _put_run(db, actor_id, replace(run, before=work_id), now)

    await instance.storage.write(act, instance.clock())
    instance.wake(RESTATE)


async def restate_one(instance: Instance, work_id: int, *, quiet: bool = False, unheard: bool = False) -> None:
    work = await instance.storage.read(works.work_by_id, work_id)
    if work is None or work.state != WorkState.PUBLISHED:
        return
    pictures = (await instance.storage.read(images.images_of_works, [work_id])).get(work_id, [])
    made = await restated(instance, pictures)
    names = await instance.storage.write(_show, instance, work_id, made, quiet, unheard, instance.clock())
    await asyncio.to_thread(instance.files.discard_all, names)
    instance.wake(DELIVERY)


Made = list[tuple[ShownImage, list[Rendition]]]


async def restated(instance: Instance, pictures: Sequence[ShownImage]) -> Made:
    """The files of these pictures as they should be now, beside those that are shown. `put_restated` shows them."""
    made = []
    for shown in pictures:
        said = await said_for(instance, shown.image)
        try:
            made.append((shown, await asyncio.to_thread(stated, instance, shown.image, shown.renditions, said)))
        except (FileNotFoundError, NotFound) as problem:
            log.warning("picture.not_restated", image=shown.image.id, reason=str(problem))
    return made


def put_restated(db: Connection, made: Made, now: int) -> tuple[list[str], bool]:
    """(names of files that nothing shows any more, whether anything changed)."""
    unused: list[str] = []
    changed = False
    for shown, new in made:
        now_shown = images.shown_images(db, [shown.image.id]).get(shown.image.id)
        if now_shown is None or now_shown.renditions != shown.renditions:
            # It was withdrawn, or cloaked anew, while its files were read: whoever did that wrote what holds.
            unused += [rendition.name for rendition in new if not images.name_is_used(db, rendition.name)]
        elif {rendition.name for rendition in new} != {rendition.name for rendition in shown.renditions}:
            unused += images.restate_renditions(db, shown.image.id, new)
            changed = True
    files.retire(db, unused, now)
    return unused, changed


def _show(db: Connection, instance: Instance, work_id: int, made: Made, quiet: bool, unheard: bool, now: int) -> list[str]:
    """All files of a work at once, and one Update."""
    unused, changed = put_restated(db, made, now)
    work = works.work_by_id(db, work_id)
    if work is not None and work.state == WorkState.PUBLISHED and (changed or not quiet) and not unheard:
        # Mastodon fetches changed pictures only of a post that says it was edited since.
        works.change_work(db, work_id, edited_at=max(now, (work.edited_at or 0) + 1))
        announce_edit(db, instance.identifiers, work_id, now)
    return unused


async def _restate_portraits(instance: Instance, actor_id: int) -> None:
    shown = await instance.storage.read(actors.shown_actor, actor_id)
    if shown is None:
        return
    made = await restated(instance, [held for held in (shown.avatar, shown.header) if held is not None])

    def act(db: Connection, now: int) -> list[str]:
        unused, _ = put_restated(db, made, now)
        announce_actor(db, instance.identifiers, actor_id, now)
        return unused

    names = await instance.storage.write(act, instance.clock())
    await asyncio.to_thread(instance.files.discard_all, names)
    instance.wake(DELIVERY)
