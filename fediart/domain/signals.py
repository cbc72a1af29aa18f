"""A reservation in the words of each standard that machines read: written and, of what others send, read. Names and values only.

X-Robots-Tag with DeviantArt's noai and noimageai, and noarchive, which Bing and Amazon read as no to training ·
TDMRep, https://www.w3.org/community/reports/tdmrep · AIPREF, draft-ietf-aipref-vocab and -attach · Content Signals,
https://contentsignals.org · RSL 1.0, https://rslstandard.org · PLUS data mining, http://ns.useplus.org/ldf/vocab
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from fediart.domain.policy import Reserve
from fediart.domain.reservations import Answer, Reservation

TDM_POLICY = "/tdm-policy.json"
TDM_RULES = "/.well-known/tdmrep.json"
RSL = "/license.xml"
RSL_TYPE = "application/rsl+xml"

OPEN = Reservation(Answer.ALLOW, Answer.ALLOW, Answer.ALLOW)
CLOSED = Reservation(Answer.DENY, Answer.DENY, Answer.ALLOW)
"""What reserves everything against AI, and lets itself be found."""


def robots_words(reservation: Reservation) -> str:
    """Of X-Robots-Tag and the robots meta tag; '' where nothing is reserved."""
    said = []
    if reservation.training == Answer.DENY:
        said += ["noai", "noimageai"]
    if reservation.is_reserved:
        said.append("noarchive")
    if reservation.search == Answer.DENY:
        said.append("noindex")
    return ", ".join(said)


def content_usage(reservation: Reservation) -> str:
    """AIPREF's dictionary. Its vocabulary has training and search only. Search is named where it is refused."""
    said = f"train-ai={_token(reservation.training)}"
    return said + ", search=n" if reservation.search == Answer.DENY else said


def content_signal(reservation: Reservation) -> str:
    answers = (("search", reservation.search), ("ai-input", reservation.ai_input), ("ai-train", reservation.training))
    return ", ".join(f"{name}={'yes' if answer == Answer.ALLOW else 'no'}" for name, answer in answers)


def tdm_reservation(reservation: Reservation) -> int:
    return 1 if reservation.is_reserved else 0


def data_mining(reservation: Reservation) -> str:
    """PLUS's word for what a picture's file says."""
    if reservation.search == Answer.DENY and reservation.is_reserved:
        return "DMI-PROHIBITED"
    if reservation.training == Answer.DENY and reservation.ai_input == Answer.DENY:
        return "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING"
    if reservation.training == Answer.DENY:
        return "DMI-PROHIBITED-AIMLTRAINING"
    if reservation.ai_input == Answer.DENY or reservation.search == Answer.DENY:
        return "DMI-PROHIBITED-SEECONSTRAINT"
    return "DMI-ALLOWED"


def rsl_usages(reservation: Reservation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(permitted, prohibited) in RSL's words."""
    if reservation.training == reservation.ai_input == Answer.DENY:
        permitted, prohibited = [], ["ai-all"]
    else:
        answers = (("ai-train", reservation.training), ("ai-input", reservation.ai_input))
        permitted = [name for name, answer in answers if answer == Answer.ALLOW]
        prohibited = [name for name, answer in answers if answer == Answer.DENY]
    (permitted if reservation.search == Answer.ALLOW else prohibited).append("search")
    return tuple(permitted), tuple(prohibited)


@lru_cache(256)
def headers_of(reservation: Reservation, reserve: Reserve, base_url: str) -> tuple[tuple[str, str], ...]:
    """The headers of an answer, as far as the policy has them sent. A Link stands beside other Links."""
    said = [("x-robots-tag", robots_words(reservation))]
    if reserve.tdmrep:
        said.append(("tdm-reservation", str(tdm_reservation(reservation))))
        said.append(("tdm-policy", base_url + TDM_POLICY if reservation.is_reserved else ""))
    said += [("content-usage", content_usage(reservation)), ("content-signal", content_signal(reservation))]
    if reserve.rsl:
        said.append(("link", f'<{base_url}{RSL}>; rel="license"; type="{RSL_TYPE}"'))
    return tuple((name, value) for name, value in said if value)


def _token(answer: Answer) -> str:
    return "y" if answer == Answer.ALLOW else "n"


# ------------------------------------------------------------------------------------------------- what others send

MOST = 2_000
"""So many characters of a header are looked at."""

_NO = {"n", "no", "disallow", "?0"}
_DENIED_BY_PLUS = {
    "DMI-PROHIBITED-AIMLTRAINING": Reservation(Answer.DENY, Answer.ALLOW, Answer.ALLOW),
    "DMI-PROHIBITED-GENAIMLTRAINING": Reservation(Answer.DENY, Answer.ALLOW, Answer.ALLOW),
    "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING": CLOSED,
    "DMI-PROHIBITED": Reservation(Answer.DENY, Answer.DENY, Answer.DENY),
    # Whatever the constraint says, which no program can know: as if it said no.
    "DMI-PROHIBITED-SEECONSTRAINT": CLOSED,
    "DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR": CLOSED,
    "DMI-PROHIBITED-SEELINKEDRIGHTSEXPR": CLOSED,
}


def read_headers(headers: Mapping[str, str]) -> Reservation | None:
    """What an answer of another server reserves; None: nothing. Names in lower case. Whatever is not understood says nothing.

    A word that holds for one agent only is taken to hold for all: in doubt a copy is reserved.
    """
    words = set(re.findall(r"[a-z]+", headers.get("x-robots-tag", "")[:MOST].lower()))
    usage = read_usage(headers.get("content-usage", ""))
    signal = _pairs(headers.get("content-signal", ""))
    said = [
        usage,
        denying(
            training=bool(words & {"noai", "noimageai"}) or signal.get("ai-train") in _NO,
            ai_input=signal.get("ai-input") in _NO,
            search=bool(words & {"noindex"}) or signal.get("search") in _NO,
        ),
        denying(training=True, ai_input=True) if headers.get("tdm-reservation", "")[:MOST].strip() == "1" else None,
    ]
    return together(said)


def read_usage(text: str) -> Reservation | None:
    """AIPREF's dictionary, with the spellings of its drafts."""
    pairs = _pairs(text)
    training = any(pairs.get(name) in _NO for name in ("train-ai", "train-genai", "ai", "genai", "tdm"))
    return denying(training=training, ai_input=pairs.get("ai-use") in _NO, search=pairs.get("search") in _NO)


def read_data_mining(name: str) -> Reservation | None:
    """PLUS's word in a file, with or without the vocabulary's address before it."""
    return _DENIED_BY_PLUS.get(name[:MOST].strip().rpartition("/")[2])


def denying(*, training: bool = False, ai_input: bool = False, search: bool = False) -> Reservation | None:
    """None: it denies nothing."""
    answers = [Answer.DENY if no else Answer.ALLOW for no in (training, ai_input, search)]
    return Reservation(answers[0], answers[1], answers[2]) if Answer.DENY in answers else None


def together(said: list[Reservation | None]) -> Reservation | None:
    """The strictest of what was said; None: nothing was."""
    held: Reservation | None = None
    for one in said:
        held = one if held is None else held if one is None else held.stricter(one)
    return held


def _pairs(text: str) -> dict[str, str]:
    """`a=n, b=yes` as a dictionary, of the first value of each name."""
    found: dict[str, str] = {}
    for part in text[:MOST].lower().split(","):
        name, _, value = part.partition("=")
        found.setdefault(name.strip(), value.partition(";")[0].strip().strip('"'))
    return found
