"""The list of AI agents that this server goes by: our own table, or a newer one that the admin loaded into the data folder.

A file and not a row, because the command line writes it while the server runs: the server looks at the file's time.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from fediart.domain.agents import MOST_BYTES, Agent, Loaded, parse_agents
from fediart.domain.known_agents import KNOWN, MORE
from fediart.errors import BadInput

log = structlog.get_logger("fediart.storage")

FILE = "agents.json"
"""Its name in the data folder."""


def parsed(text: str) -> Loaded:
    """A list in the form of ai.robots.txt, against our own table. Raises BadInput."""
    return parse_agents(text, KNOWN, MORE)


def read_list(path: Path) -> str:
    """A list's text, in bounds. Raises BadInput."""
    try:
        with path.open("rb") as file:
            data = file.read(4 * MOST_BYTES + 1)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path.name} is not text in UTF-8.") from None
    except OSError as problem:
        raise BadInput(f"{path} cannot be read: {problem.strerror}.") from None


class AgentList:
    """`agents` is one tuple until the list changes: whoever compiled it compares by identity."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.agents: tuple[Agent, ...] = (*KNOWN, *MORE)
        self.is_own = True
        self._stamp: tuple[int, int] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Look whether the file is another one. A broken file is told in the log, and what was held before holds on."""
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
        except OSError:
            if not self.is_own:
                self.agents, self.is_own = (*KNOWN, *MORE), True
            self._stamp = None
            return
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.agents, self.is_own = parsed(read_list(self.path)).agents, False
        except BadInput as problem:
            log.error("agents.broken_list", file=str(self.path), reason=problem.message)
