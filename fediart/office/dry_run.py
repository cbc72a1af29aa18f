"""Before a policy is adopted: what would it change? Only looked at, nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from fediart.domain.policy import AiPolicy, LocalAction, RemoteAction, judge_post, judge_upload
from fediart.instance import Instance
from fediart.storage import verdicts

LIMIT = 500


@dataclass(frozen=True, slots=True)
class Changes:
    """Of the last `posts_seen` posts of other servers and `uploads_seen` pictures of ours, those treated otherwise.

    By what would be done with them. `posts_before` and `uploads_before`: by what is done with the same ones now.
    """

    posts: Mapping[RemoteAction, int]
    posts_before: Mapping[RemoteAction, int]
    posts_seen: int
    uploads: Mapping[LocalAction, int]
    uploads_before: Mapping[LocalAction, int]
    uploads_seen: int

    @property
    def is_none(self) -> bool:
        return not self.posts and not self.uploads


_UPLOADS = {
    LocalAction.ALLOW: "would have passed",
    LocalAction.LABEL: "would have got a label",
    LocalAction.ASK: "would have been asked about",
    LocalAction.HOLD: "would have been held",
    LocalAction.REJECT: "would have been refused",
}
_POSTS = {
    RemoteAction.ALLOW: "would be shown as any other",
    RemoteAction.LABEL: "would carry a label",
    RemoteAction.COLLAPSE: "would have their pictures behind a click",
    RemoteAction.HIDE_PUBLIC: "would be in no public view",
    RemoteAction.FILTER: "would be shown only to who follows their author",
    RemoteAction.REJECT: "would be deleted here",
}


def in_words(changes: Changes) -> list[str]:
    """Sentences with numbers, for who is about to adopt it."""
    told = []
    for what, seen, counts, words in (
        ("pictures uploaded here", changes.uploads_seen, changes.uploads, _UPLOADS),
        ("posts of other servers", changes.posts_seen, changes.posts, _POSTS),
    ):
        if not seen:
            told.append(f"There are no {what} yet to try it on.")
        elif not counts:
            told.append(f"Of the last {seen} {what} it changes none.")
        else:
            parts = ", ".join(f"{number} {words[action]}" for action, number in sorted(counts.items()))  # type: ignore[index]
            told.append(f"With these settings, of the last {seen} {what}: {parts}.")
    return told


async def count_changes(instance: Instance, policy: AiPolicy, limit: int = LIMIT) -> Changes:
    """What `policy` would change of the latest of each, against the one that holds."""
    return await instance.storage.read(_count, instance.policy, policy, max(1, limit))


def _count(db: Connection, holds: AiPolicy, wanted: AiPolicy, limit: int) -> Changes:
    posts = verdicts.judged_before(db, verdicts.NEWEST, limit)
    judged = [(judge_post(holds, post.signs).action, judge_post(wanted, post.signs).action) for post in posts]
    pictures = verdicts.latest_uploads(db, limit)
    uploaded = [(_action(holds, picture), _action(wanted, picture)) for picture in pictures]
    changed = [pair for pair in judged if pair[0] != pair[1]]
    held = [pair for pair in uploaded if pair[0] != pair[1]]
    return Changes(
        posts=Counter(after for _, after in changed),
        posts_before=Counter(before for before, _ in changed),
        posts_seen=len(posts),
        uploads=Counter(after for _, after in held),
        uploads_before=Counter(before for before, _ in held),
        uploads_seen=len(pictures),
    )


def _action(policy: AiPolicy, picture: verdicts.Upload) -> LocalAction:
    return judge_upload(policy, picture.declaration, picture.origin, is_cleared=picture.is_cleared).action
