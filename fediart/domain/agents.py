"""Programs that fetch for AI, by the names they give themselves: who is refused at which level, and whom robots.txt names.

An agent is found by a whole word of its User-Agent, in its own spelling. Addresses in it are not read: a server at
https://opencode.example is not opencode. Nobody who gives another name is found: refusal by name keeps out whom can be believed.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from fediart.domain.policy import AiPolicy, RobotsList
from fediart.domain.reservations import Answer
from fediart.errors import BadInput


class Category(StrEnum):
    """What an agent fetches for."""

    TRAINING = "training"
    SEARCH = "search"
    ASSISTANT = "assistant"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Agent:
    """`spellings`: how else it writes its name. `reason`: why it is not refused or not named."""

    name: str
    operator: str
    category: Category
    spellings: tuple[str, ...] = ()
    is_named: bool = True
    is_refused: bool = True
    reason: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        return (self.name, *self.spellings)


LEVELS: Mapping[RobotsList, frozenset[Category]] = {
    RobotsList.OFF: frozenset(),
    RobotsList.TRAINING: frozenset({Category.TRAINING}),
    RobotsList.TRAINING_SEARCH: frozenset({Category.TRAINING, Category.SEARCH}),
    RobotsList.ALL: frozenset(Category),
}


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.strip().casefold() for name in names)


def blocked_agents(
    agents: Sequence[Agent], level: RobotsList, extra_allowed: Iterable[str] = (), extra_blocked: Iterable[str] = ()
) -> tuple[Agent, ...]:
    """Who is refused. What the admin named beats the level, and blocked beats allowed.

    A name of the table is meant however it is spelled; another one is looked for exactly as it is written.
    """
    allowed = _folded(extra_allowed)
    wanted = [name.strip() for name in extra_blocked if agent_problem(name) is None]
    blocked = _folded(wanted)
    found = []
    known: set[str] = set()
    for agent in agents:
        words = _folded(agent.words)
        known |= words
        by_level = agent.category in LEVELS[level] and agent.is_refused and not words & allowed
        if words & blocked or by_level:
            found.append(agent)
    own = dict.fromkeys(name for name in wanted if name.casefold() not in known)
    return (*found, *(Agent(name, "", Category.OTHER, is_named=not _is_common(name)) for name in own))


def named_agents(agents: Sequence[Agent], policy: AiPolicy) -> tuple[Agent, ...]:
    """Whom robots.txt sends away: those of the chosen level, and those that what is reserved speaks to. Nobody if it is off."""
    level = policy.reserve.robots_list
    if level == RobotsList.OFF:
        return ()
    spoken_to = set(LEVELS[level])
    if policy.reserve.training == Answer.DENY:
        spoken_to |= {Category.TRAINING, Category.OTHER}
    if policy.reserve.ai_input == Answer.DENY:
        spoken_to |= {Category.SEARCH, Category.ASSISTANT, Category.OTHER}
    enforce = policy.enforce
    allowed = _folded(enforce.extra_allowed_agents)
    named = [agent for agent in agents if agent.category in spoken_to and agent.is_named and not _folded(agent.words) & allowed]
    extra = blocked_agents(agents, RobotsList.OFF, (), enforce.extra_blocked_agents)
    return tuple(dict.fromkeys((*named, *(agent for agent in extra if agent.is_named))))


# ------------------------------------------------------------------------------------------------------------ names

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/+-]{0,78}[A-Za-z0-9])?")
_EVERYBODYS = frozenset({
    "mozilla", "applewebkit", "khtml", "gecko", "chrome", "safari", "firefox", "edg", "opera", "version", "mobile", "windows",
    "linux", "macintosh", "android", "iphone", "compatible", "http", "https", "www", "com", "org", "net", "bot", "like",
})  # fmt: skip


def agent_problem(name: str) -> str | None:
    """What is wrong with a name for a list of agents, in words for the admin; None when it can be used."""
    name = name.strip()
    if not _NAME.fullmatch(name):
        return f"{name[:80]!r} is no agent's name: it has up to 80 letters, digits, spaces and . _ / + -, like GPTBot."
    if name.casefold() in _EVERYBODYS or len(name) < 3:
        return f"{name} stands in what nearly every browser says: that would shut out everybody."
    return None


_ROBOTIC = re.compile(r"[0-9.\-_ ]|.(?:bot|spider|crawler|scraper|agent|user)$", re.IGNORECASE)


def _is_common(name: str) -> bool:
    """May this be a word that others carry too? It has no sign of a robot's name: GPTBot has, Operator has not."""
    return len(name) < 5 or (_ROBOTIC.search(name) is None and not re.search(r"[a-z][A-Z]|[A-Z]{2}", name))


# --------------------------------------------------------------------------------------------- the admin's newer list

