"""`fediart doctor`, first half: this machine. Folders, disk, memory, database, a sample cloak, whether the server answers.

Nothing is changed, and nothing need be running: whoever has something open goes on with it.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from fediart.config import Config
from fediart.domain.checkups import Finding, bad, good, note, unseen
from fediart.errors import FediartError
from fediart.media.cloak.shelf import Shelf
from fediart.media.disk import owner_of
from fediart.media.pipeline import RenderRequest, draw, render
from fediart.remote.client import RemoteClient
from fediart.storage.engine import database_url, file_of
from fediart.storage.health import Health, health_of
from fediart.storage.migrate import HEAD

MB = 1_000_000
SAMPLE = (1200, 840)
"""A megapixel: others take as many times as long as they have."""

SLOW_S = 600.0


@dataclass(frozen=True, slots=True)
class Machine:
    """`disk_mb`: less free disk than this is a fault."""

    config: Config
    data: Path
    disk_mb: int = 500


def check_folders(machine: Machine) -> Finding:
    name, data = "folders", machine.data
    if not data.is_dir():
        return bad(
            name, f"There is no data folder {data}.", "Say where it is: --data DIR. The first start makes one: fediart serve"
        )
    for folder in (data, *(data / part for part in ("media", "originals", "unfinished"))):
        if folder != data and not folder.exists():
            continue
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as problem:
            mend = f"fediart must run as the user to whom the folder belongs: chown -R {owner_of(data)} {data}"
            return bad(name, f"{folder} cannot be written: {problem.strerror}.", mend)
    if data.stat().st_mode & stat.S_IRWXO:
        return bad(name, f"Every user of this machine may look into {data}.", f"chmod 700 {data}")
    secret = data / "secret.key"
    if secret.exists() and secret.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return bad(name, f"Others may read {secret}, with which sessions can be forged.", f"chmod 600 {secret}")
    strange = strangers(data.stat().st_uid, [(path.name, path.stat().st_uid) for path in sorted(data.iterdir())])
    if strange:
        mend = f"Run fediart as that user only, and never with sudo: chown -R {owner_of(data)} {data}"
        return bad(name, f"In {data} these belong to another user than the folder: {', '.join(strange[:5])}.", mend)
    return good(name, f"{data} can be written, and is for its user alone.")


def strangers(owner: int, entries: list[tuple[str, int]]) -> list[str]:
    """Names of the entries (name, user id) that belong to somebody else."""
    return [name for name, user in entries if user != owner]


def check_disk(machine: Machine) -> Finding:
    name = "disk"
    if not machine.data.is_dir():
        return unseen(name, "There is no data folder.")
    free = shutil.disk_usage(machine.data).free
    seen = f"{free / MB:,.0f} MB are free."
    if free < machine.disk_mb * MB:
        return bad(name, seen, "Make room, or move the data folder to a larger disk: at 0 nothing can be uploaded or received.")
    cache = machine.config.media.remote_cache_bytes
    if free < cache + machine.disk_mb * MB:
        mend = (
            "Less is kept with media.remote_cache_bytes in the settings; what is not kept is fetched again when it is looked at."
        )
        return note(name, f"{seen} Copies of other servers' pictures may take {cache / MB:,.0f} MB.", mend)
    return good(name, seen)


def _meminfo() -> dict[str, int]:
    """Bytes by name; empty where the system does not say."""
    found = {}
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            key, _, rest = line.partition(":")
            found[key] = int(rest.split()[0]) * 1024
    return found


def check_memory(machine: Machine) -> Finding:
    name, cloak_mb = "memory", machine.config.cloak.memory_mb
    held = _meminfo()
    if not held:
        return unseen(name, "This system does not tell how much memory there is.")
    total, there = held["MemTotal"] + held.get("SwapTotal", 0), held["MemAvailable"] + held.get("SwapFree", 0)
    seen = f"{there / MB:,.0f} of {total / MB:,.0f} MB are free; a cloak may take {cloak_mb}."
    if cloak_mb * 1024 * 1024 > total:
        fits = max(256, int(total / MB * 0.6))
        mend = f"Write memory_mb = {fits} under [cloak] in the settings (very large pictures are refused then), or add swap."
        return bad(name, seen, mend)
    if there < 300 * MB:
        return note(name, seen, "Add swap, or end other programs: too little memory makes cloaks slow, or fail.")
    return good(name, seen)


async def check_database(machine: Machine) -> tuple[Finding, Health | None]:
    name = "database"
    try:
        url = database_url(machine.config.storage.database, machine.data)
        health = await health_of(url)
    except FediartError as problem:
        return bad(name, problem.message, "Look at storage.database in the settings."), None
    if health is None:
        return unseen(name, "There is none yet: the first start makes it."), None
    if health.trouble:
        if file_of(url) is not None:
            mend = "Stop the server, keep a copy of the file, and put your last backup in its place."
        else:
            mend = "Is the database server running, and is storage.database in the settings right?"
        return bad(name, f"It is not well: {health.trouble}", mend), health
    if health.version > HEAD:
        mend = "Start the newer fediart again: an older one would not know what is in it."
        return bad(name, f"Its tables are at {health.version}; this fediart knows them to {HEAD}.", mend), health
    if health.version < HEAD:
        return note(name, f"Its tables are at {health.version}.", f"The next start brings them to {HEAD}."), health
    size = f", {health.bytes / MB:,.1f} MB" if health.bytes else ""
    return good(name, f"It is whole, and at version {HEAD}{size}."), health


async def check_cloak(machine: Machine) -> Finding:
    """Cloaks a picture that the server draws itself, as it cloaks those of artists, and says how long it took."""
    name, cloak = "cloak", machine.config.cloak
    encoders = () if cloak.backend == "texture" else Shelf(machine.data / "encoders").to_steer_by(cloak.encoders)
    how = f"steered by {len(encoders)} encoders" if encoders else "as a texture, without encoders"
    with tempfile.TemporaryDirectory(prefix="fediart-doctor-") as folder:
        original = Path(folder) / "sample"
        await draw(original, *SAMPLE)
        request = RenderRequest(
            original_path=original,
            purpose="work",
            cloak=True,
            secret=secrets.token_bytes(32),
            strength=cloak.strength,
            backend=cloak.backend,
            out_dir=Path(folder),
            threads=cloak.threads,
            memory_mb=cloak.memory_mb,
            encoders=encoders,
        )
        began = time.monotonic()
        try:
            await render(request, lambda _share: None)
        except FediartError as problem:
            mend = "More cloak.memory_mb often helps. Encoders are checked by: fediart cloak encoders list"
            return bad(name, f"A sample could not be cloaked: {problem.message}", mend)
    seconds = time.monotonic() - began
    seen = f"A sample of one megapixel took {seconds:.0f} seconds, {how}."
    if seconds > SLOW_S:
        return note(name, seen, 'A lighter cloak (cloak.strength = "light") or more cloak.threads make it quicker.')
    return good(name, seen)


async def check_server(machine: Machine, client: RemoteClient) -> Finding:
    """Does it answer on its own port? Asked under its own name, as the front must."""
    name, config = "server", machine.config
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.server.host, config.server.host)  # noqa: S104 - it is dialled
    place = f"http://{f'[{host}]' if ':' in host else host}:{config.server.port}"
    start = "Start it: systemctl start fediart (or fediart serve). Its log says why it ended: journalctl -u fediart"
    try:
        answer = await client.request("GET", f"{place}/healthz", headers={"host": config.host})
    except FediartError:
        return bad(name, f"Nobody answers at {place}.", start)
    if answer.status == HTTPStatus.MISDIRECTED_REQUEST:
        return bad(
            name, f"What answers at {place} goes by another name than {config.host}.", "Start it anew: its settings have changed."
        )
    if answer.status != HTTPStatus.OK or b'"status"' not in answer.body:
        return bad(name, f"What answers at {place} says {answer.status}, and may be another program.", start)
    return good(name, f"It answers at {place}.")


def read_probe_secret(data: Path) -> bytes | None:
    """The server's secret, if it is there and this user may read it."""
    try:
        return (data / "secret.key").read_bytes()
    except OSError:
        return None
