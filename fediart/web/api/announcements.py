"""Mastodon's announcements: that the AI-art policy of this server has changed, until one says that one has read it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.actors import Account
from fediart.domain.policy_words import PolicyChange
from fediart.errors import NotFound
from fediart.ids import parse_id
from fediart.instance import Instance
from fediart.storage import policies
from fediart.studio.read_announcement import read_announcement
from fediart.web.api import entities
from fediart.web.api.answers import answer
from fediart.web.api.auth import account_in, instance_of, needs
from fediart.web.uploads import truth


@needs("read:accounts")
async def announcements(request: Request) -> Response:
    """What changed since this person's last reading, as one. `with_dismissed`: also the last change, once it was read."""
    instance, account = instance_of(request), account_in(request)
    is_read = account.policy_read >= instance.policy.number
    wants_read = truth(request.query_params.get("with_dismissed", ""))
    change = None if is_read and not wants_read else await _change(instance, account, is_read=is_read)
    shown = [] if change is None else [entities.announcement(instance.identifiers, change, is_read=is_read)]
    return answer(shown)


async def _change(instance: Instance, account: Account, *, is_read: bool) -> PolicyChange | None:
    if not is_read:
        return await instance.storage.read(policies.changes_since, account.policy_read)
    change = await instance.storage.read(policies.change_by, instance.policy.number)
    return change if change is not None and change.lines else None


@needs("write:accounts")
async def dismiss(request: Request) -> Response:
    number = parse_id(request.path_params["id"])
    if number is None:
        raise NotFound("Record not found")
    await read_announcement(instance_of(request), account_in(request), number)
    return answer({})
