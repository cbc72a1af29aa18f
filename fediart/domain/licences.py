"""What others may do with a work: all rights reserved, one of Creative Commons' licences, or the artist's own words.

A licence says what its artist allows to people. What machines may learn from is another matter (`domain/reservations`): the
two stand side by side, and neither takes the other back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_TERMS = 2_000
"""Most characters of an artist's own terms: so many fit into the file of a picture too."""

_CC = "https://creativecommons.org"


class Licence(StrEnum):
    RESERVED = "all-rights-reserved"
    BY = "cc-by"
    BY_SA = "cc-by-sa"
    BY_NC = "cc-by-nc"
    BY_NC_SA = "cc-by-nc-sa"
    BY_ND = "cc-by-nd"
    BY_NC_ND = "cc-by-nc-nd"
    CC0 = "cc0"
    CUSTOM = "custom"

    @property
    def url(self) -> str | None:
        """The address of its text; None where there is none but the artist's own page of rights."""
        if self in (Licence.RESERVED, Licence.CUSTOM):
            return None
        if self == Licence.CC0:
            return f"{_CC}/publicdomain/zero/1.0/"
        return f"{_CC}/licenses/{self.removeprefix('cc-')}/4.0/"

    @property
    def words(self) -> str:
        """Its name."""
        return _WORDS[self]

    @property
    def meaning(self) -> str:
        """What it comes to, in a sentence. Creative Commons' own text is what counts."""
        return _MEANINGS[self]


_WORDS = {
    Licence.RESERVED: "All rights reserved",
    Licence.BY: "Creative Commons Attribution 4.0 (CC BY)",
    Licence.BY_SA: "Creative Commons Attribution-ShareAlike 4.0 (CC BY-SA)",
    Licence.BY_NC: "Creative Commons Attribution-NonCommercial 4.0 (CC BY-NC)",
    Licence.BY_NC_SA: "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 (CC BY-NC-SA)",
    Licence.BY_ND: "Creative Commons Attribution-NoDerivatives 4.0 (CC BY-ND)",
    Licence.BY_NC_ND: "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0 (CC BY-NC-ND)",
    Licence.CC0: "Creative Commons Zero: no rights reserved (CC0)",
    Licence.CUSTOM: "Terms of the artist's own",
}

_MEANINGS = {
    Licence.RESERVED: "Whoever wants to use it asks the artist first.",
    Licence.BY: "Anyone may use and change it, also for money, who names the artist.",
    Licence.BY_SA: "Anyone may use and change it, also for money, who names the artist and passes it on likewise.",
    Licence.BY_NC: "Anyone may use and change it, not for money, who names the artist.",
    Licence.BY_NC_SA: "Anyone may use and change it, not for money, who names the artist and passes it on likewise.",
    Licence.BY_ND: "Anyone may pass it on unchanged, also for money, who names the artist.",
    Licence.BY_NC_ND: "Anyone may pass it on unchanged, not for money, who names the artist.",
    Licence.CC0: "Anyone may do anything with it. This cannot be taken back.",
    Licence.CUSTOM: "The artist says in words what is allowed.",
}


@dataclass(frozen=True, slots=True)
class Licensing:
    """A licence as it was chosen; `text` are the artist's own terms, of CUSTOM only."""

    licence: Licence = Licence.RESERVED
    text: str = ""

    @property
    def words(self) -> str:
        return self.text if self.licence == Licence.CUSTOM else self.licence.words


def licensing_from(licence: str, text: str) -> Licensing | None:
    """As it stands in two columns; None where nothing was chosen, or a later version's word stands."""
    if licence not in tuple(Licence):
        return None
    return Licensing(Licence(licence), text if licence == Licence.CUSTOM else "")
