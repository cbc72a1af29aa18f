"""Which reservation an answer carries, and how: in its headers, in a page's head.

The rule: an answer carries the strictest of all that it shows. A work's document and files carry the work's, an artist's page
the artist's and that of every work on it, anything else the instance's default and that of every work on it. What client
programs get is a mixture of many people's works, and reserves everything.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import Scope

from fediart.domain import signals
from fediart.domain.reservations import Reservation, reservation_of
from fediart.domain.terms import strictest, terms_of_artist, terms_of_work
from fediart.domain.works import ShownActor, ShownWork
from fediart.instance import Instance
from fediart.storage import reserved

REMEMBERED, REMEMBERED_S = 20_000, 60.0
"""Of so many files it is remembered what is said of them, and for so long. Whoever chooses anew has it forgotten at once."""

KEY = "reservation"


def reserve(request: Request, reservation: Reservation) -> None:
    """Let the answer to this request carry a reservation, and not that of the instance."""
    setattr(request.state, KEY, reservation)


def reserve_works(request: Request, shown: Iterable[ShownWork], *, of: ShownActor | ShownWork | None = None) -> None:
    """Of a page: about this artist or work (None: about nobody), with these works on it."""
    instance: Instance = request.app.state.instance
    policy = instance.policy
    if isinstance(of, ShownWork):
        base = terms_of_work(of.work, of.author.choices, policy).reservation
    elif of is not None:
        base = terms_of_artist(of.choices, policy).reservation
    else:
        base = policy.reserve.default
    reserve(request, strictest(base, (terms_of_work(it.work, it.author.choices, policy).reservation for it in shown)))


async def reserve_file(request: Request, name: str) -> None:
    """Of a file in the public store: as its work, or its artist, says; of another server's picture the stricter of that server's
    word and ours."""
    instance: Instance = request.app.state.instance
    policy = instance.policy
    default, may_change = policy.reserve.default, policy.reserve.artist_may_change
    said = await _said_of_file(instance, name)
    held = [
        default.stricter(it.origin)
        if it.origin is not None
        else reservation_of(it.work, it.artist, default, may_change=may_change)
        for it in said
    ]
    reserve(request, strictest(held[0], held[1:]) if held else default)


async def _said_of_file(instance: Instance, name: str) -> tuple[reserved.SaidOfFile, ...]:
    remembered, now = instance.said_of_files, time.monotonic()
    found = remembered.get(name)
    if found is not None and now - found[0] < REMEMBERED_S:
        return found[1]
    said = await instance.storage.read(reserved.said_of_file, name)
    remembered[name] = (now, said)
    remembered.move_to_end(name)
    if len(remembered) > REMEMBERED:
        remembered.popitem(last=False)
    return said


def reservation_for(scope: Scope, instance: Instance) -> Reservation:
    """What the answer to this request carries."""
    held = scope.get("state", {}).get(KEY)
    if isinstance(held, Reservation):
        return held
    default = instance.policy.reserve.default
    return default.stricter(signals.CLOSED) if scope["path"].startswith("/api/") else default


def put_headers(headers: MutableHeaders, scope: Scope, instance: Instance) -> None:
    reservation = reservation_for(scope, instance)
    for name, value in signals.headers_of(reservation, instance.policy.reserve, instance.identifiers.base_url):
        if name == "link":
            # Client programs page by their Link, and not all of them read more than one.
            if not scope["path"].startswith("/api/"):
                headers.append(name, value)
        else:
            headers[name] = value


def encoded_headers(instance: Instance) -> list[tuple[bytes, bytes]]:
    """The instance's, for what answers without a request."""
    reserve = instance.policy.reserve
    said = signals.headers_of(reserve.default, reserve, instance.identifiers.base_url)
    return [(name.encode(), value.encode()) for name, value in said]


def head_of(request: Request) -> dict[str, Any]:
    """What the head of a page says: `robots`, `tdm` (0, 1, None: nothing), `tdm_policy`, `rsl`, `reservation`."""
    instance: Instance = request.app.state.instance
    reservation = reservation_for(request.scope, instance)
    reserve, base_url = instance.policy.reserve, instance.identifiers.base_url
    return {
        "reservation": reservation,
        "robots": signals.robots_words(reservation),
        "tdm": signals.tdm_reservation(reservation) if reserve.tdmrep else None,
        "tdm_policy": base_url + signals.TDM_POLICY,
        "rsl": base_url + signals.RSL if reserve.rsl else "",
    }
