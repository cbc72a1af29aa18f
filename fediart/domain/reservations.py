"""What an artist reserves: whether machines may learn from a work, answer with it, find it. Chosen by the artist, sent by us."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Reservation:
    """`chosen_at`: when its artist said so, ms since 1970; 0: nobody did, it is the instance's default."""

    training: Answer = Answer.DENY
    ai_input: Answer = Answer.DENY
    search: Answer = Answer.ALLOW
    chosen_at: int = 0

    @property
    def is_reserved(self) -> bool:
        """Is anything of it kept from AI? What TDMRep calls a reservation."""
        return Answer.DENY in (self.training, self.ai_input)

    @property
    def words(self) -> str:
        """In sentences, for people."""
        denied = [
            words
            for answer, words in ((self.training, "trained on it"), (self.ai_input, "given it to answer with"))
            if answer == Answer.DENY
        ]
        if len(denied) == 2:
            said = "AI may not be trained on it, nor be given it to answer with."
        else:
            said = f"AI may not be {denied[0]}." if denied else "AI may be trained on it, and be given it to answer with."
        found = "Search engines may list it." if self.search == Answer.ALLOW else "Search engines may not list it."
        return f"{said} {found}"

    def is_like(self, other: Reservation) -> bool:
        """The same answers, whenever they were given."""
        return _parts(self) == _parts(other)

    def stricter(self, other: Reservation) -> Reservation:
        """Of two, no wherever either says no: what a copy of somebody else's picture goes out with."""

        def either(one: Answer, two: Answer) -> Answer:
            return Answer.DENY if Answer.DENY in (one, two) else Answer.ALLOW

        return Reservation(
            either(self.training, other.training), either(self.ai_input, other.ai_input), either(self.search, other.search)
        )


def reservation_of(
    work: Reservation | None, artist: Reservation | None, instance: Reservation, *, may_change: bool
) -> Reservation:
    """Which holds: the work's own, else its artist's, else the instance's. `may_change` False: the instance's, or stricter."""
    chosen = work or artist
    if chosen is None:
        return instance
    if not may_change:
        return Reservation(*_parts(chosen.stricter(instance)), chosen_at=chosen.chosen_at)
    return chosen


def _parts(reservation: Reservation) -> tuple[Answer, Answer, Answer]:
    return reservation.training, reservation.ai_input, reservation.search


def reservation_from(text: str | None) -> Reservation | None:
    """As it stands in a row; None where nothing was said."""
    if text is None:
        return None
    held = json.loads(text)
    return Reservation(Answer(held["training"]), Answer(held["ai_input"]), Answer(held["search"]), held["chosen_at"])


def reservation_text(reservation: Reservation | None) -> str | None:
    """For a row."""
    if reservation is None:
        return None
    values = ("training", "ai_input", "search", "chosen_at")
    return json.dumps({name: getattr(reservation, name) for name in values})
