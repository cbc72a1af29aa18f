"""Somebody of this server looks at an actor or a work of another: what was never delivered here is asked for."""

from __future__ import annotations

import structlog

from fediart.domain.actors import Actor
from fediart.domain.works import ShownWork
from fediart.errors import Unavailable
from fediart.instance import Instance
from fediart.remote.look_further import (
    BACKFILL,
    BACKFILL_PAUSE_MS,
    THREAD,
    THREAD_PAUSE_MS,
    ask_for_talk,
    ask_for_works,
)
from fediart.storage import jobs, looks

log = structlog.get_logger("fediart.studio")


async def look_at_actor(instance: Instance, viewer: int | None, actor: Actor) -> bool:
    """Is more of it on its way? Nothing for strangers (`viewer` None): what they look at costs other servers nothing."""
    if viewer is None or actor.is_local or actor.gone:
        return False
    last, now = await instance.storage.read(looks.looked_at, BACKFILL, actor.id), instance.clock()
    try:
        if (last is None or last <= now - BACKFILL_PAUSE_MS) and await instance.storage.write(ask_for_works, actor, now):
            instance.wake(BACKFILL)
    except Unavailable as problem:
        log.warning("look.not_begun", reason=problem.message, detail=problem.detail)
    return await instance.storage.read(jobs.is_asked, BACKFILL, {"actor_id": actor.id})


async def look_at_work(instance: Instance, viewer: int | None, shown: ShownWork) -> bool:
    """Is more of the talk around it on its way?"""
    author = shown.author.actor
    if viewer is None or author.is_local or not shown.work.visibility.is_open:
        return False
    last, now = await instance.storage.read(looks.looked_at, THREAD, shown.work.id), instance.clock()
    try:
        if (last is None or last <= now - THREAD_PAUSE_MS) and await instance.storage.write(
            ask_for_talk, shown.work, author, now
        ):
            instance.wake(THREAD)
    except Unavailable as problem:
        log.warning("look.not_begun", reason=problem.message, detail=problem.detail)
    return await instance.storage.read(jobs.is_asked, THREAD, {"work_id": shown.work.id})
