"""TLS on this machine alone: an authority that nobody else trusts, and a front that ends TLS before a server of plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Authority:
    """Files: the authority's own certificate and key, and a certificate with its key for servers here."""

    root: Path
    root_key: Path
    certificate: Path
    key: Path

    def trusting(self) -> ssl.SSLContext:
        """For a client that believes this authority, and no other."""
        return ssl.create_default_context(cafile=str(self.root))

    def serving(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


_MAY_SIGN = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
"""Python 3.13 refuses an authority that does not say so."""


_ISSUER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "thrown away after the tests")])
_LASTS = datetime.timedelta(days=2)


def make_authority(folder: Path, *more: str, lasts: datetime.timedelta = _LASTS) -> Authority:
    """`more`: further names of servers. `lasts`: from now; what is below 0 has expired."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = ec.generate_private_key(ec.SECP256R1())
    whose = x509.SubjectKeyIdentifier.from_public_key(ours.public_key())
    root = _begun(_ISSUER, ours.public_key(), lasts)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(whose, critical=False).add_extension(_MAY_SIGN, critical=True)
    made = Authority(folder / "root.pem", folder / "root-key.pem", folder / "certificate.pem", folder / "key.pem")
    made.root.write_bytes(root.sign(ours, hashes.SHA256()).public_bytes(Encoding.PEM))
    made.root_key.write_bytes(_pem(ours))
    return certify(made, folder, "localhost", "127.0.0.1", *more, lasts=lasts)


def certify(authority: Authority, folder: Path, *names: str, lasts: datetime.timedelta = _LASTS) -> Authority:
    """The same authority with another certificate for a server, under these names only."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = load_pem_private_key(authority.root_key.read_bytes(), None)
    assert isinstance(ours, ec.EllipticCurvePrivateKey)
    whose, theirs = x509.SubjectKeyIdentifier.from_public_key(ours.public_key()), ec.generate_private_key(ec.SECP256R1())
    leaf = _begun(x509.Name([]), theirs.public_key(), lasts)
    leaf = leaf.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=True)
    leaf = leaf.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(whose), critical=False)
    made = replace(authority, certificate=folder / "certificate.pem", key=folder / "key.pem")
    made.certificate.write_bytes(leaf.sign(ours, hashes.SHA256()).public_bytes(Encoding.PEM))
    made.key.write_bytes(_pem(theirs))
    return made


def _begun(subject: x509.Name, key: ec.EllipticCurvePublicKey, lasts: datetime.timedelta) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(_ISSUER).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
    return builder.not_valid_after(now + lasts)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@contextlib.contextmanager
def a_front(authority: Authority, port: int, backend: int, address: str = "127.0.0.1") -> Iterator[None]:
    """https at `address` and `port` speaks with 127.0.0.1:`backend`, byte for byte, while the block runs."""
    up = threading.Event()
    held: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        server = await asyncio.start_server(lambda r, w: _join(r, w, backend), address, port, ssl=authority.serving())
        held.append((asyncio.get_running_loop(), stop))
        up.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert up.wait(20)
    try:
        yield
    finally:
        loop, stop = held[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, backend: int) -> None:
    ends = [writer]
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", backend)
        ends.append(inner_writer)
        ways = [asyncio.create_task(_pass_on(reader, inner_writer)), asyncio.create_task(_pass_on(inner_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in ends:
            end.close()
            await end.wait_closed()
    except (OSError, asyncio.CancelledError):
        pass  # nobody waits for this task
    finally:
        for end in ends:
            end.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
