"""What a handler leaves to be done once its change is committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """`wake`: crews that have new rows. `discard`: files of the public store that no row names any more."""

    wake: tuple[str, ...] = ()
    discard: tuple[str, ...] = ()


NOTHING = Done()

Later = Callable[[], Awaitable[Done]]
"""It takes more than one transaction, or another server must be asked first: to be awaited outside of any transaction."""
