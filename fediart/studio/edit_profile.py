"""A local artist's profile: name, words about themselves, a few fields."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.errors import BadInput
from fediart.instance import DELIVERY, Instance
from fediart.outbox.announce_work import announce_actor
from fediart.storage import actors
from fediart.text.compose import compose
from fediart.text.sanitise import clean_name

MAX_NAME, MAX_BIO, MAX_FIELDS, MAX_FIELD = 100, 1_000, 4, 255


async def edit_profile(
    instance: Instance, account: Account, *, name: str, bio: str, fields: Sequence[tuple[str, str]], locked: bool | None = None
) -> None:
    """`bio` and the fields' values are plain text. Raises BadInput in words for the artist."""
    for what, text, limit in (("name", name, MAX_NAME), ("text about you", bio, MAX_BIO)):
        if len(text) > limit:
            raise BadInput(f"The {what} has {len(text)} characters; at most {limit} fit.")
    kept = [(clean_name(label, MAX_FIELD), _value(instance, value)) for label, value in fields[:MAX_FIELDS] if label.strip()]
    values: dict[str, object] = {
        "name": clean_name(name, MAX_NAME),
        "summary": compose(bio, resolve_mention={}, tag_url=instance.identifiers.tag_url).html,
        "summary_source": bio,
        "fields": json.dumps(kept),
    }
    if locked is not None:
        values["locked"] = locked

    def act(db: Connection, now: int) -> None:
        actors.change_actor(db, account.actor_id, **values)
        announce_actor(db, instance.identifiers, account.actor_id, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(DELIVERY)


def _value(instance: Instance, text: str) -> str:
    html = compose(text[:MAX_FIELD].replace("\n", " "), resolve_mention={}, tag_url=instance.identifiers.tag_url).html
    return html.removeprefix("<p>").removesuffix("</p>").replace(' rel="nofollow', ' rel="me nofollow')
