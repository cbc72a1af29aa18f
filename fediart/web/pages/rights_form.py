"""The part of a form in which an artist says what is reserved and allowed: the same for all works, for a draft, for one work."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import FormData

from fediart.domain import signals
from fediart.domain.choices import Choices
from fediart.domain.licences import Licence, Licensing, licensing_from
from fediart.domain.policy import AiPolicy
from fediart.domain.reservations import Answer, Reservation, reservation_from
from fediart.domain.terms import terms_of_artist
from fediart.domain.works import Work
from fediart.web.pages.forms import text

QUESTIONS = (
    ("training", "AI may be trained on it"),
    ("ai_input", "AI may be given it to answer with"),
    ("search", "Search engines may list it"),
)


@dataclass(frozen=True, slots=True)
class RightsForm:
    """What a form shows. `own`: the answers chosen here, or None. `usual`: what holds then, and `usually`: why."""

    own: Reservation | None
    usual: Reservation
    usually: str
    licensing: Licensing | None
    usual_licence: str
    may_change: bool

    @property
    def shown(self) -> Reservation:
        return self.own or self.usual

    @property
    def licences(self) -> list[Licence]:
        return list(Licence)

    @property
    def questions(self) -> list[tuple[str, str, bool, bool]]:
        """(name, words, is it allowed, may it be changed)."""
        shown = self.shown
        return [
            (
                name,
                words,
                getattr(shown, name) == Answer.ALLOW,
                self.may_change or getattr(self.usual, name) == Answer.ALLOW,
            )
            for name, words in QUESTIONS
        ]


def form_for_all(choices: Choices, policy: AiPolicy) -> RightsForm:
    reserve = policy.reserve
    return RightsForm(
        choices.reservation,
        reserve.default,
        "As this server says",
        choices.licensing or Licensing(),
        "",
        reserve.artist_may_change,
    )


def form_for_work(work: Work, choices: Choices | None, policy: AiPolicy) -> RightsForm:
    usual = terms_of_artist(choices, policy)
    return RightsForm(
        reservation_from(work.reservation),
        usual.reservation,
        "As for all my works",
        licensing_from(work.licence, work.licence_text),
        usual.licensing.licence.words,
        policy.reserve.artist_may_change,
    )


def is_answered(form: FormData) -> bool:
    """Does the form have this part at all?"""
    return "reserve" in form


def said_reservation(form: FormData) -> Reservation | None:
    """None: as usual. Not dated."""
    if text(form, "reserve") != "own":
        return None
    answers = [Answer.ALLOW if text(form, name) else Answer.DENY for name, _ in QUESTIONS]
    return Reservation(answers[0], answers[1], answers[2])


def said_licensing(form: FormData) -> Licensing | None:
    return licensing_from(text(form, "licence"), text(form, "licence_text").replace("\r\n", "\n").strip())


def told_to_machines(reservation: Reservation, policy: AiPolicy, base_url: str, licence: Licensing) -> list[tuple[str, str]]:
    """(where it is said, what is said): what a choice really changes."""
    reserve = policy.reserve
    names = {"x-robots-tag": "X-Robots-Tag", "tdm-reservation": "TDM-Reservation", "tdm-policy": "TDM-Policy"}
    names |= {"content-usage": "Content-Usage (AIPREF)", "content-signal": "Content-Signal", "link": "Link (RSL)"}
    said = [(names[name], value) for name, value in signals.headers_of(reservation, reserve, base_url)]
    if reserve.embed_xmp:
        said.append(("In the file of each picture (IPTC and PLUS)", f"DataMining: {signals.data_mining(reservation)}"))
    said.append(("To other servers (ActivityPub)", f"contentUsage: {signals.content_usage(reservation)}"))
    said.append(("License, to other servers", licence.licence.url or "your page of rights"))
    return said
