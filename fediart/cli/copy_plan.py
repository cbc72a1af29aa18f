"""What `fediart cloak` will write, and where: settled, or refused, before anything is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fediart.errors import BadInput, ConfigError
from fediart.media.intake import IntakeLimits, check_header
from fediart.media.targets import SUFFIXES, Target, target_for

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
"""Files of a folder that are taken for pictures. A file that is named itself may be called anything."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A picture, and the file that its copy becomes: `place` below the output folder. Without a target `problem` says why."""

    source: Path
    place: Path
    target: Target | None
    problem: str = ""


def plan_copies(sources: Sequence[Path], out: Path, platform: str | None, limits: IntakeLimits) -> list[Planned]:
    """Every picture once, in the order named; those of a folder by name, with their path below it.

    Raises BadInput when two would become one file, when there is nothing to do, or when a picture lies in `out` itself.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file. --out takes a folder.")
    planned: dict[tuple[Path, Path], Planned] = {}
    for source in sources:
        _refuse_inside(source, out)
        for path, place in _pictures(source, out):
            item = _planned(path, place, platform, limits)
            planned.setdefault((path.resolve(), item.place), item)
    if not planned:
        raise BadInput(f"There are no pictures in {', '.join(str(source) for source in sources)}: no JPEG, PNG or WebP files.")
    _refuse_collisions(list(planned.values()), out)
    return list(planned.values())


def _refuse_inside(source: Path, out: Path) -> None:
    inner, outer = source.resolve(), out.resolve()
    if inner == outer or outer in inner.parents:
        where = "is the folder" if inner == outer else f"lies in {out},"
        raise BadInput(f"{source} {where} where the copies would go. Choose another --out, so that originals stay apart.")


def _pictures(source: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """(file, its path below the folder that was named). Hidden files are left out, and `out` where it lies inside."""
    if not source.is_dir():
        yield source, Path(source.name)
        return

    def unreadable(problem: OSError) -> None:
        raise ConfigError(f"The folder {problem.filename} cannot be read: {problem.strerror}.")

    for folder, below, files in os.walk(source, onerror=unreadable):
        here = Path(folder)
        below[:] = sorted(name for name in below if name[:1] != "." and (here / name).resolve() != out.resolve())
        for name in sorted(files):
            path = here / name
            if name[:1] != "." and path.suffix.lower() in ENDINGS and path.is_file():
                yield path, path.relative_to(source)


def _planned(path: Path, place: Path, platform: str | None, limits: IntakeLimits) -> Planned:
    try:
        if not path.is_file():
            raise BadInput("This is not a file.")
        with path.open("rb"):
            pass
        header = check_header(path, limits)
    except OSError as problem:
        return Planned(path, place, None, f"This file cannot be read: {problem.strerror}.")
    except BadInput as problem:
        return Planned(path, place, None, problem.message)
    target = target_for(platform, header.media_type)
    # A file keeps its whole name where it keeps its type, even when it never was what its ending says.
    if target.media_type != header.media_type:
        place = place.with_suffix(f".{SUFFIXES[target.media_type]}")
    return Planned(path, place, target)


def _refuse_collisions(planned: Sequence[Planned], out: Path) -> None:
    inputs = {item.source.resolve() for item in planned}
    taken: dict[str, Planned] = {}
    for item in planned:
        if item.target is None:
            continue
        other = taken.setdefault(_name(item.place), item)
        if other is not item:
            raise BadInput(
                f"{other.source} and {item.source} would both become {out / item.place}. Nothing was written. "
                "Give one another name, or cloak them into different folders."
            )
        if (out / item.place).resolve() in inputs:
            raise BadInput(
                f"The copy of {item.source} would be written over an original: {out / item.place}. Choose another --out."
            )


def _name(place: Path) -> str:
    """Where these systems see one file, so do we."""
    return place.as_posix().casefold() if sys.platform in ("win32", "darwin") else place.as_posix()
