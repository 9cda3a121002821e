"""The last line of a run: counts, and latency at speed 1.0 or the speed otherwise."""

from __future__ import annotations

import msgspec
import pytest

from stream.cli.run_report import Arrival, RunReport, by_recording, percentile
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.result import ScoreRecord
from stream.explain.session_summary import summarise
from stream.produce.sent import SentRecording
from tests.fakes.results import SESSION, make_explanation, make_partial, make_score

OTHER = SessionKey("default", "other")


def captured(end_ms: int, at_ms: int | None) -> ScoreRecord:
    return msgspec.structs.replace(make_score(end_ms, present=(Modality.AUDIO,)), media_end_at_ms=at_ms)


@pytest.mark.parametrize(
    ("end_ms", "delay_ms", "media_end_ms", "latency_ms"),
    [(4000, 800, 60_000, 300), (4000, 120, 60_000, 0), (4000, 800, None, 300), (4000, 800, 4500, 300), (4000, 800, 4400, 800)],
)
def test_latency_leaves_out_the_allowed_lateness_if_the_window_waited_for_it(
    end_ms: int, delay_ms: int, media_end_ms: int | None, latency_ms: int
) -> None:
    assert Arrival(SESSION, end_ms, 500, delay_ms).latency_ms(media_end_ms) == latency_ms


def test_a_live_run_reports_latency_and_no_speed() -> None:
    report = RunReport(frozenset({SESSION}), live=True)
    for number in range(100):
        report.add(captured(4000 + number, 10_000), 10_500 + number + 1)
    report.add(make_explanation(make_score(4000)), 0)
    report.add(make_partial(9000), 0)
    report.add(make_score(4000, session=OTHER), 0)
    assert not report.complete
    report.add(summarise(SESSION, 0, []), 0)
    assert report.complete
    whole = SentRecording(session="call-1", media="a.wav", complete=True, stopped=False)
    summary = report.summary(media_ms={SESSION: 60_000}, recordings=[whole], wall_s=30, dead_letters=1, late=2)
    assert msgspec.json.decode(msgspec.json.encode(summary)) == {
        "event": "summary",
        "windows": 100,
        "sessions": 1,
        "modalities": {"text": 0, "audio": 100, "video": 0},
        "latency_ms": {"p50": 50, "p95": 95, "p99": 99},
        "real_time_factor": None,
        "dead_letters": 1,
        "late": 2,
        "complete": True,
        "recordings": [
            {
                "session": "call-1",
                "media": "a.wav",
                "complete": True,
                "stopped": False,
                "streams": [],
                "left_out": [],
                "words": None,
                "quality": "model",
                "bytes_per_minute": {},
                "notices": [],
                "warnings": [],
            }
        ],
    }


def test_a_run_at_full_speed_reports_speed_and_no_latency() -> None:
    report = RunReport(frozenset({SESSION}), live=False)
    report.add(captured(4000, 10_000), 99_000)
    cut = SentRecording(session="call-1", media="a.wav", complete=False, stopped=False)
    summary = report.summary(media_ms={SESSION: 60_000}, recordings=[cut], wall_s=8, dead_letters=0, late=0)
    assert (summary.latency_ms, summary.real_time_factor, summary.complete) == (None, 7.5, False)


def test_a_sentence_names_the_files_that_it_is_about_unless_these_are_all() -> None:
    sentences = [("a.wav", ["no text", "cut off"]), ("b.wav", ["no text"]), ("a.wav", ["no text", "cut off"])]
    assert list(by_recording(sentences)) == ["no text", "a.wav: cut off"]
    assert list(by_recording(sentences[:1])) == ["no text", "cut off"]


def test_a_run_is_complete_only_with_all_its_sessions() -> None:
    report = RunReport(frozenset({SESSION, OTHER}), live=True)
    report.add(summarise(SESSION, 0, []), 0)
    assert not report.complete
    report.add(summarise(OTHER, 0, []), 0)
    assert report.complete


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 2), (51, 3), (100, 4)])
def test_percentiles_are_values_that_were_measured(percent: int, value: int) -> None:
    assert percentile([4, 1, 3, 2], percent) == value
