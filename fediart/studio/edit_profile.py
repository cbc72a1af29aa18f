"""A local artist's profile: name, words about themselves, a few fields, and whether they decide who follows."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.errors import BadInput
from fediart.instance import DELIVERY, Instance
from fediart.outbox.announce_work import announce_actor
from fediart.storage import actors
from fediart.studio.answer_request import accept_all
from fediart.text.compose import compose
from fediart.text.sanitise import clean_name

MAX_NAME, MAX_BIO, MAX_FIELDS, MAX_FIELD = 100, 1_000, 4, 255


async def edit_profile(
    instance: Instance,
    account: Account,
    *,
    name: str | None = None,
    bio: str | None = None,
    fields: Sequence[tuple[str, str]] | None = None,
    locked: bool | None = None,
) -> None:
    """`bio` and the fields' values are plain text; None leaves a part as it is. Raises BadInput in words for the artist.

    `locked`: the artist decides on each who wants to follow. Whoever waits when that ends is accepted.
    """
    values: dict[str, object] = {}
    for what, text, limit in (("name", name, MAX_NAME), ("text about you", bio, MAX_BIO)):
        if text is not None and len(text) > limit:
            raise BadInput(f"The {what} has {len(text)} characters; at most {limit} fit.")
    if name is not None:
        values["name"] = clean_name(name, MAX_NAME)
    if bio is not None:
        html = compose(bio, resolve_mention={}, tag_url=instance.identifiers.tag_url).html
        values |= {"summary": html, "summary_source": bio}
    if fields is not None:
        kept = [(clean_name(label, MAX_FIELD), _value(instance, value)) for label, value in fields[:MAX_FIELDS] if label.strip()]
        values["fields"] = json.dumps(kept)
    if locked is not None:
        values["locked"] = locked
    if not values:
        return

    def act(db: Connection, now: int) -> None:
        before = actors.actor_by_id(db, account.actor_id)
        assert before is not None  # an account always has its actor
        actors.change_actor(db, account.actor_id, **values)
        if before.locked and locked is False:
            accept_all(db, instance, before, now)
        announce_actor(db, instance.identifiers, account.actor_id, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


def _value(instance: Instance, text: str) -> str:
    html = compose(text[:MAX_FIELD].replace("\n", " "), resolve_mention={}, tag_url=instance.identifiers.tag_url).html
    return html.removeprefix("<p>").removesuffix("</p>").replace(' rel="nofollow', ' rel="me nofollow')
