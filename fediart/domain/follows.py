"""Who follows whom, and how far that has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit


class FollowState(StrEnum):
    REQUESTED = "requested"
    ACCEPTED = "accepted"


def origin_of(uri: str) -> str:
    """Scheme, host and port of an address: the followers that one server has are those whose ids begin alike."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.lower()}"


@dataclass(frozen=True, slots=True)
class Follow:
    """Counts only once accepted: an unanswered request opens nothing."""

    id: int
    follower_id: int
    followee_id: int
    uri: str
    state: FollowState
    show_boosts: bool


@dataclass(frozen=True, slots=True)
class Relationship:
    """What one actor is to another."""

    actor_id: int
    following: bool
    requested: bool
    requested_by: bool
    followed_by: bool
    showing_boosts: bool
    blocking: bool = False
    muting: bool = False
    muting_notifications: bool = False
    host_muted: bool = False
