"""What becomes of documents that others wrote: each is sent to a real inbox, signed as if its own host had said it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, func, select

from fediart.activitypub.parsers import fields
from fediart.activitypub.parsers.actor import KINDS as ACTORS
from fediart.errors import FediartError
from fediart.remote.bring_home import bring_actor
from fediart.storage import works
from fediart.storage.tables import jobs
from tests.corpora import Sent
from tests.far_server import FarActor, FarServer, a_far_server, artist_uri, follow
from tests.waiting import until
from tests.world import World, a_world

TOGETHER = 16
"""So many are sent at a time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`verdict`: accepted, ignored, refused, or lost (which must not be). `reason` in the product's own words."""

    sent: Sent
    verdict: str
    reason: str = ""


class Sender(FarActor):
    """Somebody at any address of a far server."""

    def __init__(self, server: FarServer, uri: str) -> None:
        super().__init__(server, uri.rstrip("/").rsplit("/", 1)[1] or "actor", 7)
        self._uri = uri
        name = "".join(letter for letter in self.name if letter.isascii() and letter.isalnum()) or "actor"
        server.serve(
            _path(uri.removeprefix(server.url)), {**self.document(), "preferredUsername": f"{name}{len(server.answers)}"}
        )

    @property
    def uri(self) -> str:
        return self._uri


@dataclass(frozen=True)
class Trial:
    """Mira follows `sender`, who lives on `far`; `work` is one of hers."""

    world: World
    far: FarServer
    sender: Sender
    work: str
    of_all_authors: bool = False
    """Is each object told of by its own author? Otherwise all are `sender`'s."""
    counter: Iterator[int] = field(default_factory=itertools.count)

    @property
    def reader(self) -> str:
        return artist_uri(self.world)

    async def judge(self, documents: Iterable[Sent]) -> list[Outcome]:
        sent = list(documents)
        found: list[Outcome | None] = []
        watched: dict[str, int] = {}
        with structlog.testing.capture_logs() as told:
            for start in range(0, len(sent), TOGETHER):
                batch = [(one, self._activity_of(one)) for one in sent[start : start + TOGETHER]]
                found += await asyncio.gather(*(self._send(one, activity) for one, activity in batch))
                for number, (_, activity) in enumerate(batch, start):
                    if activity is not None and found[number] is None:
                        watched[fields.uri(activity["id"]) or ""] = number
            await until(self._is_handled)
        for line in told:
            at = watched.get(line.get("activity", ""))
            if at is not None and found[at] is None:
                verdict = "ignored" if line["event"] == "inbox.unknown_type" else "refused"
                if line["event"] in ("inbox.unknown_type", "arrival.left", "arrival.not_understood"):
                    found[at] = Outcome(sent[at], verdict, line["reason"] if verdict == "refused" else "a verb that is not known")
        crashed = [line for line in told if line["log_level"] in ("error", "critical") or line.get("exc_info")]
        assert crashed == [], crashed[0]
        return [known or await self._kept(one) for one, known in zip(sent, found, strict=True)]

    def _activity_of(self, one: Sent) -> dict[str, Any] | None:
        """What is told; None where somebody is to be met."""
        if one.asked:
            is_somebody = fields.kind(one.document.get("type")) in ACTORS
            return None if is_somebody else self._asked_for(next(self.counter), one.document)
        self._serve_inside(one.document)
        return one.document

    async def _send(self, one: Sent, activity: dict[str, Any] | None) -> Outcome | None:
        return await (self._meet(one) if activity is None else self._tell(one, activity))

    async def _meet(self, one: Sent) -> Outcome:
        uri = fields.uri(one.document.get("id"))
        if uri is None:
            return Outcome(one, "refused", "This is not an actor.")
        self.far.serve(_path(uri.removeprefix(self.far.url)), one.document)
        try:
            await bring_actor(self.world.instance.seeker, uri, refresh=True)
        except FediartError as problem:
            return Outcome(one, "refused", problem.message)
        return Outcome(one, "accepted")

    def _asked_for(self, number: int, document: dict[str, Any]) -> dict[str, Any]:
        """A Create that only names an object, which stands at its own address (or, having none, at one of ours)."""
        uri = fields.uri(document.get("id"))
        if uri is None or not uri.startswith(self.far.url + "/"):
            uri = f"{self.far.url}/nameless/{number}"
        self.far.serve(_path(uri.removeprefix(self.far.url)), document)
        author = fields.uri(document.get("attributedTo")) if self.of_all_authors else None
        return {"id": f"{self.far.url}/asked/{number}", "type": "Create", "actor": author or self.sender.uri, "object": uri}

    async def _tell(self, one: Sent, activity: dict[str, Any]) -> Outcome | None:
        actor = fields.uri(activity.get("actor"))
        sender = self.sender if actor in (None, self.sender.uri) else Sender(self.far, str(actor))
        answer = await sender.says(self.world, activity)
        assert answer.status_code < 500, answer.text
        if answer.status_code == 202:
            return None
        return Outcome(one, "refused", answer.json()["error"])

    def _serve_inside(self, activity: dict[str, Any]) -> None:
        """What is embedded stands at its own address too, as with whoever really says it."""
        inner = fields.first(activity.get("object"))
        while isinstance(inner, dict):
            uri = fields.uri(inner.get("id"))
            if uri is not None and uri.startswith(self.far.url + "/"):
                self.far.serve(_path(uri.removeprefix(self.far.url)), inner)
            inner = fields.first(inner.get("object"))

    async def _is_handled(self) -> bool:
        def waiting(db: Connection) -> int:
            now = self.world.instance.clock()
            due = (jobs.c.kind == "arrival", jobs.c.run_at <= now)
            return db.execute(select(func.count()).select_from(jobs).where(*due)).scalar_one()

        return await self.world.instance.storage.read(waiting) == 0

    async def _kept(self, one: Sent) -> Outcome:
        """Nothing spoke against it: then what it brings is here."""
        document = one.document
        if not one.asked:
            if fields.kind(document.get("type")) != "Create":
                return Outcome(one, "accepted")
            document = fields.first(document.get("object"))
        uri = fields.uri(document)
        is_here = uri is not None and await self.world.instance.storage.read(works.work_by_uri, uri) is not None
        return Outcome(one, "accepted" if is_here else "lost")


