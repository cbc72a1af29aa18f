"""What is reserved here, in the files that machines ask for: TDMRep's rules and policy, RSL's licences. For everyone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fediart.domain import signals
from fediart.domain.policy import AiPolicy
from fediart.domain.reservations import Reservation, reservation_of
from fediart.errors import NotFound
from fediart.instance import Instance
from fediart.storage import reserved

MOST = 1_000
"""So many artists, and so many works, are named apart. Where there are more, these files reserve everything."""

CACHE = {"cache-control": "public, max-age=60", "access-control-allow-origin": "*"}


@dataclass(frozen=True, slots=True)
class Apart:
    """Who says something else than the instance. `work_id` None: of all the artist's works."""

    username: str
    work_id: int | None
    reservation: Reservation


async def apart(instance: Instance) -> list[Apart] | None:
    """Works before their artists. None: they are too many to be named."""
    artists = await instance.storage.read(reserved.artists_who_chose, MOST + 1)
    works = await instance.storage.read(reserved.works_with_a_choice, MOST + 1)
    if len(artists) > MOST or len(works) > MOST:
        return None
    reserve = instance.policy.reserve
    default, may_change = reserve.default, reserve.artist_may_change
    by_artist = {name: reservation_of(None, held, default, may_change=may_change) for name, held in artists}
    found = [Apart(name, id_, reservation_of(held, None, default, may_change=may_change)) for name, id_, held in works]
    found = [it for it in found if not it.reservation.is_like(by_artist.get(it.username, default))]
    return found + [Apart(name, None, held) for name, held in by_artist.items() if not held.is_like(default)]


def _everything(policy: AiPolicy, named: list[Apart] | None) -> Reservation:
    """What holds for all that is not named."""
    return policy.reserve.default if named is not None else policy.reserve.default.stricter(signals.CLOSED)


def _paths(it: Apart) -> list[str]:
    """Patterns as in robots.txt: $ is the end of an address, anything else its beginning."""
    if it.work_id is None:
        return [path for at in (f"/@{it.username}", f"/users/{it.username}") for path in (f"{at}$", f"{at}/")]
    return [f"/@{it.username}/{it.work_id}", f"/users/{it.username}/statuses/{it.work_id}"]


def build_tdm_rules(base_url: str, policy: AiPolicy, named: list[Apart] | None) -> list[dict[str, Any]]:
    """TDMRep: the first rule that fits an address counts, so that the specific ones stand first."""
    everything = _everything(policy, named)
    rules = [_tdm_rule(path, it.reservation, base_url) for it in named or () for path in _paths(it)]
    return [*rules, _tdm_rule("/", everything, base_url)]


def _tdm_rule(path: str, reservation: Reservation, base_url: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"location": path, "tdm-reservation": signals.tdm_reservation(reservation)}
    return rule | {"tdm-policy": base_url + signals.TDM_POLICY} if reservation.is_reserved else rule


def build_tdm_policy(base_url: str, host: str, statement: str) -> dict[str, Any]:
    """ODRL in TDMRep's profile: mining is to be had by asking."""
    return {
        "@context": ["http://www.w3.org/ns/odrl.jsonld", "http://www.w3.org/ns/tdmrep.jsonld"],
        "@type": "Offer",
        "profile": "http://www.w3.org/ns/tdmrep",
        "uid": base_url + signals.TDM_POLICY,
        "assigner": {"uid": base_url, "vcard:fn": host, "vcard:hasURL": statement},
        "permission": [{"action": "tdm:mine", "duty": [{"action": "obtainConsent"}]}],
    }


def build_rsl(policy: AiPolicy, named: list[Apart] | None) -> str:
    """RSL 1.0: the most specific `content` that fits an address counts."""
    contents = [_content(path, it.reservation) for it in named or () for path in _paths(it)]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rsl xmlns="https://rslstandard.org/rsl">\n'
        + "".join([*contents, _content("/", _everything(policy, named))])
        + "</rsl>\n"
    )


def _content(path: str, reservation: Reservation) -> str:
    permitted, prohibited = signals.rsl_usages(reservation)
    said = "".join(
        f'<{name} type="usage">{escape(" ".join(usages))}</{name}>'
        for name, usages in (("permits", permitted), ("prohibits", prohibited))
        if usages
    )
    return f"  <content url={quoteattr(path)}><license>{said}</license></content>\n"


def _instance(request: Request) -> Instance:
    instance: Instance = request.app.state.instance
    return instance


def _as(content_type: str, body: bytes | str) -> Response:
    response = Response(body, headers=CACHE)
    response.headers["content-type"] = content_type
    return response


def _switched_on(which: Callable[[AiPolicy], bool], request: Request) -> Instance:
    instance = _instance(request)
    if not which(instance.policy):
        raise NotFound("This server does not say it in this way.")
    return instance


async def tdm_rules(request: Request) -> Response:
    instance = _switched_on(lambda policy: policy.reserve.tdmrep, request)
    rules = build_tdm_rules(instance.identifiers.base_url, instance.policy, await apart(instance))
    return _as("application/json", msgspec.json.encode(rules))


async def tdm_policy(request: Request) -> Response:
    instance = _switched_on(lambda policy: policy.reserve.tdmrep, request)
    ids = instance.identifiers
    document = build_tdm_policy(ids.base_url, ids.host, ids.absolute(instance.policy.statement_url))
    return _as("application/ld+json", msgspec.json.encode(document))


async def rsl(request: Request) -> Response:
    instance = _switched_on(lambda policy: policy.reserve.rsl, request)
    return _as(signals.RSL_TYPE, build_rsl(instance.policy, await apart(instance)))


def statement_routes() -> list[Route]:
    return [Route(signals.TDM_RULES, tdm_rules), Route(signals.TDM_POLICY, tdm_policy), Route(signals.RSL, rsl)]
