"""How a work was made, on pages: what its artist can choose here, and what the policy makes of what her files say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fediart.domain.declarations import LABELS, Declaration
from fediart.domain.images import ShownImage
from fediart.domain.origin import Origin, origin_from
from fediart.domain.policy import AiPolicy, LocalAction, Preset, judge_upload
from fediart.domain.verdicts import JudgedPicture, evidence_lines, judge_work, meaning
from fediart.domain.works import ShownWork
from fediart.instance import Instance
from fediart.storage import reviews


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to "How was it made?". One that is forbidden is shown, with the reason."""

    value: Declaration
    words: str
    note: str
    is_forbidden: bool


def choices_of(policy: AiPolicy) -> list[Choice]:
    return [_choice(policy, declaration) for declaration in Declaration]


def _choice(policy: AiPolicy, declaration: Declaration) -> Choice:
    verdict = judge_upload(policy, declaration, Origin())
    note = ""
    if verdict.action == LocalAction.REJECT:
        note = "This server shows art made by people, so it cannot be shown here."
    elif verdict.action == LocalAction.HOLD:
        note = "A moderator looks at it before it goes out."
    elif verdict.action == LocalAction.ASK:
        note = "Every work here says how it was made."
    elif verdict.action == LocalAction.LABEL and policy.preset != Preset.OPEN:
        note = f"It will carry the label “{LABELS[declaration.self_label or 'ai-assisted']}”."
    return Choice(declaration, declaration.words, note, verdict.action == LocalAction.REJECT)


def declared_in(text: str) -> Declaration | None:
    """What a form or a client says. None: nothing that we know."""
    return Declaration(text) if text in tuple(Declaration) else None


@dataclass(frozen=True, slots=True)
class ToldPicture:
    """`lines`: what its file says; `means`: what becomes of it here. `can_ask`: there is something to ask a moderator about."""

    lines: list[str]
    means: str
    can_ask: bool


async def pictures_told(instance: Instance, shown: ShownWork) -> dict[int, ToldPicture]:
    """Of each picture whose file says something, by id, for its artist."""
    read = [item for item in shown.images if item.image.origin is not None]
    cleared = await instance.storage.read(reviews.cleared_among, [item.image.original_sha256 or "" for item in read])
    told = {}
    for item in read:
        lines = evidence_lines(instance.policy, origin_from(item.image.origin or ""))
        if lines:
            told[item.image.id] = _told(
                instance.policy, shown.work.declaration, item, lines, item.image.original_sha256 in cleared
            )
    return told


def _told(policy: AiPolicy, declaration: Declaration, item: ShownImage, lines: list[str], is_cleared: bool) -> ToldPicture:
    if is_cleared:
        return ToldPicture(lines, "A moderator looked at this file and let it pass.", False)
    # Of what the file says alone: what the artist chose stands, with its own note, where she chose it.
    said = declaration if declaration not in (Declaration.AI, Declaration.PARTS_AI) else Declaration.DIGITAL
    verdict = judge_work(policy, said, [JudgedPicture("", origin_from(item.image.origin or ""))])
    if verdict.action == LocalAction.ALLOW and verdict.rule == "assisted" and policy.local.assisted == LocalAction.ASK:
        return ToldPicture(lines, "You said how it was made, so it can go out.", False)
    can_ask = verdict.action in (LocalAction.LABEL, LocalAction.ASK, LocalAction.REJECT)
    return ToldPicture(lines, meaning(verdict, verdict.label), can_ask)


def can_ask(told: Iterable[ToldPicture], shown: ShownWork) -> bool:
    """Is there anything about this draft that a moderator could be asked?"""
    return shown.work.moderated == "reject" or any(item.can_ask for item in told)
