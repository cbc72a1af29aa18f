"""Actors of other servers by their key, at hand: most activities come from a few whom we heard a moment ago."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from fediart.domain.actors import Actor

MOST = 10_000


class Signers:
    """Bounded. What is stored about an actor is put here when it is stored, so that an old key does not live on."""

    def __init__(self) -> None:
        self._by_key: dict[str, Actor] = {}
        self._keys: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._asked_until: OrderedDict[str, int] = OrderedDict()
        self.asked: dict[str, asyncio.Task[Actor | None]] = {}
        """Keys that are being fetched now."""

    def get(self, key_id: str) -> Actor | None:
        actor = self._by_key.get(key_id)
        if actor is not None:
            self._keys.move_to_end(actor.uri)
        return actor

    def put(self, actor: Actor) -> None:
        """Under each of its keys. One that another actor has already is no longer that one's."""
        self.forget(actor.uri)
        ids = (actor.public_key_id, *(key.id for key in actor.multikeys))
        for holder in {held.uri for id_ in ids if (held := self._by_key.get(id_)) is not None}:
            self.forget(holder)
        self._by_key.update(dict.fromkeys(ids, actor))
        self._keys[actor.uri] = ids
        if len(self._keys) > MOST:
            self.forget(next(iter(self._keys)))

    def forget(self, uri: str) -> None:
        for key_id in self._keys.pop(uri, ()):
            self._by_key.pop(key_id, None)

    def was_right(self, key_id: str) -> None:
        """The key that was fetched did fit: should it change, it may be fetched again at once."""
        self._asked_until.pop(key_id, None)

    def may_ask(self, key_id: str, now: int, pause_ms: int) -> bool:
        """May this key be fetched again? Saying yes counts as asking."""
        if self._asked_until.get(key_id, 0) > now:
            return False
        self._asked_until[key_id] = now + pause_ms
        self._asked_until.move_to_end(key_id)
        if len(self._asked_until) > MOST:
            self._asked_until.popitem(last=False)
        return True
