"""`systemctl restart`: a request that has begun ends well, and what was accepted goes on after the next start."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from fediart.office import probe
from tests.servers import Keeper, running, wait_for


def _refuses(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5):
            return False
    except ConnectionRefusedError:
        return True


def test_sigterm_lets_a_request_end_and_a_restart_loses_nothing(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "data")
    port = keeper.side.port
    with running(keeper) as server:
        secret = (keeper.side.data / "secret.key").read_bytes()
        with socket.create_connection(("127.0.0.1", port), 20) as begun:
            signed = f"{probe.HEADER}: {probe.signed_probe(secret, time.time_ns() // 1_000_000)}"
            head = f"POST {probe.PATH} HTTP/1.1\r\nHost: localhost:{port}\r\n{signed}\r\nContent-Length: 10\r\n\r\n"
            begun.sendall(head.encode() + b"01234")
            # Accepted just before the end: its picture still waits for its cloak.
            work = keeper.post("an evening", keeper.upload())
            server.process.terminate()
            wait_for("no new connections", lambda: _refuses(port))
            begun.sendall(b"56789")
            answer = b""
            while part := begun.recv(65_536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"received":10' in answer
        server.process.wait(20)
        assert "Traceback" not in server.log
        keeper.start()
        mine = "/api/v1/accounts/verify_credentials"
        wait_for("published", lambda: keeper.ask("GET", mine)["statuses_count"] == 1)
        assert keeper.ask("GET", f"/api/v1/statuses/{work['id']}")["media_attachments"][0]["url"]
