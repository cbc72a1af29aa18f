"""The work of `fediart cloak IN… --out DIR`: one picture after another, each whole or not there at all.

A copy is rendered aside, in the user's data folder, noted in the record, and put into DIR under its name at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from fediart.cli.cloak import chosen_shelf
from fediart.cli.copies import CopyOrder
from fediart.cli.copy_plan import Planned, plan_copies
from fediart.cli.copy_record import CopyRecord, Made, only_one, recording, sha256_of, sweep
from fediart.config import Config, load_config
from fediart.errors import ConfigError, Conflict, FediartError, NotFound, Unavailable
from fediart.media.cloak.built_in import chosen
from fediart.media.cloak.shelf import HeldEncoder, own_folder
from fediart.media.cloak.texture import TextureCloak
from fediart.media.disk import key_at, write_whole
from fediart.media.intake import IntakeLimits
from fediart.media.pipeline import RenderRequest, RenderResult, backend_version, render
from fediart.media.targets import Target
from fediart.observe import set_up_logs

INPUT_BYTES = 1 << 30
"""One's own files may be larger than what a server takes from others; their pixels are bound all the same."""

WEAK = "This picture takes little: it got the strongest cloak that fits, which is weaker than was asked for."

Told = dict[str, Any]
"""What is said of a picture: a line of `--json`."""

Show = Callable[[str, float], None]
"""Hears which picture is in hand, and how many are done, with the share of that one."""


@dataclass(frozen=True, slots=True)
class Manner:
    """All that decides what a copy is, but for the picture and its target. `encoders`: name, file and its hash."""

    secret: bytes
    strength: str
    backend: str
    version: int
    encoders: tuple[tuple[str, Path, str], ...]
    pixels: int
    threads: int
    memory_mb: int

    def fingerprint(self, target: Target) -> str:
        """Equal where the same picture would give the same copy."""
        encoders = [[name, digest] for name, _, digest in self.encoders]
        said = [self.strength, self.backend, self.version, encoders, asdict(target)]
        return hmac.new(self.secret, json.dumps(said).encode(), hashlib.sha256).hexdigest()


async def make_copies(order: CopyOrder, tell: Callable[[Told], None]) -> int:
    """Make what is not there yet. Returns the exit status: 1 when a picture failed."""
    set_up_logs("warning", "console")
    settings = _settings(order)
    home = order.data if order.data is not None else own_folder(os.environ, Path.home()).parent
    limits = IntakeLimits(bytes=INPUT_BYTES, pixels=settings.media.upload_pixels)
    planned = plan_copies(order.sources, order.out, order.platform, limits)
    manner = await _manner(order, settings, home)
    _make_folder(order.out)
    with recording(home / "records", order.out) as record:
        sweep((order.out / item.place).parent for item in planned)
        there = _already_there(order, planned, manner, record)
        with progress_bar(len(planned)) as show:
            return await _Worker(order, manner, record, tell, show).work(planned, there)


def _settings(order: CopyOrder) -> Config:
    """Read what is there, and make nothing."""
    if order.config is not None and not order.config.exists():
        raise ConfigError(f"There is no settings file {order.config}.")
    if order.data is not None and not (order.data / "secret.key").exists():
        raise ConfigError(f"There is no server's data in {order.data}.")
    return load_config(order.config or (order.data / "config.toml" if order.data is not None else None), os.environ)


async def _manner(order: CopyOrder, settings: Config, home: Path) -> Manner:
    wanted = _encoders(order, settings) if settings.cloak.backend != TextureCloak.name else []
    backend = chosen(settings.cloak.backend, [(encoder.name, encoder.path) for encoder in wanted])
    return Manner(
        secret=await _secret(order, settings, home),
        strength=order.strength or settings.cloak.strength,
        backend=backend,
        version=await backend_version(backend),
        encoders=tuple((encoder.name, encoder.path, encoder.sha256) for encoder in wanted),
        pixels=settings.media.upload_pixels,
        threads=settings.cloak.threads,
        memory_mb=order.memory_mb,
    )


def _encoders(order: CopyOrder, settings: Config) -> list[HeldEncoder]:
    """Those asked for; of an artist of a server those that it uses, unless others are named. In one order, whoever asks."""
    if order.encoders == "none":
        return []
    shelf = chosen_shelf(order.data)
    here = {encoder.name: encoder for encoder in shelf.held()}
    if order.encoders is None and order.artist is not None:
        return [here[name] for name, _ in shelf.to_steer_by(settings.cloak.encoders)]
    names = list(here)
    if order.encoders not in (None, "all"):
        names = [name.strip() for name in order.encoders.split(",") if name.strip()]
        for name in names:
            shelf.path(name)  # says in words what is wrong with one that cannot be used
    return [here[name] for name in sorted(set(names))]


async def _secret(order: CopyOrder, settings: Config, home: Path) -> bytes:
    """The artist's, so that a copy has the cloak of the server's public copy; else this user's own, made at the first use."""
    if order.data is not None and order.artist is not None:
        # Only here a database is needed, and all that a server is.
        from fediart.instance import open_instance
        from fediart.storage import accounts

        async with open_instance(settings, order.data) as instance:
            name = order.artist.lower().removeprefix("@")
            account = await instance.storage.read(accounts.account_named, name)
        if account is None:
            raise NotFound(f"There is no account {order.artist} in {order.data}.")
        return account.cloak_secret
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with only_one(home / "secret.lock", "Another fediart makes this user's key at this moment. Please try again."):
        return hmac.new(key_at(home / "secret.key"), b"cloaked copies", hashlib.sha256).digest()


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ConfigError(f"The folder {out} cannot be made: {problem.strerror}.") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise ConfigError(f"The folder {out} cannot be written: permission denied.")


