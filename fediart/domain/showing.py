"""How a work that the policy has something to say about is shown to one person, and in which words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fediart.domain.declarations import LABELS
from fediart.domain.policy import PostVerdict, RemoteAction

AI_LABELS = ("ai-generated", "ai-assisted")


class Showing(StrEnum):
    """Mildest first. Also what a person may wish for (`accounts.ai_view`); PLAIN is then: as the server does.

    LABEL: a line says what is said of it. COLLAPSE: its pictures are behind a click, and the line says why. HIDE: it is in no
    list; whoever has its address still finds it, collapsed.
    """

    PLAIN = ""
    LABEL = "label"
    COLLAPSE = "collapse"
    HIDE = "hide"


ORDER = tuple(Showing)


@dataclass(frozen=True, slots=True)
class Looker:
    """Who looks: the author of the work? One who follows the author, where following softens? And what they wish for."""

    is_author: bool = False
    is_softened: bool = False
    wish: Showing = Showing.PLAIN


STRANGER = Looker()


def showing_of(verdict: PostVerdict, is_said_ai: bool, looker: Looker, *, by_link: bool = False) -> Showing:
    """`is_said_ai`: somebody or something says that it was made with AI. `by_link`: asked for by its own address.

    What the policy makes of it, or what the person wishes for, whichever is stricter. A wish is the person's own, so it
    counts for whom they follow too; and nobody's own work is ever kept from them.
    """
    softened = looker.is_softened
    by_policy = {
        RemoteAction.ALLOW: Showing.PLAIN,
        RemoteAction.LABEL: Showing.LABEL,
        RemoteAction.COLLAPSE: Showing.COLLAPSE,
        RemoteAction.HIDE_PUBLIC: Showing.LABEL if softened else Showing.COLLAPSE,
        RemoteAction.FILTER: Showing.COLLAPSE if softened else Showing.HIDE,
        RemoteAction.REJECT: Showing.HIDE,
    }[verdict.action]
    wished = looker.wish if is_said_ai or verdict.action != RemoteAction.ALLOW else Showing.PLAIN
    found = max(by_policy, wished, key=ORDER.index)
    if looker.is_author:
        return min(found, Showing.LABEL, key=ORDER.index)
    return min(found, Showing.COLLAPSE, key=ORDER.index) if by_link else found


HIDES_IN_PUBLIC = (RemoteAction.HIDE_PUBLIC, RemoteAction.FILTER, RemoteAction.REJECT)
"""Actions by which a work is in no public list, but for those who follow its author where that softens."""

HIDES_IN_LISTS = (RemoteAction.FILTER, RemoteAction.REJECT)


@dataclass(frozen=True, slots=True)
class AiLabel:
    """The line under a picture. `name`: one of `declarations.LABELS`, whose page explains it, or ''. `why`: whole sentences."""

    words: str
    name: str
    why: str


def ai_label(verdict: PostVerdict, said: str, host: str) -> AiLabel | None:
    """What stands with a work. `said`: what its author says (one of `declarations.LABELS`, or ''); `host`: '' for ours."""
    whose = "artist" if host == "" else "author"
    is_put = verdict.rule == "moderator" and verdict.label in AI_LABELS
    if said in AI_LABELS or (said and not is_put and verdict.rule in ("", "self-label", "declaration", "moderator")):
        words = LABELS[said]
        return AiLabel(
            f"Its {whose} says: {words[0].lower()}{words[1:]}",
            said,
            f"This is what its {whose} says of it, and nobody else.",
        )
    if verdict.action == RemoteAction.ALLOW and verdict.rule not in ("hashtag", "file"):
        return None
    known = verdict.label if verdict.label in LABELS else ""
    words, why = {
        "file": (
            "The file says it was made with AI" if known else verdict.label,
            "This was read in the picture's file, where programs write how it was made. The picture itself was not looked at.",
        ),
        "hashtag": (
            f"Tagged {verdict.label}",
            "It carries a hashtag that people put on AI-made pictures. That tells what it was tagged with, not how it was made.",
        ),
        "actor": (
            "Shown like this by a rule for its author",
            "Who looks after this server decided how the works of this author are shown here.",
        ),
        "host": (
            f"Shown like this by a rule for {host}",
            f"Who looks after this server decided how works from {host} are shown here.",
        ),
        "moderator": (
            f"{LABELS[known]}: labelled by a moderator of this server" if known else "Labelled by a moderator of this server",
            "A moderator looked at it and decided so."
            if host == ""
            else "A moderator looked at it. What they say counts on this server only, and is not passed on.",
        ),
        **dict.fromkeys(
            ("declared", "generator", "assisted", "hint"),
            (LABELS.get(known, ""), "A file of this work says how it was made, and by its policy this server says so too."),
        ),
    }.get(verdict.rule, (LABELS.get(known, verdict.label), "This server's policy on AI-made art says so."))
    return AiLabel(words, known or ("ai-generated" if verdict.rule == "hashtag" else ""), why) if words else None
