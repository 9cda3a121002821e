"""P1 to P10 on generated histories. A failure prints the smallest history that shows it as a timeline."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, note, settings

from tests.support.histories import History, histories
from tests.support.invariants import ANY_CHECKS, LOSSLESS_CHECKS, UTTERANCE_CHECKS, Check

thorough = settings(max_examples=160, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("check", LOSSLESS_CHECKS, ids=lambda check: check.__name__)
@thorough
@given(history=histories(lossless=True))
def test_invariants_of_lossless_histories(check: Check, history: History) -> None:
    note(history.timeline())
    check(history)


@pytest.mark.parametrize("check", ANY_CHECKS, ids=lambda check: check.__name__)
@thorough
@given(history=histories(lossless=False))
def test_invariants_of_any_history(check: Check, history: History) -> None:
    note(history.timeline())
    check(history)


@pytest.mark.parametrize("check", LOSSLESS_CHECKS + UTTERANCE_CHECKS, ids=lambda check: check.__name__)
@thorough
@given(history=histories(lossless=True, utterances=True))
def test_invariants_of_lossless_histories_with_utterance_windows(check: Check, history: History) -> None:
    note(history.timeline())
    check(history)


@pytest.mark.parametrize("check", ANY_CHECKS, ids=lambda check: check.__name__)
@thorough
@given(history=histories(lossless=False, utterances=True))
def test_invariants_of_any_history_with_utterance_windows(check: Check, history: History) -> None:
    note(history.timeline())
    check(history)
