"""What one running server owns: settings, database, file stores, HTTP client, secrets. Opened and closed here.

Everything that acts gets an `Instance` as its first argument; there is no other global state.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import re
import shutil
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection

from fediart import __version__
from fediart.activitypub.identifiers import Identifiers, multikey_uri
from fediart.activitypub.signatures.keys import generate_ed25519_pair, generate_rsa_pair
from fediart.activitypub.signatures.sign import Form, sign_as
from fediart.archive.folders import check_restored, discard_left
from fediart.clock import Clock, system_clock
from fediart.config import Config
from fediart.domain.actors import Actor, Multikey
from fediart.domain.first_policy import first_policy
from fediart.domain.moderation import HostRules
from fediart.domain.policy import AiPolicy
from fediart.domain.traffic import Traffic
from fediart.errors import ConfigError, TooMany
from fediart.ids import new_id
from fediart.media.c2pa import MISSING, Notary, is_installed
from fediart.media.cloak.catalogue import check_names
from fediart.media.cloak.shelf import Shelf
from fediart.media.disk import Reserve, key_at
from fediart.media.files import Files
from fediart.media.parts import Parts
from fediart.media.vault import Vault
from fediart.metrics import Metrics
from fediart.remote.bring_home import Seeker
from fediart.remote.client import RemoteClient, open_client
from fediart.remote.guard import Guard
from fediart.remote.hosts import Hosts, OnePerHost, Sightings
from fediart.remote.newcomers import Newcomers
from fediart.remote.signers import Signers
from fediart.storage import actors, copies, host_rules, images, leases, policies, redos, settings
from fediart.storage import hosts as host_rows
from fediart.storage.agents import FILE as AGENTS_FILE
from fediart.storage.agents import AgentList
from fediart.storage.engine import Storage, database_url, open_storage
from fediart.storage.migrate import migrate
from fediart.storage.reserved import SaidOfFile
from fediart.storage.tables import deliveries, jobs

log = structlog.get_logger("fediart.instance")

DELIVERY = "delivery"
"""Name of the crew that sends what the outbox holds; the others are named after their kind of job."""

ENCODERS = "encoders"
"""Name of the alarm of whoever fetches encoders."""


class Turns:
    """So many at a time, and a short line of those who wait; whoever comes when it is full is sent away."""

    def __init__(self, at_a_time: int, *, in_line: int) -> None:
        self._free = asyncio.Semaphore(at_a_time)
        self._in_line = in_line
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Raises TooMany when the line is full."""
        if self._free.locked() and self._waiting >= self._in_line:
            raise TooMany("Too many people are at this at once. Please try again in a few seconds.", retry_after=10)
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()


