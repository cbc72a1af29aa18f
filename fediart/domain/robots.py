"""robots.txt: what is reserved, for every robot that reads it, and the names of those that are asked to stay away.

Nothing is disallowed for `*`: by AIPREF a path that is disallowed has no usage preference, so a `Disallow: /` for everybody
would take the reservation back (https://datatracker.ietf.org/doc/draft-ietf-aipref-attach/). Names are disallowed one by one.
Some readers take the first rule that fits, so `Allow` lines come first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fediart.domain.agents import Agent, named_agents
from fediart.domain.policy import AiPolicy
from fediart.domain.reservations import Answer, Reservation
from fediart.domain.signals import RSL, content_signal

OPEN_PATHS = ("/ai-policy", "/license.xml", "/.well-known/tdmrep.json", "/tdm-policy.json")
"""What everybody may read, whoever they are, beside /robots.txt itself: it says what is reserved and whom to ask."""

MOST_ARTISTS = 500
_USERNAME = re.compile(r"[A-Za-z0-9_]{1,64}")


def robots_text(
    policy: AiPolicy,
    agents: Sequence[Agent],
    base_url: str,
    *,
    opted_in: Sequence[str] = (),
    opted_out: Sequence[str] = (),
) -> str:
    """`opted_in`: usernames of artists who permit training where the instance does not; `opted_out`: the other way round.

    Of more than MOST_ARTISTS who opted in, the rest are left out. Of more who opted out, training is denied for all:
    nobody's reservation is lost.
    """
    reserve = policy.reserve
    training = Answer.DENY if len(opted_out) > MOST_ARTISTS else reserve.training
    differing = opted_in if training == Answer.DENY else opted_out
    other = Answer.ALLOW if training == Answer.DENY else Answer.DENY
    statement = policy.statement_url if "://" in policy.statement_url else base_url + policy.statement_url
    lines = [
        "# What may be done with what is fetched here, in three words:",
        "#   search    show it in search results, with a link and a short excerpt",
        "#   ai-input  give it to an AI model as material for an answer",
        "#   ai-train  train or fine-tune AI models with it",
        "# yes: permitted. no: not permitted. Where a word is missing, neither was said.",
        '# Each "no" is an express reservation of rights under Article 4 of Directive (EU) 2019/790 (text and data mining).',
        "# It is made by the artists of this server, who hold the rights; the server passes it on.",
        f"# In plain words, and whom to ask: {statement}",
    ]
    if reserve.rsl:
        lines.append(f"License: {base_url}{RSL}")
    lines += [
        "",
        "User-agent: *",
        f"Content-Signal: {content_signal(Reservation(training, reserve.ai_input, reserve.search))}",
        f"Content-Usage: {_usage(training, reserve.search)}",
    ]
    for username in differing[:MOST_ARTISTS]:
        if _USERNAME.fullmatch(username):
            # Two lines: `/@ana` alone would speak for @anabel too.
            lines += [f"Content-Usage: /@{username}{end} {_usage(other, reserve.search)}" for end in ("$", "/")]
    lines.append("Allow: /")
    named = named_agents(agents, policy)
    if named:
        lines += ["", *(f"User-agent: {word}" for word in _words(named)), *(f"Allow: {path}" for path in OPEN_PATHS)]
        lines.append("Disallow: /")
    return "\n".join(lines) + "\n"


def _words(agents: Sequence[Agent]) -> list[str]:
    """Each name once: robots.txt knows no small and capital letters (RFC 9309, 2.2.1)."""
    return list({word.casefold(): word for agent in agents for word in reversed(agent.words)}.values())


def _usage(training: Answer, search: Answer) -> str:
    """A dictionary of RFC 9651 with the two terms that the vocabulary has (draft-ietf-aipref-vocab-07)."""
    return f"train-ai={'y' if training == Answer.ALLOW else 'n'}, search={'y' if search == Answer.ALLOW else 'n'}"
