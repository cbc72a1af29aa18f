"""Handing a letter to the mail server of the settings: SMTP through the standard library, in a thread.

The guard against inner addresses does not apply: the admin names this one server, and it may well be the same machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, make_msgid
from enum import StrEnum

from fediart.config import MailSettings
from fediart.errors import RefusedByRemote, Unreachable
from fediart.text.letters import Mail, Sender

TIMEOUT_S = 15.0
"""For each step of the talk with the mail server."""


class Trouble(StrEnum):
    """Why a mail server does not have a letter."""

    NAME = "name"
    """Its name leads nowhere."""
    REFUSED = "refused"
    """Nobody listens at that port."""
    SILENT = "silent"
    """It says nothing."""
    UNREACHED = "unreached"
    NO_TLS = "no tls"
    """It offers no STARTTLS."""
    NOT_TLS = "not tls"
    """What it speaks is not TLS, or none that is spoken here."""
    CERTIFICATE = "certificate"
    NO_LOGIN = "no login"
    """It takes no names and passwords, at least not so."""
    LOGIN = "login"
    """Not this name and password."""
    LOGIN_WANTED = "login wanted"
    SENDER = "sender"
    RECIPIENT = "recipient"
    LETTER = "letter"
    LETTERS_OF_ADDRESS = "letters of address"
    """An address is written in letters that it does not know."""
    BROKEN = "broken"
    """It hung up, or spoke something else than SMTP."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`said`: what the mail server or the system said, for the admin's eyes."""

    trouble: Trouble
    said: str


async def send_mail(settings: MailSettings, sender: Sender, mail: Mail, now: int) -> None:
    """Returns once the mail server has taken it. `now` in milliseconds.

    Raises Unreachable, and RefusedByRemote with SMTP's own code: from 500 on, trying again is of no use.
    """
    try:
        await asyncio.to_thread(_send, settings, _message(settings, sender, mail, now))
    except _Failed as failed:
        raise _raised(settings, failed.cause) from None


async def try_mail(settings: MailSettings, sender: Sender, mail: Mail, now: int) -> Fault | None:
    """The same, once: what was wrong, or None when the mail server has taken the letter."""
    try:
        await asyncio.to_thread(_send, settings, _message(settings, sender, mail, now))
    except _Failed as failed:
        return Fault(_trouble(failed.step, failed.cause), _said(failed.cause))
    return None


def sender_address(settings: MailSettings, sender: Sender) -> str:
    """Whom letters come from."""
    return settings.sender or f"fediart@{sender.host.partition(':')[0]}"


def _message(settings: MailSettings, sender: Sender, mail: Mail, now: int) -> EmailMessage:
    message = EmailMessage()
    address = sender_address(settings, sender)
    message["From"] = formataddr((" ".join(sender.site.split()), address))
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
    message["Message-ID"] = make_msgid(domain=address.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence note comes back
    message.set_content(mail.text)
    return message


class _Step(StrEnum):
    CONNECT = "connect"
    ENCRYPT = "encrypt"
    SIGN_IN = "sign in"
    HAND_OVER = "hand over"


class _Failed(Exception):
    def __init__(self, step: _Step, cause: Exception) -> None:
        super().__init__(step)
        self.step = step
        self.cause = cause


@contextlib.contextmanager
def _at(step: _Step) -> Iterator[None]:
    try:
        yield
    except (OSError, smtplib.SMTPException, UnicodeError) as problem:
        raise _Failed(step, problem) from problem


def _send(settings: MailSettings, message: EmailMessage) -> None:
    """Raises _Failed."""
    with _at(_Step.HAND_OVER), _connected(settings) as server:
        if settings.username:
            with _at(_Step.SIGN_IN):
                server.login(settings.username, settings.password)
        server.send_message(message)


def _raised(settings: MailSettings, problem: Exception) -> RefusedByRemote | Unreachable:
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        return _refused(*_first_answer(problem))
    if isinstance(problem, smtplib.SMTPResponseException):
        # A mail server that does not take our name or our sender is mended by the admin: that is worth trying again.
        is_ours = isinstance(problem, smtplib.SMTPAuthenticationError | smtplib.SMTPSenderRefused)
        return _refused(450 if is_ours else problem.smtp_code, problem.smtp_error)
    return Unreachable(f"The mail server {settings.host} could not be reached.", detail=repr(problem))


def _first_answer(problem: smtplib.SMTPRecipientsRefused) -> tuple[int, bytes]:
    return next(iter(problem.recipients.values()))


_TROUBLES: tuple[tuple[type[Exception], Trouble], ...] = (
    (socket.gaierror, Trouble.NAME),
    (ssl.SSLCertVerificationError, Trouble.CERTIFICATE),
    (ssl.SSLError, Trouble.NOT_TLS),
    (ConnectionRefusedError, Trouble.REFUSED),
    (TimeoutError, Trouble.SILENT),
    (smtplib.SMTPAuthenticationError, Trouble.LOGIN),
    (smtplib.SMTPSenderRefused, Trouble.SENDER),
    (smtplib.SMTPRecipientsRefused, Trouble.RECIPIENT),
    (smtplib.SMTPDataError, Trouble.LETTER),
    (UnicodeError, Trouble.LETTERS_OF_ADDRESS),
    (smtplib.SMTPException, Trouble.BROKEN),
    (ConnectionError, Trouble.BROKEN),
    (OSError, Trouble.UNREACHED),
)
"""The first that fits."""

_NOT_OFFERED = {
    _Step.CONNECT: Trouble.BROKEN,
    _Step.ENCRYPT: Trouble.NO_TLS,
    _Step.SIGN_IN: Trouble.NO_LOGIN,
    _Step.HAND_OVER: Trouble.LETTERS_OF_ADDRESS,
}

_SIGN_IN_FIRST = 530


def _trouble(step: _Step, problem: Exception) -> Trouble:
    if isinstance(problem, smtplib.SMTPNotSupportedError):
        return _NOT_OFFERED[step]
    if isinstance(problem, smtplib.SMTPSenderRefused) and problem.smtp_code == _SIGN_IN_FIRST:
        return Trouble.LOGIN_WANTED
    return next(trouble for kind, trouble in _TROUBLES if isinstance(problem, kind))


def _said(problem: Exception) -> str:
    """One line of at most 300 characters."""
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        code, answer = _first_answer(problem)
        words = f"{code} {_decoded(answer)}"
    elif isinstance(problem, smtplib.SMTPResponseException):
        words = f"{problem.smtp_code} {_decoded(problem.smtp_error)}"
    else:
        words = str(problem)
    return " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())[:300]


def _connected(settings: MailSettings) -> smtplib.SMTP:
    context = ssl.create_default_context()
    with _at(_Step.CONNECT):
        if settings.security == "tls":
            return smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT_S, context=context)
        server = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_S)
    if settings.security == "starttls":
        try:
            with _at(_Step.ENCRYPT):
                server.starttls(context=context)  # raises where it is not offered: nothing is ever sent unencrypted instead
        except BaseException:
            server.close()
            raise
    return server


def _decoded(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words


def _refused(code: int, words: bytes | str) -> RefusedByRemote:
    return RefusedByRemote(f"The mail server did not take the letter ({code}).", remote_status=code, detail=_decoded(words)[:300])
