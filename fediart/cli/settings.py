"""From options to settings: the data folder, the file, what overrides it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import fediart
from fediart.archive.folders import check_restored
from fediart.cli.settings_file import put_settings
from fediart.config import Config, load_config, read_file
from fediart.errors import ConfigError

EXAMPLE = Path(fediart.__file__).with_name("config.example.toml")
"""Part of the package, so that it is there however fediart was installed."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was said on the command line."""

    data: Path
    config: Path | None = None
    host: str | None = None
    port: int | None = None


def read_settings(chosen: Chosen) -> Config:
    """Make the data folder and its settings file on first use, then read them. Raises ConfigError."""
    if chosen.config is not None and not chosen.config.exists():
        raise ConfigError(f"There is no settings file {chosen.config}.")
    check_restored(chosen.data)
    try:
        chosen.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = chosen.config or chosen.data / "config.toml"
        if not path.exists():
            path.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as problem:
        raise ConfigError(f"The data folder {chosen.data} cannot be written: {problem.strerror}.") from None
    overrides: dict[str, object] = {}
    if chosen.host is not None:
        overrides["server.host"] = chosen.host
    if chosen.port is not None:
        overrides["server.port"] = chosen.port
    return load_config(path, os.environ, overrides)


def keep_port(chosen: Chosen, config: Config) -> None:
    """A folder without a name is bound to the port that it was first opened with: its settings file says so from then on.

    Call it once an instance is open. A settings file that was named (`--config`) is its owner's, and stays as it is.
    """
    path = chosen.data / "config.toml"
    if chosen.port is None or chosen.config is not None or config.instance.url or "server.port" in read_file(path):
        return
    # What is written in a way that cannot be changed here stays: then the port must be said each time.
    with contextlib.suppress(ConfigError, OSError):
        put_settings(path, {"server.port": chosen.port})
