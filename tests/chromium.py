"""A Chromium for the browser tests: Playwright's own, else the system's, else Debian's package where we may install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW = "The browser tests need a Chromium: type `playwright install chromium` in .venv/bin, or install your system's package."


@cache
def chromium() -> str | None:
    """Path of a browser, or None for Playwright's own. Raises RuntimeError with one line that says how to get one."""
    if _has_own():
        return None
    found = _of_system()
    if found:
        return found
    if _runs([sys.executable, "-m", "playwright", "install", "chromium"], 120) and _has_own():
        return None
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _runs(["apt-get", "update", "-qq"], 300, env)
        _runs(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], 600, env)
        found = _of_system()
        if found:
            return found
    raise RuntimeError(HOW)


def _of_system() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _has_own() -> bool:
    default = Path.home() / (".cache/ms-playwright" if sys.platform == "linux" else "Library/Caches/ms-playwright")
    root = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", default))
    return any(root.glob("chromium*-*/**/INSTALLATION_COMPLETE"))


def _runs(command: list[str], seconds: int, env: dict[str, str] | None = None) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds, env=env, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