@dataclass(slots=True)
class Instance:
    """One running server."""

    config: Config
    data: Path
    clock: Clock
    storage: Storage
    vault: Vault
    files: Files
    shelf: Shelf
    notary: Notary
    client: RemoteClient
    hosts: Hosts
    """How other servers fare."""
    identifiers: Identifiers
    session_key: bytes
    instance_actor: Actor
    instance_key_pem: str
    policy: AiPolicy
    """The revision that holds. Whoever adopts another one puts it here."""
    agents: AgentList
    """Programs that fetch for AI: our table, or the admin's newer one."""
    traffic: Traffic
    """Which of them came in the last day."""
    sightings: Sightings
    """Other servers that were heard or reached since that was last written down."""
    reserve: Reserve
    """The last of the disk, which no picture gets."""
    parts: Parts
    """Uploads that are not whole yet."""
    settings_file: Path | None = None
    """Where it is not config.toml in the data folder."""
    alarms: dict[str, asyncio.Event] = field(default_factory=dict)
    """One for each crew of the runner of jobs."""
    hashing: Turns = field(default_factory=lambda: Turns(2, in_line=20))
    """Each hash of a password takes 19 MiB and some 30 ms of a processor."""
    signers: Signers = field(default_factory=Signers)
    newcomers: Newcomers = field(default_factory=Newcomers)
    looking: OnePerHost = field(default_factory=OnePerHost)
    """Older works and talk are asked of a host by one at a time, with a pause after each request."""
    pause_s: float = 0.5
    renders: dict[int, asyncio.Task[Any]] = field(default_factory=dict)
    """The pictures that are being prepared now, by id."""
    uploading: dict[str, object] = field(default_factory=dict)
    """Upload → who writes it now."""
    comparing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One comparison is made at a time: each takes a processor for a second or two."""
    said_of_files: OrderedDict[str, tuple[float, tuple[SaidOfFile, ...]]] = field(default_factory=OrderedDict)
    """Name of a public file → when it was asked (monotonic clock), and what is reserved of it. Who chooses anew clears it."""
    metrics: Metrics = field(default_factory=Metrics)
    accepted_at: float = -1.0
    """When an inbox took its last activity, on the monotonic clock."""

    def alarm(self, crew: str) -> asyncio.Event:
        """What the crew of this name sleeps on: a kind of job, or DELIVERY."""
        return self.alarms.setdefault(crew, asyncio.Event())

    def wake(self, *crews: str) -> None:
        """Tell these crews that rows for them were committed."""
        for crew in crews:
            self.alarm(crew).set()

    def sign_as_instance(self, form: Form, method: str, url: str, body: bytes | None) -> dict[str, str]:
        """Headers that sign a request by the instance actor: every GET of ours carries them."""
        return sign_as(form, method, url, body, self.instance_actor.public_key_id, self.instance_key_pem, self.clock())

    @property
    def unfinished(self) -> Path:
        """Folder for files in the making. What is found there at a start is nobody's, but for scratch folders."""
        return self.data / "unfinished"

    def scratch(self, image_id: int) -> Path:
        """Folder in which a picture is prepared. It outlives a kill and a pause, so that work can go on from there."""
        return self.unfinished / f"cloak-{image_id}"

    def scratch_again(self, image_id: int) -> Path:
        """The same for a picture that is cloaked again while its older cloak is shown."""
        return self.unfinished / f"recloak-{image_id}"

    def scratch_copy(self, copy_id: int) -> Path:
        """The same for a copy for elsewhere."""
        return self.unfinished / f"copy-{copy_id}"

    def encoders_here(self) -> tuple[tuple[str, Path], ...]:
        """(name, file) of the encoders that cloaks are steered by. Looks at the disk."""
        return () if self.config.cloak.backend == "texture" else self.shelf.to_steer_by(self.config.cloak.encoders)

    async def stop_render(self, image_id: int) -> None:
        """End the process that prepares a picture, if there is one, and wait until it is gone."""
        task = self.renders.get(image_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    @property
    def seeker(self) -> Seeker:
        """What it takes to bring actors and works of other servers home."""
        return Seeker(
            self.storage,
            self.client,
            self.identifiers,
            self.sign_as_instance,
            self.clock,
            self.wake,
            self.signers,
            self.newcomers,
        )

    @property
    def host_rules(self) -> HostRules:
        """The rules for other servers that hold. Whoever changes them puts them here."""
        return self.client.host_rules

    @host_rules.setter
    def host_rules(self, rules: HostRules) -> None:
        self.client.host_rules = rules

    def derived_key(self, purpose: str) -> bytes:
        """A key for one purpose, from the session key."""
        return hmac.new(self.session_key, purpose.encode(), hashlib.sha256).digest()


def read_secret(data: Path) -> bytes:
    """The instance's own secret, made on first start, readable by its user only."""
    return key_at(data / "secret.key")


def token_hash(token: str) -> str:
    """How a session's or client's token is kept: nobody who reads the database can use it."""
    return hashlib.sha256(token.encode()).hexdigest()


async def _instance_actor(storage: Storage, identifiers: Identifiers, now: int) -> tuple[Actor, str]:
    """The actor that signs this server's own requests, made on first start."""
    uri = identifiers.instance_actor_uri
    actor = await storage.read(actors.actor_by_uri, uri)
    if actor is None:
        private_pem, public_pem = await asyncio.to_thread(generate_rsa_pair)
        await storage.write(
            actors.insert_actor,
            {
                "id": new_id(now),
                "uri": uri,
                "host": "",
                "username": identifiers.instance_username,
                "kind": "Application",
                "url": identifiers.about_url,
                "inbox": identifiers.instance_inbox,
                "shared_inbox": identifiers.shared_inbox,
                "outbox": identifiers.instance_outbox,
                "public_key_id": uri + "#main-key",
                "public_key_pem": public_pem,
                "private_key_pem": private_pem,
                "locked": True,
                "created_at": now,
                "fetched_at": now,
            },
        )
        actor = await storage.read(actors.actor_by_uri, uri)
    if await storage.read(actors.without_proof_key):
        await storage.write(_make_proof_keys)
        actor = await storage.read(actors.actor_by_uri, uri)
    assert actor is not None  # inserted just above
    key = await storage.read(actors.signing_key, actor.id)
    assert key is not None  # an instance actor always has one
    return actor, key[1]


def _make_proof_keys(db: Connection) -> None:
    """For the actor that was just made, and for those of a version that had no such keys. Making one takes 0.1 ms."""
    for id_, uri in actors.without_proof_key(db):
        private_pem, multikey = generate_ed25519_pair()
        actors.put_proof_key(db, id_, Multikey(multikey_uri(uri), multikey), private_pem)


async def _policy(storage: Storage, config: Config, now: int) -> AiPolicy:
    """The one that holds; at the first start, of the settings."""
    first = first_policy(config.ai_policy)
    held = await storage.read(policies.current_policy)
    return held if held is not None else await storage.write(policies.add_policy, first, now, None)


def _check_address(known: str | None, identifiers: Identifiers) -> None:
    """The address is part of every id we ever gave out: it cannot change once there is an account."""
    if known is not None and known != identifiers.base_url:
        raise ConfigError(
            f"This data folder belongs to {known}, but the settings now say {identifiers.base_url}. Followers know its "
            "works by the old address. Set instance.url (or --port) back, or use another --data folder. "
            "A trial that no other server knows gets its name by: fediart setup --domain NAME"
        )


@contextlib.asynccontextmanager
async def open_instance(
    config: Config, data: Path, *, clock: Clock = system_clock, settings_file: Path | None = None
) -> AsyncIterator[Instance]:
    """Migrate and open everything; close it on the way out."""
    check_names("cloak.encoders", config.cloak.encoders)
    check_restored(data)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    (data / "unfinished").mkdir(exist_ok=True, mode=0o700)
    url = database_url(config.storage.database, data)
    await migrate(url, data / "backups")
    storage = open_storage(url)
    identifiers = Identifiers(config.base_url, config.account_domain)
    client: RemoteClient | None = None
    try:
        _check_address(await storage.read(settings.setting, "address"), identifiers)
        guard = Guard(config.federation.networks)
        hosts = Hosts(await storage.read(host_rows.all_hosts), lambda host: storage.write(host_rows.put_host, host))
        client = open_client(
            guard,
            allow_http=config.federation.allow_http,
            user_agent=f"fediart/{__version__} (+{config.base_url})",
            hosts=hosts,
        )
        metrics = Metrics()
        client.count = metrics.remote.count
        client.host_rules = await storage.read(host_rules.all_rules)
        instance_actor, pem = await _instance_actor(storage, identifiers, clock())
        policy = await _policy(storage, config, clock())
        if policy.reserve.c2pa and not is_installed():
            log.warning("credentials.missing", reason=MISSING)
        yield Instance(
            config=config,
            data=data,
            clock=clock,
            storage=storage,
            vault=Vault(data / "originals"),
            files=Files(data / "media"),
            shelf=Shelf(data / "encoders"),
            notary=Notary(data / "credentials", identifiers.host),
            client=client,
            hosts=hosts,
            identifiers=identifiers,
            session_key=read_secret(data),
            instance_actor=instance_actor,
            instance_key_pem=pem,
            policy=policy,
            agents=AgentList(data / AGENTS_FILE),
            traffic=Traffic(clock),
            settings_file=settings_file,
            metrics=metrics,
            sightings=Sightings(clock),
            parts=Parts(data / "parts"),
            reserve=Reserve(data, config.storage.reserve_mb),
        )
    finally:
        if client is not None:
            await client.aclose()
        await storage.close()


async def release_leases(instance: Instance) -> None:
    """At the start of the one process that works off jobs here: what was in hand when it ended is free again.

    Its files in the making go, each is made anew; but a picture is gone on with from what its scratch folder holds.
    """
    await asyncio.to_thread(_sweep, instance.unfinished, await _wanted(instance))
    for store in (instance.vault, instance.files):
        await asyncio.to_thread(discard_left, store.root)
    await instance.storage.write(leases.release_all, jobs)
    await instance.storage.write(leases.release_all, deliveries)


_SCRATCH = re.compile(r"(cloak|recloak|copy)-\d+")


async def _wanted(instance: Instance) -> set[str]:
    """Names of the scratch folders that somebody may go on from."""
    pictures = await instance.storage.read(images.unfinished_ids) | set(instance.renders)
    again = await instance.storage.read(redos.waiting_ids)
    asked = await instance.storage.read(copies.unfinished_ids)
    folders = [
        *map(instance.scratch, pictures),
        *map(instance.scratch_again, again),
        *map(instance.scratch_copy, asked),
    ]
    return {path.name for path in folders}


def _sweep(folder: Path, wanted: set[str]) -> None:
    """Remove all but these."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.name not in wanted:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


COMPARISON_MS = 3600 * 1000
"""So long what was made to look at a cloak is kept, should it be looked at again."""


async def sweep_unfinished(instance: Instance) -> None:
    """Remove the scratch folders of what is gone or ready, and old comparisons."""
    before = time.time() - COMPARISON_MS / 1000

    def is_over(path: Path) -> bool:
        return path.name.startswith("compared-") and path.stat().st_mtime < before

    # Looked for before it is asked what is wanted: a folder that is made meanwhile is not among them.
    held = await asyncio.to_thread(lambda: [path for path in instance.unfinished.iterdir() if _SCRATCH.fullmatch(path.name)])
    wanted = await _wanted(instance)
    gone = [path for path in held if path.name not in wanted]
    gone += await asyncio.to_thread(lambda: [path for path in instance.unfinished.iterdir() if is_over(path)])
    for path in gone:
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
