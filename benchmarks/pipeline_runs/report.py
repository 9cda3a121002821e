"""The keys of the benchmark's result, the goals, and how a part that was measured again joins a stored result: pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.pipeline_runs.capacity import Capacity
from benchmarks.pipeline_runs.comparison import Comparison, RawComparison
from benchmarks.pipeline_runs.overload import Recovery
from benchmarks.pipeline_runs.schedule import LATENESS_MS
from benchmarks.pipeline_runs.systems import OURS, READING, Run

BY_KIND = ("raw_sessions_at_1s", "cpu_ms_per_session_second", "raw", "cost_by_sessions", "cost_flat_from")
"""Keys that hold a value for each kind of media."""

RAW_GOAL = "320@5"
LEAST = {"encoded_sessions_at_1s": 250, "ratio_raw_to_plain_faust": 8.0, "ratio_to_floor": 0.5}
LEAST_RAW_SESSIONS = 60
MOST_WORKER_MS = 3.0
"""CPU time of the worker for a window of encoded chunks."""

MOST_GROWTH = 1.15
"""How many times the cost of a session with fewer sessions it may be at capacity. Cost is flat where it differs by less."""

LONGEST_LAG_S = 60.0
"""Time after an overload in which results have to be in time again."""


def encoded_keys(found: Capacity) -> dict[str, Any]:
    """The keys of the search with encoded chunks."""
    return {
        "encoded_sessions_at_1s": found.sessions,
        "latency_ms": latency(found.run),
        "milestones_ms": found.run and found.run.timings,
        "resident_mb": found.run and found.run.resident_mb,
    }


def raw_keys(kind: str, found: Capacity, kb_per_minute: float) -> dict[str, Any]:
    """The keys of the search with a kind of raw media."""
    run = found.run
    return {
        "raw_sessions_at_1s": {kind: found.sessions},
        "cpu_ms_per_session_second": {kind: rounded(run.cpu_ms_per_session_second)} if run else {},
        "raw": {
            kind: {
                "latency_ms": latency(run),
                "p95_ms_by_run": [latency_of(each, "p95") for each in found.runs],
                "milestones_ms": run and run.timings,
                "resident_mb": run and run.resident_mb,
                "kb_per_minute": round(kb_per_minute),
            }
        },
    }


def compare_keys(comparison: Comparison, sessions: int) -> dict[str, Any]:
    """The keys of the comparison with encoded chunks."""
    ms, ceilings = comparison.ms, comparison.ceilings
    return {
        "cpu_s_per_window": round(statistics.median(ms[OURS]) / 1000, 5),
        "ratio_to_ceiling": comparison.ratio(ceilings["torch"]),
        "ratio_to_ceiling_in_onnxruntime": comparison.ratio(ceilings["onnxruntime"]),
        **{f"ratio_to_{system}": comparison.ratio(own) for system, own in ms.items() if system not in (OURS, READING)},
        "cpu_ms_per_window": {name: [round(each, 2) for each in by_round] for name, by_round in (ms | ceilings).items()},
        "parts_ms": rounded({name: statistics.median(part[name] for part in comparison.parts) for name in comparison.parts[0]}),
        "batch": round(statistics.median(comparison.batches), 2),
        "compared_with_sessions": sessions,
    }


def raw_compare_keys(comparison: RawComparison) -> dict[str, Any]:
    """The keys of the comparison from raw media."""
    return {
        "raw_ms_by_system": rounded(comparison.ms),
        "raw_sessions_by_system": dict(comparison.sessions),
        **{f"ratio_raw_to_{system}": comparison.ratio(system) for system in comparison.ms if system != OURS},
    }


def cost_keys(kind: str, runs: Sequence[Run]) -> dict[str, Any]:
    """The cost of a session by the number of sessions, from which number on it is flat, and how much it grows towards the largest."""
    rows = {
        str(run.job.sessions): {
            "cpu_ms": round(cost_ms(run), 2),
            "parts": rounded(run.cpu_ms_per_session_second),
            "p50": latency_of(run, "p50"),
            "p95": latency_of(run, "p95"),
        }
        for run in runs
    }
    ms = {run.job.sessions: cost_ms(run) for run in runs}
    return {"cost_by_sessions": {kind: rows}, "cost_flat_from": {kind: flat_from(ms)}, "cost_growth": growth(ms)}


def cost_ms(run: Run) -> float:
    """CPU milliseconds of the system itself for a session-second."""
    return sum(run.own_cpu_s.values()) * 1000 / (run.took_s * run.job.sessions)


def growth(ms_by_sessions: Mapping[int, float]) -> float:
    """The cost with the largest number of sessions as a multiple of the lowest cost."""
    return round(ms_by_sessions[max(ms_by_sessions)] / min(ms_by_sessions.values()), 2)


def flat_from(ms_by_sessions: Mapping[int, float]) -> int:
    """The smallest number of sessions from which on a session costs about as much as with the largest number."""
    last = ms_by_sessions[max(ms_by_sessions)]
    dear = [number for number, ms in ms_by_sessions.items() if not last / MOST_GROWTH <= ms <= last * MOST_GROWTH]
    return min(number for number in ms_by_sessions if number > max(dear, default=0))


def worker_keys(runs: Mapping[int, Run]) -> dict[str, Any]:
    """The same sessions on different numbers of workers."""
    return {
        "workers": {
            str(workers): {
                "kind": run.job.kind,
                "sessions": run.job.sessions,
                "cpu_ms": round(cost_ms(run), 2),
                "kept_up": run.kept_up,
                "p50": latency_of(run, "p50"),
                "p95": latency_of(run, "p95"),
            }
            for workers, run in sorted(runs.items())
        }
    }


def overload_keys(found: Recovery, sessions: int, too_many: int, seconds: int) -> dict[str, Any]:
    """The keys of the recovery from an overload."""
    return {"overload": {"sessions": sessions, "too_many": too_many, "seconds": seconds, **asdict(found)}}


def latency(run: Run | None) -> dict[str, float] | None:
    """Percentiles of the time from a window's end to Redis, less the allowed lateness; None without a window."""
    if run is None or "total" not in run.timings:
        return None
    return {name: round(ms - LATENESS_MS, 1) for name, ms in run.timings["total"].items() if name != "count"}


