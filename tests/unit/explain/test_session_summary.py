"""The summary of a session from its final windows."""

from __future__ import annotations

import pytest

from stream.domain.modality import Modality
from stream.domain.warning_codes import WarningCode
from stream.explain.session_summary import summarise
from tests.fakes.results import SESSION, make_score


def test_the_summary_covers_all_tracks_in_order_of_time() -> None:
    finals = [make_score(4000 + 2000 * i, float(i - 2)) for i in range(5)]
    finals.append(make_score(5000, 3.0, track="agent", role="agent", present=(Modality.AUDIO,)))
    summary = summarise(SESSION, 0, reversed(finals))
    assert summary.windows == 6
    assert summary.mean == 0.5
    assert summary.trend == pytest.approx((1 + 2) / 2 - (-2 + 3) / 2)
    assert summary.best is not None
    assert (summary.best.track, summary.best.score, summary.best.end_ms) == ("agent", 3.0, 5000)
    assert summary.worst is not None
    assert (summary.worst.window_id, summary.worst.score) == ("default/call-1/customer/0-4000", -2.0)
    assert summary.role_shares == {"agent": 0.1667, "customer": 0.8333}
    assert summary.windows_by_modality == {Modality.TEXT: 5, Modality.AUDIO: 6, Modality.VIDEO: 5}


def test_windows_of_another_epoch_are_left_out() -> None:
    assert summarise(SESSION, 1, [make_score(4000, 3.0), make_score(4000, 1.0, epoch=1)]).mean == 1.0


def test_windows_in_which_nothing_was_said_are_counted_and_else_left_out() -> None:
    silent_agent = [make_score(end_ms, None, track="agent", role="agent") for end_ms in (4000, 6000, 8000)]
    spoken = [make_score(4000, 1.0), make_score(6000, 2.0), make_score(12_000, 3.0)]
    summary = summarise(SESSION, 0, [*silent_agent, *spoken, make_score(8000, None), make_score(10_000, None)])
    assert (summary.windows, summary.windows_empty, summary.mean, summary.trend) == (8, 5, 2.0, 2.0)
    assert summary.role_shares == {"customer": 1.0}
    assert summary.windows_by_modality == dict.fromkeys(Modality, 3)
    assert summary.best is not None
    assert summary.worst is not None
    assert (summary.best.score, summary.worst.score) == (3.0, 1.0)


def test_the_mean_arousal_is_that_of_windows_with_a_voice() -> None:
    finals = [make_score(4000, 1.0, arousal=0.25), make_score(6000, 1.0), make_score(8000, 1.0, arousal=0.5)]
    assert summarise(SESSION, 0, finals).mean_arousal == 0.375
    assert summarise(SESSION, 0, finals[1:2]).mean_arousal is None


def test_a_session_in_which_nothing_was_said_has_no_mean() -> None:
    summary = summarise(SESSION, 0, [make_score(4000, None), make_score(6000, None)])
    assert (summary.windows, summary.windows_empty) == (2, 2)
    assert (summary.mean, summary.trend, summary.best, summary.worst, summary.role_shares) == (None, None, None, None, {})


def test_a_score_without_any_modality_from_version_0_1_is_left_out() -> None:
    assert summarise(SESSION, 0, [make_score(4000, 1.0), make_score(6000, -3.0, present=())]).mean == 1.0


def test_windows_that_were_closed_early_are_counted() -> None:
    finals = [
        make_score(4000),
        make_score(6000, warnings=(WarningCode.SHED,)),
        make_score(8000, warnings=("several_faces", WarningCode.SHED)),
    ]
    assert summarise(SESSION, 0, finals).windows_shed == 2


def test_a_silent_face_does_not_count_as_talking() -> None:
    assert summarise(SESSION, 0, [make_score(4000, present=(Modality.VIDEO,))]).role_shares == {}


def test_a_session_without_windows_has_an_empty_summary() -> None:
    summary = summarise(SESSION, 0, [])
    assert (summary.windows, summary.mean, summary.trend, summary.best, summary.worst) == (0, None, None, None, None)


def test_two_windows_have_no_trend() -> None:
    assert summarise(SESSION, 0, [make_score(4000, -1.0), make_score(6000, 1.0)]).trend is None