def _path(address: str) -> str:
    return address.split("?")[0].split("#")[0]


@contextlib.asynccontextmanager
async def a_trial(folder: Path, *, of_all_authors: bool = False) -> AsyncIterator[Trial]:
    async with a_far_server() as far, a_world(folder) as world:
        sender = Sender(far, f"{far.url}/actor")
        far.knows(f"acct:actor@{far.host}", sender.uri)
        await follow(world, sender)
        posted = (await world.client.post("/api/v1/statuses", data={"status": "an evening"})).json()
        yield Trial(world, far, sender, posted["uri"], of_all_authors)


def is_whole(sent: Sent) -> bool:
    """Has it what every server sends: of itself, and of what is embedded, an id, a type and who says it?"""
    document: Any = sent.document
    while isinstance(document, dict):
        kind = fields.kind(document.get("type"))
        said_by = fields.uri(document.get("actor")) or fields.uri(document.get("attributedTo"))
        if fields.uri(document.get("id")) is None or not kind or kind == "Tombstone" or (said_by is None and kind not in ACTORS):
            return False
        document = fields.first(document.get("object"))
    return True


def written(outcomes: Sequence[Outcome]) -> str:
    """The table, as Markdown: totals per corpus and part, then every refusal by its name."""
    lines = ["| corpus | part | documents | accepted | ignored | refused |", "|---|---|---:|---:|---:|---:|"]
    parts = sorted({(one.sent.corpus, one.sent.part) for one in outcomes})
    for corpus, part in parts:
        count = Counter(one.verdict for one in outcomes if (one.sent.corpus, one.sent.part) == (corpus, part))
        lines.append(f"| {corpus} | {part} | {count.total()} | {count['accepted']} | {count['ignored']} | {count['refused']} |")
    count = Counter(one.verdict for one in outcomes)
    lines.append(f"| all | | {count.total()} | {count['accepted']} | {count['ignored']} | {count['refused']} |")
    lines += ["", "| not accepted | why | documents |", "|---|---|---|"]
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in outcomes:
        if one.verdict != "accepted":
            reasons.setdefault((one.verdict, one.reason), []).append(f"{one.sent.part} {one.sent.name}")
    for (verdict, reason), names in sorted(reasons.items()):
        lines.append(f"| {verdict} | {reason} | {len(names)}: {'; '.join(names)} |")
    return "\n".join(lines) + "\n"
