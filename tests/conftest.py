"""What every test shares: a stopped clock where it is wanted, and the rule that in CI a skip is a failure."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import Postgres, a_postgres
from tests.world import a_world

# How long an example takes says something of this machine only: no deadline, no complaint about slow ones.
EXAMPLES = 5_000 if os.environ.get("FEDIART_LONG") == "1" else 150
settings.register_profile("fediart", deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fediart")

# Full encoders want the extra fediart[vae], which `python3 run.py test --long` installs. A skipped test would be a failure.
collect_ignore = [] if os.environ.get("FEDIART_LONG") == "1" else ["test_full_encoders.py"]

NO_SKIP = os.environ.get("FEDIART_NO_SKIP") == "1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Started when the first test asks for it."""
    with a_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a world at the usual address, made once: copying it is quicker than making another."""
    folder = tmp_path_factory.mktemp("prepared") / "data"

    async def make() -> None:
        async with a_world(folder, jobs=False):
            pass

    asyncio.run(make())
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # type: ignore[no-untyped-def]
    report = yield
    if NO_SKIP and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, and a skip counts as a failure here: {report.longrepr}"
    return report
