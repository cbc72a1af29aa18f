"""Works: what an actor shows. Their states and who may see them, as pure rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fediart.domain.actors import Actor
from fediart.domain.choices import Choices
from fediart.domain.declarations import Declaration
from fediart.domain.emojis import ShownEmoji
from fediart.domain.images import ShownImage
from fediart.domain.moderation import FilterHit
from fediart.domain.policy import PostVerdict, RemoteAction
from fediart.domain.showing import AI_LABELS, AiLabel, Showing, ai_label

MAX_TEXT = 5000
MAX_WARNING = 500
MAX_IMAGES = 12


PUT_HERE = ("declared", "generator", "assisted", "hint", "moderator")
"""Rules by which a work of ours gets a label that is not its artist's own word."""


class Visibility(StrEnum):
    PUBLIC = "public"
    UNLISTED = "unlisted"
    FOLLOWERS = "followers"
    MENTIONED = "mentioned"

    @property
    def is_open(self) -> bool:
        """May anybody see it who has the address?"""
        return self in (Visibility.PUBLIC, Visibility.UNLISTED)

    def is_within(self, other: Visibility) -> bool:
        """Does it show a work to nobody, and in no list, where the other one would not? Each is within itself."""
        widest_first = tuple(Visibility)
        return widest_first.index(self) >= widest_first.index(other)


class ReplyPolicy(StrEnum):
    """Who may answer a work. Whoever the work names may, whatever it says."""

    EVERYONE = "everyone"
    FOLLOWERS = "followers"
    NOBODY = "nobody"


class QuotePolicy(StrEnum):
    """Who may quote a work, which only an open one can be. Its artist may in any case."""

    NOBODY = "nobody"
    FOLLOWERS = "followers"
    EVERYONE = "everyone"


class WorkState(StrEnum):
    """HELD: a moderator looks at it first; nobody else sees it before."""

    DRAFT = "draft"
    HELD = "held"
    WAITING = "waiting"
    PUBLISHED = "published"
    DELETED = "deleted"


STEPS: dict[WorkState, frozenset[WorkState]] = {
    WorkState.DRAFT: frozenset({WorkState.HELD, WorkState.WAITING, WorkState.DELETED}),
    WorkState.HELD: frozenset({WorkState.WAITING, WorkState.DRAFT, WorkState.DELETED}),
    WorkState.WAITING: frozenset({WorkState.PUBLISHED, WorkState.HELD, WorkState.DRAFT, WorkState.DELETED}),
    WorkState.PUBLISHED: frozenset({WorkState.DELETED}),
    WorkState.DELETED: frozenset(),
}
"""The allowed steps. A picture that cannot be cloaked takes its work from waiting back to draft."""


@dataclass(frozen=True, slots=True)
class Work:
    """`content` is sanitised HTML; `source` what a local artist typed. Times in ms since 1970.

    `reservation`: its artist's own for this one (`domain/reservations`, JSON). `self_label`: what its author's server said of
    it; of a work of ours the label that the policy or a moderator put on it. `verdict_*`: what the policy says of it
    (`policy.PostVerdict`, `verdicts.WorkVerdict`); `moderated`: what a moderator said of it, which comes before both.
    """

    id: int
    uri: str
    url: str
    actor_id: int
    state: WorkState
    visibility: Visibility
    warning: str
    sensitive: bool
    content: str
    source: str
    language: str | None
    in_reply_to_uri: str | None
    in_reply_to_id: int | None
    published_at: int
    edited_at: int | None
    arrived_at: int
    problem: str
    likes: int
    boosts: int
    replies: int
    declaration: Declaration = Declaration.NONE
    reservation: str | None = None
    licence: str = ""
    licence_text: str = ""
    self_label: str = ""
    verdict_action: str = ""
    verdict_rule: str = ""
    verdict_label: str = ""
    moderated: str | None = None
    reply_policy: str = ""
    quote_policy: str = ""
    """A QuotePolicy; '': of a work of ours as its artist's account says, of another's that nothing was said."""
    like_policy: str = ""
    boost_policy: str = ""
    """What another server says of who may like and boost it, in the words of a ReplyPolicy; '' everyone."""

    @property
    def says(self) -> str:
        """How its author says it was made: '' or one of `declarations.LABELS`. Not what was put on a work of ours here."""
        was_put = self.verdict_rule in PUT_HERE and self.self_label == self.verdict_label
        return self.declaration.self_label or ("" if was_put else self.self_label)

    @property
    def goes_out_as(self) -> str:
        """The label that other servers get with a work of ours: what the policy or a moderator put on it, else its artist's."""
        return self.self_label or self.declaration.self_label or ""

    @property
    def verdict(self) -> PostVerdict:
        """What holds: a moderator's word, else the policy's. A work of ours that is called AI-made is labelled in any case."""
        if self.moderated is not None:
            label = self.verdict_label if self.verdict_rule == "moderator" else self.self_label
            return PostVerdict(_action(self.moderated), "moderator", label)
        action = _action(self.verdict_action)
        if action == RemoteAction.ALLOW and self.declaration.self_label in AI_LABELS:
            return PostVerdict(RemoteAction.LABEL, "declaration", self.declaration.self_label or "")
        return PostVerdict(action, self.verdict_rule, self.verdict_label)

    @property
    def is_said_ai(self) -> bool:
        """By its author, its file or a hashtag. A moderator's word takes the place of what file and hashtag say."""
        is_said = self.self_label in AI_LABELS or self.declaration.self_label in AI_LABELS
        return is_said or (self.moderated is None and self.verdict_rule in ("file", "hashtag"))


