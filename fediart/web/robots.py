"""/robots.txt, from the policy in force."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.reservations import Answer, reservation_of
from fediart.domain.robots import MOST_ARTISTS, robots_text
from fediart.instance import Instance
from fediart.storage import reserved

MOST_READ = 2 * MOST_ARTISTS


class RobotsText:
    """What was written last, until the policy or the list of agents is another one."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] = ()
        self._text = ""

    def text(self, instance: Instance, opted_in: tuple[str, ...] = (), opted_out: tuple[str, ...] = ()) -> str:
        """`opted_in`, `opted_out`: artists who chose otherwise than the instance, see `robots_text`."""
        policy, agents = instance.policy, instance.agents.agents
        is_same = len(self._of) == 4 and self._of[0] is policy and self._of[1] is agents
        if not is_same or self._of[2:] != (opted_in, opted_out):
            self._text = robots_text(policy, agents, instance.config.base_url, opted_in=opted_in, opted_out=opted_out)
            self._of = (policy, agents, opted_in, opted_out)
        return self._text


async def robots(request: Request) -> Response:
    """Everybody may read it, whoever they are."""
    instance: Instance = request.app.state.instance
    held: RobotsText = request.app.state.robots
    opted_in, opted_out = await _otherwise(instance)
    text = held.text(instance, opted_in, opted_out)
    return Response(text, media_type="text/plain", headers={"cache-control": "public, max-age=3600"})


async def _otherwise(instance: Instance) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Artists who permit training where the instance does not, and those who deny it where the instance permits it."""
    reserve = instance.policy.reserve
    choices = await instance.storage.read(reserved.artists_who_chose, MOST_READ)
    held = [
        (name, reservation_of(None, chosen, reserve.default, may_change=reserve.artist_may_change).training)
        for name, chosen in choices
    ]
    differing = tuple(name for name, training in held if training != reserve.training)
    if reserve.training == Answer.DENY:
        return differing, ()
    # Of more than are read nobody knows what the others said: then it is denied for all, as `robots_text` says.
    return (), differing if len(choices) < MOST_READ else tuple(name for name, _ in choices)
