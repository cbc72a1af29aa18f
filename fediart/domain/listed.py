"""Lists that are read page by page, where not every row is for every reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page, newest first: what the reader may see of its rows.

    `ends`: the ids of its newest and its oldest row, seen or not; None when there was no row. The next page begins there:
    one that began at what is seen would end the list where a page shows nothing.
    """

    items: list[T]
    ends: tuple[int, int] | None
    is_full: bool

    @property
    def older(self) -> int | None:
        """Where the next page begins, when there may be one."""
        return self.ends[1] if self.ends is not None and self.is_full else None


def listed(items: list[T], rows: list[int], limit: int) -> Listed[T]:
    """`rows`: the ids of all rows of the page, newest first; it is full with `limit` of them."""
    return Listed(items, (rows[0], rows[-1]) if rows else None, len(rows) >= limit)
