"""The tables that the pages have from a result of the pipeline's benchmark."""

from __future__ import annotations

from typing import Any

from benchmarks.pipeline_runs import pages

LATENCY = {"p50": 600.4, "p95": 900.6, "p99": 990.0}
STEPS = {"total": {"count": 9, "p50": 1100.0, "p95": 1400.0, "p99": 1490.0}}
RESULT: dict[str, Any] = {
    "encoded_sessions_at_1s": 250,
    "latency_ms": LATENCY,
    "milestones_ms": STEPS,
    "raw_sessions_at_1s": {"320@5": 62, "320@5+partials": 50, "jpeg": 0},
    "raw": {
        "320@5": {"latency_ms": LATENCY, "p95_ms_by_run": [880.2, 900.6, None], "milestones_ms": STEPS, "kb_per_minute": 2689},
        "320@5+partials": {"latency_ms": LATENCY, "milestones_ms": STEPS, "kb_per_minute": 2689},
        "jpeg": {"latency_ms": None, "milestones_ms": None, "kb_per_minute": 6775},
    },
    "cpu_ms_per_session_second": {"320@5": {"worker": 4.0, "decoder": 6.0, "mmci": 1.5, "redis": 0.5, "broker": 2.0, "load": 1.0}},
    "cost_by_sessions": {
        "320@5": {
            "1": {"cpu_ms": 40.0, "parts": {"worker": 20.0, "triton": 1.0, "mmci": 2.0}, "p50": 550.0, "p95": None},
            "62": {"cpu_ms": 12.0, "parts": {"worker": 4.0, "decoder": 6.0, "triton": 0.5, "text": 1.0}, "p50": 600.0, "p95": 901.0},
        }
    },
    "workers": {"1": {"kind": "320@5", "sessions": 62, "cpu_ms": 12.0, "p50": 600.0, "p95": 901.0}},
    "cpu_ms_per_window": {"sentistream": [4.0, 5.0, 6.0], "floor": [3.0, 3.0, 3.0], "reading_alone": [1.0, 1.0, 1.0], "torch": [1.5] * 3},
    "ratio_to_floor": 0.6,
    "ratio_to_ceiling": 0.3,
    "ratio_to_ceiling_in_onnxruntime": 0.15,
    "raw_ms_by_system": {"sentistream": 12.0, "plain_faust": 110.0},
    "ratio_raw_to_plain_faust": 9.17,
}


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_kind_has_its_sessions_and_its_latency() -> None:
    assert rows(pages.latency_table(RESULT)) == [
        ["encoded by the producer", "250", "600", "901", "990", "", ""],
        ["H.264, 320 wide, 5 frames a second; PCM; words", "62", "600", "901", "990", "880, 901,", "2689"],
        ["H.264, 320 wide, 5 frames a second; PCM; words; with partial results", "50", "600", "901", "990", "", "2689"],
        ["5 JPEGs a second, 640 wide; PCM; words", "0", "", "", "", "", "6775"],
    ]
    assert rows(pages.capacity_table(RESULT))[0][1:] == ["250", "600", "901"]


def test_steps_are_shown_of_encoded_chunks_and_of_what_the_producer_sends() -> None:
    assert [row[:2] for row in rows(pages.milestones_table(RESULT))] == [["encoded", "total"], ["320@5", "total"]]


def test_the_sum_of_the_parts_is_without_broker_and_load() -> None:
    by_part = {row[0]: row[1] for row in rows(pages.parts_table(RESULT))}
    assert by_part["decoder processes"] == "6.00"
    assert by_part["**all of sentistream**"] == "**12.00**"
    assert (by_part["broker"], by_part["load"], by_part["live sessions"]) == ("2.00", "1.00", "62")
    assert by_part["audio encoder"] == ""


def test_the_cost_of_a_session_has_triton_with_its_models_in_one() -> None:
    few, many = rows(pages.cost_by_sessions_table(RESULT))
    assert few == ["320@5", "1", "40.00", "", "20.00", "3.00", "", "", "550", ""]
    assert many == ["320@5", "62", "12.00", "6.00", "4.00", "1.50", "", "", "600", "901"]
    assert rows(pages.workers_table(RESULT)) == [["1", "320@5", "62", "12.00", "600", "901"]]


def test_systems_are_multiples_of_sentistream() -> None:
    assert [row[1:] for row in rows(pages.ratios_table(RESULT))] == [["5.00", "1.00"], ["3.00", "0.60"], ["1.00", "0.20"], ["1.50", "0.30"]]
    assert [row[1:] for row in rows(pages.raw_ratios_table(RESULT))] == [["12.00", "83", "1.00"], ["110.00", "9", "9.17"]]


def test_what_was_not_measured_has_no_row() -> None:
    tables = (pages.latency_table, pages.cost_by_sessions_table, pages.workers_table, pages.raw_ratios_table, pages.overload_table)
    assert [rows(table({})) for table in tables] == [[]] * len(tables)
    assert pages.flat_note({}) == ""


def test_the_recovery_from_an_overload_has_a_row() -> None:
    overload = {"sessions": 21, "too_many": 84, "seconds": 60, "late_s": 21.04, "gone_s": 33.3, "due": 4000, "missing": 0}
    assert rows(pages.overload_table({"overload": overload})) == [["21", "84", "60", "4000", "0", "21.0", "33"]]
    assert rows(pages.overload_table({"overload": {**overload, "gone_s": None}}))[0][-1] == "longer than measured"
