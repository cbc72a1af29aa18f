"""Is what the policy says what machines hear? This server's own addresses are fetched as a stranger does, and looked at.

Nothing of what writes the signals is used to read them: a mistake there would then be ticked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from sqlalchemy import Connection

from fediart.activitypub.vocabulary import AP_TYPE
from fediart.domain.policy import RobotsList
from fediart.domain.reservations import Answer as Said
from fediart.domain.reservations import Reservation, reservation_from, reservation_of
from fediart.errors import FediartError
from fediart.instance import Instance
from fediart.remote.client import Answer
from fediart.storage import accounts, works

Fetch = Callable[[str, Mapping[str, str]], Awaitable[Answer]]
"""(path of this server, headers) → its answer."""

TRAINER = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot"
"""How a crawler that trains calls itself."""


@dataclass(frozen=True, slots=True)
class Check:
    """`holds` None: it is switched off, or there is nothing to look at. `seen`: what came, in words."""

    name: str
    holds: bool | None
    seen: str


@dataclass(frozen=True, slots=True)
class _Heard:
    robots: Answer
    tdmrep: Answer
    licence: Answer
    page: Answer
    note: Answer | None
    file: Answer | None
    trainer: Answer
    reservation: Reservation
    """What holds for the page, the note and the file."""


async def check_signals(instance: Instance, fetch: Fetch) -> list[Check]:
    """One line for each way in which it is said. Raises FediartError where an address cannot be fetched at all."""
    found = await instance.storage.read(_a_work)
    reserve = instance.policy.reserve
    path, file_path, said = ("/", None, reserve.default) if found is None else (found.page, found.file, _said(instance, found))
    heard = _Heard(
        robots=await fetch("/robots.txt", {}),
        tdmrep=await fetch("/.well-known/tdmrep.json", {}),
        licence=await fetch("/license.xml", {}),
        page=await fetch(path, {"accept": "text/html"}),
        note=await fetch(found.note, {"accept": AP_TYPE}) if found else None,
        file=await fetch(file_path, {}) if file_path else None,
        trainer=await fetch("/", {"user-agent": TRAINER}),
        reservation=said,
    )
    return [_looked(look, instance, heard) for look in _LOOKS]


def _looked(look: Callable[[Instance, _Heard], Check], instance: Instance, heard: _Heard) -> Check:
    try:
        return look(instance, heard)
    except (ValueError, KeyError, TypeError, ElementTree.ParseError) as problem:
        return Check(look.__doc__ or "", False, f"It cannot be read: {problem}")


@dataclass(frozen=True, slots=True)
class _Sample:
    page: str
    note: str
    file: str | None
    work: str | None
    artist: str | None


def _a_work(db: Connection) -> _Sample | None:
    """The newest picture here that anybody may see."""
    shown = next(iter(works.public_works(db, None, limit=1, only_media=True)), None)
    if shown is None:
        return None
    account = accounts.account_of_actor(db, shown.author.actor.id)
    file = next((f"/media/{image.public.name}" for image in shown.images if image.public is not None), None)
    base = f"/users/{shown.author.actor.username}/statuses/{shown.work.id}"
    page = f"/@{shown.author.actor.username}/{shown.work.id}"
    return _Sample(page, base, file, shown.work.reservation, account.reservation if account else None)


def _said(instance: Instance, sample: _Sample) -> Reservation:
    reserve = instance.policy.reserve
    return reservation_of(
        reservation_from(sample.work),
        reservation_from(sample.artist),
        reserve.default,
        may_change=reserve.artist_may_change,
    )


NO_WORK = "There is no public work with a picture yet."


def _robots(instance: Instance, heard: _Heard) -> Check:
    """robots.txt names AI agents"""
    many = len(re.findall(r"(?im)^user-agent:\s*(?!\*)\S", heard.robots.body.decode()))
    wanted = instance.policy.reserve.robots_list
    if wanted == RobotsList.OFF:
        return Check("robots.txt names AI agents", None if not many else False, f"{many} agents; the list is off")
    return Check("robots.txt names AI agents", many > 0, f"{many} agents")


def _content_signal(instance: Instance, heard: _Heard) -> Check:
    """Content-Signal"""
    line = re.search(r"(?im)^content-signal:\s*(.+)$", heard.robots.body.decode())
    seen = line[1].strip() if line else "nothing"
    default = instance.policy.reserve.default
    pairs = dict(part.strip().split("=") for part in seen.split(",") if "=" in part)
    wanted = {"search": default.search, "ai-input": default.ai_input, "ai-train": default.training}
    return Check("Content-Signal in robots.txt", pairs == {name: _yes(answer) for name, answer in wanted.items()}, seen)


def _content_usage(instance: Instance, heard: _Heard) -> Check:
    """Content-Usage"""
    header = heard.page.headers.get("content-usage", "")
    line = re.search(r"(?im)^content-usage:\s*(.+)$", heard.robots.body.decode())
    mine = f"train-ai={'n' if heard.reservation.training == Said.DENY else 'y'}"
    all_ = f"train-ai={'n' if instance.policy.reserve.training == Said.DENY else 'y'}"
    holds = mine in header and line is not None and all_ in line[1]
    return Check("AIPREF: Content-Usage in headers and robots.txt", holds, header or "nothing in the page's headers")


def _tdmrep(instance: Instance, heard: _Heard) -> Check:
    """TDMRep"""
    if not instance.policy.reserve.tdmrep:
        return Check("TDMRep: /.well-known/tdmrep.json", None, "switched off")
    rules = json.loads(heard.tdmrep.body)
    last = [rule["tdm-reservation"] for rule in rules if rule["location"] == "/"]
    wanted = 1 if instance.policy.reserve.default.is_reserved else 0
    return Check("TDMRep: /.well-known/tdmrep.json", last == [wanted], f"{len(rules)} rules, the last one {last}")


def _tdm_headers(instance: Instance, heard: _Heard) -> Check:
    """TDMRep headers on pictures"""
    name = "TDMRep headers on pictures"
    if not instance.policy.reserve.tdmrep:
        return Check(name, None, "switched off")
    if heard.file is None:
        return Check(name, None, NO_WORK)
    seen = heard.file.headers.get("tdm-reservation", "nothing")
    return Check(name, seen == ("1" if heard.reservation.is_reserved else "0"), f"tdm-reservation: {seen}")


def _rsl(instance: Instance, heard: _Heard) -> Check:
    """RSL"""
    name = "RSL: /license.xml, robots.txt and the Link header"
    if not instance.policy.reserve.rsl:
        return Check(name, None, "switched off")
    root = ElementTree.fromstring(heard.licence.body)  # noqa: S314 - our own file
    is_named = "license.xml" in heard.page.headers.get("link", "")
    is_in_robots = re.search(r"(?im)^license:\s*\S+/license\.xml", heard.robots.body.decode()) is not None
    holds = root.tag == "{https://rslstandard.org/rsl}rsl" and is_named and is_in_robots
    return Check(name, holds, f"{len(root)} rules" + ("" if is_named else ", but no Link header"))


def _meta(_instance: Instance, heard: _Heard) -> Check:
    """noai in pages"""
    found = re.search(r'<meta name="robots" content="([^"]*)"', heard.page.body.decode())
    seen = found[1] if found else "nothing"
    return Check("noai and noimageai in pages", _says_noai(seen) == (heard.reservation.training == Said.DENY), seen)


def _robots_tag(_instance: Instance, heard: _Heard) -> Check:
    """X-Robots-Tag"""
    if heard.file is None:
        return Check("X-Robots-Tag on pictures", None, NO_WORK)
    seen = heard.file.headers.get("x-robots-tag", "nothing")
    return Check("X-Robots-Tag on pictures", _says_noai(seen) == (heard.reservation.training == Said.DENY), seen)


def _noarchive(_instance: Instance, heard: _Heard) -> Check:
    """noarchive"""
    seen = heard.page.headers.get("x-robots-tag", "nothing")
    return Check("noarchive, which Bing and Amazon read", ("noarchive" in seen) == heard.reservation.is_reserved, seen)


def _plus(instance: Instance, heard: _Heard) -> Check:
    """IPTC and PLUS"""
    if not instance.policy.reserve.embed_xmp:
        return Check("Inside pictures: IPTC and PLUS", None, "switched off")
    if heard.file is None:
        return Check("Inside pictures: IPTC and PLUS", None, NO_WORK)
    found = re.search(rb"DMI-[A-Z-]+", heard.file.body)
    seen = found[0].decode() if found else "nothing"
    holds = seen.startswith("DMI-PROHIBITED") == (heard.reservation != _ALL_ALLOWED and heard.reservation.is_reserved)
    return Check("Inside pictures: IPTC and PLUS", holds and found is not None, seen)


_ALL_ALLOWED = Reservation(Said.ALLOW, Said.ALLOW, Said.ALLOW)


def _c2pa(instance: Instance, heard: _Heard) -> Check:
    """C2PA"""
    if not instance.policy.reserve.c2pa:
        return Check("Inside pictures: C2PA", None, "switched off")
    if heard.file is None:
        return Check("Inside pictures: C2PA", None, NO_WORK)
    labels = [label for label in (b"cawg.training-mining", b"c2pa.training-mining") if label in heard.file.body]
    return Check("Inside pictures: C2PA", len(labels) == 2, f"{len(labels)} of 2 statements")


def _default(instance: Instance, _heard: _Heard) -> Check:
    """By default"""
    is_reserved = instance.policy.reserve.default.is_reserved
    return Check("Reserved for whoever says nothing", is_reserved or None, "yes" if is_reserved else "no, as you chose")


def _federated(_instance: Instance, heard: _Heard) -> Check:
    """ActivityPub"""
    name = "In what other servers get (ActivityPub)"
    if heard.note is None or heard.file is None:
        return Check(name, None, NO_WORK)
    (picture, *_) = json.loads(heard.note.body)["attachment"]
    wanted = 1 if heard.reservation.is_reserved else 0
    seen = picture.get("tdmReservation"), picture.get("contentUsage")
    return Check(name, seen[0] == wanted and seen[1] is not None, f"tdmReservation {seen[0]}, contentUsage {seen[1]}")


def _refused(instance: Instance, heard: _Heard) -> Check:
    """Crawlers"""
    name = "A crawler that trains is refused"
    policy = instance.policy
    if not policy.enforce.block_user_agents or policy.reserve.robots_list == RobotsList.OFF:
        return Check(name, None, "switched off")
    return Check(name, heard.trainer.status == 403, f"GPTBot gets {heard.trainer.status}")


_LOOKS = (
    _robots,
    _content_signal,
    _content_usage,
    _tdmrep,
    _tdm_headers,
    _rsl,
    _meta,
    _robots_tag,
    _noarchive,
    _plus,
    _c2pa,
    _default,
    _federated,
    _refused,
)


def _yes(answer: Said) -> str:
    return "yes" if answer == Said.ALLOW else "no"


def _says_noai(text: str) -> bool:
    words = set(re.findall(r"[a-z]+", text))
    return {"noai", "noimageai"} <= words


async def over_the_network(instance: Instance, path: str, headers: Mapping[str, str]) -> Answer:
    """A `Fetch` by this server's public name, through whatever stands before it."""
    return await instance.client.request(
        "GET", instance.identifiers.base_url + path, headers=headers, max_bytes=instance.config.media.remote_bytes
    )


async def is_reachable(instance: Instance) -> bool:
    """Does this server reach itself by its public name? Not in a trial, nor behind a router that does not lead back."""
    try:
        return (await over_the_network(instance, "/healthz", {})).status == 200
    except FediartError:
        return False
