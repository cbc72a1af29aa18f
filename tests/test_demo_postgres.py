"""The main job, end to end, with both instances on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from tests.demo import check_demo
from tests.postgres import Postgres


def test_a_cloaked_work_arrives_when_both_instances_are_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    databases = [postgres.new_database(), postgres.new_database()]
    check_demo(tmp_path, *(option for address in databases for option in ("--database", address)))
    assert not list(tmp_path.rglob("*.sqlite")), "nothing went into a file beside it"
    for address in databases:
        assert postgres.ask(address, "SELECT count(*) FROM works WHERE state = 'published'") == "1"
