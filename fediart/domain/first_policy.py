"""The first revision of the policy, from the settings file. From then on the admin page and the command line have the word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from fediart.config import AiPolicySettings
from fediart.domain.policy import (
    PRESETS,
    AiPolicy,
    Enforce,
    Local,
    Preset,
    ProofOfWork,
    Remote,
    RemoteAction,
    Reserve,
    Review,
    RobotsList,
)
from fediart.errors import ConfigError

C = TypeVar("C", bound=StrEnum)

_RATE = re.compile(r"off|[1-9][0-9]{0,5}/(?:s|min|h)")


def first_policy(settings: AiPolicySettings) -> AiPolicy:
    """Raises ConfigError with the key and what would be right."""
    base = PRESETS[_one(Preset, "preset", settings.preset)]
    if not re.fullmatch(r"/[a-z0-9/_-]*|https://[^\s]+", settings.statement_url):
        raise ConfigError("ai_policy.statement_url must be a path of this server, like /ai-policy, or an https:// address.")
    reserve, enforce, local, remote = settings.reserve, settings.enforce, settings.local, settings.remote
    return replace(
        base,
        statement_url=settings.statement_url,
        reserve=Reserve(
            training=_or(base.reserve.training, "reserve.training", reserve.training),
            ai_input=_or(base.reserve.ai_input, "reserve.ai_input", reserve.ai_input),
            search=_or(base.reserve.search, "reserve.search", reserve.search),
            artist_may_change=reserve.artist_may_change,
            ask_artists=base.reserve.ask_artists,
            robots_list=_one(RobotsList, "reserve.robots_list", reserve.robots_list),
            embed_xmp=reserve.embed_xmp,
            c2pa=reserve.c2pa,
            rsl=reserve.rsl,
            tdmrep=reserve.tdmrep,
        ),
        enforce=Enforce(
            block_user_agents=enforce.block_user_agents,
            rate_limit_anonymous=rate(enforce.rate_limit_anonymous),
            proof_of_work=_one(ProofOfWork, "enforce.proof_of_work", enforce.proof_of_work),
            extra_allowed_agents=tuple(enforce.extra_allowed_agents),
            extra_blocked_agents=tuple(enforce.extra_blocked_agents),
        ),
        local=Local(
            declared=_or(base.local.declared, "local.declared", local.declared),
            generator=_or(base.local.generator, "local.generator", local.generator),
            assisted=_or(base.local.assisted, "local.assisted", local.assisted),
            hint=_or(base.local.hint, "local.hint", local.hint),
            require_origin_statement=local.require_origin_statement,
        ),
        remote=Remote(
            declared=_or(base.remote.declared, "remote.declared", remote.declared),
            self_label=_or(base.remote.self_label, "remote.self_label", remote.self_label),
            hashtag=_or(base.remote.hashtag, "remote.hashtag", remote.hashtag),
            followed_override=remote.followed_override,
            domains=_actions("remote.domains", {name.lower(): action for name, action in remote.domains.items()}),
            actors=_actions("remote.actors", remote.actors),
            hashtags=tuple(dict.fromkeys(tag.strip().removeprefix("#").casefold() for tag in remote.hashtags if tag.strip())),
        ),
        review=Review(appeal_days=_days(settings.review.appeal_days), second_opinion=settings.review.second_opinion),
    )


def rate(text: str) -> str:
    """Checked: `120/min`, `5/s`, `1000/h` or `off`."""
    if not _RATE.fullmatch(text):
        raise ConfigError("ai_policy.enforce.rate_limit_anonymous must be written like 120/min, 5/s or 1000/h, or be off.")
    return text


def _one(kind: type[C], key: str, text: str) -> C:
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"ai_policy.{key} must be one of {', '.join(kind)}, not {text!r}.") from None


def _or(usual: C, key: str, text: str) -> C:
    return _one(type(usual), key, text) if text else usual


def _actions(key: str, table: Mapping[str, str]) -> Mapping[str, RemoteAction]:
    return {name: _one(RemoteAction, f'{key}."{name}"', action) for name, action in table.items()}


def _days(days: int) -> int:
    if not 1 <= days <= 365:
        raise ConfigError("ai_policy.review.appeal_days must be between 1 and 365.")
    return days
