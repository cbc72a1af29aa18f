"""Settings: the example and the code say the same, and what is wrong is told with what would be right."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import fediart
from fediart.cli.settings import EXAMPLE, Chosen, read_settings
from fediart.config import known_keys, load_config
from fediart.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]

UNITS = {
    "bytes": "in bytes",
    "pixels": "in pixels",
}
"""How a key's name ends → what its words must say."""


def _example() -> dict[str, tuple[str, str]]:
    """`section.key` → (its words, its value as written) in the example file."""
    found: dict[str, tuple[str, str]] = {}
    section = ""
    words: list[str] = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\[([\w.]+)\]", line):
            section, words = match[1], []
        elif match := re.fullmatch(r"# (\w+) = (.*)", line):
            name = f"{section}.{match[1]}"
            assert name not in found, f"{name} stands there twice"
            found[name] = (" ".join(words), match[2])
            words = []
        elif line.startswith("# "):
            words.append(line[2:])
        else:
            assert line == "", f"neither words, nor a key, nor a section: {line}"
            words = []
    return found


def test_the_example_has_every_key_with_its_default_and_no_other() -> None:
    written = {name: tomllib.loads(f"v = {value}")["v"] for name, (_, value) in _example().items()}
    assert written == known_keys()
    assert list(written) == list(known_keys()), "in the order of the code"


def test_every_key_of_the_example_is_explained() -> None:
    for name, (words, _) in _example().items():
        assert len(words) > 20, f"{name} says too little"
        assert words.endswith((".", ".)", "?")), f"{name}: {words}"
        for ending, unit in UNITS.items():
            if name.endswith(f"_{ending}"):
                assert unit in words, f"{name} does not say its unit"


def test_the_example_as_it_stands_and_with_every_key_switched_on_is_valid(tmp_path: Path) -> None:
    assert load_config(EXAMPLE, {}) == load_config(None, {})
    switched_on = tmp_path / "config.toml"
    switched_on.write_text(re.sub(r"^# (\w+ = )", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE))
    assert load_config(switched_on, {}) == load_config(None, {})


