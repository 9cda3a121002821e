"""The benchmark of the pipeline from its plan to its result, with services that are played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from benchmarks import pipeline
from benchmarks.pipeline_runs import ceiling, pages, report
from benchmarks.pipeline_runs.raw_media import Piece
from benchmarks.pipeline_runs.systems import FLOOR, OURS, READING, Bench, Job, Run
from stream.domain.chunk import ContentType
from stream.domain.modality import Modality

FULL_AT = {"encoded": 260, "320@5": 71, "audio": 130}


class PlayedBench:
    """Runs in no time: up to a number of sessions windows are in time, and a session costs the same, whatever their number."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def run(self, job: Job) -> Run:
        self.jobs.append(job)
        most = FULL_AT[job.kind] * (0.8 if job.partials else 1.0)
        total = {"count": 9, "p50": 1000.0, "p95": 1400.0 if job.sessions <= most else 1600.0, "p99": 1900.0}
        windows = 0 if job.system in (FLOOR, READING) else round(job.sessions * job.seconds / 2)
        session_seconds = job.sessions * job.seconds
        worker_ms = {OURS: 1.4, FLOOR: 0.6, READING: 0.3}.get(job.system, 100.0 if job.kind == "320@5" else 9.0)
        cpu_s = {part: ms / 1000 * session_seconds for part, ms in {"worker": worker_ms, "redis": 0.2, "broker": 1.0, "load": 0.5}.items()}
        timings = {"total": total} if job.system == OURS else {}
        return Run(job, float(job.seconds), windows, session_seconds / 2, 0, cpu_s, {"worker": 100}, 8.6, timings)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PlayedBench:
    clip = [[Piece(Modality.AUDIO, 0, 1000, ContentType.PCM, bytes(32_000))]]
    monkeypatch.setattr(pipeline, "write_clip", lambda _kind, _directory: tmp_path)
    monkeypatch.setattr(pipeline, "read_clip", lambda _file: clip)
    monkeypatch.setattr(ceiling, "cpu_s_per_window", lambda _batch, _windows: {"torch": 0.0016, "onnxruntime": 0.0008})
    return PlayedBench()


async def test_the_parts_of_a_plan_make_one_result_that_fills_the_tables(bench: PlayedBench, tmp_path: Path) -> None:
    plan = replace(pipeline.FULL, rounds=2)
    found = await pipeline.measure_parts(cast(Bench, bench), plan, ["320@5", "320@5+partials", "audio"], tmp_path)

    assert FULL_AT["encoded"] / 1.1 <= found["sessions_at_1s"] <= FULL_AT["encoded"]
    raw = found["raw_sessions_at_1s"]
    assert 71 / 1.1 - 1 <= raw["320@5"] <= 71
    assert raw["320@5+partials"] < raw["320@5"]
    assert found["raw"]["audio"]["kb_per_minute"] == 1920
    assert found["cpu_ms_per_session_second"]["320@5"] == {"worker": 1.4, "redis": 0.2, "broker": 1.0, "load": 0.5}
    assert {"1", "5", str(raw["320@5"])} <= found["cost_by_sessions"]["320@5"].keys()
    assert found["workers"]["2"]["sessions"] == raw["320@5"]
    assert found["ratio_to_floor"] == 0.5
    assert found["ratio_raw_to_plain_faust"] == pytest.approx(100.2 / 1.6, abs=0.01)
    assert report.missed(found) == []
    assert {job.batch for job in bench.jobs if job.system == FLOOR} == {9}

    tables = (pages.latency_table, pages.parts_table, pages.cost_by_sessions_table, pages.workers_table, pages.ratios_table)
    assert all(table(found).count("\n") > 2 for table in (*tables, pages.raw_ratios_table, pages.milestones_table))


async def test_a_kind_that_is_too_much_at_any_number_has_no_detail(
    bench: PlayedBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FULL_AT, "320@5", 0)
    found = await pipeline.measure_parts(cast(Bench, bench), replace(pipeline.FULL, parts=("raw",)), ["320@5"], tmp_path)
    assert found["raw_sessions_at_1s"] == {"320@5": 0}
    assert "cost_by_sessions" not in found
    assert len(report.missed(found)) == 1


def test_partial_results_are_part_of_the_name_of_a_kind() -> None:
    assert pipeline.job_of("320@5+partials", 20, 13) == Job(OURS, "320@5", 20, 13, partials=True)
    assert pipeline.job_of("jpeg", 20, 13, workers=2) == Job(OURS, "jpeg", 20, 13, workers=2)


def test_a_part_joins_the_stored_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = tmp_path / "pipeline.json"
    pipeline.publish({"machine": {"cpu": "one"}, "sessions_at_1s": 250}, stored)
    pipeline.publish({"machine": {"cpu": "one"}, "raw_sessions_at_1s": {"jpeg": 30}}, stored)
    assert stored.read_text() == '{"machine": {"cpu": "one"}, "sessions_at_1s": 250, "raw_sessions_at_1s": {"jpeg": 30}}\n'
    assert capsys.readouterr().out == ""
    pipeline.publish({"sessions_at_1s": 1}, None)
    assert capsys.readouterr().out == '{"sessions_at_1s": 1}\n'
