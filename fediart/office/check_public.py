"""`fediart doctor`, second half: the public name, asked as other servers ask, and what comes through the front."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from fediart.activitypub.identifiers import Identifiers
from fediart.activitypub.vocabulary import AP_TYPE
from fediart.config import Config
from fediart.domain.checkups import Finding, bad, good, note, unseen
from fediart.errors import FediartError
from fediart.office.probe import HEADER, PATH, signed_probe
from fediart.remote.client import Answer, RemoteClient
from fediart.remote.guard import Guard
from fediart.remote.look import addresses_of, certificate_at

NAMES = ("name", "certificate", "reach", "handles", "nodeinfo", "proxy", "uploads", "patience", "http", "clock")
"""In the order in which they are told."""

UPLOAD_BYTES = 20_000_000
STRANGER = "203.0.113.7"
"""An address that is nobody's (RFC 5737): what a stranger might claim to be."""

FEW_DAYS = 14
CLOCK_S = 60
"""Signed requests are believed for minutes only: https://swicg.github.io/activitypub-http-signature/"""


@dataclass(frozen=True, slots=True)
class Asked:
    """`public_key`: of the server's own actor, None when the database did not say. `secret`: None when it cannot be read.

    `wait_s`: so long a front must wait for an answer. `others`: servers whose clocks are asked, and nobody else's.
    """

    config: Config
    public_key: str | None
    secret: bytes | None
    wait_s: int
    others: Sequence[str] = ()

    @property
    def base(self) -> str:
        return self.config.base_url

    @property
    def ids(self) -> Identifiers:
        return Identifiers(self.config.base_url, self.config.account_domain)


async def check_public(asked: Asked, client: RemoteClient, *, is_serving: bool) -> list[Finding]:
    """One finding for each of NAMES. What hangs on something that is wrong is not looked at."""
    parts = urlsplit(asked.base)
    if not asked.config.instance.url:
        return [unseen(name, "This is a trial: the server has no name yet.") for name in NAMES]
    if parts.scheme != "https":
        seen = f"{asked.base} is not encrypted: other servers do not speak with it."
        return [
            bad("name", seen, "fediart setup --domain NAME"),
            *(unseen(name, "The name must be mended first.") for name in NAMES[1:]),
        ]
    host, port = parts.hostname or "", parts.port or 443
    name, addresses = await check_name(asked, host)
    found = [name]
    if addresses:
        found.append(await check_certificate(addresses, port, host))
    if len(found) == 2 and found[1].state != "bad":
        found += await _check_answers(asked, client, is_serving=is_serving)
    told = {finding.name for finding in found}
    found += [unseen(missing, "What stands above must be mended first.") for missing in NAMES if missing not in told]
    return found


async def _check_answers(asked: Asked, client: RemoteClient, *, is_serving: bool) -> list[Finding]:
    clock = await check_clock(asked, client)
    if not is_serving:
        why = "The server does not run."
        return [*(unseen(name, why) for name in NAMES[2:-1]), clock]
    reach = await check_reach(asked, client)
    if reach.state == "bad":
        return [reach, clock]
    found = [reach, await check_handles(asked, client), await check_nodeinfo(asked, client)]
    if asked.secret is None:
        why = "This user may not read secret.key: run it as the user that the server runs as."
        found += [unseen(name, why) for name in ("proxy", "uploads", "patience")]
    else:
        found += [await check(asked, client, asked.secret) for check in (check_proxy, check_uploads, check_patience)]
    return [*found, await check_http(asked, client), clock]


# ------------------------------------------------------------------------------------------------------ the way here


async def check_name(asked: Asked, host: str) -> tuple[Finding, list[str]]:
    addresses = await addresses_of(host)
    if not addresses:
        mend = f"Where you bought the name, add an A record for {host} with this machine's address (and AAAA for IPv6)."
        return bad("name", f"{host} leads nowhere: no DNS server knows an address for it.", mend), []
    seen = f"{host} leads to {', '.join(addresses[:4])}."
    guard = Guard(asked.config.federation.networks)
    inside = [address for address in addresses if not guard.permits(address)]
    if inside:
        mend = (
            f"Others cannot reach {', '.join(inside[:2])}. DNS (or /etc/hosts) must name this machine's\n"
            "public address. At home that is the router's, which must pass ports 80 and 443 on to this machine."
        )
        return bad("name", seen, mend), addresses
    return good("name", seen), addresses


