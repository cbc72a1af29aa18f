"""What the policy says to a whole work, as a pure rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fediart.domain.declarations import Declaration
from fediart.domain.origin import Level, Origin, Signal, origin_from, origin_text
from fediart.domain.policy import PRESETS, LocalAction, Preset
from fediart.domain.policy import Review as ReviewRules
from fediart.domain.reviews import Decision, Review, ReviewKind, ReviewState, appeal_problem, deciding_problem
from fediart.domain.verdicts import JudgedPicture, evidence_lines, judge_work

HUMAN, LABEL, OPEN = (PRESETS[preset] for preset in (Preset.HUMAN_ART, Preset.LABEL_ONLY, Preset.OPEN))
NONE = Declaration.NONE


def says(level: Level, name: str = "", *, source: str = "iptc", is_cleared: bool = False) -> JudgedPicture:
    return JudgedPicture(name, Origin((Signal(level, source, f"It says {level}."),)), is_cleared)


def test_the_strictest_word_on_any_picture_holds_for_the_work_and_names_it() -> None:
    pictures = [JudgedPicture("a.png", Origin()), says(Level.GENERATOR, "b.png"), says(Level.ASSISTED, "c.png")]
    verdict = judge_work(HUMAN, NONE, pictures)
    assert (verdict.action, verdict.rule, verdict.reason) == (LocalAction.HOLD, "generator", "b.png: It says generator.")
    assert judge_work(HUMAN, NONE, [*pictures, says(Level.DECLARED, "d.png")]).action == LocalAction.REJECT
    assert judge_work(HUMAN, NONE, [says(Level.GENERATOR, "b.png")]).reason == "It says generator.", "one picture needs no name"
    assert judge_work(HUMAN, NONE, [says(Level.GENERATOR, is_cleared=True)]).action == LocalAction.ALLOW
    assert judge_work(HUMAN, Declaration.AI, []).action == LocalAction.ALLOW, "words are no pictures"
    strict = replace(HUMAN, local=replace(HUMAN.local, require_origin_statement=True))
    assert judge_work(strict, NONE, []).action == LocalAction.ALLOW
    assert judge_work(strict, NONE, [JudgedPicture("a", Origin()), JudgedPicture("b", Origin())]).rule == "statement"


@pytest.mark.parametrize(
    ("declaration", "levels", "label"),
    [
        (NONE, [Level.ASSISTED], "ai-assisted"),
        (NONE, [Level.ASSISTED, Level.GENERATOR], "ai-generated"),
        (Declaration.AI, [None], "ai-generated"),
        (Declaration.PARTS_AI, [None], "ai-assisted"),
        (Declaration.PARTS_AI, [Level.DECLARED], "ai-generated"),
        (Declaration.DIGITAL, [None], ""),
        (Declaration.DIGITAL, [Level.GENERATOR], "ai-generated"),
        (NONE, [Level.HINT], ""),
    ],
)
def test_a_work_carries_the_strongest_label(declaration: Declaration, levels: list[Level | None], label: str) -> None:
    verdict = judge_work(LABEL, declaration, [says(level) if level else JudgedPicture("", Origin()) for level in levels])
    assert (verdict.action, verdict.label) == (LocalAction.LABEL if label else LocalAction.ALLOW, label)


def test_a_moderators_word_comes_before_all() -> None:
    worst = [says(Level.DECLARED)]
    assert judge_work(HUMAN, Declaration.AI, worst, moderated="allow").action == LocalAction.ALLOW
    labelled = judge_work(HUMAN, Declaration.AI, worst, moderated="label", label="ai-assisted")
    assert (labelled.action, labelled.label) == (LocalAction.LABEL, "ai-assisted")
    assert judge_work(OPEN, NONE, [], moderated="reject").action == LocalAction.REJECT


def test_a_detector_may_only_hold_and_only_where_a_generators_picture_would_not_pass() -> None:
    suspected = says(Level.HINT, source="detector:oracle")
    held = judge_work(HUMAN, NONE, [suspected])
    assert (held.action, held.rule, held.reason) == (LocalAction.HOLD, "detector", ""), "what it says is not for the artist"
    assert evidence_lines(HUMAN, suspected.origin) == []
    assert judge_work(LABEL, NONE, [suspected]).action == LocalAction.ALLOW
    assert judge_work(OPEN, NONE, [suspected]).action == LocalAction.ALLOW
    assert judge_work(HUMAN, NONE, [replace(suspected, is_cleared=True)]).action == LocalAction.ALLOW
    strict = replace(HUMAN, local=replace(HUMAN.local, hint=LocalAction.REJECT))
    assert judge_work(strict, NONE, [suspected]).action == LocalAction.HOLD, "nor by the row for hints"
    both = Origin((*suspected.origin.signals, Signal(Level.DECLARED, "iptc", "It says declared.")))
    assert judge_work(HUMAN, NONE, [JudgedPicture("", both)]).action == LocalAction.REJECT


def test_a_hint_is_told_to_its_artist_only_where_the_policy_acts_on_it() -> None:
    hint = says(Level.HINT).origin
    assert evidence_lines(HUMAN, hint) == []
    assert evidence_lines(replace(HUMAN, local=replace(HUMAN.local, hint=LocalAction.ASK)), hint) == ["It says hint."]


def test_an_origin_comes_back_from_its_row() -> None:
    origin = Origin((Signal(Level.GENERATOR, "a1111", "It says „so“."),), "ab", "not verified")
    assert origin_from(origin_text(origin)) == origin


def a_review(**values: object) -> Review:
    usual: dict[str, object] = dict.fromkeys(Review.__dataclass_fields__, "")
    usual |= {"id": 1, "kind": ReviewKind.HELD, "actor_id": 5, "state": ReviewState.DECIDED, "decision": Decision.REMOVED}
    usual |= {"decided_at": 1000, "decided_by": 7, "earlier_id": None}
    return Review(**{**usual, **values})  # type: ignore[arg-type]


def test_a_decision_against_an_artist_is_asked_about_once_and_in_time() -> None:
    rules, day = ReviewRules(appeal_days=30), 86_400_000
    assert appeal_problem(a_review(), False, rules, 1000 + 30 * day) is None
    assert "30 days" in (appeal_problem(a_review(), False, rules, 1001 + 30 * day) or "")
    assert appeal_problem(a_review(), True, rules, 1000) is not None
    assert appeal_problem(a_review(decision=Decision.CLEARED), False, rules, 1000) is not None
    assert appeal_problem(a_review(decision=Decision.LABELLED), False, rules, 1000) is None
    assert appeal_problem(a_review(earlier_id=3), False, rules, 1000) is not None, "twice is enough"
    assert appeal_problem(None, False, rules, 1000) is None
    assert appeal_problem(None, True, rules, 1000) is not None


def test_who_decided_against_does_not_give_the_second_opinion_where_there_is_another() -> None:
    rules, appeal, first = ReviewRules(), a_review(kind=ReviewKind.APPEAL), a_review()
    assert deciding_problem(appeal, first, 7, 70, {8}, rules) is not None
    assert deciding_problem(appeal, first, 8, 80, {7}, rules) is None
    assert deciding_problem(appeal, first, 7, 70, set(), rules) is None, "who is alone decides"
    assert deciding_problem(appeal, first, 7, 70, {8}, ReviewRules(second_opinion=False)) is None
    assert deciding_problem(appeal, first, None, None, {8}, rules) is None, "the shell"
    assert deciding_problem(a_review(), None, 9, 5, {8}, rules) is not None, "a work of hers"
    assert deciding_problem(a_review(), None, 9, 5, set(), rules) is None
