"""A key of the settings file gets a value, and everything else in it stays: comments, order, what somebody else set."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fediart.config import read_file
from fediart.errors import ConfigError

_SECTION = re.compile(r"\s*\[\s*([\w.]+)\s*\]\s*(?:#.*)?")


def put_settings(path: Path, values: Mapping[str, Any]) -> None:
    """`values`: `section.key` → text, number, bool or list. The file is whole at every moment. Raises ConfigError."""
    before = read_file(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    for name, value in values.items():
        _put(lines, name, value)
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8")
        aside.chmod(path.stat().st_mode)
        try:
            is_right = read_file(aside) == {**before, **values}
        except ConfigError:
            is_right = False
        if not is_right:
            told = ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
            raise ConfigError(f"{path} is written in a way that cannot be changed here. Please put it in yourself: {told}")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _put(lines: list[str], name: str, value: Any) -> None:
    """In the place of the key's line, or of the comment that shows its default, or under its section, or before everything."""
    section, _, key = name.rpartition(".")
    # JSON's strings, numbers, bools and lists are TOML's.
    said = json.dumps(value, ensure_ascii=False)
    places = {"set": -1, "shown": -1, "section": -1}
    inside = ""
    for number, line in enumerate(lines):
        if found := _SECTION.fullmatch(line):
            inside = found[1]
            places["section"] = number if inside == section else places["section"]
        elif re.match(rf"\s*{re.escape(name)}\s*=", line) and not inside:
            lines[number] = f"{name} = {said}"
            return
        elif inside == section and (shown := re.match(rf"\s*(#?)\s*{re.escape(key)}\s*=", line)):
            places["shown" if shown[1] else "set"] = number
    if max(places["set"], places["shown"]) >= 0:
        lines[places["set"] if places["set"] >= 0 else places["shown"]] = f"{key} = {said}"
    elif places["section"] >= 0:
        lines.insert(places["section"] + 1, f"{key} = {said}")
    elif any(line.strip().startswith(f"{section}.") for line in lines) or not any(map(_SECTION.fullmatch, lines)):
        lines.insert(0, f"{name} = {said}")
    else:
        lines += ["", f"[{section}]", f"{key} = {said}"]