def test_the_first_start_leaves_the_example_as_settings_to_edit(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    config = read_settings(Chosen(data, port=8123))
    assert config.base_url == "http://localhost:8123"
    assert (data / "config.toml").read_bytes() == EXAMPLE.read_bytes()
    (data / "config.toml").write_text('[instance]\nname = "Mine"\n')
    assert read_settings(Chosen(data)).instance.name == "Mine", "and never again"


def test_the_example_is_part_of_the_package_and_stands_at_the_top_of_the_repository() -> None:
    assert EXAMPLE.parent == Path(fediart.__file__).parent
    assert (ROOT / "config.example.toml").read_bytes() == EXAMPLE.read_bytes()


def _files() -> list[Path]:
    return [path for path in (ROOT / "fediart").rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_a_wheel_carries_the_example_the_pages_and_the_command(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    for path in _files():
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *how, "--wheel-dir", str(tmp_path), "."]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("fediart-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        assert opened.read("fediart/config.example.toml") == EXAMPLE.read_bytes()
        (entry,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "fediart = fediart.cli:main" in opened.read(entry).decode()
        opened.extractall(tmp_path / "installed")
    here = {str(path.relative_to(ROOT)) for path in _files()}
    assert here <= names, here - names
    # As installed, away from the clone: the first start finds its example.
    script = f"from fediart.cli.settings import *; read_settings(Chosen(Path({str(tmp_path / 'data')!r})))"
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path / "installed", capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "data" / "config.toml").read_bytes() == EXAMPLE.read_bytes()


# ------------------------------------------------------------------------------------------------- what is refused


def _refusal(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 1", "no key server.prot. Did you mean server.port?"),
        ("[sever]\nport = 1", "no section [sever]. Did you mean server?"),
        ("[instance]\nurls = 'x'", "no key instance.urls. Did you mean instance.url?"),
        ("[federation]\nallow_network = []", "Did you mean federation.allow_networks?"),
        ("[server]\nxyzzy = 1", "no key server.xyzzy."),
        ("port = 8000", "no section [port]."),
        ("server = 1", "server must be a section: [server]"),
        ("[server]\nport = '8000'", "server.port: Expected `int`"),
        ("[server]\nport = 0", "server.port must be between 1 and 65535."),
        ("[server]\nport = 65536", "server.port must be between 1 and 65535."),
        ("[limits]\nenabled = 1", "limits.enabled: Expected `bool`"),
        ("[server]\ntrusted_proxies = ['10.0.0.1/8']", "networks like 10.0.0.0/8"),
        ("[federation]\nallow_networks = ['loopback']", "networks like 10.0.0.0/8"),
        ("[federation]\nallow_networks = '127.0.0.0/8'", "federation.allow_networks: Expected `array`"),
        ("[log]\nlevel = 'loud'", "log.level must be one of debug, info, warning, error."),
        ("[log]\nformat = 'xml'", "log.format must be one of console, json."),
        ("[cloak]\nstrength = 'much'", "cloak.strength must be one of light, standard, strong."),
        ("[cloak]\nthreads = 0", "cloak.threads must be between 1 and 256."),
        ("[cloak]\nmemory_mb = 100", "cloak.memory_mb must be at least 256"),
        ("[media]\nupload_bytes = 0", "media.upload_bytes must be at least 1."),
        ("[instance]\nurl = 'art.example'", "instance.url must be an address like https://art.example"),
        ("[instance]\nurl = 'ftp://art.example'", "instance.url must be"),
        ("[instance]\nurl = 'https://art.example/path'", "instance.url must be"),
        ("[instance]\nurl = 'https://art.example?x'", "instance.url must be"),
        ("[instance]\nurl = 'https://art.example#x'", "instance.url must be"),
        ("[instance]\nurl = 'https://me@art.example'", "instance.url must be"),
        ("[instance]\nurl = 'https://art.example:99999'", "instance.url must be"),
        ("[instance]\nurl = 'https://[::1'", "instance.url must be"),
        ("[instance]\nurl = 'https://bücher.example'", "xn--"),
        ("[instance]\naccount_domain = 'https://art.example'", "instance.account_domain must be a name"),
        ("[instance]\naccount_domain = 'me@art.example'", "instance.account_domain must be a name"),
        ("[server\n", "is not valid TOML"),
        (b"[server]\n# \xff", "is not valid TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_what_would_be_right(tmp_path: Path, text: str | bytes, words: str) -> None:
    assert words in _refusal(tmp_path, text)


def test_a_settings_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read"):
        load_config(tmp_path, {})
    with pytest.raises(ConfigError, match=r"There is no settings file"):
        read_settings(Chosen(tmp_path, config=tmp_path / "missing.toml"))


# ---------------------------------------------------------------------------------------------- what stands over what


def test_the_environment_stands_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[server]\nport = 1000\nhost = "0.0.0.0"\n[instance]\nname = "file"\n')
    env = {"FEDIART_SERVER__PORT": "2000", "FEDIART_INSTANCE__NAME": "the environment", "FEDIART_LONG": "1", "PATH": "/bin"}
    config = load_config(path, env, {"server.port": 3000})
    assert (config.server.port, config.server.host, config.instance.name) == (3000, "0.0.0.0", "the environment")
    assert load_config(path, env).server.port == 2000
    assert load_config(path, {}).server.port == 1000


def test_every_key_can_be_given_in_the_environment() -> None:
    values: dict[str, Any] = {
        "instance.url": "https://art.example", "instance.account_domain": "example", "log.level": "debug", "log.format": "json",
        "cloak.strength": "strong", "server.trusted_proxies": ["10.0.0.0/8"], "federation.allow_networks": ["10.0.0.0/8"],
        "limits.enabled": False, "federation.allow_http": True, "federation.authorized_fetch": True,
        "cloak.fetch_encoders": False, "cloak.encoders": ["taesd"],
        "cloak.memory_mb": 700, "ai_policy.reserve.artist_may_change": False, "ai_policy.reserve.embed_xmp": False,
        "ai_policy.reserve.c2pa": True, "ai_policy.reserve.rsl": False, "ai_policy.reserve.tdmrep": False,
        "ai_policy.enforce.block_user_agents": False, "ai_policy.enforce.extra_allowed_agents": ["A"],
        "ai_policy.enforce.extra_blocked_agents": ["B"], "ai_policy.local.require_origin_statement": True,
        "ai_policy.remote.followed_override": False, "ai_policy.remote.domains": {"x": "label"},
        "ai_policy.remote.actors": {"y": "label"}, "ai_policy.remote.hashtags": ["z"], "ai_policy.review.second_opinion": False,
        "backup.keep_daily": 3,
        "accounts.sign_ups": "open", "mail.security": "tls", "mail.sender": "gallery@art.example",
        "metrics.token": "sixteen-letters-", "metrics.local": True,
    }  # fmt: skip
    for name, default in known_keys().items():
        value = values.get(name, "x" if isinstance(default, str) else 7)
        text = (
            value
            if isinstance(value, str)
            else str(value).lower()
            if isinstance(value, bool)
            else str(value).replace(": ", " = ")
        )
        config: Any = load_config(None, {f"FEDIART_{name.upper().replace('.', '__')}": text})
        for part in name.split("."):
            config = getattr(config, part)
        assert config == value != default, name


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("FEDIART_SERVER__PROT", "1", "FEDIART_SERVER__PROT: there is no key server.prot. Did you mean server.port?"),
        ("FEDIART_SERVER__PORT", "eight", "FEDIART_SERVER__PORT must be written as in the settings file"),
        ("FEDIART_LIMITS__ENABLED", "False", "FEDIART_LIMITS__ENABLED must be written as in the settings file"),
        ("FEDIART_SERVER__PORT", "'8'", "server.port: Expected `int`"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, {variable: text})
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("url", "base_url", "host"),
    [
        ("", "http://localhost:8000", "localhost:8000"),
        ("https://art.example/", "https://art.example", "art.example"),
        ("HTTPS://Art.Example", "https://art.example", "art.example"),
        ("https://art.example:443", "https://art.example", "art.example"),
        ("http://art.example:80/", "http://art.example", "art.example"),
        ("http://art.example:443", "http://art.example:443", "art.example:443"),
        ("http://[::1]:8000", "http://[::1]:8000", "[::1]:8000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_an_address_has_one_spelling(url: str, base_url: str, host: str) -> None:
    config = load_config(None, {}, {"instance.url": url})
    assert (config.base_url, config.host, config.account_domain) == (base_url, host, host)


def test_the_domain_of_handles_may_be_another_than_the_host() -> None:
    config = load_config(None, {}, {"instance.url": "https://fediart.example", "instance.account_domain": "Example"})
    assert (config.host, config.account_domain) == ("fediart.example", "example")
