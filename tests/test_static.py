"""What is looked for in the code and its locks without running it; ruff, which the checks run, has the rules of bandit (S).

What only a network knows (new advisories about our dependencies) is not here.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.row(67)

DANGEROUS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.load",
    "marshal.loads", "shelve.open", "tempfile.mktemp", "ssl._create_unverified_context", "ssl._create_stdlib_context",
    "yaml.load", "random.seed",
}  # fmt: skip
BAD_ARGUMENTS = {("shell", True), ("verify", False), ("check_hostname", False), ("autoescape", False)}
SECRETS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*[A-Za-z0-9+/=]{32}",
    "a key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60}",
    "a token of GitLab": r"\bglpat-[A-Za-z0-9_-]{20}\b",
    "a token of Slack": r"\bxox[abprs]-[A-Za-z0-9-]{20}",
    "a token of PyPI": r"\bpypi-AgE[A-Za-z0-9_-]{50}",
    "a token of npm": r"\bnpm_[A-Za-z0-9]{36}\b",
    "a name and password in an address": r"\b(?:https?|postgresql(?:\+asyncpg)?)://[a-z0-9_]{3,}:(?!PASSWORD|password|secret|pw|\$|\{)[A-Za-z0-9_~-]{12,}@",
}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def dangers(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if (name := ast.unparse(node.func)) in DANGEROUS:
                found.append(f"{node.lineno} {name}")
            for said in node.keywords:
                if isinstance(said.value, ast.Constant) and (said.arg, said.value.value) in BAD_ARGUMENTS:
                    found.append(f"{node.lineno} {said.arg}={said.value.value!r}")
    return found


def secrets_in(text: str) -> list[str]:
    return [what for what, pattern in SECRETS.items() if re.search(pattern, text)]


def test_the_rules_of_bandit_are_on_and_every_exception_says_why() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert {rule for rule in lint["ignore"] if rule.startswith("S1") or re.fullmatch(r"S\d+", rule)} == {"S101"}
    unsaid = []
    for path in (ROOT / "fediart").rglob("*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if (found := re.search(r"# noqa(.*)$", line)) and not re.fullmatch(
                r": [A-Z]+\d+(?:, [A-Z]+\d+)* +[-#] .{5,}", found[1]
            ):
                unsaid.append(f"{path.relative_to(ROOT)}:{number}")
    assert unsaid == []


def test_nothing_dangerous_is_called() -> None:
    found = {}
    for path in [*(ROOT / "fediart").rglob("*.py"), ROOT / "run.py"]:
        if held := dangers(ast.parse(path.read_text(encoding="utf-8"))):
            found[path.relative_to(ROOT).as_posix()] = held
    assert found == {}
    sly = "import os\neval('1')\nos.system('ls')\nrun('x', shell=True)\nEnvironment(autoescape=False)\n"
    assert len(dangers(ast.parse(sly))) == 4, "the rule finds what there is"
    marked = [path.name for path in (ROOT / "fediart" / "web" / "templates").rglob("*") if re.search(r"\|\s*safe\b", _text(path))]
    assert marked == [], "words are marked as safe in web/render and web/emojis, not in a template"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def test_no_secret_lies_in_the_tree() -> None:
    found = {path.relative_to(ROOT).as_posix(): held for path in tracked() if (held := secrets_in(_text(path)))}
    assert found == {}
    key = "-----BEGIN " + "PRIVATE KEY-----\n" + "A" * 40
    assert secrets_in(key + " AKIA" + "A" * 16 + " ghp_" + "a" * 36) == ["a private key", "a key of AWS", "a token of GitHub"]


def test_every_dependency_is_locked_to_a_version_and_its_hashes() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(locks) >= 4
    for lock in locks:
        words = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*$", "", lock.read_text(encoding="utf-8")))
        entries = [line for line in words.splitlines() if line.strip()]
        assert entries, lock.name
        for entry in entries:
            assert re.fullmatch(r"[\w.-]+==[\w.!+-]+(?:\s*;[^\\]+?)?(?:\s+--hash=sha256:[0-9a-f]{64})+\s*", entry), (
                lock.name,
                entry[:80],
            )
    packages = json.loads((ROOT / "tests" / "peer" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, held in packages.items() if name and not held.get("integrity", "").startswith("sha512-")] == []


def test_what_the_lock_of_the_server_holds_is_what_the_package_asks_for() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    locked = re.findall(r"(?m)^([\w.-]+)==", (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8"))
    names = {re.split(r"[\[>=<;\s]", line)[0].lower() for line in wanted}
    assert names <= {name.lower() for name in locked}
    assert sys.version_info >= (3, 11)
