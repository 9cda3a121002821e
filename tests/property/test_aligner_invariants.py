"""P1 to P9 on generated histories. A failure prints the smallest history that shows it as a timeline."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, note, settings

from tests.support.histories import History, histories
from tests.support.invariants import OF_ANY, OF_CALM, OF_UTTERANCES, Check

thorough = settings(max_examples=160, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("check", OF_CALM, ids=lambda check: check.__name__)
@thorough
@given(history=histories(calm=True))
def test_invariants_of_calm_histories(check: Check, history: History) -> None:
    note(history.timeline())
    check(history)


@pytest.mark.parametrize("check", OF_ANY, ids=lambda check: check.__name__)
@thorough
@given(history=histories(calm=False))
def test_invariants_of_any_history(check: Check, history: History) -> None:
    note(history.timeline())
    check(history)


@pytest.mark.parametrize("check", OF_CALM + OF_UTTERANCES, ids=lambda check: check.__name__)
@thorough
@given(history=histories(calm=True, utterances=True))
def test_invariants_of_calm_histories_cut_by_utterance(check: Check, history: History) -> None:
    note(history.timeline())
    check(history)


@pytest.mark.parametrize("check", OF_ANY, ids=lambda check: check.__name__)
@thorough
@given(history=histories(calm=False, utterances=True))
def test_invariants_of_any_history_cut_by_utterance(check: Check, history: History) -> None:
    note(history.timeline())
    check(history)