_MENDS = {
    10: "It has expired. Renew it: certbot renew, or restart Caddy and read its log.",
    18: "It vouches for itself. Get one that everybody believes: Caddy does by itself; nginx with certbot.",
    19: "Other servers do not know its authority. Get one from Let's Encrypt: Caddy does by itself, nginx with certbot.",
    20: "The chain is not whole (in nginx, ssl_certificate must name fullchain.pem), or its authority is nobody's.",
    21: "The chain is not whole (in nginx, ssl_certificate must name fullchain.pem), or its authority is nobody's.",
    62: "It is for another name: the front has no site for this one, or the wrong certificate in it.",
}
"""By OpenSSL's code: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/"""


async def check_certificate(addresses: Sequence[str], port: int, host: str) -> Finding:
    """Of the front at each of the addresses: one that is wrong at the IPv6 address alone fails for half the world."""
    name, worst = "certificate", None
    for address in addresses[:4]:
        held = await certificate_at(address, port, host)
        if held.trouble:
            at = f"{address} port {port}"
            if held.code:
                return bad(
                    name, f"Other servers do not believe what {at} shows: {held.trouble}.", _MENDS.get(held.code, _MENDS[19])
                )
            mend = f"Is the front (Caddy, nginx) running, and do firewall and router let port {port} through?"
            return bad(name, f"Nobody speaks TLS at {at}: {held.trouble}.", mend)
        if worst is None or (held.ends and worst.ends and held.ends < worst.ends):
            worst = held
    days = (worst.ends - datetime.now(UTC)).days if worst is not None and worst.ends else 0
    issuer = worst.issuer if worst is not None else ""
    seen = f"It is right, from {issuer}, for {days} more days."
    if days < FEW_DAYS:
        return note(
            name, seen, "By now it should have been renewed by itself. Try: certbot renew, or restart Caddy and read its log."
        )
    return good(name, seen)


_FRONT_SAYS = {
    421: "The front does not pass on the Host header. In nginx: proxy_set_header Host $http_host;",
    502: "The front does not find the server: the port in its settings must be that of server.port.",
    503: "The front does not find the server: the port in its settings must be that of server.port.",
    504: "The front finds nobody at the address in its settings: it must be that of server.host and server.port.",
    403: "The front, or a firewall before it, refuses programs. Other servers are programs: let them in without a challenge.",
}


def _told(answer: Answer) -> str:
    mend = _FRONT_SAYS.get(answer.status, "The front must pass on every path to the server, and answer none itself.")
    return (
        mend
        if answer.status not in range(300, 400)
        else f"It leads to {answer.headers.get('location', '')[:200]}: addresses of works must not."
    )