MOST_BYTES = 1_000_000
MOST_AGENTS = 2_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """`added`, `removed`: beside our own table. `unused`: ordinary words, which are kept in the list but never used."""

    agents: tuple[Agent, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    unused: tuple[str, ...]


_FUNCTIONS: tuple[tuple[Category, re.Pattern[str]], ...] = (
    (Category.TRAINING, re.compile(r"train|undocumented|scrap|data provider|dataset", re.IGNORECASE)),
    (Category.ASSISTANT, re.compile(r"assistant|\bagents?\b|coding|prompt|on behalf", re.IGNORECASE)),
    (Category.SEARCH, re.compile(r"search|answer", re.IGNORECASE)),
    (Category.TRAINING, re.compile(r"data|model|crawl|learn|llm|unclear", re.IGNORECASE)),
)
"""What words of a function make of an agent that our table does not have: the first row that fits."""


def _category_of(function: str) -> Category:
    return next((category for category, words in _FUNCTIONS if words.search(function)), Category.OTHER)


def parse_agents(text: str, own: Sequence[Agent], kept: Sequence[Agent] = ()) -> Loaded:
    """Read a list as ai.robots.txt publishes it: `{"GPTBot": {"operator": "…", "function": "…"}, …}`.

    What `own` says of a name holds on; `kept` stays whether the list has it or not. Raises BadInput, which names every entry
    that is wrong.
    """
    if len(text) > MOST_BYTES:
        raise BadInput(f"The list has more than {MOST_BYTES:,} characters; ai.robots.txt's has about 80,000.")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput("The list is not JSON. It looks like robots.json of ai.robots.txt.") from None
    if not isinstance(document, dict) or not document:
        raise BadInput('The list must be an object of agents: {"GPTBot": {"operator": "OpenAI", "function": "…"}}.')
    if len(document) > MOST_AGENTS:
        raise BadInput(f"The list has {len(document):,} agents; up to {MOST_AGENTS:,} are taken.")
    wrong = [problem for name, entry in document.items() if (problem := _entry_problem(name, entry))]
    if wrong:
        rest = f" And {len(wrong) - 10} more." if len(wrong) > 10 else ""
        raise BadInput(" ".join(wrong[:10]) + rest)
    by_word = {word.casefold(): agent for agent in own for word in agent.words}
    found: dict[str, Agent] = {agent.name.casefold(): agent for agent in kept}
    added: list[str] = []
    unused: list[str] = []
    for name, entry in document.items():
        known = by_word.get(name.casefold())
        if known is not None:
            found.setdefault(known.name.casefold(), known)
        elif name.casefold() in found:
            before = found[name.casefold()]
            if name not in before.words:
                found[name.casefold()] = Agent(before.name, before.operator, before.category, (*before.spellings, name))
        else:
            is_common = _is_common(name)
            reason = "an ordinary word" if is_common else ""
            operator = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", entry.get("operator", ""))[:80]
            category = _category_of(entry.get("function", ""))
            found[name.casefold()] = Agent(name, operator, category, (), not is_common, not is_common, reason)
            (unused if is_common else added).append(name)
    removed = tuple(agent.name for agent in own if agent.name.casefold() not in found)
    return Loaded(tuple(found.values()), tuple(added), removed, tuple(unused))


def _entry_problem(name: str, entry: object) -> str | None:
    problem = agent_problem(name)
    if problem is not None:
        return problem
    if not isinstance(entry, dict):
        return f"{name}: an object with operator and function is expected, not {type(entry).__name__}."
    wrong = [key for key in ("operator", "function") if not isinstance(entry.get(key, ""), str)]
    return f"{name}: {' and '.join(wrong)} must be text." if wrong else None


# --------------------------------------------------------------------------------------------------- who is asking?

_ADDRESSES = re.compile(r"https?://[^\s;,)]*|[^\s;,(<]+@[^\s;,)>]+")
MOST_OF_A_NAME = 1_000
MOST_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Found:
    """An agent of the table, and whether it is refused."""

    agent: str
    is_refused: bool


class AgentMatcher:
    """Which agent a User-Agent names. Compiled once; what was asked lately is remembered, in bounds."""

    def __init__(self, agents: Sequence[Agent], blocked: Sequence[Agent]) -> None:
        self._by_word = {word: agent.name for agent in (*blocked, *agents) for word in agent.words}
        self._refused = frozenset(agent.name for agent in blocked)
        self._asked: OrderedDict[str, Found | None] = OrderedDict()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._by_word, key=lambda word: (-len(word), word))
        # Not within a word, and not a part of a host's name: honk says its host without a scheme.
        return re.compile(r"(?<![\w.])(?:" + "|".join(re.escape(word) for word in longest_first) + r")(?!\w|\.[A-Za-z])")

    def find(self, user_agent: str) -> Found | None:
        """Of several agents the first that is refused, else the first."""
        user_agent = user_agent[:MOST_OF_A_NAME]
        if user_agent in self._asked:
            self._asked.move_to_end(user_agent)
            return self._asked[user_agent]
        found = self._look(user_agent)
        self._asked[user_agent] = found
        if len(self._asked) > MOST_KEPT:
            self._asked.popitem(last=False)
        return found

    def _look(self, user_agent: str) -> Found | None:
        if not self._by_word:
            return None
        text = _ADDRESSES.sub(" ", user_agent)
        names = [self._by_word[match[0]] for match in self._pattern.finditer(text)]
        refused = next((name for name in names if name in self._refused), None)
        return Found(refused, True) if refused is not None else Found(names[0], False) if names else None
