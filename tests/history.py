"""What was done on several servers, what came where, and what they hold at last: does it fit together?

Pure. A history is made by `tests/turmoil.py`; what stands here only judges it. It goes by rounds: at the end of each everything
has been delivered and handled, and what every server holds is written down. What holds at the end of a round and is not
touched in the next one is certain all through it; what is touched is possible. Only what is certain must have come, and only
what is not even possible must not.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Act:
    """Somebody (`who`, an id) did `verb` to `what` (a work's or an actor's id), and was told that it is done.

    `began`: when it was asked for first, also if a kill cut that off. `id_`: of what a peer said. `to`: who is named in a post,
    or whose post it answers. `words`: what stands in it, and nowhere else.
    """

    round: int
    who: str
    verb: str
    what: str
    began: float
    ended: float
    id_: str = ""
    to: tuple[str, ...] = ()
    visibility: str = ""
    words: str = ""
    answers: str = ""


@dataclass(frozen=True)
class Receipt:
    """What came to a peer's inbox. `to`: whose. `via`: the server that signed it. `taken`: was it answered 202?"""

    at: float
    to: str
    via: str
    body: bytes
    taken: bool

    @cached_property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def about(self) -> str:
        """The id of its object."""
        held = self.document["object"]
        return str(held["id"] if isinstance(held, dict) else held)


@dataclass(frozen=True, slots=True)
class HeldWork:
    author: str
    visibility: str
    words: str
    likes: int
    boosts: int
    replies: int
    answers: str | None


@dataclass(frozen=True, slots=True)
class State:
    """What one server holds. Pairs: (who, whom or what)."""

    works: dict[str, HeldWork]
    likes: Counter[Pair]
    boosts: Counter[Pair]
    follows: dict[Pair, str]
    blocks: frozenset[Pair]
    sent: dict[Pair, tuple[int, int]] = field(default_factory=dict)
    """(activity, host) → inboxes that took it, and that did not."""
    waiting: int = 0
    unaccounted: frozenset[str] = frozenset()
    """Activities of which fewer deliveries have ended, in one way or the other, than there were to be."""


@dataclass(frozen=True, slots=True)
class Violation:
    kind: str
    about: str
    told: str


@dataclass(frozen=True)
class History:
    """`people`: local actor → its server. `snapshots`: of each server at the beginning, and after each round."""

    people: dict[str, str]
    peers: tuple[str, ...]
    acts: list[Act]
    receipts: list[Receipt]
    snapshots: list[dict[str, State]]

    @property
    def sides(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.people.values()))

    @cached_property
    def by_pair(self) -> dict[Pair, list[Act]]:
        """Acts between two actors, whoever did it, by (who, whom) as it was said."""
        found: dict[Pair, list[Act]] = defaultdict(list)
        for act in self.acts:
            found[act.who, act.what].append(act)
        return found

    @cached_property
    def of_work(self) -> dict[str, list[Act]]:
        found: dict[str, list[Act]] = defaultdict(list)
        for act in self.acts:
            found[act.what].append(act)
        return found

    @cached_property
    def posts(self) -> dict[str, Act]:
        return {act.what: act for act in self.acts if act.verb == "post"}

    @cached_property
    def came(self) -> dict[str, list[Receipt]]:
        """By the id of the activity, only what was taken."""
        found: dict[str, list[Receipt]] = defaultdict(list)
        for receipt in self.receipts:
            if receipt.taken:
                found[receipt.document["id"]].append(receipt)
        return found

    @cached_property
    def about(self) -> dict[str, list[Receipt]]:
        """By the id of the object, only what was taken."""
        found: dict[str, list[Receipt]] = defaultdict(list)
        for receipt in self.receipts:
            if receipt.taken:
                found[receipt.about].append(receipt)
        return found

    def told(self, violation: Violation) -> str:
        """The shortest history of what it is about."""
        lines = [f"{violation.kind}: {violation.told}", f"  about {violation.about}"]
        about = violation.about
        acts = [(act.began, _line(act)) for act in self.acts if about in (act.what, act.id_, act.who + " " + act.what)]
        came = [
            (
                receipt.at,
                f"{receipt.document['type']} {receipt.document['id']} → {receipt.to} via {receipt.via}, taken: {receipt.taken}",
            )
            for receipt in self.receipts
            if about in receipt.body.decode()
        ]
        return "\n".join([*lines, *(f"  {at:10.3f} {line}" for at, line in sorted([*acts, *came])[-40:])])


