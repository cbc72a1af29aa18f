"""`fediart account …`, `setup` and `post`: what is done from a shell while a server runs, or before it does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from fediart.cli.settings import Chosen, keep_port, read_settings
from fediart.domain.actors import Account, Role
from fediart.domain.declarations import Declaration
from fediart.domain.moderation import Standing
from fediart.domain.works import Visibility, WorkState
from fediart.errors import BadInput, Conflict, NotFound
from fediart.instance import Instance, open_instance
from fediart.observe import set_up_logs
from fediart.office.give_quota import give_quota, quota_in_words
from fediart.office.judge_actor import give_role, judge_actor
from fediart.storage import accounts, actors, works
from fediart.studio.add_image import add_image
from fediart.studio.open_account import open_account, setup_token
from fediart.studio.publish_work import Draft, publish_work, start_draft
from fediart.studio.regain_account import make_link
from fediart.studio.sign_in import grant_token, put_password


async def print_setup_link(chosen: Chosen) -> None:
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        keep_port(chosen, config)
        secret = await setup_token(instance)
        if secret is None:
            raise Conflict("There is an account already. Lost the password? fediart account reset-link NAME")
        click.echo(f"{config.base_url}/setup?token={secret}")


async def create(chosen: Chosen, name: str, password: str) -> None:
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        is_first = not await instance.storage.read(accounts.any_account)
        await open_account(instance, name, password, Role.OWNER if is_first else Role.ARTIST)
        click.echo(f"@{name.lower()}@{config.account_domain}" + (" (owner)" if is_first else ""))


async def list_accounts(chosen: Chosen) -> None:
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        for name, role in await instance.storage.read(accounts.account_names):
            click.echo(f"@{name}@{config.account_domain}  {role}")


async def _account(instance: Instance, name: str) -> Account:
    found = await instance.storage.read(accounts.account_named, name.lower().removeprefix("@"))
    if found is None:
        raise NotFound(f"There is no account {name} here.")
    return found


async def reset_password(chosen: Chosen, name: str, password: str) -> None:
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        await put_password(instance, await _account(instance, name), password)
        click.echo(f"New password set. Every session and token of {name} has ended.")


async def reset_link(chosen: Chosen, name: str) -> None:
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        click.echo(await make_link(instance, await _account(instance, name)))


async def sign_out(chosen: Chosen, name: str) -> None:
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        await instance.storage.write(accounts.end_everything, (await _account(instance, name)).id)
        click.echo(f"Every session, token and one-time link of {name} has ended.")


async def put_quota(chosen: Chosen, name: str, room: str) -> None:
    """`room`: megabytes, `none` or `default`."""
    if not room.isdecimal() and room not in ("none", "default"):
        raise BadInput("The room is a number of megabytes, or none, or default.")
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        held = {"none": 0, "default": None}.get(room) if not room.isdecimal() else int(room)
        await give_quota(instance, name, held, by=None)
        click.echo(f"@{name.lower().removeprefix('@')} may take {quota_in_words(held)}.")


async def token(chosen: Chosen, name: str, scopes: str) -> None:
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        click.echo(await grant_token(instance, name, scopes, "command line"))


async def list_tokens(chosen: Chosen, name: str) -> None:
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        held = await instance.storage.read(accounts.grants_of, (await _account(instance, name)).id)
        for grant in held:
            used = f"last used {_day(grant.used_at)}" if grant.used_at else "no use is known"
            click.echo(f"{grant.name}  may: {grant.scopes}  since {_day(grant.created_at)}  {used}")
        if not held:
            click.echo("No app acts for this account.")


def _day(at: int) -> str:
    """Of a time in ms: 2026-11-29, by UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


async def put_role(chosen: Chosen, name: str, role: str) -> None:
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        await give_role(instance, name, Role(role), by=None)
        click.echo(f"@{name.lower().removeprefix('@')} is {role} now.")


async def judge(chosen: Chosen, name: str, standing: str, reason: str) -> None:
    """`standing`: of `domain/moderation.Standing`. Somebody of elsewhere must be known here already."""
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        username, _, host = name.lower().removeprefix("@").partition("@")
        host = "" if host in instance.identifiers.hosts else host
        actor = await instance.storage.read(actors.actor_named, username, host)
        if actor is None:
            raise NotFound(f"Nobody called {name} is known here.")
        await judge_actor(instance, actor.id, Standing(standing), by=None, reason=reason)
        click.echo(f"{name}: {standing or 'as everybody else'} now.")


async def publish(
    chosen: Chosen,
    name: str,
    pictures: Sequence[Path],
    text: str,
    alt: Sequence[str],
    warning: str,
    visibility: str,
    made: str | None = None,
) -> None:
    """The pictures go into the vault here; whoever runs jobs on this data folder cloaks and sends them."""
    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        artist = await _account(instance, name)
        declaration = Declaration(made) if made is not None else None
        draft = Draft(text=text, warning=warning, visibility=Visibility(visibility), declaration=declaration)
        work_id = await start_draft(instance, artist, draft)
        for index, picture in enumerate(pictures):
            said = alt[index] if index < len(alt) else ""
            await add_image(instance, artist, picture, picture.name, work_id=work_id, alt=said)
        final = await publish_work(instance, artist, work_id)
        click.echo(f"{config.base_url}/@{name.lower()}/{final}")
        work = await instance.storage.read(works.work_by_id, final)
        if work is not None and work.state == WorkState.HELD:
            click.echo("A moderator looks at it first; nobody else sees it before.")
