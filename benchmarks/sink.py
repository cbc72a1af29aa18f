"""The hosts that a server under measurement speaks to: fediload's fake server, in a process of its own."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from benchmarks.load import loopback
from benchmarks.server import ROOT, environment, free_port
from fediart.domain.follows import Follow, FollowState
from fediart.ids import new_id
from fediart.storage import actors, follows


def certificates(folder: Path, count: int) -> Path:
    """For the address of each of so many hosts ADDRESS.pem, key and certificate; returns the file of their authority."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fediart benchmarks")])
    now = datetime.datetime.now(datetime.UTC)

    def signed(name: x509.Name, says: x509.ExtensionType, *, is_critical: bool) -> bytes:
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(says, critical=is_critical)
            .sign(key, hashes.SHA256())
        )
        return made.public_bytes(encoding)

    authority = folder / "authority.pem"
    authority.write_bytes(signed(issuer, x509.BasicConstraints(ca=True, path_length=0), is_critical=True))
    for address in map(loopback.address, range(count)):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
        says = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        (folder / f"{address}.pem").write_bytes(secret + signed(name, says, is_critical=False))
    return authority


@dataclass(frozen=True, slots=True)
class Arrivals:
    """`at`: Unix time of the first POST of each inbox (address:port/path). `most_open`: at one time, at each host that hangs."""

    at: dict[str, float]
    most_open: dict[str, int]


class Sink:
    """So many hosts, which take every POST and count; a share `hanging` of them never answers."""

    def __init__(self, port: int, hosts: int, cert: Path | None, hanging: float = 0) -> None:
        self.port, self.hosts, self.hanging = port, hosts, hanging
        self.scheme = "https" if cert else "http"
        self._trust = ssl.create_default_context(cafile=str(cert)) if cert else None
        command = ["-m", "benchmarks.load.fediload", "serve", "--hosts", str(hosts), "--port", str(port)]
        command += ["--certs", str(cert.parent)] if cert else []
        command += ["--hanging", str(hanging)] if hanging else []
        self.process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment())
        self._asked = next(number for number in range(hosts) if not loopback.hangs(number, hanging))

    def name(self, host: int) -> str:
        return f"{loopback.address(host)}:{self.port}"

    def base(self, follower: int) -> str:
        return f"{self.scheme}://{self.name(follower % self.hosts)}"

    def inbox(self, follower: int) -> str:
        return f"{self.base(follower)}/users/f{follower}/inbox"

    def shared_inbox(self, follower: int) -> str:
        return f"{self.base(follower)}/inbox"

    def lives(self, follower: int) -> bool:
        return not loopback.hangs(follower % self.hosts, self.hanging)

    def _ask(self, path: str, method: str) -> bytes:
        request = urllib.request.Request(self.base(self._asked) + path, method=method)
        with urllib.request.urlopen(request, timeout=30, context=self._trust) as answer:
            body: bytes = answer.read()
            return body

    def reset(self) -> None:
        self._ask("/_reset", "POST")

    def heard(self) -> tuple[int, float]:
        """(POSTs since the reset, Unix time of the last Create)."""
        told = json.loads(self._ask("/_stats", "GET"))
        return int(told["count"]), float(told["last"] or 0)

    def arrivals(self) -> Arrivals:
        """Since the reset."""
        return Arrivals(**json.loads(self._ask("/_arrivals", "GET")))

    def wait_for(self, count: int, patience_s: float = 120) -> float:
        """Unix time at which the last of `count` POSTs came."""
        end, heard = time.monotonic() + patience_s, 0
        while time.monotonic() < end:
            with contextlib.suppress(OSError):  # not up yet
                heard, last = self.heard()
                if heard >= count:
                    return last
            time.sleep(0.05)
        raise SystemExit(f"Only {heard} of {count} deliveries reached the hosts.")


@contextlib.contextmanager
def sinking(folder: Path, hosts: int, tls: bool, hanging: float = 0) -> Iterator[tuple[Sink, Path | None]]:
    """The hosts, up and answering, and the file of the authority that vouches for them (None without TLS)."""
    cert = certificates(folder, hosts) if tls else None
    sink = Sink(free_port(), hosts, cert, hanging)
    try:
        sink.wait_for(0)
        yield sink, cert
    finally:
        sink.process.terminate()
        sink.process.wait(20)


def put_followers(db: Connection, artist: int, sink: Sink, followers: range, public_pem: str, *, shared: bool) -> None:
    """Rows, as if each of these had followed before."""
    now = time.time_ns() // 1_000_000
    for number in followers:
        uri = f"{sink.base(number)}/users/f{number}"
        values: dict[str, object] = {
            "uri": uri,
            "host": uri.split("/")[2],
            "username": f"f{number}",
            "kind": "Person",
            "url": uri,
            "inbox": sink.inbox(number),
            "shared_inbox": sink.shared_inbox(number) if shared else None,
            "public_key_id": f"{uri}#main-key",
            "public_key_pem": public_pem,
            "fetched_at": now,
        }
        follower = actors.save_remote_actor(db, new_id(now), values)
        follows.put_follow(db, Follow(new_id(now), follower.id, artist, f"{uri}/follow", FollowState.ACCEPTED, True))
