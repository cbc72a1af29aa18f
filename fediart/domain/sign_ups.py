"""Coming in: who may make an account here, invites, and those who asked for an account and have none yet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from fediart.domain.policy import AiPolicy, LocalAction

HOUR_MS = 3600 * 1000

CONFIRM_MS = 48 * HOUR_MS
"""So long the link that confirms an address holds; then it is as if nobody had asked."""

RESET_MS = HOUR_MS // 2
"""So long a link for a new password holds when it goes by mail."""

SHELL_RESET_MS = 24 * HOUR_MS
"""The same for one that an admin makes in the shell and hands on."""

MAX_APPLICANTS = 500
"""So many may wait at once: a flood of sign-ups neither fills the disk nor buries the real ones."""

MAX_REASON = 1_000
MAX_NOTE = 200
MAX_USES = 10_000
MAX_DAYS = 3_650


class SignUps(StrEnum):
    """Who may make an account."""

    CLOSED = "closed"
    INVITE = "invite"
    APPROVAL = "approval"
    OPEN = "open"

    @property
    def asks_strangers_in(self) -> bool:
        """May somebody without an invite at least ask?"""
        return self in (SignUps.APPROVAL, SignUps.OPEN)


class ApplicantState(StrEnum):
    """UNCONFIRMED: the address is not confirmed. WAITING: for an admin. ADMITTED: the account is being made."""

    UNCONFIRMED = "unconfirmed"
    WAITING = "waiting"
    ADMITTED = "admitted"


class LinkPurpose(StrEnum):
    """What a one-time link does."""

    RESET = "reset"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Invite:
    """`maker`: a username, '' from the shell. `until` None: without end."""

    id: int
    note: str
    uses: int
    used: int
    until: int | None
    maker: str

    def is_open(self, now: int) -> bool:
        return self.used < self.uses and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Applicant:
    """`is_to_be_asked`: an admin decides, once the address is confirmed."""

    id: int
    username: str
    password_hash: str
    email: str
    reason: str
    state: ApplicantState
    is_to_be_asked: bool
    invite_id: int | None
    agreed_policy: int | None
    at: int


_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}"
)
"""As HTML's own rule for <input type=email>, and with a dot: https://html.spec.whatwg.org/#valid-e-mail-address"""


def email_problem(email: str) -> str | None:
    """Why no letter can be sent there, in words for the person who typed it, or None."""
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        return "This is not an e-mail address like mira@art.example."
    return None


_AGREED = {
    LocalAction.REJECT: "What I publish here was not made by AI. I know that a picture that says it was is refused.",
    LocalAction.HOLD: "When something I publish was made with AI, I say so. I know that a moderator then looks at it first.",
    LocalAction.ASK: "When something I publish was made with AI, I say so. I know that I may be asked how it was made.",
    LocalAction.LABEL: "When something I publish was made with AI, I say so. I know that it is then shown with a label.",
}


def to_agree_to(policy: AiPolicy) -> str | None:
    """The sentence that somebody who signs up agrees to; None where the policy asks nothing of artists."""
    sentence = _AGREED.get(policy.local.declared)
    if sentence is None and policy.local.require_origin_statement:
        return "I say of each work how it was made."
    return sentence
