"""`fediart setup`: from a trial on localhost to a server under its own name, and what must stand around it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from fediart.cli.account import print_setup_link
from fediart.cli.fronts import TRUSTED, File, Front, front_file, systemd_unit
from fediart.cli.settings import Chosen, read_settings
from fediart.cli.settings_file import put_settings
from fediart.clock import system_clock
from fediart.config import Config, load_config
from fediart.errors import BadInput, ConfigError
from fediart.instance import open_instance
from fediart.media.disk import owner_of
from fediart.observe import set_up_logs
from fediart.office.set_domain import Renamed, address_held, set_domain
from fediart.storage import accounts

URL, PROXIES = "instance.url", "server.trusted_proxies"


@dataclass(frozen=True, slots=True)
class Said:
    """`domain`, `front` None: not said. `write`: a folder for the files, which are printed otherwise."""

    domain: str | None
    front: Front | None
    write: Path | None


def set_up(chosen: Chosen, said: Said) -> None:
    """Nothing said, and nobody to ask: only the one-time link of the first account."""
    is_asking = said.domain is None and said.front is None and sys.stdin.isatty() and sys.stdout.isatty()
    if said == Said(None, None, None) and not is_asking:
        asyncio.run(print_setup_link(chosen))
        return
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    if is_asking:
        said = _ask(config, said)
    if said.domain:
        config = _name(chosen, config, said.domain)
    _show(chosen, config, said.front or Front.CADDY, said.write)
    _tell_next(chosen, config, said.front or Front.CADDY)


def _ask(config: Config, said: Said) -> Said:
    click.echo("A fediart server gets its name once: it is part of the address of everything that is published here.")
    click.echo("For trying it out none is needed. Leave the name empty, and it stays as it is.\n")
    domain = click.prompt(
        "Name of the server, like art.example", default=_shown_name(config), show_default=bool(config.instance.url)
    )
    front = click.prompt(
        "What stands before it (Caddy gets certificates by itself)",
        type=click.Choice([front.value for front in Front]),
        default=Front.CADDY.value,
    )
    click.echo()
    return Said(domain.strip() or None, Front(front), said.write)


def _shown_name(config: Config) -> str:
    return config.host if config.instance.url else ""


def address_of(domain: str) -> str:
    """`https://art.example` of what somebody typed. Raises BadInput."""
    bare = domain.strip().lower()
    if bare.startswith("http://"):
        raise BadInput("Other servers speak with https only. Say the name alone: art.example")
    bare = bare.removeprefix("https://").rstrip("/")
    with contextlib.suppress(UnicodeError):
        bare = bare if bare.isascii() else bare.encode("idna").decode()
    name = bare.rpartition(":")[0] if bare.rpartition(":")[2].isdigit() else bare
    if "." not in name and name != "localhost":
        raise BadInput(f"{domain} is no name on the internet. It looks like art.example.")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return f"https://{bare}"
    raise BadInput("A number is no name: certificates and handles need one, like art.example.")


def _name(chosen: Chosen, config: Config, domain: str) -> Config:
    """Raises Conflict, BadInput, ConfigError; nothing has changed then."""
    url = address_of(domain)
    path = chosen.config or chosen.data / "config.toml"
    _check_not_overridden(os.environ, url)
    values: dict[str, object] = {URL: url}
    values |= {name: said for name, said in (("server.host", chosen.host), ("server.port", chosen.port)) if said is not None}
    new = load_config(path, os.environ, values)
    with _nobody_serving(config, asyncio.run(address_held(config, chosen.data))):
        renamed = asyncio.run(set_domain(new, chosen.data, system_clock()))
        put_settings(path, values)
    _tell_renamed(renamed, url)
    return read_settings(chosen)


def _check_not_overridden(env: Mapping[str, str], url: str) -> None:
    if env.get("FEDIART_INSTANCE__URL", url) != url:
        raise ConfigError("FEDIART_INSTANCE__URL names another address, and goes before the settings file. Take it away first.")


@contextlib.contextmanager
def _nobody_serving(config: Config, address: str) -> Iterator[None]:
    """Holds the port of the server, and that of its trial address, so that none starts meanwhile. Raises ConfigError."""
    trial = urlsplit(address)
    ports = {config.server.port, *([trial.port] if trial.hostname == "localhost" and trial.port else [])}
    with contextlib.ExitStack() as held:
        for port in ports:
            listener = held.enter_context(socket.socket(socket.AF_INET6 if ":" in config.server.host else socket.AF_INET))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((config.server.host, port))
            except OSError as problem:
                raise ConfigError(
                    f"A server is running on port {port}. Stop it first: an address cannot change under it. "
                    "If that is another program, give fediart another port: --port",
                    detail=str(problem),
                ) from None
        yield


def _tell_renamed(renamed: Renamed, url: str) -> None:
    if renamed.old:
        click.echo(f"This server was {renamed.old} and is {url} now: {renamed.rows} entries were written anew.")
        click.echo("Files of published pictures follow when it runs. Everybody signs in again, there.\n")
    else:
        click.echo(f"This server is {url}.\n")


def _show(chosen: Chosen, config: Config, front: Front, folder: Path | None) -> None:
    if not config.instance.url:
        click.echo("It has no name yet, so no other server can reach it. To give it one: fediart setup --domain art.example")
        return
    if front != Front.NONE and not config.server.trusted_proxies:
        path = chosen.config or chosen.data / "config.toml"
        put_settings(path, {PROXIES: TRUSTED})
        click.echo(f"{path}: server.trusted_proxies names the front on this machine.\n")
    files = [_unit(chosen, config)]
    if (site := front_file(front, config)) is not None:
        files.insert(0, site)
    for file in files:
        if folder is None:
            click.echo(f"──── {file.path}\n{file.text}")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / Path(file.path).name
            target.write_text(file.text, encoding="utf-8")
            click.echo(f"{target} is for {file.path}")
    if front == Front.NONE:
        click.echo(
            f"Whatever you put before it must end TLS for {config.host}, pass on Host as it came, and write X-Forwarded-For\n"
            "anew. Name its address in server.trusted_proxies."
        )


def _unit(chosen: Chosen, config: Config) -> File:
    program = Path(sys.executable).with_name("fediart")
    data = chosen.data.absolute()
    words = f"{program}" if program.exists() else f"{sys.executable} -m fediart"
    text = systemd_unit(config, program=words, data=data, folder=Path.cwd(), user=owner_of(data))
    return File("/etc/systemd/system/fediart.service", text)


def _tell_next(chosen: Chosen, config: Config, front: Front) -> None:
    if not config.instance.url:
        return
    name = urlsplit(config.base_url).hostname
    steps = [f"Let the name {name} lead to this machine (an A record, and AAAA where it has IPv6)."]
    if front != Front.NONE:
        steps.append("Put the files where they belong.")
    steps += ["systemctl daemon-reload && systemctl enable --now fediart", f"fediart doctor --data {chosen.data}"]
    if not asyncio.run(_has_accounts(chosen, config)):
        steps.append(
            "Make the first account: the link for it stands in the server's log (journalctl -u fediart), new at each start."
        )
    click.echo("Next:\n" + "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1)))


async def _has_accounts(chosen: Chosen, config: Config) -> bool:
    async with open_instance(config, chosen.data) as instance:
        return await instance.storage.read(accounts.any_account)
