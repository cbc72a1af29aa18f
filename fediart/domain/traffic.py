"""How often each agent of the table came in the last day, and what it heard. Names of programs and numbers, nothing of persons.

Kept in memory only: a restart begins anew (`since` says when). Bounded: hours × agents.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from fediart.clock import Clock

HOUR_MS = 3_600_000
HOURS = 24
MOST_AGENTS = 2_500


class Outcome(StrEnum):
    ALLOWED = "allowed"
    REFUSED = "refused"
    LIMITED = "limited"


class AgentTraffic(NamedTuple):
    """`seen` counts all requests; of those, `refused` heard 403 and `limited` 429."""

    agent: str
    seen: int
    refused: int
    limited: int


class Traffic:
    """Counts by the hour, so "the last day" begins up to an hour late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hours: dict[int, dict[str, dict[Outcome, int]]] = {}
        self.since = clock()

    def count(self, agent: str, outcome: Outcome) -> None:
        hour = self._clock() // HOUR_MS
        if hour not in self._hours:
            self._hours = {held: counts for held, counts in self._hours.items() if hour - HOURS < held <= hour}
            self._hours[hour] = {}
        agents = self._hours[hour]
        if agent not in agents and len(agents) >= MOST_AGENTS:
            return
        counts = agents.setdefault(agent, {})
        counts[outcome] = counts.get(outcome, 0) + 1

    def last_day(self) -> list[AgentTraffic]:
        """Those seen most first."""
        now = self._clock() // HOUR_MS
        sums: dict[str, dict[Outcome, int]] = {}
        for hour, agents in self._hours.items():
            if now - HOURS < hour <= now:
                for agent, counts in agents.items():
                    summed = sums.setdefault(agent, {})
                    for outcome, number in counts.items():
                        summed[outcome] = summed.get(outcome, 0) + number
        rows = [
            AgentTraffic(agent, sum(counts.values()), counts.get(Outcome.REFUSED, 0), counts.get(Outcome.LIMITED, 0))
            for agent, counts in sums.items()
        ]
        return sorted(rows, key=lambda row: (-row.seen, row.agent))