def _json(answer: Answer) -> dict[str, Any]:
    """{} when it is none."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def check_reach(asked: Asked, client: RemoteClient) -> Finding:
    """Does this very server answer there? Its own actor must have the key that lies in this database."""
    name, url = "reach", asked.ids.instance_actor_uri
    try:
        answer = await client.request("GET", url, headers={"accept": AP_TYPE})
    except FediartError as problem:
        return bad(name, f"{url} cannot be fetched: {problem.message}", "Is the front running? Its log says more.")
    if answer.status != 200:
        return bad(name, f"{url} answers {answer.status}.", _told(answer))
    key = _json(answer).get("publicKey")
    if not isinstance(key, dict) or answer.headers.get("content-type", "").split(";")[0] != AP_TYPE:
        return bad(
            name,
            f"What answers at {url} is not fediart.",
            "The front must pass on every path to the server, and answer none itself.",
        )
    if asked.public_key is None:
        return unseen(name, f"A fediart answers at {url}. Whether it is this one the database does not say.")
    if key.get("publicKeyPem") != asked.public_key:
        mend = "The front passes requests on to another server, or --data names another folder than it serves."
        return bad(name, f"Another fediart than this one answers at {asked.base}.", mend)
    return good(name, f"{asked.base} is this very server.")


async def _follow(client: RemoteClient, url: str) -> Answer:
    """As other servers do for handles: a few redirects are all right there. Raises FediartError."""
    for _ in range(3):
        answer = await client.request("GET", url)
        if answer.status not in range(300, 400) or "location" not in answer.headers:
            break
        url = urljoin(url, answer.headers["location"])
    return answer


async def check_handles(asked: Asked, client: RemoteClient) -> Finding:
    """WebFinger, at the domain of the handles, which may be another one than that of the addresses."""
    name, ids = "handles", asked.ids
    handle = f"acct:{ids.instance_username}@{ids.account_domain}"
    url = f"https://{ids.account_domain}/.well-known/webfinger?resource={quote(handle, safe=':@')}"
    path = "/.well-known/webfinger"
    mend = f"{ids.account_domain}{path} must be passed on, or redirected, to {asked.base}{path}, with what stands behind the ?."
    try:
        answer = await _follow(client, url)
    except FediartError as problem:
        return bad(name, f"Nobody can be found by handle: {ids.account_domain} does not answer. {problem.message}", mend)
    links = _json(answer).get("links")
    hrefs = [link.get("href") for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    if answer.status != 200 or ids.instance_actor_uri not in hrefs:
        return bad(name, f"Nobody can be found by handle: WebFinger at {ids.account_domain} answers {answer.status}.", mend)
    return good(name, f"People here are found as @name@{ids.account_domain}.")


async def check_nodeinfo(asked: Asked, client: RemoteClient) -> Finding:
    name, url = "nodeinfo", f"{asked.base}/nodeinfo/2.1"
    try:
        answer = await client.request("GET", url)
    except FediartError as problem:
        return bad(name, f"{url} cannot be fetched: {problem.message}", "Is the front running? Its log says more.")
    software = _json(answer).get("software")
    if answer.status != 200 or not isinstance(software, dict) or software.get("name") != "fediart":
        return bad(name, f"{url} answers {answer.status}, and does not name fediart.", _told(answer))
    return good(name, f"Others see fediart {software.get('version')}.")


# ---------------------------------------------------------------------------------------- what comes through the front


async def _probe(asked: Asked, client: RemoteClient, secret: bytes, *, wait: int = 0, size: int = 0, claims: str = "") -> Answer:
    """Through the front to the server. `wait` in seconds; `size`: of what is sent, in bytes; `claims`: as X-Forwarded-For."""
    headers = {HEADER: signed_probe(secret, time.time_ns() // 1_000_000)}
    headers |= {"x-forwarded-for": claims} if claims else {}
    headers |= {"content-length": str(size), "content-type": "application/octet-stream"} if size else {}
    url = f"{asked.base}{PATH}{f'?wait={wait}' if wait else ''}"
    content = _nothing(size) if size else None
    return await client.request(
        "POST" if size else "GET", url, headers=headers, content=content, total_seconds=max(60.0, wait + 30.0)
    )


async def _nothing(size: int) -> AsyncIterator[bytes]:
    """So many zeros."""
    for begin in range(0, size, 1 << 18):
        yield bytes(min(1 << 18, size - begin))


async def check_proxy(asked: Asked, client: RemoteClient, secret: bytes) -> Finding:
    """Does the server learn who asks? Limits for strangers and for wrong passwords hang on that."""
    name = "proxy"
    try:
        answer = await _probe(asked, client, secret, claims=STRANGER)
    except FediartError as problem:
        return bad(name, f"A request did not come back: {problem.message}", "Is the front running? Its log says more.")
    seen = _json(answer)
    peer, said = (
        str(seen.get("peer", "")),
        [part.strip() for part in str(seen.get("forwarded_for", "")).split(",") if part.strip()],
    )
    if answer.status != 200 or not peer:
        return bad(name, f"A request through the front was answered {answer.status}.", _told(answer))
    nginx = "In nginx: proxy_set_header X-Forwarded-For $remote_addr;"
    if said == [STRANGER]:
        return bad(name, "The front believes whoever claims to be somebody else, so that every limit can be passed by.", nginx)
    if not said:
        return bad(name, "The front does not say who asks, so that strangers cannot be told from one another.", nginx)
    if not seen.get("trusted"):
        mend = f'Write trusted_proxies = ["{peer}"] under [server] in the settings, and restart the server.'
        return bad(name, f"The front, {peer}, is not named in the settings: what it says of who asks is not believed.", mend)
    return good(name, f"The front, {peer}, says who asks, and strangers cannot say it for it.")


async def check_uploads(asked: Asked, client: RemoteClient, secret: bytes) -> Finding:
    name, size = "uploads", min(UPLOAD_BYTES, asked.config.media.upload_bytes)
    mend = (
        f"In nginx: client_max_body_size 600m; (fediart itself takes pictures of {asked.config.media.upload_bytes / 1e6:.0f} MB.)"
    )
    try:
        answer = await _probe(asked, client, secret, size=size)
    except FediartError as problem:
        return bad(name, f"{size / 1e6:.0f} MB did not come through the front: {problem.message}", mend)
    if answer.status != 200 or _json(answer).get("received") != size:
        return bad(name, f"{size / 1e6:.0f} MB did not come through the front: it answers {answer.status}.", mend)
    return good(name, f"{size / 1e6:.0f} MB come through.")


async def check_patience(asked: Asked, client: RemoteClient, secret: bytes) -> Finding:
    name, wait = "patience", asked.wait_s
    mend = "In nginx: proxy_read_timeout 120s; in Caddy: response_header_timeout 120s"
    try:
        answer = await _probe(asked, client, secret, wait=wait)
    except FediartError as problem:
        return bad(name, f"An answer that takes {wait} seconds does not come through the front: {problem.message}", mend)
    if answer.status != 200:
        return bad(name, f"The front does not wait {wait} seconds for an answer: it says {answer.status}.", mend)
    return good(name, f"The front waits at least {wait} seconds for an answer.")


async def check_http(asked: Asked, client: RemoteClient) -> Finding:
    """Whoever types the bare name into an old browser comes by http."""
    name, parts = "http", urlsplit(asked.base)
    if parts.port is not None:
        return unseen(name, "The address has a port of its own.")
    mend = "In nginx: a server on port 80 with return 301 https://$host$request_uri; Caddy does it by itself."
    try:
        answer = await client.request("GET", f"http://{parts.netloc}/")
    except FediartError:
        return note(name, "Nobody answers at port 80, so that the bare name does not lead here in every browser.", mend)
    if not answer.headers.get("location", "").startswith(asked.base):
        return note(name, f"http://{parts.netloc} does not lead to https.", mend)
    return good(name, "http leads to https.")


async def check_clock(asked: Asked, client: RemoteClient) -> Finding:
    """Against the front's own clock, which is often the same one, and against those of servers that were named."""
    name, worst, seen_at = "clock", 0.0, 0
    for place in (asked.base, *(f"https://{other}" for other in asked.others)):
        began = time.time()
        try:
            answer = await client.request("GET", f"{place}/.well-known/nodeinfo")
            said = parsedate_to_datetime(answer.headers["date"]).timestamp()
        except (FediartError, KeyError, ValueError):
            continue
        seen_at += 1
        # It was said at some moment between question and answer, and in whole seconds.
        ahead, behind = began - (said + 1), said - time.time()
        worst = max(worst, ahead, behind)
    if seen_at == 0:
        return unseen(name, "Nobody who was asked said what time it is.")
    if worst > CLOCK_S:
        mend = "Let the system keep its clock: timedatectl set-ntp true (Debian: apt install systemd-timesyncd)"
        return bad(name, f"It is {worst:.0f} seconds off: other servers do not believe what we sign.", mend)
    others = f" and {seen_at - 1} other servers'" if seen_at > 1 else ""
    return good(name, f"It agrees with the front's{others}.")
