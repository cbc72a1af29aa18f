"""Handing a letter to the mail server of the settings: SMTP through the standard library, in a thread.

The guard against inner addresses does not apply: the admin names this one server, and it may well be the same machine.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, make_msgid

from fediart.config import MailSettings
from fediart.errors import RefusedByRemote, Unreachable
from fediart.text.letters import Mail, Sender

TIMEOUT_S = 15.0
"""For each step of the talk with the mail server."""


async def send_mail(settings: MailSettings, sender: Sender, mail: Mail, now: int) -> None:
    """Returns once the mail server has taken it. `now` in milliseconds.

    Raises Unreachable, and RefusedByRemote with SMTP's own code: from 500 on, trying again is of no use.
    """
    await asyncio.to_thread(_send, settings, _message(settings, sender, mail, now))


def _message(settings: MailSettings, sender: Sender, mail: Mail, now: int) -> EmailMessage:
    message = EmailMessage()
    address = settings.sender or f"fediart@{sender.host.partition(':')[0]}"
    message["From"] = formataddr((" ".join(sender.site.split()), address))
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
    message["Message-ID"] = make_msgid(domain=address.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence note comes back
    message.set_content(mail.text)
    return message


def _send(settings: MailSettings, message: EmailMessage) -> None:
    try:
        with _connected(settings) as server:
            if settings.username:
                server.login(settings.username, settings.password)
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as problem:
        code, words = next(iter(problem.recipients.values()))
        raise _refused(code, words) from None
    except smtplib.SMTPResponseException as problem:
        # A mail server that does not take our name or our sender is mended by the admin: that is worth trying again.
        is_ours = isinstance(problem, smtplib.SMTPAuthenticationError | smtplib.SMTPSenderRefused)
        raise _refused(450 if is_ours else problem.smtp_code, problem.smtp_error) from None
    except (OSError, ssl.SSLError, smtplib.SMTPException) as problem:
        raise Unreachable(f"The mail server {settings.host} could not be reached.", detail=repr(problem)) from None


def _connected(settings: MailSettings) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if settings.security == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT_S, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_S)
    if settings.security == "starttls":
        try:
            server.starttls(context=context)  # raises where it is not offered: nothing is ever sent unencrypted instead
        except BaseException:
            server.close()
            raise
    return server


def _refused(code: int, words: bytes | str) -> RefusedByRemote:
    said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return RefusedByRemote(f"The mail server did not take the letter ({code}).", remote_status=code, detail=said[:300])
