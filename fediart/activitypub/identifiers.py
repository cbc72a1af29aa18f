"""The addresses of everything this server owns, and the strict question whether an address is one of them.

Ids never redirect and never change. Other servers' ids are compared by host here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from fediart.ids import parse_id

_DEFAULT_PORTS = {"http": 80, "https": 443}


def host_of(uri: str) -> str:
    """Lower-case host of a URI, with its port where that is not the scheme's own, in ASCII; '' when there is none."""
    try:
        parts = urlsplit(uri)
        host = (parts.hostname or "").lower()
        port = parts.port
    except ValueError:
        return ""
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            return ""
    if ":" in host:
        host = f"[{host}]"
    return host if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{port}"


def same_host(first: str, second: str) -> bool:
    """May a document at one address speak for the other? Only when both have the same host and port (FEP-fe34)."""
    host = host_of(first)
    return host != "" and host == host_of(second)


def is_web_uri(uri: object) -> bool:
    """An http(s) address with a host and without user or control characters, at most 2,000 characters."""
    if not isinstance(uri, str) or not 8 <= len(uri) <= 2_000 or any(c <= " " or c == "\x7f" for c in uri):
        return False
    try:
        parts = urlsplit(uri)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return False


def multikey_uri(actor_uri: str) -> str:
    """The id of a local actor's Ed25519 key."""
    return f"{actor_uri}#ed25519-key"


@dataclass(frozen=True, slots=True)
class LocalRef:
    """What a local address means: an actor (`username`) or one of its works (`work_id`)."""

    username: str
    work_id: int | None = None


@dataclass(frozen=True, slots=True)
class Identifiers:
    """`base_url` is `https://art.example`, `account_domain` what stands behind the @."""

    base_url: str
    account_domain: str

    @property
    def host(self) -> str:
        return host_of(self.base_url)

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset({self.host, self.account_domain})

    @property
    def shared_inbox(self) -> str:
        return f"{self.base_url}/inbox"

    @property
    def instance_actor_uri(self) -> str:
        return f"{self.base_url}/actor"

    @property
    def instance_inbox(self) -> str:
        return f"{self.base_url}/actor/inbox"

    @property
    def instance_outbox(self) -> str:
        return f"{self.base_url}/actor/outbox"

    @property
    def instance_username(self) -> str:
        """Named after the host, as other servers do (FEP-d556)."""
        return self.host

    @property
    def about_url(self) -> str:
        return f"{self.base_url}/about"

    def actor_uri(self, username: str) -> str:
        return f"{self.base_url}/users/{username}"

    def key_uri(self, username: str) -> str:
        return f"{self.actor_uri(username)}#main-key"

    def inbox(self, username: str) -> str:
        return f"{self.actor_uri(username)}/inbox"

    def outbox(self, username: str) -> str:
        return f"{self.actor_uri(username)}/outbox"

    def followers(self, username: str) -> str:
        return f"{self.actor_uri(username)}/followers"

    def following(self, username: str) -> str:
        return f"{self.actor_uri(username)}/following"

    def featured(self, username: str) -> str:
        return f"{self.actor_uri(username)}/collections/featured"

    def work_uri(self, username: str, work_id: int) -> str:
        return f"{self.actor_uri(username)}/statuses/{work_id}"

    def context_uri(self, work_uri: str) -> str:
        """Of the conversation that began with a work of ours."""
        return f"{work_uri}/context"

    def stamp_uri(self, work_uri: str, quote_id: int) -> str:
        """Of the leave to quote a work of ours."""
        return f"{work_uri}/quotes/{quote_id}"

    def profile_url(self, username: str) -> str:
        return f"{self.base_url}/@{username}"

    def work_url(self, username: str, work_id: int) -> str:
        return f"{self.base_url}/@{username}/{work_id}"

    def rights_url(self, username: str) -> str:
        """The page that says what an artist allows and reserves, and how to ask."""
        return f"{self.profile_url(username)}/rights"

    def label_url(self, name: str) -> str:
        return f"{self.base_url}/labels/{name}"

    def absolute(self, address: str) -> str:
        """Of a path of this server, or of an address as it is."""
        return self.base_url + address if address.startswith("/") else address

    def tag_url(self, tag: str) -> str:
        return f"{self.base_url}/tags/{quote(tag)}"

    def activity_uri(self, id_: int) -> str:
        return f"{self.base_url}/activities/{id_}"

    def is_local(self, uri: str) -> bool:
        """Exactly one of ours: scheme, host and port as configured, nothing hidden in the path."""
        if not (uri == self.base_url or uri.startswith((self.base_url + "/", self.base_url + "#"))):
            return False
        return "%2f" not in uri.lower() and "\\" not in uri

    def pretends_local(self, uri: str) -> bool:
        """On our host by any spelling (case, port, trailing dot, user), though perhaps not one of ours."""
        try:
            name = (urlsplit(uri).hostname or "").rstrip(".").lower()
        except ValueError:
            return True
        mine = (urlsplit(self.base_url).hostname or "").lower()
        if name != mine:
            return False
        # Several servers on one machine differ by port: only a trial address has one.
        return host_of(uri).rstrip(".") == self.host or urlsplit(self.base_url).port is None

    def parse_local(self, uri: str) -> LocalRef | None:
        """The local actor or work an address means, or None."""
        if not self.is_local(uri):
            return None
        path = uri.removeprefix(self.base_url).split("#")[0].split("?")[0].rstrip("/")
        parts = path.split("/")[1:]
        if len(parts) == 2 and parts[0] == "users":
            return LocalRef(parts[1])
        if len(parts) == 4 and parts[0] == "users" and parts[2] == "statuses" and (work_id := parse_id(parts[3])):
            return LocalRef(parts[1], work_id)
        if len(parts) == 1 and parts[0].startswith("@"):
            return LocalRef(parts[0][1:])
        if len(parts) == 2 and parts[0].startswith("@") and (work_id := parse_id(parts[1])):
            return LocalRef(parts[0][1:], work_id)
        return None
