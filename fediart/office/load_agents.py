"""The admin loads a newer list of AI agents from a file, or goes back to the one that came with fediart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fediart.domain.agents import Loaded
from fediart.media.disk import write_whole
from fediart.storage.agents import FILE, AgentList, parsed, read_list


@dataclass(frozen=True, slots=True)
class Change:
    """`added`, `removed`: names, beside what held until now."""

    loaded: Loaded
    added: tuple[str, ...]
    removed: tuple[str, ...]


def load_agents(data: Path, source: Path) -> Change:
    """Check the list and keep it in the data folder. Raises BadInput and changes nothing when an entry is wrong."""
    before = {agent.name for agent in AgentList(data / FILE).agents}
    text = read_list(source)
    loaded = parsed(text)
    write_whole(data / FILE, text.encode(), mode=0o600)
    after = {agent.name for agent in loaded.agents}
    return Change(loaded, tuple(sorted(after - before)), tuple(sorted(before - after)))


def reset_agents(data: Path) -> bool:
    """Back to our own table. False when that was in use already."""
    held = data / FILE
    if not held.exists():
        return False
    held.unlink()
    return True
