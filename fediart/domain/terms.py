"""What holds for a work: the artist's choices, brought together with the instance's default. The one place that decides it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from fediart.domain.choices import Choices
from fediart.domain.declarations import Declaration
from fediart.domain.licences import Licensing, licensing_from
from fediart.domain.policy import AiPolicy
from fediart.domain.reservations import Reservation, reservation_from, reservation_of
from fediart.domain.works import Work


@dataclass(frozen=True, slots=True)
class Terms:
    """What goes out with a work, or with an artist's page."""

    reservation: Reservation
    licensing: Licensing
    declaration: Declaration = Declaration.NONE
    tell_cloaked: bool = True


def terms_of_artist(choices: Choices | None, policy: AiPolicy) -> Terms:
    """`choices` None: somebody of another server, for whom nobody here can choose."""
    choices = choices or Choices()
    reservation = reservation_of(None, choices.reservation, policy.reserve.default, may_change=policy.reserve.artist_may_change)
    return Terms(reservation, choices.licensing or Licensing(), tell_cloaked=choices.tell_cloaked)


def terms_of_work(work: Work, choices: Choices | None, policy: AiPolicy) -> Terms:
    """Of a work of another server (`choices` None) the stricter of what its author and what this server says."""
    if choices is None:
        return Terms(strictest(policy.reserve.default, [reservation_from(work.reservation)]), Licensing(), work.declaration)
    reservation = reservation_of(
        reservation_from(work.reservation),
        choices.reservation,
        policy.reserve.default,
        may_change=policy.reserve.artist_may_change,
    )
    licensing = licensing_from(work.licence, work.licence_text) or choices.licensing or Licensing()
    return Terms(reservation, licensing, work.declaration, choices.tell_cloaked)


def strictest(first: Reservation, others: Iterable[Reservation | None]) -> Reservation:
    """No wherever one of them says no."""
    return reduce(lambda held, other: held.stricter(other) if other is not None else held, others, first)
