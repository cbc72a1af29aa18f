"""Logs: one structured line per event, without secrets, each tied to its request or job by an id.

And what a request spends its time on, so that a slow one can be explained (`Spent`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
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
    """Whatever stderr is at the moment: who has put another one in its place may have closed it since.

    It may be a file on a full disk. What cannot be written is lost then; whoever wanted to tell it goes on.
    """

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError):
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
    # It writes a line for every form that is none; whoever sent it is told.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
        cache_logger_on_first_use=True,
    )


@dataclass(slots=True)
class Spent:
    """Seconds that one request waited for the database, the cloak and other servers; `statements` it put to the database."""

    statements: int = 0
    times: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, part: str, seconds: float) -> None:
        self.times[part] = self.times.get(part, 0) + 1
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds


SPENT: ContextVar[Spent | None] = ContextVar("fediart_spent", default=None)
"""Of the request in hand; None where nobody keeps account."""


@contextlib.contextmanager
def spending(part: str) -> Iterator[None]:
    """The block's time is put down to `part` of the request in hand."""
    spent = SPENT.get()
    if spent is None:
        yield
        return
    began = time.perf_counter()
    try:
        yield
    finally:
        spent.add(part, time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """Of this process: bytes of memory, seconds of processor time, file handles. None: this system does not tell."""

    memory: int | None
    cpu_seconds: float
    open_files: int | None
    most_files: int | None


def process_figures() -> ProcessFigures:
    """Looks at /proc, where there is one."""
    memory = open_files = most_files = None
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError):
        open_files = len(os.listdir("/proc/self/fd")) - 1  # the one that it is read by
    with contextlib.suppress(ImportError):
        import resource

        most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return ProcessFigures(memory, time.process_time(), open_files, most_files)
