"""Images and their renditions, as nouns. Pixels are in `media/`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from fediart.domain.cloaks import CloakStrength


class ImageState(StrEnum):
    """PAUSED: its artist stopped it; what was done so far may be kept.

    EVICTED: another server's, whose files made room for others here.
    """

    WAITING = "waiting"
    CLOAKING = "cloaking"
    PAUSED = "paused"
    READY = "ready"
    FAILED = "failed"
    EVICTED = "evicted"


class Purpose(StrEnum):
    """REMOTE and EMOJI: another server's, in the cache."""

    WORK = "work"
    AVATAR = "avatar"
    HEADER = "header"
    REMOTE = "remote"
    EMOJI = "emoji"


@dataclass(frozen=True, slots=True)
class Image:
    """`problem` says why it failed, in words for its artist. `secret_names`: the files' names are random.

    `cloak_strength`: light, standard or strong; '' in what came before there was a choice: as the server's settings say.
    `weak_accepted`: its artist knows, or does not want to be asked, should it take only a weak cloak.
    `cloak_method`: by which it was cloaked (`domain/cloaks`), to be asked for; None: not at all, or not yet.
    `origin`: what its file said of how it was made (`domain/origin`, JSON). `reservation`: what came with another server's.
    """

    id: int
    actor_id: int
    work_id: int | None
    position: int
    purpose: Purpose
    state: ImageState
    progress: float
    problem: str
    alt: str
    focal_x: float | None
    focal_y: float | None
    width: int | None
    height: int | None
    blurhash: str | None
    cloak: bool
    cloak_report: str | None
    secret_names: bool
    vault_key: str | None
    original_name: str
    original_type: str | None
    original_bytes: int | None
    original_sha256: str | None
    remote_url: str | None
    used_at: int
    created_at: int
    cloak_strength: str
    weak_accepted: bool
    cloak_method: str | None
    origin: str | None
    reservation: str | None

    @property
    def chosen(self) -> CloakStrength | None:
        """What its artist chose. None: a cloak, as strong as the server's settings say."""
        if not self.cloak:
            return CloakStrength.NONE
        return CloakStrength(self.cloak_strength) if self.cloak_strength else None

    @property
    def is_weak(self) -> bool:
        """It is cloaked, but could take little: flat colour, or lines on white."""
        return self.cloak and self.cloak_report is not None and bool(json.loads(self.cloak_report).get("weak"))

    @property
    def asks(self) -> bool:
        """Its artist must say whether it goes out with a weak cloak."""
        return self.state == ImageState.READY and self.is_weak and not self.weak_accepted


@dataclass(frozen=True, slots=True)
class Rendition:
    """`name` is the file's name in the public store; `kind` is public, large (long side 1,280) or preview (640).

    A row's kind can also be "next public", "next large" or "next preview": made, and not shown yet.
    """

    image_id: int
    kind: str
    name: str
    media_type: str
    width: int
    height: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ShownImage:
    """An image with its renditions, where they exist."""

    image: Image
    public: Rendition | None
    preview: Rendition | None
    large: Rendition | None = None

    @property
    def renditions(self) -> tuple[Rendition, ...]:
        """Those that there are, the largest first."""
        return tuple(held for held in (self.public, self.large, self.preview) if held is not None)


def base_name(said: str) -> str:
    """Of a file's name, as a program may send it with folders in either spelling: what follows the last of them. '' for `..`."""
    last = said.replace("\\", "/").rpartition("/")[2]
    return "" if last.strip(".") == "" else last


def is_secret_name(name: str) -> bool:
    """Is this a random name of the public store, of a picture that is not open to everyone? `media/files` makes them."""
    return name.startswith("p/")
