"""What every test shares: a stopped clock where it is wanted, and the rule that in CI a skip is a failure."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import POSTGRESQL, SQLITE, USUAL, WORLDLY, Databases, chosen, cleared, databases_on
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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked `both_databases` runs on each, but where the environment names one for all."""
    if USUAL == SQLITE and metafunc.definition.get_closest_marker("both_databases"):
        metafunc.parametrize("on_database", [SQLITE, POSTGRESQL], indirect=True, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where the environment names PostgreSQL for all, only what makes worlds, and is not of SQLite's file, is run."""
    if USUAL == SQLITE:
        return
    kept = [item for item in items if _makes_worlds(item) and not item.get_closest_marker("of_the_file")]
    left = set(items) - set(kept)
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = kept


def _makes_worlds(item: pytest.Item) -> bool:
    named = set(vars(item.module)) if isinstance(item, pytest.Function) else set()
    return bool(WORLDLY & (named | set(getattr(item, "fixturenames", ()))))


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> Databases:
    """Those of worlds on PostgreSQL."""
    return databases_on(postgres)


@pytest.fixture(scope="module", autouse=True)
def on_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the worlds of a test lie: "sqlite" or "postgresql"."""
    name: str = getattr(request, "param", USUAL)
    with contextlib.ExitStack() as stack:
        if name == POSTGRESQL:
            stack.enter_context(chosen(request.getfixturevalue("databases")))
        yield name


@pytest.fixture(autouse=True)
def _cleared(on_database: str) -> Iterator[None]:
    with cleared():
        yield


@pytest.fixture(scope="session")
def all_prepared() -> dict[str, Path]:
    """database → the folder that `prepared` made."""
    return {}


@pytest.fixture(scope="module")
def prepared(on_database: str, all_prepared: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a world at the usual address, made once: copying it is quicker than making another."""

    async def make(folder: Path) -> None:
        async with a_world(folder, jobs=False):
            pass

    if on_database not in all_prepared:
        folder = tmp_path_factory.mktemp("prepared") / "data"
        asyncio.run(make(folder))
        all_prepared[on_database] = folder
    return all_prepared[on_database]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # type: ignore[no-untyped-def]
    report = yield
    if NO_SKIP and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, and a skip counts as a failure here: {report.longrepr}"
    return report
