"""A walk through documents of other servers, bounded in requests, one at a time at each host, with a pause after each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from fediart.activitypub.identifiers import host_of, same_host
from fediart.activitypub.parsers.collection import parse_collection
from fediart.activitypub.signatures.sign import Form
from fediart.domain.actors import Actor
from fediart.errors import BadAnswer, FediartError, ParseError, RefusedByRemote, RemoteError, Unreachable
from fediart.instance import Instance
from fediart.remote.bring_home import bring_actor
from fediart.remote.client import RemoteClient, Signer
from fediart.remote.fetch import fetch_collection, fetch_document

log = structlog.get_logger("fediart.inbox")

T = TypeVar("T")
Fetch = Callable[[RemoteClient, str, Signer], Awaitable[dict[str, Any]]]


class Trip:
    """At most `most` requests, redirects and second knocks counted. Who does not answer, or wants quiet, is not asked again."""

    def __init__(self, instance: Instance, most: int) -> None:
        self._instance = instance
        self._left = most
        self._seeker = replace(instance.seeker, sign=self._sign)
        self.away: dict[str, int] = {}
        """Hosts that are not asked any more, and how many seconds they want quiet for, 0 when they did not say."""

    @property
    def is_over(self) -> bool:
        return self._left <= 0

    def _sign(self, form: Form, method: str, url: str, body: bytes | None) -> dict[str, str]:
        """Every request is signed, so this counts them all."""
        if self._left <= 0:
            raise BadAnswer("Enough was asked for this.", detail=url[:200])
        self._left -= 1
        return self._instance.sign_as_instance(form, method, url, body)

    async def document(self, url: str) -> dict[str, Any]:
        """The document at `url`. Raises RemoteError, ParseError."""
        return await self._document(url, fetch_document)

    async def _document(self, url: str, fetch: Fetch) -> dict[str, Any]:
        if self._instance.identifiers.pretends_local(url):
            raise BadAnswer("This address is on our own host.", detail=url[:200])
        return await self._asked(url, lambda: fetch(self._instance.client, url, self._sign))

    async def actor(self, uri: str) -> Actor:
        """From here or from its server. Raises RemoteError, ParseError."""
        return await self._asked(uri, lambda: bring_actor(self._seeker, uri))

    async def _asked(self, url: str, ask: Callable[[], Awaitable[T]]) -> T:
        host = host_of(url)
        if host in self.away or self.is_over:
            raise BadAnswer("This host is not asked any more.", detail=url[:200])
        async with self._instance.looking.turn(host):
            before = self._left
            try:
                return await ask()
            except Unreachable:
                self.away[host] = 0
                raise
            except RefusedByRemote as problem:
                if problem.remote_status in (429, 503):
                    self.away[host] = problem.retry_after or 0
                raise
            finally:
                if self._left < before:
                    await asyncio.sleep(self._instance.pause_s)

    async def items(self, held: Any, host_uri: str, *, pages: int) -> list[tuple[str, Any]]:
        """(address of the page, item) of a collection: an address, or the collection itself where it came inline.

        Only what is on the host of `host_uri` is read, at most `pages` pages of it, none twice.
        """
        found: list[tuple[str, Any]] = []
        seen: set[str] = set()
        for _ in range(pages):
            if isinstance(held, str):
                if held in seen or not same_host(held, host_uri):
                    break
                seen.add(held)
                try:
                    document = await self._document(held, fetch_collection)
                except (RemoteError, ParseError) as problem:
                    note_refused(held, problem)
                    break
                address = str(document.get("id"))
                if not same_host(address, host_uri):
                    break
                held, document_at = document, address
            else:
                document_at = host_uri
            if not isinstance(held, dict):
                break
            try:
                page = parse_collection(held)
            except ParseError as problem:
                note_refused(document_at, problem)
                break
            found += [(document_at, item) for item in page.items]
            held = page.next
        return found


def note_refused(what: str, problem: FediartError) -> None:
    log.info("trip.refused", what=what[:200], reason=problem.message, detail=problem.detail)
