"""What an artist of this server says of all her works, once."""

from __future__ import annotations

from dataclasses import dataclass

from fediart.domain.licences import Licensing
from fediart.domain.reservations import Reservation


@dataclass(frozen=True, slots=True)
class Choices:
    """None: nothing was said. `tell_cloaked`: may other servers be told that a picture is cloaked?"""

    reservation: Reservation | None = None
    licensing: Licensing | None = None
    tell_cloaked: bool = True
    quotes: str = ""
    """A `works.QuotePolicy`; '': nobody."""
