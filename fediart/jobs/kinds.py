"""The table from a job's kind to the act that does it, and how many of a kind run side by side.

Arrivals and deliveries are not here: they come in such numbers that they have crews of their own (`jobs/runner`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fediart.inbox.backfill import backfill
from fediart.inbox.fetch_thread import fetch_thread
from fediart.inbox.synchronise import SYNCHRONISE, synchronise
from fediart.instance import Instance
from fediart.office.admit_people import ADMIT
from fediart.office.adopt_policy import REJUDGE
from fediart.office.keep_backups import BACKUP, back_up
from fediart.office.lapse import lapse
from fediart.office.limit_host import HOST_RULES, apply_host_rules
from fediart.office.rejudge_works import give_up_rejudging, rejudge_works
from fediart.outbox.restate import RESTATE, RESTATE_WORK, restate_one, restate_step
from fediart.outbox.restate import give_up_step as give_up_step_of_run
from fediart.outbox.send_letter import LETTER, send_letter
from fediart.remote.look_further import BACKFILL, THREAD
from fediart.studio.block_actor import LAPSE
from fediart.studio.bring_image import bring_image, give_up_picture
from fediart.studio.copy_image import give_up_copy, make_copy
from fediart.studio.delete_account import DEPART, depart
from fediart.studio.redo_cloaks import RECLOAK, give_up_step, redo_step
from fediart.studio.release_work import cloak_image, give_up_image, give_up_release, release_work
from fediart.studio.sign_up import open_admitted

Act = Callable[[Instance, dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """`lanes`: worked on side by side. `lease_ms`: renewed while it runs. `tries` before `give_up` says what becomes of it.

    `after`: kinds of which nothing may be due or in hand when one of this kind is begun.
    `in_turn`: where many wait, their owners come in turn.
    """

    act: Act
    lanes: int
    batch: int
    lease_ms: int
    tries: int
    give_up: Act
    after: tuple[str, ...] = ()
    in_turn: bool = False


def _of(act: Callable[[Instance, int], Awaitable[None]], name: str) -> Act:
    async def with_id(instance: Instance, payload: dict[str, Any]) -> None:
        await act(instance, payload[name])

    return with_id


def _restate(act: Callable[[Instance, int, int], Awaitable[None]]) -> Act:
    async def step(instance: Instance, payload: dict[str, Any]) -> None:
        await act(instance, payload["actor_id"], payload["run"])

    return step


async def _restate_work(instance: Instance, payload: dict[str, Any]) -> None:
    await restate_one(instance, payload["work_id"], quiet=payload["quiet"])


async def _nothing(_instance: Instance, _payload: dict[str, Any]) -> None:
    """What was there stays, and the log has said why."""


KINDS: dict[str, Kind] = {
    "cloak": Kind(_of(cloak_image, "image_id"), 1, 1, 60_000, 4, _of(give_up_image, "image_id"), in_turn=True),
    "release": Kind(_of(release_work, "work_id"), 2, 2, 60_000, 12, _of(give_up_release, "work_id")),
    "copy": Kind(_of(make_copy, "copy_id"), 1, 1, 60_000, 4, _of(give_up_copy, "copy_id")),
    "bring_image": Kind(_of(bring_image, "image_id"), 2, 2, 120_000, 6, _of(give_up_picture, "image_id")),
    LETTER: Kind(send_letter, 2, 2, 120_000, 12, _nothing),
    ADMIT: Kind(_of(open_admitted, "applicant_id"), 1, 1, 60_000, 12, _nothing),
    DEPART: Kind(depart, 1, 1, 120_000, 1_000, _nothing),
    LAPSE: Kind(lapse, 1, 1, 60_000, 4, _nothing),
    HOST_RULES: Kind(apply_host_rules, 1, 1, 60_000, 12, _nothing),
    BACKFILL: Kind(_of(backfill, "actor_id"), 4, 4, 120_000, 3, _nothing),
    SYNCHRONISE: Kind(synchronise, 2, 2, 120_000, 3, _nothing),
    THREAD: Kind(_of(fetch_thread, "work_id"), 4, 4, 120_000, 3, _nothing),
    REJUDGE: Kind(_of(rejudge_works, "number"), 1, 1, 60_000, 4, _of(give_up_rejudging, "number")),
    RESTATE: Kind(_restate(restate_step), 1, 1, 60_000, 4, _restate(give_up_step_of_run), after=("release",)),
    RESTATE_WORK: Kind(_restate_work, 1, 1, 60_000, 4, _nothing, after=("release",)),
    BACKUP: Kind(back_up, 1, 1, 60_000, 4, _nothing),
    # Old works wait for new ones: whoever uploads now sits before the screen.
    RECLOAK: Kind(_of(redo_step, "redo_id"), 1, 1, 60_000, 4, _of(give_up_step, "redo_id"), after=("cloak", "release")),
}
