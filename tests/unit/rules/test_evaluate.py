"""Windows in, alerts out: what an alert says, and that replays and other epochs change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from stream.domain.alert import AlertMode, AlertRecord, AlertState, Severity
from stream.domain.evidence import WordClaim
from stream.domain.modality import Modality
from stream.domain.result import ExplanationRecord, ScoreRecord, decode_record, encode_record
from stream.explain.text_view import alert_without_text
from stream.rules.evaluate import RuleSet, TrackRules, decode_track_rules, encode_track_rules
from stream.rules.read import read_rules
from tests.fakes.results import make_explanation, make_score

RULES = """
contest: Write to us.
rules:
  - name: low
    title: It is low
    text: The score is -1.0 or less.
    value: score
    threshold: -1.0
    clear_at: 0.0
    when: value <= threshold
    clear: value >= clear_at
    for: 2s
    severity: high
    respond: Look.
    policy: House rules 2
    category: STATEMENT_CATEGORY_CYBER_VIOLENCE
  - name: refund
    title: A refund
    text: The word refund.
    when: "'refund' in words"
    mode: shadow
    roles: [customer]
"""


@pytest.fixture
def rules(tmp_path: Path) -> RuleSet:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return RuleSet(read_rules(file))


Final = tuple[ScoreRecord, ExplanationRecord]


def final(end_ms: int, score: float | None, text: str = "a refund", *, epoch: int = 0, track: str = "customer") -> Final:
    record = structs.replace(make_score(end_ms, score, epoch=epoch, track=track, role=track), media_end_at_ms=1_795_341_660_000 + end_ms)
    sentence = f"The customer is negative: “{text}”. The voice is calm." if text else "The voice is calm."
    explanation = structs.replace(
        make_explanation(record, sentence),
        claims=(WordClaim(text, end_ms - 1000, end_ms, -1.25, "neutral"),) if score is not None and text else (),
    )
    return record, explanation


def run(rules: RuleSet, *windows: Final, state: TrackRules | None = None) -> list[AlertRecord]:
    found: list[AlertRecord] = []
    for window in windows:
        evaluation = rules.evaluate(state, *window)
        # As in Redis: the state survives as JSON.
        state = decode_track_rules(encode_track_rules(evaluation.state))
        found += evaluation.alerts
    return found


def test_an_alert_says_what_happened_and_why(rules: RuleSet) -> None:
    [alert] = [a for a in run(rules, final(4000, -1.5), final(6000, -1.2), final(8000, -0.5)) if a.rule == "low"]
    assert alert.alert_id == alert.raised_id == "default/call-1/customer/0-6000~low"
    assert (alert.state, alert.severity, alert.mode) == (AlertState.RAISED, Severity.HIGH, AlertMode.LIVE)
    assert (alert.value, alert.threshold, alert.clear_at) == (-1.2, -1.0, 0.0)
    assert (alert.since_ms, alert.start_ms, alert.end_ms, alert.at_ms) == (0, 2000, 6000, 1_795_341_666_000)
    assert alert.evidence.sentence.startswith("The customer is negative")
    assert alert.evidence.claims[0].text == "a refund"
    assert alert.evidence.values == {"score": -1.2}
    assert decode_record(encode_record(alert)) == alert


def test_a_rule_that_names_the_second_word_says_nothing_of_a_window_with_one_word(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules: [{name: second, title: A word, text: Refund., when: \"size(words) > 0 && words[1] == 'refund'\"}]")
    rules = RuleSet(read_rules(file))
    alerts = run(rules, final(4000, None, ""), final(6000, 1.0, "a refund"), final(8000, 1.0, "so"), final(10_000, 1.0, "so much"))
    assert [(alert.end_ms, alert.state) for alert in alerts] == [(6000, AlertState.RAISED), (10_000, AlertState.CLEARED)]


def test_the_statement_of_reasons_is_a_draft_with_the_names_of_the_database(rules: RuleSet) -> None:
    alert = run(rules, final(4000, -1.5, ""), final(6000, -1.2))[0]
    statement = alert.statement
    assert statement is not None
    assert statement.puid.replace("-", "").replace("_", "").isalnum()
    assert statement.content_type == ("CONTENT_TYPE_TEXT", "CONTENT_TYPE_AUDIO", "CONTENT_TYPE_VIDEO")
    assert (statement.content_date, statement.content_language) == ("2026-11-22", "EN")
    assert (statement.automated_detection, statement.automated_decision) == ("Yes", "AUTOMATED_DECISION_NOT_AUTOMATED")
    assert (statement.category, statement.policy, statement.contest) == (
        "STATEMENT_CATEGORY_CYBER_VIOLENCE",
        "House rules 2",
        "Write to us.",
    )
    for part in ("Evidence:", "Modalities:", "Risk: high.", "Decision: the rule low", alert.rule_version, "Suggested response: Look."):
        assert part in statement.decision_facts


def test_the_facts_are_never_longer_than_the_database_takes(rules: RuleSet) -> None:
    alert = run(rules, final(4000, -1.5, ""), final(6000, -1.2, "word " * 2000))[0]
    assert alert.statement is not None
    assert len(alert.statement.decision_facts) == 5000


def test_an_alert_and_its_end_share_the_id_under_which_it_was_raised(rules: RuleSet) -> None:
    windows = [final(end, score, "") for end, score in ((4000, -1.5), (6000, -1.2), (8000, -0.5), (10_000, 0.5))]
    raised, cleared = run(rules, *windows)
    assert (raised.state, cleared.state) == (AlertState.RAISED, AlertState.CLEARED)
    assert cleared.alert_id == "default/call-1/customer/0-10000~low"
    assert cleared.raised_id == raised.alert_id
    assert (cleared.since_ms, cleared.statement) == (raised.since_ms, None)


def test_a_window_without_a_score_leaves_a_rule_about_scores_as_it_is(rules: RuleSet) -> None:
    windows = [final(4000, -1.5, ""), final(6000, None, ""), final(8000, -1.5, "")]
    assert [alert.end_ms for alert in run(rules, *windows)] == [8000]


def test_rules_look_at_the_tracks_of_their_roles(rules: RuleSet) -> None:
    assert [a.rule for a in run(rules, final(4000, 0.0))] == ["refund"]
    assert run(rules, final(4000, 0.0, track="agent")) == []


def test_a_replayed_window_changes_nothing(rules: RuleSet) -> None:
    state = rules.evaluate(None, *final(4000, -1.5)).state
    for end_ms in (2000, 4000):
        again = rules.evaluate(state, *final(end_ms, 1.0))
        assert (again.state, again.alerts) == (state, ())


def test_an_epoch_begins_anew(rules: RuleSet) -> None:
    state = rules.evaluate(None, *final(4000, -1.5)).state
    after = rules.evaluate(state, *final(4000, -1.5, epoch=1)).state
    assert (after.epoch, after.history.windows, after.rules["low"].since_ms) == (1, 1, 0)


def test_a_rule_that_was_changed_begins_anew(rules: RuleSet, tmp_path: Path) -> None:
    file = tmp_path / "changed.yaml"
    file.write_text(RULES.replace("threshold: -1.0", "threshold: -0.9"))
    changed = RuleSet(read_rules(file))
    state = rules.evaluate(None, *final(4000, -1.5, "")).state
    assert [a.rule for a in rules.evaluate(state, *final(6000, -1.5, "")).alerts] == ["low"]
    assert changed.evaluate(state, *final(6000, -1.5, "")).alerts == ()


def test_words_can_be_taken_out_of_an_alert(rules: RuleSet) -> None:
    for alert in run(rules, final(4000, -1.5, "secret"), final(6000, -1.5, "a secret refund")):
        without = alert_without_text(alert)
        assert "secret" not in encode_record(without).decode()
        assert without.statement is not None
        assert "Decision: the rule" in without.statement.decision_facts
        assert without.evidence.claims[0].effect == -1.25


@pytest.mark.parametrize("text", ["fine. secret. fine", "a “ secret", "a ” secret. secret", "secret " * 900, "secret."])
def test_no_word_stays_whatever_was_said(rules: RuleSet, text: str) -> None:
    # The sentence of an explanation keeps letters and digits of a quotation alone, so it is not in question here.
    score, explanation = final(6000, -1.5, text)
    windows = final(4000, -1.5, ""), (score, structs.replace(explanation, sentence="The voice is calm."))
    for alert in run(rules, *windows):
        assert "secret" in encode_record(alert).decode()
        assert "secret" not in encode_record(alert_without_text(alert)).decode()


def test_without_shown_words_an_alert_has_none(rules: RuleSet) -> None:
    record, explanation = final(4000, -1.5)
    hidden = structs.replace(explanation, sentence="The voice is calm.", claims=(structs.replace(explanation.claims[0], text=""),))
    found = run(rules, (record, hidden), final(6000, -1.5, ""))
    assert [alert.rule for alert in found] == ["low"]
    assert "refund" not in encode_record(found[0]).decode()
    assert found[0].evidence.modalities_present == (Modality.TEXT, Modality.AUDIO, Modality.VIDEO)
