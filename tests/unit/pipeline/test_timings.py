from __future__ import annotations

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
