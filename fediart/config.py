"""Settings: one TOML file, environment variables over it, command-line options over both.

Unknown keys are refused with the name of the nearest known one; a wrong value is refused with what would be right.
Every key stands in `config.example.toml` with its default, unit and consequence; a test keeps the two equal.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

import msgspec

from fediart.errors import ConfigError

PREFIX = "FEDIART_"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class InstanceSettings(msgspec.Struct, frozen=True, kw_only=True):
    url: str = ""
    account_domain: str = ""
    name: str = "fediart"
    description: str = ""


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: int = 8000
    trusted_proxies: list[str] = msgspec.field(default_factory=list)


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True):
    database: str = ""
    reserve_mb: int = 512


class MediaSettings(msgspec.Struct, frozen=True, kw_only=True):
    upload_bytes: int = 41_943_040
    upload_pixels: int = 50_000_000
    remote_bytes: int = 16_777_216
    remote_pixels: int = 40_000_000
    remote_cache_bytes: int = 2_147_483_648


class CloakSettings(msgspec.Struct, frozen=True, kw_only=True):
    backend: str = "auto"
    strength: str = "standard"
    fetch_encoders: bool = True
    encoders: list[str] = msgspec.field(default_factory=lambda: ["taesdxl", "taef1", "taew2_1", "taef2", "taesana"])
    threads: int = 1
    memory_mb: int = 2_048


class FederationSettings(msgspec.Struct, frozen=True, kw_only=True):
    allow_networks: list[str] = msgspec.field(default_factory=list)
    allow_http: bool = False
    authorized_fetch: bool = False

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(text) for text in self.allow_networks)


AI_HASHTAGS = (
    "aiart",
    "aigenerated",
    "aiartcommunity",
    "aiartwork",
    "midjourney",
    "stablediffusion",
    "novelai",
    "dalle3",
    "aiイラスト",
    "ai生成",
)
"""What people put on AI-made pictures. Not generativeart (that is code), nor names that also mean other things."""


class ReserveSettings(msgspec.Struct, frozen=True, kw_only=True):
    training: str = ""
    ai_input: str = ""
    search: str = ""
    artist_may_change: bool = True
    robots_list: str = "training+search"
    embed_xmp: bool = True
    c2pa: bool = False
    rsl: bool = True
    tdmrep: bool = True


class EnforceSettings(msgspec.Struct, frozen=True, kw_only=True):
    block_user_agents: bool = True
    rate_limit_anonymous: str = "120/min"
    proof_of_work: str = "off"
    extra_allowed_agents: list[str] = msgspec.field(default_factory=list)
    extra_blocked_agents: list[str] = msgspec.field(default_factory=list)


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True):
    declared: str = ""
    generator: str = ""
    assisted: str = ""
    hint: str = ""
    require_origin_statement: bool = False


class RemoteSettings(msgspec.Struct, frozen=True, kw_only=True):
    declared: str = ""
    self_label: str = ""
    hashtag: str = ""
    followed_override: bool = True
    domains: dict[str, str] = msgspec.field(default_factory=dict)
    actors: dict[str, str] = msgspec.field(default_factory=dict)
    hashtags: list[str] = msgspec.field(default_factory=lambda: list(AI_HASHTAGS))


class ReviewSettings(msgspec.Struct, frozen=True, kw_only=True):
    appeal_days: int = 30
    second_opinion: bool = True


class AiPolicySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the first revision of the policy is made of (`domain/policy`); '' is as the preset says."""

    preset: str = "human-art"
    statement_url: str = "/ai-policy"
    reserve: ReserveSettings = msgspec.field(default_factory=ReserveSettings)
    enforce: EnforceSettings = msgspec.field(default_factory=EnforceSettings)
    local: LocalSettings = msgspec.field(default_factory=LocalSettings)
    remote: RemoteSettings = msgspec.field(default_factory=RemoteSettings)
    review: ReviewSettings = msgspec.field(default_factory=ReviewSettings)


class BackupSettings(msgspec.Struct, frozen=True, kw_only=True):
    folder: str = ""
    every_hours: int = 24
    keep_daily: int = 7
    keep_weekly: int = 4
    passphrase_file: str = ""


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True):
    sign_ups: str = "closed"
    quota_mb: int = 0


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    host: str = ""
    port: int = 587
    security: str = "starttls"
    username: str = ""
    password: str = ""
    sender: str = ""

    @property
    def is_on(self) -> bool:
        return bool(self.host)


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    enabled: bool = True


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    level: str = "info"
    format: str = "console"
    slow_request_ms: int = 1_000


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True):
    token: str = ""
    local: bool = False


