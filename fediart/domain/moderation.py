"""Who is kept away from whom: standing of actors, rules for hosts, reports, mutes and filters. Pure rules, no storage."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_COMMENT = 1_000
"""Of a report's words, in characters: what Mastodon takes."""
MAX_REPORTED = 40
"""Works in one report."""
MAX_CASES_OF_HOST, MAX_CASES_OF_PERSON = 200, 50
"""So many decisions may the open reports of another server, or of one person, ask for: moderators could otherwise be buried.
Each work that a report names is one, and a report that names none is one. A server's own actor speaks for all of its people."""
MAX_FILTERS, MAX_WORDS, MAX_WORD = 100, 100, 200
MAX_HOSTS = 20_000
MAX_SKIPPED = 1_000
"""Lines of a list that cannot be used, before the rest is left unread."""
"""Of one list of hosts that is read at once."""


class Standing(StrEnum):
    """What this server's moderators let an actor be here.

    LIMITED: only who follows them is shown their works and hears of them. SUSPENDED: they are not here for anyone.
    """

    GOOD = ""
    LIMITED = "limited"
    SUSPENDED = "suspended"


_SEVERITY = list(Standing)


def stricter(first: Standing, second: Standing) -> Standing:
    return max(first, second, key=_SEVERITY.index)


class HostAction(StrEnum):
    LIMIT = "limit"
    BLOCK = "block"

    @property
    def standing(self) -> Standing:
        """Of every actor of such a host."""
        return Standing.LIMITED if self == HostAction.LIMIT else Standing.SUSPENDED


@dataclass(frozen=True, slots=True)
class HostRule:
    """What holds for a host and every name under it. `private_note` is for moderators; `reason` may be shown to all.

    `by`: the account that made it, None from the shell.
    """

    host: str
    action: HostAction
    reason: str
    private_note: str
    is_public: bool
    at: int
    by: int | None = None


def names_above(host: str) -> list[str]:
    """The names under which a rule for this host may stand, nearest first: with its port, without, and what is above it."""
    bare = host if host.startswith("[") else host.partition(":")[0]
    names = [host] if bare != host else []
    if host.startswith("[") or re.fullmatch(r"[0-9.]+", bare):
        return [*names, bare]
    parts = bare.rstrip(".").split(".")
    return [*names, *(".".join(parts[start:]) for start in range(len(parts)))]


_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,62}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?(?::[0-9]{1,5})?")


def meant_host(typed: str) -> str | None:
    """The one spelling of a host that was typed or pasted: `https://Bad.example/about` means bad.example. None: it is none."""
    text = typed.strip().lower()
    text = re.sub(r"^[a-z]+://", "", text).split("/")[0].rpartition("@")[2].removeprefix("*.").rstrip(".")
    if not text.isascii():
        try:
            text = text.encode("idna").decode()
        except UnicodeError:
            return None
    return text if 0 < len(text) <= 253 and _HOST.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class HostRules:
    """All rules that hold."""

    by_host: Mapping[str, HostAction]

    def of(self, host: str) -> HostAction | None:
        """The nearest rule: one for a.bad.example beats one for bad.example."""
        return next((self.by_host[name] for name in names_above(host) if name in self.by_host), None)

    def blocks(self, host: str) -> bool:
        return bool(self.by_host) and self.of(host) == HostAction.BLOCK


NO_RULES = HostRules({})


# ------------------------------------------------------------------------------------------------- lists of hosts

CSV_HEADER = ("#domain", "#severity", "#reject_media", "#reject_reports", "#public_comment", "#obfuscate")
"""As Mastodon's pages export and import domain blocks: the field names are facts of the format."""

_SEVERITIES = {"suspend": HostAction.BLOCK, "silence": HostAction.LIMIT, "block": HostAction.BLOCK, "limit": HostAction.LIMIT}


@dataclass(frozen=True, slots=True)
class ReadHosts:
    """`skipped`: (line number, what stood there, why it was not taken), in words."""

    rules: tuple[HostRule, ...]
    skipped: tuple[tuple[int, str, str], ...]


