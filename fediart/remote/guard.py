"""Where this server may connect to: judged on the address that is dialled, after every name lookup and redirect.

Python's `ipaddress.is_global` says yes to too much (IPv4-compatible, NAT64, 6to4 …), so the lists are our own: for
IPv4 what IANA keeps for special use, for IPv6 only 2000::/3 without what is carved out of it.
https://www.iana.org/assignments/iana-ipv4-special-registry https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fediart.errors import AddressRefused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DENIED_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    ]
)
_ALLOWED_6 = ipaddress.IPv6Network("2000::/3")
_DENIED_6 = tuple(
    ipaddress.IPv6Network(text)
    for text in ["2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16"]
)


class DialRefused(OSError):
    """Raised inside the connector; the client turns it into AddressRefused."""


@dataclass(frozen=True, slots=True)
class Guard:
    """`allow_networks`: networks that may be reached although they are not public."""

    allow_networks: tuple[Network, ...] = ()

    def permits(self, address: str) -> bool:
        """May this numeric address be dialled?"""
        try:
            ip = ipaddress.ip_address(address.split("%")[0])
        except ValueError:
            return False
        if any(ip.version == network.version and ip in network for network in self.allow_networks):
            return True
        if isinstance(ip, ipaddress.IPv4Address):
            return not any(ip in network for network in _DENIED_4)
        if ip.ipv4_mapped is not None:
            return self.permits(str(ip.ipv4_mapped))
        return ip in _ALLOWED_6 and not any(ip in network for network in _DENIED_6)

    def socket_factory(self, info: Sequence[Any]) -> socket.socket:
        """For aiohttp's connector: called with (family, type, proto, name, address) of each connect."""
        family, kind, proto, _name, address = info
        if family not in (socket.AF_INET, socket.AF_INET6) or not self.permits(address[0]):
            raise DialRefused(f"{address[0]} is not a public address")
        return socket.socket(family, kind, proto)


def check_url(url: str, *, allow_http: bool) -> str:
    """The address, if it may be asked at all. Raises AddressRefused."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("This is not an address that this server can ask.") from None
    schemes = ("http", "https") if allow_http else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None or port == 0 or len(url) > 2_000:
        raise AddressRefused(f"This server only asks {' and '.join(schemes)} addresses with a host.", detail=url[:200])
    return url