class Config(msgspec.Struct, frozen=True, kw_only=True):
    instance: InstanceSettings = msgspec.field(default_factory=InstanceSettings)
    server: ServerSettings = msgspec.field(default_factory=ServerSettings)
    storage: StorageSettings = msgspec.field(default_factory=StorageSettings)
    media: MediaSettings = msgspec.field(default_factory=MediaSettings)
    cloak: CloakSettings = msgspec.field(default_factory=CloakSettings)
    federation: FederationSettings = msgspec.field(default_factory=FederationSettings)
    ai_policy: AiPolicySettings = msgspec.field(default_factory=AiPolicySettings)
    backup: BackupSettings = msgspec.field(default_factory=BackupSettings)
    accounts: AccountSettings = msgspec.field(default_factory=AccountSettings)
    mail: MailSettings = msgspec.field(default_factory=MailSettings)
    limits: LimitSettings = msgspec.field(default_factory=LimitSettings)
    log: LogSettings = msgspec.field(default_factory=LogSettings)
    metrics: MetricsSettings = msgspec.field(default_factory=MetricsSettings)

    @property
    def base_url(self) -> str:
        """`https://art.example`: small letters, no slash at the end, no port that is the scheme's own."""
        parts = urlsplit(self.instance.url.lower())
        if not parts.netloc:
            return f"http://localhost:{self.server.port}"
        own_port = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
        return f"{parts.scheme}://{parts.netloc.removesuffix(own_port)}"

    @property
    def host(self) -> str:
        """Host of the addresses, with its port where that is not the scheme's own."""
        return urlsplit(self.base_url).netloc.lower()

    @property
    def account_domain(self) -> str:
        """What stands behind the @ of handles."""
        return self.instance.account_domain.lower() or self.host


def known_keys() -> dict[str, Any]:
    """`section.key` or `section.part.key` → default, for every key."""
    return dict(_keys(Config(), ""))


def _keys(settings: msgspec.Struct, above: str) -> Iterator[tuple[str, Any]]:
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, msgspec.Struct):
            yield from _keys(value, f"{above}{name}.")
        else:
            yield above + name, value


