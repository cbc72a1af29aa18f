"""The AI-art policy: one object, in numbered revisions that are never edited, and what it says to a picture or a post.

`judge_upload` and `judge_post` are pure. Each rule is a row of a table. No rule knows a percentage, and none looks at pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from fediart.config import AI_HASHTAGS
from fediart.domain.declarations import Declaration
from fediart.domain.origin import Level, Origin
from fediart.domain.reservations import Answer, Reservation


class Preset(StrEnum):
    HUMAN_ART = "human-art"
    LABEL_ONLY = "label-only"
    OPEN = "open"


class LocalAction(StrEnum):
    """What is done with a picture of an artist of ours, mildest first."""

    ALLOW = "allow"
    LABEL = "label"
    ASK = "ask"
    HOLD = "hold"
    REJECT = "reject"


class RemoteAction(StrEnum):
    """What is done with a post of another server, mildest first.

    LABEL: it is said. COLLAPSE: its pictures are behind a click. HIDE_PUBLIC: it is in no public view. FILTER: nobody is shown
    it who does not follow its author. REJECT: it is not kept.
    """

    ALLOW = "allow"
    LABEL = "label"
    COLLAPSE = "collapse"
    HIDE_PUBLIC = "hide_public"
    FILTER = "filter"
    REJECT = "reject"


class RobotsList(StrEnum):
    OFF = "off"
    TRAINING = "training"
    TRAINING_SEARCH = "training+search"
    ALL = "all"


class ProofOfWork(StrEnum):
    OFF = "off"
    UNDER_LOAD = "under_load"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Reserve:
    """What is reserved for whoever says nothing, and by which optional signals."""

    training: Answer = Answer.DENY
    ai_input: Answer = Answer.DENY
    search: Answer = Answer.ALLOW
    artist_may_change: bool = True
    ask_artists: bool = False
    """Ask each artist at the first sign-in. No answer means no training."""
    robots_list: RobotsList = RobotsList.TRAINING_SEARCH
    embed_xmp: bool = True
    c2pa: bool = False
    rsl: bool = True
    tdmrep: bool = True

    @property
    def default(self) -> Reservation:
        return Reservation(self.training, self.ai_input, self.search)


@dataclass(frozen=True, slots=True)
class Enforce:
    """`rate_limit_anonymous`: so many requests in so long, as `120/min`, or off."""

    block_user_agents: bool = True
    rate_limit_anonymous: str = "120/min"
    proof_of_work: ProofOfWork = ProofOfWork.OFF
    extra_allowed_agents: tuple[str, ...] = ()
    extra_blocked_agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Local:
    declared: LocalAction = LocalAction.REJECT
    generator: LocalAction = LocalAction.HOLD
    assisted: LocalAction = LocalAction.ASK
    hint: LocalAction = LocalAction.ALLOW
    require_origin_statement: bool = False


@dataclass(frozen=True, slots=True)
class Remote:
    declared: RemoteAction = RemoteAction.HIDE_PUBLIC
    self_label: RemoteAction = RemoteAction.HIDE_PUBLIC
    hashtag: RemoteAction = RemoteAction.LABEL
    followed_override: bool = True
    domains: Mapping[str, RemoteAction] = field(default_factory=dict)
    actors: Mapping[str, RemoteAction] = field(default_factory=dict)
    """Of one actor, by its id (an address)."""
    hashtags: tuple[str, ...] = AI_HASHTAGS


@dataclass(frozen=True, slots=True)
class Review:
    appeal_days: int = 30
    second_opinion: bool = True


@dataclass(frozen=True, slots=True)
class AiPolicy:
    """One revision. `adopted_at` in ms since 1970; `adopted_by` an account's id, None: by the settings file."""

    number: int = 1
    preset: Preset = Preset.HUMAN_ART
    statement_url: str = "/ai-policy"
    reserve: Reserve = field(default_factory=Reserve)
    enforce: Enforce = field(default_factory=Enforce)
    local: Local = field(default_factory=Local)
    remote: Remote = field(default_factory=Remote)
    review: Review = field(default_factory=Review)
    adopted_at: int = 0
    adopted_by: int | None = None


_L, _R = LocalAction, RemoteAction

PRESETS: dict[Preset, AiPolicy] = {
    Preset.HUMAN_ART: AiPolicy(),
    Preset.LABEL_ONLY: AiPolicy(
        preset=Preset.LABEL_ONLY,
        local=Local(declared=_L.LABEL, generator=_L.LABEL, assisted=_L.LABEL, hint=_L.ALLOW),
        remote=Remote(declared=_R.LABEL, self_label=_R.LABEL, hashtag=_R.LABEL),
    ),
    Preset.OPEN: AiPolicy(
        preset=Preset.OPEN,
        reserve=Reserve(ask_artists=True),
        local=Local(declared=_L.LABEL, generator=_L.ALLOW, assisted=_L.ALLOW, hint=_L.ALLOW),
        remote=Remote(declared=_R.LABEL, self_label=_R.LABEL, hashtag=_R.ALLOW),
    ),
}


def with_preset(policy: AiPolicy, preset: Preset) -> AiPolicy:
    """The same policy with the preset's rows for uploads, posts and reservation; lists and limits stay as they were."""
    of = PRESETS[preset]
    remote = replace(policy.remote, declared=of.remote.declared, self_label=of.remote.self_label, hashtag=of.remote.hashtag)
    reserve = replace(
        policy.reserve,
        training=of.reserve.training,
        ai_input=of.reserve.ai_input,
        search=of.reserve.search,
        ask_artists=of.reserve.ask_artists,
    )
    local = replace(of.local, require_origin_statement=policy.local.require_origin_statement)
    return replace(policy, preset=preset, local=local, remote=remote, reserve=reserve)


