"""The search for the largest number of sessions, and the parts that CPU time is counted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from benchmarks.pipeline_runs.broker import Final
from benchmarks.pipeline_runs.capacity import BUSY, CLOSE_ENOUGH, affordable_sessions, confirmed, is_confirmed, next_sessions
from benchmarks.pipeline_runs.comparison import Comparison, RawComparison
from benchmarks.pipeline_runs.overload import Recovery, recovery
from benchmarks.pipeline_runs.parts import part_of_child
from benchmarks.pipeline_runs.raw_media import Piece, moved_words
from benchmarks.pipeline_runs.report import compare_keys, cost_keys, flat_from, merged, missed, raw_compare_keys
from benchmarks.pipeline_runs.schedule import Traffic
from benchmarks.pipeline_runs.script import RawScript
from benchmarks.pipeline_runs.systems import OURS, Bench, Job, Run
from stream.domain.chunk import ContentType
from stream.domain.features import Word
from stream.domain.kafka_records import decode_text, encode_words
from stream.domain.modality import Modality

STUB = (
    "triton_python_backend_stub /models/{0}/1/model.onnx sentistream_1 1048576 1048576 7 /backends/python 336 {0}_0_0 /backends/onnxruntime"
)
TOTAL = {"total": {"count": 9, "p50": 1000.0, "p95": 1300.0, "p99": 1400.0}}


def a_run(sessions: int, cpu_s: dict[str, float]) -> Run:
    return Run(Job(OURS, "320@5", sessions, 10), 10.0, 5 * sessions, 5 * sessions, 0, 0, cpu_s, {}, 1.0, TOTAL)


def a_run_with(p95_ms: float, missing: int = 0) -> Run:
    return replace(a_run(40, {"worker": 1.0}), missing=missing, timings={"total": {**TOTAL["total"], "p95": p95_ms + 500}})


class Repeating:
    """Runs have the given p95, one after the other, by the number of sessions."""

    def __init__(self, p95_ms: dict[int, list[int]]) -> None:
        self.p95_ms = p95_ms

    async def run(self, job: Job) -> Run:
        return replace(a_run_with(self.p95_ms[job.sessions].pop(0)), job=job)


@pytest.mark.parametrize(
    ("p95_ms", "expected"),
    [
        ([], None),
        ([900, 900], None),
        ([900, 900, 900], True),
        ([1100, 900, 1100, 900], None),
        ([1100, 900, 1100, 900, 1000], True),
        ([1100, 900, 1100, 1100], False),
    ],
)
def test_three_of_five_runs_decide(p95_ms: Sequence[float], expected: bool | None) -> None:
    assert is_confirmed([a_run_with(ms) for ms in p95_ms]) is expected


async def test_the_largest_confirmed_number_counts_with_its_middle_run() -> None:
    bench = Repeating({40: [990, 1200, 1300, 800, 700], 42: [1100, 1100, 1100]})
    found = await confirmed(cast(Bench, bench), Job(OURS, "320@5", 40, 13), print)
    assert (found.sessions, len(found.runs)) == (40, 5)
    assert found.run is not None
    assert found.run.timings["total"]["p95"] == 990 + 500
    assert not bench.p95_ms[42]


async def test_numbers_that_are_not_confirmed_are_followed_by_smaller_ones() -> None:
    bench = Repeating({number: [1100, 1100, 1100] for number in (40, 38, 36, 34)} | {32: [900, 900, 900]})
    assert (await confirmed(cast(Bench, bench), Job(OURS, "320@5", 40, 13), print)).sessions == 32


def test_one_window_that_is_missing_means_that_a_run_did_not_keep_up() -> None:
    assert a_run_with(900).kept_up
    assert not a_run_with(900, missing=1).kept_up


def test_windows_are_due_with_the_chunk_that_proves_them_complete() -> None:
    traffic = Traffic("run7.", first=10, sessions=2, seconds=9, began_s=100.0)
    # Windows end at 4, 6 and 8 s; the chunk that proves them ends a second later. The second session begins half a second after the first.
    assert [*traffic.due(0, 200)] == [(f"run7-{number}", end_ms) for number in (10, 11) for end_ms in (4000, 6000, 8000)]
    assert [*traffic.due(105.0, 105.5)] == [("run7-10", 4000)]
    assert [*traffic.due(105.1, 107.1)] == [("run7-10", 6000), ("run7-11", 4000)]
    assert [*replace(traffic, seconds=8).due(0, 200)] == [(f"run7-{number}", end_ms) for number in (10, 11) for end_ms in (4000, 6000)]


def test_an_overload_is_over_with_its_last_late_window() -> None:
    due = {("a", 4000), ("a", 6000)}
    late, in_time = Final("a", 4000, 130_000, 110_000), Final("a", 6000, 131_000, 130_000)
    other = Final("b", 4000, 150_000, 100_000)
    assert recovery([late, in_time, other], due, over_s=120.0, until_s=145.0) == Recovery(19.5, 10.0, 2, 0)
    assert recovery([late, in_time], due, over_s=120.0, until_s=139.0) == Recovery(19.5, None, 2, 0)
    assert recovery([late], due, over_s=120.0, until_s=145.0) == Recovery(19.5, None, 2, 1)
    assert recovery([in_time], {("a", 6000)}, over_s=120.0, until_s=145.0).gone_s == 0.0


@pytest.mark.parametrize("affordable", [1, 40, 75, 2000])
@pytest.mark.parametrize("largest", [0, 1, 5, 79, 80, 111, 112, 130, 156, 900])
def test_the_search_ends_closely_below_the_largest_possible_number(largest: int, affordable: int) -> None:
    best = 0
    bad: int | None = None
    tried: int | None = 80
    steps = 0
    while tried is not None:
        steps += 1
        if tried <= largest:
            best = tried
        else:
            bad = tried
        tried = next_sessions(best, bad, affordable)
    assert bad is not None
    assert best <= largest < bad
    assert bad <= max(best * CLOSE_ENOUGH, best + 1)
    assert steps <= 20


def test_the_search_goes_to_the_number_that_the_cpu_time_suggests() -> None:
    assert next_sessions(20, None, 63) == 63
    assert next_sessions(60, 90, 63) == 73
    assert next_sessions(20, None, 500) == 80


def test_affordable_sessions_keep_the_cores_as_busy_as_they_may_be() -> None:
    run = a_run(20, {"worker": 1.0, "broker": 0.6, "load": 0.4})
    assert affordable_sessions(run, cores=2) == int(BUSY * 2 * 1000 / 10)


@pytest.mark.parametrize(
    ("parent", "command", "part"),
    [
        ("worker", "python -m stream.media.decoder_child 1024 1", "decoder"),
        ("worker", "python -c something", "worker"),
        ("triton", STUB.format("mmci"), "mmci"),
        ("triton", STUB.format("audio_encoder"), "audio"),
        ("triton", STUB.format("face_encoder"), "face"),
        ("triton", STUB.format("text_encoder"), "text"),
        ("triton", "tritonserver", "triton"),
        ("broker", "java mmci_0_0", "broker"),
    ],
)
def test_a_child_belongs_to_the_part_that_its_command_line_names(parent: str, command: str, part: str) -> None:
    assert part_of_child(parent, command.split()) == part


def test_the_system_itself_is_without_the_broker_and_the_load() -> None:
    run = a_run(10, {"worker": 0.5, "decoder": 0.3, "broker": 1.0, "load": 1.0})
    assert run.cpu_s_per_window == pytest.approx(0.8 / 50)
    assert run.cpu_ms_per_session_second == {"worker": 5.0, "decoder": 3.0, "broker": 10.0, "load": 10.0}


def test_cost_growth_is_the_cost_at_capacity_over_the_lowest() -> None:
    keys = cost_keys("320@5", [a_run(1, {"worker": 0.4}), a_run(20, {"worker": 2.0}), a_run(60, {"worker": 7.2, "load": 9.0})])
    assert keys["cost_growth"] == 1.2
    assert [row["cpu_ms"] for row in keys["cost_by_sessions"]["320@5"].values()] == [40.0, 10.0, 12.0]
    assert keys["cost_by_sessions"]["320@5"]["60"]["p95"] == 800.0


def test_ratios_are_medians_over_the_rounds() -> None:
    ms = {OURS: [4.0, 5.0, 10.0], "floor": [2.0, 3.0, 5.0], "plain_faust": [20.0, 20.0, 20.0], "reading_alone": [1.0, 1.0, 1.0]}
    parts = [{"worker": 3.0, "broker": 2.0}, {"worker": 2.9, "broker": 2.0}, {"worker": 9.0, "broker": 2.0}]
    keys = compare_keys(Comparison(ms, parts, {"torch": [1.0, 1.0, 1.0], "onnxruntime": [0.5, 0.5, 0.5]}, [9.0, 10.0, 11.0]), 100)
    assert (keys["ratio_to_floor"], keys["ratio_to_plain_faust"], keys["ratio_to_ceiling"]) == (0.5, 4.0, 0.2)
    assert "ratio_to_reading_alone" not in keys
    assert keys["parts_ms"] == {"worker": 3.0, "broker": 2.0}


def test_ratios_from_raw_media_are_those_of_a_session_second() -> None:
    keys = raw_compare_keys(RawComparison({OURS: 12.0, "plain_faust": 108.0, "fer": 300.0}, {OURS: 40, "plain_faust": 4, "fer": 1}))
    assert (keys["ratio_raw_to_plain_faust"], keys["ratio_raw_to_fer"]) == (9.0, 25.0)
    assert keys["raw_sessions_by_system"] == {OURS: 40, "plain_faust": 4, "fer": 1}


def test_cost_is_flat_from_the_number_on_from_which_it_hardly_changes() -> None:
    assert flat_from({1: 76.0, 5: 30.0, 10: 44.0, 20: 31.0, 40: 28.0}) == 20
    assert flat_from({1: 76.0, 40: 28.0}) == 40
    assert flat_from({1: 28.0, 40: 28.0}) == 1


def test_what_is_measured_again_joins_a_stored_result_by_kind() -> None:
    stored: dict[str, Any] = {"raw_sessions_at_1s": {"320@5": 50, "jpeg": 30}, "ratio_to_floor": 0.5}
    again = merged(stored, {"raw_sessions_at_1s": {"320@5": 61, "audio": 150}, "encoded_sessions_at_1s": 250})
    assert again["raw_sessions_at_1s"] == {"320@5": 61, "jpeg": 30, "audio": 150}
    assert (again["ratio_to_floor"], again["encoded_sessions_at_1s"]) == (0.5, 250)


def test_goals_are_judged_by_what_was_measured() -> None:
    assert missed({}) == []
    good = {"encoded_sessions_at_1s": 250, "raw_sessions_at_1s": {"320@5": 60}, "ratio_raw_to_plain_faust": 8.0, "ratio_to_floor": 0.5}
    assert missed({**good, "parts_ms": {"worker": 3.0}, "cost_growth": 1.15}) == []
    bad = {"encoded_sessions_at_1s": 249, "raw_sessions_at_1s": {"320@5": 59}, "ratio_raw_to_plain_faust": 7.9, "ratio_to_floor": 0.49}
    assert len(missed({**bad, "parts_ms": {"worker": 3.1}, "cost_growth": 1.16})) == 6
    assert missed({"raw_sessions_at_1s": {"640@30": 1}, "overload": {"gone_s": 60.0, "missing": 0}}) == []
    assert len(missed({"overload": {"gone_s": 60.1, "missing": 1}})) == len(missed({"overload": {"gone_s": None, "missing": 1}})) == 2


def test_sessions_go_through_the_clip_from_different_places_with_words_at_their_own_times() -> None:
    words = encode_words([Word("well", 100, 300)])
    clip = [
        [
            Piece(Modality.TEXT, 0, 1000, ContentType.WORDS, words),
            *(Piece(Modality.VIDEO, 200 * number, 200, ContentType.JPEG, bytes([second])) for number in range(5)),
        ]
        for second in range(21)
    ]
    script = RawScript(clip)
    assert script.modalities == [Modality.TEXT, Modality.VIDEO]
    assert script.ends_ms == [200, 400, 600, 800, 1000]
    places = {script.pieces(session, 0)[1].payload for session in range(21)}
    assert len(places) == 21
    text, *_ = script.pieces(3, 7)
    assert decode_text(text.payload).words == (Word("well", 7100, 7300),)


def test_moved_words_begin_at_time_0_at_the_earliest() -> None:
    moved = decode_text(moved_words(encode_words([Word("well", 900, 1300)], final=True), -1000))
    assert moved.words == (Word("well", 0, 300),)
    assert moved.ends_utterance