def load_config(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Config:
    """Read `path` (None or a missing file: defaults), then `FEDIART_SECTION__KEY` variables, then `overrides`."""
    values = read_file(path) if path is not None and path.exists() else {}
    values |= _from_env(env)
    values |= dict(overrides or {})
    return _checked(values)


def read_file(path: Path) -> dict[str, Any]:
    """`section.key` → value, for the keys that stand in a settings file. Raises ConfigError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} is not valid TOML: {problem}") from None
    return _flat(document, str(path))


def _flat(document: dict[str, Any], where: str) -> dict[str, Any]:
    known = known_keys()
    flat: dict[str, Any] = {}
    _flatten(document, "", where, known, {key.rpartition(".")[0] for key in known}, flat)
    return flat


def _flatten(
    table: dict[str, Any], above: str, where: str, known: dict[str, Any], sections: set[str], flat: dict[str, Any]
) -> None:
    for key, value in table.items():
        name = f"{above}{key}"
        if name in known:
            flat[name] = value
        elif name in sections:
            if not isinstance(value, dict):
                raise ConfigError(f"{where}: {name} must be a section: [{name}]")
            _flatten(value, f"{name}.", where, known, sections, flat)
        elif above and not isinstance(value, dict):
            raise ConfigError(f"{where}: there is no key {name}.{_nearest(name, set(known))}")
        else:
            raise ConfigError(f"{where}: there is no section [{name}].{_nearest(name, sections)}")


def _nearest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.4)
    return f" Did you mean {close[0]}?" if close else f" Known: {', '.join(sorted(known))}."


def _from_env(env: Mapping[str, str]) -> dict[str, Any]:
    known = known_keys()
    found: dict[str, Any] = {}
    for variable, text in env.items():
        if not variable.startswith(PREFIX) or "__" not in variable:
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".")
        if name not in known:
            raise ConfigError(f"{variable}: there is no key {name}.{_nearest(name, set(known))}")
        found[name] = text if isinstance(known[name], str) else _parsed(variable, text)
    return found


def _parsed(variable: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise ConfigError(f"{variable} must be written as in the settings file, for example true, 8000 or ['a', 'b'].") from None


def _checked(values: Mapping[str, Any]) -> Config:
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *sections, key = name.split(".")
        settings: msgspec.Struct = Config()
        place = nested
        for section in sections:
            settings, place = getattr(settings, section), place.setdefault(section, {})
        try:
            place[key] = msgspec.convert(value, get_type_hints(type(settings))[key])
        except msgspec.ValidationError as problem:
            raise ConfigError(f"{name}: {problem}.") from None
    config = msgspec.convert(nested, Config)
    for check in _CHECKS:
        check(config)
    return config


_HOST = re.compile(r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def _check_url(config: Config) -> None:
    if not config.instance.url:
        return
    scheme, _, rest = config.instance.url.lower().partition("://")
    host = rest.removesuffix("/")
    if scheme not in ("http", "https") or not _HOST.fullmatch(host) or not _port_is_one(host):
        raise ConfigError(
            "instance.url must be an address like https://art.example, without a path. "
            "A name in other letters than a to z is written as in DNS: xn--…"
        )


def _port_is_one(host: str) -> bool:
    port = host.rpartition("]")[2].partition(":")[2]
    return not port or 1 <= int(port) <= 65_535


def _check_domain(config: Config) -> None:
    domain = config.instance.account_domain.lower()
    if domain and not (_HOST.fullmatch(domain) and _port_is_one(domain)):
        raise ConfigError("instance.account_domain must be a name like art.example: no scheme, no path, no @.")


def _check_port(config: Config) -> None:
    if not 1 <= config.server.port <= 65_535:
        raise ConfigError("server.port must be between 1 and 65535.")


def _check_networks(config: Config) -> None:
    try:
        config.federation.networks  # noqa: B018 - the property is the check
        for text in config.server.trusted_proxies:
            ipaddress.ip_network(text)
    except ValueError as problem:
        raise ConfigError(
            f"federation.allow_networks and server.trusted_proxies hold networks like 10.0.0.0/8: {problem}."
        ) from None


def _check_choices(config: Config) -> None:
    choices = {
        "log.level": (config.log.level, ("debug", "info", "warning", "error")),
        "log.format": (config.log.format, ("console", "json")),
        "cloak.strength": (config.cloak.strength, ("light", "standard", "strong")),
        "accounts.sign_ups": (config.accounts.sign_ups, ("closed", "invite", "approval", "open")),
        "mail.security": (config.mail.security, ("starttls", "tls", "none")),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ConfigError(f"{name} must be one of {', '.join(allowed)}.")


def _check_sizes(config: Config) -> None:
    if not 1 <= config.cloak.threads <= 256:
        raise ConfigError("cloak.threads must be between 1 and 256.")
    if config.cloak.memory_mb < 256:
        raise ConfigError("cloak.memory_mb must be at least 256: less does not even open a picture.")
    if config.storage.reserve_mb < 0:
        raise ConfigError("storage.reserve_mb must be at least 0: 0 fills the disk to the last byte.")
    if config.log.slow_request_ms < 0:
        raise ConfigError("log.slow_request_ms must be at least 0: 0 writes every request.")
    if config.metrics.token and (len(config.metrics.token) < 16 or not config.metrics.token.isascii()):
        raise ConfigError("metrics.token must have at least 16 letters and digits, so that nobody guesses it.")
    for key in MediaSettings.__struct_fields__:
        if getattr(config.media, key) < 1:
            raise ConfigError(f"media.{key} must be at least 1.")


def _check_backup(config: Config) -> None:
    if not 1 <= config.backup.every_hours <= 24 * 366:
        raise ConfigError("backup.every_hours must be between 1 and 8784.")
    if min(config.backup.keep_daily, config.backup.keep_weekly) < 0:
        raise ConfigError("backup.keep_daily and backup.keep_weekly must be at least 0.")


_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\]+@[^\s@<>\"(),:;\\]+")


def _check_mail(config: Config) -> None:
    mail = config.mail
    if config.accounts.quota_mb < 0:
        raise ConfigError("accounts.quota_mb must be 0, for no bound, or more.")
    if not 1 <= mail.port <= 65_535:
        raise ConfigError("mail.port must be between 1 and 65535.")
    if mail.sender and not _ADDRESS.fullmatch(mail.sender):
        raise ConfigError("mail.sender must be an address that letters come from, like gallery@art.example.")
    if mail.security == "none" and mail.password and mail.host not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigError("mail.security is none, so mail.password would be sent for everybody to read. Use starttls or tls.")


_CHECKS = (_check_url, _check_domain, _check_port, _check_networks, _check_choices, _check_sizes, _check_backup, _check_mail)