def _already_there(order: CopyOrder, planned: Sequence[Planned], manner: Manner, record: CopyRecord) -> dict[Path, Told]:
    """By place, what was told of the copies that lie there as they would be made now. Raises Conflict for other files."""
    there: dict[Path, Told] = {}
    others = []
    for item in planned:
        path = order.out / item.place
        if item.target is None or not os.path.lexists(path):
            continue
        made = record.found(item.place)
        if made is not None and _is_still(made, path, item.source, manner.fingerprint(item.target)):
            there[item.place] = made.told
        elif path.is_dir() or not order.overwrite:
            others.append(str(path))
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise Conflict(
            f"Other files of these names are there already: {', '.join(others[:3])}{more}. Nothing was written. "
            "--overwrite puts the copies in their place; or choose another --out."
        )
    return there


def _is_still(made: Made, path: Path, source: Path, settings: str) -> bool:
    if made.settings != settings or not path.is_file():
        return False
    return made.input_sha256 == sha256_of(source) and made.output_sha256 == sha256_of(path)


@dataclass(frozen=True, slots=True)
class _Worker:
    order: CopyOrder
    manner: Manner
    record: CopyRecord
    tell: Callable[[Told], None]
    show: Show

    async def work(self, planned: Sequence[Planned], there: dict[Path, Told]) -> int:
        failed = 0
        for number, item in enumerate(planned):
            self.show(item.source.name, number)
            if item.place in there:
                self.tell({**there[item.place], **self._names(item), "state": "skipped"})
                continue
            try:
                if item.target is None:
                    raise FediartError(item.problem)
                self.tell(await self._make(item, item.target, number))
            except (FediartError, OSError) as problem:
                failed += 1
                self.tell(self._failure(item, problem))
                if isinstance(problem, Unavailable):
                    left = len(planned) - number - 1
                    sys.stderr.write(f"Stopped, {left} pictures before the end. The same command goes on where this one was.\n")
                    break
        return 1 if failed else 0

    def _names(self, item: Planned) -> Told:
        return {"input": str(item.source), "output": str(self.order.out / item.place)}

    def _asked(self) -> Told:
        return {
            "for": self.order.platform,
            "strength": self.manner.strength,
            "encoders": [name for name, _, _ in self.manner.encoders],
        }

    def _failure(self, item: Planned, problem: FediartError | OSError) -> Told:
        if isinstance(problem, Unavailable):
            words = f"The disk is full, or cannot be written now. {problem.detail or ''}".rstrip()
        else:
            words = problem.message if isinstance(problem, FediartError) else str(problem)
        return {"input": str(item.source), "output": None, "state": "failed", **self._asked(), "problem": words}

    async def _make(self, item: Planned, target: Target, number: int) -> Told:
        started = time.monotonic()
        digest = sha256_of(item.source)
        with tempfile.TemporaryDirectory(dir=self.record.work) as folder:
            request = RenderRequest(
                original_path=item.source,
                purpose="work",
                cloak=True,
                secret=self.manner.secret,
                strength=self.manner.strength,
                backend=self.manner.backend,
                out_dir=Path(folder),
                pixels=self.manner.pixels,
                threads=self.manner.threads,
                memory_mb=self.manner.memory_mb,
                target=target,
                encoders=tuple((name, path) for name, path, _ in self.manner.encoders),
            )
            result = await render(request, lambda share: self.show(item.source.name, number + share))
            (made,) = result.renditions
            told = {**self._names(item), "state": "made", **self._asked(), **_figures(result)}
            told["seconds"] = round(time.monotonic() - started, 2)
            settings = self.manner.fingerprint(target)
            self.record.add(Made(item.place.as_posix(), digest, settings, made.sha256, told))
            write_whole(self.order.out / item.place, made.path, mode=0o644)
        return told


def _figures(result: RenderResult) -> Told:
    (made,) = result.renditions
    report = result.report
    assert report is not None  # render sees to it
    return {
        "media_type": made.media_type,
        "bytes": made.bytes,
        "width": made.width,
        "height": made.height,
        "backend": report.backend,
        "version": report.version,
        "strength_used": report.strength,
        "encoders_used": report.encoders,
        "flip": report.flip,
        "psnr": report.psnr,
        "ssim": report.ssim,
        "weak": report.weak,
        "problem": WEAK if report.weak else "",
    }


# ------------------------------------------------------------------------------------------------------- telling


def tell_json(told: Told) -> None:
    """A line of JSON, in ASCII: names of files may be no text in any coding."""
    print(json.dumps(told), flush=True)


def tell_words(told: Told) -> None:
    """A line for people."""
    name = click.format_filename(told["input"])
    if told["state"] == "failed":
        print(f"{name}: {told['problem']}", flush=True)
        return
    place = click.format_filename(told["output"])
    size = f"{told['width']} × {told['height']}, {told['bytes'] / 1000:,.0f} kB"
    seen = f"ꟻLIP {told['flip']:.3f}, PSNR {told['psnr']:.1f} dB"
    done = "there already" if told["state"] == "skipped" else f"{told['seconds']:.1f} s"
    print(f"{name} → {place}: {size}; {told['strength_used']}, {seen}; {done}", flush=True)
    if told["problem"]:
        print(f"  {told['problem']}", flush=True)


@contextlib.contextmanager
def progress_bar(total: int) -> Iterator[Show]:
    """A bar on stderr, where that is a terminal; else nothing."""
    if not sys.stderr.isatty():
        yield lambda name, done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    # Lines for people are put above the bar. What goes into a file or a pipe stays out of it.
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty(), transient=True) as progress:
        task = progress.add_task("", total=total)

        def show(name: str, done: float) -> None:
            progress.update(task, completed=done, description=f"{int(done) + 1} of {total}  {name[-40:]}")

        yield show
