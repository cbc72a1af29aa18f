"""Looking at a public name from outside, as another server does: where it leads, who vouches for it, what answers there.

For `fediart doctor` alone. The guard against private addresses is not here: the name is the admin's own, and on this machine
it may well lead to itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from fediart.remote.client import RemoteClient, open_client, tls_context
from fediart.remote.guard import Guard

PATIENCE_S = 10.0
EVERYWHERE = Guard((ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")))


async def addresses_of(host: str) -> list[str]:
    """IPv4 first; empty where the name leads nowhere."""
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(host, None, type=socket.SOCK_STREAM), PATIENCE_S)
    except (OSError, TimeoutError, UnicodeError):
        return []
    return sorted({str(entry[4][0]) for entry in found}, key=lambda address: (":" in address, address))


@dataclass(frozen=True, slots=True)
class Certificate:
    """`trouble`: why it is not believed, '' if it is; `code` is OpenSSL's for that, 0 for what is not the certificate's fault."""

    ends: datetime | None
    issuer: str
    trouble: str = ""
    code: int = 0


async def certificate_at(address: str, port: int, host: str) -> Certificate:
    """What the front at this address shows for `host`."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            _, writer = await asyncio.open_connection(address, port, ssl=tls_context(), server_hostname=host)
    except ssl.SSLCertVerificationError as problem:
        return Certificate(None, "", problem.verify_message, problem.verify_code)
    except (OSError, TimeoutError) as problem:
        return Certificate(None, "", str(problem) or "no answer in time")
    try:
        held = writer.get_extra_info("ssl_object").getpeercert()
        ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(held["notAfter"]), UTC)
        names = {name: value for part in held.get("issuer", ()) for name, value in part}
        return Certificate(ends, names.get("organizationName") or names.get("commonName", ""))
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def looking_client(user_agent: str) -> AsyncIterator[RemoteClient]:
    """Dials whatever it is told to."""
    client = open_client(EVERYWHERE, allow_http=True, user_agent=user_agent)
    try:
        yield client
    finally:
        await client.aclose()
