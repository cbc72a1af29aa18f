"""What an account is told: somebody followed or asks to, liked, boosted, quoted, mentioned or answered, a moderator decided,
the policy changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fediart.domain.emojis import ShownEmoji
from fediart.domain.policy_words import PolicyChange
from fediart.domain.works import ShownActor, ShownWork


class NotificationKind(StrEnum):
    FOLLOW = "follow"
    REQUEST = "request"
    LIKE = "like"
    BOOST = "boost"
    MENTION = "mention"
    QUOTE = "quote"
    DECISION = "decision"
    """Of a moderator, on a work of theirs. It is told in the server's name, not in the moderator's."""
    POLICY = "policy"
    """The AI-art policy has another revision."""
    APPLICANT = "applicant"
    """Somebody asks for an account: to those who look after the server, in its name."""


@dataclass(frozen=True, slots=True)
class ShownNotification:
    id: int
    kind: NotificationKind
    sender: ShownActor
    work: ShownWork | None
    seen: bool
    face: str = ""
    """What a like was said with."""
    emojis: tuple[ShownEmoji, ...] = ()
    """It, where it is a picture."""
    change: PolicyChange | None = None
    """What a new revision of the policy changed."""
