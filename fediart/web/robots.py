"""/robots.txt, from the policy in force."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.robots import robots_text
from fediart.instance import Instance


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
    return Response(held.text(instance), media_type="text/plain", headers={"cache-control": "public, max-age=3600"})
