"""The policy in plain words, made from its keys: what it asks, what is done, and what a change of it means for an artist."""

from __future__ import annotations

from dataclasses import dataclass

from fediart.domain.policy import AiPolicy, Enforce, LocalAction, Preset, RemoteAction, Reserve
from fediart.domain.policy_keys import differences

_HASHTAG = "It carries a hashtag"

IN_SHORT = {
    Preset.HUMAN_ART: "This server is for art made by people.",
    Preset.LABEL_ONLY: "AI-made pictures are welcome here, and are labelled.",
    Preset.OPEN: "This server takes pictures however they were made.",
}

_UPLOAD = {
    LocalAction.ALLOW: "nothing is done",
    LocalAction.LABEL: "it is published with a label that says so",
    LocalAction.ASK: "its artist is asked how it was made before it goes out",
    LocalAction.HOLD: "it waits until a moderator has looked at it",
    LocalAction.REJECT: "it is not published",
}

_POST = {
    RemoteAction.ALLOW: "nothing is done",
    RemoteAction.LABEL: "it is shown with a label",
    RemoteAction.COLLAPSE: "its pictures are behind a click",
    RemoteAction.HIDE_PUBLIC: "it is in no public list",
    RemoteAction.FILTER: "only who follows its author is shown it",
    RemoteAction.REJECT: "it is not taken",
}


def of_uploads(policy: AiPolicy) -> list[tuple[str, str]]:
    """(what an upload is, what is done with it)."""
    local = policy.local
    rows = [
        ("Its artist says that it was made with AI, or its file does", local.declared),
        ("Its file carries the settings of an image generator", local.generator),
        ("Its file says that parts may be AI, and its artist has not said how it was made", local.assisted),
        ("Its file has a trace that many hand-made pictures have too", local.hint),
    ]
    said = [(what, _UPLOAD[action]) for what, action in rows]
    if policy.local.require_origin_statement:
        said.append(("Its artist has not said how it was made", _UPLOAD[LocalAction.ASK]))
    return said


def of_posts(policy: AiPolicy) -> list[tuple[str, str]]:
    """(what a post of another server is, what is done with it)."""
    remote = policy.remote
    rows = [
        ("Its author says that it was made with AI", remote.self_label),
        ("The file of its picture says so", remote.declared),
    ]
    if remote.hashtags:
        some = ", ".join(f"#{tag}" for tag in remote.hashtags[:3])
        rows.append((f"{_HASHTAG} that the admin has listed, like {some}", remote.hashtag))
    return [(what, _POST[action]) for what, action in rows]


# ----------------------------------------------------------------------------------------------------------- a change


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """What is otherwise since another revision. `number`, `since` (ms since 1970): of the later one. `lines`: sentences."""

    number: int
    since: int
    lines: tuple[str, ...]


def change_between(before: AiPolicy, after: AiPolicy) -> PolicyChange:
    """Servers and authors with rules of their own are not named: that is between the moderators."""
    keys = {key for key, _, _ in differences(before, after)}
    lines = [*_of_preset(before, after), *_of_rows(before, after), *_of_machines(before.reserve, after.reserve)]
    lines += [sentence for named, sentence in _SENTENCES if keys & named]
    if "review.appeal_days" in keys:
        lines.append(_was(f"A decision can be asked about for {after.review.appeal_days} days", f"{before.review.appeal_days}"))
    if before.enforce != after.enforce:
        lines += _of_crawlers(before.enforce, after.enforce)
    return PolicyChange(after.number, after.adopted_at, tuple(lines))


def _was(now: str, before: str) -> str:
    return f"{now}. Before: {before}."


def _of_preset(before: AiPolicy, after: AiPolicy) -> list[str]:
    return [IN_SHORT[after.preset]] if before.preset != after.preset else []


def _of_rows(before: AiPolicy, after: AiPolicy) -> list[str]:
    """What becomes of an upload, and of a post of another server. Both sides are compared by what they are about."""
    told = []
    for where, old, new in (
        ("Your uploads", of_uploads(before), of_uploads(after)),
        ("Posts of other servers", of_posts(before), of_posts(after)),
    ):
        was = dict(old)
        for what, done in new:
            if what.startswith(_HASHTAG) or was.get(what) == done:
                continue
            told.append(f"{where}. {_was(f'{what}: {done}', was[what])}" if what in was else f"{where}. {what}: {done}.")
    if before.local.require_origin_statement and not after.local.require_origin_statement:
        told.append("Your uploads. Nobody has to say how a work was made any more.")
    if before.remote.hashtag != after.remote.hashtag:
        hashtag = f"With a hashtag that the admin has listed: {_POST[after.remote.hashtag]}"
        told.append(f"Posts of other servers. {_was(hashtag, _POST[before.remote.hashtag])}")
    return told


def _of_machines(before: Reserve, after: Reserve) -> list[str]:
    told = []
    if not before.default.is_like(after.default):
        told.append(f"Where you say nothing else: {after.default.words} Before: {before.default.words}")
    if before.artist_may_change != after.artist_may_change:
        told.append(
            "You may allow machines more than this server does."
            if after.artist_may_change
            else "You may reserve more than this server does, and not less any more."
        )
    if after.ask_artists and not before.ask_artists:
        told.append("You are asked what machines may do with your works. Who does not answer keeps them from training.")
    return told


def _of_crawlers(before: Enforce, after: Enforce) -> list[str]:
    if before.block_user_agents != after.block_user_agents:
        refused = "are refused" if after.block_user_agents else "are not refused any more, only asked to stay away"
        return [f"Programs that gather for AI and say who they are {refused}."]
    return ["How programs that gather for AI are kept out has changed in a detail."]


_SENTENCES: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"remote.hashtags"}), "The list of hashtags that are taken for AI-made has changed."),
    (frozenset({"remote.domains", "remote.actors"}), "Rules for single servers or authors have changed."),
    (frozenset({"remote.followed_override"}), "Whether a label may hide from you whom you follow has changed."),
    (frozenset({"review.second_opinion"}), "Whether another moderator decides when you ask again has changed."),
    (frozenset({"reserve.robots_list"}), "Which programs robots.txt asks to stay away has changed."),
    (
        frozenset({"reserve.embed_xmp", "reserve.c2pa", "reserve.rsl", "reserve.tdmrep"}),
        "In which forms your reservation is said to machines has changed.",
    ),
    (frozenset({"statement_url"}), "The address of the policy in words has changed."),
)
"""(keys, what is said when one of them changed): what needs no more words than that."""
