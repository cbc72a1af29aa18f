"""Every refusal has a stable name, is counted by it at /metrics, and says a sentence to whoever caused it.

Read from the code: whoever adds a refusal without one of the three fails here.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fediart import errors
from fediart.activitypub.signatures.integrity import Flaw
from fediart.activitypub.signatures.verify import Reason
from fediart.errors import FediartError
from fediart.media.sample import draw_sample
from tests.people import people_of
from tests.world import a_world

ROOT = Path(__file__).resolve().parents[1]
CODE = ROOT / "fediart"
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
TREE = {name: held for name, held in vars(errors).items() if inspect.isclass(held) and issubclass(held, FediartError)}
NEVER_AT_A_DOOR = {"FediartError", "ConfigError", "Interrupted", "BadArchive", "BadEncoder"}
"""Of a shell, or between a server and its own processes."""

GOES_ON = {
    ("activitypub/asker.py", "may_fetch", "TooMany"): "whoever signs is then treated as one who does not",
    ("activitypub/asker.py", "_checked", "TooMany"): "the same",
    ("activitypub/asker.py", "_checked", "BadInput"): "the same",
    ("activitypub/documents.py", "actor", "Gone"): "answered with what is left to say",
    ("activitypub/inbox.py", "__call__", "Unavailable"): "fediart_inbox_total",
    ("activitypub/inbox.py", "_receipt", "BadInput"): "fediart_inbox_total",
    ("api/accounts.py", "search", "FediartError"): "a search that finds nothing is no refusal",
    ("api/auth.py", "grant", "Unavailable"): "reading goes on",
    ("crawlers.py", "_is_known", "Unavailable"): "counted as a stranger",
    ("errors.py", "on_fediart_error", "Unavailable"): "counted already",
    ("figures.py", "_stock", "Unavailable"): "the figures stay as they were",
    ("gate.py", "shown_again", "BadInput"): "counted when it was refused",
    ("media.py", "_reader", "SignInNeeded"): "looks as a stranger",
    ("pages/door.py", "_welcomes", "Unavailable"): "the page is shown all the same",
    ("security.py", "signed_in", "Unavailable"): "reading goes on",
}
"""Where an error is caught in `web/` and nothing is refused: (file, function, error) → why."""


def files(under: str = "") -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((CODE / under).rglob("*.py")):
        yield path.relative_to(CODE / under).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def sentence_of(node: ast.expr) -> str | None:
    """The words of a literal, what is filled in as `…`; None of what is made elsewhere."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None


def test_every_error_has_a_name_of_its_own_and_stands_in_the_drawing_and_in_the_docs() -> None:
    names = {held("x", **_needs(held)).name for held in TREE.values()}
    assert len(names) == len(TREE)
    drawing = inspect.getdoc(errors) or ""
    assert {name for name in TREE if not re.search(rf"\b{name}\b", drawing)} == set()
    at_doors = [held("x", **_needs(held)).name for name, held in TREE.items() if name not in NEVER_AT_A_DOOR]
    assert [name for name in at_doors if f"`{name}`" not in PAGE] == []


def _needs(held: type[FediartError]) -> dict[str, Any]:
    given = {"retry_after": 1, "remote_status": 500, "encoder": "x"}
    wanted = inspect.signature(held.__init__).parameters
    return {name: value for name, value in given.items() if name in wanted}


def test_every_error_is_raised_with_a_sentence() -> None:
    wrong, seen = [], 0
    for path, tree in files():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or name_of(node.func) not in TREE:
                continue
            seen += 1
            words = sentence_of(node.args[0]) if node.args else ""
            if words is not None and (len(words.replace("…", " … ").split()) < 3 or words != words.strip()):
                wrong.append((path, node.lineno, words))
    assert wrong == []
    assert seen > 300


def test_an_error_whose_words_a_page_shows_is_counted() -> None:
    caught = set()
    for path, tree in files("web"):
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            for node in ast.walk(function):
                if not isinstance(node, ast.ExceptHandler) or node.type is None:
                    continue
                kinds = {name_of(part) for part in ast.walk(node.type) if isinstance(part, ast.expr)} & set(TREE)
                is_told = any(isinstance(part, ast.Raise) for part in node.body) or any(
                    isinstance(part, ast.Call) and name_of(part.func) == "count_refusal" for part in ast.walk(node)
                )
                if not is_told:
                    caught |= {(path, function.name, kind) for kind in kinds}
    assert caught == set(GOES_ON)


def test_a_picture_that_is_refused_only_when_it_is_prepared_is_counted_too() -> None:
    found = {}
    for path, tree in files("studio"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and node.type is not None and "CloakFailed" in ast.unparse(node.type):
                found[path] = "refusals.count(problem.name)" in ast.unparse(node)
    # What detectors cannot judge goes on.
    expected = {f"{name}.py": True for name in ("bring_image", "copy_image", "redo_cloaks", "release_work")}
    assert found == {**expected, "suspect_image.py": False}


def test_every_answer_of_an_inbox_has_a_name_and_where_it_refuses_a_sentence() -> None:
    receipts = []
    for path in ("inbox/receive.py", "web/activitypub/inbox.py"):
        tree = ast.parse((CODE / path).read_text(encoding="utf-8"))
        receipts += [node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node.func) == "Receipt"]
    assert len(receipts) >= 15
    for node in receipts:
        status, reason = node.args[0], sentence_of(node.args[1])
        assert reason, ast.unparse(node)
        assert (reason if "…" not in reason else f"{reason.rstrip('…')}") in PAGE, reason
        if not (isinstance(status, ast.Constant) and status.value == 202):
            assert len(node.args) == 3, ast.unparse(node)
    for held in (*Reason, *Flaw):
        assert re.fullmatch(r"[a-z][\w ,'.-]{5,}", held.value)
        assert re.fullmatch(r"[A-Z_]+", held.name)


def test_what_is_counted_by_hand_stands_in_the_docs() -> None:
    counted = set()
    for _, tree in files():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("metrics.refusals.count"):
                counted |= {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
    assert {"ai_agent", "rate_limit", "unknown_host"} <= counted
    assert [name for name in counted if isinstance(name, str) and f"`{name}`" not in PAGE] == []


@pytest.mark.anyio
async def test_what_a_form_refuses_is_counted_by_name_and_said_on_its_page(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, counted = await people.person("mira"), world.instance.metrics.refusals.held
        browser = await people.browser()
        assert "do not fit together" in (await browser.sign_in("mira", "not her password")).text
        assert counted("sign_in_needed") == 1
        page = "/settings/password"
        short = await mira.browser.send(
            page, {"old": "wrong one here", "new": "long enough to be one", "again": "long enough to be one"}, page=page
        )
        assert ("old password is not right" in short.text, counted("bad_input")) == (True, 1)
        page = (await mira.browser.send("/compose", {}, page="/home")).headers["location"]
        files = {"pictures": ("notes.txt", b"words", "text/plain"), "more": ("evening.jpg", draw_sample(32, 32), "image/jpeg")}
        told = await mira.browser.send(page, {"action": "save"}, page=page, files=files)
        assert ("notes.txt: This is not a JPEG" in told.text, counted("bad_picture")) == (True, 1)
        assert 'fediart_refusals_total{reason="bad_picture"} 1' in world.instance.metrics.text()
