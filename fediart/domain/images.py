"""Images and their renditions, as nouns. Pixels are in `media/`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ImageState(StrEnum):
    """`evicted`: another server's, whose files made room for others here."""

    WAITING = "waiting"
    CLOAKING = "cloaking"
    READY = "ready"
    FAILED = "failed"
    EVICTED = "evicted"


class Purpose(StrEnum):
    WORK = "work"
    AVATAR = "avatar"
    HEADER = "header"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Image:
    """`problem` says why it failed, in words for its artist. `secret_names`: the files' names are random."""

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


@dataclass(frozen=True, slots=True)
class Rendition:
    """`name` is the file's name in the public store; `kind` is public or preview."""

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
