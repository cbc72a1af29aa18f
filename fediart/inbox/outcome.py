"""What a handler leaves to be done once its change is committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """`wake`: crews that have new rows. `discard`: files of the public store that no row names any more.

    `left`: why nothing was changed, in words for the log; '' when something was.
    """

    wake: tuple[str, ...] = ()
    discard: tuple[str, ...] = ()
    left: str = ""


NOTHING = Done()
"""Done, and nothing else to do."""


def left(why: str) -> Done:
    """Understood, and nothing came of it: each reason has its own words, so that they can be counted in the log."""
    return Done(left=why)


Later = Callable[[], Awaitable[Done]]
"""It takes more than one transaction, or another server must be asked first: to be awaited outside of any transaction."""
