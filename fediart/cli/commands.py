"""The commands and their options. What they do stands in the files beside this one and in `studio/`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fediart import __version__
from fediart.cli import ai_policy  # noqa: F401 - its commands join the group of the policy
from fediart.cli.backup import backup, restore
from fediart.cli.cloak import cloak
from fediart.cli.copies import copies
from fediart.cli.deliveries import deliveries
from fediart.cli.hosts import hosts
from fediart.cli.invites import invite
from fediart.cli.mail import mail
from fediart.cli.moving import alias, delete, move, return_
from fediart.cli.policy import policy
from fediart.cli.redo import redo
from fediart.cli.reviews import reviews
from fediart.cli.settings import Chosen


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    """--data and --config, which every command takes."""
    data = click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data folder.")
    config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=None,
        help="Settings file.  [default: config.toml in the data folder]",
    )
    return data(config(command))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fediart")
def fediart() -> None:
    """A federated home for visual artists, which cloaks pictures before they leave."""


fediart.add_command(cloak)
fediart.add_command(policy)
fediart.add_command(hosts)
fediart.add_command(invite)
fediart.add_command(deliveries)
fediart.add_command(mail)
cloak.add_command(copies)
cloak.add_command(redo)
fediart.add_command(reviews)
fediart.add_command(backup)
fediart.add_command(restore)


@fediart.command()
@_common
@click.option("--host", default=None, help="Address to listen on.")
@click.option("--port", type=int, default=None, help="Port to listen on.")
def serve(data: Path, config: Path | None, host: str | None, port: int | None) -> None:
    """Run the server."""
    from fediart.cli.serve import run_server

    run_server(Chosen(data, config, host, port))


@fediart.command()
@_common
@click.option("--host", default=None, help="Address the server listens on.")
@click.option("--port", type=int, default=None, help="Port the server listens on: part of the link while no address is set.")
@click.option("--domain", default=None, metavar="NAME", help="Give a trial server its name, like art.example: once, for good.")
@click.option(
    "--front", type=click.Choice(["caddy", "nginx", "none"]), default=None, help="Print the settings of what stands before it."
)
@click.option("--write", type=click.Path(path_type=Path, file_okay=False), default=None, help="Put those files into this folder.")
def setup(
    data: Path,
    config: Path | None,
    host: str | None,
    port: int | None,
    domain: str | None,
    front: str | None,
    write: Path | None,
) -> None:
    """Give the server its name, and print what must stand around it. From a script, without options: the first account's link."""
    from fediart.cli.fronts import Front
    from fediart.cli.setup import Said, set_up

    set_up(Chosen(data, config, host, port), Said(domain, Front(front) if front else None, write))


@fediart.command()
@_common
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@click.option("--disk-mb", type=int, default=500, show_default=True, help="So much free disk there must be, in megabytes.")
@click.option("--wait", "wait_s", type=click.IntRange(1, 110), default=15, show_default=True, help="Seconds a front must wait.")
@click.option(
    "--ask", "others", multiple=True, metavar="HOST", help="A server whose clock is asked, too. Nobody is asked by default."
)
def doctor(data: Path, config: Path | None, as_json: bool, disk_mb: int, wait_s: int, others: tuple[str, ...]) -> None:
    """Look at everything that a server needs, and say what mends what is wrong. Ends with 1 if something is."""
    from fediart.cli.doctor import run_doctor

    chosen = Chosen(data, config)
    raise SystemExit(run_doctor(chosen, as_json=as_json, disk_mb=disk_mb, wait_s=wait_s, others=others))


@fediart.command()
@click.option("--exit", "leave", is_flag=True, help="Stop both instances at the end.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON once the work has arrived, then run until SIGTERM.")
@click.option(
    "--data", type=click.Path(path_type=Path), default=None, help="Folder for both instances.  [default: a new temporary one]"
)
@click.option(
    "--config", type=click.Path(path_type=Path), default=None, help="Settings for both instances, but for what the demo needs."
)
@click.option("--database", multiple=True, help="Database address, twice: artist's, follower's.  [default: SQLite]")
def demo(leave: bool, as_json: bool, data: Path | None, config: Path | None, database: tuple[str, ...]) -> None:
    """Two instances on this machine: a picture is cloaked on one and arrives on the other."""
    from fediart.cli.demo import run_demo

    raise SystemExit(run_demo(leave=leave, as_json=as_json, data=data, config=config, databases=database))


@fediart.group()
def account() -> None:
    """Accounts of this server."""


for _command in (alias, move, return_, delete):
    account.add_command(_command)


@account.command("create")
@_common
@click.argument("name")
@click.password_option(envvar="FEDIART_PASSWORD", help="Asked for when it is not given.")
def account_create(data: Path, config: Path | None, name: str, password: str) -> None:
    """Make an account."""
    from fediart.cli.account import create

    asyncio.run(create(Chosen(data, config), name, password))


