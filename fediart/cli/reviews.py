"""`fediart reviews`: what waits for a moderator, from a shell: listed, looked at, decided."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fediart.cli.settings import Chosen, read_settings

if TYPE_CHECKING:
    from fediart.domain.reviews import ShownReview
    from fediart.instance import Instance

_DATA = click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Data folder.")
_CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), default=None, help="Settings file.  [default: config.toml in the data folder]"
)


@click.group()
def reviews() -> None:
    """What waits for a moderator: held works, reports, and what artists ask."""


@reviews.command("list")
@_DATA
@_CONFIG
def list_(data: Path, config: Path | None) -> None:
    """What waits, newest first."""
    asyncio.run(run_list(Chosen(data, config)))


@reviews.command("show")
@_DATA
@_CONFIG
@click.argument("review", type=int)
def show(data: Path, config: Path | None, review: int) -> None:
    """All that is known of one."""
    asyncio.run(run_show(Chosen(data, config), review))


@reviews.command("decide")
@_DATA
@_CONFIG
@click.argument("review", type=int)
@click.argument("verb", type=click.Choice(["clear", "label", "ask", "remove"]))
@click.option("--reason", default=None, help="What its artist reads.  [default: a usual sentence]")
@click.option("--note", default="", help="For moderators only.")
@click.option(
    "--label", type=click.Choice(["ai-generated", "ai-assisted"]), default="ai-generated", show_default=True, help="With label."
)
def decide(data: Path, config: Path | None, review: int, verb: str, reason: str | None, note: str, label: str) -> None:
    """Decide: clear, label, ask its artist how it was made, or remove. A running server does what follows from it."""
    asyncio.run(run_decide(Chosen(data, config), review, verb, reason, note, label))


async def run_list(chosen: Chosen) -> None:
    from fediart.domain.reviews import age_in_words
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs
    from fediart.storage import reports
    from fediart.storage import reviews as rows

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        await instance.storage.write(rows.open_for_reports, instance.clock())
        found = await instance.storage.read(rows.open_reviews, limit=100)
        for review in found:
            shown = await _shown(instance, review.id)
            who = f"@{shown.artist.actor.username}{'@' + shown.artist.actor.host if shown.artist.actor.host else ''}"
            age = age_in_words(instance.clock() - review.opened_at)
            click.echo(f"{review.id}  {review.kind}  {review.state}  {who}  for {age}  {review.evidence or review.rule}")
        if not found:
            click.echo("Nothing waits.")
        for over in await instance.storage.read(reports.overflows):
            click.echo(
                f"{over.host} reported more than may wait at a time: {over.left_out} left out. Limit or block it: fediart hosts"
            )


async def _shown(instance: Instance, review_id: int) -> ShownReview:
    from fediart.errors import NotFound
    from fediart.storage import reviews as rows

    found = await instance.storage.read(rows.review_shown, review_id)
    if found is None:
        raise NotFound(f"There is no review {review_id}.")
    return found


async def run_show(chosen: Chosen, review_id: int) -> None:
    from fediart.domain.origin import origin_from
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        shown = await _shown(instance, review_id)
    review, work = shown.review, shown.work
    lines = [f"{review.kind}, {review.state} {review.decision}".rstrip()]
    if work is not None:
        lines += [f"Work: {work.work.url} ({work.work.state})", f"Its artist says: {work.work.declaration.words}"]
        for item in work.images:
            signals = origin_from(item.image.origin).signals if item.image.origin else ()
            lines += [f"{item.image.original_name}: {signal.level}: {signal.evidence}" for signal in signals]
    told = {"Report": shown.report and f"{shown.report.category}: {shown.report.comment}", "Its artist": review.words}
    told |= {"Reason": review.reason, "Note": review.note}
    lines += [f"{name}: {words}" for name, words in told.items() if words]
    lines += [f"Before: {earlier.decision}: {earlier.reason}" for earlier in shown.earlier]
    click.echo("\n".join(lines))


async def run_decide(chosen: Chosen, review_id: int, verb: str, reason: str | None, note: str, label: str) -> None:
    from fediart.domain.reviews import PREFILLED, Verb
    from fediart.instance import open_instance
    from fediart.observe import set_up_logs
    from fediart.office.decide_review import Said, decide_review

    config = read_settings(chosen)
    set_up_logs("warning", config.log.format)
    async with open_instance(config, chosen.data) as instance:
        said = Said(Verb(verb), PREFILLED[Verb(verb)] if reason is None else reason, note, label)
        await decide_review(instance, None, review_id, said)
        click.echo("Done. A running server goes on from there within seconds, else the next start does.")
