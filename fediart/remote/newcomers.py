"""Servers that nobody here has met: of one registered name, so many in a while and no more.

A name costs money, names under it cost nothing: whoever has one could make this server meet another "server" with every
activity (Mastodon has the same bound). It is a brake, not a list: who is refused now is met a few minutes later.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

MOST_NEW = 10
WINDOW_MS = 300_000
MOST_NAMES = 10_000

_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "go", "gob", "gov", "ne", "net", "or", "org"})
"""Under a country's two letters these are as open to everybody as the country is."""


def registered_name(host: str) -> str | None:
    """The name that was registered, of a host; None where it is a numeric address. Another port is another host under it.

    A guess that needs no list: at worst two customers of one provider are counted together for five minutes.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        parts = name.lower().rstrip(".").split(".")
    else:
        return None
    size = 3 if len(parts) > 2 and len(parts[-1]) == 2 and parts[-2] in _SECOND_LEVEL else 2
    return ".".join(parts[-size:])


class Newcomers:
    """Bounded in names, and in hosts of each."""

    def __init__(self) -> None:
        self._met: OrderedDict[str, dict[str, int]] = OrderedDict()

    def admits(self, host: str, now: int) -> bool:
        """May a host that nobody here has met be asked? `now` in ms. Saying yes counts it."""
        name = registered_name(host)
        if name is None:
            return True
        lately = {one: at for one, at in self._met.pop(name, {}).items() if at > now - WINDOW_MS}
        self._met[name] = lately
        if len(self._met) > MOST_NAMES:
            self._met.popitem(last=False)
        if host not in lately and len(lately) >= MOST_NEW:
            return False
        lately.setdefault(host, now)
        return True
