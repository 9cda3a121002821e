"""Decisions: what a person has to fill in, and the statement of reasons that comes of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream.domain.decision import Decision, DecisionRecord, Outcome, decision_message, statement_of_reasons
from tests.fakes.alerts import make_alert

pytestmark = pytest.mark.unit

PLAIN = {"outcome": "no_action", "policy": "Section 3", "reason": "Firm, not abusive."}
RESTRICTED = PLAIN | {
    "outcome": "restricted",
    "decision_visibility": ["DECISION_VISIBILITY_CONTENT_REMOVED"],
    "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
    "category": "STATEMENT_CATEGORY_CYBER_VIOLENCE",
}


def decoded(fields: dict[str, Any]) -> Decision:
    return msgspec.convert(fields, Decision)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policy": None}, "policy"),
        ({"policy": "   "}, "policy and a reason"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 2_001}, "reason"),
        ({"policy": "x" * 501}, "policy"),
        ({"decision_visibility": []}, "needs decision_visibility"),
        ({"decision_visibility": ["REMOVED"]}, "decision_visibility"),
        ({"decision_visibility": ["DECISION_VISIBILITY_CONTENT_REMOVED"] * 2}, "twice"),
        ({"decision_visibility": ["DECISION_VISIBILITY_OTHER"]}, "decision_visibility_other"),
        ({"decision_monetary": "DECISION_MONETARY_OTHER"}, "decision_monetary_other"),
        ({"decision_ground": None}, "decision_ground and category"),
        ({"category": None}, "decision_ground and category"),
        ({"category": "OTHER"}, "category"),
        ({"category_specification": ["hate"]}, "category_specification"),
        ({"territorial_scope": ["Germany"]}, "territorial_scope"),
        ({"decision_ground_reference_url": "javascript:alert(1)"}, "decision_ground_reference_url"),
        ({"application_date": "today"}, "application_date"),
        ({"end_date_account_restriction": "2027-01-01"}, "needs a restriction of that kind"),
        ({"application_date": "2027-01-01", "end_date_visibility_restriction": "2026-12-31"}, "before application_date"),
        ({"outcome": "no_action"}, "only with the outcome restricted"),
        ({"verdict": "guilty"}, "unknown field"),
    ],
)
def test_an_incomplete_or_contradictory_decision_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        decoded({name: value for name, value in (RESTRICTED | change).items() if value is not None})


def test_policy_and_reason_are_enough_where_nothing_is_restricted() -> None:
    decision = decoded(PLAIN)
    assert decision.outcome is Outcome.NO_ACTION
    assert statement_of_reasons(decision, make_alert().statement, 0) is None


def test_the_statement_has_the_machines_fields_and_the_persons() -> None:
    statement = statement_of_reasons(decoded(RESTRICTED), make_alert().statement, 1_795_950_000_000)
    assert statement is not None
    assert list(statement["decision_visibility"]) == ["DECISION_VISIBILITY_CONTENT_REMOVED"]
    assert statement["incompatible_content_ground"] == "Section 3"
    assert statement["incompatible_content_explanation"] == "Firm, not abusive."
    assert statement["automated_detection"] == "Yes"
    assert statement["automated_decision"] == "AUTOMATED_DECISION_NOT_AUTOMATED"
    assert statement["decision_facts"].startswith("The score")
    assert statement["application_date"] == "2026-11-29"
    assert "policy" not in statement
    illegal = statement_of_reasons(
        decoded(RESTRICTED | {"decision_ground": "DECISION_GROUND_ILLEGAL_CONTENT", "decision_facts": "Corrected."}), None, 0
    )
    assert illegal is not None
    assert (illegal["illegal_content_legal_ground"], illegal["decision_facts"]) == ("Section 3", "Corrected.")


def test_a_decision_always_gives_the_same_message() -> None:
    alert = make_alert()
    record = DecisionRecord(
        decision_id="0123",
        tenant=alert.tenant,
        session=alert.session,
        track=alert.track,
        window_id=alert.window_id,
        alert_id=alert.alert_id,
        rule=alert.rule,
        rule_version=alert.rule_version,
        severity=alert.severity,
        outcome=Outcome.NO_ACTION,
        policy="Section 3",
        reason="Firm.",
        role="supervisor",
        decided_at_ms=1_796_000_000_000,
        statement=None,
        contest="",
        audit_sequence=7,
        audit_hash="0" * 64,
    )
    key, value, headers = decision_message(record)
    assert key == b"default/call-1"
    assert msgspec.json.decode(value, type=DecisionRecord) == record
    assert dict(headers)["ce_id"] == b"0123"
    assert decision_message(record) == (key, value, headers)
