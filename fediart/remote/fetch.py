"""Fetch documents: signed, within three redirects, of the right type, and only believed when their id is where they came from."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.parsers import fields
from fediart.activitypub.parsers.collection import KINDS
from fediart.activitypub.parsers.html_link import alternate_of
from fediart.activitypub.parsers.json_document import MAX_BYTES, load_document
from fediart.activitypub.vocabulary import AP_ACCEPT, AS
from fediart.activitypub.webfinger import read_jrd
from fediart.clock import system_clock
from fediart.errors import BadAnswer, RefusedByRemote, RemoteGone
from fediart.remote.client import TOTAL_SECONDS, Answer, RemoteClient, Signer, within
from fediart.remote.deliver import seconds_of

MAX_REDIRECTS = 3
_JRD_TYPES = frozenset({"application/jrd+json", "application/json"})


def is_activity_type(content_type: str) -> bool:
    """`application/activity+json`, or `application/ld+json` with the ActivityStreams profile; nothing else.

    A server that lets people upload files would otherwise speak in their words (GHSA-jhrq-qvrm-qr36).
    """
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    if kind.lower() == "application/activity+json":
        return True
    if kind.lower() != "application/ld+json":
        return False
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "profile" and AS in value.strip().strip('"').split():
            return True
    return False


async def follow(client: RemoteClient, url: str, headers: dict[str, str], signer: Signer | None, *, max_bytes: int) -> Answer:
    """GET with at most three redirects, each judged and signed anew, ten seconds in all. Raises RemoteError."""
    async with within(TOTAL_SECONDS, url):
        for _ in range(MAX_REDIRECTS + 1):
            if signer is None:
                answer = await client.request("GET", url, headers=headers, max_bytes=max_bytes)
            else:
                answer = await client.signed(signer, "GET", url, headers=headers, max_bytes=max_bytes)
            if answer.status not in (301, 302, 303, 307, 308):
                return _checked(answer)
            url = next_url(url, answer.headers.get("location", ""))
    raise BadAnswer("The other server redirects too often.", detail=url[:200])


def next_url(url: str, location: str) -> str:
    """Where a redirect leads. From https never to http."""
    try:
        target = urljoin(url, location)
        allowed = bool(location) and not (urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https")
    except ValueError:
        allowed = False
    if not allowed:
        raise BadAnswer(
            "The other server redirects to where this server does not follow.", detail=f"{url[:200]} → {location[:200]}"
        )
    return target


def _checked(answer: Answer) -> Answer:
    if answer.status in (404, 410):
        raise RemoteGone("The other server does not have this (any more).", remote_status=answer.status, detail=answer.url[:200])
    if answer.status != 200:
        raise RefusedByRemote(
            f"The other server answered with an error ({answer.status}).",
            remote_status=answer.status,
            retry_after=seconds_of(answer.headers.get("retry-after"), now_s=system_clock() / 1000),
            detail=answer.url[:200],
        )
    return answer


async def fetch_document(client: RemoteClient, url: str, signer: Signer) -> dict[str, Any]:
    """The ActivityPub document at `url`, whose id is where it was found, or is asked once on the same host.

    Ten seconds in all. Raises RemoteError, ParseError.
    """
    async with within(TOTAL_SECONDS, url):
        document, found_at = await _fetch(client, url.split("#")[0], signer)
        return await _believed(client, url, document, found_at, signer)


async def fetch_collection(client: RemoteClient, url: str, signer: Signer) -> dict[str, Any]:
    """As `fetch_document`; a collection without an id, as Takahē's outbox is, has the address where it was found on that host.

    Raises RemoteError, ParseError.
    """
    document, found_at = await _fetch(client, url.split("#")[0], signer)
    if document.get("id") is None and fields.kind(document.get("type")) in KINDS and same_host(found_at, url):
        return {**document, "id": found_at}
    return await _believed(client, url, document, found_at, signer)


async def find_document(client: RemoteClient, url: str, signer: Signer) -> dict[str, Any]:
    """As `fetch_document`; where there is a page for people, the document that it names: one hop, on whichever host.

    Ten seconds for each. Raises RemoteError, ParseError.
    """
    accept = f"{AP_ACCEPT}, text/html;q=0.1"
    answer = await follow(client, url.split("#")[0], {"accept": accept}, signer, max_bytes=MAX_BYTES)
    kind = answer.headers.get("content-type", "")
    if is_activity_type(kind):
        return await _believed(client, url, load_document(answer.body), answer.url, signer)
    if kind.split(";")[0].strip().lower() not in ("text/html", "application/xhtml+xml"):
        raise BadAnswer("There is neither a profile nor a work at this address.", detail=url[:200])
    target = alternate_of(answer.body, answer.headers.get("link", ""), answer.url)
    if target is None:
        raise BadAnswer("This page does not say where other servers find what it shows.", detail=url[:200])
    return await fetch_document(client, target, signer)


async def _believed(client: RemoteClient, url: str, document: dict[str, Any], found_at: str, signer: Signer) -> dict[str, Any]:
    """The document, if its id is where it was found or asked; else what its id gives."""
    id_ = document.get("id")
    if id_ == found_at or (id_ == url and url.split("#")[0] == found_at):
        return document
    if not isinstance(id_, str) or not same_host(id_, found_at):
        raise BadAnswer("The other server sent a document of another server.", detail=f"{found_at[:200]}: id {str(id_)[:200]}")
    document, again = await _fetch(client, id_.split("#")[0], signer)
    if document.get("id") != id_ or not same_host(again, id_):
        raise BadAnswer("The other server sent a document under a wrong id.", detail=f"{again[:200]}: id {str(id_)[:200]}")
    return document


async def _fetch(client: RemoteClient, url: str, signer: Signer) -> tuple[dict[str, Any], str]:
    answer = await follow(client, url, {"accept": AP_ACCEPT}, signer, max_bytes=MAX_BYTES)
    if not is_activity_type(answer.headers.get("content-type", "")):
        raise BadAnswer("The other server sent something that is no ActivityPub document.", detail=f"{url[:200]}")
    return load_document(answer.body), answer.url


async def fetch_webfinger(client: RemoteClient, username: str, host: str) -> tuple[str, str]:
    """(subject, actor address) for a handle. Raises RemoteError, ParseError."""
    schemes = ("https", "http") if client.allow_http and _may_be_plain(host) else ("https",)
    url = f"{schemes[-1]}://{host}/.well-known/webfinger?resource={quote(f'acct:{username}@{host}', safe=':@')}"
    answer = await follow(client, url, {"accept": "application/jrd+json, application/json"}, None, max_bytes=65_536)
    if answer.headers.get("content-type", "").split(";")[0].strip().lower() not in _JRD_TYPES:
        raise BadAnswer("The other server's answer is no WebFinger document.", detail=url[:200])
    return read_jrd(load_document(answer.body))


def _may_be_plain(host: str) -> bool:
    """Trials run on loopback, with a port."""
    name = host.rsplit(":", 1)[0].strip("[]")
    return name in ("localhost", "::1") or name.startswith("127.")
