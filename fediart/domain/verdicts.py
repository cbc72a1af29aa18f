"""What the policy says to a whole work of an artist of ours: the strictest word on any of its pictures, and how she is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fediart.domain.declarations import LABELS, Declaration
from fediart.domain.origin import Level, Origin
from fediart.domain.policy import AiPolicy, LocalAction, Verdict, judge_upload

DETECTOR = "detector:"
"""How the source of a signal begins that a plug-in gave. Such a one is for moderators to see, and may only hold."""

MODERATED_ALLOW, MODERATED_LABEL, MODERATED_REJECT = "allow", "label", "reject"
"""What a moderator said of a work (`works.moderated`)."""


@dataclass(frozen=True, slots=True)
class JudgedPicture:
    """`name`: the file's, for a sentence about it. `is_cleared`: a moderator let this very file pass."""

    name: str
    origin: Origin
    is_cleared: bool = False


@dataclass(frozen=True, slots=True)
class WorkVerdict:
    """`reason`: the evidence, in sentences for its artist. `label`: one of LABELS where it is to carry one, else ''."""

    action: LocalAction
    rule: str = ""
    reason: str = ""
    label: str = ""


_ORDER = list(LocalAction)
_LABELS = {"declared": "ai-generated", "generator": "ai-generated", "assisted": "ai-assisted", "hint": "ai-assisted"}
_BY_LEVEL = (Level.DECLARED, Level.GENERATOR, Level.ASSISTED)


def judge_picture(policy: AiPolicy, declaration: Declaration, picture: JudgedPicture) -> Verdict:
    """A detector's suspicion counts only where pictures of a generator are not let pass, and then asks for a look at most."""
    told = tuple(signal for signal in picture.origin.signals if not signal.source.startswith(DETECTOR))
    verdict = judge_upload(policy, declaration, replace(picture.origin, signals=told), is_cleared=picture.is_cleared)
    is_suspected = len(told) < len(picture.origin.signals) and not picture.is_cleared
    may_hold = policy.local.generator not in (LocalAction.ALLOW, LocalAction.LABEL)
    if is_suspected and may_hold and _ORDER.index(verdict.action) < _ORDER.index(LocalAction.HOLD):
        return Verdict(LocalAction.HOLD, "detector", "")
    return verdict


def judge_work(
    policy: AiPolicy,
    declaration: Declaration,
    pictures: Sequence[JudgedPicture],
    *,
    moderated: str | None = None,
    label: str = "",
) -> WorkVerdict:
    """The strictest wins; a moderator's word on the work comes before all. Words without a picture are not judged.

    `label`: the one that a moderator put on it.
    """
    if moderated == MODERATED_ALLOW:
        return WorkVerdict(LocalAction.ALLOW, "moderator")
    if moderated == MODERATED_LABEL:
        return WorkVerdict(LocalAction.LABEL, "moderator", "A moderator decided so.", label)
    if moderated == MODERATED_REJECT:
        return WorkVerdict(LocalAction.REJECT, "moderator", "A moderator decided that it cannot be shown here.")
    verdicts = [(picture, judge_picture(policy, declaration, picture)) for picture in pictures]
    if not verdicts:
        return WorkVerdict(LocalAction.ALLOW)
    _, worst = max(verdicts, key=lambda pair: _ORDER.index(pair[1].action))
    alike = [(picture, verdict) for picture, verdict in verdicts if verdict.action == worst.action]
    label = _label(policy, declaration, pictures) if worst.action == LocalAction.LABEL else ""
    return WorkVerdict(worst.action, worst.rule, _reason(alike, len(pictures)), label)


def _label(policy: AiPolicy, declaration: Declaration, pictures: Sequence[JudgedPicture]) -> str:
    """The strongest of what its artist says and of what each file says by itself."""
    found = {declaration.self_label} if declaration in (Declaration.AI, Declaration.PARTS_AI) else set()
    for picture in pictures:
        of_file = judge_picture(policy, Declaration.DIGITAL, picture)
        if of_file.action == LocalAction.LABEL:
            found.add(_LABELS[of_file.rule])
    return "ai-generated" if "ai-generated" in found else "ai-assisted"


def _reason(alike: Sequence[tuple[JudgedPicture, Verdict]], pictures: int) -> str:
    """Of each picture it is about, by name where there are several; once what is the same of all."""
    named: dict[str, None] = {}
    for picture, verdict in alike:
        about_file = verdict.rule in (*_LABELS, "detector")
        before = f"{picture.name}: " if about_file and pictures > 1 and picture.name and verdict.reason else ""
        named[f"{before}{verdict.reason}"] = None
    return " ".join(line for line in named if line)


def evidence_lines(policy: AiPolicy, origin: Origin) -> list[str]:
    """What its artist is told of what a file says. A hint only where the policy acts on it; what a detector said, never."""
    levels = _BY_LEVEL if policy.local.hint == LocalAction.ALLOW else (*_BY_LEVEL, Level.HINT)
    told = [signal for signal in origin.signals if signal.level in levels and not signal.source.startswith(DETECTOR)]
    return [signal.evidence for signal in told]


def meaning(verdict: WorkVerdict | Verdict, label: str = "") -> str:
    """What becomes of a picture with this verdict here, in one sentence."""
    if verdict.action == LocalAction.LABEL:
        return f"The work will carry the label “{LABELS.get(label, LABELS['ai-assisted'])}”."
    return _MEANINGS[verdict.action]


_MEANINGS = {
    LocalAction.ALLOW: "That is allowed here.",
    LocalAction.ASK: "Please say below how it was made; then it can go out.",
    LocalAction.HOLD: "When you publish it, a moderator looks at it first.",
    LocalAction.REJECT: "With that it cannot be shown here. Files are not always right: you can ask a moderator.",
}


def not_published(verdict: WorkVerdict) -> str:
    """Why a work does not go out (asked or rejected), and what can be done, in words for its artist."""
    if verdict.rule == "statement":
        return "Not out yet, and nothing is lost. Every work here says how it was made: please choose it, then publish again."
    if verdict.action == LocalAction.ASK:
        return f"Not out yet, and nothing is lost. {verdict.reason} Please say how it was made, then publish again."
    return (
        f"Not published, and nothing is lost. {verdict.reason} By its policy on AI-made art this server does not show that. "
        "If it is not right, ask a moderator."
    )


def held_words(verdict: WorkVerdict) -> str:
    """Why a work waits for a moderator."""
    return f"A moderator looks at it first. {verdict.reason}".strip()
