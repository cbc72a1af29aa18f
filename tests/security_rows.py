"""Which attacks of the catalogue are held by tests, by name: read from the marks `row(number)` in this folder.

`python -m tests.security_rows` writes docs/security-rows.md; a test fails when that page is not what comes out.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "security-rows.md"

ROWS = {
    1: "A document that says it is of another server, or another document of its own",
    2: "Documents of a wrong media type",
    3: "Our own uploads as documents of this server",
    4: "A key that is not its actor's",
    5: "What a signature must cover",
    6: "The same request again",
    7: "Signatures and contexts inside of documents",
    8: "Changing, deleting or undoing what is another's",
    9: "Ids that look like ours",
    10: "Addresses that are no web addresses",
    11: "Handles of others",
    12: "Moving followers",
    13: "What is blocked or suspended, by every verb and way round",
    14: "Follows that nobody accepted",
    15: "Addresses that are not public",
    16: "Names that resolve to several addresses",
    17: "Redirects",
    18: "A second client",
    19: "The size of what an inbox reads",
    20: "The shape of JSON",
    21: "The size of every field",
    22: "What sanitising costs",
    23: "Patterns that take for ever",
    24: "Answers that are too long, or unpack",
    25: "Servers that are slow",
    26: "Walks and names without end",
    27: "Keys that cannot be had",
    28: "Connections that say nothing, or drip",
    29: "Limits, by every spelling of an address and of oneself",
    30: "A crowd that asks for one work",
    31: "Scripts in whatever strangers, or neighbours, can write",
    32: "What every answer says to browsers",
    33: "Emojis, and letters that turn or hide what is written",
    34: "Links that lead away, and names that are not ours",
    35: "Formats that are not taken",
    36: "Pictures that unfold",
    37: "Pictures that are damaged at random",
    38: "Names and paths of files",
    39: "What a picture tells of place, camera and its maker",
    40: "Who sees a work, in every place",
    41: "Caches",
    42: "To whom a work goes, and that no copy says to whom else",
    43: "Ids of what is another's",
    44: "Files of works that are not for everybody",
    45: "What an app's token may do",
    47: "Forms of other sites",
    48: "Sessions and tokens that live on",
    49: "Guessing passwords, asking who has an account, links for a new password",
    50: "A flood of sign-ins",
    51: "Lists and backups of somebody else",
    52: "A kill while deliveries go out",
    53: "A kill while activities come in",
    54: "An error between a change and what others hear of it",
    55: "Servers that hang, among many that do not",
    56: "Servers that refuse, want quiet, or are away for a week",
    57: "The order in which one server hears of things",
    58: "A disk that is full, or cannot be written",
    59: "Many who write at once, beside copies and checkpoints",
    60: "A clock that jumps",
    61: "A network that cuts, delays, swallows and lies",
    62: "Upgrades that fail, are killed, or meet a newer database",
    63: "A backup that is restored elsewhere, and goes on from there",
    64: "More pictures of others than there is room for",
    65: "An hour under load",
    66: "What was said, against what came, through kills and cuts",
    67: "What can be seen in the code and its locks",
    68: "Anything at all, at random",
}
"""The numbers are those of our catalogue of attacks; not every one of it stands here yet."""

NOT_HERE = {
    46: "How an app is let in (OAuth): there is no such flow. Whoever has the shell makes tokens ([api.md](api.md))",
}
"""Rows that nothing here can fall to, and why."""

REQUIRED = (*range(1, 46), *range(47, 69))
"""Every one of these has a test."""


def marked() -> dict[int, list[tuple[str, str]]]:
    """row → (file, test), in order. Raises ValueError for a row without a name."""
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for path in sorted(HERE.glob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        of_all = [row for node in module.body if isinstance(node, ast.Assign) for row in _rows_in(node.value)]
        for node in module.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for row in dict.fromkeys([*of_all, *(row for mark in node.decorator_list for row in _rows_in(mark))]):
                    if row not in ROWS:
                        raise ValueError(f"{path.name}: {node.name} is marked with row {row}, which has no name here")
                    found[row].append((path.name, node.name))
    return dict(found)


def _rows_in(node: ast.expr) -> list[int]:
    """The numbers in `pytest.mark.row(7)`, also within a list."""
    return [
        call.args[0].value
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "row"
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, int)
    ]


def page() -> str:
    """The whole of docs/security-rows.md."""
    found = marked()
    lines = [
        "# Attacks that tests hold",
        "",
        "Each row is a class of attacks that went wrong somewhere; each test runs with every change. The numbers are those of",
        "a catalogue of ours. `python -m tests.security_rows` writes this page from the marks `row(number)` of the tests, and a",
        "test fails when it is not what comes out.",
        "",
        "| row | what is tried | tests |",
        "|---:|---|---|",
    ]
    for row, what in ROWS.items():
        tests = "<br>".join(f"`{file}`: {name.removeprefix('test_').replace('_', ' ')}" for file, name in found.get(row, []))
        lines.append(f"| {row} | {what} | {tests} |")
    lines += ["", "Not tried, because it is not here:", "", *(f"- {row}: {why}" for row, why in NOT_HERE.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
