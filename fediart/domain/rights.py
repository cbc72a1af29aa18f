"""What an artist says of the rights in a picture, as it is written into every file of it that leaves."""

from __future__ import annotations

from dataclasses import dataclass

from fediart.domain.reservations import Reservation


@dataclass(frozen=True, slots=True)
class Rights:
    """Plain words and addresses; an empty string or None: nothing is said.

    `data_mining` is a name of the PLUS vocabulary (DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING, …).
    `digital_source_type` is an address of the IPTC vocabulary, and only what the artist declared herself.
    `constraint`: what is prohibited, in words, where `data_mining` says that it stands in words.
    `tdm_reservation`: 1 reserves, 0 does not (TDMRep); `web_statement` is the page that tells of the rights.
    """

    creator: str
    credit: str
    copyright_notice: str
    licence_url: str | None
    usage_terms: str
    web_statement: str
    data_mining: str
    digital_source_type: str | None
    tdm_reservation: int
    tdm_policy: str
    constraint: str = ""


@dataclass(frozen=True, slots=True)
class Assertions:
    """What Content Credentials in a file assert. `source_type`: IPTC's address, only as its artist declared it herself."""

    title: str
    reservation: Reservation
    source_type: str | None
