"""`fediart cloak IN… --out DIR`: cloaked copies of pictures, for wherever else they are shown. No server is needed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from fediart.media.targets import PLATFORMS

INTERRUPTED = 130
"""The exit status that shells give to what was stopped with Ctrl-C."""


@dataclass(frozen=True, slots=True)
class CopyOrder:
    """What was said on the command line."""

    sources: Sequence[Path]
    out: Path
    platform: str | None
    strength: str | None
    encoders: str | None
    memory_mb: int
    overwrite: bool
    data: Path | None
    config: Path | None
    artist: str | None


@click.command("copies")
@click.argument("source", metavar="IN...", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder for the copies.")
@click.option(
    "--for",
    "platform",
    type=click.Choice(list(PLATFORMS)),
    default=None,
    help="Where they are to be shown: sets size and file type.  [default: as they are]",
)
@click.option(
    "--strength",
    type=click.Choice(["light", "standard", "strong"]),
    default=None,
    help="How visible the cloak may be.  [default: as the settings say, else standard]",
)
@click.option(
    "--encoders",
    default=None,
    metavar="none|all|NAME,...",
    help="Encoders to work against, of those that fediart cloak encoders list says are here.  [default: all; "
    "with --artist those that the server uses]",
)
@click.option(
    "--memory",
    type=click.IntRange(min=512),
    default=2_048,
    show_default=True,
    metavar="MB",
    help="Megabytes that the process which cloaks may take.",
)
@click.option("--overwrite", is_flag=True, help="Put copies in the place of other files of their names.")
@click.option("--json", "as_json", is_flag=True, help="Tell of each picture in a line of JSON on stdout.")
@click.option("--data", type=click.Path(path_type=Path), default=None, help="Data folder of a server, for --artist.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help="Settings file.  [default: config.toml in the data folder, if there is one]",
)
@click.option("--artist", default=None, metavar="NAME", help="Cloak as this artist of the server in --data does.")
def copies(
    source: tuple[Path, ...],
    out: Path,
    platform: str | None,
    strength: str | None,
    encoders: str | None,
    memory: int,
    overwrite: bool,
    as_json: bool,
    data: Path | None,
    config: Path | None,
    artist: str | None,
) -> None:
    """Write cloaked copies of the pictures and folders IN into a folder. The same again goes on where it was stopped."""
    from fediart.cli.make_copies import make_copies, tell_json, tell_words

    if (data is None) != (artist is None):
        raise click.UsageError("--data and --artist belong together: whose cloak shall it be, and where is the server's data?")
    order = CopyOrder(source, out, platform, strength, encoders, memory, overwrite, data, config, artist)
    try:
        status = asyncio.run(make_copies(order, tell_json if as_json else tell_words))
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. The same command goes on where this one was.\n")
        status = INTERRUPTED
    raise SystemExit(status)
