"""A new account: the owner's by the one-time setup link, others' by the command line or as `sign_up` says."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from fediart.activitypub.identifiers import multikey_uri
from fediart.activitypub.signatures.keys import generate_ed25519_pair, generate_rsa_pair
from fediart.domain.actors import Account, Multikey, Role, password_problem, username_problem
from fediart.errors import BadInput, Conflict, NotFound
from fediart.ids import new_id
from fediart.instance import Instance, token_hash
from fediart.storage import accounts, actors, policies, settings, sign_ups
from fediart.studio.passwords import hash_password

_SETUP = "setup_token_hash"


async def setup_token(instance: Instance) -> str | None:
    """A new one-time setup token, or None when the first account is there. An earlier token ends."""
    token = secrets.token_urlsafe(24)
    return token if await instance.storage.write(_put_setup_token, token_hash(token)) else None


def _put_setup_token(db: Connection, hashed: str) -> bool:
    if accounts.any_account(db):
        return False
    settings.put_setting(db, _SETUP, hashed)
    return True


async def setup_is_open(instance: Instance, token: str) -> bool:
    """Is this the setup link that was printed last, and is there no account yet?"""
    stored = await instance.storage.read(settings.setting, _SETUP)
    return stored is not None and hmac.compare_digest(stored, token_hash(token))


async def set_up(instance: Instance, token: str, username: str, password: str) -> Account:
    """The owner's account. The link works once."""
    if not await setup_is_open(instance, token):
        raise NotFound(
            "This setup link is not valid any more. Restart the server: it prints a new one while there is no account."
        )
    return await open_account(instance, username, password, Role.OWNER, used_setup=token_hash(token))


async def open_account(
    instance: Instance, username: str, password: str, role: Role = Role.ARTIST, *, used_setup: str | None = None
) -> Account:
    """Make an account and its actor. Raises BadInput or Conflict in words for the person who typed it."""
    username = username.strip().lower()
    for problem in (username_problem(username), password_problem(password)):
        if problem:
            raise BadInput(problem)
    hashed = await hash_password(instance, password)
    return await make_account(instance, username, hashed, role, first=partial(_use_setup, used_setup) if used_setup else None)


async def make_account(
    instance: Instance,
    username: str,
    password_hash: str,
    role: Role = Role.ARTIST,
    *,
    email: str = "",
    agreed_policy: int | None = None,
    first: Callable[[Connection], object] | None = None,
) -> Account:
    """`first` is done in the same transaction, before anything else, and may refuse. `email` is confirmed. Raises Conflict."""
    private_pem, public_pem = await asyncio.to_thread(generate_rsa_pair)
    now = instance.clock()
    account = Account(
        new_id(now),
        new_id(now),
        role,
        password_hash,
        secrets.token_bytes(32),
        True,
        now,
        email=email,
        agreed_policy=agreed_policy,
    )
    values = _actor_values(instance, account, username, private_pem, public_pem)
    await instance.storage.write(_insert, account, values, first, instance.identifiers.base_url)
    return account


def name_is_free(db: Connection, username: str) -> bool:
    """Was it never anybody's here, and does nobody ask for it? A deleted account keeps its name."""
    return actors.actor_named(db, username) is None and not sign_ups.is_applied_for(db, username)


def _actor_values(instance: Instance, account: Account, username: str, private_pem: str, public_pem: str) -> dict[str, object]:
    ids = instance.identifiers
    uri = ids.actor_uri(username)
    ed25519_pem, multikey = generate_ed25519_pair()
    return {
        "id": account.actor_id,
        "uri": uri,
        "host": "",
        "username": username,
        "kind": "Person",
        "url": ids.profile_url(username),
        "inbox": ids.inbox(username),
        "shared_inbox": ids.shared_inbox,
        "outbox": ids.outbox(username),
        "followers_uri": ids.followers(username),
        "following_uri": ids.following(username),
        "featured_uri": ids.featured(username),
        "public_key_id": ids.key_uri(username),
        "public_key_pem": public_pem,
        "private_key_pem": private_pem,
        "multikeys": actors.multikeys_text([Multikey(multikey_uri(uri), multikey)]),
        "ed25519_pem": ed25519_pem,
        "created_at": account.created_at,
        "fetched_at": account.created_at,
    }


def _use_setup(used_setup: str, db: Connection) -> None:
    if settings.setting(db, _SETUP) != used_setup or not settings.drop_setting(db, _SETUP):
        raise NotFound("This setup link was used already.")


def _insert(
    db: Connection,
    account: Account,
    actor: dict[str, object],
    first: Callable[[Connection], object] | None,
    address: str,
) -> None:
    if first is not None:
        first(db)
    if not name_is_free(db, str(actor["username"])):
        raise Conflict(f"The username {actor['username']} is taken.")
    if accounts.account_with_email(db, account.email) is not None:
        raise Conflict("There is an account with this e-mail address already.")
    actors.insert_actor(db, actor)
    accounts.insert_account(db, replace(account, policy_read=policies.current_number(db)))
    settings.put_setting(db, "address", address)
