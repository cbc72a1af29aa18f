"""What an account is told: somebody followed or asks to, liked, boosted, mentioned or answered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fediart.domain.works import ShownActor, ShownWork


class NotificationKind(StrEnum):
    FOLLOW = "follow"
    REQUEST = "request"
    LIKE = "like"
    BOOST = "boost"
    MENTION = "mention"


@dataclass(frozen=True, slots=True)
class ShownNotification:
    id: int
    kind: NotificationKind
    sender: ShownActor
    work: ShownWork | None
    seen: bool
