"""A mail server on a real socket that keeps what it is handed: SMTP (RFC 5321), with STARTTLS or TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.waiting import until


@dataclass(slots=True)
class Sink:
    """`refusals`: what RCPT is answered with, one after another, instead of 250. `login`: name and password it asks for.

    `answers`: what MAIL and DATA are answered with instead.
    """

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    login: tuple[str, str] | None = None
    answers: dict[str, str] = field(default_factory=dict)
    encrypted: list[bool] = field(default_factory=list)
    """Of each letter: was it handed over by TLS?"""

    async def next_to(self, address: str, words: str = "") -> EmailMessage:
        """The newest letter to somebody, once there is one that has these words in its subject; it is taken out."""

        def found() -> EmailMessage | None:
            fits = (letter for letter in self.letters if letter["To"] == address and words in letter["Subject"])
            return next(fits, None)

        letter: EmailMessage = await until(found)
        self.letters.remove(letter)
        return letter


def link_in(letter: EmailMessage, path: str) -> str:
    """The address in it that leads to this path, without the server's own."""
    found = re.search(rf"https?://[^\s/]+({path}\?token=[\w-]+)", letter.get_content())
    assert found, letter.get_content()
    return found[1]


@contextlib.asynccontextmanager
async def a_sink(
    context: ssl.SSLContext | None = None, *, implicit: bool = False, login: tuple[str, str] | None = None
) -> AsyncIterator[Sink]:
    """`context`: it offers STARTTLS, or speaks TLS from the first byte where `implicit`."""
    sink = Sink(login=login)
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            try:
                await _Talk(sink, None if implicit else context, implicit).run(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context if implicit else None)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        await server.wait_closed()
        for task in talks:  # whoever has not said QUIT yet
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


@dataclass(slots=True)
class _Talk:
    sink: Sink
    context: ssl.SSLContext | None
    is_encrypted: bool
    is_in: bool = False

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        say("220 sink")
        while line := (await reader.readline()).decode("utf-8", "replace").strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case known if known in self.sink.answers:
                    say(self.sink.answers[known])
                case "EHLO":
                    offers = [
                        *(["STARTTLS"] if self.context and not self.is_encrypted else []),
                        *(["AUTH PLAIN"] if self.sink.login else []),
                    ]
                    for offer in ["sink", *offers][:-1]:
                        say(f"250-{offer}")
                    say(f"250 {['sink', *offers][-1]}")
                case "STARTTLS":
                    assert self.context is not None
                    say("220 go on")
                    await writer.start_tls(self.context)
                    self.is_encrypted = True
                case "AUTH":
                    given = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")[1:]
                    self.is_in = self.sink.login == tuple(given)
                    say("235 welcome" if self.is_in else "535 not you")
                case "MAIL":
                    say("250 fine" if self.is_in or self.sink.login is None else "530 sign in first")
                case "RCPT":
                    say(self.sink.refusals.pop(0) if self.sink.refusals else "250 fine")
                case "DATA":
                    say("354 go on")
                    raw = await reader.readuntil(b"\r\n.\r\n")
                    letter = message_from_bytes(raw[:-5].replace(b"\r\n..", b"\r\n."), policy=default)
                    assert isinstance(letter, EmailMessage)
                    self.sink.letters.append(letter)
                    self.sink.encrypted.append(self.is_encrypted)
                    say("250 kept")
                case "QUIT":
                    say("221 bye")
                    return
                case _:
                    say("250 fine")


def a_certificate(folder: Path, name: str = "localhost") -> Path:
    """A certificate for this name, signed by itself, with its key in one file: a mail server's, and the authority to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