def _line(act: Act) -> str:
    more = " ".join(part for part in (act.visibility, act.words, act.answers, *act.to) if part)
    return f"{act.who} {act.verb} {act.what} (round {act.round}, done {act.ended:.3f}) {more}"


_ENDS = frozenset({"unfollow", "block"})
_ENDED_BY_OTHER = frozenset({"remove", "turn_away", "block"})


class Known:
    """What was certain, and what was possible, at some moment of a history."""

    def __init__(self, history: History) -> None:
        self.history = history

    def _held(self, round_: int, pair: Pair) -> str:
        """What its home server, or for a peer the followee's, says at the beginning of a round."""
        side = self.history.people.get(pair[1]) or self.history.people.get(pair[0], "")
        return self.history.snapshots[round_][side].follows.get(pair, "")

    def may_follow(self, follower: str, followee: str, act: Act) -> bool:
        """At some moment of the act, perhaps."""
        if self._held(act.round, (follower, followee)):
            return True
        said = self.history.by_pair.get((follower, followee), ())
        return any(other.verb == "follow" and other.round == act.round and other.began <= act.ended for other in said)

    def must_follow(self, follower: str, followee: str, act: Act, until: float | None = None) -> bool:
        """All the time from before the act until after it (or until then)."""
        end = act.ended if until is None else until
        for pair, verbs in (((follower, followee), _ENDS), ((followee, follower), _ENDED_BY_OTHER)):
            for other in self.history.by_pair.get(pair, ()):
                if other.round == act.round and other.verb in verbs and other.began <= end:
                    return False
        return self._held(act.round, (follower, followee)) == "accepted"

    def apart(self, one: str, other: str, rounds: Iterable[int] | None = None) -> bool:
        """Did one perhaps block the other in these rounds (None: ever)?"""
        for pair in ((one, other), (other, one)):
            acts = [act for act in self.history.by_pair.get(pair, ()) if act.verb in ("block", "unblock")]
            if rounds is None:
                if acts:
                    return True
                continue
            for round_ in rounds:
                if any(act.round == round_ for act in acts):
                    return True
                if any(pair in state.blocks for state in self.history.snapshots[round_].values()):
                    return True
        return False

    # ------------------------------------------------------------------------------ whom what is said of a work is for

    def must_hear_of(self, act: Act) -> list[str]:
        """Peers that must get what somebody here says by this act."""
        if act.who not in self.history.people or act.verb not in _SAID_BY:
            return []
        if act.verb in ("post", "edit", "delete"):
            return list(self._must_hear_of_work(act))
        if act.what in self.history.peers:
            return [act.what]
        post = self.history.posts.get(act.what)
        told = {post.who} if post is not None and post.who in self.history.peers else set()
        if act.verb == "boost":
            told |= {peer for peer in self.history.peers if self.must_follow(peer, act.who, act)}
        return sorted(told)

    def _must_hear_of_work(self, act: Act) -> Iterator[str]:
        post = self.history.posts[act.what]
        for peer in self.history.peers:
            follows = post.visibility != "direct" and self.must_follow(peer, post.who, act)
            is_named = peer in post.to and not self.apart(peer, post.who, (act.round,))
            likes = act.verb == "delete" and self._certainly_likes(peer, act) and not self.apart(peer, post.who)
            if follows or is_named or likes:
                yield peer

    def _certainly_likes(self, peer: str, act: Act) -> bool:
        home = self.history.people[self.history.posts[act.what].who]
        if (peer, act.what) not in self.history.snapshots[act.round][home].likes:
            return False
        said = self.history.by_pair.get((peer, act.what), ())
        return not any(other.verb == "unlike" and other.round == act.round for other in said)

    def may_hear(self, peer: str, act: Act) -> bool:
        post = self.history.posts[act.what]
        if peer in post.to or (post.visibility != "direct" and self.may_follow(peer, post.who, act)):
            return True
        is_open = post.visibility in ("public", "unlisted")
        if act.verb == "post" or (act.verb == "edit" and not is_open):
            return is_open and self._may_hear_from_answered(peer, act, post)
        for other in self.history.of_work[act.what]:
            if other.who == peer and other.verb in ("like", "boost") and other.began <= act.ended:
                return True
            is_local_boost = other.verb == "boost" and other.who in self.history.people and other.began <= act.ended
            if is_local_boost and self.may_follow(peer, other.who, act):
                return True
        if any(other.who == peer and other.answers == act.what for other in self.history.posts.values()):
            return True
        return self._may_hear_from_answered(peer, act, post)

    def _may_hear_from_answered(self, peer: str, act: Act, post: Act) -> bool:
        """An answer goes on to who follows whom it answers, when it gets there: at any time of the round."""
        if not post.answers or post.answers not in self.history.posts:
            return False
        artist = self.history.posts[post.answers].who
        return artist in self.history.people and self.may_follow(peer, artist, replace(act, ended=float("inf")))

    def side_must_hear(self, side: str, act: Act) -> bool:
        """Must somebody on another server of ours have got it, and that server have kept it?"""
        post = self.history.posts[act.what]
        for person in (person for person, home in self.history.people.items() if home == side):
            if self.apart(person, post.who):
                continue
            if person in post.to:
                return True
            if post.visibility != "direct" and self.must_follow(person, post.who, act, float("inf")):
                return True
        return False

    def side_may_hear(self, side: str, act: Act) -> bool:
        post = self.history.posts[act.what]
        people = [person for person, home in self.history.people.items() if home == side]
        return any(
            person in post.to or (post.visibility != "direct" and self.may_follow(person, post.who, act)) for person in people
        )


