"""Quotes: posts of others that show a work of ours, with its artist's stamp."""

from __future__ import annotations

from dataclasses import dataclass

from fediart.domain.works import ShownActor, ShownWork


@dataclass(frozen=True, slots=True)
class Quote:
    """The post `uri`, by `actor_id`, may quote the work. Its id is that of the stamp, and of the moment it was allowed."""

    id: int
    work_id: int
    actor_id: int
    uri: str


@dataclass(frozen=True, slots=True)
class ShownQuote:
    quote: Quote
    quoter: ShownActor
    work: ShownWork
