"""Which server asks for a document. A signature is checked where something depends on it, and never where nothing does.

To refuse somebody it is enough what they say of themselves: who claims a blocked server's or actor's key is refused, whether
the signature is right or not, and nothing is fetched for that. To let somebody in it is not enough: what is not for everybody,
and with `federation.authorized_fetch` everything, goes to whoever signed with a key that its own server stands by.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request

from fediart.activitypub.identifiers import host_of
from fediart.activitypub.signatures.verify import Refused, claimed_key_id
from fediart.domain.actors import Actor
from fediart.errors import BadInput, NotAllowed, SignatureNeeded, TooMany
from fediart.inbox.verify import signer_of
from fediart.instance import Instance
from fediart.storage import blocks
from fediart.web.security import Limiter, keep_private

KEYS_OF_A_HOST, KEYS_IN_S = 10, 600.0
"""So many keys of one host are fetched in so many seconds because of documents that are asked for: servers sign with a few."""

NEEDS_SIGNATURE = "This server gives its documents to servers that sign their requests. This one is not signed, or not rightly."
NOT_SPOKEN_WITH = "This server does not speak with yours."

_ONCE = frozenset({"signature", "signature-input", "host", "date", "digest", "content-digest"})


def joined_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Lower-case name → value, several of one name joined by ", ". Raises BadInput where one comes twice that is signed once."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in headers and name in _ONCE:
            raise BadInput(f"There are several {name} headers.")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def signed_target(request: Request) -> str:
    """The path and query as they stood in the request."""
    query = request.scope["query_string"].decode("latin-1")
    return str(request.scope["raw_path"].decode("latin-1")) + (f"?{query}" if query else "")


async def verified(request: Request) -> Actor | None:
    """The actor of another server who signed this request; None: nobody did, or it cannot be seen to be right."""
    if not hasattr(request.state, "asker"):
        request.state.asker = await _checked(request)
    found: Actor | None = request.state.asker
    return found


async def _checked(request: Request) -> Actor | None:
    if claimed_key_id(request.headers) is None:
        return None
    instance: Instance = request.app.state.instance
    fetched: Limiter = request.app.state.asked_keys

    def may_fetch(key_id: str) -> bool:
        try:
            fetched.take(host_of(key_id))
        except TooMany:
            return False
        return True

    try:
        headers = joined_headers(request.scope["headers"])
    except BadInput:
        return None
    found = await signer_of(
        instance, method=request.method, target=signed_target(request), headers=headers, body=None, may_fetch=may_fetch
    )
    return None if isinstance(found, Refused) else found


async def admit(request: Request, *, also_unsigned: bool = False) -> None:
    """Raises NotAllowed to a blocked host; where this server wants signatures SignatureNeeded, unless `also_unsigned`."""
    instance: Instance = request.app.state.instance
    key_id = claimed_key_id(request.headers)
    if key_id is not None and instance.host_rules.blocks(host_of(key_id)):
        raise NotAllowed(NOT_SPOKEN_WITH)
    if instance.config.federation.authorized_fetch:
        keep_private(request)
        if await verified(request) is None and not also_unsigned:
            raise SignatureNeeded(NEEDS_SIGNATURE)


async def is_apart(request: Request, artist: Actor) -> bool:
    """Is this artist not there for whoever asks: one of both blocks the other, or who asks is suspended?"""
    storage = request.app.state.instance.storage
    key_id = claimed_key_id(request.headers)
    if key_id is not None and await storage.read(blocks.key_is_blocked, artist.id, key_id):
        return True
    asker: Actor | None = getattr(request.state, "asker", None)
    return asker is not None and (asker.is_suspended or await storage.read(blocks.are_apart, artist.id, asker.id))
