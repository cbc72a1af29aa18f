"""FEDERATION.md says what the code does: its lists are the tables of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import fediart
from fediart.activitypub.nodeinfo import VERSIONS
from fediart.activitypub.parsers import actor, note
from fediart.activitypub.signatures import verify
from fediart.inbox.dispatch import HANDLERS

_CODE = Path(fediart.__file__).parent
_TEXT = (_CODE.parent / "FEDERATION.md").read_text()
_VERBS = frozenset(HANDLERS) - {"QuoteRequest"} | {
    *("Arrive", "Dislike", "Ignore", "Invite", "Join", "Leave", "Listen", "Offer", "Read", "TentativeAccept", "TentativeReject"),
    *("Travel", "View", "LikeRequest", "ReplyRequest", "AnnounceRequest"),
}
"""What a builder may say; of requests to quote only the answers are built."""


def rows(title: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = _TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line.strip().strip("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


def listed(start: str) -> set[str]:
    """The words of a sentence that begins so."""
    found = re.search(re.escape(start) + r"([^.]+)\.", _TEXT)
    assert found, start
    return set(re.split(r",\s+", found[1].strip()))


def test_the_verbs_are_those_that_are_handled_and_built() -> None:
    said = set()
    for path in (_CODE / "activitypub" / "builders").glob("*.py"):
        constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        said |= {value for value in constants if isinstance(value, str)} & _VERBS
    table = rows("Activities")
    assert [row[0] for row in table] == sorted(row[0] for row in table)
    assert {row[0] for row in table if row[1] == "yes"} == set(HANDLERS)
    assert {row[0] for row in table if row[2] == "yes"} == said


def test_the_feps_are_those_that_the_code_names() -> None:
    """Where one is followed, the code says so by its number; this file itself is one more."""
    named = {"67ff"}
    for path in _CODE.rglob("*.py"):
        named |= set(re.findall(r"(?:FEP-|w3id\.org/fep/)([0-9a-f]{4})\b", path.read_text()))
    table = [re.findall(r"\[([0-9a-f]{4})\]\(https://w3id\.org/fep/([0-9a-f]{4})\)", row[0])[0] for row in rows("FEPs")]
    assert all(number == linked for number, linked in table)
    assert [number for number, _ in table] == sorted(named)


def test_kinds_algorithms_and_versions_are_those_of_the_code() -> None:
    said = {row[0]: set(row[1].split(", ")) for row in rows("Protocols and standards")}
    assert said["NodeInfo"] == set(VERSIONS)
    assert said["draft 12, algorithms understood"] == verify._CAVAGE_ALGORITHMS - {""}
    assert said["RFC 9421, algorithms understood"] == verify._RFC_ALGORITHMS - {""}
    assert listed("Understood as posts: ") == note.KINDS
    assert listed("Understood as actors: ") == actor.KINDS


def test_the_files_it_names_are_there() -> None:
    for target in re.findall(r"\]\((docs/[^)#]+)\)", _TEXT):
        assert (_CODE.parent / target).is_file(), target
