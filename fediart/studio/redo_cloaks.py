"""Old works are cloaked again by the present method, in the background: those of one artist, or of everybody here.

A run is a chain of jobs, one for each step: a picture is made anew and staged beside the old one; once all pictures of a
work are, they take the old ones' places in one transaction, with an Update to all who must hear of it. Whatever ends the
process, the old pictures are whole or the new ones are. The old files go, and answer 410.

Copies that other servers, or anyone else, made before stay as they were: nobody can call them back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog
from sqlalchemy import Connection

from fediart.domain.cloaks import Outlook, Redo, RedoState, Turn, TurnState, seconds_per_megapixel
from fediart.domain.images import Image, ImageState, Rendition, ShownImage
from fediart.domain.works import WorkState
from fediart.errors import BadInput, CloakFailed, EncoderFailed, NotFound
from fediart.ids import new_id
from fediart.instance import DELIVERY, Instance
from fediart.media.pipeline import RenderResult
from fediart.outbox.announce_work import announce_edit
from fediart.outbox.restate import RESTATE_WORK, restate_work
from fediart.storage import files, images, jobs, redos, works
from fediart.studio.arrange_images import discard
from fediart.studio.render_image import (
    discard_scratch,
    facts_of,
    goes_without,
    present_methods,
    put_files,
    rendered_anew,
    resumed_at,
)

log = structlog.get_logger("fediart.studio")

RECLOAK = "recloak"
"""The kind of job that is one step of a run."""

MEASURED = 200
"""An estimate is made of at most so many reports, the newest ones."""

LOOK_S = 1.0
"""While a picture is in hand: how often is it asked whether the run was stopped?"""


# ---------------------------------------------------------------------------------------------- before, and from outside


async def look_ahead(instance: Instance, actor_id: int | None, *, every: bool = False) -> Outlook:
    """What a run would do. Nothing is changed."""
    methods = await present_methods(instance)
    cloaked = await instance.storage.read(redos.cloaked_pictures, actor_id)
    behind = [picture for picture in cloaked if every or picture.method != methods[picture.strength]]
    here = await asyncio.to_thread(lambda: [picture for picture in behind if _has_original(instance, picture.vault_key)])
    reports = await instance.storage.read(redos.reports, sorted(methods.values()), MEASURED)
    is_same = bool(reports)
    if not is_same:
        reports = await instance.storage.read(redos.reports, None, MEASURED)
    told = [(json.loads(text), width * height / 1e6) for text, width, height in reports]
    # Of one that was gone on with after a kill the report tells the time of the rest only.
    pace = seconds_per_megapixel([(report["seconds"], size) for report, size in told if not report.get("resumed")])
    megapixels = sum(picture.width * picture.height for picture in here) / 1e6
    return Outlook(
        method=methods[""],
        present=sum(picture.method == methods[picture.strength] for picture in cloaked),
        behind=len(behind),
        lost=len(behind) - len(here),
        megapixels=megapixels,
        seconds=None if pace is None else pace * megapixels,
        measured=len(reports),
        same_method=is_same,
    )


def _has_original(instance: Instance, vault_key: str | None) -> bool:
    try:
        return vault_key is not None and instance.vault.path(vault_key).is_file()
    except NotFound:
        return False


async def start_redo(instance: Instance, actor_id: int | None, *, every: bool = False) -> Redo | None:
    """Begin a run over one artist's works, or (None) over everybody's. Returns it, or the one that is on; None: nothing to do.

    A run over everybody's takes over those of single artists.
    """
    if (await look_ahead(instance, actor_id, every=every)).doable == 0:
        return await instance.storage.read(redos.running_redo, actor_id)
    redo, names = await instance.storage.write(_start, actor_id, await present_methods(instance), every, instance.clock())
    await discard(instance, names, [])
    instance.wake(RECLOAK)
    return redo


def _start(db: Connection, actor_id: int | None, methods: dict[str, str], every: bool, now: int) -> tuple[Redo | None, list[str]]:
    held = redos.running_redo(db, actor_id)
    if held is not None:
        return held, []
    names = [name for redo in redos.running_redos(db) if actor_id is None for name in _end(db, redo.id, RedoState.STOPPED, now)]
    redo_id = new_id(now)
    redos.insert_redo(db, redo_id, actor_id, methods, now, every=every)
    _go_on(db, redo_id, now)
    return redos.redo_by_id(db, redo_id), names


async def stop_redo(instance: Instance, redo_id: int) -> bool:
    """End a run: what was made and not shown yet goes, works that are done stay so. False when it had ended already."""

    def act(db: Connection) -> tuple[bool, list[str]]:
        held = redos.redo_by_id(db, redo_id)
        if held is None or held.state != RedoState.RUNNING:
            return False, []
        return True, _end(db, redo_id, RedoState.STOPPED, instance.clock())

    was_running, names = await instance.storage.write(act)
    await discard(instance, names, [])
    return was_running


def _end(db: Connection, redo_id: int, state: RedoState, now: int) -> list[str]:
    names = [name for image_id, _ in redos.staged(db, redo_id) for name in images.stage_renditions(db, image_id, [])]
    redos.end_redo(db, redo_id, state, now)
    return names


# --------------------------------------------------------------------------------------------------- the steps of a run


def _go_on(db: Connection, redo_id: int, now: int) -> None:
    jobs.add_job(db, RECLOAK, {"redo_id": redo_id}, now=now, lane=f"redo {redo_id}")


def _is_on(db: Connection, redo_id: int) -> bool:
    redo = redos.redo_by_id(db, redo_id)
    return redo is not None and redo.state == RedoState.RUNNING


def _next(db: Connection, redo_id: int) -> tuple[Redo, int | None, Turn | None] | None:
    """(the run, a work whose pictures are all staged, else whose turn it is); None: it is over."""
    redo = redos.redo_by_id(db, redo_id)
    if redo is None or redo.state != RedoState.RUNNING:
        return None
    work_id = redos.work_to_swap(db, redo_id)
    return redo, work_id, redos.next_turn(db, redo_id) if work_id is None else None


async def redo_step(instance: Instance, redo_id: int) -> None:
    """One picture, or the swap of one work, or the end. Each leaves the job of the next step."""
    found = await instance.storage.read(_next, redo_id)
    if found is None:
        return
    redo, work_id, turn = found
    if work_id is not None:
        await _show(instance, redo_id, work_id)
    elif turn is not None:
        await _make_anew(instance, redo, turn)
    else:
        await instance.storage.write(_end, redo_id, RedoState.DONE, instance.clock())
        log.info("redo.done", redo=redo_id, pictures=redo.pictures, redone=redo.redone, failed=redo.failed, lost=redo.lost)
    instance.wake(RECLOAK)


async def give_up_step(instance: Instance, redo_id: int) -> None:
    """A step failed again and again for a reason that is ours: its pictures keep their older cloak, and the run goes on."""
    problem = "This picture could not be cloaked again. The server's log says why."

    def act(db: Connection, now: int) -> list[str]:
        found = _next(db, redo_id)
        if found is None:
            return []
        _, work_id, turn = found
        ids = [image_id for image_id, _ in redos.staged(db, redo_id, work_id)] if work_id is not None else []
        names = [name for image_id in ids for name in images.stage_renditions(db, image_id, [])]
        redos.end_turn(db, redo_id, ids + ([turn.image_id] if turn is not None else []), TurnState.FAILED, problem=problem)
        _go_on(db, redo_id, now)
        return names

    await discard(instance, await instance.storage.write(act, instance.clock()), [])
    instance.wake(RECLOAK)


async def _make_anew(instance: Instance, redo: Redo, turn: Turn) -> None:
    shown = (await instance.storage.read(images.shown_images, [turn.image_id])).get(turn.image_id)
    if shown is None or not _needs_it(shown.image, redo, await present_methods(instance)):
        await _end_turn(instance, turn, TurnState.DROPPED)
    elif not await asyncio.to_thread(_has_original, instance, shown.image.vault_key):
        await _end_turn(instance, turn, TurnState.LOST, "Its original is not in this server's vault any more.")
    else:
        try:
            async with contextlib.AsyncExitStack() as stack:
                making = stack.enter_async_context(rendered_anew(instance, shown.image))
                made = await _unless_stopped(instance, redo.id, making)
                if made is not None:
                    await _stage(instance, turn, shown, made)
            if made is None:
                await discard_scratch(instance.scratch_again(turn.image_id))
        except (BadInput, CloakFailed) as problem:
            if isinstance(problem, EncoderFailed) and await goes_without(instance, problem):
                await _make_anew(instance, redo, turn)
                return
            instance.metrics.refusals.count(problem.name)
            log.warning("redo.picture_failed", image=turn.image_id, reason=problem.message, detail=problem.detail)
            await _end_turn(instance, turn, TurnState.FAILED, problem.message)


def _needs_it(image: Image, redo: Redo, methods: dict[str, str]) -> bool:
    is_behind = image.cloak_method != methods[image.cloak_strength]
    return image.cloak and image.state == ImageState.READY and (redo.every or is_behind)


async def _unless_stopped(instance: Instance, redo_id: int, making: Coroutine[Any, Any, RenderResult]) -> RenderResult | None:
    """What comes of the picture in hand; None: the run was stopped meanwhile, and the picture let go at once."""
    task = asyncio.create_task(making)
    try:
        while not (await asyncio.wait({task}, timeout=LOOK_S))[0]:
            if not await instance.storage.read(_is_on, redo_id):
                return None
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _end_turn(instance: Instance, turn: Turn, state: TurnState, problem: str = "") -> None:
    await instance.storage.write(_put_end, turn, state, problem, instance.clock())


def _put_end(db: Connection, turn: Turn, state: TurnState, problem: str, now: int) -> None:
    if _is_on(db, turn.redo_id):
        if images.image_by_id(db, turn.image_id) is None:
            state, problem = TurnState.DROPPED, ""  # it was withdrawn while it was in hand: that explains all
        redos.end_turn(db, turn.redo_id, [turn.image_id], state, problem=problem)
        _go_on(db, turn.redo_id, now)


async def _stage(instance: Instance, turn: Turn, shown: ShownImage, made: RenderResult) -> None:
    """Files first, then rows: what a row names is on disk."""
    facts = facts_of(instance, shown.image, made)
    log.info("redo.picture_ready", image=turn.image_id, redo=turn.redo_id, resumed=resumed_at(made))
    held = {rendition.kind: rendition.sha256 for rendition in shown.renditions}
    if held == {item.kind: item.sha256 for item in made.renditions}:
        await instance.storage.write(_put_same, turn, facts, instance.clock())
        return
    new = await put_files(instance, shown.image, made)
    unused = await instance.storage.write(_put_staged, turn, new, facts, instance.clock())
    await discard(instance, unused, [])


def _put_same(db: Connection, turn: Turn, facts: dict[str, Any], now: int) -> None:
    """It came out as it is shown already: nobody need hear of that."""
    if _is_on(db, turn.redo_id):
        images.change_image(db, turn.image_id, **facts)
        redos.end_turn(db, turn.redo_id, [turn.image_id], TurnState.REDONE)
        _go_on(db, turn.redo_id, now)


def _put_staged(db: Connection, turn: Turn, new: Sequence[Rendition], facts: dict[str, Any], now: int) -> list[str]:
    if not _is_on(db, turn.redo_id) or images.image_by_id(db, turn.image_id) is None:
        _put_end(db, turn, TurnState.DROPPED, "", now)
        return [rendition.name for rendition in new if not images.name_is_used(db, rendition.name)]
    unused = images.stage_renditions(db, turn.image_id, new)
    redos.end_turn(db, turn.redo_id, [turn.image_id], TurnState.STAGED, result=json.dumps(facts))
    _go_on(db, turn.redo_id, now)
    return unused


async def _show(instance: Instance, redo_id: int, work_id: int) -> None:
    unused = await instance.storage.write(_swap, instance, redo_id, work_id, instance.clock())
    instance.wake(DELIVERY, RESTATE_WORK)
    await discard(instance, unused, [])
    log.info("work.recloaked", work=work_id, redo=redo_id)


def _swap(db: Connection, instance: Instance, redo_id: int, work_id: int, now: int) -> list[str]:
    """All new pictures of a work at once, and one Update."""
    if not _is_on(db, redo_id):
        return []
    work = works.work_by_id(db, work_id)
    unused: list[str] = []
    changed = False
    for image_id, result in redos.staged(db, redo_id, work_id):
        names = images.swap_renditions(db, image_id) if work is not None and work.state == WorkState.PUBLISHED else None
        redos.end_turn(db, redo_id, [image_id], TurnState.DROPPED if names is None else TurnState.REDONE)
        if names is not None:
            images.change_image(db, image_id, **json.loads(result))
            unused += names
            changed = True
    files.retire(db, unused, now)
    if work is not None and changed:
        # Mastodon fetches changed pictures only of a post that says it was edited since.
        works.change_work(db, work_id, edited_at=max(now, (work.edited_at or 0) + 1))
        announce_edit(db, instance.identifiers, work_id, now)
        # What was said of it may have changed between the picture's making and now.
        restate_work(db, work_id, now, quiet=True)
    _go_on(db, redo_id, now)
    return unused
