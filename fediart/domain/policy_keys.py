"""A policy by its keys, as they stand in the settings file: what the admin's page and the command line read and change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_type_hints

import msgspec

from fediart.config import AiPolicySettings
from fediart.domain.first_policy import first_policy
from fediart.domain.policy import AiPolicy, Preset, with_preset
from fediart.errors import BadInput, ConfigError


def keys_of(policy: AiPolicy) -> dict[str, Any]:
    """`local.declared` → what it says, for every key but the preset, in the order of the settings file."""
    return dict(_keys(AiPolicySettings(), policy, ""))


def _keys(shape: msgspec.Struct, held: Any, above: str) -> Iterator[tuple[str, Any]]:
    for name in shape.__struct_fields__:
        part, value = getattr(shape, name), getattr(held, name)
        if isinstance(part, msgspec.Struct):
            yield from _keys(part, value, f"{above}{name}.")
        elif above or name != "preset":
            yield above + name, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: str(action) for name, action in value.items()}
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, bool | int) else str(value)


def changed(policy: AiPolicy, changes: Mapping[str, Any]) -> AiPolicy:
    """The policy with these keys otherwise. Values are those of the settings file, or text that says the same.

    Raises BadInput, which names the key and what would be right.
    """
    values: dict[str, Any] = {"preset": str(policy.preset)}
    for key, value in (keys_of(policy) | dict(changes)).items():
        *sections, name = key.split(".")
        shape, place = AiPolicySettings, values
        for section in sections:
            shape = get_type_hints(shape).get(section, object)
            place = place.setdefault(section, {})
        wanted = get_type_hints(shape).get(name) if issubclass(shape, msgspec.Struct) else None
        if wanted is None or issubclass(wanted if isinstance(wanted, type) else object, msgspec.Struct) or key == "preset":
            raise BadInput(f"The policy has no key {key}. It has: {', '.join(keys_of(policy))}.")
        try:
            place[name] = msgspec.convert(value, wanted, strict=False)
        except msgspec.ValidationError as problem:
            raise BadInput(f"{key}: {problem}.") from None
    try:
        made = first_policy(msgspec.convert(values, AiPolicySettings))
    except ConfigError as problem:
        raise BadInput(problem.message.removeprefix("ai_policy.")) from None
    asks = replace(made.reserve, ask_artists=policy.reserve.ask_artists)
    return replace(made, reserve=asks, number=policy.number, adopted_at=policy.adopted_at, adopted_by=policy.adopted_by)


def preset_named(policy: AiPolicy, name: str) -> AiPolicy:
    """The policy with the rows of a preset. Raises BadInput."""
    if name not in list(Preset):
        raise BadInput(f"There is no preset {name}. There are: {', '.join(Preset)}.")
    return with_preset(policy, Preset(name))


def differences(before: AiPolicy, after: AiPolicy) -> list[tuple[str, str, str]]:
    """(key, what it said, what it says), for what is not the same; numbers and dates do not count."""
    old, new = (
        {"preset": str(policy.preset), "reserve.ask_artists": policy.reserve.ask_artists} | keys_of(policy)
        for policy in (before, after)
    )
    return [(key, in_words(old[key]), in_words(new[key])) for key in new if old[key] != new[key]]


def in_words(value: Any) -> str:
    """As one would type it: `deny`, `yes`, `aiart, midjourney`, `ai.example: filter`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "nothing"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {action}" for name, action in value.items()) or "nothing"
    return str(value)
