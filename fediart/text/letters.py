"""The e-mail that this server writes: subjects and words, plain text. Who is written to, and when, is `outbox/send_letter`'s."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sender:
    """`site`: the server's name. `host`: where it is."""

    site: str
    host: str
    base_url: str


@dataclass(frozen=True, slots=True)
class Mail:
    """One letter to one address."""

    to: str
    subject: str
    text: str


def _mail(sender: Sender, to: str, subject: str, *paragraphs: str) -> Mail:
    site = " ".join(sender.site.split())
    end = f"{site}, {sender.base_url}"
    return Mail(to, f"{' '.join(subject.split())} · {site}", "\n\n".join([*(part for part in paragraphs if part), end]) + "\n")


def to_confirm(sender: Sender, to: str, username: str, token: str) -> Mail:
    return _mail(
        sender,
        to,
        "Please confirm your address",
        f"Somebody asked for the account @{username}@{sender.host} with this address. If it was you, open this page and press "
        "the button. The link holds for two days:",
        f"{sender.base_url}/sign-up/confirm?token={token}",
        "If it was not you, do nothing: then there will be no account.",
    )


def has_account(sender: Sender, to: str, username: str) -> Mail:
    return _mail(
        sender,
        to,
        "You have an account already",
        f"Somebody asked for an account with this address, but it belongs to @{username}@{sender.host}. If it was you, sign in:",
        f"{sender.base_url}/sign-in",
        "If it was not you, do nothing. Whoever asked does not hear that there is an account.",
    )


def somebody_waits(sender: Sender, to: str) -> Mail:
    return _mail(
        sender,
        to,
        "Somebody asks for an account",
        "They wait for an admin to decide:",
        f"{sender.base_url}/admin/sign-ups",
        "You are not written to again before nobody waits any more.",
    )


def admitted(sender: Sender, to: str, username: str) -> Mail:
    return _mail(
        sender,
        to,
        "Your account is ready",
        f"Welcome. Your account @{username}@{sender.host} is there; sign in with the password that you chose:",
        f"{sender.base_url}/sign-in",
    )


def turned_away(sender: Sender, to: str, username: str, reason: str) -> Mail:
    return _mail(
        sender,
        to,
        "About the account you asked for",
        f"The admins of this server did not open the account {username}.",
        f"They wrote:\n{reason}" if reason else "",
        "What you had written, and your address, are deleted here.",
    )


def to_reset(sender: Sender, to: str, username: str, token: str) -> Mail:
    return _mail(
        sender,
        to,
        "A new password",
        f"Somebody asked for a new password for @{username}@{sender.host}. If it was you, choose one here. The link works once, "
        "within half an hour:",
        f"{sender.base_url}/reset?token={token}",
        "If it was not you, do nothing: your password stays.",
    )


def password_changed(sender: Sender, to: str, username: str) -> Mail:
    return _mail(
        sender,
        to,
        "Your password was changed",
        f"The password of @{username}@{sender.host} was changed. Every browser and program was signed out.",
        f"If it was not you, ask for a new one at once: {sender.base_url}/forgot",
    )


def to_take_address(sender: Sender, to: str, username: str, token: str) -> Mail:
    return _mail(
        sender,
        to,
        "Please confirm your address",
        f"@{username}@{sender.host} wants letters to go to this address. If that is you, open this page and press the button. "
        "The link holds for two days:",
        f"{sender.base_url}/settings/email/confirm?token={token}",
        "If it is not you, do nothing.",
    )


def address_changed(sender: Sender, to: str, username: str) -> Mail:
    return _mail(
        sender,
        to,
        "Your address was changed",
        f"Letters about @{username}@{sender.host} do not go to this address any more.",
        f"If it was not you, ask for a new password and sign out everywhere: the admins help. {sender.base_url}/about",
    )


def to_test(sender: Sender, to: str) -> Mail:
    return _mail(
        sender,
        to,
        "Letters arrive",
        "Whoever runs this server asked for this letter, to see whether its mail works. It does, if you read this where you "
        "should: look whether it went to the spam.",
        "Nothing is to be done.",
    )
