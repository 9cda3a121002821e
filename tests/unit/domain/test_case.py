"""What may be done about a case, by whom and when."""

from __future__ import annotations

import pytest

from stream.domain.case import (
    CLAIM_MS,
    UNDO_MS,
    Actor,
    CaseRefusedError,
    CaseState,
    CaseStatus,
    Transition,
    acknowledging,
    claiming,
    deciding,
    releasing,
    snoozing,
    withdrawing,
)
from stream.domain.decision import Decision, Outcome

pytestmark = pytest.mark.unit

ANN, BOB, AL = Actor.named("supervisor", "ann"), Actor.named("moderator", "bob"), Actor.named("admin", "al")
DECISION = Decision(outcome=Outcome.FALSE_ALARM, policy="Section 3", reason="Firm.")


def after(status: CaseStatus, *steps: tuple[int, Transition]) -> CaseStatus:
    """The status after steps at times (ms)."""
    for now_ms, transition in steps:
        step = transition(status, now_ms)
        status = status if step is None else step.status
    return status


def test_a_claim_ends_by_itself_and_can_be_extended() -> None:
    claimed = after(CaseStatus(), (0, claiming(ANN)))
    assert claimed.state(CLAIM_MS - 1) is CaseState.CLAIMED
    assert claimed.state(CLAIM_MS) is CaseState.OPEN
    assert after(claimed, (1_000, claiming(ANN))).state(CLAIM_MS) is CaseState.CLAIMED
    assert after(claimed, (CLAIM_MS, claiming(BOB))).claim_at(CLAIM_MS) is not None


@pytest.mark.parametrize("step", [claiming(BOB), releasing(BOB), snoozing(BOB, 60_000), deciding(BOB, DECISION, "d")])
def test_nobody_works_on_anothers_case(step: Transition) -> None:
    with pytest.raises(CaseRefusedError, match="an admin works on this case until 00:05:00 UTC") as refused:
        after(CaseStatus(), (0, claiming(AL)), (1, step))
    assert refused.value.code == "claimed"


@pytest.mark.parametrize("step", [claiming(ANN), snoozing(ANN, 60_000), acknowledging(ANN), deciding(BOB, DECISION, "d")])
def test_a_decided_case_stays_decided(step: Transition) -> None:
    decided = after(CaseStatus(), (0, claiming(ANN)), (1, deciding(ANN, DECISION, "d")))
    with pytest.raises(CaseRefusedError, match="has decided this case"):
        step(decided, 2)
    assert deciding(ANN, DECISION, "again")(decided, 2) is None


def test_only_who_decided_can_undo_it_and_only_for_a_while() -> None:
    decided = after(CaseStatus(), (0, claiming(ANN)), (1, deciding(ANN, DECISION, "d")))
    with pytest.raises(CaseRefusedError, match="only who decided"):
        withdrawing(BOB)(decided, 2)
    with pytest.raises(CaseRefusedError, match="final"):
        withdrawing(ANN)(decided, 1 + UNDO_MS)
    assert after(decided, (UNDO_MS, withdrawing(ANN))).state(UNDO_MS) is CaseState.CLAIMED
    with pytest.raises(CaseRefusedError, match="no decision"):
        withdrawing(ANN)(CaseStatus(), 0)


def test_a_snooze_ends_by_itself_or_with_a_claim() -> None:
    snoozed = after(CaseStatus(), (0, snoozing(ANN, 60_000)))
    assert (snoozed.state(59_999), snoozed.state(60_000)) == (CaseState.SNOOZED, CaseState.OPEN)
    assert after(snoozed, (10, claiming(BOB)), (20, releasing(BOB))).state(30) is CaseState.OPEN
    for wrong in (0, -1, 25 * 3_600_000):
        with pytest.raises(ValueError, match="1 minute to 24 hours"):
            snoozing(ANN, wrong)


def test_a_pseudonym_tells_two_people_of_one_role_apart_without_a_name() -> None:
    first, second = Actor.named("moderator", "bob"), Actor.named("moderator", "eve")
    assert first != second
    assert "bob" not in repr(first)
