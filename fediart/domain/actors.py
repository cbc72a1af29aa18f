"""Actors and accounts: anyone here or elsewhere, and the logins that own the local ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from fediart.domain.moderation import Standing

USERNAME = re.compile(r"[a-z0-9_]{1,30}")
"""What every server we read accepts (Pixelfed and Misskey are the narrowest)."""

RESERVED = frozenset({"actor", "instance", "admin", "root", "administrator", "support", "api", "inbox", "media", "static"})


class Role(StrEnum):
    """What an account may do here, besides showing its own works.

    A moderator decides on works and people; an admin also on the server's policy; the owner also on who is what.
    """

    OWNER = "owner"
    ADMIN = "admin"
    MODERATOR = "moderator"
    ARTIST = "artist"

    @property
    def may_moderate(self) -> bool:
        return self != Role.ARTIST

    @property
    def may_administer(self) -> bool:
        return self in (Role.OWNER, Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Multikey:
    """An Ed25519 key of an actor's (FEP-521a). `key`: `publicKeyMultibase`. `expires_at` None: it does not end."""

    id: str
    key: str
    expires_at: int | None = None

    def holds_at(self, now: int) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True)
class Actor:
    """`host` is '' for a local actor. `summary` is sanitised HTML. `fields` are (name, sanitised HTML value)."""

    id: int
    uri: str
    host: str
    username: str
    kind: str
    name: str
    summary: str
    summary_source: str
    fields: tuple[tuple[str, str], ...]
    url: str
    inbox: str
    shared_inbox: str | None
    outbox: str | None
    followers_uri: str | None
    following_uri: str | None
    featured_uri: str | None
    public_key_id: str
    public_key_pem: str
    avatar_image_id: int | None
    header_image_id: int | None
    locked: bool
    gone: bool
    created_at: int
    fetched_at: int
    standing: Standing = Standing.GOOD
    moved_to: str | None = None
    """The id of who they are now, once both sides have said so."""
    moved_at: int | None = None
    also_known_as: tuple[str, ...] = ()
    """Ids of a local artist's other accounts: whoever moves from there brings their followers."""
    multikeys: tuple[Multikey, ...] = ()
    """Keys that its integrity proofs are checked by, and requests where it signs those with them."""

    def multikey(self, key_id: str, now: int) -> str | None:
        """The key of this id, if it still holds."""
        return next((held.key for held in self.multikeys if held.id == key_id and held.holds_at(now)), None)

    def key(self, key_id: str, now: int) -> str | None:
        """The key of this id: PEM, or a Multikey."""
        return self.public_key_pem if key_id == self.public_key_id else self.multikey(key_id, now)

    @property
    def is_suspended(self) -> bool:
        return self.standing == Standing.SUSPENDED

    @property
    def is_local(self) -> bool:
        return self.host == ""

    @property
    def has_moved(self) -> bool:
        return self.moved_to is not None

    @property
    def shown_name(self) -> str:
        return self.name or self.username


@dataclass(frozen=True, slots=True)
class Account:
    id: int
    actor_id: int
    role: Role
    password_hash: str
    cloak_secret: bytes
    cloak_default: bool
    created_at: int
    cloak_strength: str = ""
    """Of new pictures; '' as the server's settings say."""
    ask_if_weak: bool = True
    """Hold a work back, and ask, when a picture of it takes only a weak cloak."""
    reservation: str | None = None
    """What is reserved for all of this artist's works (`domain/reservations`, JSON); None: nothing was said."""
    licence: str = ""
    licence_text: str = ""
    tell_cloaked: bool = True
    """May other servers be told that a picture is cloaked?"""
    ai_view: str = ""
    """How AI-made posts of others are shown to this person: '' as the policy says, else a stricter action."""
    reply_policy: str = ""
    """Who may answer works that are published from now on; '': everyone."""
    suspended_at: int | None = None
    suspended_reason: str = ""
    quote_policy: str = ""
    """Who may quote this artist's works; '': nobody."""
    policy_read: int = 0
    """The revision of the AI-art policy up to which they know what changed."""
    email: str = ""
    """Confirmed, in small letters; '': none."""
    quota_mb: int | None = None
    """Megabytes that this artist's pictures may take. None: as the settings say; 0: no bound."""
    agreed_policy: int | None = None
    """The revision of the AI-art policy that was agreed to at the sign-up; None: nothing was asked."""


def username_problem(username: str) -> str | None:
    """Why this cannot be a username, in words for the person who typed it, or None."""
    if not USERNAME.fullmatch(username):
        return "A username has 1 to 30 characters: small letters a to z, digits and _."
    if username in RESERVED:
        return f"The username {username} is kept for the server itself. Please choose another one."
    return None


def password_problem(password: str) -> str | None:
    """Why this cannot be a password, or None."""
    if len(password) < 10:
        return "A password needs at least 10 characters. A few words in a row are easy to remember and hard to guess."
    if len(password) > 512:
        return "A password has at most 512 characters."
    return None