def check(history: History) -> list[Violation]:
    """Everything that is wrong in it."""
    known = Known(history)
    found: list[Violation] = []
    for judge in (_nothing_waits, _dropped, _answers_came, _same_words, _in_order, _to_nobody_else, _as_counted):
        found += judge(known)
    for number in range(1, len(history.snapshots)):
        for side, state in history.snapshots[number].items():
            found += _counts(side, state)
        found += _works_agree(known, number)
        found += _relations_agree(known, number)
        found += _reactions_agree(known, number)
    return list({(item.kind, item.about): item for item in reversed(found)}.values())


# ------------------------------------------------------------------------------------------------- what came to peers


def _nothing_waits(known: Known) -> Iterator[Violation]:
    for number, snapshot in enumerate(known.history.snapshots):
        for side, state in snapshot.items():
            if state.waiting:
                yield Violation("waiting", side, f"{state.waiting} deliveries and jobs wait after round {number}")
            for id_ in state.unaccounted if not state.waiting else ():
                yield Violation("lost", id_, f"{side} has no delivery of it any more, and not all of them have ended")


_SAID_BY = {
    "post": "Create",
    "edit": "Update",
    "delete": "Delete",
    "follow": "Follow",
    "block": "Block",
    "like": "Like",
    "boost": "Announce",
}


def _came(history: History, act: Act, peer: str) -> bool:
    """Was what an act says taken there?"""
    wanted = (_SAID_BY[act.verb], act.who)
    said = (item.document for item in history.about.get(act.what, ()) if item.to == peer)
    told = [document for document in said if (document["type"], document["actor"]) == wanted]
    return any(act.verb not in ("post", "edit") or act.words in document["object"]["content"] for document in told)


_OUTDATED_BY = {"post": ("delete",), "edit": ("edit", "delete")}
"""What leaves nothing to be said of an act, once it has come itself."""


def _came_or_is_outdated(history: History, act: Act, peer: str) -> bool:
    if _came(history, act, peer):
        return True
    by = _OUTDATED_BY.get(act.verb, ())
    later = history.of_work[act.what][history.of_work[act.what].index(act) + 1 :] if by else []
    return any(other.verb in by and other.who == act.who and _came(history, other, peer) for other in later)


def _dropped(known: Known) -> Iterator[Violation]:
    for act in known.history.acts:
        for peer in known.must_hear_of(act):
            if not _came_or_is_outdated(known.history, act, peer):
                yield Violation("dropped", act.what, f"{peer} never got what was said by: {_line(act)}")


def _answers_came(known: Known) -> Iterator[Violation]:
    """A peer goes by what it was answered: that is what our server must hold, too."""
    history, last = known.history, len(known.history.snapshots) - 1
    asked: dict[Pair, Act | None] = {}
    for act in history.acts:
        if act.who in history.peers and act.verb in ("follow", "unfollow"):
            asked[act.who, act.what] = act if act.verb == "follow" else None
    answered: dict[str, str] = {}
    for receipt in history.receipts:
        document = receipt.document
        if document["type"] in ("Accept", "Reject") and receipt.taken:
            answered[receipt.about] = document["type"]
    for (peer, artist), asking in asked.items():
        believed = "" if asking is None else {"Accept": "accepted", "Reject": ""}.get(answered.get(asking.id_, ""), "requested")
        held = history.snapshots[last][history.people[artist]].follows.get((peer, artist), "")
        if believed != held:
            yield Violation("follows", artist, f"{peer} believes to follow it: {believed or 'no'}; held there: {held or 'no'}")


