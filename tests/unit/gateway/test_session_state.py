"""The state of a session, from its records."""

from __future__ import annotations

import pytest

from stream.domain.alert import AlertMode, AlertState, Severity
from stream.domain.result import SessionRecord
from stream.explain.session_summary import summarise
from stream.gateway.disclosure import Disclosed
from stream.gateway.session_state import LiveSession, trend
from stream.gateway.views import HISTORY, SessionPhase, TrackState
from tests.fakes.alerts import make_alert
from tests.fakes.results import SESSION, make_explanation, make_partial, make_score

ALL = Disclosed(words=True, alerts=True)
NO_WORDS = Disclosed(words=False, alerts=False)
QUOTING = "The customer seems negative (-1.5), above all because of the words: “never again”. Nothing else stands out."
QUIET_MS = 15_000


def session(*scores: float | None, epoch: int = 0) -> LiveSession:
    live = LiveSession(SESSION)
    for number, score in enumerate(scores, start=1):
        live.add(make_score(2000 + 2000 * number, score, epoch=epoch), 1000 * number)
    return live


def track(live: LiveSession, disclosed: Disclosed = ALL, *, new_points_only: bool = False) -> TrackState:
    return live.state(SessionPhase.LIVE, disclosed, new_points_only=new_points_only).tracks[0]


def summary(live_scores: list[float], epoch: int = 0) -> SessionRecord:
    return summarise(SESSION, epoch, [make_score(2000 + 2000 * number, score) for number, score in enumerate(live_scores, start=1)])


def test_a_track_has_its_newest_result_and_its_line() -> None:
    found = track(session(0.5, None, -0.5))
    assert (found.end_ms, found.score, found.is_final) == (8000, -0.5, True)
    assert found.history == ((4000, 0.5), (6000, None), (8000, -0.5))
    assert found.session_mean == 0.0


def test_a_partial_result_is_the_newest_but_no_point() -> None:
    live = session(0.5)
    live.add(make_partial(6000, -1.0), 2000)
    found = track(live)
    assert (found.end_ms, found.score, found.is_final) == (6000, -1.0, False)
    assert found.history == ((4000, 0.5),)
    assert found.session_mean == 0.5


def test_a_line_is_bounded() -> None:
    found = track(session(*[0.0] * (HISTORY + 20)))
    assert len(found.history) == HISTORY


def test_a_batch_has_only_new_points() -> None:
    live = session(0.1, 0.2)
    live.mark_sent()
    assert track(live, new_points_only=True).history == ()
    live.add(make_score(8000, 0.3), 4000)
    assert track(live, new_points_only=True).history == ((8000, 0.3),)
    assert len(track(live).history) == 3


def test_a_new_epoch_begins_a_new_line() -> None:
    live = session(0.5, 0.5)
    live.mark_sent()
    live.add(make_score(4000, -1.0, epoch=1), 9000)
    found = live.state(SessionPhase.LIVE, ALL, new_points_only=True)
    assert found.epoch == 1
    assert found.tracks[0].history == ((4000, -1.0),)
    assert found.tracks[0].session_mean == -1.0


def test_without_the_permission_nobody_is_quoted() -> None:
    live = LiveSession(SESSION)
    score = make_score(4000, -1.5)
    live.add(score, 0)
    live.add(make_explanation(score, QUOTING), 0)
    assert track(live).sentence == QUOTING
    assert "never again" not in track(live, NO_WORDS).sentence
    assert "-1.5" in track(live, NO_WORDS).sentence


def test_a_session_is_live_then_quiet() -> None:
    live = session(0.5)
    assert live.phase(1000 + QUIET_MS - 1, QUIET_MS) is SessionPhase.LIVE
    assert live.phase(1000 + QUIET_MS, QUIET_MS) is SessionPhase.QUIET
    live.add(make_score(6000, 0.5), 1000 + QUIET_MS)
    assert live.phase(1000 + QUIET_MS, QUIET_MS) is SessionPhase.LIVE


def test_a_session_has_ended_until_a_later_epoch_begins() -> None:
    live = session(0.5)
    live.add(summary([0.5]), 2000)
    assert live.phase(10**12, QUIET_MS) is SessionPhase.ENDED
    live.add(make_score(4000, 0.5, epoch=1), 3000)
    assert live.phase(3000, QUIET_MS) is SessionPhase.LIVE


def test_a_session_with_a_summary_alone_has_ended() -> None:
    live = LiveSession(SESSION)
    live.add(summary([0.5]), 2000)
    found = live.state(live.phase(2000, QUIET_MS), ALL)
    assert (found.state, found.tracks) == (SessionPhase.ENDED, ())


def worst(live: LiveSession, phase: SessionPhase = SessionPhase.LIVE, disclosed: Disclosed = ALL) -> str | None:
    alert = live.state(phase, disclosed).alert
    return None if alert is None else alert.rule


def test_the_worst_open_alert_is_shown() -> None:
    live = session(0.5)
    live.add(make_alert(4000, rule="mild", severity=Severity.LOW), 5000)
    live.add(make_alert(6000, rule="grave", severity=Severity.CRITICAL), 6000)
    live.add(make_alert(8000, rule="middling", severity=Severity.MEDIUM), 7000)
    assert worst(live) == "grave"
    live.add(make_alert(6000, rule="grave", severity=Severity.CRITICAL, state=AlertState.CLEARED), 8000)
    assert worst(live) == "middling"
    assert worst(live, disclosed=NO_WORDS) is None
    assert worst(live, SessionPhase.ENDED) is None


def test_an_alert_of_a_rule_on_trial_calls_nobody() -> None:
    live = session(0.5)
    live.add(make_alert(4000, mode=AlertMode.SHADOW), 5000)
    assert worst(live) is None


def test_an_alert_keeps_its_time_when_it_is_read_again() -> None:
    live = session(0.5)
    live.add(make_alert(4000), 5000)
    live.add_alert(make_alert(4000), 9000)
    alert = live.state(SessionPhase.LIVE, ALL).alert
    assert alert is not None
    assert alert.since_at_ms == 5000


def test_an_alert_ends_with_its_epoch() -> None:
    live = session(0.5)
    live.add(make_alert(4000), 5000)
    live.add(make_score(4000, 0.5, epoch=1), 6000)
    assert worst(live) is None


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([], None), ([1.0, 2.0], None), ([0.0, 1.0, 2.0], 2.0), ([0.0, 0.0, 5.0, 5.0, 1.0, 1.0], 1.0), ([1.0] * 7, 0.0)],
)
def test_the_trend_compares_the_ends(scores: list[float], expected: float | None) -> None:
    assert trend(scores) == expected
