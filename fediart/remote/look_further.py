"""What is not delivered is asked for, once in a while: an actor's older works, the talk around a work. A job does it.

Each is an act that leaves the job; the crew of that name must be woken.
"""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.activitypub.identifiers import host_of
from fediart.domain.actors import Actor
from fediart.domain.works import Work
from fediart.storage import jobs, looks

BACKFILL, THREAD = "backfill", "thread"
BACKFILL_PAUSE_MS = 24 * 3600 * 1000
FOLLOW_PAUSE_MS = THREAD_PAUSE_MS = 3600 * 1000


def ask_for_works(db: Connection, actor: Actor, now: int, *, pause_ms: int = BACKFILL_PAUSE_MS) -> bool:
    """Have the older works of an actor of another server fetched, unless that was done within `pause_ms`."""
    if actor.is_local or actor.gone or not looks.begin_look(db, BACKFILL, actor.id, now=now, pause_ms=pause_ms):
        return False
    jobs.add_job(db, BACKFILL, {"actor_id": actor.id}, now=now, lane=f"look {actor.host}")
    return True


def ask_for_talk(db: Connection, work: Work, author: Actor, now: int) -> bool:
    """Have what a work of another server answers, and its answers, fetched, unless that was done within the hour."""
    if author.is_local or not looks.begin_look(db, THREAD, work.id, now=now, pause_ms=THREAD_PAUSE_MS):
        return False
    jobs.add_job(db, THREAD, {"work_id": work.id}, now=now, lane=f"look {host_of(work.uri)}")
    return True
