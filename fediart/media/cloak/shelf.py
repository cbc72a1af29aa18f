"""Where encoder files lie. A file's name says which one it is, and its hash must agree whenever it is taken down."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from fediart.errors import BadEncoder, NotFound
from fediart.media.cloak.architectures import architecture_of
from fediart.media.cloak.catalogue import CATALOGUE, Catalogue, Encoder, is_full
from fediart.media.cloak.encoder_files import read_bounded
from fediart.media.disk import write_whole

if TYPE_CHECKING:
    from fediart.media.cloak.weights import FullFile

log = structlog.get_logger("fediart.cloak")

SUFFIXES = (".pth", ".safetensors")
_HASHED = 12
"""Digits of the hash that name a file which the catalogue does not know."""


@dataclass(frozen=True, slots=True)
class HeldEncoder:
    """A file on the shelf that is what its name says. `mirrors` and `licence` are '' where the catalogue does not know it."""

    name: str
    path: Path
    sha256: str
    size: int
    mirrors: str
    licence: str
    is_full: bool = False


@dataclass(frozen=True, slots=True)
class Impostor:
    """A file on the shelf that is not what its name says, or cannot be read: it is not used."""

    name: str
    path: Path


class Shelf:
    """The encoder files in a folder, which need not be there yet."""

    def __init__(self, folder: Path, catalogue: Catalogue = CATALOGUE) -> None:
        self.folder = folder
        self.catalogue = catalogue
        self._told: set[str] = set()
        self._looked: dict[Path, tuple[tuple[int, int], HeldEncoder | None]] = {}

    def survey(self) -> tuple[list[HeldEncoder], list[Impostor]]:
        """What lies here, by name. Every file is hashed: a few milliseconds each, a second for a full encoder's."""
        held: list[HeldEncoder] = []
        others: list[Impostor] = []
        paths = self.folder.iterdir() if self.folder.is_dir() else []
        for path in sorted(path for path in paths if path.suffix in SUFFIXES and not path.name.startswith(".")):
            found = self._held(path)
            if found is not None:
                held.append(found)
            else:
                others.append(Impostor(path.stem, path))
        return held, others

    def held(self) -> list[HeldEncoder]:
        """The encoders that can be used, by name. Of a file that is another than its name says, the log tells once."""
        held, others = self.survey()
        for other in others:
            self._tell(other.name, other.path)
        return held

    def _tell(self, name: str, path: Path) -> None:
        if name not in self._told:
            self._told.add(name)
            log.warning("cloak.encoder_is_another", file=str(path), told=_IS_ANOTHER)

    def path(self, name: str) -> Path:
        """The file of an encoder that can be used. Raises BadEncoder."""
        held, others = self.survey()
        for found in held:
            if found.name == name:
                return found.path
        if any(other.name == name for other in others):
            raise BadEncoder(f"The encoder {name} is not used: {_IS_ANOTHER}")
        raise BadEncoder(f"The encoder {name} is not here. {self._how_to_get(name)}")

    def missing(self, names: Sequence[str]) -> list[Encoder]:
        """Those of the catalogue's that are not here, or not as they should be."""
        here = {found.name for found in self.survey()[0]}
        return [self.catalogue[name] for name in names if name not in here]

    def add(self, source: Path, wanted: Encoder | None = None) -> HeldEncoder:
        """Put a copy of a file on the shelf, under the name that its hash gives it. Raises BadEncoder, Unavailable.

        With `wanted` it must be that encoder's file. So must one that bears the name of an encoder of the catalogue.
        """
        from fediart.media.cloak.weights import FullFile  # numpy: the server takes up most of its days without a look inside

        full = FullFile(source) if is_full(source, wanted) else None
        try:
            return self._add(source, wanted, full)
        finally:
            if full is not None:
                full.close()

    def _add(self, source: Path, wanted: Encoder | None, full: FullFile | None) -> HeldEncoder:
        from fediart.media.cloak.layers import layers_of
        from fediart.media.cloak.weights import weights_of

        data = read_bounded(source) if full is None else b""
        sha256 = hashlib.sha256(data).hexdigest() if full is None else full.sha256()
        meant = wanted or self.catalogue.get(source.stem.removesuffix("_encoder"))
        if meant is not None and sha256 != meant.sha256:
            what, advice = (
                (source.name, " To use it all the same, give it another name.") if wanted is None else ("What came", "")
            )
            raise BadEncoder(
                f"{what} is not the file of the encoder {meant.name}: its sha256 is another. It may be damaged, or of another "
                f"version.{advice}",
                detail=f"sha256 {sha256}, wanted {meant.sha256}",
            )
        known = self._known(sha256)
        name = known.name if known is not None else sha256[:_HASHED]
        if full is None:
            layers_of(weights_of(data))
            path = self.folder / f"{name}{SUFFIXES[0] if data[:2] == b'PK' else SUFFIXES[1]}"
            write_whole(path, data, mode=0o600)
            return self._described(name, path, sha256, len(data))
        if architecture_of(full.shapes) is None:
            raise BadEncoder(f"{source.name} is no full encoder that is known here (Stable Diffusion, SDXL, FLUX.2, Qwen-Image).")
        path = self.folder / f"{name}{SUFFIXES[1]}"
        write_whole(path, source, mode=0o600)
        return self._described(name, path, sha256, full.size, is_full=True)

    def remove(self, name: str) -> None:
        """Take an encoder's file away, whatever is in it. Raises NotFound."""
        held, others = self.survey()
        paths = [found.path for found in held if found.name == name]
        paths += [other.path for other in others if other.name == name]
        if not paths:
            raise NotFound(f"There is no encoder {name[:40]} here.")
        for path in paths:
            path.unlink(missing_ok=True)

    def _known(self, sha256: str) -> Encoder | None:
        return next((encoder for encoder in self.catalogue.values() if encoder.sha256 == sha256), None)

    def to_steer_by(self, names: Sequence[str]) -> tuple[tuple[str, Path], ...]:
        """(name, file) of those named that are here, and of those that somebody added without the catalogue, by name."""
        return tuple((name, path) for name, path in sorted(self._here().items()) if name in names or name not in self.catalogue)

    def named(self, names: Sequence[str]) -> tuple[tuple[str, Path], ...]:
        """(name, file) of those named that are here, in that order."""
        here = self._here()
        return tuple((name, here[name]) for name in names if name in here)

    def _here(self) -> dict[str, Path]:
        """By name, what can be used. A file that was looked at before and has its time and size still is not hashed again:
        whoever opens it does that."""
        paths = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        here: dict[str, Path] = {}
        for path in paths:
            if path.suffix not in SUFFIXES or path.name.startswith("."):
                continue
            status = path.stat()
            mark = status.st_mtime_ns, status.st_size
            if path not in self._looked or self._looked[path][0] != mark:
                self._looked[path] = mark, self._held(path)
                if self._looked[path][1] is None:
                    self._tell(path.stem, path)
            found = self._looked[path][1]
            if found is not None:
                here[found.name] = path
        return here

    def set_aside(self, name: str) -> bool:
        """A cloak could not use this encoder: it is not used before its file is written anew. False: it was not in use."""
        in_use = [path for path, (_, found) in self._looked.items() if found is not None and found.name == name]
        for path in in_use:
            self._looked[path] = self._looked[path][0], None
            self._told.discard(name)  # should it break again once it was mended, that is told again
        return bool(in_use)

    def _held(self, path: Path) -> HeldEncoder | None:
        """None when the file is not what its name says."""
        try:
            large = is_full(path, self.catalogue.get(path.stem))
            sha256, size = _told_apart(path, large=large)
        except BadEncoder:
            return None
        if path.stem in self.catalogue:
            is_itself = self.catalogue[path.stem].sha256 == sha256
        else:
            is_itself = path.stem == sha256[:_HASHED]
        return self._described(path.stem, path, sha256, size, is_full=large) if is_itself else None

    def _described(self, name: str, path: Path, sha256: str, size: int, *, is_full: bool = False) -> HeldEncoder:
        known = self.catalogue.get(name)
        mirrors, licence = (known.mirrors, known.licence) if known else ("", "")
        return HeldEncoder(name, path, sha256, size, mirrors, licence, is_full)

    def _how_to_get(self, name: str) -> str:
        if name in self.catalogue:
            return f"fediart cloak encoders fetch {name} fetches it; without internet, fediart cloak encoders add FILE."
        return "fediart cloak encoders add FILE puts a file on the shelf."


def _told_apart(path: Path, *, large: bool) -> tuple[str, int]:
    """(sha256, size) of an encoder's file. Raises BadEncoder."""
    if not large:
        data = read_bounded(path)
        return hashlib.sha256(data).hexdigest(), len(data)
    from fediart.media.cloak.weights import FullFile

    file = FullFile(path)
    try:
        return file.sha256(), file.size
    finally:
        file.close()


_IS_ANOTHER = "its file is not the one that its name says. Remove it, and fetch or add it again."


def own_folder(env: Mapping[str, str], home: Path, platform: str = sys.platform) -> Path:
    """Where encoders lie for whoever cloaks without a server: in the user's data folder."""
    if platform == "win32":
        base = Path(env["LOCALAPPDATA"]) if env.get("LOCALAPPDATA") else home / "AppData" / "Local"
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        # A relative path is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest/
        given = Path(env.get("XDG_DATA_HOME", ""))
        base = given if given.is_absolute() else home / ".local" / "share"
    return base / "fediart" / "encoders"
