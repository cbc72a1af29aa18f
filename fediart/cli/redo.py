"""`fediart cloak redo`: old works are cloaked again by the present method. A server does it; here it is asked for and told of."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fediart.cli.settings import Chosen, read_settings

if TYPE_CHECKING:
    from fediart.domain.cloaks import Outlook, Redo
    from fediart.instance import Instance

COPIES = "Copies that other servers, or anyone else, already hold stay as they were."
WHEN = "The server does it in the background, new works first: a running one begins within seconds, else the next start does."


@click.command("redo")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data folder.")
@click.option(
    "--config", type=click.Path(path_type=Path), default=None, help="Settings file.  [default: config.toml in the data folder]"
)
@click.option("--artist", default=None, metavar="NAME", help="Only works of this artist.  [default: everybody's]")
@click.option("--all", "every", is_flag=True, help="Also pictures that carry the present method already.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done, and about how long it would take.")
@click.option("--stop", is_flag=True, help="Stop the run that is on. What is done stays.")
def redo(data: Path, config: Path | None, artist: str | None, every: bool, dry_run: bool, stop: bool) -> None:
    """Cloak pictures of published works again where their method is not the present one. Or tell how far a run is."""
    asyncio.run(run_redo(Chosen(data, config), artist, every=every, dry_run=dry_run, stop=stop))


async def run_redo(chosen: Chosen, artist: str | None, *, every: bool, dry_run: bool, stop: bool) -> None:
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs
    from fediart.storage import redos
    from fediart.studio.redo_cloaks import look_ahead, start_redo

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        actor_id = await _actor_id(instance, artist)
        if stop:
            click.echo(await _stop(instance, actor_id))
            return
        running = await instance.storage.read(redos.running_redo, actor_id)
        outlook = await look_ahead(instance, actor_id, every=every)
        if dry_run:
            lines = [*([progress(running)] if running else []), *plan(outlook), "Nothing was changed."]
        elif running is not None:
            lines = [progress(running), *(plan(outlook) if outlook.doable else []), "To stop it: fediart cloak redo --stop"]
        elif await start_redo(instance, actor_id, every=every) is not None:
            lines = [*plan(outlook), WHEN, "How far it is: fediart cloak redo"]
        else:
            last = await instance.storage.read(redos.last_redo, actor_id)
            lines = [*plan(outlook), *([ended(last)] if last else [])]
        click.echo("\n".join(lines))


async def _actor_id(instance: Instance, artist: str | None) -> int | None:
    from fediart.errors import NotFound
    from fediart.storage import accounts

    if artist is None:
        return None
    account = await instance.storage.read(accounts.account_named, artist.lower().removeprefix("@"))
    if account is None:
        raise NotFound(f"There is no account {artist} here.")
    return account.actor_id


async def _stop(instance: Instance, actor_id: int | None) -> str:
    """Without an artist: whatever is on."""
    from fediart.storage import redos
    from fediart.studio.redo_cloaks import stop_redo

    running = [run for run in await instance.storage.read(redos.running_redos) if actor_id in (None, run.actor_id)]
    stopped = [run for run in running if await stop_redo(instance, run.id)]
    if not stopped:
        return "There is no run to stop."
    finished, pictures = sum(run.finished for run in stopped), sum(run.pictures for run in stopped)
    return f"Stopped. {finished} of {pictures} pictures had had their turn; what is done stays."


def progress(run: Redo) -> str:
    whose = "everybody's pictures" if run.actor_id is None else "one artist's pictures"
    return f"A run over {whose} is on: {run.finished} of {run.pictures} have had their turn{_troubles(run)}."


def ended(run: Redo) -> str:
    how = "was stopped" if run.state == "stopped" else "ended"
    return f"The last run {how}: {run.redone} of {run.pictures} pictures were cloaked again{_troubles(run)}."


def _troubles(run: Redo) -> str:
    told = [(run.lost, "without an original"), (run.failed, "failed"), (run.dropped, "with nothing to do any more")]
    return "".join(f", {count} {words}" for count, words in told if count)


def plan(outlook: Outlook) -> list[str]:
    """How much there is to do, how long it takes, and what it does not do."""
    from fediart.domain.cloaks import in_words

    lines = []
    if outlook.doable:
        size = f"{_pictures(outlook.doable)}, {outlook.megapixels:.1f} megapixels"
        lines.append(f"To be cloaked again, by {outlook.method}: {size}.")
    else:
        lines.append(f"Nothing to do. Present method: {outlook.method}; {_pictures(outlook.present)} carrying it.")
    if outlook.lost:
        lines.append(f"{_pictures(outlook.lost)} cannot be cloaked again: no original of them is in the vault.")
    if outlook.doable:
        if outlook.seconds is None:
            lines.append("How long that takes is not known: no picture was measured here yet.")
        else:
            by = "cloaked by this method" if outlook.same_method else "cloaked by other methods; this one may take more or less"
            lines.append(f"That takes {in_words(outlook.seconds)}, going by {_pictures(outlook.measured)} {by}.")
        lines.append(COPIES)
    return lines


def _pictures(count: int) -> str:
    return f"{count} picture" if count == 1 else f"{count} pictures"
