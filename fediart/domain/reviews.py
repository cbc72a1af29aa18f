"""Reviews: what a moderator decides on a work that was held, reported, or whose artist asks. As pure rules and words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from fediart.domain.moderation import Report
from fediart.domain.policy import Review as ReviewRules
from fediart.domain.works import ShownActor, ShownWork

DAY_MS = 24 * 3600 * 1000
TARGET_MS = 72 * 3600 * 1000
"""So soon it should be decided."""

PROOF_MS = 30 * DAY_MS
"""So long, at most, what an artist showed to moderators is kept."""

MAX_PROOF = 10
MAX_WORDS = 5000


class ReviewKind(StrEnum):
    HELD = "held"
    APPEAL = "appeal"
    REPORT = "report"


class ReviewState(StrEnum):
    """ASKED: its artist was asked to show how the work was made."""

    OPEN = "open"
    ASKED = "asked"
    DECIDED = "decided"


class Decision(StrEnum):
    """UPHELD: an appeal changed nothing. WITHDRAWN: its artist took the work back, or it is gone, so nothing was decided."""

    NONE = ""
    CLEARED = "cleared"
    LABELLED = "labelled"
    REMOVED = "removed"
    UPHELD = "upheld"
    WITHDRAWN = "withdrawn"


class Verb(StrEnum):
    """What a moderator can do with a review."""

    CLEAR = "clear"
    LABEL = "label"
    ASK = "ask"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Review:
    """`evidence`: what its artist may read of it. `words`: hers. `note`: the moderators' own.

    `earlier_id`: what it looks at again. `rule`: which one fired, or a report's category. `decided_by`: an account; None from
    the shell. Times in ms since 1970.
    """

    id: int
    kind: ReviewKind
    actor_id: int
    work_id: int | None
    report_id: int | None
    rule: str
    evidence: str
    words: str
    state: ReviewState
    decision: Decision
    reason: str
    note: str
    opened_at: int
    decided_at: int | None
    decided_by: int | None
    earlier_id: int | None

    @property
    def is_open(self) -> bool:
        return self.state != ReviewState.DECIDED

    @property
    def is_for_artist(self) -> bool:
        """May its artist know of it? Of a report only once she is asked, or something was decided."""
        return self.kind != ReviewKind.REPORT or self.state != ReviewState.OPEN

    @property
    def takes_proof(self) -> bool:
        """May its artist show something, and say something, now?"""
        return self.is_open and self.is_for_artist


@dataclass(frozen=True, slots=True)
class Proof:
    """A file that an artist shows to moderators only."""

    id: int
    review_id: int
    vault_key: str
    name: str
    bytes: int
    added_at: int


@dataclass(frozen=True, slots=True)
class ShownReview:
    """A review with what a moderator must see. `reporter` and `report` only of a report; `work` None: it has none, or it is gone.

    `earlier`: decisions on works of the same artist, or with the same file, newest first; `cleared`: hashes of files that
    were let pass before.
    """

    review: Review
    artist: ShownActor
    work: ShownWork | None
    report: Report | None
    reporter: ShownActor | None
    earlier: tuple[Review, ...]
    proof: tuple[Proof, ...]
    cleared: frozenset[str]


def age_in_words(ms: int) -> str:
    """How long something has been open."""
    hours = ms // (3600 * 1000)
    if hours < 1:
        return "less than an hour"
    if hours < 48:
        return f"{hours} hour" if hours == 1 else f"{hours} hours"
    return f"{hours // 24} days"


def appeal_problem(earlier: Review | None, asked_before: bool, rules: ReviewRules, now: int) -> str | None:
    """Why a decision cannot be asked about again, in words for its artist, or None. `asked_before`: it was already."""
    if earlier is None:
        return "It was asked about already." if asked_before else None
    if earlier.decision not in (Decision.REMOVED, Decision.UPHELD, Decision.LABELLED):
        return "There is nothing to ask about: this was not decided against you."
    if earlier.earlier_id is not None or earlier.decision == Decision.UPHELD:
        return "This was looked at twice, so it stands."
    if asked_before:
        return "It was asked about already."
    if earlier.decided_at is not None and now > earlier.decided_at + rules.appeal_days * DAY_MS:
        return f"A decision can be asked about for {rules.appeal_days} days; this one is older."
    return None


def deciding_problem(
    review: Review,
    earlier: Review | None,
    account_id: int | None,
    actor_id: int | None,
    others: Collection[int],
    rules: ReviewRules,
) -> str | None:
    """Why this moderator cannot decide this, in words for her, or None.

    `account_id` and `actor_id`: hers, None from the shell; `others`: the other accounts that may moderate.
    """
    if account_id is None or not others:
        return None
    if review.actor_id == actor_id:
        return "It is about a work of yours, so another moderator decides it."
    if earlier is None or not rules.second_opinion or review.kind != ReviewKind.APPEAL:
        return None
    if earlier.decision in (Decision.REMOVED, Decision.UPHELD, Decision.LABELLED) and earlier.decided_by == account_id:
        return "You decided this the first time, so another moderator gives the second opinion."
    return None


PREFILLED = {
    Verb.CLEAR: "We looked at it and see nothing against it. Thank you for your patience.",
    Verb.LABEL: "It may be shown here, with a label that says how it was made.",
    Verb.ASK: "Please show us how it was made: sketches, layers, photographs on the way. A few words help too.",
    Verb.REMOVE: "By this server's policy on AI-made art it cannot be shown here.",
}
"""What an artist reads, before the moderator changes it."""
