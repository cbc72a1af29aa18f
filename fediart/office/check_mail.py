"""One real letter by the mail server of the settings, and in words what came of it: `fediart mail test`."""

from __future__ import annotations

from fediart.config import Config
from fediart.domain.checkups import Finding, bad, good
from fediart.domain.sign_ups import email_problem
from fediart.errors import BadInput, ConfigError
from fediart.remote.mail import Trouble, sender_address, try_mail
from fediart.text import letters
from fediart.text.letters import Sender

NAME = "mail"

_MENDS: dict[Trouble, tuple[str, str]] = {
    Trouble.NAME: (
        "The name {host} leads nowhere.",
        "Is mail.host spelled as your provider says? If it is, this machine's DNS does not work: getent hosts {host}",
    ),
    Trouble.REFUSED: (
        "Nobody listens at {host}, port {port}.",
        "Is mail.port right? 587 is usual for starttls, 465 for tls, 25 for one on this machine, which must be running.",
    ),
    Trouble.SILENT: (
        "{host} says nothing at port {port}.",
        'A firewall may be in between: many hosters close mail ports until they are asked. Port 465 wants mail.security = "tls".',
    ),
    Trouble.UNREACHED: ("{host}, port {port}, cannot be reached.", "Has this machine a network, and a way to there?"),
    Trouble.NO_TLS: (
        "{host} offers no encryption at port {port}, so nothing was sent.",
        'Take another port: 587, or 465 with mail.security = "tls". Only on this same machine is "none" right.',
    ),
    Trouble.NOT_TLS: (
        "At port {port} {host} does not speak TLS that is understood here.",
        'mail.security = "tls" goes with port 465, "starttls" with port 587.',
    ),
    Trouble.CERTIFICATE: (
        "The certificate of {host} is not believed, so nothing was sent.",
        "Write the name that the certificate is for as mail.host. For an authority of your own: SSL_CERT_FILE.",
    ),
    Trouble.NO_LOGIN: (
        "{host} takes no name and password in a way that is known here.",
        "Leave mail.username empty if it wants none; if it does, it may want TLS first: mail.security.",
    ),
    Trouble.LOGIN: (
        "{host} does not take this name and password.",
        "Look at mail.username and mail.password (or FEDIART_MAIL__PASSWORD). Some providers want a password made for programs.",
    ),
    Trouble.LOGIN_WANTED: ("{host} wants a name and password first.", "Write mail.username and mail.password."),
    Trouble.SENDER: (
        "{host} takes no letters from {sender}.",
        "Write an address of yours at this provider as mail.sender: most take no other.",
    ),
    Trouble.RECIPIENT: (
        "{host} takes no letters for {to}.",
        "Is the address right? If it is of elsewhere, {host} may pass on letters only for who signs in: mail.username.",
    ),
    Trouble.LETTER: (
        "{host} took everything but the letter.",
        "What it said tells why: often it holds this server for a sender of spam.",
    ),
    Trouble.LETTERS_OF_ADDRESS: (
        "{host} does not know the letters that {to} or {sender} is written in.",
        "Take addresses of a to z, 0 to 9.",
    ),
    Trouble.BROKEN: (
        "{host} hung up, or what answers at port {port} is no mail server.",
        "Is mail.port right? 587 is usual for starttls, 465 for tls, 25 for a mail server on this machine.",
    ),
}


async def check_mail(config: Config, to: str, now: int) -> Finding:
    """Hand over a letter to this address. Raises ConfigError where no mail server is set, BadInput for what is no address."""
    if not config.mail.is_on:
        raise ConfigError("No mail server is set, so no mail is sent: host under [mail] in the settings (docs/people.md).")
    if problem := email_problem(to):
        raise BadInput(problem)
    sender = Sender(config.instance.name, config.account_domain, config.base_url)
    fault = await try_mail(config.mail, sender, letters.to_test(sender, to), now)
    known = {"host": config.mail.host, "port": config.mail.port, "sender": sender_address(config.mail, sender), "to": to}
    if fault is None:
        return good(NAME, "{host} has taken a letter from {sender} to {to}.".format(**known))
    seen, mend = (words.format(**known) for words in _MENDS[fault.trouble])
    return bad(NAME, f"{seen} ({fault.said})" if fault.said else seen, mend)