def _same_words(known: Known) -> Iterator[Violation]:
    for id_, receipts in known.history.came.items():
        if len({receipt.body for receipt in receipts}) > 1:
            yield Violation("other words", id_, "the same id came with different words")


def _in_order(known: Known) -> Iterator[Violation]:
    """What one server says of one thing comes to a peer in the order in which it was said."""
    last: dict[tuple[str, str, str], tuple[tuple[int, int], str]] = {}
    seen: set[tuple[str, str, str]] = set()
    for receipt in known.history.receipts:
        document = receipt.document
        key = (receipt.to, receipt.via, document["id"])
        if not receipt.taken or key in seen:
            continue
        seen.add(key)
        thing, rank = _place(receipt)
        before = last.get((receipt.to, receipt.via, thing))
        if before is not None and before[0] > rank:
            yield Violation("order", thing, f"{receipt.to} heard {document['id']} after {before[1]}")
        last[receipt.to, receipt.via, thing] = (rank, document["id"])


def _place(receipt: Receipt) -> tuple[str, tuple[int, int]]:
    """The thing that is spoken of, and where in its life this is."""
    kind, id_, thing = receipt.document["type"], receipt.document["id"], receipt.about
    if kind == "Update":
        return thing, (1, int(id_.rpartition("/")[2]))
    if kind in ("Create", "Delete"):
        return thing, ({"Create": 0, "Delete": 2}[kind], 0)
    return (thing, (1, 0)) if kind == "Undo" else (id_, (0, 0))


def _to_nobody_else(known: Known) -> Iterator[Violation]:
    for receipt in known.history.receipts:
        if not _is_for(known, receipt):
            document = receipt.document
            yield Violation("not for them", receipt.about, f"{receipt.to} got {document['type']} {document['id']}")


def _is_for(known: Known, receipt: Receipt) -> bool:
    history, document = known.history, receipt.document
    kind, about = document["type"], receipt.about
    inner = document["object"] if isinstance(document["object"], dict) else {}
    if kind in ("Create", "Update", "Delete"):
        verb = {"Create": "post", "Update": "edit", "Delete": "delete"}[kind]
        said = [act for act in history.of_work.get(about, ()) if act.verb == verb]
        if verb == "edit":
            said = [act for act in said if act.words in inner["content"]]
        return any(act.who == document["actor"] and known.may_hear(receipt.to, act) for act in said)
    if kind in ("Accept", "Reject"):
        return bool(inner.get("actor") == receipt.to)
    target = str(inner.get("object", "")) if kind == "Undo" else about
    verb = {"Follow": "follow", "Block": "block", "Like": "like", "Announce": "boost"}.get(
        str(inner.get("type")) if kind == "Undo" else kind, ""
    )
    post = history.posts.get(target)
    if target == receipt.to or (post is not None and post.who == receipt.to):
        return True
    verbs = ("boost", "unboost") if verb == "boost" else ()
    # A boost of what was deleted is taken back by its server, at any time of a round.
    acts = [act for act in history.by_pair.get((document["actor"], target), ()) if act.verb in verbs]
    if kind == "Undo" and verb == "boost":
        acts += [act for act in history.of_work.get(target, ()) if act.verb == "delete"]
    late = [replace(act, ended=float("inf")) if kind == "Undo" else act for act in acts]
    return any(known.may_follow(receipt.to, document["actor"], act) for act in late)


def _as_counted(known: Known) -> Iterator[Violation]:
    """What our servers say of their deliveries is what came."""
    history = known.history
    hosts = {peer.split("/")[2] for peer in history.peers}
    got: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for receipt in history.receipts:
        if receipt.taken:
            got[receipt.via, receipt.document["id"], receipt.to.split("/")[2]].add(receipt.to)
    for side, state in history.snapshots[-1].items():
        for (id_, host), (delivered, failed) in state.sent.items():
            if failed:
                yield Violation("given up", id_, f"{side} gave it up for {host}")
            elif host in hosts and len(got[side, id_, host]) != delivered:
                yield Violation(
                    "count", id_, f"{side} says that {delivered} of {host} took it; they say {len(got[side, id_, host])}"
                )


# ------------------------------------------------------------------------------------------------- what servers hold


