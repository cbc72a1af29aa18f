"""The artist's word on what machines and people may do: with all works, or with one. It is hers, dated; we pass it on."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.choices import Choices
from fediart.domain.licences import MAX_TERMS, Licence, Licensing
from fediart.domain.reservations import Reservation, reservation_from, reservation_text
from fediart.domain.works import WorkState
from fediart.errors import BadInput
from fediart.instance import Instance
from fediart.outbox.restate import RESTATE, RESTATE_WORK, restate_all, restate_work
from fediart.storage import actors, reserved, settings, works
from fediart.studio.publish_work import own_work


def check_licensing(licensing: Licensing | None) -> None:
    """Raises BadInput in words for the artist."""
    if licensing is None or licensing.licence != Licence.CUSTOM:
        return
    if not licensing.text.strip():
        raise BadInput("Terms of your own need words: say what is allowed, or choose one of the licences.")
    if len(licensing.text) > MAX_TERMS:
        raise BadInput(f"Your terms have {len(licensing.text)} characters; at most {MAX_TERMS} fit. Nothing was lost.")


async def choose_rights(instance: Instance, account: Account, choices: Choices) -> None:
    """For all works that say nothing else, from now on and of before. `choices.reservation` is dated here. Raises BadInput."""
    check_licensing(choices.licensing)

    def act(db: Connection, now: int) -> bool:
        held = actors.choices_of(db, [account.actor_id]).get(account.actor_id, Choices())
        chosen = replace(choices, reservation=_dated(choices.reservation, held.reservation, now))
        if chosen == held:
            return False
        reserved.put_choices(db, account.id, chosen)
        restate_all(db, account.actor_id, now)
        return True

    await instance.storage.write(act, instance.clock())
    instance.said_of_files.clear()
    instance.wake(RESTATE)


async def choose_for_work(
    instance: Instance, account: Account, work_id: int, reservation: Reservation | None, licensing: Licensing | None
) -> None:
    """For this one. None: as for all works. Raises BadInput, NotFound."""
    check_licensing(licensing)

    def act(db: Connection, now: int) -> None:
        work = own_work(db, account, work_id)
        dated = _dated(reservation, reservation_from(work.reservation), now)
        values = {"reservation": reservation_text(dated), **reserved.licence_columns(licensing)}
        if all(getattr(work, name) == value for name, value in values.items()):
            return
        works.change_work(db, work_id, **values)
        if work.state != WorkState.DRAFT:
            restate_work(db, work_id, now)

    await instance.storage.write(act, instance.clock())
    instance.said_of_files.clear()
    instance.wake(RESTATE_WORK)


def _dated(chosen: Reservation | None, held: Reservation | None, now: int) -> Reservation | None:
    """The same answers keep their date."""
    if chosen is None or (held is not None and chosen.is_like(held)):
        return held if chosen is not None else None
    return replace(chosen, chosen_at=now)


# --------------------------------------------------------------------------------------------------- asked once


def _asked(account: Account) -> str:
    return f"rights asked {account.id}"


async def is_to_be_asked(instance: Instance, account: Account) -> bool:
    """Once, where the policy says that each artist is asked, and she has not said anything yet."""
    if not instance.policy.reserve.ask_artists or account.reservation is not None:
        return False
    return await instance.storage.read(settings.setting, _asked(account)) is None


async def was_asked(instance: Instance, account: Account) -> None:
    """She answered, or will later: she is not asked again. No answer leaves the instance's default."""
    await instance.storage.write(settings.put_setting, _asked(account), "1")
