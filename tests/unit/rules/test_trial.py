"""A trial says how often rules hold, how often windows say nothing, and how many alerts an hour brings."""

from __future__ import annotations

from stream.rules.trial import try_rules
from tests.fakes.results import make_explanation, make_score
from tests.support.rules import alerts_of, rule_set


def test_a_trial_finds_the_alerts_that_a_worker_raises() -> None:
    scores = [make_score(4000 + 2000 * n, points) for n, points in enumerate((4.0, 1.0, None, 4.0, 2.5, 1.0))]
    finals = [(score, make_explanation(score)) for score in scores]
    trial = try_rules(rule_set(), [*finals, *((s, make_explanation(s)) for s in [make_score(4000, 0.0, track="agent")])])
    assert trial.alerts == alerts_of(finals)
    assert (trial.windows, trial.media_ms) == (7, 14_000)
    words, third = trial.rules
    assert (words.windows, words.held, words.undecided, words.raised, words.cleared) == (7, 2, 1, 2, 2)
    assert (words.lowest, words.highest) == (0.0, 4.0)
    assert (third.raised, third.undecided) == (2, 0)
    assert trial.per_hour == round(4 * 3600 / 14, 1)


def test_a_trial_without_windows_finds_nothing() -> None:
    assert try_rules(rule_set(), []).per_hour == 0.0