def _counts(side: str, state: State) -> Iterator[Violation]:
    likes, boosts = (Counter(what for _, what in held.elements()) for held in (state.likes, state.boosts))
    replies = Counter(work.answers for work in state.works.values() if work.answers is not None)
    for uri, work in state.works.items():
        shown = (work.likes, work.boosts, work.replies)
        held = (likes[uri], boosts[uri], replies[uri])
        if shown != held:
            yield Violation("doubled", uri, f"{side} counts {shown} likes, boosts and answers, and holds {held}")


def _works_agree(known: Known, number: int) -> Iterator[Violation]:
    history, states = known.history, known.history.snapshots[number]
    for uri, post in history.posts.items():
        acts = [act for act in history.of_work[uri] if act.round < number and act.verb in ("post", "edit", "delete")]
        if not acts or (acts[-1].round < number - 1 and number < len(history.snapshots) - 1):
            continue  # nothing was said of it in this round
        is_gone = acts[-1].verb == "delete"
        for side, state in states.items():
            home = history.people.get(post.who)
            held = state.works.get(uri)
            is_home = home == side
            must = [is_home or _side_must(known, side, act) for act in acts]
            if is_gone and held is not None and must[-1]:
                yield Violation("not deleted", uri, f"{side} still has it after round {number}")
            if is_gone:
                continue
            if held is None and must[0]:
                yield Violation("missing", uri, f"{side} does not have it after round {number}")
            if held is not None and must[-1] and acts[-1].words != held.words:
                yield Violation("stale", uri, f"{side} shows {held.words!r}, its author said {acts[-1].words!r}")
            is_secret = home is not None and not is_home and post.visibility in ("private", "direct")
            if held is not None and is_secret and not any(known.side_may_hear(side, act) for act in acts):
                yield Violation("not for them", uri, f"{side} has it")


def _side_must(known: Known, side: str, act: Act) -> bool:
    if act.who in known.history.people:
        return known.side_must_hear(side, act)
    # A peer's post, which was taken here: it is kept if somebody here follows the peer, or is named in it.
    people = [person for person, home in known.history.people.items() if home == side and not known.apart(person, act.who)]
    post = known.history.posts[act.what]
    return any(person in post.to or known.must_follow(person, act.who, act, float("inf")) for person in people)


def _relations_agree(known: Known, number: int) -> Iterator[Violation]:
    """Both servers say the same of who follows and who blocks whom."""
    history, states = known.history, known.history.snapshots[number]
    for one, home in history.people.items():
        for other, there in history.people.items():
            if home == there:
                continue
            here, far = states[home], states[there]
            if here.follows.get((one, other)) != far.follows.get((one, other)):
                told = f"{one} follows {other}: {here.follows.get((one, other))} at home, {far.follows.get((one, other))} there"
                yield Violation("follows", other, f"{told}, after round {number}")
            if ((one, other) in here.blocks) != ((one, other) in far.blocks):
                yield Violation("blocks", other, f"{one} blocks {other} on one of both servers only, after round {number}")


def _reactions_agree(known: Known, number: int) -> Iterator[Violation]:
    """A like or boost of an open work is held at home and where its author is, or in neither place."""
    history, states = known.history, known.history.snapshots[number]
    peers = {verb: _wishes(history, number, verb) for verb in ("like", "boost")}
    for uri, post in history.posts.items():
        home = history.people.get(post.who)
        if home is None or uri not in states[home].works or post.visibility not in ("public", "unlisted"):
            continue
        for verb in ("like", "boost"):
            held = states[home].likes if verb == "like" else states[home].boosts
            for person, there in history.people.items():
                if there == home or uri not in states[there].works or known.apart(person, post.who):
                    continue
                far = states[there].likes if verb == "like" else states[there].boosts
                if ((person, uri) in held) != ((person, uri) in far):
                    told = f"{(person, uri) in far} on their own server, {(person, uri) in held} where it was published"
                    yield Violation(f"{verb}s", uri, f"{person}: {told}, after round {number}")
            for peer in history.peers:
                wish = peers[verb].get((peer, uri), False)
                if wish != ((peer, uri) in held) and not known.apart(peer, post.who):
                    yield Violation(f"{verb}s", uri, f"{peer} said {wish}, held is {not wish}, after round {number}")


def _wishes(history: History, number: int, verb: str) -> dict[Pair, bool]:
    """What each peer said last, and was answered 202."""
    found: dict[Pair, bool] = {}
    for act in history.acts:
        if act.who in history.peers and act.round < number and act.verb in (verb, f"un{verb}"):
            found[act.who, act.what] = act.verb == verb
    return found
