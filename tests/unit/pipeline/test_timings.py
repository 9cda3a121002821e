from __future__ import annotations

import time

import pytest

from stream.pipeline.timings import KEPT, Step, Timings


def test_steps_without_a_duration_are_left_out() -> None:
    timings = Timings()
    timings.add(Step.INFER, 10.0)
    timings.add(Step.INFER, 20.0)
    assert timings.summary() == {"infer": {"count": 2, "p50": 15.0, "p95": 19.5, "p99": 19.9}}


def test_only_the_newest_durations_are_kept() -> None:
    timings = Timings()
    for number in range(2 * KEPT):
        timings.add(Step.TOTAL, float(number))
    assert timings.summary()["total"]["count"] == KEPT
    assert timings.summary()["total"]["p50"] > KEPT


def test_a_summary_of_the_newest_seconds_leaves_out_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    timings = Timings()
    timings.add(Step.TOTAL, 9000.0)
    now = 110.0
    timings.add(Step.TOTAL, 20.0)
    assert timings.summary(5.0)["total"] == {"count": 1, "p50": 20.0, "p95": 20.0, "p99": 20.0}
    assert timings.summary()["total"]["count"] == 2
    now = 120.0
    assert timings.summary(5.0) == {}
