"""A trial server gets its name: what its own addresses and handles become, in any text that holds them."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

_ENDS = r"(?![\w:-]|\.\w)"
"""After a host: `localhost:8000` is not a part of `localhost:80001`, nor of `localhost:8000.example`."""


def renamer(old: str, new: str, account_domain: str) -> Callable[[str], str]:
    """Writes a text anew. `old`, `new`: addresses like `https://art.example`; `account_domain`: what stands behind the @ then.

    Changed are addresses under `old`, the same as they are shown in a link (without their scheme), and handles.
    """
    old_host, new_host = urlsplit(old).netloc, urlsplit(new).netloc
    pattern = re.compile(
        rf"(?P<base>{re.escape(old)}){_ENDS}|(?<=@)(?P<handle>{re.escape(old_host)}){_ENDS}"
        rf"|(?<![\w./@:-])(?P<shown>{re.escape(old_host)})(?=/)"
    )
    becomes = {"base": new, "handle": account_domain, "shown": new_host}
    return lambda text: pattern.sub(lambda found: becomes[found.lastgroup or ""], text)