def latency_of(run: Run, percentile: str) -> float | None:
    """One of these percentiles; None without a window."""
    return (latency(run) or {}).get(percentile)


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Values with two decimals."""
    return {name: round(value, 2) for name, value in values.items()}


def check_machine(stored: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raises ``ValueError``, if the two come from different machines, so that their figures do not belong together."""
    if stored and stored["machine"]["cpu"] != new["machine"]["cpu"]:
        raise ValueError(f"the stored result is from another machine ({stored['machine']['cpu']}): print this one to a file of its own")


def merged(stored: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A result with what was measured later."""
    result = {**stored, **new}
    for name in BY_KIND:
        if name in stored and name in new:
            result[name] = {**stored[name], **new[name]}
    return result


def missed(result: Mapping[str, Any]) -> list[str]:
    """What the measured keys miss of the goals, in words. Keys that were not measured miss nothing."""
    failures = [
        f"{name} is {result[name]:g}, the goal is {least:g} or more" for name, least in LEAST.items() if result.get(name, least) < least
    ]
    raw = result.get("raw_sessions_at_1s", {}).get(RAW_GOAL, LEAST_RAW_SESSIONS)
    if raw < LEAST_RAW_SESSIONS:
        failures.append(f"{raw} sessions of {RAW_GOAL}, the goal is {LEAST_RAW_SESSIONS} or more")
    worker_ms = result.get("parts_ms", {}).get("worker", 0.0)
    if worker_ms > MOST_WORKER_MS:
        failures.append(f"the worker takes {worker_ms:g} CPU ms for a window of encoded chunks, the goal is {MOST_WORKER_MS:g} or less")
    if result.get("cost_growth", 1.0) > MOST_GROWTH:
        failures.append(
            f"a session costs {result['cost_growth']:g} times as much at capacity as with fewer, the goal is {MOST_GROWTH:g} or less"
        )
    return failures + _missed_after_overload(result)


def _missed_after_overload(result: Mapping[str, Any]) -> list[str]:
    found = result.get("overload", {"missing": 0, "gone_s": 0.0})
    failures = [f"after an overload {found['missing']} windows had not come when the measurement ended"] if found["missing"] else []
    if found["gone_s"] is None:
        failures.append("after an overload results were still late when the measurement ended")
    elif found["gone_s"] > LONGEST_LAG_S:
        failures.append(f"after an overload results are late for {found['gone_s']:.0f} s, the goal is {LONGEST_LAG_S:g} s or less")
    return failures
