"""Many hosts on this machine: which address each has, and which of them hang."""

from __future__ import annotations

MOST = 50_000


def address(number: int) -> str:
    """127.0.1.1 to 127.0.1.250, then 127.0.2.1 and so on. `number`: from 0."""
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


def hangs(number: int, share: float) -> bool:
    """Spread evenly over the hosts: of the first n hosts, n × share."""
    return int((number + 1) * share + 1e-9) > int(number * share + 1e-9)


def is_silent(number: int, share: float) -> bool:
    """Of those that hang every other one says nothing at all, no handshake either; the rest take a request, and nothing more."""
    return hangs(number, share) and int((number + 1) * share + 1e-9) % 2 == 1