def write_hosts(rules: Iterable[HostRule]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for rule in rules:
        severity = "suspend" if rule.action == HostAction.BLOCK else "silence"
        media = "true" if rule.action == HostAction.BLOCK else "false"
        writer.writerow([rule.host, severity, media, media, _as_words(rule.reason), "false"])
    return out.getvalue()


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _as_words(cell: str) -> str:
    """Spreadsheets compute what begins so: https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _as_meant(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _cells(text: str) -> Iterator[list[str] | None]:
    """Row by row; None, and nothing more, where it is no CSV any more."""
    lines = text.removeprefix("\ufeff").splitlines()
    try:
        yield from csv.reader(line[:4_000].replace("\x00", "") for line in lines)
    except csv.Error:
        yield None


def read_hosts(text: str, *, now: int, is_public: bool, by: int | None) -> ReadHosts:
    """A list with Mastodon's header, or one host a line. What cannot be used is said and skipped."""
    rules: dict[str, HostRule] = {}
    skipped: list[tuple[int, str, str]] = []
    columns: list[str] = ["domain", "severity", "public_comment"]
    for number, row in enumerate(_cells(text), start=1):
        if row is None:
            skipped.append((number, "the rest", "a quotation mark that nothing ends, or no list at all"))
            break
        if len(skipped) >= MAX_SKIPPED:
            skipped.append((number, row[0][:100] if row else "", "the rest was not read: too much of it cannot be used"))
            break
        if not row or not row[0].strip():
            continue
        if row[0].strip().lower() in ("#domain", "domain"):
            columns = [name.strip().lower().lstrip("#") for name in row]
            continue
        if row[0].lstrip().startswith("#"):
            continue
        if len(rules) >= MAX_HOSTS:
            skipped.append((number, row[0][:100], f"more than {MAX_HOSTS} hosts"))
            break
        held = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        host = meant_host(held.get("domain", ""))
        action = _SEVERITIES.get(held.get("severity", "").lower() or "suspend")
        if host is None:
            skipped.append((number, row[0][:100], "this is no host's name"))
        elif action is None:
            skipped.append((number, row[0][:100], f"severity {held['severity'][:40]!r} is neither suspend nor silence"))
        else:
            reason = _as_meant(held.get("public_comment", ""))[:MAX_COMMENT]
            rules[host] = HostRule(host, action, reason, "", is_public, now, by)
    return ReadHosts(tuple(rules.values()), tuple(skipped))


# -------------------------------------------------------------------------------------------------------- reports


class ReportCategory(StrEnum):
    AI_MADE = "ai-made"
    SPAM = "spam"
    VIOLATION = "violation"
    OTHER = "other"

    @property
    def in_words(self) -> str:
        return {
            ReportCategory.AI_MADE: "AI-made, and not said to be",
            ReportCategory.SPAM: "Spam",
            ReportCategory.VIOLATION: "Breaks a rule of this server",
            ReportCategory.OTHER: "Something else",
        }[self]


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody complains of; who did is never told. `uri`: of the Flag, of another server's. `state`: open, closed."""

    id: int
    reporter_id: int
    actor_id: int
    category: str
    comment: str
    uri: str | None
    forwarded: bool
    state: str
    created_at: int
    closed_at: int | None = None
    closed_by: int | None = None

    @property
    def about(self) -> str:
        """Its category in words."""
        return ReportCategory(self.category).in_words


@dataclass(frozen=True, slots=True)
class ReportOverflow:
    """What a host's reports asked for beyond `MAX_CASES_OF_HOST` and `_OF_PERSON`, and was not kept. Times in ms since 1970."""

    host: str
    left_out: int
    first_at: int
    last_at: int


# -------------------------------------------------------------------------------------------------------- filters


class Place(StrEnum):
    """Where works are listed for somebody: what is muted, limited or filtered is away there, or said so."""

    HOME = "home"
    PUBLIC = "public"
    THREAD = "thread"
    NOTIFICATIONS = "notifications"
    ACCOUNT = "account"


class FilterAction(StrEnum):
    WARN = "warn"
    HIDE = "hide"


@dataclass(frozen=True, slots=True)
class FilterWord:
    id: int
    word: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """`until`: ms since 1970, or None for good."""

    id: int
    actor_id: int
    title: str
    places: tuple[Place, ...]
    action: FilterAction
    until: int | None
    words: tuple[FilterWord, ...]


@dataclass(frozen=True, slots=True)
class FilterHit:
    """A filter that fits a work, and the words in it that do."""

    filter: Filter
    words: tuple[str, ...]


def hits(filters: Sequence[Filter], place: Place, words: str) -> tuple[FilterHit, ...]:
    """Which filters fit a text, compared without regard to case. A whole word has no letter or digit beside it."""
    folded = words.casefold()
    found = []
    for held in filters:
        if place not in held.places:
            continue
        fitting = tuple(word.word for word in held.words if _stands_in(word, folded))
        if fitting:
            found.append(FilterHit(held, fitting))
    return tuple(found)


def _stands_in(word: FilterWord, folded: str) -> bool:
    """No regular expression of somebody's words: each place is looked at, so it takes no longer than the text is long."""
    wanted = word.word.casefold()
    if not wanted:
        return False
    at = folded.find(wanted)
    while at != -1:
        end = at + len(wanted)
        before, after = folded[at - 1 : at] if at else "", folded[end : end + 1]
        begins = not (wanted[0].isalnum() and before.isalnum())
        ends = not (wanted[-1].isalnum() and after.isalnum())
        if not word.whole or (begins and ends):
            return True
        at = folded.find(wanted, at + 1)
    return False
