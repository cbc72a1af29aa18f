"""What every test shares: a stopped clock where it is wanted, and the rule that in CI a skip is a failure."""

from __future__ import annotations

import os

import pytest

NO_SKIP = os.environ.get("FEDIART_NO_SKIP") == "1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # type: ignore[no-untyped-def]
    report = yield
    if NO_SKIP and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, and a skip counts as a failure here: {report.longrepr}"
    return report
