"""Copies of everything that a server holds: what one says of itself, how the last one went, and which are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fediart.clock import to_iso

FORMAT = 1
"""Of the archive. A reader that knows no higher number says so."""

RESTORING = ".restoring"
"""Folder in a data folder while a restore into it has not ended. No server starts there."""

SUFFIX, SEALED_SUFFIX = ".tar", ".tar.sealed"
_BEGINNING = "fediart-"


@dataclass(frozen=True, slots=True)
class About:
    """The first entry of a backup. `made_at` in ms. `schema`: the newest migration of its tables.

    `has_files`: False of a copy of the database alone, as it is made before an upgrade on PostgreSQL.
    """

    format: int
    id: str
    made_at: int
    made_by: str
    schema: str
    address: str
    has_files: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup holds. `bytes`: of the one file; 0 where nobody counted.

    `lost`: files that rows name and that were not on the disk any more; `changed`: those that are not what was once put there.
    """

    about: About
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    lost: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the last backup went. `at`, `good_at` in ms; `good_at`: of the last one that went well, 0 if there was none.

    `words`: what went wrong, or what must be known of one that went well.
    """

    at: int
    good_at: int
    bytes: int
    place: str
    words: str

    @property
    def is_good(self) -> bool:
        return self.at == self.good_at


def name_at(ms: int, *, is_sealed: bool) -> str:
    """`fediart-20261129T031500Z.tar`: in order of time, and plain on every disk."""
    moment = to_iso(ms)[:19].replace("-", "").replace(":", "")
    return f"{_BEGINNING}{moment}Z{SEALED_SUFFIX if is_sealed else SUFFIX}"


def time_of_name(name: str) -> int | None:
    """In ms; None of a file that no schedule wrote."""
    for suffix in (SEALED_SUFFIX, SUFFIX):
        if name.startswith(_BEGINNING) and name.endswith(suffix):
            try:
                moment = datetime.strptime(name[len(_BEGINNING) : -len(suffix)], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            except ValueError:
                return None
            return int(moment.timestamp()) * 1000
    return None


def kept_of(times: Iterable[int], *, daily: int, weekly: int) -> set[int]:
    """Of copies made at these times (ms), those that stay: the newest, and the last one of each of the newest days and weeks.

    Days without a copy do not count, so what a server has that was off for a month is not thrown away when it is back.
    """
    newest_first = sorted(times, reverse=True)
    days: dict[object, int] = {}
    weeks: dict[object, int] = {}
    for ms in newest_first:
        day = datetime.fromtimestamp(ms / 1000, UTC).date()
        days.setdefault(day, ms)
        weeks.setdefault(day.isocalendar()[:2], ms)
    return {*newest_first[:1], *list(days.values())[:daily], *list(weeks.values())[:weekly]}
