"""`fediart mail test`: a real letter to a real mail server, or in words what is wrong with it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from fediart.clock import system_clock
from fediart.config import Config, load_config
from fediart.domain.checkups import State
from fediart.errors import BadInput, ConfigError
from fediart.office.check_mail import _MENDS, check_mail
from fediart.remote.mail import Trouble
from tests.commands import Ran, run_commands
from tests.smtp_sink import a_certificate, a_sink, server_context

pytestmark = pytest.mark.anyio
TO = "mira@mail.example"


def settings(port: int, security: str = "none", **more: str) -> Config:
    said = {"mail.host": "127.0.0.1", "mail.port": port, "mail.security": security}
    return load_config(None, {}, {**said, **{f"mail.{key}": value for key, value in more.items()}})


async def wrong(config: Config) -> tuple[str, str]:
    found = await check_mail(config, TO, system_clock())
    assert found.state == State.BAD
    return found.seen, found.mend


async def test_a_letter_is_sent_from_a_shell_and_what_is_wrong_is_said_in_words(tmp_path: Path) -> None:
    async with a_sink() as sink:
        (tmp_path / "config.toml").write_text(f'[mail]\nhost = "127.0.0.1"\nport = {sink.port}\nsecurity = "none"\n')
        closed = socket.socket()
        closed.bind(("127.0.0.1", 0))
        nowhere = str(tmp_path / "nowhere.toml")
        Path(nowhere).write_text(f'[mail]\nhost = "127.0.0.1"\nport = {closed.getsockname()[1]}\nsecurity = "none"\n')
        (tmp_path / "none.toml").write_text("")
        data = ("--data", str(tmp_path))
        commands = [
            ("mail", "test", TO, *data),
            ("mail", "test", TO, *data, "--config", nowhere),
            ("mail", "test", TO, *data, "--config", str(tmp_path / "none.toml")),
            ("mail", "test", "mira", *data),
        ]
        sent, refused, unset, no_address = await asyncio.to_thread(run_commands, commands)
        closed.close()
        assert sent.status == 0
        assert sent.told.startswith(f"127.0.0.1 has taken a letter from fediart@localhost to {TO}.\n")
        letter = await sink.next_to(TO, "Letters arrive")
        assert "whether its mail works" in letter.get_content()
        assert refused.status == 1
        assert refused.told.startswith(f"Nobody listens at 127.0.0.1, port {closed_port(nowhere)}. (")
        assert "Is mail.port right?" in refused.told
        assert unset == Ran(1, "No mail server is set, so no mail is sent: host under [mail] in the settings (docs/people.md).")
        assert no_address == Ran(1, "This is not an e-mail address like mira@art.example.")
        assert sink.letters == []


def closed_port(path: str) -> int:
    return load_config(Path(path), {}).mail.port


async def test_every_trouble_of_a_mail_server_is_told_with_its_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(_MENDS) == set(Trouble)
    certificate = a_certificate(tmp_path)
    async with a_sink() as plain:
        said = {
            "takes no letters from": {"MAIL": "553 not yours"},
            "takes everything but the letter": {"DATA": "554 looks like spam"},
        }
        seen, mend = await wrong(settings(plain.port, "starttls"))
        assert ("offers no encryption" in seen, '"tls"' in mend) == (True, True)
        seen, _ = await wrong(settings(plain.port, "tls"))
        assert "does not speak TLS" in seen
        seen, _ = await wrong(settings(plain.port, username="mira", password="pw"))
        assert "takes no name and password" in seen
        plain.refusals.append("550 nobody\x1b[31m of that name")
        seen, _ = await wrong(settings(plain.port))
        assert f"takes no letters for {TO}. (550 nobody" in seen
        assert "\x1b" not in seen
        for words, answers in said.items():
            plain.answers = answers
            seen, mend = await wrong(settings(plain.port, sender="gallery@art.example"))
            assert words.replace("takes everything", "took everything") in seen
            assert next(iter(answers.values())) in seen
            assert "mail.sender" in mend or "spam" in mend
        assert plain.letters == []
    async with a_sink(server_context(certificate), login=("gallery", "right")) as sink:
        seen, mend = await wrong(settings(sink.port, "starttls"))
        assert ("certificate of 127.0.0.1 is not believed" in seen, "SSL_CERT_FILE" in mend) == (True, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        right = load_config(None, {}, {"mail.host": "localhost", "mail.port": sink.port})
        seen, mend = await wrong(right)
        assert ("wants a name and password first" in seen, "mail.username" in mend) == (True, True)
        named = {"mail.host": "localhost", "mail.port": sink.port, "mail.username": "gallery"}
        seen, mend = await wrong(load_config(None, {}, {**named, "mail.password": "guess"}))
        assert ("does not take this name and password. (535 not you)" in seen, "guess" in seen + mend) == (True, False)
        found = await check_mail(load_config(None, {}, {**named, "mail.password": "right"}), TO, system_clock())
        assert found.state == State.GOOD
        assert sink.encrypted == [True]
    seen, mend = await wrong(load_config(None, {}, {"mail.host": "no-such-name.invalid"}))
    assert ("leads nowhere" in seen, "getent hosts no-such-name.invalid" in mend) == (True, True)
    with pytest.raises(ConfigError, match="No mail server is set"):
        await check_mail(load_config(None, {}), TO, 0)
    with pytest.raises(BadInput, match="not an e-mail address"):
        await check_mail(right, "mira@", 0)


async def test_what_hangs_up_or_speaks_something_else_is_no_mail_server() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-somebody\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        seen, mend = await wrong(settings(server.sockets[0].getsockname()[1]))
    assert ("is no mail server" in seen, "mail.port" in mend) == (True, True)
