"""Logs: one structured line per event, without secrets, each tied to its request or job by an id.

Metrics come later; queue depths are asked of the database by `/healthz`.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO, cast

import structlog

SECRET_KEYS = frozenset(
    {
        "password",
        "token",
        "authorization",
        "cookie",
        "set_cookie",
        "private_key_pem",
        "ed25519_pem",
        "cloak_secret",
        "csrf",
        "secret",
    }
)


def hide_secrets(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Whatever is logged under a name that means a secret is not written out."""
    for key in event:
        if key.lower() in SECRET_KEYS:
            event[key] = "[hidden]"
    return event


class _Stderr:
    """Whatever stderr is at the moment: who has put another one in its place may have closed it since."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def set_up_logs(level: str, style: str) -> None:
    """`level`: debug, info, warning or error. `style`: console or json. Everything goes to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    last: Any = structlog.processors.JSONRenderer()
    if style == "console":
        # Plain traces: the fancier ones print local variables, and with them cookies, passwords and keys.
        plain = structlog.dev.plain_traceback
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    else:
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
        cache_logger_on_first_use=True,
    )
