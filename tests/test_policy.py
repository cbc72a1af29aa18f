"""The AI-art policy: what each preset says, by which rule, and that a revision is added and never edited."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fediart.config import AiPolicySettings, LocalSettings, RemoteSettings, ReserveSettings
from fediart.domain.declarations import Declaration
from fediart.domain.first_policy import first_policy
from fediart.domain.origin import Level, Origin, Signal
from fediart.domain.policy import (
    PRESETS,
    AiPolicy,
    LocalAction,
    PostSigns,
    Preset,
    RemoteAction,
    judge_post,
    judge_upload,
    with_preset,
)
from fediart.domain.reservations import Answer, Reservation, reservation_from, reservation_of, reservation_text
from fediart.errors import ConfigError
from fediart.office.adopt_policy import adopt_policy
from fediart.storage import policies
from tests.world import a_world


def _file(level: Level) -> Origin:
    return Origin((Signal(level, "iptc", f"It says {level}."),))


@pytest.mark.parametrize(
    ("preset", "actions", "declared", "hashtag"),
    [
        (Preset.HUMAN_ART, "reject hold ask allow", "hide_public", "label"),
        (Preset.LABEL_ONLY, "label label label allow", "label", "label"),
        (Preset.OPEN, "label allow allow allow", "label", "allow"),
    ],
)
def test_each_preset_is_its_row_of_the_table(preset: Preset, actions: str, declared: str, hashtag: str) -> None:
    policy = PRESETS[preset]
    levels = (Level.DECLARED, Level.GENERATOR, Level.ASSISTED, Level.HINT)
    assert [judge_upload(policy, Declaration.NONE, _file(level)).action.value for level in levels] == actions.split()
    for signs in (PostSigns("h", "a", self_label="ai-generated"), PostSigns("h", "a", level=Level.DECLARED)):
        assert judge_post(policy, signs).action == declared
    assert judge_post(policy, PostSigns("h", "a", hashtags=("aiart",))).action == hashtag
    assert policy.reserve.default == Reservation(Answer.DENY, Answer.DENY, Answer.ALLOW)
    assert policy.reserve.ask_artists == (preset == Preset.OPEN)


def test_an_artists_word_answers_what_parts_of_ai_ask_and_a_cleared_file_fires_nothing() -> None:
    policy = PRESETS[Preset.HUMAN_ART]
    assert judge_upload(policy, Declaration.DIGITAL, _file(Level.ASSISTED)).action == LocalAction.ALLOW
    assert judge_upload(policy, Declaration.PARTS_AI, _file(Level.ASSISTED)).action == LocalAction.LABEL
    assert judge_upload(policy, Declaration.DIGITAL, _file(Level.GENERATOR)).action == LocalAction.HOLD, "a word clears no file"
    assert judge_upload(policy, Declaration.DIGITAL, _file(Level.GENERATOR), is_cleared=True).action == LocalAction.ALLOW
    assert judge_upload(policy, Declaration.AI, Origin(), is_cleared=True).action == LocalAction.REJECT
    strict = replace(policy, local=replace(policy.local, require_origin_statement=True))
    assert judge_upload(strict, Declaration.NONE, Origin()).rule == "statement"
    assert judge_upload(policy, Declaration.NONE, _file(Level.DECLARED)).reason == "It says declared."


def test_a_post_is_judged_by_the_first_rule_that_fits() -> None:
    usual = PRESETS[Preset.HUMAN_ART]
    policy = replace(
        usual,
        remote=replace(
            usual.remote,
            domains={"ai.example": RemoteAction.FILTER, "bad.example": RemoteAction.REJECT},
            actors={"https://x.example/bot": RemoteAction.COLLAPSE},
        ),
    )

    def judged(host: str = "x.example", actor: str = "a", **signs: object) -> tuple[str, str]:
        verdict = judge_post(policy, PostSigns(host, actor, **signs))  # type: ignore[arg-type]
        return verdict.action.value, verdict.rule

    assert judged(moderated=RemoteAction.ALLOW, self_label="ai-generated") == ("allow", "moderator")
    assert judged(self_label="ai-generated", actor="https://x.example/bot") == ("hide_public", "self-label")
    assert judged(actor="https://x.example/bot", host="a.ai.example") == ("collapse", "actor")
    assert judged(host="a.ai.example", level=Level.DECLARED) == ("filter", "host"), "a rule holds for the names under it"
    assert judged(host="notai.example") == ("allow", "")
    assert judged(level=Level.GENERATOR, hashtags=("aiart",)) == ("hide_public", "file")
    assert judged(hashtags=("aiart",)) == ("label", "hashtag")
    assert judged(hashtags=("aiart",), self_label="no-generative-ai") == ("allow", "self-label")
    assert judged(host="ai.example", self_label="no-generative-ai") == ("filter", "host"), "a label is no way round a rule"
    assert judged(host="bad.example", self_label="ai-generated") == ("reject", "host")
    assert judged(level=Level.HINT) == ("allow", "")


def test_of_two_reservations_no_wins_and_the_nearest_choice_holds() -> None:
    instance, yes = Reservation(), Reservation(Answer.ALLOW, Answer.ALLOW, Answer.ALLOW, chosen_at=5)
    assert reservation_of(None, None, instance, may_change=True) == instance
    assert reservation_of(None, yes, instance, may_change=True) == yes
    assert reservation_of(instance, yes, instance, may_change=True) == instance
    held = reservation_of(yes, None, instance, may_change=False)
    assert (held.training, held.chosen_at) == (Answer.DENY, 5)
    assert reservation_from(reservation_text(yes)) == yes
    assert reservation_from(None) is None


def test_the_first_revision_is_the_settings_files_and_what_is_wrong_is_named() -> None:
    policy = first_policy(
        AiPolicySettings(preset="open", local=LocalSettings(hint="hold"), reserve=ReserveSettings(search="deny"))
    )
    assert (policy.local.declared, policy.local.hint) == (LocalAction.LABEL, LocalAction.HOLD)
    assert policy.reserve.search == Answer.DENY
    assert first_policy(AiPolicySettings()) == PRESETS[Preset.HUMAN_ART]
    tags = first_policy(AiPolicySettings(remote=RemoteSettings(hashtags=["#AIArt", "aiart", " "]))).remote.hashtags
    assert tags == ("aiart",)
    for settings, words in (
        (AiPolicySettings(preset="strict"), "ai_policy.preset must be one of human-art, label-only, open, not 'strict'."),
        (AiPolicySettings(local=LocalSettings(declared="hide")), "ai_policy.local.declared must be one of allow, label"),
        (AiPolicySettings(remote=RemoteSettings(domains={"a.b": "hide"})), 'ai_policy.remote.domains."a.b" must be one of'),
    ):
        with pytest.raises(ConfigError) as caught:
            first_policy(settings)
        assert words in caught.value.message


def test_a_preset_keeps_lists_and_limits() -> None:
    mine = replace(AiPolicy(), remote=replace(AiPolicy().remote, domains={"a": RemoteAction.FILTER}))
    changed = with_preset(mine, Preset.OPEN)
    assert changed.remote.domains == {"a": RemoteAction.FILTER}
    assert (changed.local, changed.remote.hashtag) == (PRESETS[Preset.OPEN].local, RemoteAction.ALLOW)


@pytest.mark.anyio
async def test_a_changed_policy_is_a_new_revision_and_outlives_a_restart(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        first = world.instance.policy
        assert (first.number, first.adopted_by) == (1, None)
        adopted = await adopt_policy(world.instance, with_preset(first, Preset.OPEN), None)
        assert adopted.number == 2
        held = await world.instance.storage.read(policies.policies_by_number)
        assert held == [adopted, first]
    async with a_world(tmp_path) as world:
        assert world.instance.policy == adopted, "the settings file has no word any more"