def _action(text: str) -> RemoteAction:
    """Of a column. Actions that are there for uploads only (ask, hold) are over once a work is out."""
    return RemoteAction(text) if text in _ACTIONS else RemoteAction.ALLOW


_ACTIONS = frozenset(RemoteAction)


def quote_policy_of(work: Work, choices: Choices | None) -> QuotePolicy:
    """Who may quote a work of ours. `choices`: its artist's."""
    said = work.quote_policy or (choices.quotes if choices is not None else "")
    return QuotePolicy(said) if work.visibility.is_open and said in tuple(QuotePolicy) else QuotePolicy.NOBODY


@dataclass(frozen=True, slots=True)
class Mention:
    """`actor_id` only where a work is read, and None there as long as nobody here has met that actor."""

    uri: str
    acct: str
    url: str
    actor_id: int | None = None


@dataclass(frozen=True, slots=True)
class ShownActor:
    """An actor with what a page or the client API shows of it. Picture names are those of `media/files`, or None."""

    actor: Actor
    avatar: ShownImage | None
    header: ShownImage | None
    followers: int = 0
    following: int = 0
    works: int = 0
    last_work_id: int | None = None
    choices: Choices | None = None
    """What is reserved and allowed, of an artist of this server."""
    emojis: tuple[ShownEmoji, ...] = ()
    """Those in their name, and in what stands about them."""
    moved: ShownActor | None = None
    """Who they are now, where that is known here; only where one actor is shown alone."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What everybody may know of the talk around a work: how many answer it, and the work of ours that it all began with."""

    answers: int = 0
    root_uri: str | None = None


@dataclass(frozen=True, slots=True)
class ShownWork:
    """A work as one viewer sees it. `entry_id` is what pages are cut by: the work's id, or its boost's."""

    work: Work
    author: ShownActor
    images: tuple[ShownImage, ...]
    tags: tuple[str, ...]
    mentions: tuple[Mention, ...]
    liked: bool
    boosted: bool
    entry_id: int
    booster: ShownActor | None = None
    answers_actor_id: int | None = None
    """Whose work it answers, where that work is here."""
    deliveries: tuple[int, int, int] | None = None
    """(planned, delivered, failed), only for its own artist."""
    showing: Showing = Showing.PLAIN
    filtered: tuple[FilterHit, ...] = ()
    """Which filters of the viewer's it fits: it is said so, and not shown at once."""
    emojis: tuple[ShownEmoji, ...] = ()
    """Those in its words and its warning."""

    @property
    def is_collapsed(self) -> bool:
        return self.showing in (Showing.COLLAPSE, Showing.HIDE)

    @property
    def label(self) -> AiLabel | None:
        """What stands under its pictures, wherever it is shown to this viewer."""
        return self._line if self.showing != Showing.PLAIN else None

    @property
    def statement(self) -> AiLabel | None:
        """What stands on its own page: also that its author says it was made without AI."""
        return self.label or (self._line if self.work.says == "no-generative-ai" else None)

    @property
    def _line(self) -> AiLabel | None:
        return ai_label(self.work.verdict, self.work.says, self.author.actor.host)
