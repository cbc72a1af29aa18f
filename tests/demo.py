"""The README's third command, run as a process, and what must be true once it has printed its line."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path


def _get(url: str, token: str | None = None) -> bytes:
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body


def check_demo(folder: Path, *options: str) -> None:
    """Two real processes, one cloaked picture: it arrives in the follower's home, and the original does not."""
    command = [sys.executable, "-m", "fediart", "demo", "--json", "--data", str(folder), *options]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    assert demo.stderr is not None
    try:
        line = demo.stdout.readline()
        assert line, demo.stderr.read()
        found = json.loads(line)
        artist, follower = found["instances"]
        assert _get(found["work"]["media"][0]) == _get(found["work"]["remote_media"][0])
        assert hashlib.sha256(_get(found["work"]["remote_media"][0])).hexdigest() != found["work"]["original_sha256"]
        home = json.loads(_get(follower["url"] + "/api/v1/timelines/home", follower["token"]))
        assert [item["uri"] for item in home] == [found["work"]["uri"]]
        assert home[0]["account"]["acct"] == artist["handle"]
        public = [path.read_bytes() for path in (folder / "artist" / "media").rglob("*.jpg")]
        assert public
        assert found["work"]["original_sha256"] not in {hashlib.sha256(data).hexdigest() for data in public}
    finally:
        demo.send_signal(signal.SIGTERM)
        rest, _ = demo.communicate(timeout=30)
    assert rest == "", "with --json stdout carries that one line only"
    assert demo.returncode == 0
