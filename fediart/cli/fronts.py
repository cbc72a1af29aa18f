"""The files around a server: what a reverse proxy and systemd must be told. `docs/deploy/` holds the same for art.example.

Each front ends TLS, names the host as it was asked for, and says in X-Forwarded-For, anew, who asks. Sizes are fediart's own
bounds, so that it is fediart who refuses, in words, what is too large.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from fediart.config import Config
from fediart.domain.reviews import MAX_PROOF
from fediart.domain.works import MAX_IMAGES

TRUSTED = ["127.0.0.1/32", "::1/128"]
"""`server.trusted_proxies` for a front on the same machine."""

PATIENCE_S = 120
"""So long a front waits for an answer. The slowest of ours, a comparison of cloaks on a small box, takes some seconds."""


class Front(StrEnum):
    CADDY = "caddy"
    NGINX = "nginx"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class File:
    """`path`: where it is put on the server."""

    path: str
    text: str


def front_file(front: Front, config: Config) -> File | None:
    """None for no front."""
    if front == Front.CADDY:
        return File("/etc/caddy/Caddyfile", caddyfile(config))
    if front == Front.NGINX:
        return File(f"/etc/nginx/sites-enabled/{config.host}.conf", nginx_site(config))
    return None


def _inside(config: Config) -> str:
    """Where the front finds the server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(config.server.host, config.server.host)  # noqa: S104 - it is dialled
    return f"{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{config.server.port}"


def caddyfile(config: Config) -> str:
    return f"""\
# fediart behind Caddy, which gets and renews the certificate by itself.
{config.host} {{
	reverse_proxy {_inside(config)} {{
		transport http {{
			response_header_timeout {PATIENCE_S}s
		}}
	}}
}}
"""


def most_megabytes(config: Config) -> int:
    """A form with as many of the largest pictures as one takes."""
    return -(-(max(MAX_IMAGES, MAX_PROOF) + 1) * config.media.upload_bytes // 1_000_000) + 8


def nginx_site(config: Config) -> str:
    name = urlsplit(config.base_url).hostname
    return f"""\
# fediart behind nginx. The certificate: certbot certonly --webroot -w /var/www/letsencrypt -d {name}
server {{
    listen 80;
    listen [::]:80;
    server_name {name};

    location /.well-known/acme-challenge/ {{
        root /var/www/letsencrypt;
    }}
    location / {{
        return 301 {config.base_url}$request_uri;
    }}
}}

server {{
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name {name};

    ssl_certificate /etc/letsencrypt/live/{name}/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/{name}/privkey.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:fediart:5m;

    # Pictures are passed on as they come: nothing is kept on this disk, and fediart says what is too large.
    client_max_body_size {most_megabytes(config)}m;
    proxy_request_buffering off;

    location / {{
        proxy_pass http://{_inside(config)};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        # Set, not added to: what a stranger claims to be is thrown away.
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_read_timeout {PATIENCE_S}s;
        proxy_send_timeout {PATIENCE_S}s;
    }}
}}
"""


def systemd_unit(config: Config, *, program: str, data: Path, folder: Path, user: str) -> str:
    """`program`: what is typed to run fediart. `folder`: the clone. `data` is the one place that it may write to."""
    is_at_home = any(str(path).startswith(("/home/", "/root/")) for path in (data, folder))
    return f"""\
[Unit]
Description=fediart, a home for visual artists
After=network-online.target
Wants=network-online.target

[Service]
User={user}
WorkingDirectory={folder}
ExecStart={program} serve --data {data}
Restart=always
RestartSec=2
# fediart lets what is begun end, for ten seconds at most. Pictures in the making go on after the next start.
KillMode=mixed
TimeoutStopSec=30
# A cloak that needs too much is ended alone, and tried again.
MemoryMax={config.cloak.memory_mb + 512}M
OOMPolicy=continue
LimitNOFILE=65536
UMask=0077

# It reads its program, writes its data folder, talks to the network, and does nothing else.
ReadWritePaths={data}
ProtectSystem=strict
ProtectHome={"read-only" if is_at_home else "yes"}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""