@account.command("list")
@_common
def account_list(data: Path, config: Path | None) -> None:
    """List the accounts."""
    from fediart.cli.account import list_accounts

    asyncio.run(list_accounts(Chosen(data, config)))


@account.command("reset-password")
@_common
@click.argument("name")
@click.password_option(envvar="FEDIART_PASSWORD", help="Asked for when it is not given.")
def account_reset_password(data: Path, config: Path | None, name: str, password: str) -> None:
    """Set a new password; every session and token of the account ends."""
    from fediart.cli.account import reset_password

    asyncio.run(reset_password(Chosen(data, config), name, password))


@account.command("reset-link")
@_common
@click.argument("name")
def account_reset_link(data: Path, config: Path | None, name: str) -> None:
    """Print a link by which whoever lost a password chooses a new one. It works once, within a day."""
    from fediart.cli.account import reset_link

    asyncio.run(reset_link(Chosen(data, config), name))


@account.command("sign-out")
@_common
@click.argument("name")
def account_sign_out(data: Path, config: Path | None, name: str) -> None:
    """End every session, token and one-time link of an account; its password stays."""
    from fediart.cli.account import sign_out

    asyncio.run(sign_out(Chosen(data, config), name))


@account.command("quota")
@_common
@click.argument("name")
@click.argument("room", metavar="MB|none|default")
def account_quota(data: Path, config: Path | None, name: str, room: str) -> None:
    """Say how many megabytes an account's pictures may take: none is no bound, default as everybody."""
    from fediart.cli.account import put_quota

    asyncio.run(put_quota(Chosen(data, config), name, room))


@account.command("role")
@_common
@click.argument("name")
@click.argument("role", type=click.Choice(["artist", "moderator", "admin", "owner"]))
def account_role(data: Path, config: Path | None, name: str, role: str) -> None:
    """Say what an account may do here. The last owner stays owner."""
    from fediart.cli.account import put_role

    asyncio.run(put_role(Chosen(data, config), name, role))


@account.command("suspend")
@_common
@click.argument("name")
@click.option("--reason", default="", help="Who it concerns can read it.")
def account_suspend(data: Path, config: Path | None, name: str, reason: str) -> None:
    """Hide an account and its works, sign it out, let it publish nothing. NAME may be of elsewhere: @somebody@art.example."""
    from fediart.cli.account import judge

    asyncio.run(judge(Chosen(data, config), name, "suspended", reason))


@account.command("limit")
@_common
@click.argument("name")
@click.option("--reason", default="", help="For the record.")
def account_limit(data: Path, config: Path | None, name: str, reason: str) -> None:
    """Show an account's works to its followers only."""
    from fediart.cli.account import judge

    asyncio.run(judge(Chosen(data, config), name, "limited", reason))


@account.command("unsuspend")
@_common
@click.argument("name")
def account_unsuspend(data: Path, config: Path | None, name: str) -> None:
    """Take back a suspend or a limit. Follows that ended do not come back."""
    from fediart.cli.account import judge

    asyncio.run(judge(Chosen(data, config), name, "", ""))


@account.command("token")
@_common
@click.argument("name")
@click.option("--scopes", default="read write follow", show_default=True, help="What the token may do.")
def account_token(data: Path, config: Path | None, name: str, scopes: str) -> None:
    """Print a new client API token."""
    from fediart.cli.account import token

    asyncio.run(token(Chosen(data, config), name, scopes))


@account.command("tokens")
@_common
@click.argument("name")
def account_tokens(data: Path, config: Path | None, name: str) -> None:
    """List the apps and tokens that act for an account, and the day each was last used."""
    from fediart.cli.account import list_tokens

    asyncio.run(list_tokens(Chosen(data, config), name))


@fediart.command()
@_common
@click.argument("name")
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path), nargs=-1, required=True)
@click.option("--text", default="", help="Words to the work; #hashtags and @mentions work.")
@click.option("--alt", multiple=True, help="Description of a picture, one for each in order.")
@click.option("--warning", default="", help="Content warning.")
@click.option(
    "--visibility",
    type=click.Choice(["public", "unlisted", "followers"]),
    default="public",
    show_default=True,
    help="Who may see it.",
)
@click.option(
    "--made",
    type=click.Choice(["digital", "traditional", "photo", "3d", "code", "parts-ai", "ai"]),
    default=None,
    help="How it was made, as your own word.  [default: nothing is said]",
)
def post(
    data: Path,
    config: Path | None,
    name: str,
    picture: tuple[Path, ...],
    text: str,
    alt: tuple[str, ...],
    warning: str,
    visibility: str,
    made: str | None,
) -> None:
    """Publish pictures as the artist NAME. A running server cloaks and sends them; without one, the next start does."""
    from fediart.cli.account import publish

    asyncio.run(publish(Chosen(data, config), name, picture, text, alt, warning, visibility, made))
