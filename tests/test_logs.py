"""The log: what went wrong can be found by the id that the answer carried, and no secret stands there."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from fediart.observe import SECRET_KEYS, hide_secrets, set_up_logs

SCRIPT = """
import asyncio, json, sys
from pathlib import Path
from sqlalchemy import insert
from starlette.routing import Route
from fediart.observe import set_up_logs
from fediart.storage import tables
from tests.people import people_of
from tests.world import a_world

set_up_logs("info", sys.argv[2])

async def crash(request):
    secret_in_a_local = "hush-local"
    form = await request.form()
    await request.app.state.instance.storage.write(lambda db: db.execute(insert(tables.settings).values(nothing="x")))

async def twice(request):
    def act(db):
        for _ in range(2):
            db.execute(insert(tables.settings).values(key="twice", value="hush-parameter"))
    await request.app.state.instance.storage.write(act)

async def main():
    async with a_world(Path(sys.argv[1]), jobs=False) as world, people_of(world.instance) as people:
        inner = people.app
        while not hasattr(inner, "routes"):
            inner = inner._app
        inner.routes.extend([Route("/crash", crash, methods=["POST"]), Route("/twice", twice, methods=["POST"])])
        client = await people.client("hush-token", cookies={"fediart-8000": "hush-cookie"})
        for path in ("/crash", "/twice"):
            answer = await client.post(path, data={"password": "hush-password"})
            broken = {"content-type": "multipart/form-data; boundary=x"}
            assert (await client.post("/sign-in", content=b"--x*", headers=broken)).status_code == 422, "said, and not logged"
            print(json.dumps([path, answer.status_code, answer.headers["x-request-id"], answer.text]))

asyncio.run(main())
"""


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_crash_is_told_with_its_request_id_and_without_secrets(style: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), style]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [status for _, status, _, _ in answers] == [500, 500]
    for path, _, request_id, text in answers:
        (line,) = [line for line in ran.stderr.splitlines() if "request.crashed" in line and f"{path}" in line]
        assert request_id in line
        assert "Traceback" not in text
    assert "Traceback (most recent call last)" in ran.stderr
    assert "boundary" not in ran.stderr, "a stranger does not write into the log"
    assert "UNIQUE constraint failed" in ran.stderr
    assert "hush" not in ran.stderr.replace('secret_in_a_local = "hush-local"', "").replace('value="hush-parameter"', "")


def test_a_value_under_a_name_that_means_a_secret_is_hidden() -> None:
    event = dict.fromkeys(SECRET_KEYS, "hush") | {"Authorization": "hush", "path": "/home"}
    assert hide_secrets(None, "info", dict(event)) == dict.fromkeys(event, "[hidden]") | {"path": "/home"}


def test_a_log_line_goes_to_the_stderr_of_its_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is run in-process lends its own, and closes it."""
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    set_up_logs("info", "json")
    log = structlog.get_logger("fediart.test")
    log.info("one")
    monkeypatch.setattr(sys, "stderr", second)
    first.close()
    log.info("two")
    structlog.reset_defaults()
    assert '"two"' in second.getvalue()