# ------------------------------------------------------------------------------------------------ an artist's upload


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is done, by which rule, and the sentence that says so to whom it concerns."""

    action: LocalAction
    rule: str
    reason: str


def judge_upload(policy: AiPolicy, declaration: Declaration, origin: Origin, *, is_cleared: bool = False) -> Verdict:
    """The strictest row that fits. A file that a moderator cleared passes, unless its artist says herself that it is AI."""
    local, level = policy.local, origin.level
    asked = local.assisted
    if asked == LocalAction.ASK and declaration != Declaration.NONE:
        asked = LocalAction.ALLOW
    own = LocalAction.REJECT if local.assisted == LocalAction.REJECT else LocalAction.LABEL
    rows: tuple[tuple[bool, LocalAction, str, str], ...] = (
        (declaration == Declaration.AI, local.declared, "declaration", "It was declared as made with AI."),
        (declaration == Declaration.PARTS_AI, own, "declaration", "It was declared as made with AI in parts."),
        (not is_cleared and level == Level.DECLARED, local.declared, "declared", _evidence(origin, Level.DECLARED)),
        (not is_cleared and level == Level.GENERATOR, local.generator, "generator", _evidence(origin, Level.GENERATOR)),
        (not is_cleared and level == Level.ASSISTED, asked, "assisted", _evidence(origin, Level.ASSISTED)),
        (not is_cleared and level == Level.HINT, local.hint, "hint", _evidence(origin, Level.HINT)),
        (
            local.require_origin_statement and declaration == Declaration.NONE,
            LocalAction.ASK,
            "statement",
            "Every work here says how it was made.",
        ),
    )
    fitting = [Verdict(action, rule, reason) for fits, action, rule, reason in rows if fits]
    order = list(LocalAction)
    return max(fitting, key=lambda verdict: order.index(verdict.action), default=Verdict(LocalAction.ALLOW, "", ""))


def _evidence(origin: Origin, level: Level) -> str:
    return " ".join(signal.evidence for signal in origin.signals if signal.level == level)


# --------------------------------------------------------------------------------------------- another server's post


@dataclass(frozen=True, slots=True)
class PostSigns:
    """What a post says, or what is said about where it comes from. Words are case-folded, without #.

    `self_label`: '' or one of ours (`declarations.LABELS`). `level`: what its fetched pictures' metadata say, if anything.
    """

    host: str
    actor_uri: str
    self_label: str = ""
    hashtags: Sequence[str] = ()
    level: Level | None = None
    moderated: RemoteAction | None = None
    moderated_label: str = ""
    """What a moderator put on it, where one did."""


@dataclass(frozen=True, slots=True)
class PostVerdict:
    action: RemoteAction
    rule: str
    label: str = ""
    """What is shown with it: one of `declarations.LABELS`, or a sentence of where the sign stood."""


_FILE_LABELS = {
    Level.DECLARED: "ai-generated",
    Level.GENERATOR: "The file carries settings of an image generator",
}
"""A file with such settings says less than one that says how it was made, and is not said to say it."""


def judge_post(policy: AiPolicy, signs: PostSigns) -> PostVerdict:
    """The first row that fits; only a reject of the admin's comes before all.

    Moderator, author's own label, rule for the actor, rule for the host, what the files say, hashtags. That a work was made
    without AI is believed before a hashtag, and before nothing else: else the label would be a way round every rule.
    """
    remote = policy.remote
    by_actor = remote.actors.get(signs.actor_uri)
    by_host = host_action(remote.domains, signs.host)
    if signs.moderated is None and RemoteAction.REJECT in (by_actor, by_host):
        return PostVerdict(RemoteAction.REJECT, "actor" if by_actor == RemoteAction.REJECT else "host")
    tags = [tag for tag in signs.hashtags if tag in remote.hashtags]
    level = _FILE_LABELS.get(signs.level) if signs.level else None
    rows: tuple[tuple[bool, RemoteAction | None, str, str], ...] = (
        (signs.moderated is not None, signs.moderated, "moderator", signs.moderated_label or signs.self_label),
        (signs.self_label in ("ai-generated", "ai-assisted"), remote.self_label, "self-label", signs.self_label),
        (by_actor is not None, by_actor, "actor", signs.self_label),
        (by_host is not None, by_host, "host", signs.self_label),
        (level is not None, remote.declared, "file", level or ""),
        (signs.self_label == "no-generative-ai", RemoteAction.ALLOW, "self-label", signs.self_label),
        (bool(tags), remote.hashtag, "hashtag", f"#{tags[0]}" if tags else ""),
    )
    for fits, action, rule, label in rows:
        if fits and action is not None:
            return PostVerdict(action, rule, label)
    return PostVerdict(RemoteAction.ALLOW, "")


def host_action(domains: Mapping[str, RemoteAction], host: str) -> RemoteAction | None:
    """The rule for a host, or for the nearest name above it: a rule for ai.example holds for a.ai.example."""
    parts = host.split(".")
    return next((domains[name] for start in range(len(parts)) if (name := ".".join(parts[start:])) in domains), None)
